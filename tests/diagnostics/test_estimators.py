"""Estimates against the whole Jacobian: values, error bars, costs; block probing."""

import numpy as np
import pytest

from ncforce_ipi.diagnostics import jacobian, survey
from ncforce_ipi.diagnostics.estimators import estimate
from ncforce_ipi.diagnostics.finite_differences import (
    Differences,
    choose_step,
    collective,
    columns,
)
from ncforce_ipi.diagnostics.probing import Plan, distances, probe, sources
from ncforce_ipi.diagnostics.products import dense
from ncforce_ipi.errors import InputError
from tests.diagnostics.conftest import Matrix, forces_of

EDGES = np.arange(0.0, 5.01, 1.0)


@pytest.mark.parametrize(("transposable", "n_probes"), [(True, 10), (False, 24)])
def test_estimates_scatter_around_the_truth_as_they_say(asymmetric, transposable, n_probes):
    matrix, numbers = asymmetric
    found = jacobian.blocks(matrix)
    sums = jacobian.per_species_pair(found, numbers)
    truth = {"all": jacobian.asymmetry(found), "HO": float(jacobian.ratio(*sums[1, 8]))}
    samples = [
        estimate(Matrix(matrix, transposable), numbers, n_probes, seed) for seed in range(60)
    ]
    for name, read in (("all", lambda e: e.total), ("HO", lambda e: e.pair(8, 1))):
        values, errors = np.array([read(sample) for sample in samples]).T
        # the mean of 60, within three of its errors and the bias of a root, error^2 / 2 value
        slack = 3 * values.std() / np.sqrt(60) + values.var() / truth[name]
        assert values.mean() == pytest.approx(truth[name], abs=slack)
        assert values.std() == pytest.approx(errors.mean(), rel=0.35)  # 60 samples: 10 %
    assert values.std() < 0.2 * truth[name]


@pytest.mark.parametrize("transposable", [True, False])
def test_norm_and_number_of_products(asymmetric, transposable):
    matrix, numbers = asymmetric
    products = Matrix(matrix, transposable)
    found = estimate(products, numbers, 50)
    norm = np.sqrt(found.full.sum((1, 2)).mean())
    assert norm == pytest.approx(np.linalg.norm(matrix), rel=0.1)  # 1/sqrt(50 x 2) and less
    assert found.n_products == products.n_products == 50 * 2 * (1 + transposable)


@pytest.mark.parametrize("transposable", [True, False])
def test_a_symmetric_jacobian_has_exactly_none(asymmetric, transposable):
    matrix, numbers = asymmetric
    value, error = estimate(Matrix(matrix + matrix.T, transposable), numbers, 5).total
    assert value < 1e-15  # rounding of sums
    assert error < 1e-15


def test_too_few_probes_are_refused(asymmetric):
    matrix, numbers = asymmetric
    with pytest.raises(InputError, match="expected 3 probes or more, got 2"):
        estimate(Matrix(matrix), numbers, 2)


def test_rows_of_one_source_are_those_of_the_whole(argon):
    """Where the cell is small every round has one source, and sees its blocks exactly."""
    structure, backend = argon
    forces = forces_of(backend, structure, "direct")
    matrix = dense(Differences(forces, structure.positions, 1e-4))
    found, lengths = jacobian.blocks(matrix), distances(structure, np.arange(32))
    plan = Plan(EDGES, 1, seed=5)
    (atom,), _ = sources(structure, 2 * plan.range_A, np.random.default_rng(5))
    (shells,) = probe(Matrix(matrix), structure, plan)
    both = 0.5 * (found.full[atom] + found.full[:, atom])
    expected = jacobian.shells(lengths[atom], found.antisymmetric[atom], both, EDGES)
    np.testing.assert_allclose(shells.antisymmetric, expected.antisymmetric, rtol=1e-12)
    np.testing.assert_allclose(shells.full, expected.full, rtol=1e-12)
    np.testing.assert_array_equal(shells.n_pairs, expected.n_pairs)


def test_sources_are_apart(argon):
    structure, _ = argon
    chosen, lengths = sources(structure, 4.5, np.random.default_rng(0))
    assert len(chosen) > 2
    among = lengths[:, chosen]
    assert among[~np.eye(len(chosen), dtype=bool)].min() > 4.5


@pytest.mark.parametrize("transposable", [True, False])
def test_probed_profile_is_that_of_the_whole(argon, transposable):
    structure, backend = argon
    forces = forces_of(backend, structure, "direct")
    matrix = dense(Differences(forces, structure.positions, 1e-4))
    found = jacobian.blocks(matrix)
    lengths = distances(structure, np.arange(32))
    whole = jacobian.profile([jacobian.shells(lengths, found.antisymmetric, found.full, EDGES)])
    rounds = probe(Matrix(matrix, transposable), structure, Plan(EDGES, 40))
    pooled = jacobian.profile(rounds)
    seen = pooled.n_pairs > 20
    assert seen.sum() >= 1
    difference = np.abs(pooled.ratio - whole.ratio)[seen]
    assert (difference < 4 * pooled.error[seen] + 1e-9).all()


def test_nothing_to_see_is_refused(argon):
    structure, _ = argon
    with pytest.raises(InputError, match="expected one round"):
        probe(Matrix(np.eye(96)), structure, Plan(EDGES, 0))
    with pytest.raises(InputError, match="no two atoms are within 1 A"):
        probe(Matrix(np.eye(96), False), structure, Plan(np.array([0.0, 1.0]), 1))


def test_the_step_of_differences_in_float64_and_float32(argon):
    """The noise that is reported is what the Jacobian is really off by, within a few times."""
    structure, backend = argon
    forces = forces_of(backend, structure, "conservative")
    exact = dense(Differences(forces, structure.positions, 1e-4))

    def rounded(r):
        return forces(r).astype(np.float32).astype(float)

    for function, fewest, most in ((forces, 1e-11, 1e-7), (rounded, 1e-6, 1e-2)):
        step = choose_step(function, structure.positions, columns(32, seed=1))
        assert fewest < step.noise < most
        matrix = dense(Differences(function, structure.positions, step.step_A))
        error = np.linalg.norm(matrix - exact) / np.linalg.norm(exact)
        assert error < max(4 * step.noise, 1e-7)  # 1e-7: of the reference
        assert jacobian.asymmetry(jacobian.blocks(matrix)) < max(4 * step.lambda_floor, 1e-7)


def test_collective_vectors_are_probes():
    vectors = collective(7)
    assert vectors.shape[1:] == (7, 3)
    np.testing.assert_array_equal(np.abs(vectors), 1.0)


def test_survey_says_how_many_products(argon):
    structure, _ = argon
    plan = Plan(EDGES, 2)
    random = np.random.default_rng(6)
    for transposable in (True, False):
        products = Matrix(random.normal(size=(96, 96)), transposable)
        found = survey.estimated(products, structure, plan, 4)
        expected = survey.n_products(products, structure, plan, 4)
        assert found.n_products == expected == products.n_products


def test_differences_need_a_step_and_have_no_transpose(argon):
    structure, backend = argon
    forces = forces_of(backend, structure, "direct")
    with pytest.raises(InputError, match="must be positive, got 0 A"):
        Differences(forces, structure.positions, 0)
    with pytest.raises(InputError, match="give J u alone"):
        Differences(forces, structure.positions, 1e-3).backward(np.ones((1, 32, 3)))
    still = Differences(forces, structure.positions, 1e-3).forward(np.zeros((1, 32, 3)))
    np.testing.assert_array_equal(still, 0.0)


def test_all_positions_of_differences_may_go_at_once(argon):
    """As to a model that takes batches, or to several processes: the same numbers, in one call."""
    structure, backend = argon
    forces, calls = forces_of(backend, structure, "direct"), []

    def together(several):
        calls.append(len(several))
        return np.array([forces(positions) for positions in several])

    vectors = np.random.default_rng(3).normal(size=(5, 32, 3))
    vectors[2] = 0.0  # moves nothing, and asks for nothing
    one = Differences(forces, structure.positions, 1e-4).forward(vectors)
    found = Differences(together, structure.positions, 1e-4, several=True).forward(vectors)
    np.testing.assert_array_equal(found, one)
    assert calls == [8]
    assert not one[2].any()


@pytest.mark.parametrize("decimals", [3, 4, 5])
def test_forces_of_few_digits_have_a_jacobian_and_noise(argon, decimals):
    """As a program's text output has them: short steps change no digit, which is no agreement."""
    structure, backend = argon
    exact = forces_of(backend, structure, "conservative")

    def rounded(positions):
        return np.round(exact(positions), decimals)

    vectors = columns(32, seed=1)
    step = choose_step(rounded, structure.positions, vectors)
    truth = Differences(exact, structure.positions, 1e-4).forward(vectors)
    found = Differences(rounded, structure.positions, step.step_A).forward(vectors)
    error = np.linalg.norm(found - truth) / np.linalg.norm(truth)
    assert 0.0 < error < 2.0 * step.noise < 0.5  # an estimate from two steps


def test_forces_that_do_not_change_have_no_noise():
    step = choose_step(np.ones_like, np.zeros((4, 3)), columns(4))
    assert (step.step_A, step.noise) == (0.1, 0.0)
