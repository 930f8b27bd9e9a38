"""Reference frames: extended xyz files to pair lists to batches of fixed shape.

Owns reading, neighbour lists and packing.  Knows no network and no loss.  Batches always have the
same number of atoms and pairs (the rest is padding that contributes nothing), because a compiled
training step is compiled for one shape.
"""

from __future__ import annotations

import hashlib
import io
import lzma
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from ase.calculators.calculator import PropertyNotImplementedError
from ase.data import chemical_symbols
from numpy.typing import NDArray
from torch import Tensor

from ncforce_ipi.errors import InputError
from ncforce_ipi.reading.gaps import without_gaps
from ncforce_ipi.training.labels import check_labels, energy, forces, strain_gradient


@dataclass(frozen=True)
class Frame:
    """One labelled structure with its half list of pairs.

    Attributes
    ----------
    types : ``(n_atoms,)``, atomic numbers
    first, second : ``(n_pairs,)``, each pair once
    vectors : ``(n_pairs, 3)``, A, from first to second
    forces : ``(n_atoms, 3)``, eV/A
    energy : eV
    strain_gradient : ``(3, 3)``, eV, dE/dstrain = stress x volume
    kind, temperature : how the frame was made: its label in the data file and K
    """

    types: Tensor
    first: Tensor
    second: Tensor
    vectors: Tensor
    forces: Tensor
    energy: float
    strain_gradient: Tensor
    kind: str
    temperature: float

    def __len__(self) -> int:
        return len(self.types)


class Batch(NamedTuple):
    """Frames as one graph, padded.  ``graph`` maps atoms to frames; padding belongs to the last."""

    types: Tensor  # (n_atoms,)
    first: Tensor  # (n_pairs,)
    second: Tensor  # (n_pairs,)
    vectors: Tensor  # (n_pairs, 3)
    forces: Tensor  # (n_atoms, 3)
    real: Tensor  # (n_atoms, 1), 1 for atoms and 0 for padding
    graph: Tensor  # (n_atoms,)
    energy: Tensor  # (n_graphs + 1,), relative to the shift per atom
    strain_gradient: Tensor  # (n_graphs + 1, 3, 3)
    sizes: Tensor  # (n_graphs + 1,), atoms; 0 for absent frames

    def to(self, device: torch.device) -> Batch:
        """The same on another device; from pinned memory without waiting."""
        return Batch(*(tensor.to(device, non_blocking=True) for tensor in self))


def read_atoms(path: Path) -> Any:
    """List of ``ase.Atoms`` of an ``.xyz`` or ``.xyz.xz`` file, without constraints.

    With them (a column ``move_mask``) ASE gives zero for the forces on held atoms; what was held in
    a run is no property of the potential.  The text is made in memory first: ASE ends at an empty
    line between frames, and reads a compressed stream line by line, sixty times slower.

    Raises
    ------
    InputError
        It can't be read.
    """
    from ase.io import read

    try:
        packed = path.suffix == ".xz"
        text = lzma.decompress(path.read_bytes()).decode() if packed else path.read_text("utf-8")
        lines = without_gaps(io.StringIO(text))
        frames = read(io.StringIO("".join(lines)), ":", format="extxyz")
    except Exception as err:  # ASE's reader raises anything
        raise InputError(f"{path} can't be read: {err}; is it cut?") from err
    for atoms in frames:
        atoms.set_constraint()
    return frames


def read_frames(
    path: Path, cutoff: float, species: Sequence[int], needs_stress: bool = True
) -> list[Frame]:
    """Frames of one data file, with pairs up to ``cutoff`` A.

    Raises
    ------
    InputError
        A frame has no energy, forces or stress (if it is needed), one that isn't finite, or an
        element that isn't one of ``species``.
    """
    frames, structures = [], read_atoms(path)
    for k, atoms in enumerate(structures):
        if strange := sorted(set(atoms.symbols) - {chemical_symbols[z] for z in species}):
            strangers = ", ".join(strange)
            raise InputError(f"{path}, frame {k}: no {strangers} in the recipe's species")
        try:
            frames.append(to_frame(atoms, cutoff, needs_stress))
        except (RuntimeError, PropertyNotImplementedError, ValueError) as err:
            need = "energy, forces and stress" if needs_stress else "energy and forces"
            raise InputError(f"{path}, frame {k}: needs {need} ({err})") from err
    check_labels(structures, str(path), needs_stress)
    return frames


def to_frame(atoms: Any, cutoff: float, needs_stress: bool = True) -> Frame:
    """Pairs and labels of one labelled ``ase.Atoms``; without stress it counts as zero."""
    first, second, vectors = pairs(atoms.positions, atoms.cell.array, atoms.pbc, cutoff)
    return Frame(
        types=torch.tensor(atoms.numbers, dtype=torch.long),
        first=torch.from_numpy(first),
        second=torch.from_numpy(second),
        vectors=torch.tensor(vectors, dtype=torch.float32),
        forces=torch.tensor(forces(atoms), dtype=torch.float32),
        energy=energy(atoms),
        strain_gradient=torch.tensor(
            strain_gradient(atoms) if needs_stress else np.zeros((3, 3)), dtype=torch.float32
        ),
        kind=str(atoms.info.get("kind", "")),
        temperature=float(atoms.info.get("T", np.nan)),
    )


def pairs(
    positions: NDArray, cell: NDArray, pbc: NDArray, cutoff: float
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Each pair within ``cutoff`` once: indices ``(n_pairs,)`` and vectors ``(n_pairs, 3)``, A."""
    from vesin import NeighborList

    neighbours = NeighborList(cutoff=cutoff, full_list=False)
    first, second, vectors = neighbours.compute(
        points=positions, box=cell, periodic=pbc, quantities="ijD"
    )
    return first.astype(np.int64), second.astype(np.int64), vectors


def data_hash(paths: Sequence[Path]) -> str:
    """SHA-256 over the bytes of the data files, in the order given."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def check_species(species: Sequence[int], frames: Sequence[Frame]) -> None:
    """Refuse elements that no frame has: the model would say that it knows them.

    Raises
    ------
    InputError
        There is one.
    """
    present = {int(z) for frame in frames for z in frame.types.unique()}
    if never := sorted(set(species) - present):
        raise InputError(
            f"the recipe's species have {', '.join(chemical_symbols[z] for z in never)}, which no "
            "training frame has: the model would know nothing of it; take it out of species, or "
            "add frames that have it"
        )


def energy_shifts(frames: Sequence[Frame], species: Sequence[int]) -> Tensor:
    """``(n_species,)``, eV per atom, float64: least-squares fit of the energies to compositions.

    With one composition only (water) the fit is singular and least norm applies; what counts is
    that the fitted energies match on average.
    """
    counts = np.array([[int((f.types == z).sum()) for z in species] for f in frames], dtype=float)
    energies = np.array([f.energy for f in frames])
    shifts, *_ = np.linalg.lstsq(counts, energies, rcond=None)
    return torch.tensor(shifts, dtype=torch.float64)


@dataclass(frozen=True)
class Packer:
    """The fixed shape of all batches: up to ``n_graphs`` frames of ``n_atoms`` atoms together."""

    n_graphs: int
    n_atoms: int
    n_pairs: int
    cutoff: float
    shifts: Tensor
    species_index: Tensor

    def pack(self, frames: Sequence[Frame]) -> Batch:
        """One batch; padding pairs have the length of the cutoff and so no weight."""
        offsets = np.cumsum([0, *[len(f) for f in frames]])
        missing_atoms = self.n_atoms - int(offsets[-1])
        missing_pairs = self.n_pairs - sum(len(f.first) for f in frames)
        missing_graphs = self.n_graphs + 1 - len(frames)
        zero = torch.zeros(missing_pairs, dtype=torch.long)
        far = torch.zeros(missing_pairs, 3)
        far[:, 0] = self.cutoff
        types = torch.cat([f.types for f in frames])
        padding = types[:1].expand(missing_atoms)
        relative = [
            f.energy - float(self.shifts[self.species_index[f.types]].sum()) for f in frames
        ]
        graph = [torch.full((len(f),), k) for k, f in enumerate(frames)]
        return Batch(
            types=torch.cat([types, padding]),
            first=torch.cat([f.first + o for f, o in zip(frames, offsets, strict=False)] + [zero]),
            second=torch.cat(
                [f.second + o for f, o in zip(frames, offsets, strict=False)] + [zero]
            ),
            vectors=torch.cat([f.vectors for f in frames] + [far]),
            forces=torch.cat([f.forces for f in frames] + [torch.zeros(missing_atoms, 3)]),
            real=torch.cat([torch.ones(len(types), 1), torch.zeros(missing_atoms, 1)]),
            graph=torch.cat([*graph, torch.full((missing_atoms,), self.n_graphs)]),
            energy=torch.tensor([*relative, *[0.0] * missing_graphs]),
            strain_gradient=torch.stack(
                [f.strain_gradient for f in frames] + [torch.zeros(3, 3)] * missing_graphs
            ),
            sizes=torch.tensor([float(len(f)) for f in frames] + [0.0] * missing_graphs),
        )


class Sampler:
    """Random batches from pools of frames, pools drawn with given weights; seeded.

    A pool is drawn for each batch or, ``mix``, for each frame.
    """

    def __init__(
        self,
        pools: Sequence[tuple[Sequence[Frame], float]],
        packer: Packer,
        seed: int | Sequence[int],
        mix: bool = False,
    ) -> None:
        self.pools = [pool for pool, weight in pools if weight > 0 and len(pool) > 0]
        weights = np.array([weight for pool, weight in pools if weight > 0 and len(pool) > 0])
        self.weights = weights / weights.sum()
        self.packer, self.mix = packer, mix
        self.reseed(seed)

    def reseed(self, seed: int | Sequence[int]) -> None:
        """Begin the sequence of batches of this seed."""
        self.random = np.random.default_rng(seed)

    def draw(self) -> Batch:
        """Frames until no atom budget, pair budget or graph is left."""
        pool = self._pool()
        chosen: list[Frame] = []
        atoms = pairs = failures = 0
        while len(chosen) < self.packer.n_graphs and failures < 8:
            frame = pool[int(self.random.integers(len(pool)))]
            fits = atoms + len(frame) <= self.packer.n_atoms
            if not fits or pairs + len(frame.first) > self.packer.n_pairs:
                failures += 1
                continue
            chosen.append(frame)
            pool = self._pool() if self.mix else pool
            atoms, pairs = atoms + len(frame), pairs + len(frame.first)
            if atoms == self.packer.n_atoms:
                break
        return self.packer.pack(chosen)

    def _pool(self) -> Sequence[Frame]:
        return self.pools[self.random.choice(len(self.pools), p=self.weights)]
