"""Metadata of a run: what lies beside its output files and says what they don't.

Owns where the time of a step, the masses, the temperature of the ensemble and the number of beads
are found: ``run.json`` of our launcher, and i-PI's checkpoints (``RESTART``).  Atomic units of a
checkpoint end here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from ncforce_ipi import units
from ncforce_ipi.errors import InputError
from ncforce_ipi.rundir import Record, find_record

_U_PER_ATOMIC_MASS = units.ELECTRON_MASS_KG / units.ATOMIC_MASS_KG
CHECKPOINTS = ("RESTART", "*checkpoint*", "*restart*")


@dataclass(frozen=True)
class RunMetadata:
    """Facts of a run, None where nothing says them.

    Attributes
    ----------
    step_fs : time of one of i-PI's steps (outer steps), fs
    masses_u : of each species, u
    counts : atoms of each species
    n_atoms : number of atoms
    temperature_K : of the ensemble, K
    isolated : whether nothing keeps that temperature: NVE
    n_beads : of the path integral, 1 for a classical run
    fixed_com : whether the centre of mass is held at rest
    model_sha256 : of the model, as run.json states it
    record : all of run.json; empty for a run of another launcher
    """

    step_fs: float | None = None
    masses_u: dict[str, float] | None = None
    counts: dict[str, int] | None = None
    n_atoms: int | None = None
    temperature_K: float | None = None
    isolated: bool = False
    n_beads: int = 1
    fixed_com: bool = True
    model_sha256: str = ""
    record: Mapping[str, Any] = field(default_factory=dict)

    @property
    def forces(self) -> str:
        """slow, fast or mts; empty where nothing says it."""
        return str((self.record.get("plan") or {}).get("forces", ""))

    @property
    def mts(self) -> int:
        """M; 1 for a single force, 0 where nothing says it."""
        return int((self.record.get("plan") or {}).get("mts", 0))


def read_metadata(path: Path) -> RunMetadata:
    """What the directory of ``path`` (or the directory ``path``) says of the run.

    Raises
    ------
    InputError
        A file there that should say something can't be read.
    """
    directory = path if path.is_dir() else path.parent
    found = RunMetadata()
    checkpoint = _first(directory, CHECKPOINTS)
    if checkpoint is not None:
        found = _of_checkpoint(checkpoint)
    record = find_record(directory)
    return found if record is None else _of_record(directory, record, found)


def _first(directory: Path, patterns: Iterable[str]) -> Path | None:
    for pattern in patterns:
        for path in sorted(directory.glob(pattern)):
            if path.is_file():
                return path
    return None


def _of_record(directory: Path, record: Record, known: RunMetadata) -> RunMetadata:
    """run.json over what is known."""
    try:
        return replace(
            known,
            masses_u={name: float(mass) for name, mass in record["masses_u"].items()},
            n_atoms=int(record["n_atoms"]),
            temperature_K=float(record["temperature_K"]),
            isolated=(record.get("ensemble") or {}).get("name") == "nve",
            n_beads=int((record.get("ensemble") or {}).get("beads", 1)),
            step_fs=float(record["plan"]["outer_step_fs"]),
            model_sha256=str((record.get("model") or {}).get("sha256") or ""),
            record=record,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as err:
        raise InputError(
            f"run.json of {directory}: {type(err).__name__} {err}; expected n_atoms, masses_u, "
            "temperature_K and plan as 'ncforce run' writes them"
        ) from err


def _of_checkpoint(path: Path) -> RunMetadata:
    """The first system of an i-PI checkpoint."""
    try:
        text = path.read_text(encoding="utf-8")
        # i-PI's comment before that names its directory, in which a -- breaks the XML
        root = ElementTree.fromstring(text[max(0, text.find("<simulation")) :])
        system = root.find(".//system")
        if system is None:
            return RunMetadata()
        names = _words(system, "beads/names")
        masses = [float(word) * _U_PER_ATOMIC_MASS for word in _words(system, "beads/m")]
        beads = system.find("beads")
        n_beads = int(beads.get("nbeads", 1)) if beads is not None else 1
        dynamics = system.find(".//dynamics")
        step = system.findtext(".//dynamics/timestep")
        if step is None and dynamics is not None:
            step = "1.0"  # its default, which i-PI leaves out
        kelvin = system.findtext("ensemble/temperature")
        fixed = system.findtext("motion/fixcom") or "True"
    except (ElementTree.ParseError, ValueError, OSError) as err:
        raise InputError(
            f"{path}: {err}; expected one of i-PI's checkpoints: move it away"
        ) from err
    pairs = dict(zip(names, masses, strict=False))
    return RunMetadata(
        step_fs=float(step) * units.ATOMIC_TIME_FS if step else None,
        masses_u=_one_for_each(names, masses, pairs),
        counts={name: names.count(name) for name in pairs} or None,
        n_atoms=len(names) or None,
        temperature_K=_kelvin(kelvin),
        isolated=dynamics is not None and dynamics.get("mode", "nve") == "nve",
        n_beads=n_beads,
        fixed_com=fixed.strip() == "True",
    )


def _kelvin(text: str | None) -> float | None:
    """i-PI writes -1 where the ensemble has no temperature."""
    value = float(text) if text else -1.0
    return value * units.HARTREE_EV / units.BOLTZMANN_EV_PER_K if value > 0.0 else None


def _one_for_each(
    names: list[str], masses: list[float], pairs: dict[str, float]
) -> dict[str, float] | None:
    """Masses by species; None if atoms of a species differ: isotopes need names of their own."""
    alike = all(pairs[name] == mass for name, mass in zip(names, masses, strict=False))
    return pairs if pairs and alike else None


def _words(system: ElementTree.Element, tag: str) -> list[str]:
    text = system.findtext(tag) or ""
    return text.replace("[", " ").replace("]", " ").replace(",", " ").split()
