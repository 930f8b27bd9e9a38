"""How often joint evaluation hits: K drivers for both roles, P beads, real i-PI, a cheap model.

i-PI gives requests of the two force fields to drivers independently of each other; a hit needs both
requests of a bead at one driver.  ``batch`` sends all beads at once; ``lock`` is i-PI's
``<matching>``, which ties beads to drivers.  ``calls`` are calls of the model for a slow force, for
each slow request: 1 is the least.  A minute or two::

    OMP_NUM_THREADS=1 python benchmarks/joint_hits.py [--out FILE]
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
from ase import Atoms
from rig import Layout, Rig, socket_xml

MTS, N_OUTER = 4, 20
CASES = (  # drivers, beads, i-PI's options
    (1, 1, ""), (1, 4, ""), (1, 16, ""), (1, 64, ""),
    (1, 4, "batch"), (1, 16, "batch"), (1, 64, "batch"), (2, 16, "batch"), (4, 16, "batch"),
    (2, 1, ""), (2, 4, ""), (4, 4, ""), (4, 16, ""), (4, 4, "lock"),
)  # fmt: skip
ANALYTIC = str(Path(__file__).parent.parent / "tests" / "analytic_driver.py")


def layout(n_drivers: int, n_beads: int, option: str, mts: int | None) -> Layout:
    more, matching = "", "lock" if option == "lock" else "auto"
    if option == "batch":
        more = f"<batch_size>{n_beads // n_drivers}</batch_size>"
    words = [sys.executable, ANALYTIC, "driver", "analytic", "--model", "init.xyz", "--role"]
    words += ["both", "--structure", "init.xyz", "--socket-dir", "."]
    words += ["--mts", str(mts)] if mts else []
    drivers = [[*words, "--report", f"report{k}.json"] for k in range(n_drivers)]
    sockets = {role: socket_xml(role, more=more, matching=matching) for role in ("slow", "fast")}
    return Layout(sockets, drivers, n_beads)


def molecules() -> Atoms:
    """64 H2O on a grid, whole ones as the analytic model needs them."""
    one = np.array([[0.0, 0.0, 0.0], [0.76, 0.59, 0.0], [-0.76, 0.59, 0.0]])
    corners = 4.0 * np.array(list(np.ndindex(4, 4, 4)))
    positions = (corners[:, None] + one).reshape(-1, 3)
    return Atoms("OHH" * 64, positions=positions, cell=np.eye(3) * 16.0, pbc=True)


def run(directory: Path, n_drivers: int, n_beads: int, option: str) -> dict[str, object]:
    """Counts of all drivers of one run."""
    with Rig(directory, layout(n_drivers, n_beads, option, MTS), molecules()) as rig:
        rig.steps(MTS, n_warm=0, n_outer=N_OUTER)
        rig.end()
        reports = [json.loads(path.read_text()) for path in sorted(directory.glob("report*.json"))]
    total = {
        key: sum(report["joint"][key] for report in reports)
        for key in ("hits", "misses", "wasted", "repeated")
    }
    slow_requests = n_beads * (N_OUTER + 1)
    calls = total["misses"] + sum(report["calls"]["joint"] for report in reports)
    return {
        "drivers": n_drivers,
        "beads": n_beads,
        "option": option,
        **total,
        "hit_rate": total["hits"] / max(total["hits"] + total["misses"], 1),
        "slow_calls_per_request": calls / slow_requests,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, help="write the table to this JSON file")
    args = parser.parse_args()
    print("drivers beads option     hits misses wasted repeated  hit rate   calls")
    rows = []
    for n_drivers, n_beads, option in CASES:
        with tempfile.TemporaryDirectory() as directory:
            row = run(Path(directory) / "run", n_drivers, n_beads, option)
        rows.append(row)
        print(
            f"{n_drivers:7} {n_beads:5} {option:7} {row['hits']:7} {row['misses']:6}"
            f" {row['wasted']:6} {row['repeated']:8} {row['hit_rate']:9.3f}"
            f" {row['slow_calls_per_request']:7.3f}",
            flush=True,
        )
    if args.out:
        args.out.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
