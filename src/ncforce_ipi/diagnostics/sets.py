"""Molecules to optimise that come with a package: ASE's G2 set."""

from __future__ import annotations

from ncforce_ipi.diagnostics.frames import Frame, to_structure

HCNOF = {"H", "C", "N", "O", "F"}


def g2_closed_shell() -> list[Frame]:
    """Molecules of the G2 set (Curtiss et al., J. Chem. Phys. 106, 1063, 1997) of H, C, N, O, F.

    With two atoms or more and no unpaired electron, in ASE's geometries: organic molecules like
    those of QM9, of at most six heavy atoms.
    """
    from ase.build import molecule
    from ase.collections import g2

    found = []
    for name in g2.names:
        atoms = molecule(name)
        closed = not atoms.get_initial_magnetic_moments().any() and sum(atoms.numbers) % 2 == 0
        if len(atoms) > 1 and closed and set(atoms.get_chemical_symbols()) <= HCNOF:
            found.append(Frame(f"g2:{name}", to_structure(atoms)))
    return found
