"""Trajectories of i-PI (``xyz``, ``ase``), ASE (extxyz) and others (xyz), streamed in blocks.

Owns what a trajectory is to the rest of the package.  Its memory is the index of the file, 32 bytes
a frame, and one block of frames.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ncforce_ipi.errors import InputError
from ncforce_ipi.reading.compressed import readable
from ncforce_ipi.reading.frameheader import Header, first_header, names_in
from ncforce_ipi.reading.frameindex import Index, index_frames
from ncforce_ipi.reading.framereader import Headers, Reader
from ncforce_ipi.reading.framesearch import head_at, next_line
from ncforce_ipi.reading.framesteps import frames_that_count
from ncforce_ipi.reading.once import warn
from ncforce_ipi.species import SYMBOLS

MOST_NAMED = 5  # cut frames
TIMES_FS = {"fs": 1.0, "ps": 1e3, "femtosecond": 1.0, "picosecond": 1e3}


@dataclass(frozen=True)
class Frames:
    """Consecutive frames of a trajectory.

    Attributes
    ----------
    steps : ``(n_frames,)``, step numbers of the file (i-PI: outer steps), or frame numbers from 0
    values : ``(n_frames, n_atoms, 3)``, A for positions, A/fs for velocities, u A/fs for momenta,
        eV/A for forces
    cells : ``(n_frames, 3, 3)``, A, one lattice vector a row; zeros without a cell
    """

    steps: NDArray[np.int64]
    values: NDArray[np.float64]
    cells: NDArray[np.float64]


@dataclass(frozen=True)
class Trajectory:
    """A trajectory file and where its valid frames lie; holds 32 bytes a frame, not the frames.

    Attributes
    ----------
    path : the file
    data : the same, or where it was unpacked
    quantity : ``positions``, ``velocities``, ``momenta`` or ``forces``
    unit : of velocities where the file states none
    species : ``(n_atoms,)``, element symbols
    labels : ``(n_atoms, n_labels)``, words that say which atom it is, as in the file
    pbc : whether the system is periodic along each lattice vector
    numbered : whether the steps are the file's own; else they count frames from 0
    step_fs : time of a step, fs, by the file's own words; None where it doesn't say
    steps : ``(n_frames,)``, strictly rising
    spans : ``(n_frames, 3)``, first byte, bytes before the atoms, and bytes in all
    """

    path: Path
    data: Path
    quantity: str
    unit: str | None
    species: NDArray[np.str_]
    labels: NDArray[np.bytes_]
    pbc: tuple[bool, bool, bool]
    numbered: bool
    step_fs: float | None
    steps: NDArray[np.int64]
    spans: NDArray[np.int64]

    def between(self, from_step: int, to_step: int | None = None) -> Trajectory:
        """The same file with the frames from ``from_step`` to ``to_step`` only, both included."""
        chosen = self.steps >= from_step
        if to_step is not None:
            chosen &= self.steps <= to_step
        return replace(self, steps=self.steps[chosen], spans=self.spans[chosen])

    def blocks(self, n_frames: int, *, from_step: int = 0) -> Iterator[Frames]:
        """Frames from ``from_step`` on, ``n_frames`` at a time; the last block may be shorter.

        Raises
        ------
        InputError
            A frame that can't be read, or a value that isn't finite (with step, frame and atom).
        """
        first = int(np.searchsorted(self.steps, from_step))
        with self.data.open("rb") as file:
            reader = Reader(
                self.path, file, self._headers(), self.labels, self.pbc, self.steps, self.spans
            )
            for start in range(first, len(self.steps), n_frames):
                steps = self.steps[start : start + n_frames]
                values = np.empty((len(steps), len(self.species), 3))
                cells = np.empty((len(steps), 3, 3))
                reader.read(start, start + len(steps), values, cells)
                self._require_finite(start, values)
                yield Frames(steps, values, cells)

    def cells(self, from_step: int = 0) -> Iterator[NDArray[np.float64]]:
        """Cells ``(3, 3)``, A, that frames have, from their comment lines; not twice in a row."""
        header = self._headers()
        last = None
        with self.data.open("rb") as file:
            for offset, head, _ in self.spans[self.steps >= from_step]:
                cell = header(os.pread(file.fileno(), int(head), int(offset))).cell
                if cell is not last:  # a line as before has the same array
                    yield cell
                last = cell

    def stride(self, from_step: int = 0) -> int:
        """Steps between frames from ``from_step`` on.

        Raises
        ------
        InputError
            Fewer than two frames there, or uneven steps.
        """
        steps = self.steps[self.steps >= from_step]
        gaps = np.unique(np.diff(steps))
        if len(gaps) != 1:
            found = "fewer than two frames" if len(gaps) == 0 else f"gaps of {gaps[:4]} steps"
            raise InputError(f"{self.path}: {found}; expected frames at one constant stride")
        return int(gaps[0])

    def _headers(self) -> Headers:
        return Headers(self.path, self.quantity, self.unit)

    def _require_finite(self, start: int, values: NDArray[np.float64]) -> None:
        if np.isfinite(values.sum()):  # a nan or an infinity among them would be in the sum
            return
        bad = np.argwhere(~np.isfinite(values))
        if len(bad):
            frame, atom, _ = bad[0]
            raise InputError(
                f"{self.path}: {values[tuple(bad[0])]} at step {self.steps[start + frame]}, "
                f"atom {atom} (frame {start + frame}, both from 0); expected finite "
                f"{self.quantity}: the run has blown up there"
            )


def open_trajectory(
    path: Path, quantity: str | None = None, *, unit: str | None = None
) -> Trajectory:
    """Index a trajectory; cut frames are left out with a warning.

    Of frames that a resumed run repeats the later ones count.

    Parameters
    ----------
    path : i-PI's ``xyz`` or ``ase``, ASE's extxyz, or xyz
    quantity : positions, velocities, momenta or forces; None for what the file holds
    unit : of velocities where the file states none

    Raises
    ------
    InputError
        No file, no frame, not the quantity, or frames with different numbers of atoms.
    """
    if not path.is_file():
        raise InputError(f"{path} is missing; expected a trajectory")
    data = readable(path)
    with data.open("rb") as file:
        header, time_unit = first_header(path, file, quantity, unit)
        index = index_frames(path, file)
        _say_cuts(path, index)
        if not len(index.steps):
            raise InputError(f"{path} holds no complete frame")
        found = frames_that_count(path, file, index)
        offset, n_head, n_bytes = (int(number) for number in found.spans[0])
        body = os.pread(file.fileno(), n_bytes - n_head, offset + n_head)
    if header.assumed:
        warn(path, f"no unit of {header.assumed} is given: read in atomic units, as i-PI does")
    labels = _labels(path, body, header)
    of_a_count = TIMES_FS.get(found.time_unit or time_unit)
    step_fs = found.time_per_step and of_a_count and found.time_per_step * of_a_count
    return Trajectory(
        path=path,
        data=data,
        quantity=header.quantity,
        unit=unit,
        species=_species(path, labels[:, 0], by_number=header.by_number),
        labels=labels,
        pbc=header.pbc,
        numbered=found.numbered,
        step_fs=step_fs,
        steps=found.steps,
        spans=found.spans,
    )


def names_of(path: Path) -> frozenset[str]:
    """What the first comment line says that the file holds, in i-PI's words and extxyz's.

    Nothing where it can't be read.
    """
    try:
        with readable(path).open("rb") as file:
            return names_in(head_at(path, file.fileno(), next_line(file.fileno(), 0)))
    except InputError:
        return frozenset()


def _say_cuts(path: Path, index: Index) -> None:
    if len(index.cuts):
        where = ", ".join(str(byte) for byte in index.cuts[:MOST_NAMED])
        more = ", ..." if len(index.cuts) > MOST_NAMED else ""
        warn(
            path,
            f"{len(index.cuts)} cut frame(s) left out, at byte {where}{more}; the other "
            f"{len(index.steps)} are read",
        )


def _labels(path: Path, body: bytes, header: Header) -> NDArray[np.bytes_]:
    """``(n_atoms, n_labels)``, words of the first frame that say which atom it is."""
    n_words = max(header.labels) + 1
    rows = [line.split(None, n_words) for line in body.rstrip(b"\n").split(b"\n")]
    for atom, words in enumerate(rows):
        if len(words) <= max(header.labels):
            raise InputError(
                f"{path}: {b' '.join(words)[:60]!r} is atom {atom} of the first frame; expected a "
                f"line with a species in column {header.labels[0] + 1}"
            )
    return np.array([[words[column] for column in header.labels] for words in rows])


def _species(path: Path, labels: NDArray[np.bytes_], *, by_number: bool) -> NDArray[np.str_]:
    """``(n_atoms,)``, symbols as the file has them, or of atomic numbers."""
    try:
        words = [label.decode() for label in labels]
        return np.array([SYMBOLS[int(word)] for word in words] if by_number else words)
    except (UnicodeDecodeError, ValueError, IndexError) as err:
        what = "an atomic number" if by_number else "a symbol"
        raise InputError(f"{path}: a species that is not {what}: {err}") from err
