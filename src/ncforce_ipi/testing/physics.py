"""Checks of physics: gradients, virials, symmetries, molecules, single atoms, Jacobians."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np

from ncforce_ipi.backend import Array, Backend, Structure, Wanted

from .limits import Setting, close, refused, require

CONSERVATIVE = Wanted(frozenset(["conservative"]))
N_DIRECTIONS = 6  # random ones: a wrong force shows along any of them


def the_conservative_force_is_minus_the_gradient(setting: Setting) -> None:
    """Along random directions of all atoms."""
    if "conservative" in setting.backend.kinds:
        forces = setting.backend.evaluate(setting.structure, CONSERVATIVE)["conservative"].forces
        projected = np.einsum("dia,ia->d", directions(setting.structure), forces)
        reason = f"central differences with a step of {setting.limits.step_A:g} A"
        limit = setting.limits.slope_error
        close("force along random directions", projected, negative_slopes(setting), limit, reason)


def negative_slopes(setting: Setting) -> Array:
    """-dE/ds along each of the directions, ``(n_directions,)``, eV/A."""
    step = setting.limits.step_A
    changes = [partial(_moved, setting.structure, d) for d in directions(setting.structure)]
    return np.array([-slope(setting.backend, step, change) for change in changes])


def slope(backend: Backend, step: float, change: Callable[[float], Structure]) -> float:
    """Derivative of the energy along ``change(step)``, a structure, by central differences."""
    up, down = (
        backend.evaluate(change(x), CONSERVATIVE)["conservative"].energy for x in (step, -step)
    )
    return (up - down) / (2 * step)


def _moved(structure: Structure, direction: Array, step: float) -> Structure:
    return replace(structure, positions=structure.positions + step * direction)


def _strained(structure: Structure, direction: Array, step: float) -> Structure:
    strain = np.eye(3) + step * direction
    return replace(structure, positions=structure.positions @ strain, cell=structure.cell @ strain)


def directions(structure: Structure) -> Array:
    """Random unit vectors ``(n_directions, n_atoms, 3)``."""
    shape = (N_DIRECTIONS, *structure.positions.shape)
    vectors = np.random.default_rng(1).normal(size=shape)
    return vectors / np.linalg.norm(vectors, axis=(1, 2), keepdims=True)


def the_virial_is_minus_the_strain_derivative(setting: Setting) -> None:
    """Positions and cell are times 1 + strain; all six components."""
    if "conservative" not in setting.backend.stress:
        return
    step = 0.1 * setting.limits.step_A  # of a strain: times lengths of 10 A
    numeric = np.zeros((3, 3))
    for a, b in np.ndindex(3, 3):
        unit = np.zeros((3, 3))
        unit[a, b] += 0.5
        unit[b, a] += 0.5
        numeric[a, b] = -slope(setting.backend, step, partial(_strained, setting.structure, unit))
    virial = setting.backend.evaluate(setting.structure, CONSERVATIVE)["conservative"].virial
    reason = f"central differences with a strain of {step:g}"
    close("virial", virial, numeric, 10 * setting.limits.slope_error, reason)


def translation_through_the_boundary(setting: Setting) -> None:
    """Moving all atoms, or one atom by lattice vectors, changes nothing."""
    given = setting.structure
    everywhere = given.positions + np.array([3.0, -2.0, 7.0])
    near, far = given.positions.copy(), given.positions.copy()
    near[0] += given.cell[0]
    far[0] += np.array([0, -2, 1]) @ given.cell
    for what, positions in {"all atoms": everywhere, "one atom": near, "an atom": far}.items():
        _unchanged(setting, replace(given, positions=positions), f"after moving {what}")


def an_atom_far_away(setting: Setting) -> None:
    """A thousand cells off, and a molecule a micrometre off: float32 has seven digits."""
    given, molecule, factor = setting.structure, setting.molecule(), 100  # 1e-12 A times 100 eV/A^2
    away = given.positions.copy()
    away[0] += np.array([1000, -1000, 1000]) @ given.cell
    _unchanged(setting, replace(given, positions=away), "after moving an atom far away", factor)
    if not setting.limits.needs_cell:
        off = replace(molecule, positions=molecule.positions + 10240.0)
        moved = replace(setting, structure=molecule)
        _unchanged(moved, off, "of a molecule far away", factor, Wanted(setting.backend.kinds))


def a_left_handed_cell(setting: Setting) -> None:
    """The same lattice, with two of its vectors exchanged."""
    flipped = replace(setting.structure, cell=setting.structure.cell[[1, 0, 2]])
    _unchanged(setting, flipped, "in a left-handed cell")


def _unchanged(
    setting: Setting,
    other: Structure,
    what: str,
    factor: float = 1.0,
    wanted: Wanted | None = None,
) -> None:
    """Forces, and energies and virials if nothing less is wanted."""
    expected = setting.backend.evaluate(setting.structure, wanted or setting.everything)
    found = setting.backend.evaluate(other, wanted or setting.everything)
    for kind in setting.backend.kinds:
        if wanted is None:
            setting.same(what, found[kind], expected[kind], kind, factor)
        else:
            setting.close(
                f"{kind} forces {what}", found[kind].forces, expected[kind].forces, factor
            )


def a_permutation_of_atoms(setting: Setting) -> None:
    """Forces follow their atoms; all else stays."""
    given = setting.structure
    order = np.random.default_rng(2).permutation(len(given.numbers))
    other = replace(given, numbers=given.numbers[order], positions=given.positions[order])
    expected = setting.backend.evaluate(given, setting.everything)
    found = setting.backend.evaluate(other, setting.everything)
    for kind in setting.backend.kinds:
        there = replace(expected[kind], forces=expected[kind].forces[order])
        setting.same("of permuted atoms", found[kind], there, kind)


def a_molecule_without_a_cell(setting: Setting) -> None:
    """It is one in a large cell; a model that needs a cell says so in one line."""
    molecule, backend = setting.molecule(), setting.backend
    wanted = Wanted(backend.kinds)
    if setting.limits.needs_cell:
        return refused("a molecule", partial(backend.evaluate, molecule, wanted), "cell")
    boxed = replace(molecule, positions=molecule.positions + 20.0, cell=np.eye(3) * 50.0)
    expected, found = backend.evaluate(boxed, wanted), backend.evaluate(molecule, wanted)
    where = "of a molecule without a cell"
    if "conservative" in backend.kinds:
        setting.same(where, found["conservative"], expected["conservative"], "conservative")
    if "direct" in backend.kinds and not setting.limits.removes_torque:
        setting.close(f"direct forces {where}", found["direct"].forces, expected["direct"].forces)
    elif "direct" in backend.kinds:
        torque = np.cross(molecule.positions, found["direct"].forces).sum(axis=0)
        setting.close(f"torque of direct forces {where}", torque, np.zeros(3))
    return None


def a_cell_of_one_atom(setting: Setting) -> None:
    """No force by symmetry; eight cells in one have eight times the energy and virial."""
    if setting.limits.truncates or setting.limits.blurs_axes:
        return
    number, a = setting.structure.numbers[0], 3.1
    one = Structure(np.array([number], np.int32), np.array([[0.3, 0.2, 0.1]]), np.eye(3) * a)
    corners = np.array(list(np.ndindex(2, 2, 2))) * a
    eight = Structure(np.full(8, number, np.int32), corners + 0.2, np.eye(3) * 2 * a)
    found = setting.backend.evaluate(one, setting.everything)
    supercell = setting.backend.evaluate(eight, setting.everything)
    for kind, alone in found.items():
        setting.close(f"{kind} force on the only atom", alone.forces, np.zeros((1, 3)))
        times = {"energy": 8 * alone.energy, "virial": 8 * alone.virial}
        expected = replace(supercell[kind], **times)  # type: ignore[arg-type]
        setting.same("of eight cells", supercell[kind], expected, kind, factor=10)  # sums of 10 eV


def a_lonely_atom(setting: Setting) -> None:
    """No force; a model that needs neighbours says so in one line."""
    lonely, backend, wanted = setting.lonely(), setting.backend, Wanted(setting.backend.kinds)
    if setting.limits.needs_neighbors:
        return refused("an atom", partial(backend.evaluate, lonely, wanted), backend.description)
    found = backend.evaluate(lonely, wanted)
    for kind, evaluation in found.items():
        setting.close(f"{kind} force on a lonely atom", evaluation.forces, np.zeros((1, 3)))
    if "conservative" in found:
        energy = found["conservative"].energy
        require(math.isfinite(energy), f"energy of a lonely atom: expected finite, got {energy}")
    return None


def jacobian_products_are_differences_of_forces(setting: Setting) -> None:
    """J u along random directions, and w (J u) = (J^T w) u."""
    if not setting.backend.differentiable:
        return
    u = directions(setting.structure)
    step, w = setting.limits.step_A, u[::-1]
    for kind in sorted(setting.backend.kinds):
        products = setting.backend.jacobian_products(setting.structure, kind)
        found, wanted = products.forward(u), Wanted(frozenset([kind]))
        ahead, behind = (
            np.array([_forces(setting, _moved(setting.structure, d, s), wanted) for d in u])
            for s in (step, -step)
        )
        reason = f"central differences of forces with a step of {step:g} A"
        limit = 100 * setting.limits.slope_error  # of curvatures of 100 eV/A^2
        close(f"J u of {kind} forces", found, (ahead - behind) / (2 * step), limit, reason)
        if products.transposable:
            expected = np.einsum("dia,dia->d", products.backward(w), u)
            setting.close(f"w (J u) of {kind} forces", np.sum(w * found, (1, 2)), expected, 10)


def _forces(setting: Setting, structure: Structure, wanted: Wanted) -> Array:
    (evaluation,) = setting.backend.evaluate(structure, wanted).values()
    return evaluation.forces


CHECKS = (
    the_conservative_force_is_minus_the_gradient,
    the_virial_is_minus_the_strain_derivative,
    translation_through_the_boundary,
    an_atom_far_away,
    a_left_handed_cell,
    a_permutation_of_atoms,
    a_molecule_without_a_cell,
    a_cell_of_one_atom,
    a_lonely_atom,
    jacobian_products_are_differences_of_forces,
)
