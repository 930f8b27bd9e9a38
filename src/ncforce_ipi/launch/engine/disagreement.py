"""Slow - fast at every outer point, written from within i-PI's process: no model is called for it.

Where an outer step ends, both forces are known at the same positions, because the integrator has
just used them, and i-PI keeps them until the atoms move.  So this is an output like i-PI's own: a
row of numbers each outer step, and the structures where the two disagree more than they should,
with both forces as labels.  It reads i-PI's state and changes nothing of it.

Owns the two files.  What is said to people, and when a run stops for it, is `agreement`'s.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import numpy as np
from numpy.typing import NDArray

from ncforce_ipi.durable import staged
from ncforce_ipi.rundir import DISAGREEING_FILE, DISAGREEMENT_FILE
from ncforce_ipi.units import BOHR_A, HARTREE_EV, HARTREE_PER_BOHR_EV_PER_A

if TYPE_CHECKING:
    from ipi.engine.simulation import Simulation

MAX_FRAMES = 200
MAX_BYTES = 1 << 26  # of all frames
BYTES_PER_ATOM = 160
INTERVAL_PS = 0.02  # as far as positions are apart; nearer frames are much the same
TIME = re.compile(r"\btime_ps=(\S+)")
BOTH = 2  # components of a run with multiple time steps: slow, fast

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Snapshot:
    """Both forces of one system where an outer step ended.

    Attributes
    ----------
    symbols : ``(n_atoms,)``
    positions : ``(n_beads, n_atoms, 3)``, A
    cell : ``(3, 3)``, lattice vectors as rows, A
    slow, fast : ``(n_beads, n_atoms, 3)``, eV/A
    energies : ``(n_beads,)``, of the slow forces, eV; 0 where their driver sends none
    """

    symbols: NDArray[np.str_]
    positions: Array
    cell: Array
    slow: Array
    fast: Array
    energies: Array

    @property
    def squares(self) -> Array:
        """|slow - fast|^2 of each atom, ``(n_beads, n_atoms)``, eV^2/A^2."""
        difference = self.slow - self.fast
        return np.einsum("bak,bak->ba", difference, difference)


def snapshots(simulation: Simulation) -> list[Snapshot]:
    """Of each system that has both forces."""
    return [_snapshot(one) for one in simulation.syslist if len(one.forces.mforces) == BOTH]


def _snapshot(system: object) -> Snapshot:
    beads, cell, forces = system.beads, system.cell, system.forces  # type: ignore[attr-defined]
    shape = (beads.nbeads, beads.natoms, 3)

    def of(index: int) -> Array:
        raw = forces.forces_component(index, weighted=False, interpolate=False)
        return np.asarray(raw, np.float64).reshape(shape) * HARTREE_PER_BOHR_EV_PER_A

    energies = forces.pots_component(0, weighted=False, interpolate=False)
    return Snapshot(
        np.array(beads.names, np.str_),
        np.array(beads.q, np.float64).reshape(shape) * BOHR_A,
        np.array(cell.h, np.float64).T * BOHR_A,  # i-PI's lattice vectors are columns
        of(0),
        of(1),
        np.array(energies, np.float64) * HARTREE_EV,
    )


def _time_ps(simulation: Simulation) -> float:
    """In i-PI's own unit, so that it is the time of its other files."""
    from ipi.utils.units import unit_to_user

    return float(unit_to_user("time", "picosecond", float(simulation.syslist[0].ensemble.time)))


class Output:
    """An output of i-PI, which calls ``write`` at its start and after each outer step.

    Parameters
    ----------
    simulation : i-PI's, ready to run
    directory : of the run
    keep_above : frames with a larger root mean square of slow - fast are kept, eV/A; None: none
    """

    def __init__(
        self, simulation: Simulation, directory: Path, keep_above: float | None = None
    ) -> None:
        self._simulation = simulation
        self._keep_above = keep_above
        self._frames = Frames(directory / DISAGREEING_FILE)
        names = {str(name) for one in simulation.syslist for name in one.beads.names}
        self._species = sorted(names)
        path = directory / DISAGREEMENT_FILE
        self._file: TextIO = path.open("a", encoding="utf-8", buffering=1)  # by lines
        if self._file.tell() == 0:
            self._file.write(header(self._species))

    def active(self) -> bool:
        """Whether it writes at this step, as i-PI asks its outputs."""
        return True

    def write(self) -> None:
        """One row, and a frame where it is worth one."""
        found = snapshots(self._simulation)
        if not found:
            return
        step = self._simulation.step + 1
        time_ps = _time_ps(self._simulation)
        values = row(found, self._species)
        text = "  ".join(f"{value:.8e}" for value in (step, time_ps, *values))
        self._file.write(f"  {text}\n")
        if self._keep_above is not None and values[0] > self._keep_above:
            self._frames.offer(found, step, time_ps)


def header(species: Sequence[str]) -> str:
    """What each column is, as i-PI says it."""
    columns = (
        ("step", "outer steps that are done"),
        ("time{picosecond}", "since the start of the run"),
        ("slow_minus_fast_rms{ev/ang}", "root mean square over atoms, beads and directions"),
        ("slow_minus_fast_max{ev/ang}", "length of the largest difference of an atom"),
        *(
            (f"slow_minus_fast_rms({symbol}){{ev/ang}}", f"the same of the atoms {symbol}")
            for symbol in species
        ),
    )
    return "".join(
        f"# column {number:3d} --> {name} : {what}\n"
        for number, (name, what) in enumerate(columns, start=1)
    )


def row(found: Sequence[Snapshot], species: Sequence[str]) -> list[float]:
    """Root mean square, largest difference of an atom, and root mean square of each species."""
    squares = np.concatenate([one.squares.ravel() for one in found])
    symbols = np.concatenate([np.tile(one.symbols, len(one.squares)) for one in found])
    by_species = (_rms(squares[symbols == symbol]) for symbol in species)
    return [_rms(squares), float(np.sqrt(squares.max())), *by_species]


def _rms(squares: Array) -> float:
    """Over atoms and the three directions."""
    return float(np.sqrt(squares.mean() / 3.0))


def most_frames(n_atoms: int) -> int:
    """How many are kept of so many atoms."""
    return max(2, min(MAX_FRAMES, MAX_BYTES // (BYTES_PER_ATOM * n_atoms)))


class Frames:
    """Structures with both forces, in a file whose number of frames and size are bounded.

    They are at least ``INTERVAL_PS`` apart.  When there are too many, every second one goes and
    the others are to be twice as far apart: what is left is spread over all that happened.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._interval_ps = INTERVAL_PS
        there = list(_split(path.read_text("utf-8"))) if path.exists() else []
        self._n = len(there)
        self._next_ps = self._after(float(TIME.findall(there[-1])[0])) if there else -np.inf

    def offer(self, found: Sequence[Snapshot], step: int, time_ps: float) -> None:
        """Keep the structure that disagrees most, unless the last one was just before."""
        if time_ps < self._next_ps:
            return
        beads = [(float(v), k, one) for one in found for k, v in enumerate(one.squares.mean(1))]
        _, bead, snapshot = max(beads, key=lambda each: each[0])
        if self._n >= most_frames(len(snapshot.symbols)):
            self._thin()
        with self._path.open("a", encoding="utf-8") as file:
            file.write(frame(snapshot, bead, step, time_ps))
        self._n += 1
        self._next_ps = self._after(time_ps)

    def _after(self, time_ps: float) -> float:
        """When the next one is due; a time has nine digits."""
        return time_ps + (1.0 - 1e-6) * self._interval_ps

    def _thin(self) -> None:
        kept = list(_split(self._path.read_text("utf-8")))[::2]
        staged(self._path, "".join(kept)).replace(self._path)
        self._n = len(kept)
        self._interval_ps *= 2.0


def _split(text: str) -> Iterator[str]:
    """Each whole frame of an xyz file."""
    lines = text.splitlines(keepends=True)
    while lines:
        n_lines = int(lines[0]) + 2
        if len(lines) < n_lines:
            return
        yield "".join(lines[:n_lines])
        lines = lines[n_lines:]


def frame(snapshot: Snapshot, bead: int, step: int, time_ps: float) -> str:
    """One bead as extxyz: ``forces`` are the slow ones, ``fast_forces`` beside them."""
    slow, fast = snapshot.slow[bead], snapshot.fast[bead]
    lattice = " ".join(f"{value:.17g}" for value in snapshot.cell.ravel())
    energy = float(snapshot.energies[bead])
    words = [
        f'Lattice="{lattice}"',
        "Properties=species:S:1:pos:R:3:forces:R:3:fast_forces:R:3",
        f"energy={energy:.12g}" if energy else "",  # a driver without one sends 0
        f"slow_minus_fast_rms_eV_per_A={_rms(snapshot.squares[bead]):.6g}",
        f"time_ps={time_ps:.9g}",
        f'from="Step: {step} Bead: {bead}"',
        'pbc="T T T"',
    ]
    lines = [str(len(slow)), " ".join(filter(None, words))]
    rows = zip(snapshot.symbols, np.hstack([snapshot.positions[bead], slow, fast]), strict=True)
    lines += [f"{symbol:2s} " + " ".join(f"{value:.10f}" for value in r) for symbol, r in rows]
    return "\n".join(lines) + "\n"
