"""Lattice constants, cohesion and bulk moduli of crystals at 0 K, by any driver's model.

    python benchmarks/training/solids.py metatomic --model carbon
    python benchmarks/training/solids.py sevennet --model 7net-0

Energies at 17 lattice constants within 2 % of the guess; a and B from the minimum of a polynomial
of degree four in a.  B = V d2E/dV2 (crystals); of graphene, the stiffness of the sheet against
equal strain along both axes, A d2E/dA2, in N/m.  Prints a Markdown table.
"""

from __future__ import annotations

import argparse

import backends
import numpy as np
from ase import Atoms
from ase.build import bulk, graphene
from ase.units import GPa

from ncforce_ipi.backend import Backend

GUESSES_A = {"graphene": 2.468, "diamond": 3.571, "Al": 4.038}
SYMBOLS = {"graphene": "C", "diamond": "C", "Al": "Al"}
NEWTON_PER_METRE = GPa * 10.0  # 1 N/m = 1 GPa nm, in eV/A^2


def crystal(name: str, a_A: float) -> Atoms:
    """A supercell that suits any cutoff."""
    if name == "graphene":
        atoms = graphene("C2", a=a_A, vacuum=7.5) * (4, 4, 1)
        atoms.pbc = True
        return atoms
    if name == "diamond":
        return bulk("C", "diamond", a=a_A, cubic=True) * (2, 2, 2)
    return bulk(name, "fcc", a=a_A, cubic=True) * (3, 3, 3)


def energy(backend: Backend, atoms: Atoms) -> float:
    """eV per atom."""
    found = backend.evaluate(backends.structure(atoms), backends.CONSERVATIVE)
    return found["conservative"].energy / len(atoms)


def equation_of_state(backend: Backend, name: str) -> tuple[float, float, float]:
    """Lattice constant (A), energy (eV/atom) and modulus (GPa; N/m for a sheet) at the minimum."""
    guess = GUESSES_A[name]
    x = np.linspace(-0.02, 0.02, 17)
    energies = np.array([energy(backend, crystal(name, guess * (1 + s))) for s in x])
    fit = np.polynomial.Polynomial.fit(x, energies, 4)
    roots = [complex(s) for s in fit.deriv().roots()]
    stationary = [s.real for s in roots if abs(s.imag) < 1e-9 and abs(s.real) < 0.02]
    best = min(stationary, key=fit)
    a = guess * (1 + best)
    curvature = fit.deriv(2)(best) / guess**2  # d2E/da2, eV/A^2 per atom
    atoms = crystal(name, a)
    if name == "graphene":
        area = np.linalg.norm(np.cross(*atoms.cell.array[:2])) / len(atoms)
        return a, float(fit(best)), curvature * a**2 / (4 * area) / NEWTON_PER_METRE
    volume = atoms.get_volume() / len(atoms)
    return a, float(fit(best)), curvature * a**2 / (9 * volume) / GPa


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("family")
    backend = backends.load(backends.parse(parser))
    print("| crystal | a / A | E / eV per atom | B / GPa (sheet: N/m) |\n|---|---|---|---|")
    for name, symbol in SYMBOLS.items():
        if backend.species is None or Atoms(symbol).numbers[0] in backend.species:
            a, e, modulus = equation_of_state(backend, name)
            print(f"| {name} | {a:.4f} | {e:.4f} | {modulus:.1f} |", flush=True)


if __name__ == "__main__":
    main()
