"""Checks of form: types and shapes, what is asked for and what isn't, what stays untouched."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial

import numpy as np

from ncforce_ipi.backend import Evaluation, Kind, Structure, Wanted

from .limits import Setting, refused, require

KINDS: tuple[Kind, Kind] = ("conservative", "direct")


def what_it_says_of_itself(setting: Setting) -> None:
    """Kinds, stress, description and dtype make sense."""
    b = setting.backend
    some = bool(b.kinds) and b.kinds <= set(KINDS)
    require(some, f"kinds: expected some of {KINDS}, got {set(b.kinds)}")
    require(b.stress <= b.kinds, f"stress: expected some of {set(b.kinds)}, got {set(b.stress)}")
    require(b.dtype in (None, "float32", "float64"), f"dtype: expected float32, got {b.dtype!r}")
    one_line = bool(b.description) and "\n" not in b.description
    require(one_line, f"description: expected one line, got {b.description!r}")
    if b.species is not None:
        good = all(0 < number < 119 for number in b.species)
        require(good, f"species: expected atomic numbers, got {sorted(b.species)}")


def shapes_and_types(setting: Setting) -> None:
    """Of all that a model can give; virials are symmetric."""
    found = setting.backend.evaluate(setting.structure, setting.everything)
    kinds = setting.backend.kinds
    require(set(found) == kinds, f"expected kinds {set(kinds)}, got {set(found)}")
    for kind, evaluation in found.items():
        _check_form(evaluation, kind, len(setting.structure.numbers))


def _check_form(evaluation: Evaluation, kind: Kind, n_atoms: int) -> None:
    got = type(evaluation.energy).__name__
    require(isinstance(evaluation.energy, float), f"{kind} energy: expected a float, got {got}")
    arrays = {"forces": (evaluation.forces, (n_atoms, 3)), "virial": (evaluation.virial, (3, 3))}
    for name, (array, shape) in arrays.items():
        got = f"{getattr(array, 'dtype', None)} {getattr(array, 'shape', None)}"
        good = isinstance(array, np.ndarray) and got == f"float64 {shape}"
        require(good, f"{kind} {name}: expected float64 {shape}, got {got}")
    w = evaluation.virial
    symmetric = np.array_equal(w, w.T, equal_nan=True)
    require(symmetric, f"{kind} virial: expected a symmetric matrix, got {w.tolist()}")


def all_that_is_wanted_is_finite(setting: Setting) -> None:
    """Forces, energies and virials; a virial that the model doesn't have is NaN."""
    found = setting.backend.evaluate(setting.structure, setting.everything)
    for kind, evaluation in found.items():
        require(bool(np.isfinite(evaluation.forces).all()), f"{kind} forces: expected finite ones")
        if setting.has_energy(kind):
            finite = math.isfinite(evaluation.energy)
            require(finite, f"{kind} energy: expected a finite one, got {evaluation.energy}")
        if kind in setting.backend.stress:
            require(bool(np.isfinite(evaluation.virial).all()), f"{kind} virial: expected finite")
        else:
            nothing = bool(np.isnan(evaluation.virial).all())
            require(nothing, f"{kind} virial: expected NaN, as {kind} isn't in stress")


def a_direct_force_alone(setting: Setting) -> None:
    """Energy and virial of direct forces are NaN unless they are asked for."""
    if "direct" not in setting.backend.kinds:
        return
    found = setting.backend.evaluate(setting.structure, Wanted(frozenset(["direct"])))
    require(set(found) == {"direct"}, f"expected direct alone, got {set(found)}")
    nothing = np.isnan(found["direct"].energy) and np.isnan(found["direct"].virial).all()
    require(
        bool(nothing), "energy and virial of direct forces: expected NaN, nobody asked for them"
    )


def what_the_model_lacks_is_refused(setting: Setting) -> None:
    """A kind of force, an energy or a virial of direct forces: in one line."""
    backend, structure = setting.backend, setting.structure
    for kind in KINDS:
        if kind not in backend.kinds:
            wanted = Wanted(frozenset([kind]))
            refused(f"{kind} forces", partial(backend.evaluate, structure, wanted), kind)
    if "direct" in backend.kinds:
        direct = Wanted(frozenset(["direct"]))
        if not backend.direct_energy:
            wanted = replace(direct, direct_energy=True)
            refused("a direct energy", partial(backend.evaluate, structure, wanted), "energy")
        if "direct" not in backend.stress:
            wanted = replace(direct, direct_virial=True)
            refused("a direct virial", partial(backend.evaluate, structure, wanted), "stress")


def an_unknown_species_is_refused(setting: Setting) -> None:
    """By its atomic number, in one line."""
    species = setting.backend.species
    unknown = sorted(set(range(1, 119)) - species) if species else []
    if unknown:
        numbers = setting.structure.numbers.copy()
        numbers[0] = unknown[-1]
        wrong = replace(setting.structure, numbers=numbers)
        refused(
            f"atomic number {unknown[-1]}",
            partial(setting.backend.evaluate, wrong, setting.everything),
            str(unknown[-1]),
        )


def inputs_are_not_changed(setting: Setting) -> None:
    """And may be read-only."""
    given = setting.structure
    locked = Structure(given.numbers.copy(), given.positions.copy(), given.cell.copy())
    for array in (locked.numbers, locked.positions, locked.cell):
        array.flags.writeable = False
    try:
        setting.backend.evaluate(locked, setting.everything)
    except ValueError as err:
        require(False, f"expected read-only arrays to be taken, got: {err}")
    writable = replace(given, positions=given.positions.copy(), cell=given.cell.copy())
    setting.backend.evaluate(writable, setting.everything)
    same = np.array_equal(writable.positions, given.positions)
    require(same and np.array_equal(writable.cell, given.cell), "expected inputs to stay unchanged")


def results_are_kept(setting: Setting) -> None:
    """Arrays of a result aren't those that the next evaluation writes into."""
    given = setting.structure
    first = setting.backend.evaluate(given, setting.everything)
    copies = {kind: evaluation.forces.copy() for kind, evaluation in first.items()}
    for positions in (given.positions + 0.05, given.positions * 1.02):
        setting.backend.evaluate(replace(given, positions=positions), setting.everything)
    for kind, evaluation in first.items():
        kept = np.array_equal(evaluation.forces, copies[kind])
        require(kept, f"{kind} forces: expected an array of its own, got one that is used again")


def a_structure_gives_the_same_bits_whatever_came_before(setting: Setting) -> None:
    """On a CPU, for models that are repeatable."""
    if not setting.limits.repeatable:
        return
    given = setting.structure
    for kind in sorted(setting.backend.kinds):
        wanted = setting.wanted(kind)
        first = setting.backend.evaluate(given, wanted)[kind].forces
        for k in range(3):
            other = replace(given, positions=given.positions * (1 + 0.01 * k))
            setting.backend.evaluate(other, wanted)
            again = setting.backend.evaluate(given, wanted)[kind].forces
            off = float(np.abs(again - first).max())
            require(
                off == 0.0, f"{kind} forces: expected the same bits again, off by {off:.2g} eV/A"
            )


def joint_evaluation_is_each_alone(setting: Setting) -> None:
    """Up to rounding: a graph with gradients may add in another order."""
    joint = setting.backend.evaluate(setting.structure, setting.everything)
    for kind in setting.backend.kinds:
        alone = setting.backend.evaluate(setting.structure, setting.wanted(kind))[kind]
        setting.same("of a joint evaluation", joint[kind], alone, kind)


def a_batch_is_each_alone(setting: Setting) -> None:
    """Structures of different positions, cells and numbers of atoms, in any order and number."""
    backend, various = setting.backend, _various(setting.structure)
    alone = [backend.evaluate(structure, setting.everything) for structure in various]
    for chosen in ([0], [0, 1], [1, 1, 0], list(range(len(various))), [*range(len(various))][::-1]):
        batch = backend.evaluate_batch([various[k] for k in chosen], setting.everything)
        got = len(batch)
        require(got == len(chosen), f"expected {len(chosen)} results of a batch, got {got}")
        for k, found in zip(chosen, batch, strict=True):
            for kind in backend.kinds:
                setting.same(f"of a batch of {got}", found[kind], alone[k][kind], kind)


def _various(given: Structure) -> list[Structure]:
    """The structure; moved; a part of it; in a larger cell."""
    n_some = max(1, len(given.numbers) // 2)
    some = replace(given, numbers=given.numbers[:n_some], positions=given.positions[:n_some])
    moved = replace(given, positions=given.positions * 1.01)
    return [given, moved, some, replace(moved, cell=given.cell * 1.1)]


def a_batch_with_and_without_cells(setting: Setting) -> None:
    """Molecules and crystals together, each as if it were alone."""
    if setting.limits.needs_cell:
        return
    backend, given, molecule = setting.backend, setting.structure, setting.molecule()
    wanted = Wanted(backend.kinds)  # without a cell there is no direct virial
    structures = [molecule, given, molecule, replace(given, positions=given.positions * 1.01)]
    batch = backend.evaluate_batch(structures, wanted)
    for structure, found in zip(structures, batch, strict=True):
        alone = backend.evaluate(structure, wanted)
        for kind in backend.kinds:
            what = f"{kind} forces of a batch with and without cells"
            setting.close(what, found[kind].forces, alone[kind].forces)
        if "conservative" in backend.kinds:
            both = found["conservative"], alone["conservative"]
            setting.same("of a batch with and without cells", *both, "conservative")


def a_batch_leaves_what_it_is_given(setting: Setting) -> None:
    """Arrays of the structures, and of the results of an earlier batch."""
    given = setting.structure
    structures = [replace(given, positions=given.positions + shift) for shift in (0.0, 0.1)]
    kept = [structure.positions.copy() for structure in structures]
    first = setting.backend.evaluate_batch(structures, setting.everything)
    copies = [{kind: e.forces.copy() for kind, e in found.items()} for found in first]
    setting.backend.evaluate_batch(structures[::-1], setting.everything)
    for structure, positions in zip(structures, kept, strict=True):
        same = np.array_equal(structure.positions, positions)
        require(same, "positions of a batch: expected unchanged ones")
    for found, copy in zip(first, copies, strict=True):
        for kind, evaluation in found.items():
            own = np.array_equal(evaluation.forces, copy[kind])
            require(own, f"{kind} forces of a batch: expected an array of its own, got one in use")


def a_batch_with_an_unknown_species_is_refused(setting: Setting) -> None:
    """Wherever it stands in the batch, and it spoils nothing of the next."""
    species = setting.backend.species
    unknown = sorted(set(range(1, 119)) - species) if species else []
    if unknown:
        given, numbers = setting.structure, setting.structure.numbers.copy()
        numbers[-1] = unknown[-1]
        batch = [given, replace(given, numbers=numbers)]
        call = partial(setting.backend.evaluate_batch, batch, setting.everything)
        refused(f"atomic number {unknown[-1]} in a batch", call, str(unknown[-1]))


CHECKS = (
    what_it_says_of_itself,
    shapes_and_types,
    all_that_is_wanted_is_finite,
    a_direct_force_alone,
    what_the_model_lacks_is_refused,
    an_unknown_species_is_refused,
    inputs_are_not_changed,
    results_are_kept,
    a_structure_gives_the_same_bits_whatever_came_before,
    joint_evaluation_is_each_alone,
    a_batch_is_each_alone,
    a_batch_with_and_without_cells,
    a_batch_leaves_what_it_is_given,
    a_batch_with_an_unknown_species_is_refused,
)
