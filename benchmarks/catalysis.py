"""O on Cu3Al(111): SevenNet-0 slow, a compact direct model fast, against SevenNet-0 alone.

    python benchmarks/catalysis.py --out results --time-ps 2
    python benchmarks/catalysis.py --out results --slow-driver 'PATH/ncforce driver sevennet ...'

Runs ``ncforce run o-on-cu3al`` with slow, fast and MTS forces from one start and says what they
have in common: drift, adsorption site, spectrum of O, and the processor time that each took (of
i-PI and all drivers).  Runs that are done are kept, stopped or shorter ones go on; ``--runs``
starts some or none.
"""

from __future__ import annotations

import argparse
import json
import resource
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from adsorption import Sites, adsorption_sites, layers
from numpy.typing import NDArray

from ncforce_ipi import plots
from ncforce_ipi.analysis.peaks import highest_peak
from ncforce_ipi.analysis.statistics import mean_of, with_error
from ncforce_ipi.analysis.temperature import atom_masses
from ncforce_ipi.analysis.vdos import Spectrum, velocity_spectra
from ncforce_ipi.observables.comparison import Entry, entry_of
from ncforce_ipi.observables.dataset import open_dataset
from ncforce_ipi.provenance import Provenance
from ncforce_ipi.reading.directory import trajectory_in
from ncforce_ipi.reading.trajectory import open_trajectory
from ncforce_ipi.report import comparison as comparison_report
from ncforce_ipi.rundir import RECORD_FILE, read_record

SYSTEM, ADSORBATE, N_LAYERS = "o-on-cu3al", "O", 3
SEVENNET = "sevennet:7net-0"
LAG_PS = 0.5
APART_FS = 400.0  # frames of positions: every 20 fs of slow and fast, every 16 fs of M = 4 and 8
BANDS_PER_CM = {"lower": (300.0, 450.0), "upper": (450.0, 900.0)}  # of O, above the metal's own
CPU_FILE = "cpu.json"


def ncforce(words: Sequence[str]) -> tuple[int, float]:
    """Run a command of ours; its exit code, and processor time of all that it started, s."""
    print(f"$ ncforce {shlex.join(words)}", flush=True)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    code = subprocess.run([sys.executable, "-m", "ncforce_ipi", *words], check=False).returncode
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return code, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def run(directory: Path, words: Sequence[str], slow: Sequence[str], time_ps: float) -> None:
    """Start, continue to ``time_ps``, or leave as it is; what it took goes into ``cpu.json``."""
    to_the_end = ["--time-ps", str(time_ps), "--out", str(directory)]
    before = steps_done(directory)
    if (directory / "run.json").is_file():
        record = read_record(directory)
        if record["state"] == "finished" and record["plan"]["time_ps"] > time_ps - 1e-9:
            return
        code, cpu_s = ncforce(["run", "--resume", *to_the_end])
    else:
        code, cpu_s = ncforce(["run", SYSTEM, *words, *slow, *to_the_end])
    book = directory.parent / CPU_FILE
    costs = json.loads(book.read_text()) if book.is_file() else {}
    cost = costs.setdefault(directory.name, {"cpu_s": 0.0, "inner_steps": 0})
    cost["cpu_s"] += cpu_s
    cost["inner_steps"] += steps_done(directory) - before
    book.write_text(json.dumps(costs, indent=2) + "\n")
    if code:
        sys.exit(code)


def steps_done(directory: Path) -> int:
    """Inner steps of a run by now."""
    if not (directory / "run.json").is_file():
        return 0
    record = read_record(directory)
    return int(record["steps_done"] * record["plan"]["mts"])


def sites(directory: Path) -> tuple[NDArray[np.float64], Sites]:
    """Times of the frames of a run, ps, and where O sits in them."""
    trajectory = open_trajectory(trajectory_in(directory, "positions"))
    (frames,) = trajectory.blocks(len(trajectory.steps))
    species = trajectory.species
    metal = np.flatnonzero(species != ADSORBATE)
    parts = layers(frames.values[0, metal, 2], N_LAYERS)
    step_fs = read_record(directory)["plan"]["outer_step_fs"]
    return 1e-3 * step_fs * frames.steps, adsorption_sites(
        frames.values,
        frames.cells[0],
        species.tolist(),
        adsorbate=int(np.flatnonzero(species == ADSORBATE)[0]),
        top=metal[parts[-1]],
        second=metal[parts[-2]],
    )


def spectra(directory: Path) -> Spectrum:
    """c_vv of each species."""
    velocities = trajectory_in(directory, "velocities")
    trajectory, run_ = open_trajectory(velocities), read_record(directory)
    frame_fs = trajectory.stride() * run_["plan"]["outer_step_fs"]
    return velocity_spectra(
        [(slice(None), (one.values for one in trajectory.blocks(len(trajectory.steps))))],
        trajectory.species,
        atom_masses(trajectory.species, run_["masses_u"]),
        time_step_fs=frame_fs,
        n_lags=int(1e3 * LAG_PS / frame_fs),
    )


def apart(directory: Path, reference: Path) -> tuple[float, float]:
    """Distance of O from where it is in another run, after ``APART_FS``; RMS of all atoms; A."""
    ends = []
    for each in (directory, reference):
        trajectory = open_trajectory(trajectory_in(each, "positions"))
        step_fs = read_record(each)["plan"]["outer_step_fs"]
        frame = next(trajectory.blocks(1, from_step=round(APART_FS / step_fs)))
        if frame.steps[0] * step_fs != APART_FS:
            sys.exit(f"{each} has no frame at {APART_FS:g} fs")
        ends.append(frame.values[0])
    distances = np.linalg.norm(ends[0] - ends[1], axis=1)
    there = trajectory.species == ADSORBATE
    return float(distances[there].max()), float(np.sqrt(np.mean(distances**2)))


def record(
    directory: Path, entry: Entry, where: Sites, found: Spectrum, cost: dict[str, float]
) -> dict[str, Any]:
    """The numbers of one run."""
    oxygen_A, all_A = apart(directory, directory.parent / "slow")
    drift, conserved = entry.drift_conserved, entry.series.conserved_meV
    height, bond = mean_of(where.height_A), mean_of(where.bond_A)
    curve = found.wavenumber_per_cm, found.density[ADSORBATE]
    peaks = {name: highest_peak(*curve, *band) for name, band in BANDS_PER_CM.items()}
    return {
        "run": entry.name,
        "label": entry.kind,
        "time_ps": float(entry.time_ps[-1]),
        "drift_meV_per_atom_per_ps": drift.slope if drift else None,
        "drift_ci95_meV_per_atom_per_ps": _finite(drift.ci95) if drift else None,
        "conserved_standard_deviation_meV_per_atom": (
            None if conserved is None else float(conserved.std())
        ),
        "temperature_K": mean_of(entry.series.temperature_K).value,
        "occupancy": where.occupancy(),
        "height_A": height.value,
        "height_standard_error_A": _finite(height.error),
        "height_standard_deviation_A": float(where.height_A.std()),
        "bond_A": bond.value,
        "bond_standard_error_A": _finite(bond.error),
        "peaks_per_cm": {name: _finite(peak.position) for name, peak in peaks.items()},
        "resolution_per_cm": found.resolution_per_cm,
        "nyquist_per_cm": found.nyquist_per_cm,
        f"oxygen_from_slow_only_after_{APART_FS:g}_fs_A": oxygen_A,
        f"all_from_slow_only_after_{APART_FS:g}_fs_rms_A": all_A,
        "cpu_ms_per_inner_step": 1e3 * cost["cpu_s"] / cost["inner_steps"] if cost else None,
    }


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None


def table(records: Sequence[dict[str, Any]]) -> str:
    """Markdown."""
    slow_ms = next(r["cpu_ms_per_inner_step"] for r in records if r["run"] == "slow")
    lines = [
        "| forces | ps | drift, meV/atom/ps | T, K | site of O | height, A | O-metal, A "
        f"| peaks of O, cm^-1 | O off slow only after {1e-3 * APART_FS:g} ps, A | CPU, ms/step "
        "| times slow only |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for r in records:
        share, cpu_ms = next(iter(r["occupancy"].items())), r["cpu_ms_per_inner_step"]
        peaks = [f"{p:.0f}" if p else "-" for p in r["peaks_per_cm"].values()]
        cells = [
            r["label"],
            f"{r['time_ps']:.3g}",
            _pm(r["drift_meV_per_atom_per_ps"], r["drift_ci95_meV_per_atom_per_ps"]),
            f"{r['temperature_K']:.0f}",
            f"{share[0]} {100 * share[1]:.0f} %",
            _pm(r["height_A"], r["height_standard_error_A"]),
            _pm(r["bond_A"], r["bond_standard_error_A"]),
            ", ".join(peaks),
            f"{r[f'oxygen_from_slow_only_after_{APART_FS:g}_fs_A']:.3f}",
            f"{cpu_ms:.1f}" if cpu_ms else "-",
            f"{cpu_ms / slow_ms:.2f}" if cpu_ms and slow_ms else "-",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _pm(value: float | None, error: float | None) -> str:
    if value is None:
        return "-"
    if error is None:
        return f"{value:.3g}"
    return with_error(value, error).replace("+-", "±")


def draw(
    entries: Sequence[Entry],
    places: Sequence[tuple[NDArray[np.float64], Sites]],
    found: Sequence[Spectrum],
    path: Path,
) -> None:
    """Conserved quantity, height of O over its neighbours, and spectrum of O."""
    with plots.style():
        figure, (energy, height, vibration) = plots.figure(3, height_in=2.6)
        for rank, (entry, where, spectra_) in enumerate(zip(entries, places, found, strict=True)):
            shade = plots.PALETTE[rank]
            if entry.series.conserved_meV is not None:
                energy.plot(
                    entry.time_ps, entry.series.conserved_meV, color=shade, label=entry.kind
                )
            height.plot(where[0], where[1].height_A, color=shade, linewidth=1.2)
            density = spectra_.density[ADSORBATE]
            vibration.plot(spectra_.wavenumber_per_cm, density, color=shade)
        energy.set(xlabel="time (ps)", ylabel="conserved, from\nstart (meV/atom)")
        height.set(xlabel="time (ps)", ylabel="height of O (Å)")
        vibration.set(
            xlabel="wavenumber (cm$^{-1}$)", ylabel="$c_{vv}$ of O (K cm)", xlim=(0.0, 1000.0)
        )
        figure.legend(loc="outside upper center", ncols=4)
        plots.save(figure, path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--time-ps", type=float, default=2.0)
    parser.add_argument("--timestep-fs", type=float, default=2.0)
    parser.add_argument("--mts", type=int, nargs="+", default=[4, 8])
    parser.add_argument("--slow-driver", help="SevenNet-0 of another environment; see ncforce run")
    parser.add_argument(
        "--runs", nargs="*", metavar="NAME", help="of slow, fast, mts4 ...; default all"
    )
    args = parser.parse_args()
    slow = ["--slow", args.slow_driver or SEVENNET]
    step = ["--timestep-fs", str(args.timestep_fs)]
    plans = {name: ["--forces", name] for name in ("slow", "fast")}
    plans |= {f"mts{m}": ["--forces", "mts", "--mts", str(m)] for m in args.mts}
    args.out.mkdir(parents=True, exist_ok=True)
    for name in plans if args.runs is None else args.runs:
        run(args.out / name, [*plans[name], *step], slow, args.time_ps)
    there = [args.out / name for name in plans if (args.out / name / "run.json").is_file()]
    entries = [entry_of(open_dataset([directory])) for directory in there]
    places, found = [sites(d) for d in there], [spectra(d) for d in there]
    book = args.out / CPU_FILE
    costs = json.loads(book.read_text()) if book.is_file() else {}
    records = [
        record(directory, entry, where, s, costs.get(entry.name, {}))
        for directory, entry, (_, where), s in zip(there, entries, places, found, strict=True)
    ]
    models = {key: entry.record[key] for entry in entries[-1:] for key in ("model", "slow_model")}
    text = json.dumps({"models": models, "runs": records}, indent=2)
    (args.out / "catalysis.json").write_text(text + "\n")
    (args.out / "catalysis.txt").write_text(table(records) + "\n")
    draw(entries, places, found, args.out / "catalysis.png")
    provenance = Provenance.of(
        [d / RECORD_FILE for d in there], entries[-1].record["model"]["sha256"]
    )
    comparison_report.write_files(entries, provenance, args.out)
    print(table(records))


if __name__ == "__main__":
    main()
