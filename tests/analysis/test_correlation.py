"""Sums of products by transforms: what the direct sums give, whatever the lengths."""

import numpy as np
import pytest
from scipy.fft import next_fast_len

from ncforce_ipi.analysis.correlation import correlation_sums, fast_length


@pytest.mark.parametrize(("n_frames", "n_lags"), [(1, 1), (2, 2), (41, 41), (64, 17), (100, 1)])
def test_direct_sums(n_frames, n_lags):
    rng = np.random.default_rng(n_frames)
    vectors, weights = rng.normal(size=(n_frames, 5, 3)), rng.uniform(1.0, 2.0, size=(2, 5))
    direct = [
        np.einsum("fac,fac,sa->s", vectors[: n_frames - k], vectors[k:], weights)
        for k in range(n_lags)
    ]
    both = correlation_sums(vectors, weights, n_lags)
    np.testing.assert_allclose(both, np.transpose(direct), atol=1e-11)  # rounding of the FFT
    one = correlation_sums(vectors, weights[1], n_lags)
    np.testing.assert_allclose(one, both[1], atol=1e-11)


def test_atoms_are_summed_in_parts_without_a_trace():
    rng = np.random.default_rng(5)
    vectors, weights = rng.normal(size=(20, 600, 3)), rng.uniform(1.0, 2.0, size=600)
    parts = correlation_sums(vectors[:, :300], weights[:300], 10)
    parts += correlation_sums(vectors[:, 300:], weights[300:], 10)
    np.testing.assert_allclose(correlation_sums(vectors, weights, 10), parts, rtol=1e-11)


def test_lengths_are_those_of_scipy():
    assert [fast_length(n) for n in range(1, 3000)] == [
        next_fast_len(n, real=True) for n in range(1, 3000)
    ]
