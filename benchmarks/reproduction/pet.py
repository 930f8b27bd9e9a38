"""PET and SOAP-BPNN of metatrain, small, on our water set: errors, lambda, and which M they take.

    python -m reproduction.pet OUT --epochs 100 [--narrow] [--only pet]

``--narrow`` makes PET narrow enough for a processor core (111 thousand weights instead of three
million) and its steps ten times as long; SOAP-BPNN is as metatrain makes it.
Each architecture has an energy and a direct force in one model (docs/tutorials/pet.md), so that its
conservative and direct halves are PET-C and PET-NC in one, PET-M.
"""

from __future__ import annotations

import argparse
import io
import json
import lzma
import subprocess
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
from diagnosing import frames

from reproduction.tasks import HERE, ncforce

DATA = HERE / "training" / "water"
ARCHITECTURES = {"pet": "PET", "soap_bpnn": "SOAP-BPNN"}
OPTIONS = """\
architecture:
  name: {architecture}{model}
  training:
    num_epochs: {epochs}
    batch_size: 4
    log_interval: 1{rate}
training_set:
  systems: {{read_from: {data}/train.xyz, length_unit: angstrom}}
  targets:
    energy:
      key: energy
      unit: eV
      forces: {{key: forces}}
    non_conservative_force:
      key: forces
      unit: eV/Angstrom
      sample_kind: atom
      type: {{cartesian: {{rank: 1}}}}
validation_set: 0.1
test_set: 0.05
"""


NARROW = (
    "{d_pet: 32, d_node: 64, d_head: 32, d_feedforward: 64, num_heads: 4, num_attention_layers: 1}"
)


def write_data(folder: Path) -> list[Any]:
    """train.xyz as metatrain reads it; the frames."""
    text = lzma.decompress((DATA / "train.xyz.xz").read_bytes()).decode()
    found = ase.io.read(io.StringIO(text), ":", "extxyz")
    for atoms in found:
        atoms.info["energy"] = atoms.get_potential_energy()
        atoms.arrays["forces"] = atoms.get_forces()
        atoms.calc = None
    ase.io.write(folder / "train.xyz", found)
    return list(found)


def options(architecture: str, epochs: int, folder: Path, *, narrow: bool = False) -> str:
    """options.yaml."""
    small = narrow and architecture == "pet"
    model = f"\n  model: {NARROW}" if small else ""
    rate = "\n    learning_rate: 1.0e-3" if small else ""
    return OPTIONS.format(
        architecture=architecture, epochs=epochs, data=folder, model=model, rate=rate
    )


def errors(model: str, test: list[Any]) -> dict[str, float]:
    """Mean absolute errors of forces, meV/A, on test frames, each with its standard error."""
    import ncforce_ipi as nc

    found = {}
    with nc.load(model) as loaded:
        for kind in ("conservative", "direct"):
            each = [
                1e3 * np.abs(loaded.evaluate(a, kind).forces - a.arrays["forces"]).mean()
                for a in test
            ]
            found[f"{kind}_mae_meV_per_A"] = float(np.mean(each))
            error = float(np.std(each, ddof=1) / np.sqrt(len(each)))
            found[f"{kind}_mae_standard_error_meV_per_A"] = error
    return found


def labelled_test() -> list[Any]:
    """Test frames at 300 K with the forces of the data."""
    text = lzma.decompress((DATA / "test.xyz.xz").read_bytes()).decode()
    found = [a for a in ase.io.read(io.StringIO(text), ":", "extxyz") if a.info.get("kind") == "md"]
    for atoms in found:
        atoms.arrays["forces"] = atoms.get_forces()
    return found


def one(architecture: str, epochs: int, out: Path, *, narrow: bool) -> dict[str, Any]:
    """Train, then what it can do; what went wrong otherwise."""
    folder = out / architecture
    folder.mkdir(exist_ok=True)
    (folder / "options.yaml").write_text(options(architecture, epochs, out, narrow=narrow))
    if not (folder / "model.pt").exists():
        train = ["mtt", "train", "options.yaml", "-o", "model.pt"]
        subprocess.run(train, cwd=folder, check=True)
    extensions = folder / "extensions"
    model = (
        str(folder / "model.pt")
        if not extensions.is_dir()
        else (f"metatomic:{folder / 'model.pt'} --extensions {extensions}")
    )
    start = out / "water96.xyz"
    words = [start, "--model", model, "--json", folder / "pair.json", "--force"]
    subprocess.run(ncforce("inspect-pair", *words), check=True)
    pair = json.loads((folder / "pair.json").read_text())["results"]
    kept = ("lambda_fast", "rmse_meV_per_A", "cost", "largest_M_without_growth")
    how = {"epochs": epochs, "narrow": narrow and architecture == "pet"}
    return {**how, **errors(model, labelled_test()), **{k: pair[k] for k in kept}}


def main_of(out: Path, epochs: int, only: str | None = None, *, narrow: bool = False) -> None:
    """Both architectures, or one; one that fails doesn't stop the other."""
    out.mkdir(parents=True, exist_ok=True)
    write_data(out)
    chosen = [a for a in frames("water", {"kind": "md", "T": 300}) if len(a) == 96]
    ase.io.write(out / "water96.xyz", chosen[:2])
    result = out / "pet.json"
    found: dict[str, Any] = json.loads(result.read_text()) if result.is_file() else {}
    for architecture, name in ARCHITECTURES.items():
        if architecture != (only or architecture):
            continue
        try:
            found[name] = one(architecture, epochs, out, narrow=narrow)
        except (subprocess.CalledProcessError, OSError, ValueError) as err:
            found[name] = {"why": str(err)}
        result.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--narrow", action="store_true")
    parser.add_argument("--only", choices=ARCHITECTURES)
    args = parser.parse_args()
    main_of(args.out.resolve(), args.epochs, args.only, narrow=args.narrow)
