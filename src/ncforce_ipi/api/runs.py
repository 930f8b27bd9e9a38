"""Runs in Python: open any, and measure what its files tell."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ncforce_ipi import durable
from ncforce_ipi.analysis.vdos import DEFAULT_PADDING, DEFAULT_WINDOW
from ncforce_ipi.errors import InputError
from ncforce_ipi.observables import comparison, diffusion, drift, power, rdf, temperature, vdos
from ncforce_ipi.observables.analyse import Analysis, Settings, analyse
from ncforce_ipi.observables.conditions import Condition, one_condition, open_conditions
from ncforce_ipi.observables.dataset import Dataset
from ncforce_ipi.observables.options import Options
from ncforce_ipi.observables.replica import Replica
from ncforce_ipi.observables.velocities import LAG_PS, Transform
from ncforce_ipi.provenance import Provenance
from ncforce_ipi.reading.properties import Table

if TYPE_CHECKING:
    pass


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
