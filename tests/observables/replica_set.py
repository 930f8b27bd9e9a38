"""Directories of replicas as ``ncforce run --replicas`` leaves them, with numbers that are known.

Temperature and conserved quantity of each replica are sums of known parts: a mean, a part that
remembers its past (an autoregressive series), and for some a part that stays as it is in a replica.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.signal import lfilter

from ncforce_ipi.rundir import replica_names
from tests.synthetic_run import MASSES_U, STEP_FS, write_properties

N_ATOMS = 81
NOISE_K = 8.0


def remembering(rng: np.random.Generator, n: int, memory: float, sigma: float) -> np.ndarray:
    """A stationary series of standard deviation sigma with <x(0) x(k)> ~ exp(-k / memory)."""
    keep = np.exp(-1.0 / memory)
    kicks = rng.normal(scale=sigma * np.sqrt(1.0 - keep**2), size=n)
    kicks[0] = rng.normal(scale=sigma)
    return lfilter([1.0], [1.0, -keep], kicks)


def write_replica(
    directory: Path,
    rng: np.random.Generator,
    *,
    n_rows: int = 1000,
    mean_K: float = 300.0,
    target_K: float = 300.0,
    memory: float = 5.0,
    drift_meV: float = 0.0,
    **record: object,
) -> None:
    """One replica: its properties and run.json.

    Parameters
    ----------
    n_rows : outer steps of 4 fs
    mean_K : of the temperature of all atoms, by 3N - 3
    memory : of the temperature, steps
    drift_meV : of the conserved quantity, meV/atom/ps
    record : changes of run.json
    """
    directory.mkdir(parents=True)
    time_ps = 1e-3 * STEP_FS * np.arange(n_rows)
    heat_K = mean_K + remembering(rng, n_rows, memory, NOISE_K)
    dof = 3 * N_ATOMS - 3
    # i-PI's formula: as if the fixed centre of mass had the ensemble's temperature
    written_K = (dof * heat_K + 3.0 * target_K) / (3 * N_ATOMS)
    kinetic_eV = 0.5 * 8.617333262e-5 * dof * heat_K
    conserved_eV = 1e-3 * N_ATOMS * drift_meV * time_ps + 1e-4 * rng.normal(size=n_rows)
    rows = np.column_stack([np.arange(n_rows), time_ps, conserved_eV, written_K, kinetic_eV])
    write_properties(directory / "simulation.out", rows)
    known = {
        "version": "0.1.0",
        "state": "finished",
        "plan": {"forces": "mts", "mts": 8, "inner_step_fs": 0.5, "outer_step_fs": STEP_FS},
        "ensemble": {"name": "svr"},
        "structure": "init.xyz",
        "start": {"structure_sha256": "ab"},
        "temperature_K": target_K,
        "n_atoms": N_ATOMS,
        "masses_u": MASSES_U,
    }
    (directory / "run.json").write_text(json.dumps(known | record))


def write_set(folder: Path, replicas: Sequence[dict], seed: int = 0) -> Path:
    """A directory of replicas; what each has beside the defaults, None: it hasn't begun."""
    folder.mkdir(parents=True)
    names = replica_names(len(replicas))
    entries = [
        {"directory": name, "seed": k, "temperature_K": 300.0, "structure": "init.xyz"}
        for k, name in enumerate(names)
    ]
    plan = {"forces": "mts", "mts": 8}
    (folder / "run.json").write_text(json.dumps({"plan": plan, "replicas": entries}))
    rng = np.random.default_rng(seed)
    for name, changes in zip(names, replicas, strict=True):
        if changes is not None:
            write_replica(folder / name, rng, **changes)
    return folder
