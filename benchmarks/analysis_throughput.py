"""Frames per second and peak memory of the analysis against programs that do the same.

The same generated frames (molecules that move, N atoms) as i-PI xyz in atomic units and as extxyz:

- reading all frames: ours and i-PI's reader (i-PI's xyz), ours and ASE (extxyz), ours and chemfiles
  (i-PI's xyz; only where it is installed)
- g(r) of O-O, O-H and H-H: ours, MDAnalysis InterRDF (three times, one for each pair)
- the velocity autocorrelations and spectra of hydrogen and oxygen: ours, i-pi-getacf (twice, once
  for each species); and of hydrogen alone, where ours does both all the same

Each in a process of its own, one thread, in turns; the file is read once before, so that all read
from the page cache.  Seconds are the processor's own, imports included, so that a busy machine
tells the same; wall seconds stand beside them.  What takes more than five minutes isn't repeated.

The largest differences are relative to the highest value.  MDAnalysis keeps positions in float32:
of two programs' g(r) in bins of 0.02 A a pair in ten thousand is in the next bin.  i-pi-getacf
doesn't pad its blocks, so that its C(k) wraps around: with these velocities, white noise, that adds
the noise of C(n - k).

Writes ``throughput.json`` and prints a table.

    python benchmarks/analysis_throughput.py --megabytes 100 --out benchmarks/results/analysis
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

N_MOLECULES, CELL_A = 64, 12.42
BOHR_A, ATOMIC_VELOCITY_A_PER_FS = 0.529177210903, 21.8769126364
R_MAX_A, N_BINS, N_LAGS, STEP_FS = 6.2, 310, 250, 4.0
MASSES_U = {"H": 1.008, "O": 15.999}
SPECIES = np.array(["O", "H", "H"] * N_MOLECULES)
LONG_S = 300.0


def write_frames(folder: Path, n_frames: int) -> None:
    """pos.xyz and vel.xyz as i-PI writes them, in atomic units; pos.extxyz as ASE writes it."""
    rng = np.random.default_rng(1)
    homes = rng.uniform(0.0, CELL_A, size=(N_MOLECULES, 1, 3))
    shape = np.array([[0.0, 0.0, 0.0], [0.98, 0.0, 0.0], [-0.245, 0.949, 0.0]])
    homes = (homes + shape).reshape(-1, 3)
    abc = ("%10.5f  " * 3) % ((CELL_A / BOHR_A,) * 3) + ("%10.5f  " * 3) % ((90.0,) * 3)
    lattice = f"{CELL_A} 0.0 0.0 0.0 {CELL_A} 0.0 0.0 0.0 {CELL_A}"
    ipi = "".join(f"{s:>8} %12.5e %12.5e %12.5e\n" for s in SPECIES)
    ase = "".join(f"{s:<2} %16.8f %16.8f %16.8f\n" for s in SPECIES)
    names = ("pos.xyz", "vel.xyz", "pos.extxyz")
    files = [(folder / name).open("w") for name in names]
    for step in range(n_frames):
        homes = homes + rng.normal(scale=0.02, size=homes.shape)
        velocities = 1e-3 * rng.normal(size=homes.shape)
        for file, key, values in zip(
            files, ("positions", "velocities"), (homes / BOHR_A, velocities), strict=False
        ):
            file.write(f"{len(SPECIES)}\n# CELL(abcABC): {abc}Step: {step:11d}  Bead:       0 "
                       f"{key}{{atomic_unit}}  cell{{atomic_unit}}\n")  # fmt: skip
            file.write(ipi % tuple(values.ravel()))
        files[2].write(f'{len(SPECIES)}\nLattice="{lattice}" Properties=species:S:1:pos:R:3 '
                       'pbc="T T T"\n')  # fmt: skip
        files[2].write(ase % tuple(homes.ravel()))
    for file in files:
        file.close()


def ours_read(path: Path) -> int:
    """All frames of a trajectory."""
    from ncforce_ipi.reading.trajectory import open_trajectory

    return sum(len(block.steps) for block in open_trajectory(path).blocks(256))


def ase_read(path: Path) -> int:
    from ase.io import iread

    return sum(1 for _ in iread(path, index=":", format="extxyz"))


def ipi_read(path: Path) -> int:
    from ipi.utils.io import read_file_raw

    count = 0
    with path.open() as file:
        while True:
            try:
                read_file_raw("xyz", file)
            except EOFError:
                return count
            count += 1


def chemfiles_read(path: Path) -> int:
    import chemfiles

    with chemfiles.Trajectory(str(path), "r", "XYZ") as trajectory:
        return sum(len(trajectory.read().positions) > 0 for _ in range(trajectory.nsteps))


def ours_rdf(path: Path) -> dict[str, list[float]]:
    """g(r) of all pairs."""
    from ncforce_ipi.observables import rdf
    from ncforce_ipi.observables.dataset import open_dataset
    from ncforce_ipi.observables.options import Options

    found = rdf.measure(
        open_dataset([path], Options(discard_ps=0.0)), r_max_A=R_MAX_A, n_bins=N_BINS
    )
    return {a + b: found[a, b].g.tolist() for a, b in found}


def mdanalysis_rdf(path: Path) -> dict[str, list[float]]:
    """Its XYZ reader takes A and knows no cell: both are given."""
    import MDAnalysis
    from MDAnalysis.analysis.rdf import InterRDF
    from MDAnalysis.transformations import set_dimensions

    def to_angstrom(frame: Any) -> Any:
        frame.positions = frame.positions * BOHR_A
        return frame

    universe = MDAnalysis.Universe(str(path), format="XYZ", topology_format="XYZ")
    universe.trajectory.add_transformations(
        to_angstrom,
        set_dimensions([CELL_A] * 3 + [90.0] * 3),
    )
    result = {}
    for a, b in ("OO", "OH", "HH"):
        first, second = (universe.select_atoms(f"name {symbol}") for symbol in (a, b))
        block = (1, 1) if a == b else None
        run = InterRDF(first, second, nbins=N_BINS, range=(0.0, R_MAX_A), exclusion_block=block)
        result[a + b] = run.run().results.rdf.tolist()
    return result


def ours_acf(path: Path) -> dict[str, list[float]]:
    """Spectra of all species at i-pi-getacf's frequencies, in units of their means."""
    from ncforce_ipi.observables.dataset import open_dataset
    from ncforce_ipi.observables.options import Options
    from ncforce_ipi.observables.velocities import Transform, spectrum

    options = Options(discard_ps=0.0, timestep_fs=STEP_FS, masses_u=MASSES_U, fixed_com=False)
    how = Transform(lag_ps=1e-3 * STEP_FS * N_LAGS, at_rest=False)
    found = spectrum(open_dataset([path], options), how)
    axis = np.arange(N_LAGS) / N_LAGS * found.nyquist_per_cm
    curves = {s: np.interp(axis, found.wavenumber_per_cm, d) for s, d in found.density.items()}
    return {symbol: (curve / curve.mean()).tolist() for symbol, curve in curves.items()}


def ipi_acf(path: Path, symbols: str = "HO") -> dict[str, list[float]]:
    """What i-pi-getacf computes, one species after the other, in units of the mean."""
    from ipi.utils.tools import compute_acf_xyz

    curves = {}
    for symbol in symbols:
        result = compute_acf_xyz(
            str(path), N_LAGS, block_length=2 * N_LAGS + 1, labels=[symbol], timestep=STEP_FS,
            time_units="femtosecond", spectral_windowing="cosine-hanning",
        )  # fmt: skip
        curve = result[4][:N_LAGS]  # the rest mirrors it
        curves[symbol] = (curve / curve.mean()).tolist()
    return curves


TASKS: dict[str, tuple[str, dict[str, Callable[[Path], object]]]] = {  # file, programs
    "read i-PI xyz": ("vel.xyz", {"ours": ours_read, "i-PI": ipi_read}),
    "read extxyz": ("pos.extxyz", {"ours": ours_read, "ASE": ase_read}),
    "read, chemfiles": ("vel.xyz", {"ours": ours_read, "chemfiles": chemfiles_read}),
    "c_vv, H and O": ("vel.xyz", {"ours": ours_acf, "i-pi-getacf": ipi_acf}),
    "c_vv, H": ("vel.xyz", {"ours": ours_acf, "i-pi-getacf": partial(ipi_acf, symbols="H")}),
    "g(r), 3 pairs": ("pos.xyz", {"ours": ours_rdf, "MDAnalysis": mdanalysis_rdf}),
}


def child(task: str, program: str, folder: Path) -> None:
    """Do one task; print seconds, CPU seconds, peak memory and the result."""
    name, programs = TASKS[task]
    start, cpu = time.perf_counter(), time.process_time()
    result = programs[program](folder / name)
    seconds, cpu_s = time.perf_counter() - start, time.process_time() - cpu
    # not ru_maxrss, which begins with what the parent had
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    peak_MB = int(status.split("VmHWM:")[1].split()[0]) / 1024
    print(json.dumps({"s": seconds, "cpu_s": cpu_s, "peak_MB": peak_MB, "result": result}))


def measured(task: str, program: str, folder: Path) -> dict:
    """One task in a process of its own."""
    words = [sys.executable, __file__, "--child", task, program, str(folder)]
    threads = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    done = subprocess.run(
        words, capture_output=True, text=True, check=True, env=os.environ | threads, timeout=7200
    )
    return json.loads(done.stdout.splitlines()[-1])


def difference(results: dict[str, dict]) -> float | None:
    """Largest relative difference of the curves of two programs; None where there are none."""
    curves = [one["result"] for one in results.values()]
    if not all(isinstance(curve, dict) for curve in curves):
        return None
    shared = curves[0].keys() & curves[1].keys()
    pairs = [(np.array(curves[0][key]), np.array(curves[1][key])) for key in shared]
    return max(float(np.max(np.abs(a - b)) / b.max()) for a, b in pairs)


def save(rows: list[dict], folder: Path) -> None:
    """Write rows in the place of earlier ones of the same tasks."""
    path = folder / "throughput.json"
    facts = {
        "atoms": len(SPECIES), "machine": platform.machine(), "python": sys.version.split()[0],
        "note": "seconds of the processor, best of the repeats",
    }  # fmt: skip
    there = json.loads(path.read_text())["rows"] if path.exists() else []
    by_task = {row["task"]: row for row in [*there, *rows]}
    ordered = [by_task[task] for task in TASKS if task in by_task]
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"facts": facts, "rows": ordered}, indent=2) + "\n")


def compare(task: str, folder: Path, n_frames: int, repeats: int) -> dict:
    """One task by all of its programs, in turns; prints and returns the best of each."""
    file, programs = TASKS[task]
    with (folder / file).open("rb") as stream:
        while stream.read(1 << 20):
            pass
    best: dict[str, dict] = {}
    for _ in range(repeats):
        for program in programs:
            if program in best and best[program]["cpu_s"] > LONG_S:
                continue
            one = measured(task, program, folder)
            if program not in best or one["cpu_s"] < best[program]["cpu_s"]:
                best[program] = one
    ours, other = best["ours"], next(one for name, one in best.items() if name != "ours")
    row = {
        "task": task, "MB": (folder / file).stat().st_size / 1e6, "n_frames": n_frames,
        "repeats": repeats, "ratio_of_cpu": other["cpu_s"] / ours["cpu_s"],
        "largest_difference": difference(best),
    }  # fmt: skip
    for program, one in best.items():
        row[program] = {
            "frames_per_cpu_s": n_frames / one["cpu_s"], "wall_s": one["s"],
            "cpu_s": one["cpu_s"], "peak_MB": one["peak_MB"],
        }  # fmt: skip
        speed = f"{n_frames / one['cpu_s']:10.0f} frames/s{one['peak_MB']:8.0f} MB"
        print(f"{task:16}{program:14}{speed}", flush=True)
    print(f"{'':16}ratio {row['ratio_of_cpu']:.1f}, difference {row['largest_difference']}")
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--megabytes", type=float, default=50.0, help="of each file")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/analysis"))
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--frames", type=Path, metavar="DIR",
                        help="keep the frames there; they are made if there are none")  # fmt: skip
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        child(args.child[0], args.child[1], Path(args.child[2]))
        return
    n_frames = int(args.megabytes * 1e6 / (48 * len(SPECIES)))
    with tempfile.TemporaryDirectory() as name:
        folder = args.frames or Path(name)
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / "pos.extxyz").exists():
            write_frames(folder, n_frames)
        for task in args.tasks:
            if "chemfiles" not in TASKS[task][1] or find_spec("chemfiles"):
                save([compare(task, folder, n_frames, args.repeats)], args.out)


if __name__ == "__main__":
    main()
