"""What ``diagnostics.py`` is made of: commands, structures, seconds, and what is kept of them."""

from __future__ import annotations

import io
import json
import lzma
import os
import shlex
import shutil
import sys
import time
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
from ase import Atoms
from ase.build import molecule
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from ncforce_ipi import cli, plots

# relative: it stands in the commands that results hold
TRAINING = Path(os.path.relpath(Path(__file__).parent / "training"))


RAW = ("largest_force_eV_per_A", "lambda_of_atoms", "seconds")  # series, and noise of the machine
KEPT_OF_EACH = (
    "set", "structure", "optimiser", "forces", "verdict", "steps", "slow_calls", "fast_calls",
    "energy_eV",
)  # fmt: skip
FIGURES = {name: f"{name}/optimize.png" for name in ("gas", "liquid", "carbon", "freesolv", "g2")}
FIGURES |= {name: f"{name}.png" for name in ("loops", "pair")}


@dataclass(frozen=True)
class Run:
    """Where raw results go, files of structures by name."""

    out: Path
    at: dict[str, Path]


def ncforce(out: Path, name: str, *words: object) -> None:
    """Run one command into ``out/name.*``; its table goes to ``out/name.txt`` and the screen."""
    text = [str(word) for word in words]
    start, table = time.perf_counter(), io.StringIO()
    sys.argv[1:] = text  # what stands as the command in the files of results
    with redirect_stdout(table):
        code = cli.main(text)
    if code:
        sys.exit(f"{name} failed")
    (out / f"{name}.txt").write_text(table.getvalue())
    seconds = time.perf_counter() - start  # in one piece: other parts print too
    print(f"$ ncforce {shlex.join(text)}\n{table.getvalue()}({seconds:.0f} s)\n", flush=True)


def measure(run: Run, name: str, verb: str, *words: object) -> None:
    """The same, with JSON, CSV and figure."""
    ncforce(run.out, name, verb, *words, *files(run.out, name))


def files(out: Path, name: str) -> list[str]:
    """Options that write all three files of a part."""
    kinds = {"--json": "json", "--csv": "csv", "--plot": "png"}
    return [word for k, end in kinds.items() for word in (k, str(out / f"{name}.{end}"))] + [
        "--force"
    ]


def frames(name: str, kinds: dict[str, object]) -> list[Atoms]:
    """Of a test set, those whose info has these values."""
    text = lzma.decompress((TRAINING / name / "test.xyz.xz").read_bytes()).decode()
    found = ase.io.read(io.StringIO(text), ":", "extxyz")
    kept = [a for a in found if all(a.info.get(k) == v for k, v in kinds.items())]
    for atoms in kept:
        atoms.calc = None
    return kept


def structures(out: Path) -> dict[str, Path]:
    """Files of test frames: water of 64 and of 32 H2O, carbon, metals; and one H2O."""
    water = frames("water", {"kind": "md", "T": 300})
    found = {
        "water192": [a for a in water if len(a) == 192],
        "water96": [a for a in water if len(a) == 96],
        "graphene": frames("carbon", {"kind": "graphene", "T": 300}),
        "amorphous": [a for a in frames("carbon", {"kind": "amorphous"}) if len(a) == 64],
        "diamond": frames("carbon", {"kind": "crystal"}),
        "aluminium": [a for a in frames("aluminium", {"kind": "solid"}) if len(a) == 60],
        "o-on-cu3al": frames("cu3al-o", {"kind": "dynamics"}),
        "H2O": [molecule("H2O")],
    }
    for name, chosen in found.items():
        ase.io.write(out / f"{name}.xyz", chosen)
    return {name: out / f"{name}.xyz" for name in found}


def collect(raw: Path, out: Path) -> None:
    """From raw files what the page needs: tables, figures, and all numbers in one JSON."""
    out.mkdir(parents=True, exist_ok=True)
    for table in raw.glob("*.txt"):
        shutil.copy(table, out)
    for name, source in FIGURES.items():
        if (raw / source).exists():
            shrink(raw / source, out / f"{name}.png")
    numbers = {
        str(path.relative_to(raw).with_suffix("")).removesuffix("/optimize"): condense(
            json.loads(path.read_text())
        )
        for path in sorted(raw.rglob("*.json"))
    }
    lines = [f"{json.dumps(name)}: {json.dumps(part)}" for name, part in numbers.items()]
    (out / "numbers.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")
    draw_profiles(numbers, out / "lambda.png")
    shrink(out / "lambda.png", out / "lambda.png")


def shrink(source: Path, target: Path) -> None:
    """A PNG with 256 colours, which takes a third of the bytes, and its metadata."""
    image, info = Image.open(source), PngInfo()
    for key, text in image.info.items():
        if isinstance(text, str):
            info.add_text(str(key), text)
    small = image.convert("RGB").quantize(256, dither=Image.Dither.NONE)
    small.save(target, pnginfo=info, optimize=True, dpi=image.info.get("dpi"))


def condense(value: Any) -> Any:
    """Without forces of single steps and lambda of single atoms, in six digits."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, list):
        return [condense(each) for each in value]
    if not isinstance(value, dict):
        return value
    kept = {key: condense(each) for key, each in value.items() if key not in RAW}
    if any(atom is not None for atom in value.get("lambda_of_atoms", [])):
        kept["largest_lambda_of_an_atom"] = condense(max(value["lambda_of_atoms"]))
    if rows := kept.get("optimisations"):
        kept["optimisations"] = {key: [row.get(key) for row in rows] for key in KEPT_OF_EACH}
    return kept


def draw_profiles(numbers: dict[str, Any], path: Path) -> None:
    """Lambda and block norms against distance, direct forces, of all models."""
    names = {"estimates": "water", "lambda_graphene": "graphene", "lambda_amorphous": "a-C",
             "lambda_aluminium": "aluminium", "lambda_o-on-cu3al": "O on Cu$_3$Al",
             "lambda_molecules": "molecules"}  # fmt: skip
    with plots.style():
        figure, (norms, ratios) = plots.figure(2, share_x=True, height_in=3.2)
        for rank, (name, label) in enumerate(names.items()):
            if name not in numbers:
                continue
            results = numbers[name]["results"]
            found = next(r for r in results if r["kind"] == "direct")["profile"]
            r, full, odd, ratio = (
                np.array(found[k], float)
                for k in ("distance_A", "full_eV_per_A2", "antisymmetric_eV_per_A2", "lambda")
            )
            seen = full > 1e-6  # eV/A^2: what is below is rounding
            shade = plots.colour(name, rank)
            norms.plot(r[seen], full[seen], "-", color=shade, label=label)
            norms.plot(r[seen], odd[seen], "--", color=shade)
            ratios.plot(r[seen], ratio[seen], "o-", ms=3, color=shade, label=label)
        norms.set(yscale="log", ylabel="block norm (eV/A$^2$)\ndashed: antisymmetric")
        norms.legend(ncols=2)
        ratios.axhline(0.5**0.5, color="0.6", linewidth=0.8, linestyle=":")
        ratios.set(xlabel=r"distance ($\mathrm{\AA}$)", ylabel=r"$\lambda_{ij}$")
        ratios.set(xlim=(0.0, None), ylim=(0.0, None))
        plots.save(figure, path)


def note_times(out: Path, name: str, cpu_s: float | None, wall_s: float) -> None:
    """Add a part's seconds, of processor and clock, to ``times.json``."""
    path = out / "times.json"
    times = json.loads(path.read_text()) if path.exists() else {}
    times[name] = {"wall_s": round(wall_s)} | ({} if cpu_s is None else {"cpu_s": round(cpu_s)})
    path.write_text(json.dumps(times, indent=1) + "\n")
