"""What a linear thermostat does to a harmonic mode and to a free particle, before any run.

A generalised Langevin thermostat is a drift matrix A of the mass-scaled momentum p and its
additional momenta s, with noise that keeps the canonical distribution::

    d(p, s) = - A (p, s) dt + noise                     <(p, s) (p, s)^T> = k_B T 1

White noise of time scale tau is the 1 x 1 matrix 1/tau.  With a harmonic force of frequency omega
the process stays Gaussian, so that every correlation function is an exponential of the matrix
``harmonic_drift`` and every integral of its squares is the solution of a Lyapunov equation.

Source: Ceriotti, Bussi, Parrinello, J. Chem. Theory Comput. 6, 1170 (2010).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_continuous_lyapunov

from ncforce_ipi.errors import InputError
from ncforce_ipi.units import BOLTZMANN_EV_PER_K, PER_FS_PER_CM, U_A2_PER_FS2_EV


@dataclass(frozen=True)
class Sampling:
    """Sampling efficiency kappa = 1 / (omega tau) of modes, tau the correlation time of an energy.

    1 is the best that white noise does, at the one frequency to which it is tuned.

    Attributes
    ----------
    wavenumbers_per_cm : ``(n,)``, cm^-1
    potential, total : ``(n,)``, kappa of the potential and of the total energy of each mode
    """

    wavenumbers_per_cm: NDArray[np.float64]
    potential: NDArray[np.float64]
    total: NDArray[np.float64]


def harmonic_drift(matrix_per_fs: NDArray, omega_per_fs: float) -> NDArray[np.float64]:
    """``(n + 1, n + 1)``, 1/fs: drift of (omega q, p, s) for a mode of angular frequency omega.

    Scaled so, the canonical covariance of every variable is the same.
    """
    n = len(matrix_per_fs)
    drift = np.zeros((n + 1, n + 1))
    drift[1:, 1:] = matrix_per_fs
    drift[0, 1] = -omega_per_fs
    drift[1, 0] += omega_per_fs
    return drift


def sampling(matrix_per_fs: NDArray, wavenumbers_per_cm: NDArray) -> Sampling:
    """Efficiency with which the thermostat samples harmonic modes.

    Parameters
    ----------
    matrix_per_fs : ``(n, n)``, 1/fs, drift matrix A, the momentum first
    wavenumbers_per_cm : ``(m,)``, cm^-1, of the modes, positive

    Raises
    ------
    InputError
        The matrix isn't square, or A + A^T has a negative eigenvalue: no noise keeps it canonical.
    """
    matrix = np.asarray(matrix_per_fs, dtype=np.float64)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise InputError(f"a drift matrix is square, got the shape {matrix.shape}")
    lowest = float(np.linalg.eigvalsh(matrix + matrix.T)[0])
    if lowest < -1e-6 * np.abs(matrix).max():
        raise InputError(
            f"A + A^T of the drift matrix has the eigenvalue {lowest:.3g} per fs; expected none "
            "below 0: no canonical noise belongs to this matrix"
        )
    omegas = 2 * np.pi * np.asarray(wavenumbers_per_cm, dtype=np.float64) / PER_FS_PER_CM
    times = np.array([_correlation_times_fs(matrix, omega) for omega in omegas])
    potential, total = 1.0 / (omegas[:, None] * times).T
    return Sampling(np.asarray(wavenumbers_per_cm, dtype=np.float64), potential, total)


def _correlation_times_fs(matrix: NDArray, omega: float) -> tuple[float, float]:
    """tau of V = (omega q)^2 / 2 and of H = V + p^2 / 2, fs.

    For a Gaussian process <dx_i^2(t) dx_j^2> = 2 c_ij(t)^2, c(t) = exp(-A t) at unit covariance,
    and X_j, the integral of (c e_j)(c e_j)^T over time, solves A X + X A^T = e_j e_j^T.
    """
    # in units of omega: both the slowest and the fastest entries stay near 1 in their turn
    drift = harmonic_drift(matrix / omega, 1.0)
    squares = np.empty((2, 2))
    for j in range(2):
        unit = np.zeros_like(drift)
        unit[j, j] = 1.0
        integral = solve_continuous_lyapunov(drift, unit)
        squares[:, j] = integral[0, 0], integral[1, 1]
    return squares[0, 0] / omega, 0.5 * squares.sum() / omega


def free_diffusion(matrix_per_fs: NDArray, mass_u: float, temperature_K: float) -> float:
    """Diffusion coefficient of a free particle under the thermostat, A^2/ps.

    D = (k_B T / m) [A^-1]_pp; for white noise k_B T tau / m.
    """
    start = np.zeros(len(matrix_per_fs))
    start[0] = 1.0
    time_fs = float(np.linalg.solve(np.asarray(matrix_per_fs, dtype=np.float64), start)[0])
    return 1e3 * BOLTZMANN_EV_PER_K * temperature_K / (mass_u * U_A2_PER_FS2_EV) * time_fs


def slowed_diffusion(diffusion_A2_per_ps: float, free_A2_per_ps: float) -> float:
    """Diffusion coefficient with the thermostat's friction added to that of the liquid, A^2/ps.

    1/D = 1/D_0 + 1/D_free (Einstein's friction coefficients add).  An estimate from above: it
    leaves out that a thermostat also disturbs the correlated motion by which molecules get past
    each other.
    """
    return 1.0 / (1.0 / diffusion_A2_per_ps + 1.0 / free_A2_per_ps)
