"""``ncforce_ipi.testing`` sees what is wrong: each fault is found by the check that is for it."""

import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from ncforce_ipi.backend import Backend, Evaluation, Structure, Wanted
from ncforce_ipi.drivers.analytic import load
from ncforce_ipi.errors import ContractError, ModelError
from ncforce_ipi.serve.families import Family
from ncforce_ipi.serve.options import options_of
from ncforce_ipi.testing import (
    CHECKS,
    FLOAT32,
    Limits,
    Setting,
    example,
    run_check,
    validate_backend,
)

ROOT = Path(__file__).parents[1]
SMALL = {"sigma_A": 1.0, "epsilon_eV": 0.1, "cutoff_A": 3.0, "swirl_eV_per_A2": 0.05}


class Wrong(Backend):
    """Lennard-Jones atoms with one thing wrong; by default none."""

    kinds = stress = frozenset(["conservative", "direct"])
    direct_energy = True
    dtype = "float64"
    description = "wrong"
    species = frozenset([1, 8])

    def __init__(self):
        self.model = load("lennard-jones", arguments=SMALL)
        self.calls = self.closed = 0

    def evaluate(self, structure, wanted):
        self.calls += 1
        unknown = set(structure.numbers.tolist()) - self.species
        if unknown:
            raise ModelError(f"wrong doesn't know {min(unknown)}")
        found = self.model.evaluate(structure, wanted)
        return {kind: self.spoil(one, structure, kind) for kind, one in found.items()}

    def spoil(self, evaluation, structure, kind):
        return evaluation

    def close(self):
        self.closed += 1


def changed(**attributes):
    """A class with other attributes, or other methods."""
    return type("Changed", (Wrong,), attributes)()


def spoilt(**changes):
    """A model whose evaluations are changed by functions of (value, structure, kind)."""

    def spoil(self, evaluation, structure, kind):
        new = {k: f(getattr(evaluation, k), structure, kind) for k, f in changes.items()}
        return replace(evaluation, **new)

    return changed(spoil=spoil)


def forgetful(self, evaluation, structure, kind):
    return replace(evaluation, forces=evaluation.forces + 1e-13 * self.calls)


def reused(self, evaluation, structure, kind):
    if getattr(self, "buffer", np.empty(0)).shape != evaluation.forces.shape:
        self.buffer = np.empty_like(evaluation.forces)
    self.buffer[:] = evaluation.forces
    return replace(evaluation, forces=self.buffer)


def into_the_positions(self, evaluation, structure, kind):
    if structure.positions.flags.writeable:
        structure.positions[0] += 0.1
    return evaluation


def batch_backwards(self, structures, wanted):
    return [self.evaluate(structure, wanted) for structure in reversed(structures)]


def batch_in_one_cell(self, structures, wanted):
    cell = max((s.cell for s in structures), key=np.linalg.norm)
    mixed = len({s.cell.any() for s in structures}) > 1
    return [self.evaluate(replace(s, cell=cell) if mixed else s, wanted) for s in structures]


def batch_in_one_buffer(self, structures, wanted):
    found = [self.evaluate(structure, wanted) for structure in structures]
    n_atoms, kinds = sum(len(s.numbers) for s in structures), sorted(wanted.kinds)
    if getattr(self, "buffer", np.empty((0, 0))).shape[:2] != (len(kinds), n_atoms):
        self.buffer = np.empty((len(kinds), n_atoms, 3))
    for row, kind in zip(self.buffer, kinds, strict=True):
        row[:] = np.concatenate([results[kind].forces for results in found])
        parts = np.split(row, np.cumsum([len(s.numbers) for s in structures])[:-1])
        for results, part in zip(found, parts, strict=True):
            results[kind] = replace(results[kind], forces=part)
    return found


def batch_of_any_species(self, structures, wanted):
    return [self.model.evaluate(structure, wanted) for structure in structures]


def forward_half(structure, kind):
    class Products:
        transposable = False

        def forward(self, u):
            return 0.5 * u

    return Products()


def in_float32(self, structure, wanted):
    """A model in float32 that takes positions as they come."""
    rounded = structure.positions.astype(np.float32).astype(float)
    return self.model.evaluate(replace(structure, positions=rounded), wanted)


def is_left_handed(structure):
    return np.linalg.det(structure.cell) < 0


FAULTS = {
    "what_it_says_of_itself": changed(description="two\nlines"),
    "shapes_and_types": spoilt(forces=lambda f, s, k: f.astype(np.float32)),
    "all_that_is_wanted_is_finite": spoilt(energy=lambda e, s, k: np.nan),
    "a_direct_force_alone": spoilt(
        energy=lambda e, s, k: 0.0 if np.isnan(e) else e,
    ),
    "what_the_model_lacks_is_refused": changed(kinds=frozenset(["direct"]), stress=frozenset()),
    "an_unknown_species_is_refused": changed(
        species=frozenset([1, 8]), evaluate=lambda self, s, w: self.model.evaluate(s, w)
    ),
    "inputs_are_not_changed": changed(spoil=into_the_positions),
    "results_are_kept": changed(spoil=reused),
    "a_structure_gives_the_same_bits_whatever_came_before": changed(spoil=forgetful),
    "joint_evaluation_is_each_alone": changed(
        evaluate=lambda self, s, w: {
            k: replace(e, forces=e.forces * len(w.kinds))
            for k, e in self.model.evaluate(s, w).items()
        }
    ),
    "a_batch_is_each_alone": changed(evaluate_batch=batch_backwards),
    "a_batch_with_and_without_cells": changed(evaluate_batch=batch_in_one_cell),
    "a_batch_leaves_what_it_is_given": changed(evaluate_batch=batch_in_one_buffer),
    "a_batch_with_an_unknown_species_is_refused": changed(evaluate_batch=batch_of_any_species),
    "the_conservative_force_is_minus_the_gradient": spoilt(forces=lambda f, s, k: 1.001 * f),
    "the_virial_is_minus_the_strain_derivative": spoilt(virial=lambda w, s, k: -w),
    "translation_through_the_boundary": spoilt(
        energy=lambda e, s, k: e + 1e-3 * float(np.sum(s.positions**2))
    ),
    "an_atom_far_away": changed(evaluate=in_float32),
    "a_left_handed_cell": spoilt(virial=lambda w, s, k: -w if is_left_handed(s) else w),
    "a_permutation_of_atoms": spoilt(forces=lambda f, s, k: f + 1e-6 * np.arange(len(f))[:, None]),
    "a_molecule_without_a_cell": spoilt(forces=lambda f, s, k: f if s.cell.any() else 0 * f),
    "a_cell_of_one_atom": spoilt(forces=lambda f, s, k: f + 1e-6 * (len(f) == 1)),
    "a_lonely_atom": spoilt(energy=lambda e, s, k: np.inf if len(s.numbers) == 1 else e),
    "jacobian_products_are_differences_of_forces": changed(
        differentiable=True, jacobian_products=lambda self, s, k: forward_half(s, k)
    ),
}


def test_every_check_has_a_fault():
    assert set(FAULTS) == set(CHECKS)


@pytest.mark.parametrize("check", CHECKS)
def test_a_fault_is_found(check):
    backend = FAULTS[check]
    with pytest.raises(ContractError, match=check) as caught:
        run_check(check, Setting(backend, example(backend)))
    assert "\n" not in str(caught.value) or check == "what_it_says_of_itself"
    assert "expected" in str(caught.value)


@pytest.mark.parametrize("check", CHECKS)
def test_nothing_is_found_where_nothing_is_wrong(check):
    run_check(check, Setting(Wrong(), example(Wrong())))


def test_the_message_has_numbers_tolerance_and_reason():
    with pytest.raises(ContractError) as caught:
        validate_backend(FAULTS["the_conservative_force_is_minus_the_gradient"])
    assert str(caught.value).startswith(
        "wrong: the_conservative_force_is_minus_the_gradient: force along random directions at ("
    )
    assert "tolerance 1e-06 (central differences with a step of 0.0001 A)" in str(caught.value)


def test_the_whole_contract_and_its_end():
    backend = Wrong()
    validate_backend(backend, close=False)
    assert backend.closed == 0
    validate_backend(backend)
    assert backend.closed == 2


def test_a_structure_of_ones_own():
    """Argon on a shaken lattice."""
    rng = np.random.default_rng(0)
    positions = 3.7 * np.array(list(np.ndindex(2, 2, 1))) + 0.1 * rng.normal(size=(4, 3))
    argon = Structure(np.full(4, 18, np.int32), positions, np.diag([7.4, 7.4, 3.7]))
    validate_backend(load("lennard-jones"), [argon])


@pytest.mark.parametrize("species", [{18}, {6, 79}])
def test_the_example_has_species_that_the_model_knows(species):
    structure = example(changed(species=frozenset(species)))
    assert set(structure.numbers.tolist()) == species
    inverse = np.linalg.inv(structure.cell)
    d = structure.positions[:, None] - structure.positions[None]
    d -= np.round(d @ inverse) @ structure.cell
    far = np.linalg.norm(d, axis=2)[~np.eye(6, dtype=bool)]
    assert far.min() > 2.0


def test_limits_are_promises():
    """A model that says that it needs a cell, and doesn't, is told."""
    setting = Setting(Wrong(), example(Wrong()), Limits(needs_cell=True))
    with pytest.raises(ContractError, match="a molecule: expected a ModelError, got an answer"):
        run_check("a_molecule_without_a_cell", setting)
    lonely = Setting(Wrong(), example(Wrong()), Limits(needs_neighbors=True))
    with pytest.raises(ContractError, match="an atom: expected a ModelError, got an answer"):
        run_check("a_lonely_atom", lonely)


def test_the_dtype_decides_how_exact_a_model_must_be():
    backend = spoilt(forces=lambda f, s, k: f + 1e-7 * np.sin(1e6 * s.positions))  # float32
    with pytest.raises(ContractError, match="tolerance 1e-10"):
        validate_backend(backend)
    backend.dtype = "float32"
    validate_backend(backend)
    assert FLOAT32.rounding == 1e-4


def test_an_error_of_the_model_is_a_breach():
    class Fails(Wrong):
        def evaluate(self, structure, wanted):
            raise ModelError("out of memory")

    with pytest.raises(ContractError, match="expected an evaluation, got: out of memory"):
        validate_backend(Fails())


def test_what_has_no_energy_of_its_own():
    class Forces(Backend):
        """Direct forces alone: nothing to differentiate."""

        kinds = frozenset(["direct"])
        description = "forces"

        def evaluate(self, structure, wanted):
            if wanted.kinds != self.kinds or wanted.direct_energy or wanted.direct_virial:
                raise ModelError("forces has no conservative forces, no energy and no stress")
            found = load("lennard-jones", arguments=SMALL).evaluate(structure, wanted)
            return {"direct": Evaluation(np.nan, found["direct"].forces, np.full((3, 3), np.nan))}

    validate_backend(Forces())
    assert Wanted(Forces.kinds) == Setting(Forces(), example(Forces())).everything


def test_the_family_of_the_page_for_others():
    """It runs as it stands there, and fails as the page says: it has no lattice."""
    text = (ROOT / "ipi_drivers" / "README.md").read_text(encoding="utf-8")
    code = text.split("```python\n")[1].split("```")[0]
    page = ModuleType("springs_of_the_page")
    exec(compile(code, "README.md", "exec"), page.__dict__)
    sys.modules[page.__name__] = page
    family = Family("springs", page.__name__, "a page")
    assert options_of(page.load)["k_eV_per_A2"].help == "stiffness"
    backend = family.load("soft", k_eV_per_A2=0.1)
    match = r"translation_through_the_boundary: .* after moving all"
    with pytest.raises(ContractError, match=match):
        validate_backend(backend)
    for check in ("shapes_and_types", "the_conservative_force_is_minus_the_gradient"):
        run_check(check, Setting(backend, example(backend)))
