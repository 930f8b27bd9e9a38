"""``ncforce inspect-pair``: whether two forces go together in multiple time steps, before a run."""

from __future__ import annotations

import argparse
import contextlib
import sys
from typing import TYPE_CHECKING

import numpy as np

from ncforce_ipi.backend import Backend, Kind, Structure
from ncforce_ipi.cli import forces
from ncforce_ipi.errors import InputError
from ncforce_ipi.inputs.plan import Plan

if TYPE_CHECKING:
    from ncforce_ipi.diagnostics.jacobian import Array
    from ncforce_ipi.diagnostics.pair import Side
    from ncforce_ipi.diagnostics.pair_report import Page
    from ncforce_ipi.diagnostics.products import Products
    from ncforce_ipi.diagnostics.resonance import Complex, Modes

MOST_ATOMS = 400  # whose normal modes are taken
MOST_BONDS = 40
PROBES = 8


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``ncforce inspect-pair``."""
    add = parser.add_argument
    add("slow", metavar="SLOW", help=forces.HELP)
    add("fast", metavar="FAST", help="likewise; the same word: one model for both")
    add("structures", nargs="+", metavar="STRUCTURE", help="FILE or FILE@INDEX, of ASE's formats")
    kinds = ("conservative", "direct")
    add("--slow-kind", choices=kinds, default="conservative")
    add("--fast-kind", choices=kinds, help="default: direct if the model has it")
    add("--frames", type=int, metavar="N", help="N of the structures, evenly spaced")
    add("--mode-frames", type=int, default=1, metavar="N", help="modes of N of these; default 1")
    add(
        "--modes",
        choices=("auto", "normal", "bonds"),
        default="auto",
        help="normal modes (auto: up to 400 atoms) or stretches of 40 of the lightest bonds",
    )
    add("--timestep-fs", type=float, default=0.5, metavar="X", help="inner step, default 0.5 fs")
    add("--mass", action="append", default=[], metavar="SYMBOL=X", help="in u; default: ASE's")
    add("--most-mts", type=int, default=16, metavar="M", help="default 16")
    add("--threads", type=int, default=1, metavar="N")
    add("--keep-net-force", action="store_true", help="don't subtract the mean from direct forces")
    forces.add_files(parser, "the scan over M")


def run(args: argparse.Namespace) -> int:
    """The page on stdout, files where asked for."""
    forces.check_outputs([args.json, args.csv, args.plot], args.force)
    Plan("mts", args.most_mts, args.timestep_fs, 1)  # refuses what makes no step
    from ncforce_ipi.diagnostics import pair_report
    from ncforce_ipi.diagnostics.frames import read_frames

    structures = [frame.structure for frame in read_frames(args.structures, args.frames)]
    with contextlib.ExitStack() as stack:
        slow = stack.enter_context(forces.opened(args.slow, args.slow_kind, args.threads))
        fast = slow
        if args.fast != args.slow or args.fast_kind not in (None, *slow.kinds):
            fast = stack.enter_context(forces.opened(args.fast, args.fast_kind, args.threads))
        models = [forces.identity(args.slow, slow), forces.identity(args.fast, fast)]
        page = _page(args, slow, fast, structures)
    sys.stdout.write(pair_report.table(page) + "\n")
    forces.write_files(args, forces.provenance(models), pair_report, page)
    return 0


def _page(
    args: argparse.Namespace, slow: Backend, fast: Backend, structures: list[Structure]
) -> Page:
    from ncforce_ipi.diagnostics import pair
    from ncforce_ipi.diagnostics.pair_report import Page

    sides = _sides(args, slow, fast)
    chosen = _of_modes(args, structures)
    masses = [_masses(args, structure) for structure in chosen]
    found = pair.agreement(*sides, structures)
    cost = pair.cost(*sides, structures[0])  # before anything is turned to float64
    slow_name, fast_name = (f"{s.backend.description}, {s.kind} forces" for s in sides)
    modes, asymmetry, maps = [], [], []
    for structure, mass in zip(chosen, masses, strict=True):
        one = _look(args, sides, structure, mass)
        modes.append(one[0])
        asymmetry.append(one[1])
        maps.append(one[2])
    return Page(
        slow_name, fast_name, len(structures), len(structures[0].numbers), found, cost, asymmetry,
        modes, maps, args.timestep_fs,
    )  # fmt: skip


def _sides(args: argparse.Namespace, slow: Backend, fast: Backend) -> tuple[Side, Side]:
    from ncforce_ipi.diagnostics.pair import Side

    fast_kind: Kind = args.fast_kind or ("direct" if "direct" in fast.kinds else "conservative")
    sides = (
        Side(slow, args.slow_kind, args.keep_net_force),
        Side(fast, fast_kind, args.keep_net_force),
    )
    for side in sides:
        if side.kind not in side.backend.kinds:
            raise InputError(
                f"{side.backend.description} has no {side.kind} forces, only "
                f"{' and '.join(side.backend.kinds)}"
            )
    if slow is fast and args.slow_kind == fast_kind:
        raise InputError(
            f"slow and fast are both the {fast_kind} forces of {slow.description}; "
            "expected two different forces"
        )
    return sides


def _of_modes(args: argparse.Namespace, structures: list[Structure]) -> list[Structure]:
    if args.mode_frames < 1:
        raise InputError(f"--mode-frames: expected 1 or more, got {args.mode_frames}")
    n = min(args.mode_frames, len(structures))
    return [structures[k] for k in np.linspace(0, len(structures) - 1, n).round().astype(int)]


def _masses(args: argparse.Namespace, structure: Structure) -> Array:
    """Masses ``(n_atoms,)``, u: ASE's, which i-PI takes, or given ones."""
    from ase.data import atomic_masses

    from ncforce_ipi.species import NUMBERS

    masses = atomic_masses[structure.numbers].copy()
    for text in args.mass:
        symbol, _, value = text.partition("=")
        try:
            masses[structure.numbers == NUMBERS[symbol]] = float(value)
        except (KeyError, ValueError) as err:
            raise InputError(f"--mass: expected SYMBOL=X, like H=2.014, got {text!r}") from err
    return masses


def _look(
    args: argparse.Namespace, sides: tuple[Side, Side], structure: Structure, masses: Array
) -> tuple[Modes, float, list[Complex]]:
    """Modes, lambda of the fast force, and the maps of all M, at one structure."""
    small = len(masses) <= MOST_ATOMS
    if args.modes == "bonds" or (args.modes == "auto" and not small):
        return _look_at_bonds(args, sides, structure, masses)
    if not small:
        raise InputError(
            f"normal modes of {len(masses)} atoms are too many, expected {MOST_ATOMS} or fewer; "
            "use --modes bonds"
        )
    from ncforce_ipi.diagnostics import jacobian, resonance
    from ncforce_ipi.diagnostics.display import display
    from ncforce_ipi.diagnostics.products import dense

    matrices = []
    for side, name in zip(sides, ("slow", "fast"), strict=True):
        with display(f"stiffness, {name}", 3 * len(masses), "products") as progress:
            matrices.append(dense(_products(side, structure), progress))
    slow, fast = (resonance.stiffness(matrix, masses) for matrix in matrices)
    return (
        resonance.modes(slow, fast),
        jacobian.asymmetry(jacobian.blocks(matrices[1])),
        resonance.maps(slow, fast, args.most_mts, args.timestep_fs),
    )


def _look_at_bonds(
    args: argparse.Namespace, sides: tuple[Side, Side], structure: Structure, masses: Array
) -> tuple[Modes, float, list[Complex]]:
    """Likewise, of the lightest bonds alone; lambda is an estimate."""
    from ncforce_ipi.diagnostics import bonds, resonance
    from ncforce_ipi.diagnostics.estimators import estimate

    pairs = bonds.bonds(structure, masses, MOST_BONDS)
    slow, fast = (side.at(structure) for side in sides)
    modes = bonds.stretches(slow, fast, structure, masses, pairs)
    asymmetry, _ = estimate(_products(sides[1], structure), structure.numbers, PROBES).total
    maps = [
        resonance.half_trace(modes.omega, modes.delta, mts, args.timestep_fs).astype(complex)
        for mts in range(1, args.most_mts + 1)
    ]
    return modes, asymmetry, maps


def _products(side: Side, structure: Structure) -> Products:
    """Exact in float64 where the model is a metatomic one, else differences."""
    from ncforce_ipi.diagnostics.finite_differences import (
        Differences,
        choose_step,
        collective,
        columns,
    )
    from ncforce_ipi.diagnostics.products import WithoutNetForce

    if side.backend.differentiable:
        if side.backend.castable:
            side.backend.to_float64()
        products = side.backend.jacobian_products(structure, side.kind)
        if side.kind == "direct" and not side.keep_net_force:
            products = WithoutNetForce(products)
        return products
    force, n_atoms = side.at(structure), len(structure.numbers)
    vectors = (columns if n_atoms <= MOST_ATOMS else collective)(n_atoms)
    step = choose_step(force, structure.positions, vectors)
    return Differences(force, structure.positions, step.step_A)
