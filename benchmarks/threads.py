"""What more threads of torch give a call of the shipped water model, one thread being the default.

Direct, conservative and joint calls at 64 and 512 H2O, with each number of threads in turns::

    python benchmarks/threads.py --threads 1 2 --out DIR

More than one thread costs reproducibility to the last bit; several drivers with one thread each
(``ncforce run --drivers``) serve beads and replicas better.
"""

import argparse
import json
import os
import platform
import statistics
from pathlib import Path

import torch
from mts_overhead import WANTED, Bare
from rig import water

from ncforce_ipi.models import model_path

CALLS = {1: 10, 2: 2}  # in a round, for copies of 64 H2O along each axis


def measure(n_copies: int, threads: list[int], rounds: int) -> dict[str, dict[int, float]]:
    """Milliseconds of a call for each kind and number of threads, medians over the rounds."""
    bare = Bare(str(model_path("water")), "cpu", water(n_copies))
    times: dict[str, dict[int, list[float]]] = {name: {n: [] for n in threads} for name in WANTED}
    for _ in range(rounds):
        for n in threads:
            torch.set_num_threads(n)
            for name, found in times.items():
                found[n].append(bare.time(name, CALLS[n_copies]))
    return {
        name: {n: statistics.median(values) for n, values in found.items()}
        for name, found in times.items()
    }


def table(n_atoms: int, medians: dict[str, dict[int, float]]) -> str:
    threads = list(next(iter(medians.values())))
    head = "".join(f"{f'{n} thr.':>10}" for n in threads) + f"{'first / last':>14}"
    lines = [f"{n_atoms} atoms, ms of a call", f"{'':8}{head}"]
    for name, found in medians.items():
        ratio = found[threads[0]] / found[threads[-1]]
        lines.append(f"{name:8}" + "".join(f"{found[n]:10.2f}" for n in threads) + f"{ratio:14.2f}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, required=True, help="directory of the results")
    args = parser.parse_args()
    record: dict[str, object] = {
        "machine": f"{platform.machine()}, {os.cpu_count()} CPUs",
        "torch": torch.__version__,
        "rounds": args.rounds,
    }
    texts = []
    for n_copies in CALLS:
        medians = measure(n_copies, args.threads, args.rounds)
        n_atoms = 192 * n_copies**3
        record[f"{n_atoms} atoms"] = medians
        texts.append(table(n_atoms, medians))
        print(texts[-1], flush=True)
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "threads.json").write_text(json.dumps(record, indent=1) + "\n")
    (args.out / "threads.txt").write_text("\n\n".join(texts) + "\n")


if __name__ == "__main__":
    main()
