"""Runs in Python: start one, open any, and measure what its files tell."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ncforce_ipi import durable
from ncforce_ipi.analysis.vdos import DEFAULT_PADDING, DEFAULT_WINDOW
from ncforce_ipi.errors import InputError, RunError
from ncforce_ipi.inputs.ensembles import Ensemble, EnsembleName
from ncforce_ipi.inputs.plan import Forces, Plan
from ncforce_ipi.launch import replicas as replica_runs
from ncforce_ipi.launch import run as launcher
from ncforce_ipi.launch import sets
from ncforce_ipi.launch.jobs.job import DEFAULT_M, new_job
from ncforce_ipi.observables import comparison, diffusion, drift, power, rdf, temperature, vdos
from ncforce_ipi.observables.analyse import Analysis, Settings, analyse
from ncforce_ipi.observables.conditions import Condition, one_condition, open_conditions
from ncforce_ipi.observables.dataset import Dataset
from ncforce_ipi.observables.options import Options
from ncforce_ipi.observables.replica import Replica
from ncforce_ipi.observables.velocities import LAG_PS, Transform
from ncforce_ipi.provenance import Provenance
from ncforce_ipi.reading.electrons import electrons_of
from ncforce_ipi.reading.properties import Table
from ncforce_ipi.rundir import replica_directories

if TYPE_CHECKING:
    from ase import Atoms


class Run:
    """A run, or several as replicas of one system: what its files tell, each read once.

    Attributes
    ----------
    data : the files and the part of the run that is measured
    condition : which replicas of its directory it is; '' where there is one condition only
    """

    def __init__(self, data: Dataset, condition: str = "") -> None:
        self.data = data
        self.condition = condition

    @property
    def directory(self) -> Path:
        """Where the (first) run is, or the directory of replicas."""
        return self.data.directory

    @property
    def name(self) -> str:
        """Of its directory, and of the condition."""
        return Condition(self.condition, self.data).title

    @property
    def replicas(self) -> list[Run]:
        """Each run alone; what is left out (``data.left_out``) isn't among them."""
        return [Run(Dataset((source,))) for source in self.data.sources]

    @property
    def record(self) -> dict[str, Any]:
        """``run.json`` of the (first) run: what was run, with what, how far it came; or empty."""
        return dict(self.data.first.metadata.record)

    def properties(self) -> Table:
        """i-PI's properties file as named columns with units, of the whole (first) run.

        >>> run.properties().column("time", "picosecond")

        Raises
        ------
        InputError
            There is none.
        """
        table = self.data.first.table
        if table is None:
            raise InputError(f"{self.directory} has no properties file of i-PI")
        return table

    def trajectory(self, quantity: str = "positions") -> Replica:
        """Frames of a quantity, without the discarded start.

        >>> run.trajectory("velocities").read().values      # (n_frames, n_atoms, 3), A/fs

        Parameters
        ----------
        quantity : positions (A), velocities (A/fs) or forces (eV/A)
        """
        return self.data.first.trajectory(quantity)

    def drift(self) -> drift.Drifts:
        """Drift of the conserved quantity (meV/atom/ps) and of the temperature (K/ps)."""
        return drift.measure(self.data)

    def temperature(self) -> temperature.Temperatures:
        """Mean temperatures of all atoms and of each species, K; equipartition."""
        return temperature.measure(self.data)

    def rdf(self, r_max_A: float | None = None, bins: int | None = None) -> rdf.Rdfs:
        """g(r) of each pair of species; ``r_max_A`` None: as far as the cell allows."""
        return rdf.measure(self.data, r_max_A=r_max_A, n_bins=bins)

    def vdos(
        self,
        lag_ps: float = LAG_PS,
        window: str = DEFAULT_WINDOW,
        padding: int = DEFAULT_PADDING,
    ) -> vdos.Spectra:
        """Velocity spectra of each species, K cm, over wavenumbers, 1/cm."""
        return vdos.measure(self.data, Transform(lag_ps, window, padding))

    def diffusion(
        self,
        from_ps: float = 1.0,
        lag_ps: float = 5.0,
        memory_ps: float = 1.0,
        viscosity_mPa_s: float | None = None,
        reference: Run | None = None,
    ) -> diffusion.Coefficients:
        """Diffusion coefficients of each species, A^2/ps, from displacements and velocities."""
        fit = diffusion.Fit(from_ps, lag_ps, memory_ps, viscosity_mPa_s)
        return diffusion.measure(self.data, fit, reference.data if reference else None)

    def power(self, *, without_potential: bool = False) -> power.Powers:
        """Power of non-conservative forces in a thermostat, meV/atom/ps."""
        return power.measure(self.data, without_potential=without_potential)

    def analyze(self, settings: Settings | None = None) -> Analysis:
        """All of these that the files allow."""
        return analyse(self.data, settings)

    def report(
        self, path: str | Path, *, title: str = "", view: bool = True, force: bool = False
    ) -> Path:
        """One HTML page of the run that needs nothing but itself; its path."""
        return write_report([self], path, title=title, view=view, force=force)

    def __repr__(self) -> str:
        """Where it is."""
        return f"<Run {self.directory}>"


class Comparison:
    """Runs side by side.

    Attributes
    ----------
    found : the numbers of each run
    """

    def __init__(self, found: comparison.Comparison) -> None:
        self.found = found

    def table(self) -> str:
        """A line for each run: drifts with 95 % intervals, temperatures with standard errors."""
        from ncforce_ipi.report import comparison as report

        return report.table(self.found.entries, named=True)

    def to_dict(self) -> dict[str, Any]:
        """All numbers, by the names of the runs."""
        return {name: one.to_dict() for name, one in self.found.analyses.items()}

    def write(self, folder: str | Path) -> list[Path]:
        """compare.json, compare.csv and figures into a new or empty folder; their paths."""
        from ncforce_ipi.report import comparison as report
        from ncforce_ipi.report import overlay

        folder = Path(folder).expanduser()
        if folder.is_dir() and any(folder.iterdir()):
            raise InputError(f"{folder} is not empty; expected a new folder")
        folder.mkdir(parents=True, exist_ok=True)
        found = self.found
        provenance = Provenance.of(found.files(), found.model_sha256)
        written = report.write_files(
            found.entries, provenance, folder, named=True, analyses=found.analyses
        )
        return written + overlay.write_overlaid(found.analyses, ("rdf", "vdos"), folder, provenance)

    def __str__(self) -> str:
        """The table."""
        return self.table()


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
    ensemble : nve, langevin, svr, gle, npt with its defaults, or an `Ensemble`
    force : move an earlier run in ``out`` aside
    replicas : so many independent runs side by side, with seeds one after the other
    temperature_K : of the start velocities and of the ensemble, K
    seed : of random start velocities (of the first replica) and of the thermostat; default 1
    more : ``velocities``, ``device``, ``threads``, ``drivers``,
        ``write_forces``, ``port``, ``masses_u``, ``repartition``: see
        `ncforce_ipi.launch.jobs.job.new_job`

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
        if structure is not None and not isinstance(structure, (str, Path)):
            structure = _written(structure, Path(folder))
        make = partial(
            new_job,
            Path(out).expanduser(),
            plan,
            system=system,
            model=model,
            slow=slow,
            fast=fast,
            structure=None if structure is None else str(structure),
            ensemble=chosen,
            temperature_K=temperature_K,
            **more,
        )
        if replicas is None:
            return _ended(launcher.start(make(seed=seed), force))
        kinds = sets.combine([None], [temperature_K], replicas)
        several = sets.replicas_of(lambda _, __, own_seed: make(seed=own_seed), kinds, seed)
        return _all_ended(replica_runs.start(several, force))


def _written(atoms: Atoms, folder: Path) -> Path:
    """Atoms as a file with all of their digits, and all of their constraints, which xyz lacks."""
    bare = atoms.copy()
    bare.info = dict(electrons_of(atoms))  # whatever else is there, a file may not take
    start = folder / "start.traj"
    bare.write(start)
    return start


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


def open_run(*paths: str | Path, **options: Any) -> Run:
    """Open a run: a directory of ours or of any i-PI run, or one of its files, by its prefix.

    Several paths are replicas of one system.  So are those in a directory of ``run --replicas``;
    if they are at several temperatures, or of several structures, `open_replicas` opens them.

    Parameters
    ----------
    options : what the files don't say: ``timestep_fs``, ``masses_u``, ``temperature_K``,
        ``n_atoms``, ``discard_ps``, ``unit``, ``fixed_com``: see
        `ncforce_ipi.observables.options.Options`

    Raises
    ------
    InputError
        It isn't there, or holds replicas of several conditions.
    """
    return Run(one_condition([Path(path) for path in paths], Options(**options), whole=True))


def open_replicas(*paths: str | Path, **options: Any) -> dict[str, Run]:
    """Open a directory of replicas: a `Run` for each condition, by its name.

    Replicas at one temperature, with one start structure and the same forces are a condition and
    are averaged; others aren't.

    >>> {name: run.temperature()["all"] for name, run in nc.open_replicas("scan").items()}

    Raises
    ------
    InputError
        As `open_run`.
    """
    found = open_conditions([Path(path) for path in paths], Options(**options), whole=True)
    return {one.name: Run(one.data, one.name) for one in found}


def compare(runs: Sequence[Run | str | Path]) -> Comparison:
    """Runs side by side: the same numbers as of each alone.

    Raises
    ------
    InputError
        A run without a properties file of i-PI, or one that is named twice.
    """
    every = [
        [Condition(one.condition, one.data)]
        if isinstance(one, Run)
        else open_conditions([Path(one)], whole=True)
        for one in runs
    ]
    data = comparison.conditions_of(every)
    return Comparison(comparison.compare(data))


def write_report(
    runs: Sequence[Run],
    path: str | Path,
    *,
    title: str = "",
    view: bool = True,
    force: bool = False,
) -> Path:
    """One HTML page of one or several runs that needs nothing but itself; its path.

    Parameters
    ----------
    path : of the page
    title : default: the names of the runs
    view : with a view of the trajectory (3 MB), where chemiscope is installed
    force : replace an earlier page

    Raises
    ------
    InputError
        The file exists, or nothing can be measured.
    """
    from ncforce_ipi.report import page
    from ncforce_ipi.report.view import of_source

    path = Path(path).expanduser()
    if path.exists() and not force:
        raise InputError(f"{path} exists; expected none: give --force to replace it")
    parts = [
        page.Run(
            name=one.name,
            analysis=one.analyze(),
            view=of_source(one.data.first) if view else None,
            provenance=Provenance.of(one.data.files(), one.data.model_sha256),
        )
        for one in runs
    ]
    text = page.render(parts, title or ", ".join(part.name for part in parts))
    durable.write_text(path, text)
    return path


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
