"""Temperatures of species that time steps make, against the steps' own Hamiltonian."""

import numpy as np
import pytest
from scipy.linalg import logm

from ncforce_ipi.diagnostics import resonance
from ncforce_ipi.diagnostics.equipartition import kinetic_shares, species_temperatures
from ncforce_ipi.errors import InputError
from tests.diagnostics.test_pair import STEP_FS, omega, step_matrix


def forces(wavenumbers, difference, seed=0):
    """Coupled symmetric D_slow, D_fast; negative wavenumbers are negative curvatures."""
    random = np.random.default_rng(seed)
    n = len(wavenumbers)
    q, _ = np.linalg.qr(random.normal(size=(n, n)))
    k = omega(wavenumbers)
    slow = q @ np.diag(k * np.abs(k)) @ q.T
    noise = difference * random.normal(size=(n, n))
    return slow, slow + 0.5 * (noise + noise.T)


@pytest.mark.parametrize("mts", [1, 2, 4, 8])
def test_second_moments_are_those_of_the_steps_own_hamiltonian(mts):
    """All modes coupled, one at a saddle: from the logarithm of the whole map."""
    slow, fast = forces([-200.0, 300.0, 900.0, 1700.0, 3400.0, 3700.0], 0.004)
    n = len(slow)
    step = step_matrix(slow, fast, mts)
    turned = np.block([[np.zeros((n, n)), -np.eye(n)], [np.eye(n), np.zeros((n, n))]])
    hessian = turned @ logm(step).real / (mts * STEP_FS)
    expected = np.diag(np.linalg.inv(hessian[n:, n:]))
    found = kinetic_shares(slow, fast, mts, STEP_FS)[-1]
    np.testing.assert_allclose(found, expected, rtol=1e-7)  # rounding of the logarithm
    alone = kinetic_shares(fast, fast, mts, STEP_FS)[-1]
    assert np.abs(found - alone).max() > (1e-4 if mts > 1 else 1e-5), "the difference counts"


def test_one_mode_is_as_in_the_theory_of_single_modes():
    """In every half turn up to M = 16; NaN there is where it grows: velocity Verlet's instead."""
    k, delta = omega([1650.0, 3400.0, 4500.0]), np.array([0.03, 0.3, 0.05])
    fast = np.diag(k**2)
    slow = fast * (1 + delta)
    shares = kinetic_shares(slow, fast, 16, STEP_FS)
    alone = resonance.kinetic_ratio(k, np.zeros(3), 1, STEP_FS)
    some_grow = False
    for mts, found in enumerate(shares, 1):
        single = resonance.kinetic_ratio(k, delta, mts, STEP_FS)
        some_grow |= bool(np.isnan(single).any())
        np.testing.assert_allclose(found, np.where(np.isnan(single), alone, single), rtol=1e-9)
    assert some_grow


def test_one_force_and_small_steps():
    """1 - h^2 D / 6, any M; the next term is (omega h)^4 / 180 = 2.2e-6 at 1500 cm^-1."""
    slow, _ = forces([100.0, 500.0, 1500.0], 0.0)
    for found in kinetic_shares(slow, slow, 3, STEP_FS):
        np.testing.assert_allclose(found, 1 - STEP_FS**2 * np.diag(slow) / 6, rtol=0, atol=2.5e-6)


def test_both_atoms_of_a_free_molecule_are_as_warm_as_their_one_relative_motion():
    """Each has 3 - 3 m/M degrees of freedom with the centre of mass at rest."""
    numbers, masses = np.array([8, 1], np.int32), np.array([16.0, 1.0])
    bond = np.array([0, 0, np.sqrt(1 / 17), 0, 0, -np.sqrt(16 / 17)])  # mass-weighted stretch
    d = omega(3600.0) ** 2 * np.outer(bond, bond)
    (shares,) = kinetic_shares(d, d, 1, STEP_FS)
    assert shares.sum() < 6 - 0.01, "the stretch is colder"
    assert species_temperatures(shares, numbers, masses) == pytest.approx({8: 1.0, 1: 1.0})


def test_hydrogen_is_colder_where_its_bonds_are_the_stiff_ones():
    """H bound to a fixed frame, O free: the ratio of their single modes."""
    numbers, masses = np.array([8, 8, 1], np.int32), np.array([16.0, 16.0, 1.0])
    d = np.zeros((9, 9))
    d[6:, 6:] = omega(3600.0) ** 2 * np.eye(3)
    (shares,) = kinetic_shares(d, d, 1, STEP_FS)
    stretch = float(resonance.kinetic_ratio(omega([3600.0]), np.zeros(1), 1, STEP_FS)[0])
    np.testing.assert_allclose(shares, [1] * 6 + [stretch] * 3, rtol=1e-12)
    found = species_temperatures(shares, numbers, masses)
    weight = 3.0 / 33.0
    expected = ((3 * stretch - weight) / (3 - weight)) / ((6 + 3 * stretch - 3) / 6)
    assert found[1] == pytest.approx(expected, rel=1e-12)
    assert found[1] < 1 < found[8]


def test_an_inner_step_that_is_too_long():
    d = np.array([[omega(3600.0) ** 2]])
    with pytest.raises(InputError, match=r"inner step of 4.0 fs can't integrate"):
        kinetic_shares(d, d, 1, 4.0)
