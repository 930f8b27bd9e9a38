"""The same trajectory as text in the dialects that programs and people write; strategies for it.

Numbers are multiples of 1e-4 in the unit of the file, which all formats print exactly.
"""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
from dataclasses import dataclass, replace

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from ncforce_ipi.reading.frameunits import FACTORS

PACK = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}
CELL_A = np.array([[9.0, 0.0, 0.0], [1.25, 8.0, 0.0], [-2.5, 0.5, 7.0]])  # a along x, b in xy
TITLES = {
    "positions": ("positions", "x_centroid"),
    "velocities": ("velocities", "v_centroid"),
    "momenta": ("momenta", "p_centroid"),
    "forces": ("forces", "f_centroid", "forces_component(1)"),
}
COLUMN = {"positions": "pos", "velocities": "velocities", "momenta": "momenta", "forces": "forces"}
FORMATS = ("%16.8f", "%12.4f", "%r", "%.17e", "%14.10e")


@dataclass(frozen=True)
class Written:
    """A trajectory, how it is written, and what must be read.

    Attributes
    ----------
    numbers : ``(n_frames, n_atoms, 3)``, in the file's unit
    heads, rows : comment lines; of each frame, lines of atoms
    """

    quantity: str
    species: list[str]
    numbers: NDArray
    factor: float
    cell_A: NDArray
    pbc: tuple[bool, bool, bool]
    steps: list[int]
    numbered: bool
    heads: list[str]
    rows: list[list[str]]
    fixed_width: bool

    def frames(self) -> list[str]:
        """Text of each frame."""
        n_atoms = len(self.species)
        return [
            f"{n_atoms}\n{head}\n" + "".join(f"{row}\n" for row in rows)
            for head, rows in zip(self.heads, self.rows, strict=True)
        ]


@st.composite
def trajectories(draw, quantities=tuple(FACTORS)) -> Written:
    """Frames in any of the dialects."""
    quantity = draw(st.sampled_from(quantities))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n_frames, n_atoms = draw(st.integers(1, 12)), draw(st.integers(1, 5))
    base = Written(
        quantity=quantity,
        species=rng.choice(["H", "O", "Cl", "N"], n_atoms).tolist(),
        numbers=rng.integers(-(10**6), 10**6, (n_frames, n_atoms, 3)) / 1e4,
        factor=1.0, cell_A=CELL_A, pbc=(True, True, True),
        steps=(np.arange(n_frames) * draw(st.integers(1, 40)) + draw(st.integers(0, 99))).tolist(),
        numbered=True, heads=[], rows=[], fixed_width=False,
    )  # fmt: skip
    dialects = [ipi, ipi_ase, extxyz] + [plain] * (quantity == "positions")
    return draw(draw(st.sampled_from(dialects))(base))


def _rows(base: Written, form: str, label: str = "%-3s") -> list[list[str]]:
    return [
        [
            f"{label % name} {' '.join(form % x for x in atom)}"
            for name, atom in zip(base.species, frame, strict=True)
        ]
        for frame in base.numbers.tolist()
    ]


@st.composite
def ipi(draw, base: Written) -> Written:
    """i-PI's own xyz: words in any order, with and without units."""
    unit = draw(st.sampled_from([None, *(u for u in FACTORS[base.quantity] if u != "ase")]))
    cell_unit = draw(st.sampled_from(["angstrom", "atomic_unit", "nanometer", None]))
    name = draw(st.sampled_from(TITLES[base.quantity]))
    if unit is None:
        name, cell_unit = name.partition("(")[0], None
    own_cell = base.cell_A / FACTORS["positions"][cell_unit or "atomic_unit"]
    words = [
        draw(st.sampled_from(["", "Traj: "])) + name + ("" if unit is None else f"{{{unit}}}"),
        _cell_words(draw, own_cell),
        *([] if cell_unit is None else [f"cell{{{cell_unit}}}"]),
    ]
    order = draw(st.permutations(range(len(words) + 1)))
    blank = draw(st.sampled_from([" ", "  ", "\t"]))
    end, width = draw(st.sampled_from(["", " ", "  "])), draw(st.sampled_from([1, 10]))
    heads = []
    for step in base.steps:
        every = [*words, f"Step: {step:{width}d}{blank}Bead: {0:{width}d}"]
        heads.append("# " + blank.join(every[place] for place in order) + end)
    form = draw(st.sampled_from(FORMATS))
    return replace(
        base, factor=FACTORS[base.quantity][unit or "atomic_unit"], heads=heads,
        rows=_rows(base, form, draw(st.sampled_from(["%8s", "%s"]))),
        fixed_width=form not in ("%r",),
    )  # fmt: skip


def _cell_words(draw, rows: NDArray) -> str:
    left, right = draw(st.sampled_from(["()", "[]", "{}"]))
    kind = draw(st.sampled_from(["abcABC", "H", "GENH"]))
    numbers = rows.T if kind == "H" else rows
    if kind == "abcABC":
        lengths = np.linalg.norm(rows, axis=1)
        pairs = [(1, 2), (0, 2), (0, 1)]
        cosines = [rows[i] @ rows[j] / (lengths[i] * lengths[j]) for i, j in pairs]
        numbers = np.append(lengths, np.degrees(np.arccos(cosines)))
    return f"CELL{left}{kind}{right}: " + " ".join(f"{x:.14f}" for x in numbers.ravel())


@st.composite
def ipi_ase(draw, base: Written) -> Written:
    """i-PI's format='ase': extxyz with a column of its own and its title in quotes."""
    name = draw(st.sampled_from([t for t in TITLES[base.quantity] if "(" not in t]))
    column = "pos" if name == "positions" else name
    zeros = "" if column == "pos" else ":pos:R:3"
    lattice = " ".join(map(repr, base.cell_A.ravel().tolist()))
    heads = [
        f'Lattice="{lattice}" Properties=species:S:1{zeros}:{column}:R:3 ipi_comment="Step: '
        f'{step:10d}  Bead:       0 {name}{{ase}}  cell{{ase}}" pbc="T T T"'
        for step in base.steps
    ]
    hollow = "  0.00000000 0.00000000 0.00000000" if zeros else ""
    rows = _rows(base, "%16.8f", "%-3s" + hollow)
    factor = FACTORS[base.quantity]["ase"]
    return replace(base, factor=factor, heads=heads, rows=rows, fixed_width=True)


@st.composite
def extxyz(draw, base: Written) -> Written:
    """Columns in any order among others, keys in any order, quotes and blanks of every kind."""
    form = draw(st.sampled_from(FORMATS))
    others = draw(st.lists(st.sampled_from(["id:I:1", "tag:L:1", "charge:R:1", "stress:R:9",
                                            "name:S:1"]), unique=True))  # fmt: skip
    by_number = draw(st.booleans())
    columns = draw(st.permutations(
        ["Z:I:1" if by_number else "species:S:1", f"{COLUMN[base.quantity]}:R:3", *others]
    ))  # fmt: skip
    numbers = {"H": 1, "O": 8, "Cl": 17, "N": 7}
    rows = []
    for frame in base.numbers.tolist():
        lines = []
        for k, (name, atom) in enumerate(zip(base.species, frame, strict=True)):
            cells = {
                "Z": f"{numbers[name]:2d}", "species": f"{name:2s}", "id": f"{k + 1:3d}",
                COLUMN[base.quantity]: " ".join(form % x for x in atom), "tag": "FT"[k % 2],
                "charge": f"{-0.25 * k:8.4f}", "stress": " ".join(["1.5"] * 9), "name": f"a{k}",
            }  # fmt: skip
            lines.append("  ".join(cells[column.partition(":")[0]] for column in columns))
        rows.append(lines)
    numbered = draw(st.booleans())
    unit = draw(st.sampled_from([u for u in FACTORS[base.quantity] if "atomic" not in u]))
    stated = base.quantity == "velocities" or draw(st.booleans())
    pbc = draw(st.sampled_from([None, (True, True, False), (False, False, False)]))
    keys = [("Properties", ":".join(columns), False),
            ("Lattice", " ".join(map(repr, base.cell_A.ravel().tolist())), True)]  # fmt: skip
    if pbc is not None:
        keys.append(("pbc", " ".join("FT"[p] for p in pbc), True))
    if stated:
        own = {COLUMN[base.quantity]: unit}
        own |= {"cell": "angstrom"} if base.quantity != "positions" else {}
        keys.append(("units", "_JSON " + json.dumps(own), None))
    keys.append(("energy", "-1.5", False))
    keys = draw(st.permutations(keys))
    written = [_key(draw, *key) for key in keys]
    word = draw(st.sampled_from(["step=", "Step = ", "Timestep=", "md_step="]))
    heads = [
        " ".join([*written[:1], *([f"{word}{step}"] if numbered else []), *written[1:]])
        for step in base.steps
    ]
    unit = unit if stated else "ase"
    scale = FACTORS["positions"][unit] if base.quantity == "positions" else 1.0
    return replace(
        base, factor=FACTORS[base.quantity][unit], cell_A=base.cell_A * scale,
        pbc=pbc or (True, True, True), heads=heads, rows=rows, numbered=numbered,
        steps=base.steps if numbered else list(range(len(base.steps))),
        fixed_width=columns[-1].endswith("R:3") and form != "%r",
    )  # fmt: skip


def _key(draw, key: str, value: str, quoted: bool | None) -> str:
    between = draw(st.sampled_from(["=", " = ", " =", "= "]))
    if quoted is None:  # with quotes inside: as ASE writes it
        return key + between + '"' + value.replace('"', '\\"') + '"'
    quotes = draw(st.sampled_from(['""', "''", "{}", "[]"] + ([] if quoted else [""])))
    return key + between + (quotes and quotes[0]) + value + (quotes and quotes[1])


@st.composite
def plain(draw, base: Written) -> Written:
    """Xyz with a comment of any kind."""
    comment = draw(st.sampled_from(["", "water", "E= -1.5 eV, T 300", "frame"]))
    form = draw(st.sampled_from([*FORMATS, "%d.5"]))
    if form == "%d.5":
        base = replace(base, numbers=np.trunc(base.numbers) + np.copysign(0.5, base.numbers))
    rows = _rows(base, "%r" if form == "%d.5" else form)
    return replace(
        base, cell_A=np.zeros((3, 3)), pbc=(False, False, False), numbered=False, rows=rows,
        heads=[comment] * len(base.steps), steps=list(range(len(base.steps))),
        fixed_width=form in FORMATS and form != "%r",
    )  # fmt: skip
