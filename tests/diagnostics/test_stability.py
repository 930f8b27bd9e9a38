"""Verdicts on a pair whose stiffness is known through noisy finite differences only."""

import dataclasses
import zlib

import numpy as np
import pytest

from ncforce_ipi.backend import Backend, Evaluation, Structure
from ncforce_ipi.diagnostics import resonance
from ncforce_ipi.diagnostics.inspection import GROWING_PER_PS
from ncforce_ipi.diagnostics.pair import inspect_pair, masses
from ncforce_ipi.diagnostics.products import dense
from ncforce_ipi.diagnostics.sides import Side
from ncforce_ipi.diagnostics.stability import exact_or_differences, growths, measure_stiffness

STEP_FS = 0.5
N_BONDS = 4
K_BOND, K_WEAK = 43.0, 0.5  # eV/A^2: O-H stretches near 3500 cm^-1, and what holds bonds together
GOOD, BAD = 0.02, 0.4  # a stretch of 3500 cm^-1 may differ by 0.2 at M h = 4 fs
FLOAT32_EV_PER_A = 1e-6  # forces of a few eV/A in single precision, summed over neighbours


def geometry():
    """Four O-H bonds, far apart and in random directions."""
    random = np.random.default_rng(0)
    oxygen = 3.0 * random.normal(size=(N_BONDS, 3))
    along = random.normal(size=(N_BONDS, 3))
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    positions = np.stack([oxygen, oxygen + 0.97 * along], axis=1).reshape(-1, 3)
    numbers = np.array([8, 1] * N_BONDS, np.int32)
    return Structure(numbers, positions, np.zeros((3, 3))), along


def stiffnesses(delta):
    """Minus the Jacobians ``(24, 24)``, eV/A^2: slow is symmetric, fast has an asymmetry of 3e-3.

    Springs between all atoms, so that translations cost nothing.
    """
    structure, along = geometry()
    n = len(structure.numbers)
    slow, fast = np.zeros((2, 3 * n, 3 * n))
    for i in range(n):
        for j in range(i):
            pattern = np.zeros((3 * n, 3))
            pattern[3 * i : 3 * i + 3], pattern[3 * j : 3 * j + 3] = np.eye(3), -np.eye(3)
            weak = K_WEAK * pattern @ pattern.T
            slow, fast = slow + weak, fast + weak
    for bond, u in enumerate(along):
        pattern = np.zeros(3 * n)
        pattern[6 * bond : 6 * bond + 3], pattern[6 * bond + 3 : 6 * bond + 6] = u, -u
        stretch = K_BOND * np.outer(pattern, pattern)
        slow, fast = slow + (1 + delta) * stretch, fast + stretch
    m = np.random.default_rng(1).normal(size=fast.shape)
    m -= m.T
    return slow, fast + 3e-3 * np.linalg.norm(fast) / np.linalg.norm(m) * m


class Linear(Backend):
    """Forces -K x of one kind, with noise that depends on the positions alone."""

    def __init__(self, stiffness, kind, noise):
        self.stiffness, self.kind, self.noise = stiffness, kind, noise
        self.kinds = frozenset({kind})
        self.description = f"linear {kind}"
        self.origin = geometry()[0].positions

    def evaluate(self, structure, wanted):
        x = (structure.positions - self.origin).ravel()
        random = np.random.default_rng(zlib.crc32(structure.positions.tobytes()))
        noise = self.noise * random.normal(size=structure.positions.shape)
        forces = -(self.stiffness @ x).reshape(-1, 3) + noise
        return {self.kind: Evaluation(0.0, forces, np.full((3, 3), np.nan))}


def pair(delta, noise):
    slow, fast = stiffnesses(delta)
    return (
        Side(Linear(slow, "conservative", noise), "conservative"),
        Side(Linear(fast, "direct", noise), "direct", keep_net_force=True),
    )


def exact_growth(delta):
    """Largest growth rate for M = 1 ... 16 ``(16,)``, 1/ps, from the matrices themselves."""
    mass = masses(geometry()[0], {})
    slow, fast = (resonance.stiffness(-k, mass) for k in stiffnesses(delta))
    found = resonance.maps(slow, fast, 16, STEP_FS)
    return np.array([resonance.growth(a, m, STEP_FS).max() for m, a in enumerate(found, 1)])


def rows(delta, noise):
    return inspect_pair(*pair(delta, noise), [geometry()[0]], step_fs=STEP_FS).rows


def test_a_good_pair_is_good_in_spite_of_noise():
    found = rows(GOOD, FLOAT32_EV_PER_A)
    assert (exact_growth(GOOD)[:8] < GROWING_PER_PS).all()
    assert [row.stability for row in found[:8]] == ["stable"] * 8


def test_a_bad_pair_is_bad_in_spite_of_noise():
    found = rows(BAD, FLOAT32_EV_PER_A)
    assert exact_growth(BAD)[7] > 1.0
    assert found[7].stability == "grows"
    # noise of 1e-4 in the stiffness moves this rate by about as much
    assert found[7].worst_per_ps == pytest.approx(exact_growth(BAD)[7], rel=1e-2)


def test_noise_alone_would_have_rejected_the_good_pair():
    """Without symmetry of the slow matrix modes grow even at M = 1."""
    structure = geometry()[0]
    mass = masses(structure, {})
    raw = [
        resonance.stiffness(dense(exact_or_differences(side, structure)[0]), mass)
        for side in pair(GOOD, FLOAT32_EV_PER_A)
    ]
    (first,) = resonance.maps(*raw, 1, STEP_FS)
    assert resonance.growth(first, 1, STEP_FS).max() > GROWING_PER_PS


@pytest.mark.parametrize("noise", [1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2])
@pytest.mark.parametrize("delta", [GOOD, BAD])
def test_no_wrong_verdict_at_any_noise(delta, noise):
    """Stable and grows are both true; with much noise the verdict is open."""
    verdicts = [row.stability for row in rows(delta, noise)]
    for verdict, rate in zip(verdicts, exact_growth(delta), strict=True):
        # within a hundredth of the threshold either word would do
        if verdict == "stable":
            assert rate < 1.01 * GROWING_PER_PS
        elif verdict == "grows":
            assert rate > 0.99 * GROWING_PER_PS
    if noise <= 1e-5:
        assert "open" not in verdicts
    if noise == 1e-2:  # stiffnesses are off by a percent
        assert "open" in verdicts


def test_the_direct_force_keeps_its_asymmetry():
    structure = geometry()[0]
    mass = masses(structure, {})
    slow, fast = (measure_stiffness(s, structure, mass) for s in pair(GOOD, FLOAT32_EV_PER_A))
    np.testing.assert_array_equal(slow.matrix, slow.matrix.T)
    expected = np.linalg.norm(stiffnesses(GOOD)[1] - stiffnesses(GOOD)[1].T) / 2
    expected /= np.linalg.norm(stiffnesses(GOOD)[1])
    assert fast.asymmetry == pytest.approx(expected, rel=1e-2)  # plus noise^2 / (2 expected^2)
    # noise of 1e-6 eV/A over 2 x 0.03 A, in 24 x 24 elements, against 200 eV/A^2
    assert 0 < slow.noise < 1e-4
    assert slow.asymmetry == pytest.approx(slow.noise)


def test_asymmetry_of_the_conservative_force_is_its_noise():
    """Ten times the noise, ten times the asymmetry; linear forces allow any step."""
    structure = geometry()[0]
    mass = masses(structure, {})
    found = [
        measure_stiffness(pair(GOOD, noise)[0], structure, mass).asymmetry for noise in (1e-5, 1e-4)
    ]
    assert found[1] / found[0] == pytest.approx(10.0, rel=0.3)  # 276 independent elements: 6 %


def test_exact_matrices_leave_nothing_open():
    slow, _ = pair(GOOD, FLOAT32_EV_PER_A)
    noisy = measure_stiffness(slow, geometry()[0], masses(geometry()[0], {}))
    clean = dataclasses.replace(noisy, error=np.zeros_like(noisy.error))
    assert [growth.noise_per_ps for growth in growths(clean, clean, 4, STEP_FS)] == [0.0] * 4
