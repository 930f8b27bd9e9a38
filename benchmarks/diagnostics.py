"""Diagnostics of the shipped water model: Jacobian, loops, pair, optimisation; cost against size.

    python benchmarks/diagnostics.py --out results [--only jacobian loops ...]

Every part is a command of ``ncforce``, printed before it runs; a part whose files are there is left
out.  ``random-orb`` and ``random-equiformer`` need the libraries of these families in this
environment, ``g2`` needs SevenNet: parts whose library isn't here are left out too.
"""

from __future__ import annotations

import argparse
import importlib.util
import io
import json
import lzma
import shlex
import sys
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path

import ase.io
import numpy as np
from ase.build import molecule

from ncforce_ipi import cli

DATA = Path(__file__).parent / "training" / "water" / "test.xyz.xz"
PAPER = "lambda of the paper's models on water: PET-NC 0.004, ORB-v2 0.015, EquiformerV2 0.017"


def ncforce(out: Path, name: str, *words: object) -> None:
    """Run one command into ``out/name.*``; its table goes to ``out/name.txt`` and the screen."""
    text = [str(word) for word in words]
    print(f"$ ncforce {shlex.join(text)}", flush=True)
    start, table = time.perf_counter(), io.StringIO()
    with redirect_stdout(table):
        code = cli.main(text)
    if code:
        sys.exit(f"{name} failed")
    (out / f"{name}.txt").write_text(table.getvalue())
    print(f"{table.getvalue()}({time.perf_counter() - start:.0f} s)\n", flush=True)


def files(out: Path, name: str) -> list[str]:
    """Options that write all three files of a part."""
    kinds = {"--json": "json", "--csv": "csv", "--plot": "png"}
    return [word for k, end in kinds.items() for word in (k, str(out / f"{name}.{end}"))] + [
        "--force"
    ]


def structures(out: Path) -> dict[str, Path]:
    """Liquid water at 300 K of the test set in files of 64 and of 32 H2O, and one H2O."""
    frames = ase.io.read(io.StringIO(lzma.decompress(DATA.read_bytes()).decode()), ":", "extxyz")
    cold = [a for a in frames if a.info.get("kind") == "md" and a.info["T"] == 300]
    for atoms in cold:
        atoms.calc = None
    found = {}
    for n_atoms in (192, 96):
        found[f"water{n_atoms}"] = out / f"water{n_atoms}.xyz"
        ase.io.write(found[f"water{n_atoms}"], [a for a in cold if len(a) == n_atoms])
    found["H2O"] = out / "H2O.xyz"
    ase.io.write(found["H2O"], molecule("H2O"))
    return found


def jacobian(out: Path, at: dict[str, Path]) -> None:
    """Whole matrices in float64, both kinds, two frames of 64 H2O."""
    frames = [at["water192"], "--frames", 2]
    ncforce(out, "jacobian", "jacobian", *frames, *files(out, "jacobian"))


def estimates(out: Path, at: dict[str, Path]) -> None:
    """The same by 160 products, to compare with."""
    words = [at["water192"], "--frames", 2, "--kind", "direct", "--method", "estimate"]
    ncforce(out, "estimates", "jacobian", *words, *files(out, "estimates"))


def precision(out: Path, at: dict[str, Path]) -> None:
    """A conservative model's lambda in float32: by differentiation, and by differences."""
    frame = f"{at['water96']}@0"
    for name, words in {
        "float32_exact": ["--precision", "model"],
        "float32_differences": ["--products", "differences"],
        "float64_differences_of_direct": ["--products", "differences", "--kind", "direct"],
    }.items():
        ncforce(out, name, "jacobian", frame, *words, *files(out, name))


def loops(out: Path, at: dict[str, Path]) -> None:
    """Eight molecules swung and strained."""
    ncforce(out, "loops", "loop-work", at["water192"], "--points", 128, *files(out, "loops"))


def pair(out: Path, at: dict[str, Path]) -> None:
    """Will MTS work? to compare with the measured scan in results/water."""
    words = ["water", "water", at["water96"], "--mode-frames", 3]
    ncforce(out, "pair", "inspect-pair", *words, *files(out, "pair"))


def optimise(out: Path, at: dict[str, Path]) -> None:
    """One H2O from displaced atoms, and liquid frames as they are."""
    both = ["--optimizer", "LBFGS", "FIRE", "--force"]
    displaced = ["--displace-A", 0.5, "--copies", 30]
    ncforce(out, "gas", "optimize", at["H2O"], *displaced, *both, "--out", out / "gas")
    liquid = [at["water96"], "--frames", 4]
    ncforce(out, "liquid", "optimize", *liquid, *both, "--out", out / "liquid")


def g2(out: Path, at: dict[str, Path]) -> None:
    """Closed-shell molecules of H, C, N, O, F with SevenNet-0, from displaced atoms."""
    model = ["--slow", "sevennet:7net-0", "--displace-A", 0.5]
    ncforce(out, "g2", "optimize", "g2", *model, "--force", "--out", out / "g2")


def random_orb(out: Path, at: dict[str, Path]) -> None:
    """ORB-v2 with random weights: a test of the machinery, no statement on ORB."""
    from tests.drivers import orb

    words = ["orb", *orb.single("orb-v2")(out, "float64")]
    _random(out, at, "random_orb", words)


def random_equiformer(out: Path, at: dict[str, Path]) -> None:
    """A small EquiformerV2 with random weights, likewise."""
    from tests.drivers import equiformer

    _random(out, at, "random_equiformer", ["equiformer", *equiformer.words(out, ""), "--trust"])


def _random(out: Path, at: dict[str, Path], name: str, model: list[str]) -> None:
    words = ["--kind", "direct", "--method", "estimate", "--probes", 6, "--rounds", 1]
    words += ["--step-A", 1e-3]  # no search for it: a call takes seconds
    frame = f"{at['water96']}@0"
    ncforce(out, name, "jacobian", frame, "--model", shlex.join(model), *words, *files(out, name))


def cost(out: Path, at: dict[str, Path]) -> None:
    """Seconds of an estimate against the number of atoms: products stay, each grows."""
    start = ase.io.read(at["water192"], index=0)
    rows = []
    for repeats in ((1, 1, 1), (2, 1, 1), (2, 2, 1), (2, 2, 2), (3, 3, 2)):
        atoms = start.repeat(repeats)
        path, result = out / f"cost_{len(atoms)}.xyz", out / f"cost_{len(atoms)}.json"
        ase.io.write(path, atoms)
        words = ["--method", "estimate", "--kind", "direct", "--probes", 3, "--rounds", 2]
        ncforce(out, path.stem, "jacobian", path, *words, "--json", result, "--force")
        found = json.loads(result.read_text())["results"][0]
        n_products = found["structures"][0]["n_products"]
        rows.append(
            {
                "n_atoms": len(atoms), "n_products": n_products, "seconds": found["seconds"],
                "ms_per_product_and_atom": 1e3 * found["seconds"] / n_products / len(atoms),
                "lambda": found["lambda"], "lambda_error": found["lambda_error"],
            }
        )  # fmt: skip
        path.unlink()
        result.unlink()
        (out / f"{path.stem}.txt").unlink()
    (out / "cost.json").write_text(json.dumps(rows, indent=1) + "\n")
    exponent = np.polyfit(*np.log([[r[k] for r in rows] for k in ("n_atoms", "seconds")]), 1)[0]
    lines = [
        f"{r['n_atoms']:6d} atoms {r['n_products']} products {r['seconds']:8.1f} s" for r in rows
    ]
    text = "\n".join([*lines, f"seconds ~ N^{exponent:.2f}"])
    (out / "cost.txt").write_text(text + "\n")
    print(text, flush=True)


PARTS: dict[str, tuple[Callable[[Path, dict[str, Path]], None], str, str]] = {
    "jacobian": (jacobian, "jacobian.json", ""),
    "estimates": (estimates, "estimates.json", ""),
    "precision": (precision, "float64_differences_of_direct.json", ""),
    "loops": (loops, "loops.json", ""),
    "pair": (pair, "pair.json", ""),
    "optimise": (optimise, "liquid/optimize.json", ""),
    "cost": (cost, "cost.json", ""),
    "g2": (g2, "g2/optimize.json", "sevenn"),
    "random-orb": (random_orb, "random_orb.json", "orb_models"),
    "random-equiformer": (random_equiformer, "random_equiformer.json", "fairchem"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    args = parser.parse_args()
    sys.path.insert(0, str(Path(__file__).parent.parent))  # random weights are made by the tests
    args.out.mkdir(parents=True, exist_ok=True)
    at = structures(args.out)
    for name in args.only:
        part, result, library = PARTS[name]
        if (args.out / result).exists():
            print(f"{name}: {args.out / result} is there")
        elif library and importlib.util.find_spec(library) is None:
            print(f"{name}: {library} isn't installed here")
        else:
            part(args.out, at)
    print(PAPER)


if __name__ == "__main__":
    main()
