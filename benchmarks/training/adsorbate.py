"""Sites of O on Cu3Al(111) by any driver's model: relaxed energies and geometry, and a start.

    python benchmarks/training/adsorbate.py sevennet --model 7net-0 --json sites.json --best O.xyz
    python benchmarks/training/adsorbate.py metatomic --model cu3al-o --a-A 3.69

The lattice constant of the bulk (L1_2) comes first unless it is given; then the bare slab of
``sample.py`` is relaxed, O is put over each kind of site and all atoms are relaxed (BFGS).  O may
end elsewhere than it began: top and bridge sites are often no minima.  Last, the frequencies of O
in the lowest one, the metal at rest.  Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import json
import sys
from itertools import combinations
from pathlib import Path
from typing import Any

import backends
import numpy as np
from ase import Atoms, units
from ase.build import bulk
from ase.calculators.calculator import Calculator
from ase.io import write
from ase.optimize import BFGS
from sample import Slabs, slab

sys.path.insert(0, str(Path(__file__).parent.parent))
from adsorption import KINDS, Sites, adsorption_sites, layers

GUESS_A = 3.69
N_LAYERS = 3
START_HEIGHT_A = {"top": 1.75, "bridge": 1.35, "hollow": 1.15}
NEIGHBOUR_A = 3.2  # between the first and the second neighbours of the metal
FORCE_EV_PER_A = 0.02
MOVE_A = 0.02


def lattice_constant(model: Calculator) -> float:
    """a of L1_2 Cu3Al, A, at the minimum of a cubic through energies within 1.5 % of the guess."""
    strains = np.linspace(-0.015, 0.015, 9)
    energies = []
    for strain in strains:
        atoms = bulk("Cu", "fcc", a=GUESS_A * (1 + strain), cubic=True)
        atoms.symbols[0] = "Al"
        atoms.calc = model
        energies.append(atoms.get_potential_energy())
    fit = np.polynomial.Polynomial.fit(strains, energies, 3)
    best = min((complex(s).real for s in fit.deriv().roots()), key=abs)
    return GUESS_A * (1 + best)


def bare_slab(a_A: float) -> Atoms:
    """The slab of ``sample.py``, undistorted."""
    plan = Slabs("slab", "Cu", "Al", "O", 1, (a_A, a_A), (0.0, 0.0), layers=N_LAYERS, bare=1.0)
    return slab(plan, np.random.default_rng(0))


def relax(atoms: Atoms, model: Calculator, most_steps: int) -> tuple[float, int]:
    """Energy, eV, and the number of steps."""
    atoms.calc = model
    optimizer = BFGS(atoms, logfile=None)
    optimizer.run(fmax=FORCE_EV_PER_A, steps=most_steps)
    return float(atoms.get_potential_energy()), optimizer.nsteps


def site(atoms: Atoms) -> Sites:
    """Where the last atom sits."""
    parts = layers(atoms.positions[:-1, 2], N_LAYERS)
    return adsorption_sites(
        atoms.positions[None],
        atoms.cell.array,
        atoms.get_chemical_symbols(),
        adsorbate=len(atoms) - 1,
        top=parts[-1],
        second=parts[-2],
    )


def frequencies(atoms: Atoms, model: Calculator) -> list[float]:
    """Harmonic wavenumbers of the last atom in the field of all others at rest, 1/cm."""
    hessian = np.zeros((3, 3))  # eV/A^2
    for axis in range(3):
        for sign in (1, -1):
            moved = atoms.copy()
            moved.positions[-1, axis] += sign * MOVE_A
            moved.calc = model
            hessian[axis] -= sign * moved.get_forces()[-1] / (2 * MOVE_A)
    values = np.linalg.eigvalsh(0.5 * (hessian + hessian.T)) / atoms.get_masses()[-1]
    energies_eV = np.sign(values) * np.sqrt(np.abs(values)) * units._hbar * 1e10
    energies_eV /= np.sqrt(units._e * units._amu)
    return [float(value) for value in energies_eV / units.invcm]


def starts(clean: Atoms) -> dict[str, Atoms]:
    """O over one site of each kind and neighbourhood, by name: "fcc Al Cu Cu" and so on."""
    top = layers(clean.positions[:, 2], N_LAYERS)[-1]
    found: dict[str, Atoms] = {}
    for n in (1, 2, 3):
        for group in combinations(top, n):
            vectors = [clean.get_distance(group[0], k, mic=True, vector=True) for k in group]
            sides = [np.linalg.norm(a - b) for a, b in combinations(vectors, 2)]
            if any(side > NEIGHBOUR_A for side in sides):
                continue
            place = clean.positions[group[0]] + np.mean(vectors, axis=0)
            place[2] = clean.positions[top, 2].mean() + START_HEIGHT_A[KINDS[n]]
            atoms = clean + Atoms("O", [place])
            found.setdefault(next(iter(site(atoms).occupancy())), atoms)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("family")
    parser.add_argument("--a-A", type=float, help="lattice constant; default: the model's own")
    parser.add_argument("--most-steps", type=int, default=60)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--best", type=Path, metavar="FILE", help="the structure of least energy")
    args = backends.parse(parser)
    name = args.model
    model = backends.ConservativeCalculator(backends.load(args))
    a_A = args.a_A or lattice_constant(model)
    clean = bare_slab(a_A)
    relax(clean, model, args.most_steps)
    rows: list[dict[str, Any]] = []
    structures: list[Atoms] = []
    for begin, atoms in starts(clean).items():
        energy, steps = relax(atoms, model, args.most_steps)
        end = site(atoms)
        rows.append(
            {
                "start": begin,
                "end": next(iter(end.occupancy())),
                "energy_eV": energy,
                "height_A": float(end.height_A[0]),
                "bond_A": float(end.bond_A[0]),
                "steps": steps,
            }
        )
        structures.append(atoms)
        print(f"{begin}: {rows[-1]}", flush=True)
    lowest = int(np.argmin([row["energy_eV"] for row in rows]))
    print(f"\na = {a_A:.4f} A\n\n| start | end | E, meV | height, A | O-metal, A |")
    print("|---|---|---|---|---|")
    for row in rows:
        relative = 1e3 * (row["energy_eV"] - rows[lowest]["energy_eV"])
        print(
            f"| {row['start']} | {row['end']} | {relative:.0f} | {row['height_A']:.3f} "
            f"| {row['bond_A']:.3f} |"
        )
    modes = frequencies(structures[lowest], model)
    print(f"\nO at {rows[lowest]['end']}: {', '.join(f'{mode:.0f}' for mode in modes)} cm^-1")
    if args.json:
        record = {"model": name, "family": args.family, "a_A": a_A, "sites": rows}
        record["frequencies_of_O_in_the_lowest_site_per_cm"] = modes
        args.json.write_text(json.dumps(record, indent=2) + "\n")
    if args.best:
        structures[lowest].calc = None
        write(args.best, structures[lowest], format="extxyz", columns=["symbols", "positions"])


if __name__ == "__main__":
    main()
