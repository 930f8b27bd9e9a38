"""The mean of lambda over structures, and its error, for a matrix that is known."""

import numpy as np
import pytest

from ncforce_ipi.backend import Backend, Evaluation, Structure
from ncforce_ipi.diagnostics.survey import Options, _mean, measure_asymmetry


class Linear(Backend):
    """Forces J (r - r0) with a given J."""

    kinds = frozenset(["direct"])
    description = "linear"
    species = None
    batched = False

    def __init__(self, matrix, places):
        self.matrix, self.places = matrix, places

    def evaluate(self, structure, wanted):
        forces = self.matrix @ (structure.positions - self.places).ravel()
        one = Evaluation(0.0, forces.reshape(-1, 3), np.full((3, 3), np.nan))
        return dict.fromkeys(wanted.kinds, one)


def test_frames_that_are_alike_do_not_hide_the_error_of_the_probes():
    """lambda is 0.02 in each of four frames: only the probes differ, by their seeds."""
    n_atoms, off = 24, []
    for trial in range(12):
        rng = np.random.default_rng(trial)
        symmetric, curl = rng.normal(size=(2, 3 * n_atoms, 3 * n_atoms))
        symmetric, curl = symmetric + symmetric.T, curl - curl.T
        curl *= 0.02 * np.linalg.norm(symmetric) / np.linalg.norm(curl)
        places = 3.0 * rng.uniform(size=(n_atoms, 3))
        truth = np.linalg.norm(curl) / np.linalg.norm(symmetric + curl)
        frames = [
            Structure(np.full(n_atoms, 13), places + 0.1 * rng.normal(size=(n_atoms, 3)),
                      20.0 * np.eye(3))
            for _ in range(4)
        ]  # fmt: skip
        options = Options("estimate", "differences", step_A=1e-3, n_probes=8, n_rounds=0,
                          seed=trial, keep_net_force=True)  # fmt: skip
        survey = measure_asymmetry(Linear(symmetric + curl, places), frames, "direct", options)
        value, error = survey.mean
        assert len({one.value for one in survey.results}) == 4
        off.append((value - truth) / error)
    # Student's t of 3 degrees of freedom has a standard deviation of 1.7
    assert np.sqrt(np.mean(np.square(off))) < 3.5
    assert np.median(np.abs(off)) > 0.2, "nor are they too wide"


@pytest.mark.parametrize(
    ("values", "errors", "expected"),
    [([1.0, 1.1], [0.3, 0.4], 0.25), ([1.0, 3.0], [0.1, 0.1], 1.0), ([2.0], [0.3], 0.3),
     ([1.0, 2.0, 3.0, 4.0], [9.0] * 4, 0.6455)],
)  # fmt: skip
def test_few_structures_have_no_less_than_their_own_errors(values, errors, expected):
    mean, error = _mean(values, errors)
    assert mean == pytest.approx(np.mean(values))
    assert error == pytest.approx(expected, rel=1e-3)
