"""Structure files of any format as ASE's atoms, with all that a file says of them.

Owns what the formats say in different words: FILE@INDEX, i-PI's own units, masses, isotopes, the
step of a frame.  Masses, momenta and constraints stay on the atoms; who reads decides about them.
"""

from __future__ import annotations

import io
import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ncforce_ipi.errors import InputError
from ncforce_ipi.reading.commentline import title_of
from ncforce_ipi.reading.compressed import readable
from ncforce_ipi.reading.frameheader import NAMES
from ncforce_ipi.reading.gaps import has_gap, without_gaps
from ncforce_ipi.reading.resumed import frames_left, lines_of
from ncforce_ipi.reading.trajectory import Trajectory, open_trajectory
from ncforce_ipi.species import NUMBERS

if TYPE_CHECKING:
    from ase import Atoms

LEAST_BYTES = 2  # of the line of an atom
MAX_DIGITS = 10
ISOTOPES_U = {"D": 2.01410177812, "T": 3.01604927791}  # of H; AME 2020
FULL = 0.999  # of an occupancy, which has three digits
DUMP = "ncforce_lammps_dump"  # among the words of a frame: it comes from one
_IPI_TITLE = re.compile(r"(\w+)\{(\w*)\}")
_STEP = re.compile(r"\bStep:\s*(\d+)")


@dataclass(frozen=True)
class Image:
    """One structure of a file.

    Attributes
    ----------
    name : file and place in it
    atoms : ASE's; with masses, momenta and constraints where the file has them
    step : that the file states; None where it states none
    """

    name: str
    atoms: Atoms
    step: int | None


def file_and_index(source: str) -> tuple[Path, str]:
    """The file of ``FILE`` or ``FILE@INDEX``, and the index, empty where there is none."""
    path = Path(source).expanduser()
    name, at, index = source.rpartition("@")
    if not at or path.is_file():
        return path, ""
    return Path(name).expanduser(), index


def read_images(source: str, default: str = ":") -> list[Image]:
    """Structures of a file.

    Parameters
    ----------
    source : ``FILE``, ``FILE@INDEX`` (ASE's: ``@0``, ``@-1``, ``@::10``); may be compressed.  Of
        a trajectory of i-PI frames count that a resumed run didn't write again
    default : index of a file without one

    Raises
    ------
    InputError
        No such file, not a format that can be read, no such frame, or something in it that makes no
        structure.
    """
    path, given = file_and_index(source)
    index = given or default
    if not path.is_file():
        raise InputError(f"structure {source!r} is not a file; give FILE or FILE@INDEX")
    plain = readable(path)
    try:
        found = _of_ipi(plain, index) if _is_ipi(plain) else _of_ase(plain, index)
    except InputError:
        raise
    except Exception as err:  # ASE's readers raise anything
        raise InputError(f"structure {source} can't be read by ASE: {_why(err)}") from err
    if not found:
        raise InputError(f"structure {source} has no frame; expected one")
    places = _places(index)
    return [
        Image(f"{path.name}@{next(places)}", _checked(atoms, plain), step) for atoms, step in found
    ]


def _why(err: Exception) -> str:
    if isinstance(err, KeyError) and err.args and err.args[0] in ISOTOPES_U:
        mass = ISOTOPES_U[err.args[0]]
        return f"it has no element {err.args[0]}; write H, and {mass:.3f} in a column masses:R:1"
    return " ".join(str(err).split()) or type(err).__name__


def _places(index: str) -> Iterator[int]:
    """Places in the file of what ``index`` takes; from 0 where they count from its end."""
    from ase.io.formats import string2index

    found = string2index(index)
    if not isinstance(found, slice):
        return itertools.count(int(found))
    start, step = found.start or 0, found.step or 1
    return itertools.count(start, step) if start >= 0 and step > 0 else itertools.count()


def _is_ipi(path: Path) -> bool:
    """Whether it is i-PI's own xyz, whose units ASE doesn't know."""
    if path.suffix != ".xyz":
        return False
    with path.open(encoding="utf-8", errors="replace") as file:
        comment = [file.readline(1 << 16) for _ in range(2)][1]
    return "Properties=" not in comment and title_of(comment, NAMES) is not None


def _of_ipi(path: Path, index: str) -> list[tuple[Atoms, int | None]]:
    from ase.io.formats import string2index

    trajectory = open_trajectory(path, "positions")
    wanted: Any = string2index(index)
    places = np.arange(len(trajectory.steps))[wanted]
    return [_ipi_frame(trajectory, int(place)) for place in np.atleast_1d(places)]


def _ipi_frame(trajectory: Trajectory, place: int) -> tuple[Atoms, int | None]:
    from ase import Atoms

    step = int(trajectory.steps[place])
    frame = next(iter(trajectory.between(step, step).blocks(1)))
    names = trajectory.species.tolist()
    symbols = ["H" if name in ISOTOPES_U else name for name in names]
    unknown = sorted(set(symbols) - NUMBERS.keys())
    if unknown:
        raise InputError(
            f"{trajectory.path} has atoms called {', '.join(unknown)}; expected chemical symbols"
        )
    atoms = Atoms(symbols, frame.values[0], cell=frame.cells[0], pbc=frame.cells[0].any())
    if set(names) & ISOTOPES_U.keys():
        masses = atoms.get_masses()
        atoms.set_masses([ISOTOPES_U.get(n, m) for n, m in zip(names, masses, strict=True)])
    return atoms, step if trajectory.numbered else None


def _of_ase(path: Path, index: str) -> list[tuple[Atoms, int | None]]:
    images = _images(path, index)
    images = images if isinstance(images, list) else [images]
    if _is_dump(path):
        for atoms in images:
            atoms.info[DUMP] = True
    return [(_positions_of(atoms, path), _step_of(atoms)) for atoms in images]


def _images(path: Path, index: str) -> Any:
    from ase.io import read

    if path.suffix == ".pdb":
        _check_unit(path)
    guess = None if path.suffix else _guess(path)
    if guess or path.suffix in (".xyz", ".extxyz"):
        _check_counts(path)
        left = frames_left(path)
        with path.open(encoding="utf-8") as file:
            if left is not None or has_gap(file):
                file.seek(0)
                lines = without_gaps(file) if left is None else lines_of(file, left)
                return read(io.StringIO("".join(lines)), index, format="extxyz")
    return read(path, index, format=guess)


def _check_counts(path: Path) -> None:
    """Refuse a frame that promises more atoms than the file can hold: ASE would look for them."""
    size = path.stat().st_size
    with path.open("rb") as file:
        while line := file.readline():
            if not line.strip():
                continue
            if not line.strip().isdigit():
                return  # ASE says what is wrong with it
            digits = line.strip().lstrip(b"0") or b"0"
            if len(digits) > MAX_DIGITS or LEAST_BYTES * int(digits) > size - file.tell():
                raise InputError(
                    f"{path.name} promises {digits[:20].decode()} atoms, more than are in it; "
                    "is it cut?"
                )
            for _ in range(int(digits) + 1):
                file.readline()


def _guess(path: Path) -> str | None:
    """extxyz where a file without an ending begins with a number; else ASE finds out."""
    with path.open("rb") as file:
        return "extxyz" if file.readline(64).strip().isdigit() else None


def _check_unit(path: Path) -> None:
    """Refuse i-PI's own pdb in other units than A, which ASE would take for A."""
    with path.open(encoding="utf-8", errors="replace") as file:
        stated = _IPI_TITLE.findall(file.readline(1 << 16))
    for name, unit in stated:
        if unit not in ("angstrom", "ase"):
            raise InputError(
                f"{path} has {name} in {unit or 'no unit'}; expected positions{{angstrom}} and "
                "cell{angstrom} in a pdb file of i-PI"
            )


def _positions_of(atoms: Atoms, path: Path) -> Atoms:
    """The atoms with the positions that i-PI's ``format='ase'`` may have put elsewhere."""
    if "x_centroid" in atoms.arrays:
        atoms.arrays["positions"] = atoms.arrays.pop("x_centroid").astype(float)
        return atoms
    match = _IPI_TITLE.search(str(atoms.info.get("ipi_comment", "")))
    if match and not atoms.positions.any() and len(atoms) > 1:
        raise InputError(f"{path} holds {match[1]}, no positions; give the file that has them")
    return atoms


def _step_of(atoms: Atoms) -> int | None:
    said = (str(atoms.info.get(key, "")) for key in ("ipi_comment", "from"))  # i-PI's, and ours
    match = next(filter(None, map(_STEP.search, said)), None)
    if match:
        return int(match[1])
    stated = {key.lower(): value for key, value in atoms.info.items()}.get("step")
    whole = isinstance(stated, (int, np.integer)) and not isinstance(stated, bool)
    return int(stated) if whole else None  # type: ignore[arg-type]


def is_lammps(atoms: Atoms) -> bool:
    """Whether they come from a file of LAMMPS, which states no units."""
    return DUMP in atoms.info or (
        "type" in atoms.arrays and ("timestep" in atoms.info or "id" in atoms.arrays)
    )


def _check_elements(atoms: Atoms, path: Path) -> None:
    """Refuse elements that ASE has made up, and sites that may be of several."""
    types = atoms.arrays.get("type", atoms.numbers)  # ASE drops those of dumps in some versions
    numbered = is_lammps(atoms) and "masses" not in atoms.arrays
    if numbered and np.array_equal(types, atoms.numbers) and not _has_elements(path):
        raise InputError(
            f"{path} has types of atoms, no elements (ASE takes type 1 for H, 2 for He, ...); "
            "write the dump with a column element (dump_modify ... element)"
        )
    sites = atoms.info.get("occupancy") or {}
    for site in sites.values() if isinstance(sites, dict) else ():
        if isinstance(site, dict) and (len(site) > 1 or min(site.values(), default=1.0) < FULL):
            names = ", ".join(f"{share:g} {name}" for name, share in sorted(site.items()))
            raise InputError(
                f"{path} has a partly occupied site ({names}); expected one atom on each site: "
                "make an ordered cell first"
            )


def _is_dump(path: Path) -> bool:
    """Whether a file is a dump of LAMMPS."""
    with path.open("rb") as file:
        return file.read(5) == b"ITEM:"


def _has_elements(path: Path) -> bool:
    """Whether the first frame of a dump of LAMMPS has columns that say them."""
    with path.open(encoding="utf-8", errors="replace") as file:
        columns = next((line.split() for line in file if line.startswith("ITEM: ATOMS")), [])
    return not {"element", "mass"}.isdisjoint(columns)


def _checked(atoms: Atoms, path: Path) -> Atoms:
    """With masses from a column ``mass`` too, which ASE leaves aside; all numbers finite."""
    _check_elements(atoms, path)
    numbers = [atoms.positions, atoms.cell.array]
    if "mass" in atoms.arrays:
        given = atoms.arrays.pop("mass").astype(float)
        if atoms.has("masses") and not np.array_equal(atoms.get_masses(), given):
            raise InputError(f"{path} has different numbers in columns mass and masses; drop one")
        atoms.set_masses(given)
    if atoms.has("masses"):
        numbers.append(atoms.get_masses())
    if not all(np.isfinite(array).all() for array in numbers):
        raise InputError(f"{path}: positions, cell or masses are not finite numbers")
    return atoms
