"""What multiple time steps cost, however the forces are served; all in one run, in turns.

Water in i-PI's NVE with inner steps of 0.5 fs; milliseconds for one inner step of

  a  one driver for both roles, unix sockets        d  i-PI's own metatomic <ffdirect>
  b  two drivers                                    e  i-pi-driver-py metatomic, unix sockets
  c  our PES file in two <ffdirect>

beside fast forces only and slow forces only (our driver), and the model called from Python.  The
limit is (M - 1 + F)/M times fast only, F being the cost of a call of the model for both forces over
that of a direct call, measured here.  Without --quick it takes up to ten minutes::

    OMP_NUM_THREADS=1 python benchmarks/mts_overhead.py --out DIR [--model FILE] [--quick]
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from ase import Atoms
from rig import Layout, Rig, direct_xml, socket_xml, water

from ncforce_ipi.backend import Structure, Wanted
from ncforce_ipi.drivers import metatomic, ncforce_pes
from ncforce_ipi.models import model_path
from ncforce_ipi.provenance import sha256

RATIOS = (2, 4, 8)
LAYOUTS = ("a", "b", "c", "d", "e")
WANTED = {
    "fast": Wanted(frozenset(["direct"])),
    "slow": Wanted(frozenset(["conservative"])),
    "joint": Wanted(frozenset(["conservative", "direct"])),
}


def layouts(model: str, device: str, capture: bool = False) -> dict[str, Layout]:
    """Everything that stands ready for one size; with ``capture``, what is ours."""
    ours = [sys.executable, "-m", "ncforce_ipi", "driver", "metatomic", "--model", model]
    ours += ["--structure", "init.xyz", "--socket-dir", ".", "--device", device]
    ours += ["--report", "report.json", *["--capture"] * capture, "--role"]
    sockets = {role: socket_xml(role) for role in ("slow", "fast")}
    stock = f"template: init.xyz, model: {model}, device: {device}, non_conservative: "
    client = [sys.executable, stock_client(), "-u"]
    client += ["-S", "./", "-m", "metatomic", "-a"]
    words = f"template=init.xyz,model={model},device={device},non_conservative="
    pes = f"template: init.xyz, model: {model}, device: {device}, "
    pes += "capture: true, role: " if capture else "role: "
    found = {
        "fast only": Layout({"fast": sockets["fast"]}, [[*ours, "fast", "--direct-energy"]]),
        "slow only": Layout({"slow": sockets["slow"]}, [[*ours, "slow"]]),
        "a": Layout(sockets, [[*ours, "both"]]),
        "b": Layout(sockets, [[*ours, "slow"], [*ours, "fast"]]),
        "c": Layout(
            {role: direct_xml(role, pes + role, path=ncforce_pes.__file__) for role in sockets}
        ),
        "d": Layout(
            {
                role: direct_xml(role, f"{stock}{role == 'fast'}", pes="metatomic")
                for role in sockets
            }
        ),
        "e": Layout(
            sockets,
            [[*client, role, "-o", f"{words}{role == 'fast'}"] for role in sockets],
        ),
    }
    return {name: one for name, one in found.items() if not capture or name not in ("d", "e")}


def stock_client() -> str:
    """i-PI's own client, beside the interpreter or on the PATH."""
    beside = Path(sys.executable).with_name("i-pi-driver-py")
    found = str(beside) if beside.exists() else shutil.which("i-pi-driver-py")
    if found is None:
        raise SystemExit("i-pi-driver-py isn't installed; pip install ipi")
    return found


class Bare:
    """The model, called from Python at positions that move a little from call to call."""

    def __init__(self, model: str, device: str, atoms: Atoms, capture: bool = False) -> None:
        self._backend = metatomic.load(model, device=device, capture=capture)
        self._atoms = atoms
        self._rng = np.random.default_rng(0)

    def time(self, name: str, n: int) -> float:
        """Milliseconds of one call for what ``name`` wants, mean of ``n`` after one."""
        start = 0.0
        for k in range(n + 1):
            move = 0.01 * self._rng.normal(size=self._atoms.positions.shape)
            structure = Structure(
                self._atoms.numbers.astype(np.int32),
                self._atoms.positions + move,
                np.array(self._atoms.cell),
            )
            if k == 1:
                start = time.perf_counter()
            self._backend.evaluate(structure, WANTED[name])
        return 1e3 * (time.perf_counter() - start) / n


def measure(
    directory: Path, model: str, device: str, atoms: Atoms, rounds: int, capture: bool
) -> dict[str, list[float]]:
    """Milliseconds of an inner step (``a 8``: layout a, M = 8) or of a call, one a round."""
    times: dict[str, list[float]] = {}
    with ExitStack() as stack:
        bare = Bare(model, device, atoms, capture)
        rigs = {
            name: stack.enter_context(Rig(directory / name.replace(" ", "_"), layout, atoms))
            for name, layout in layouts(model, device, capture).items()
        }
        for k in range(rounds + 1):
            row: dict[str, float] = {f"call {name}": bare.time(name, 4) for name in WANTED}
            for name in ("fast only", "slow only"):
                row[name] = rigs[name].steps(1, n_warm=1, n_outer=8)
            for mts in RATIOS:
                for name in [name for name in LAYOUTS if name in rigs]:
                    try:  # the first cycle teaches M, the second uses it
                        row[f"{name} {mts}"] = rigs[name].steps(mts, n_warm=2, n_outer=8 // mts)
                    except RuntimeError as err:  # i-PI's own potential fails with some models
                        print(f"{name} is left out: {err}", file=sys.stderr)
                        del rigs[name]
            for name, value in row.items() if k else ():  # the first round warms up
                times.setdefault(name, []).append(value)
    return times


def summary(times: dict[str, list[float]]) -> list[dict[str, object]]:
    """Rows of the table: medians over the rounds, and ratios of them."""
    median = {name: statistics.median(values) for name, values in times.items()}
    f_joint = median["call joint"] / median["call fast"]
    rows = []
    for name, value in median.items():
        over_fast = value / median["fast only"]
        row: dict[str, object] = {"what": name, "ms": value, "over_fast": over_fast}
        if name[0] in LAYOUTS and name[-1].isdigit():
            mts = int(name.split()[1])
            row["over_limit"] = over_fast / ((mts - 1 + f_joint) / mts)
        rows.append(row)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="water")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--copies", type=int, nargs="+", default=[1, 2], help="of 64 H2O, a side")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--capture", action="store_true", help="CUDA graphs; without d and e")
    parser.add_argument("--quick", action="store_true", help="64 H2O, two rounds")
    parser.add_argument("--out", type=Path, required=True, help="directory of the results")
    args = parser.parse_args()
    if args.quick:
        args.copies, args.rounds = [1], 2
    model = str(model_path(args.model))
    record: dict[str, object] = {"machine": f"{platform.machine()}, {os.cpu_count()} CPUs"}
    record |= {
        "device": args.device,
        "model_sha256": sha256(Path(model)),
        "rounds": args.rounds,
        "capture": args.capture,
    }
    lines = []
    args.out.mkdir(parents=True, exist_ok=True)
    for n_copies in args.copies:
        atoms = water(n_copies)
        with tempfile.TemporaryDirectory() as directory:
            where = Path(directory)
            times = measure(where, model, args.device, atoms, args.rounds, args.capture)
        rows = summary(times)
        record[f"{len(atoms)} atoms"] = {"rows": rows, "ms_of_rounds": times}
        lines += [f"{len(atoms)} atoms", f"{'':12} {'ms':>9} {'/ fast':>7} {'/ limit':>7}"]
        for row in rows:
            limit = f"{row['over_limit']:7.3f}" if "over_limit" in row else ""
            lines.append(f"{row['what']:12} {row['ms']:9.2f} {row['over_fast']:7.3f} {limit}")
        print("\n".join(lines[-len(rows) - 2 :]), flush=True)
        (args.out / "mts_overhead.json").write_text(json.dumps(record, indent=1) + "\n")
        (args.out / "mts_overhead.txt").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
