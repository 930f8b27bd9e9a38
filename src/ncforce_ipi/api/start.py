"""Runs in Python: start one, or go on with it."""

from __future__ import annotations

import logging
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ncforce_ipi.api.runs import Run, open_run
from ncforce_ipi.errors import RunError
from ncforce_ipi.inputs.ensembles import Ensemble, EnsembleName
from ncforce_ipi.inputs.plan import Forces, Plan
from ncforce_ipi.launch import replicas as replica_runs
from ncforce_ipi.launch import run as launcher
from ncforce_ipi.launch import sets
from ncforce_ipi.launch.jobs.job import DEFAULT_M, new_job
from ncforce_ipi.reading.electrons import electrons_of
from ncforce_ipi.rundir import replica_directories

if TYPE_CHECKING:
    from ase import Atoms

log = logging.getLogger(__name__)


def run(
    system: str | None = None,
    *,
    out: str | Path,
    forces: Forces = "mts",
    mts: int | None = None,
    time_ps: float = 1.0,
    timestep_fs: float = 0.5,
    model: str | None = None,
    slow: str | None = None,
    fast: str | None = None,
    structure: str | Path | Atoms | None = None,
    velocities: str | Path | Atoms | None = None,
    ensemble: EnsembleName | Ensemble = "nve",
    force: bool = False,
    replicas: int | None = None,
    temperature_K: float = 300.0,
    seed: int | None = None,
    **more: Any,
) -> Run:
    """Run molecular dynamics with i-PI and our drivers, to its last step.

    >>> run = nc.run("water", forces="mts", mts=8, time_ps=1, out="demo")

    Parameters
    ----------
    system : shipped model and start structure
    out : directory of the run
    forces : slow (conservative), fast (direct), or mts
    mts : M, inner steps in an outer step; default 8
    time_ps : physical time, ps
    timestep_fs : inner time step, fs
    model : both forces, as `load` takes it; None: the system's
    slow, fast : another model for this force
    structure : file, or ASE's atoms; None: the system's
    velocities : of the start: file, or ASE's atoms with momenta, which may be those of
        ``structure``; None: the system's if it has any (water), else random ones
    ensemble : nve, langevin, svr, gle, npt with its defaults, or an `Ensemble`
    force : move an earlier run in ``out`` aside
    replicas : so many independent runs side by side, with seeds one after the other
    temperature_K : of the start velocities and of the ensemble, K
    seed : of random start velocities (of the first replica) and of the thermostat; default 1
    more : ``device``, ``threads``, ``drivers``, ``driver_options``, ``write_forces``, ``port``,
        ``masses_u``, ``repartition``: see `ncforce_ipi.launch.jobs.job.new_job`

    Raises
    ------
    InputError
        Something is missing or makes no sense; nothing was written.
    RunError
        The run ended before its last step; what it wrote is in ``out``.
    """
    m = mts if mts is not None else (DEFAULT_M if forces == "mts" else 1)
    plan = Plan.from_time(forces, m, timestep_fs, time_ps)
    chosen = ensemble if isinstance(ensemble, Ensemble) else Ensemble(ensemble)
    with tempfile.TemporaryDirectory(prefix="ncforce-") as folder:
        start = _file_of(structure, Path(folder, "structure.traj"), moving=False)
        motion = _file_of(velocities, Path(folder, "velocities.traj"))
        if motion is None and getattr(structure, "arrays", {}).get("momenta", np.zeros(1)).any():
            log.warning(
                "the atoms have momenta, which are not used: velocities are random; give them as "
                "velocities= too to start with them"
            )
        make = partial(
            new_job,
            Path(out).expanduser(),
            plan,
            system=system,
            model=model,
            slow=slow,
            fast=fast,
            structure=start,
            velocities=motion,
            ensemble=chosen,
            temperature_K=temperature_K,
            **more,
        )
        if replicas is None:
            return _ended(launcher.start(make(seed=seed), force))
        kinds = sets.combine([None], [temperature_K], replicas)
        several = sets.replicas_of(lambda _, __, own_seed: make(seed=own_seed), kinds, seed)
        return _all_ended(replica_runs.start(several, force))


def _file_of(given: str | Path | Atoms | None, path: Path, *, moving: bool = True) -> str | None:
    """The name of a file; of atoms one with all of their digits and constraints, which xyz lacks.

    Parameters
    ----------
    moving : whether it has the momenta of the atoms
    """
    if given is None or isinstance(given, (str, Path)):
        return None if given is None else str(given)
    bare = given.copy()
    bare.info = dict(electrons_of(given))  # whatever else is there, a file may not take
    if not moving:
        bare.arrays.pop("momenta", None)
    bare.write(path)
    return str(path)


def resume(out: str | Path, time_ps: float | None = None) -> Run:
    """Continue the run in a directory, bitwise; ``time_ps`` is its new total time, if given.

    Raises
    ------
    InputError, RunError
        As `run`.
    """
    directory = Path(out).expanduser()
    if replica_directories(directory):
        return _all_ended(replica_runs.go_on(directory, time_ps))
    return _ended(launcher.go_on(directory, time_ps))


def _all_ended(outcomes: sets.Outcomes) -> Run:
    if outcomes.failed:
        raise RunError(outcomes.complaint())
    if (stopped := outcomes.stopped) and stopped.signal is not None:
        raise KeyboardInterrupt(stopped.reason)
    if stopped:
        raise RunError(stopped.reason)
    return open_run(*replica_directories(outcomes.directory))


def _ended(outcome: launcher.Outcome) -> Run:
    ending = outcome.ending
    if ending.signal is not None:
        raise KeyboardInterrupt(ending.reason)
    if ending.state != "finished":
        raise RunError(ending.reason)
    return open_run(outcome.job.directory)
