"""Sums over atoms and times of x(t) x(t + k) by fast Fourier transforms.  Knows no physics."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

ATOMS_AT_ONCE = 256  # bounds the memory of the transforms, not the result


def correlation_sums(
    vectors: NDArray[np.float64], weights: NDArray[np.float64], n_lags: int
) -> NDArray[np.float64]:
    """sum_i w_i sum_t x_i(t) . x_i(t + k), over the n_frames - k pairs of frames that there are.

    By the Wiener-Khinchin theorem, padded with zeros so that no lag wraps around.  One transform of
    all atoms serves any number of sums over them.

    Parameters
    ----------
    vectors : ``(n_frames, n_atoms, 3)``, any unit
    weights : ``(n_atoms,)``, or ``(n_sums, n_atoms)``
    n_lags : number of lags, from 0 on; at most n_frames

    Returns
    -------
    ``(n_lags,)`` or ``(n_sums, n_lags)``, unit of the weights times that of the vectors squared
    """
    n_frames, n_atoms, _ = vectors.shape
    n_padded = fast_length(n_frames + n_lags - 1)
    squares = np.zeros((*weights.shape[:-1], 2 * (n_padded // 2 + 1)))
    for first in range(0, n_atoms, ATOMS_AT_ONCE):
        chosen = slice(first, first + ATOMS_AT_ONCE)
        components = vectors[:, chosen].reshape(n_frames, -1)
        series = np.ascontiguousarray(components.T)  # (atom xyz, frame): twice as fast as columns
        parts = np.fft.rfft(series, n_padded).view(np.float64)  # (atom xyz, frequency re/im)
        np.square(parts, out=parts)
        squares += np.repeat(weights[..., chosen], 3, axis=-1) @ parts
    power = squares[..., ::2] + squares[..., 1::2]  # (sum, frequency)
    return np.fft.irfft(power, n_padded)[..., :n_lags]


def fast_length(n: int) -> int:
    """The smallest number from ``n`` on that has no prime factor but 2, 3 and 5.

    ``scipy.fft.next_fast_len`` says the same; importing it takes as long as 50 MB to analyse.
    """
    best = 1 << max(n - 1, 0).bit_length()
    odd = [3**i * 5**j for i in range(best.bit_length()) for j in range(best.bit_length())]
    for factor in odd:
        if factor < best:
            twos = max(-(-n // factor) - 1, 0).bit_length()
            best = min(best, factor << twos)
    return best
