"""Multiple time stepping of two force fields near a structure, to first order: a linear map.

With mass-weighted stiffness matrices D = -m^(-1/2) (dF/dr) m^(-1/2) of the fast and the slow force,
an outer step of M inner velocity-Verlet steps h between two kicks of (slow - fast) obeys::

    x(n+1) + x(n-1) = 2 A x(n),   A = T_M(C) - (M h^2/2) U_(M-1)(C) (D_slow - D_fast),
    C = 1 - h^2 D_fast / 2,       T, U: Chebyshev polynomials of the first and second kind

because the step is its own inverse when time is turned round.  An eigenvalue a of A is half the
trace of the 2x2 map of one mode: the mode is stable if a is real and -1 <= a <= 1, else its
amplitude grows by |a + sqrt(a^2 - 1)| a step.  An asymmetric D_fast, or modes that the difference
couples, make a complex.  Without coupling, and for small h, a mode of frequency omega has::

    a = cos(theta) - delta (theta/2) sin(theta),    theta = omega M h,
    delta = (k_slow - k_fast) / k_fast,             unstable beyond |a| = 1, near theta = n pi

(e.g. Bishop, Skeel, Schlick, J. Comput. Chem. 18, 1785, 1997).  What is allowed of delta at theta
lies between -(2/theta) tan(theta/2) and (2/theta) cot(theta/2), whichever is the lower.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ncforce_ipi.diagnostics.jacobian import Array
from ncforce_ipi.errors import InputError
from ncforce_ipi.units import PER_FS_PER_CM, U_A2_PER_FS2_EV

Complex = NDArray[np.complex128]
REAL = 1e-9  # imaginary parts of eigenvalues that come from rounding
SOFT_PER_CM = 50.0  # below, "modes" of a liquid are neither harmonic nor fast enough to matter


@dataclass(frozen=True)
class Modes:
    """Normal modes of the fast force at one structure, stiff enough to be vibrations.

    Attributes
    ----------
    omega : ``(n_modes,)``, rad/fs, of the fast force
    delta : ``(n_modes,)``, (k_slow - k_fast)/k_fast along each mode
    n_soft : modes left out: softer than 50 cm^-1, or unstable
    """

    omega: Array
    delta: Array
    n_soft: int

    @property
    def wavenumber_per_cm(self) -> Array:
        """``(n_modes,)``, 1/cm."""
        return self.omega / (2 * np.pi) * PER_FS_PER_CM


def stiffness(jacobian: Array, masses_u: Array) -> Array:
    """D ``(3 n, 3 n)``, 1/fs^2, of a Jacobian ``(3 n, 3 n)``, eV/A^2, and masses ``(n,)``, u.

    Raises
    ------
    InputError
        A mass that isn't positive, or not one for each atom.
    """
    if 3 * len(masses_u) != len(jacobian) or not (masses_u > 0).all():
        raise InputError(
            f"expected {len(jacobian) // 3} positive masses, got {len(masses_u)}, "
            f"the smallest {masses_u.min():g} u"
        )
    root = np.repeat(np.sqrt(masses_u * U_A2_PER_FS2_EV), 3)
    return -jacobian / np.outer(root, root)


def modes(slow: Array, fast: Array) -> Modes:
    """Modes of the symmetric part of D_fast, and how much stiffer D_slow is along them."""
    square, vectors = np.linalg.eigh(0.5 * (fast + fast.T))
    soft = (2 * np.pi * SOFT_PER_CM / PER_FS_PER_CM) ** 2
    stiff = square > soft
    e = vectors[:, stiff]
    difference = np.einsum("ik,ij,jk->k", e, slow - fast, e, optimize=True)
    return Modes(np.sqrt(square[stiff]), difference / square[stiff], int((~stiff).sum()))


def half_trace(omega: Array, delta: Array, mts: int, step_fs: float) -> Array:
    """Half the trace a ``(n_modes,)`` of the map of each mode alone; inner steps not small.

    a = cos(M mu) - delta (omega^2 M h^2 / (2 sin mu)) sin(M mu), with sin(mu/2) = omega h / 2 the
    velocity-Verlet step's own frequency.

    Raises
    ------
    InputError
        The inner step alone is unstable: omega h >= 2.
    """
    mu = _verlet_phase(omega, step_fs)
    kick = 0.5 * delta * mts * (omega * step_fs) ** 2 / np.sin(mu)
    return np.cos(mts * mu) - kick * np.sin(mts * mu)


def kinetic_ratio(omega: Array, delta: Array, mts: int, step_fs: float) -> Array:
    """Kinetic temperature of each mode at the ends of outer steps, over T; NaN where unstable.

    Steps of a mode conserve a quadratic form of x and v, and a sequence of them moves along it as a
    Hamiltonian H' = (theta' / (2 M h sin(theta'))) (S_12 v^2 - S_21 x^2) m would, S being the map
    of a step and cos(theta') half its trace.  Where modes share energy freely (NVE, a global
    thermostat), they share that of H', so that m <v^2> = k_B T M h sin(theta') / (theta' S_12).
    Of velocity Verlet alone this is (sin(mu) / mu) = 1 - (omega h)^2 / 6 + ...: fast modes seem
    colder than slow ones.  A thermostat of each degree of freedom makes <v^2> right, and x wrong.
    """
    mu = _verlet_phase(omega, step_fs)
    a = half_trace(omega, delta, mts, step_fs)
    stable = np.abs(a) < 1
    angle = np.arccos(np.where(stable, a, 0.0))
    turns = np.floor(mts * mu / np.pi)  # theta' lies in the same half turn as theta
    phase = np.where(turns % 2 == 0, turns * np.pi + angle, (turns + 1) * np.pi - angle)
    s_12 = np.sin(mts * mu) * step_fs / np.sin(mu)
    return np.where(stable, mts * step_fs * np.sin(phase) / (phase * s_12), np.nan)


def _verlet_phase(omega: Array, step_fs: float) -> Array:
    x = 0.5 * omega * step_fs
    if (x >= 1).any():
        worst = omega.max() / (2 * np.pi) * PER_FS_PER_CM
        raise InputError(
            f"an inner step of {step_fs} fs can't integrate {worst:.0f} cm^-1; take a shorter one"
        )
    return np.asarray(2 * np.arcsin(x))


def allowed(omega: Array, mts: int, step_fs: float) -> tuple[Array, Array]:
    """Lowest and highest delta ``(n_modes,)`` at which a mode is stable, for small h."""
    theta = mts * step_fs * omega
    half = np.tan(theta / 2)
    bounds = -2 / theta * half, 2 / (theta * half)
    return np.minimum(*bounds), np.maximum(*bounds)


def maps(slow: Array, fast: Array, most: int, step_fs: float) -> list[Complex]:
    """Eigenvalues a of A for M = 1 ... ``most``, complex, ``(3 n,)`` less those of no vibration.

    At a structure of a liquid some curvatures of the potential are negative: amplitudes along them
    grow with any integrator, and their a, real and above 1, isn't returned.  Modes near theta =
    2 pi, 4 pi, ... that time steps make unstable have a > 1 too, but a positive curvature.
    """
    n = len(fast)
    c = np.eye(n) - 0.5 * step_fs**2 * fast
    difference = slow - fast
    t_before, t = np.eye(n), c
    u_before, u = np.zeros((n, n)), np.eye(n)
    found = []
    for mts in range(1, most + 1):
        matrix = t - 0.5 * mts * step_fs**2 * (u @ difference)
        found.append(_vibrations(matrix, slow))
        t_before, t = t, 2 * c @ t - t_before
        u_before, u = u, 2 * c @ u - u_before
    return found


def _vibrations(matrix: Array, slow: Array) -> Complex:
    values, vectors = np.linalg.eig(matrix)
    curvature = np.einsum("ik,ij,jk->k", vectors.conj(), slow, vectors, optimize=True).real
    soft = curvature < (2 * np.pi * SOFT_PER_CM / PER_FS_PER_CM) ** 2
    sliding = soft & (np.abs(values.imag) < REAL) & (values.real > 1)
    return values[~sliding].astype(np.complex128)


def growth(eigenvalues: Complex, mts: int, step_fs: float) -> Array:
    """Growth rates of amplitudes ``(n_modes,)``, 1/ps; 0 where stable."""
    root = np.sqrt(eigenvalues**2 - 1)
    factor = np.maximum(np.abs(eigenvalues + root), np.abs(eigenvalues - root))
    return np.log(np.maximum(factor, 1.0)) / (mts * step_fs) * 1e3
