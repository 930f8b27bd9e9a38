"""What is heat, and what isn't, is seen in the velocities themselves."""

from dataclasses import replace

import numpy as np
import pytest

from ncforce_ipi.analysis.freedom import freedom_of, in_common, none_free
from ncforce_ipi.analysis.temperature import degrees_of_freedom, kinetic_energy, temperature
from ncforce_ipi.units import BOLTZMANN_EV_PER_K, U_A2_PER_FS2_EV

SPECIES = np.array(["O", "H", "H"] * 4)
MASSES_U = np.array([15.999, 1.008, 1.008] * 4)
KELVIN = 300.0
N_FRAMES = 64


def thermal(n_frames: int = N_FRAMES, seed: int = 3) -> np.ndarray:
    """Velocities of independent atoms, (n_frames, n_atoms, 3), A/fs."""
    velocities = np.random.default_rng(seed).normal(size=(n_frames, len(SPECIES), 3))
    variance = BOLTZMANN_EV_PER_K * KELVIN / (U_A2_PER_FS2_EV * MASSES_U)
    return velocities * np.sqrt(variance)[:, None]


def centre(velocities) -> np.ndarray:
    return np.einsum("fac,a->fc", velocities, MASSES_U / MASSES_U.sum())[:, None]


def at_rest(**options) -> np.ndarray:
    velocities = thermal(**options)
    return velocities - centre(velocities)


def kelvin(velocities, found) -> float:
    """Of all frames, by what was found."""
    kinetic_eV = kinetic_energy(found.heat(velocities), MASSES_U)
    return float(temperature(kinetic_eV, found.dof()).mean())


# 4 standard errors of the mean of chi-squared numbers: n frames of 33 or 36 degrees of freedom
CLOSE = 4.0 * np.sqrt(2.0 / (N_FRAMES * 33))


@pytest.mark.parametrize("digits", [None, 6, 4])
def test_centre_at_rest_within_the_digits_of_a_file(digits):
    velocities = at_rest()
    if digits:
        velocities = np.array([float(f"{v:.{digits}g}") for v in velocities.ravel()])
        velocities = velocities.reshape(N_FRAMES, 12, 3)
    found = freedom_of(velocities, MASSES_U)
    assert found.centre == ("at rest",) * 3
    assert found.dof() == pytest.approx(33.0, abs=1e-9)
    for symbol in "OH":
        members = symbol == SPECIES
        expected = degrees_of_freedom(MASSES_U, members)
        assert found.dof(members) == pytest.approx(expected, abs=1e-9)
    assert found.heat(velocities) is velocities
    assert kelvin(velocities, found) == pytest.approx(KELVIN, rel=CLOSE)


def test_free_centre_is_a_degree_of_freedom():
    velocities = thermal(2000)
    found = freedom_of(velocities[::32], MASSES_U)
    assert found.centre == ("free",) * 3
    assert found.dof() == 36.0
    assert found.kinetic_eV == 0.0
    assert kelvin(velocities, found) == pytest.approx(KELVIN, rel=CLOSE)


@pytest.mark.parametrize("speed", [1e-3, 0.1])
def test_flying_ice_cube_is_not_heat(speed):
    """100 m/s and 10 km/s, the first little more than the centre of mass has at 300 K."""
    still = at_rest()
    velocities = still + np.array([speed, 0.0, 0.0])
    found = freedom_of(velocities, MASSES_U)
    assert found.centre == ("constant", "at rest", "at rest")
    assert found.dof() == pytest.approx(33.0)
    assert np.allclose(found.heat(velocities), still, rtol=0.0, atol=1e-15)  # rounding of 0.1
    expected = 0.5 * U_A2_PER_FS2_EV * MASSES_U.sum() * speed**2
    assert found.kinetic_eV == pytest.approx(expected, rel=1e-9)
    words = " ".join(text for _, text in found.lines())
    assert f"({1e5 * speed:.3g} m/s on average), is not counted as heat" in words
    assert "constant velocity along x, the centre of mass is at rest along y" in words


@pytest.mark.parametrize("factor", [0.3, 3.0])
def test_centre_that_is_driven_is_not_heat(factor):
    """A total momentum that varies, but not as heat would make it: forces that don't add to 0."""
    velocities = thermal(2000)
    velocities += (factor - 1.0) * centre(velocities)
    found = freedom_of(velocities[::8], MASSES_U)
    assert found.centre == ("moving",) * 3
    assert found.dof() == pytest.approx(33.0)
    assert kelvin(velocities, found) == pytest.approx(KELVIN, rel=CLOSE)
    assert "the centre of mass moves, which isn't shown to be heat" in found.lines()[0][1]


def test_few_frames_are_not_taken_for_heat_unless_the_run_says_so():
    for said, expected in ((False, "moving"), (True, "free")):
        found = freedom_of(thermal(1), MASSES_U, said_free=said)
        assert found.centre == (expected,) * 3


def test_atoms_that_never_move_are_no_degrees_of_freedom():
    velocities = thermal()
    velocities[:, :3] = 0.0
    velocities[:, 3, 2] = 0.0
    found = freedom_of(velocities, MASSES_U)
    assert found.n_fixed == 3
    assert found.centre == ("free",) * 3  # it is held by the fixed atoms
    assert found.dof() == 3 * 9 - 1
    assert found.dof(SPECIES == "O") == 3 * 3 - 1
    assert found.dof(np.arange(12) < 3) == 0.0
    assert kelvin(velocities, found) == pytest.approx(KELVIN, rel=CLOSE)
    words = [text for _, text in found.lines()]
    assert "3 of 12 atoms never move" in words
    assert "1 components of other atoms never move" in words


def test_plane_has_two_dimensions():
    velocities = at_rest()
    velocities[..., 2] = 0.0
    found = freedom_of(velocities, MASSES_U)
    assert found.dof() == pytest.approx(2 * 12 - 2)
    assert found.n_fixed == 0


@pytest.mark.parametrize(("moves", "dof"), [("thermally", 3.0), ("straight on", 0.0)])
def test_one_atom(moves, dof):
    velocities = thermal()[:, :1]
    if moves == "straight on":
        velocities = np.repeat(velocities[:1], N_FRAMES, axis=0)
    assert freedom_of(velocities, MASSES_U[:1]).dof() == dof


def test_nothing_moves():
    found = freedom_of(np.zeros((4, 12, 3)), MASSES_U)
    assert found.dof() == pytest.approx(33.0)


def test_replicas_count_alike():
    free, still = freedom_of(thermal(), MASSES_U), freedom_of(at_rest(), MASSES_U)
    one, other = in_common([free, still])
    assert one.dof() == other.dof() == pytest.approx(33.0)
    assert none_free(free).centre == one.centre == ("moving",) * 3
    assert [found.centre for found in in_common([free, free])] == [("free",) * 3] * 2


def test_constraints_take_degrees_of_freedom_of_the_whole():
    found = replace(freedom_of(at_rest(), MASSES_U), n_constraints=8)
    assert found.dof() == pytest.approx(33.0 - 8.0)
    assert sum(found.dof(symbol == SPECIES) for symbol in "OH") == pytest.approx(25.0)
    assert "8 constraints of the checkpoint are taken off" in found.lines()[1][1]
