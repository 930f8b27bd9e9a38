"""What i-PI, wire and driver add to a model: milliseconds of an MD step, less the model's own.

A model that sleeps is served by our driver over each transport; for comparison it is called inside
of i-PI (``<ffdirect>``) and served by i-PI's own Python driver.  All stand ready at once and are
timed in turns.  ``queued`` and ``served`` are i-PI's own times of one request (see ``rig``) at no
sleep: what a step takes besides is integration, output and i-PI's safety copy.  Five minutes, less
than two with --quick, on an idle machine; each size is written when it is done::

    OMP_NUM_THREADS=1 python benchmarks/driver_overhead.py --out DIR [--quick]
"""

import argparse
import json
import os
import platform
import socket
import statistics
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from ase import Atoms
from rig import Layout, Rig, direct_xml, socket_xml, water

COPIES = (1, 2, 4, 8)  # 192, 1536, 12288, 98304 atoms
SLEEPS_MS = (0, 1, 5, 10)
STEPS = {1: 100, 2: 60, 4: 15, 8: 3}
SLEEPING = str(Path(__file__).with_name("sleeping.py"))


def layouts() -> dict[str, Layout]:
    """One i-PI for each way to the model."""
    ours = [sys.executable, SLEEPING, "fast", "--structure", "init.xyz"]
    stock = [sys.executable, str(Path(sys.executable).with_name("i-pi-driver-py")), "-u", "-S"]
    stock += ["./", "-m", "custom", "-P", SLEEPING, "-a", "fast"]
    port = free_port()
    unix, shm = ({"fast": socket_xml("fast", mode=mode)} for mode in ("unix", "shm"))
    return {
        "ffdirect": Layout({"fast": direct_xml("fast", "a: 1", path=SLEEPING)}),
        "unix": Layout(unix, [ours]),
        "inet": Layout(
            {"fast": socket_xml("fast", mode="inet", port=port)}, [[*ours, "--port", str(port)]]
        ),
        "shm": Layout(shm, [[*ours, "--shm"]]),
        "i-pi-driver-py": Layout(unix, [stock]),
        "i-pi-driver-py --shm": Layout(shm, [[*stock, "--shm"]]),
    }


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def measure(directory: Path, atoms: Atoms, n_steps: int, rounds: int) -> list[dict[str, object]]:
    """One row for each transport: overhead in ms at each sleep, and the parts of a request."""
    with ExitStack() as stack:
        rigs = {
            name: stack.enter_context(Rig(directory / name.replace(" ", ""), layout, atoms))
            for name, layout in layouts().items()
        }
        rows: list[dict[str, object]] = [{"transport": name} for name in rigs]
        for sleep_ms in SLEEPS_MS:
            over: dict[str, list[float]] = {name: [] for name in rigs}
            for _ in range(rounds):
                for name, rig in rigs.items():
                    (rig.directory / "sleep_ms").write_text(str(sleep_ms))
                    over[name].append(rig.steps(1, n_warm=2, n_outer=n_steps) - sleep_ms)
            for row, rig in zip(rows, rigs.values(), strict=True):
                row[f"at_{sleep_ms}_ms"] = statistics.median(over[str(row["transport"])])
                if sleep_ms == 0:
                    row |= {key: rig.parts[key] for key in ("queued", "served")}
    return rows


def table(n_atoms: int, rows: list[dict[str, object]]) -> str:
    head = "".join(f"{f'{ms} ms':>9}" for ms in SLEEPS_MS)
    lines = [f"{n_atoms} atoms, overhead in ms for a model that takes"]
    lines.append(f"{'':22}{head}{'queued':>9}{'served':>9}")
    for row in rows:
        values = [row[f"at_{ms}_ms"] for ms in SLEEPS_MS] + [row["queued"], row["served"]]
        lines.append(f"{row['transport']:22}" + "".join(f"{value:9.3f}" for value in values))
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--copies", type=int, nargs="+", choices=COPIES, default=COPIES,
                        help="of 64 H2O along each axis, default all")  # fmt: skip
    parser.add_argument("--quick", action="store_true", help="192 and 1536 atoms, two rounds")
    parser.add_argument("--out", type=Path, required=True, help="directory of the results")
    args = parser.parse_args()
    rounds, copies = (2, COPIES[:2]) if args.quick else (args.rounds, args.copies)
    args.out.mkdir(parents=True, exist_ok=True)
    record: dict[str, object] = {"machine": f"{platform.machine()}, {os.cpu_count()} CPUs"}
    record["rounds"] = rounds
    texts = []
    for n_copies in copies:
        atoms = water(n_copies)
        with tempfile.TemporaryDirectory() as directory:
            rows = measure(Path(directory), atoms, STEPS[n_copies], rounds)
        record[f"{len(atoms)} atoms"] = rows
        texts.append(table(len(atoms), rows))
        print(texts[-1], flush=True)
        (args.out / "driver_overhead.json").write_text(json.dumps(record, indent=1) + "\n")
        (args.out / "driver_overhead.txt").write_text("\n\n".join(texts) + "\n")


if __name__ == "__main__":
    main()
