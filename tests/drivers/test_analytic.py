"""What is known of the analytic models: energies, Jacobians, work along a loop; their options."""

import json

import numpy as np
import pytest

from ncforce_ipi.backend import Structure, Wanted
from ncforce_ipi.errors import InputError
from tests.drivers import load

BOTH = Wanted(frozenset(["conservative", "direct"]), direct_energy=True, direct_virial=True)
DIRECT = Wanted(frozenset(["direct"]))
STEP_A = 1e-5  # of derivatives of forces: STEP^2 F''' / 6 and rounding / STEP are 1e-10 eV/A^2


def make(name, **arguments):
    return load("analytic", "--model", name, "--arguments", json.dumps(arguments))


def atoms(*positions, cell=None):
    numbers = np.full(len(positions), 18, np.int32)
    return Structure(
        numbers, np.array(positions, float), np.zeros((3, 3)) if cell is None else cell
    )


def direct(backend, positions):
    return backend.evaluate(atoms(*positions), DIRECT)["direct"].forces


def jacobian(backend, positions):
    """dF_i/dr_j of the direct forces, ``(3n, 3n)``, eV/A^2."""
    r = np.array(positions, float)
    columns = []
    for step in STEP_A * np.eye(r.size):
        ahead, behind = (direct(backend, r + sign * step.reshape(r.shape)) for sign in (1, -1))
        columns.append((ahead - behind).ravel() / (2 * STEP_A))
    return np.array(columns).T


def work(backend, positions, moving, radius, around):
    """Work on one atom along a circle, counter-clockwise seen from +z, eV."""
    total, n = 0.0, 200  # the integrand is smooth and periodic: equal steps are exact
    for angle in 2 * np.pi * np.arange(n) / n:
        positions[moving] = around + radius * np.array([np.cos(angle), np.sin(angle), 0.0])
        tangent = radius * np.array([-np.sin(angle), np.cos(angle), 0.0])
        total += direct(backend, positions)[moving] @ tangent * 2 * np.pi / n
    return total


def test_harmonic_forces_and_energy():
    backend = make("harmonic", k_eV_per_A2=2.0, swirl_eV_per_A2=0.5, sites_A=[[1, 0, 0], [0, 0, 3]])
    result = backend.evaluate(atoms([1.5, 0, 0], [0, 1, 3]), BOTH)
    np.testing.assert_allclose(result["conservative"].forces, [[-1, 0, 0], [0, -2, 0]], atol=1e-15)
    np.testing.assert_allclose(result["direct"].forces, [[-1, 0.25, 0], [-0.5, -2, 0]], atol=1e-15)
    assert result["conservative"].energy == pytest.approx(0.25 + 1.0)
    assert result["direct"].energy == result["conservative"].energy


def test_harmonic_jacobian_asymmetry():
    k, s = 2.0, 0.3
    j = jacobian(make("harmonic", k_eV_per_A2=k, swirl_eV_per_A2=s), [[0.1, 0.2, 0.3], [1, 0, 0]])
    asymmetry = np.linalg.norm(j - j.T) / 2 / np.linalg.norm(j)
    assert asymmetry == pytest.approx(np.sqrt(2) * s / np.sqrt(3 * k**2 + 2 * s**2), rel=1e-8)


def test_harmonic_work_of_a_loop():
    backend = make("harmonic", swirl_eV_per_A2=0.3)
    found = work(backend, np.zeros((1, 3)), 0, 0.7, np.zeros(3))
    assert found == pytest.approx(2 * np.pi * 0.7**2 * 0.3, rel=1e-12)


def test_lennard_jones_dimer():
    """At the minimum of the potential without a cutoff, whose shift is known."""
    epsilon, sigma, c = 0.5, 1.0, 2.5
    backend = make("lennard-jones", epsilon_eV=epsilon, sigma_A=sigma, cutoff_A=c)
    r = 2 ** (1 / 6)
    shift = 4 * epsilon * (c**-12 - c**-6)
    slope = -24 * epsilon * (2 * c**-12 - c**-6) / c
    result = backend.evaluate(atoms([0, 0, 0], [r, 0, 0]), BOTH)["conservative"]
    assert result.energy == pytest.approx(-epsilon - shift - (r - c) * slope, rel=1e-12)
    np.testing.assert_allclose(result.forces, [[-slope, 0, 0], [slope, 0, 0]], atol=1e-13)
    np.testing.assert_allclose(result.virial, np.diag([r * slope, 0, 0]), atol=1e-13)


def test_lennard_jones_vanishes_at_the_cutoff():
    backend = make("lennard-jones", sigma_A=1.0, cutoff_A=2.5)
    near = backend.evaluate(atoms([0, 0, 0], [2.5 - 1e-6, 0, 0]), BOTH)["conservative"]
    assert abs(near.energy) < 1e-12
    assert np.abs(near.forces).max() < 1e-6
    far = backend.evaluate(atoms([0, 0, 0], [2.5 + 1e-6, 0, 0]), BOTH)["direct"]
    np.testing.assert_array_equal(far.forces, 0.0)


def test_swirls_of_pairs_have_the_jacobian_of_the_formula():
    s, c = 0.2, 3.0
    backend = make("lennard-jones", epsilon_eV=0.0, cutoff_A=c, swirl_eV_per_A2=s)
    positions = np.array([[0.0, 0.0, 0.0], [0.9, -0.7, 1.1]])
    d = positions[0] - positions[1]
    r = np.linalg.norm(d)
    z = np.array([[0, -1, 0], [1, 0, 0], [0, 0, 0]], float)
    w, slope = s * (1 - r**2 / c**2) ** 2, -4 * s * r / c**2 * (1 - r**2 / c**2)
    block = w * z + slope / r * np.outer(z @ d, d)  # dF_0/dr_0
    expected = np.block([[block, -block], [-block, block]])
    found = jacobian(backend, positions)
    np.testing.assert_allclose(found, expected, atol=1e-9)  # STEP_A
    anti = w * z + slope / (2 * r) * (np.outer(z @ d, d) - np.outer(d, z @ d))
    np.testing.assert_allclose((found - found.T)[:3, :3] / 2, anti, atol=1e-9)


def test_the_work_around_a_neighbour():
    s, c, radius = 0.2, 3.0, 1.3
    backend = make("lennard-jones", sigma_A=1.0, cutoff_A=c, swirl_eV_per_A2=s)
    positions = np.array([[0.0, 0.0, 0.0], [9.0, 0.0, 0.0]])
    found = work(backend, positions, 1, radius, np.zeros(3))
    assert found == pytest.approx(2 * np.pi * radius**2 * s * (1 - radius**2 / c**2) ** 2, rel=1e-9)


def test_the_swirls_of_pairs_sum_to_zero():
    backend = make("lennard-jones", sigma_A=1.0, cutoff_A=3.0, swirl_eV_per_A2=0.1)
    positions = np.random.default_rng(0).uniform(0, 4, (6, 3))
    forces = backend.evaluate(atoms(*positions, cell=4.0 * np.eye(3)), BOTH)["direct"].forces
    np.testing.assert_allclose(forces.sum(axis=0), 0.0, atol=1e-9 * np.abs(forces).max())


def test_a_file(tmp_path):
    path = tmp_path / "wells.json"
    path.write_text('{"model": "harmonic", "k_eV_per_A2": 3.0}')
    backend = load("analytic", "--model", str(path), "--arguments", '{"swirl_eV_per_A2": 0.0}')
    assert backend.source == path
    np.testing.assert_array_equal(direct(backend, [[1, 1, 0]]), [[-3, -3, 0]])


@pytest.mark.parametrize(
    ("model", "arguments", "match"),
    [
        ("morse", "{}", "expected harmonic, lennard-jones or a JSON file, got 'morse'"),
        ("harmonic", "{", "--arguments is not JSON"),
        ("harmonic", "[1]", "--arguments: expected an object"),
        ("harmonic", '{"k": 1}', "harmonic has no k; it has k_eV_per_A2"),
        ("lennard-jones", '{"model": "morse"}', 'expected "model": harmonic or lennard-jones'),
        ("harmonic", '{"k_eV_per_A2": "x"}', "k_eV_per_A2: expected a number, got 'x'"),
    ],
)
def test_bad_options(model, arguments, match):
    with pytest.raises(InputError, match=match) as caught:
        load("analytic", "--model", model, "--arguments", arguments)
    assert "\n" not in str(caught.value)


def test_sites_of_another_number_of_atoms():
    backend = make("harmonic", sites_A=[[0, 0, 0], [1, 0, 0]])
    with pytest.raises(InputError, match=r"expected shape \(1, 3\) or \(3, 3\), got \(2, 3\)"):
        backend.evaluate(atoms([0, 0, 0], [1, 0, 0], [2, 0, 0]), BOTH)
