"""A run directory as i-PI writes it, without a run: atoms that vibrate about their places.

The files are written by i-PI's own writers, so that what is read here is what i-PI writes.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from ipi.engine.atoms import Atoms
from ipi.engine.cell import Cell
from ipi.utils.io import print_file

from ncforce_ipi.analysis.temperature import kinetic_energy
from ncforce_ipi.units import BOHR_A, BOLTZMANN_EV_PER_K, PER_FS_PER_CM, U_A2_PER_FS2_EV

STEP_FS = 4.0
MASSES_U = {"H": 1.008, "O": 15.999}
NAMES = (
    "step",
    "time{picosecond}",
    "conserved{electronvolt}",
    "temperature{kelvin}",
    "kinetic_md{electronvolt}",
)
WAVENUMBERS_PER_CM = {"O": 200.0, "H": 3600.0}
DRIFT_MEV_PER_ATOM_PER_PS = 0.3
START_K = 300.0


def write_run(
    directory: Path,
    *,
    n_outer: int = 1000,
    n_molecules: int = 27,
    heating: float = 0.0,
    by_forces: bool = False,
    seed: int = 1,
) -> None:
    """A run of water-like molecules.

    Parameters
    ----------
    directory : made here
    n_outer : outer steps of 4 fs
    n_molecules : a cube of a whole number
    heating : rate at which the velocities grow, 1/ps; T grows as exp(2 heating t)
    by_forces : whether the heat is work of the forces, which the conserved quantity shows; else
        it is potential energy of the start, and the conserved quantity stays
    seed : of velocities and noise
    """
    directory.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    species = np.array(["O", "H", "H"] * n_molecules)
    masses_u = np.array([MASSES_U[symbol] for symbol in species])
    time_fs = STEP_FS * np.arange(n_outer + 1)
    velocities = _vibrations(rng, species, masses_u, time_fs)
    velocities *= np.exp(1e-3 * heating * time_fs)[:, None, None]
    kinetic_eV = kinetic_energy(velocities, masses_u)
    conserved_eV = 1e-6 * DRIFT_MEV_PER_ATOM_PER_PS * len(species) * time_fs
    conserved_eV += 1e-4 * rng.normal(size=len(time_fs))
    if by_forces:  # oscillators: as much potential as kinetic energy, 3 k_B T an atom
        growth = np.exp(2e-3 * heating * time_fs) - 1.0
        conserved_eV += 3.0 * len(species) * BOLTZMANN_EV_PER_K * START_K * growth
    steps = np.arange(n_outer + 1.0)
    # by i-PI's formula, with what the fixed centre of mass would have at the ensemble's T
    temperature_K = 2.0 * kinetic_eV / BOLTZMANN_EV_PER_K + 3.0 * START_K
    temperature_K /= 3 * len(species)
    rows = np.column_stack([steps, 1e-3 * time_fs, conserved_eV, temperature_K, kinetic_eV])
    write_properties(directory / "simulation.out", rows)
    positions = _molecules(n_molecules)
    with (directory / "simulation.pos_0.extxyz").open("w") as file:
        for step in range(0, n_outer + 1, 5):
            frame = positions + 0.05 * rng.normal(size=positions.shape)
            write_frame(file, species, frame, "ase", "positions", step)
    with (directory / "simulation.vel_0.xyz").open("w") as file:
        for step, frame in enumerate(velocities):
            write_frame(file, species, frame, "xyz", "velocities", step)
    write_record(directory, len(species))
    (directory / "input.xml").write_text("<simulation/>\n")


def write_properties(path: Path, rows: np.ndarray, *, mode: str = "w") -> None:
    """Header lines and rows in i-PI's format."""
    with path.open(mode) as file:
        for number, name in enumerate(NAMES, start=1):
            file.write(f"# column {number:3d}     --> {name} : Help that says what it is.\n")
        for row in rows:
            file.write("  " + "   ".join(f"{value:.17e}" for value in row) + "   \n")


def write_frame(
    file, species: np.ndarray, values: np.ndarray, mode: str, quantity: str, step: int, cell=None
) -> None:
    """One frame by i-PI's own writer: A for positions, A/fs for velocities, i-PI's h for the cell.

    Velocities leave in m/s (xyz) or ASE's unit; i-PI wants them in its own, atomic units.
    """
    atoms = Atoms(len(species))
    atoms.names[:] = species
    factor = 1.0 / BOHR_A if quantity == "positions" else 1e5 * 4.5710289e-7  # m/s as i-PI has it
    atoms.q[:] = values.ravel() * factor
    box = Cell()
    box.h[:] = (np.eye(3) * 9.32 if cell is None else cell.T) / BOHR_A
    units = {"ase": "ase", "xyz": "m/s" if quantity == "velocities" else "angstrom"}[mode]
    print_file(
        mode,
        atoms,
        box,
        file,
        title=f"Step:  {step:10d}  Bead:   {0:5d} ",
        key=quantity,
        dimension={"positions": "length", "velocities": "velocity"}[quantity],
        units=units,
        cell_units="ase" if mode == "ase" else "angstrom",
    )


def write_record(directory: Path, n_atoms: int, **changes) -> None:
    """run.json as ``ncforce run`` writes it, the keys that the analysis reads."""
    record = {
        "version": "0.1.0",
        "state": "finished",
        "plan": {"forces": "mts", "mts": 8, "inner_step_fs": 0.5, "outer_step_fs": STEP_FS},
        "temperature_K": START_K,
        "n_atoms": n_atoms,
        "masses_u": MASSES_U,
        "model": {"name": "water", "sha256": "ab12"},
        "timings": {"ms_per_inner_step": 12.5},
    }
    (directory / "run.json").write_text(json.dumps(record | changes))


def _vibrations(rng, species, masses_u, time_fs) -> np.ndarray:
    """Harmonic velocities at 300 K, (n_frames, n_atoms, 3), A/fs, without net momentum."""
    wavenumbers = np.array([WAVENUMBERS_PER_CM[symbol] for symbol in species])
    wavenumbers = wavenumbers[:, None] * rng.normal(1.0, 0.01, size=(len(species), 3))
    phase = rng.uniform(0.0, 2.0 * np.pi, size=wavenumbers.shape)
    omega_per_fs = 2.0 * np.pi * wavenumbers / PER_FS_PER_CM
    amplitude = np.sqrt(2.0 * BOLTZMANN_EV_PER_K * START_K / (U_A2_PER_FS2_EV * masses_u))
    velocities = amplitude[:, None] * np.cos(omega_per_fs * time_fs[:, None, None] + phase)
    drift = np.einsum("a,fac->fc", masses_u / masses_u.sum(), velocities)
    return velocities - drift[:, None]


def _molecules(n_molecules: int) -> np.ndarray:
    """Molecules with O-H of 0.98 A on a cubic lattice of 3.1067 A, (n_atoms, 3)."""
    edge = round(n_molecules ** (1 / 3))
    points = np.arange(edge) * 9.32 / edge
    centres = np.stack(np.meshgrid(points, points, points), axis=-1).reshape(-1, 1, 3)
    shape = np.array([[0.0, 0.0, 0.0], [0.98, 0.0, 0.0], [-0.245, 0.949, 0.0]])
    return (centres + shape).reshape(-1, 3)


def replace_value(directory: Path, row: int, column: int, word: str) -> None:
    """Put a word in the place of one number of the properties file; both count from 0."""
    path = directory / "simulation.out"
    lines = path.read_text().splitlines(keepends=True)
    line = row + len(NAMES)
    words = lines[line].split()
    words[column] = word
    lines[line] = "  ".join(words) + "\n"
    path.write_text("".join(lines))
