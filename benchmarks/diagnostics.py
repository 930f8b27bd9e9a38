"""Diagnostics of the shipped models: Jacobian, loops, pair, optimisation; cost against size.

    python benchmarks/diagnostics.py --out results [--only jacobian loops ...] [--processes 2]

Every part is commands of ``ncforce``, printed with their tables.  Their files go to ``--raw``, and
what the page needs of them to ``--out``; a part whose raw files are there is left out.  ``g2``,
``freesolv`` and ``gas-sevennet`` need SevenNet, ``second-opinion`` SO3LR, ``random-orb`` and
``random-equiformer`` the libraries of these families: parts whose library isn't in this environment
are left out too.  Parts run side by side, each on one core; their seconds go to ``times.json``.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import multiprocessing
import os
import resource
import shlex
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from pathlib import Path

import ase.io
from diagnosing import TRAINING, Run, collect, measure, ncforce, note_times, structures

RAW = TRAINING.parent / "raw" / "diagnostics"  # not in git
MOLECULES = TRAINING / "molecules"
STUDENT = MOLECULES / "model.pt"
LEARNT, HELD_OUT = (MOLECULES / f"{name}.xyz.xz" for name in ("molecules", "held_out"))
NOISE = ["--displace-A", 0.5]
GAS = [*NOISE, "--copies", 24, "--optimizer", "LBFGS", "FIRE"]
SEVENNET = "sevennet:7net-0"
SO3LR = (
    "ase --model so3krates_torch.calculator.so3:SO3LRCalculator --arguments "
    """'{"r_max_lr": 12.0, "device": "cpu", "default_dtype": "float64"}'"""
)
PAPER = "lambda of the paper's models on water: PET-NC 0.004, ORB-v2 0.015, EquiformerV2 0.017"


def jacobian(run: Run) -> None:
    """The whole matrix of 64 H2O, to compare estimates with."""
    words = [f"{run.at['water192']}@0", "--kind", "direct"]
    measure(run, "jacobian", "jacobian", *words)


def estimates(run: Run) -> None:
    """The same by 160 products, and of another frame."""
    words = [run.at["water192"], "--frames", 2, "--kind", "direct", "--method", "estimate"]
    measure(run, "estimates", "jacobian", *words)


def precision(run: Run) -> None:
    """A conservative model's lambda: in float64, in float32, and by differences."""
    frame = f"{run.at['water96']}@0"
    for name, words in {
        "float64_exact": ["--kind", "conservative"],
        "float32_exact": ["--kind", "conservative", "--precision", "model"],
        "float32_differences": ["--kind", "conservative", "--products", "differences"],
    }.items():
        measure(run, name, "jacobian", frame, *words)


def shipped(run: Run) -> None:
    """Lambda of the other models: whole matrices."""
    models = {"graphene": "carbon", "amorphous": "carbon"}
    models |= {"aluminium": "aluminium", "o-on-cu3al": "cu3al-o"}
    for name, model in models.items():
        words = [run.at[name], "--frames", 2, "--model", model]
        measure(run, f"lambda_{name}", "jacobian", *words)
    words = [HELD_OUT, "--frames", 20, "--model", STUDENT]
    measure(run, "lambda_molecules", "jacobian", *words)


def loops(run: Run) -> None:
    """Eight molecules swung and strained."""
    measure(run, "loops", "loop-work", run.at["water192"], "--points", 128)


def pair(run: Run) -> None:
    """Will MTS work? to compare with the measured scan in results/water."""
    words = ["water", "water", run.at["water96"], "--mode-frames", 3]
    measure(run, "pair", "inspect-pair", *words)


def optimise(run: Run, name: str, *words: object) -> None:
    """Optimisations into a folder of their own."""
    options = ["--force", "--out", run.out / name]
    ncforce(run.out, name, "optimize", *words, *options)


def gas(run: Run) -> None:
    """One H2O from displaced atoms: the model of the liquid, and the one of molecules."""
    optimise(run, "gas", run.at["H2O"], *GAS)
    optimise(run, "gas_molecules", run.at["H2O"], *GAS, "--slow", STUDENT)


def gas_sevennet(run: Run) -> None:
    """The same from the same start with SevenNet-0, its student fast."""
    optimise(run, "gas_sevennet", run.at["H2O"], *GAS, "--slow", SEVENNET, "--fast", STUDENT)


def liquid(run: Run) -> None:
    """Liquid frames as they are, 32 H2O; one of them with FIRE."""
    optimise(run, "liquid", run.at["water96"], "--frames", 12)
    optimise(run, "liquid_fire", f"{run.at['water96']}@0", "--optimizer", "FIRE")


def bulk(run: Run) -> None:
    """Frames of MD, and strained crystals, at rest in their cells."""
    carbon = [f"{run.at['diamond']}@:2", f"{run.at['graphene']}@0", f"{run.at['amorphous']}@0"]
    both = ["--optimizer", "LBFGS", "FIRE"]
    optimise(run, "carbon", *carbon, "--slow", "carbon", *both)
    optimise(run, "aluminium", f"{run.at['aluminium']}@:2", "--slow", "aluminium", *both)


def g2(run: Run) -> None:
    """The 73 of G2, every second of which the student knows, from displaced atoms."""
    _molecules(run, "g2", f"{HELD_OUT}@:36", f"{LEARNT}@:37")


def freesolv(run: Run) -> None:
    """28 of FreeSolv, with up to 9 heavy atoms, that the student doesn't know."""
    _molecules(run, "freesolv", f"{HELD_OUT}@36::2")


def _molecules(run: Run, name: str, *sets: str) -> None:
    """SevenNet-0 slow, its student fast."""
    optimise(run, name, *sets, "--slow", SEVENNET, "--fast", STUDENT, *NOISE)


def freesolv_fire(run: Run) -> None:
    """Seven of the latter with both forces of the student, to tell floors from L-BFGS's cycles."""
    words = ["--slow", STUDENT, "--forces", "slow", "fast", "--optimizer", "LBFGS", "FIRE"]
    optimise(run, "freesolv_fire", f"{HELD_OUT}@36::8", *words, *NOISE)


def second_opinion(run: Run) -> None:
    """Those that the student doesn't know, from the same start, with SO3LR in float64."""
    for name, some in {
        "so3lr_g2": f"{HELD_OUT}@:36",
        "so3lr_freesolv": f"{HELD_OUT}@36::2",
    }.items():
        optimise(run, name, some, "--slow", SO3LR, *NOISE)


def random_orb(run: Run) -> None:
    """ORB-v2 with random weights: a test of the machinery, no statement on ORB."""
    from tests.drivers import orb

    words = ["orb", *orb.single("orb-v2")(run.out, "float64")]
    _random(run, "random_orb", words)


def random_equiformer(run: Run) -> None:
    """A small EquiformerV2 with random weights, likewise."""
    from tests.drivers import equiformer

    _random(run, "random_equiformer", ["equiformer", *equiformer.words(run.out, ""), "--trust"])


def _random(run: Run, name: str, model: list[str]) -> None:
    words = ["--kind", "direct", "--method", "estimate", "--probes", 6, "--rounds", 1]
    words += ["--step-A", 1e-3]  # no search for it: a call takes seconds
    frame = f"{run.at['water96']}@0"
    measure(run, name, "jacobian", frame, "--model", shlex.join(model), *words)


def cost(run: Run) -> None:
    """Seconds of an estimate against the number of atoms: products stay, each grows.

    Exact products in float64, J u and J^T u, while a graph fits into memory; differences of
    float32 forces, J u alone and not against distance, up to 10^5 atoms.
    """
    ways = {
        "exact": (["--probes", 3, "--rounds", 2], (1, 2, 4, 8)),
        "differences": (
            ["--probes", 5, "--rounds", 0, "--products", "differences", "--step-A", 3e-3],
            (1, 8, 64, 512),
        ),
    }
    rows = [_cost(run, *case) for case in ((w, o, n) for w, (o, ns) in ways.items() for n in ns)]
    (run.out / "cost.json").write_text(json.dumps(rows, indent=1) + "\n")
    text = "\n".join(
        f"{r['products']:12} {r['n_atoms']:6d} atoms {r['n_products']} products "
        f"{r['cpu_seconds']:8.1f} s  lambda {r['lambda']:.5f} +- {r['lambda_error']:.5f}  "
        f"peak so far {r['peak_memory_GB']:.1f} GB"
        for r in rows
    )
    (run.out / "cost.txt").write_text(text + "\n")
    print(text, flush=True)


def _cost(run: Run, way: str, options: list[object], n: int) -> dict[str, object]:
    repeats = {1: (1, 1, 1), 2: (2, 1, 1), 4: (2, 2, 1)}.get(n, (round(n ** (1 / 3)),) * 3)
    atoms = next(ase.io.iread(run.at["water192"], index=0)).repeat(repeats)
    path, result = run.out / f"cost_{len(atoms)}.xyz", run.out / f"cost_{len(atoms)}.json"
    ase.io.write(path, atoms)
    words = ["--method", "estimate", "--kind", "direct", *options]
    start = time.process_time()
    ncforce(run.out, path.stem, "jacobian", path, *words, "--json", result, "--force")
    seconds = time.process_time() - start
    found = json.loads(result.read_text())["results"][0]
    for file in (path, result, run.out / f"{path.stem}.txt"):
        file.unlink()
    return {
        "products": way, "n_atoms": len(atoms), "cpu_seconds": seconds,
        "n_products": found["structures"][0]["n_products"],
        "lambda": found["lambda"], "lambda_error": found["lambda_error"],
        "peak_memory_GB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
    }  # fmt: skip


# function; the table of its last command, written when that has ended; library
PARTS: dict[str, tuple[Callable[[Run], None], str, str]] = {
    "g2": (g2, "g2.txt", "sevenn"),  # the longest first
    "cost": (cost, "cost.txt", ""),
    "freesolv": (freesolv, "freesolv.txt", "sevenn"),
    "second-opinion": (second_opinion, "so3lr_freesolv.txt", "so3krates_torch"),
    "freesolv-fire": (freesolv_fire, "freesolv_fire.txt", ""),
    "bulk": (bulk, "aluminium.txt", ""),
    "liquid": (liquid, "liquid_fire.txt", ""),
    "pair": (pair, "pair.txt", ""),
    "estimates": (estimates, "estimates.txt", ""),
    "jacobian": (jacobian, "jacobian.txt", ""),
    "precision": (precision, "float32_differences.txt", ""),
    "shipped": (shipped, "lambda_molecules.txt", ""),
    "gas": (gas, "gas_molecules.txt", ""),
    "gas-sevennet": (gas_sevennet, "gas_sevennet.txt", "sevenn"),
    "loops": (loops, "loops.txt", ""),
    "random-orb": (random_orb, "random_orb.txt", "orb_models"),
    "random-equiformer": (random_equiformer, "random_equiformer.txt", "fairchem"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="tables, figures, numbers.json")
    parser.add_argument("--raw", type=Path, default=RAW, help=f"all files; default {RAW}")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--processes", type=int, default=1, help="parts at a time")
    args = parser.parse_args()
    sys.path.insert(0, str(Path(__file__).parent.parent))  # random weights are made by the tests
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    args.raw.mkdir(parents=True, exist_ok=True)
    run = Run(args.raw, structures(args.raw))
    start, failed = time.perf_counter(), []
    with ProcessPoolExecutor(
        args.processes, multiprocessing.get_context("spawn"), max_tasks_per_child=1
    ) as pool:
        parts = {pool.submit(_part, name, run): name for name in PARTS if _wanted(name, args)}
        for part in _ended(parts, pool):
            if error := part.exception():
                failed.append(parts[part])
                print(f"{parts[part]}: {type(error).__name__}: {error}", flush=True)
            else:
                note_times(args.raw, parts[part], *part.result())
    if len(args.only) == len(PARTS):
        note_times(args.raw, f"{len(parts)} parts", None, time.perf_counter() - start)
    collect(args.raw, args.out)
    print(PAPER)
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


def _ended(parts: dict[Future, str], pool: ProcessPoolExecutor) -> Iterator[Future]:
    """Parts as they end; Ctrl-C ends those that run and starts no other."""
    try:
        yield from as_completed(parts)
    except KeyboardInterrupt:
        pool.shutdown(wait=True, cancel_futures=True)
        raise


def _wanted(name: str, args: argparse.Namespace) -> bool:
    """Whether a part is to run; says why not."""
    _, table, library = PARTS[name]
    if name not in args.only:
        return False
    if (args.raw / table).exists():
        print(f"{name}: {args.raw / table} is there")
    elif library and importlib.util.find_spec(library) is None:
        print(f"{name}: {library} isn't installed here")
    else:
        return True
    return False


def _part(name: str, run: Run) -> tuple[float, float]:
    """Run a part in a process of its own; seconds of processor and clock."""
    before, start = os.times(), time.perf_counter()
    PARTS[name][0](run)
    return sum(os.times()[:4]) - sum(before[:4]), time.perf_counter() - start


if __name__ == "__main__":
    main()
