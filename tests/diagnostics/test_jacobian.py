"""The asymmetry of known Jacobians: whole, in parts, against distance, with its errors."""

import json

import numpy as np
import pytest

from ncforce_ipi.diagnostics import jacobian
from ncforce_ipi.diagnostics.finite_differences import Differences
from ncforce_ipi.diagnostics.products import WithoutNetForce, dense
from ncforce_ipi.errors import InputError
from tests.diagnostics.conftest import Matrix, forces_of
from tests.drivers import load


def lam(matrix):
    """From the definition."""
    return np.linalg.norm(matrix - matrix.T) / 2 / np.linalg.norm(matrix)


def test_whole_and_parts_by_their_definitions(asymmetric):
    matrix, numbers = asymmetric
    found = jacobian.blocks(matrix)
    assert jacobian.asymmetry(found) == pytest.approx(lam(matrix), rel=1e-12)
    a = (matrix - matrix.T) / 2
    third = slice(9, 12)  # of the fourth atom
    expected = np.linalg.norm(a[third]) / np.linalg.norm(matrix[third])
    assert jacobian.per_atom(found)[3] == pytest.approx(expected, rel=1e-12)
    sums = jacobian.per_species_pair(found, numbers)
    assert set(sums) == {(1, 1), (1, 8), (8, 8)}
    assert sum(both[1] for both in sums.values()) == pytest.approx((matrix**2).sum(), rel=1e-12)
    oxygen = np.repeat(numbers == 8, 3)
    part = matrix[np.ix_(oxygen, oxygen)]
    assert float(jacobian.ratio(*sums[8, 8])) == pytest.approx(lam(part), rel=1e-12)


def test_a_symmetric_matrix_has_none_and_an_antisymmetric_one_is_one(asymmetric):
    matrix, _ = asymmetric
    assert jacobian.asymmetry(jacobian.blocks(matrix + matrix.T)) == 0.0
    assert jacobian.asymmetry(jacobian.blocks(matrix - matrix.T)) == pytest.approx(1.0)
    assert jacobian.asymmetry(jacobian.blocks(np.zeros((6, 6)))) == 0.0


@pytest.mark.parametrize(("k", "s"), [(2.0, 0.3), (1.0, 0.0), (0.1, 5.0)])
def test_harmonic_wells_with_a_curl(k, s):
    """lambda = sqrt(2) s / sqrt(3 k^2 + 2 s^2), of the whole and of every atom."""
    arguments = json.dumps({"k_eV_per_A2": k, "swirl_eV_per_A2": s})
    backend = load("analytic", "--model", "harmonic", "--arguments", arguments)
    r = np.array([[0.1, 0.2, 0.3], [1.0, 0.0, 0.0]])
    structure = jacobian_structure(r)
    products = Differences(forces_of(backend, structure, "direct"), r, 1e-3)
    found = jacobian.blocks(dense(products))
    expected = np.sqrt(2) * s / np.sqrt(3 * k**2 + 2 * s**2)
    # forces are linear: rounding alone, 1e-16 / 1e-3
    assert jacobian.asymmetry(found) == pytest.approx(expected, abs=1e-12)
    np.testing.assert_allclose(jacobian.per_atom(found), expected, atol=1e-12)


def jacobian_structure(positions):
    from ncforce_ipi.backend import Structure

    return Structure(np.full(len(positions), 18, np.int32), positions, np.zeros((3, 3)))


def test_conservative_forces_have_none_and_swirls_have_some(argon):
    structure, backend = argon
    values = {}
    for kind in ("conservative", "direct"):
        forces = forces_of(backend, structure, kind)
        found = jacobian.blocks(dense(Differences(forces, structure.positions, 1e-4)))
        values[kind] = jacobian.asymmetry(found)
    # h^2 F'''/6 with F'''/F' ~ (13/3.8 A)^2 is 2e-8 of J
    assert values["conservative"] < 1e-7
    assert values["direct"] > 0.05


def test_net_force_removal_lowers_what_it_should(asymmetric):
    """||J||^2 falls by ||QJ||^2, ||A||^2 by half of it, if J doesn't feel translations."""
    matrix, _ = asymmetric
    q = np.kron(np.full((12, 12), 1 / 12), np.eye(3))
    matrix = matrix @ (np.eye(36) - q)
    removed = dense(WithoutNetForce(Matrix(matrix)))
    np.testing.assert_allclose(removed, matrix - q @ matrix, atol=1e-14)
    np.testing.assert_allclose(dense(WithoutNetForce(Matrix(matrix, False))), removed, atol=1e-14)
    lost = np.linalg.norm(q @ matrix) ** 2
    before, after = jacobian.blocks(matrix), jacobian.blocks(removed)
    assert before.full.sum() - after.full.sum() == pytest.approx(lost)
    assert before.antisymmetric.sum() - after.antisymmetric.sum() == pytest.approx(lost / 2)
    assert jacobian.asymmetry(after) < jacobian.asymmetry(before)


def test_net_force_removal_and_conservative_forces(asymmetric):
    """Nothing happens to one that doesn't feel translations; one in a field turns asymmetric."""
    matrix, _ = asymmetric
    hessian = matrix + matrix.T
    centre = np.eye(36) - np.kron(np.full((12, 12), 1 / 12), np.eye(3))
    free = centre @ hessian @ centre
    np.testing.assert_allclose(dense(WithoutNetForce(Matrix(free))), free, atol=1e-13)
    assert lam(dense(WithoutNetForce(Matrix(hessian)))) > 0.05


def test_shells_hold_every_pair_once(asymmetric):
    matrix, _ = asymmetric
    found = jacobian.blocks(matrix)
    points = np.random.default_rng(3).uniform(0, 5, (12, 3))
    r = np.linalg.norm(points[:, None] - points[None], axis=2)
    edges = np.linspace(0, 10, 11)
    shells = jacobian.shells(r, found.antisymmetric, found.full, edges)
    assert shells.n_pairs.sum() == 12 * 11
    off = ~np.eye(12, dtype=bool)
    assert shells.full.sum() == pytest.approx(found.full[off].sum())
    profile = jacobian.profile([shells])
    second = (r >= 2) & (r < 3)
    expected = np.sqrt(found.full[second].mean())
    assert profile.full[2] == pytest.approx(expected)
    expected = np.sqrt(found.antisymmetric[second].sum() / found.full[second].sum())
    assert profile.ratio[2] == pytest.approx(expected)
    assert np.isnan(profile.ratio[-1])  # no pairs there
    assert np.isnan(profile.error).all()  # one set of shells


def test_jackknife_is_the_spread_of_repeated_experiments():
    """Ratios of means of exponential samples: the error reported is that of the ratio."""
    random = np.random.default_rng(4)
    values, errors = [], []
    for _ in range(400):
        full = random.exponential(1.0, 30)
        value, error = jacobian.jackknife(0.01 * random.exponential(1.0, 30), full)
        values.append(value)
        errors.append(error)
    # 400 experiments give a standard deviation to 4 %, jackknife is right to some 10 % at n = 30
    assert np.mean(errors) == pytest.approx(np.std(values), rel=0.15)


def test_what_is_no_jacobian_is_refused():
    with pytest.raises(InputError, match=r"expected a Jacobian \(3 n, 3 n\), got \(4, 4\)"):
        jacobian.blocks(np.zeros((4, 4)))
    one = jacobian.shells(np.ones(1), np.ones(1), np.ones(1), np.array([0.0, 1.0]))
    other = jacobian.shells(np.ones(1), np.ones(1), np.ones(1), np.array([0.0, 2.0]))
    with pytest.raises(InputError, match="same edges"):
        jacobian.profile([one, other])
