"""Kinetic temperatures of species that time steps alone make, from all modes of both forces.

With symmetric D_slow and D_fast (`ncforce_ipi.diagnostics.resonance`) an outer step of length
tau = M h takes mass-weighted (x, v) to S (x, v), S being symplectic and its own inverse when time
is turned round.  It moves along the energy H' = (v.G v + x.W x)/2 as a Hamiltonian would, with::

    S_11 = A = T_M(C) - (tau/2) B (D_slow - D_fast),    S_12 = B = h U_(M-1)(C),
    G = f(A) B,    f(cos(theta)) = theta / (tau sin(theta))

Where all motions share H' freely (NVE, a global thermostat), <v v^T> is k_B T' times G^(-1), with
one T' for all, whatever W is: curvatures of a liquid may be negative.  Of a single mode this is
`ncforce_ipi.diagnostics.resonance.kinetic_ratio`; of one force and small steps, 1 - h^2 D / 6.

Modes that turn by 0 to pi in an outer step, by pi to 2 pi, ... are taken apart: what couples these
groups changes <v v^T> in second order of the difference, except in resonance, where modes grow.
Those that grow count as with velocity Verlet alone.  What isn't seen: the antisymmetric part of a
direct force, whose heat depends on how fast the liquid takes it away, and large vibrations.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ncforce_ipi.diagnostics.jacobian import Array
from ncforce_ipi.errors import InputError


@dataclass(frozen=True)
class _Group:
    """Modes of the fast force that turn by the same number of half turns in an outer step.

    Attributes
    ----------
    t : ``(n,)``, T_M(c), half the trace of each without the difference
    b : ``(n,)``, fs, S_12 of each
    difference : ``(n, n)``, 1/fs^2, D_slow - D_fast
    alone : ``(n,)``, m <v^2> / (k_B T') of each with fast forces only
    """

    t: Array
    b: Array
    difference: Array
    alone: Array


def kinetic_shares(slow: Array, fast: Array, most: int, step_fs: float) -> list[Array]:
    """m <v^2> / (k_B T') of each coordinate, ``(3 n,)``, for M = 1 ... ``most``.

    Parameters
    ----------
    slow, fast : ``(3 n, 3 n)``, 1/fs^2, mass-weighted; their symmetric parts are taken
    step_fs : inner step, fs

    Raises
    ------
    InputError
        The inner step alone is unstable.
    """
    slow, fast = (0.5 * (each + each.T) for each in (slow, fast))
    square, vectors = np.linalg.eigh(fast)
    c = 1.0 - 0.5 * step_fs**2 * square
    if (c <= -1.0).any():
        raise InputError(f"an inner step of {step_fs} fs can't integrate these forces")
    difference = vectors.T @ (slow - fast) @ vectors  # (mode, mode)
    phase = np.arccos(np.minimum(c, 1.0))
    t_before, t = np.ones_like(c), c
    u_before, u = np.zeros_like(c), np.ones_like(c)
    found = []
    for mts in range(1, most + 1):
        turns = np.floor(mts * phase / np.pi)
        shares = np.zeros(len(c))
        for turn in np.unique(turns):
            k = turns == turn
            group = _Group(t[k], step_fs * u[k], difference[np.ix_(k, k)], _ratio(c[k], 0))
            modes = _second_moment(group, int(turn), mts * step_fs)
            shares += np.einsum("ik,kl,il->i", vectors[:, k], modes, vectors[:, k], optimize=True)
        found.append(shares)
        t_before, t = t, 2 * c * t - t_before
        u_before, u = u, 2 * c * u - u_before
    return found


def _second_moment(group: _Group, turn: int, tau_fs: float) -> Array:
    """G^(-1) ``(n, n)`` of a group, in its modes."""
    root = np.sqrt(np.abs(group.b))
    sign = 1.0 if turn % 2 == 0 else -1.0  # of b
    kick = 0.5 * tau_fs * sign * np.outer(root, root) * group.difference
    a, q = np.linalg.eigh(np.diag(group.t) - kick)
    u = q / root[:, None]  # (mode of fast, mode of both)
    size = (u**2).sum(axis=0)
    fallback = (q**2 * group.alone[:, None]).sum(axis=0) / size
    grows = (a <= -1.0) | ((a >= 1.0) & (turn > 0))
    with np.errstate(invalid="ignore"):
        value = np.where(grows, fallback, tau_fs * np.abs(_ratio(a, turn)))
    return np.asarray((u * value) @ u.T)


def _ratio(a: Array, turn: int) -> Array:
    """sin(theta) / theta of a = cos(theta), theta in its half turn; above 1: sinh(theta) / theta.

    a above 1 is a negative curvature in the first half turn, and nothing stable in others.
    """
    angle = np.arccos(np.clip(a, -1.0, 1.0))
    theta = turn * np.pi + angle if turn % 2 == 0 else (turn + 1) * np.pi - angle
    hyperbolic = np.arccosh(np.maximum(a, 1.0))
    with np.errstate(invalid="ignore", divide="ignore"):
        above = np.where(hyperbolic > 0, np.sinh(hyperbolic) / hyperbolic, 1.0)
    return np.asarray(np.where(a > 1.0, above, np.sinc(theta / np.pi)))


def species_temperatures(
    shares: Array, numbers: NDArray[np.int32], masses_u: Array
) -> dict[int, float]:
    """Kinetic temperature of each species over that of all atoms, by atomic number.

    T_s = 2 K_s / (k_B (3 N_s - 3 M_s / M)): the centre of mass, which no force moves, is at rest.

    Parameters
    ----------
    shares : ``(3 n,)``, of `kinetic_shares`
    numbers : ``(n,)``, atomic numbers
    masses_u : ``(n,)``, u
    """
    of_atoms = shares.reshape(-1, 3).sum(axis=1)
    weights = 3.0 * masses_u / masses_u.sum()
    whole = (of_atoms.sum() - 3.0) / (3.0 * len(numbers) - 3.0)
    found = {}
    for z in np.unique(numbers):
        here = numbers == z
        heat = of_atoms[here].sum() - weights[here].sum()
        found[int(z)] = float(heat / (3.0 * here.sum() - weights[here].sum()) / whole)
    return found
