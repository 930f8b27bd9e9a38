"""Maxwell's distribution is found where it is, and what differs from it is noticed."""

import numpy as np
import pytest

from ncforce_ipi.analysis.maxwell import Collector
from ncforce_ipi.errors import InputError
from ncforce_ipi.units import BOLTZMANN_EV_PER_K, U_A2_PER_FS2_EV

SPECIES = np.array(["O", "H", "H"] * 4)
MASSES_U = np.array([15.999, 1.008, 1.008] * 4)
AT_REST = np.repeat(MASSES_U[:, None] / MASSES_U.sum(), 3, axis=1)  # the centre of mass


def gaussian(n_frames: int, temperature_K: float, seed: int = 1) -> np.ndarray:
    """Velocities with the centre of mass at rest, (n_frames, n_atoms, 3), A/fs."""
    variance = BOLTZMANN_EV_PER_K * temperature_K / (U_A2_PER_FS2_EV * MASSES_U)
    velocities = np.random.default_rng(seed).normal(size=(n_frames, len(SPECIES), 3))
    velocities *= np.sqrt(variance)[:, None]
    return velocities - np.einsum("a,fac->fc", MASSES_U / MASSES_U.sum(), velocities)[:, None]


def collected(blocks, temperature_K=300.0, shares=None):
    collector = Collector(
        SPECIES, MASSES_U, temperature_K, shares=AT_REST if shares is None else shares
    )
    for block in blocks:
        collector.add(block)
    return collector.distributions()


@pytest.mark.parametrize("bins_for_K", [1.0, 30.0, 250.0, 360.0, 3000.0])
def test_gaussian_velocities_are_found_so_in_whatever_bins(bins_for_K):
    found = collected(np.split(gaussian(4000, 300.0), 8), bins_for_K)
    assert list(found) == ["H", "O"]
    for species, shown in found.items():
        # relative error of <v^2> from 3 n_frames n_atoms numbers, 4 sigma
        n_numbers = 3 * 4000 * np.count_nonzero(species == SPECIES)
        assert shown.temperature_K == pytest.approx(300.0, rel=4 * np.sqrt(2 / n_numbers))
        assert shown.sigmas < 4.0
        assert shown.excess_kurtosis.error < 0.06  # sqrt(24 / n_numbers), 0.022 for 48000
        # 100 bins, of which those in the tails have few counts; 8 blocks: t-distributed
        inside = np.abs(shown.scaled) < 2.5
        off = np.abs(shown.density - shown.gaussian)[inside] / shown.error[inside]
        assert np.mean(off < 2.0) > 0.85
        assert np.sum(shown.density) * 0.1 == pytest.approx(1.0, abs=1e-3)
        # 1 but for the bins' width, 0.1^2 / 12, and 4 sigma of 48000 numbers or more
        assert shown.density @ shown.scaled**2 * 0.1 == pytest.approx(1.0, abs=0.001 + 0.026)


def test_bins_grow_with_the_temperature():
    """Half of the frames at 100 times T: what was counted before has its place in wider bins."""
    velocities = gaussian(2000, 300.0)
    velocities[1000:] *= 10.0
    for species, shown in collected(np.split(velocities, 8)).items():
        sigma = np.sqrt(0.5 * (1.0 + 100.0))  # of all, in units of the colder half's
        near = np.exp(-0.5 * (sigma * shown.scaled) ** 2)
        far = 0.1 * np.exp(-0.5 * (0.1 * sigma * shown.scaled) ** 2)
        truth = 0.5 * sigma / np.sqrt(2 * np.pi) * (near + far)
        n_numbers = 3 * 1000 * np.count_nonzero(species == SPECIES)
        outside = np.abs(shown.scaled) > 0.5  # a bin holds half of the colder ones
        # 4 sigma of the counts of one bin, of which none has more than 0.04 of all
        off = np.abs(shown.density - truth)[outside] * 0.1
        assert off.max() < 4 * np.sqrt(0.04 / n_numbers)
        assert np.sum(shown.density) * 0.1 == pytest.approx(1.0, abs=1e-3)


def test_atoms_at_two_temperatures_are_no_gaussian():
    """Two thirds at T and a third at 2 T: <v^4> / <v^2>^2 = 3 (2/3 + 4/3) / (4/3)^2 = 3.375."""
    velocities = gaussian(3000, 300.0)
    velocities[::3] *= np.sqrt(2.0)
    for shown in collected(np.split(velocities, 5)).values():
        found = shown.excess_kurtosis
        assert found.value == pytest.approx(0.375, abs=4 * found.error)
        assert shown.sigmas > 5.0


def test_few_blocks_have_no_error():
    assert np.isnan(collected([gaussian(20, 300.0)])["O"].error).all()


def test_atoms_that_never_move_are_left_out():
    velocities = gaussian(20, 300.0)
    moving = np.ones((12, 3), dtype=bool)
    moving[SPECIES == "O"] = False
    moving[1, 2] = False  # of one atom along z
    found = collected([velocities], shares=np.where(moving, 0.0, 1.0))
    assert list(found) == ["H"]
    others = [velocities[:, [atom for atom in range(2, 12) if SPECIES[atom] == "H"]]]
    scaled = others[0] ** 2
    expected = 3.0 * (scaled**2).mean() / scaled.mean() ** 2 / 3.0 - 3.0
    assert found["H"].excess_kurtosis.value == pytest.approx(expected, rel=1e-9)


def test_refusals():
    with pytest.raises(InputError, match="no velocities to see"):
        collected([])
    with pytest.raises(InputError, match="all velocities of H are 0"):
        collected([np.zeros((3, 12, 3))])


@pytest.mark.parametrize(("springs", "expected"), [(0, -6.0 / 38), (36, -6.0 / 74)])
def test_conserved_energy_takes_something_off_the_kurtosis(springs, expected):
    """Points of a sphere of n = 36 momenta, and as many displacements in springs: -6 / (n + 2)."""
    rng = np.random.default_rng(8)
    phase = rng.normal(size=(40_000, 36 + springs))
    phase *= np.sqrt((36 + springs) / np.sum(phase**2, axis=1, keepdims=True))
    velocities = phase[:, :36].reshape(-1, 12, 3) * 1e-3
    collector = Collector(SPECIES, np.ones(12), 300.0, shares=np.zeros((12, 3)))
    for block in np.split(velocities, 8):
        collector.add(block)
    for shown in collector.distributions().values():
        assert shown.excess_kurtosis.value == pytest.approx(
            expected, abs=4 * shown.excess_kurtosis.error
        )
        assert shown.sigmas > 3.0
