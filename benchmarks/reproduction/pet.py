"""PET and SOAP-BPNN of metatrain, small, on our water set: errors, lambda, M, drifts.

    python -m reproduction.pet OUT --epochs 100 [--device cuda] [--ps 1] [--narrow] [--only pet]

``--narrow`` makes PET narrow enough for a processor core (111 thousand weights instead of three
million) and its steps ten times as long; SOAP-BPNN is as metatrain makes it.
Each architecture has an energy and a direct force in one model (docs/tutorials/pet.md), so that its
conservative and direct halves are PET-C and PET-NC in one, PET-M.  A training that was cut off goes
on from its last epoch.
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
from diagnosing import frames

from reproduction import hybrid
from reproduction.tasks import HERE

DATA = HERE / "training" / "water"
ARCHITECTURES = {"pet": "PET", "soap_bpnn": "SOAP-BPNN"}
OPTIONS = """\
device: {device}
architecture:
  name: {architecture}{model}
  training:
    num_epochs: {epochs}
    batch_size: 4
    log_interval: 1
    checkpoint_interval: 1{rate}
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


def options(
    architecture: str, epochs: int, folder: Path, *, narrow: bool = False, device: str = "cpu"
) -> str:
    """options.yaml."""
    small = narrow and architecture == "pet"
    model = f"\n  model: {NARROW}" if small else ""
    rate = "\n    learning_rate: 1.0e-3" if small else ""
    return OPTIONS.format(
        architecture=architecture,
        epochs=epochs,
        data=folder,
        model=model,
        rate=rate,
        device=device,
    )


def labelled_test() -> list[Any]:
    """Test frames at 300 K with the forces of the data."""
    text = lzma.decompress((DATA / "test.xyz.xz").read_bytes()).decode()
    found = [a for a in ase.io.read(io.StringIO(text), ":", "extxyz") if a.info.get("kind") == "md"]
    for atoms in found:
        atoms.arrays["forces"] = atoms.get_forces()
    return found


def restart(folder: Path) -> list[str]:
    """Options of a training that goes on; none for one that begins.

    metatrain's own ``auto`` also takes what it writes before the first epoch, and fails.
    """
    found = sorted(folder.glob("outputs/*/*/model_*.ckpt"), key=lambda file: file.stat().st_mtime)
    return ["--restart", str(found[-1].relative_to(folder))] if found else []


def one(
    architecture: str, epochs: int, out: Path, ps: float, *, narrow: bool, device: str
) -> dict[str, Any]:
    """Train, then what it can do; what went wrong otherwise."""
    folder = out / architecture
    folder.mkdir(exist_ok=True)
    text = options(architecture, epochs, out, narrow=narrow, device=device)
    (folder / "options.yaml").write_text(text)
    if not (folder / "model.pt").exists():
        train = ["mtt", "train", "options.yaml", "-o", "model.pt", *restart(folder)]
        subprocess.run(train, cwd=folder, check=True)
    model = f"metatomic:{folder / 'model.pt'} --device {device}"
    if (extensions := folder / "extensions").is_dir():
        model += f" --extensions {extensions}"
    start = out / "water96.xyz"
    how = {"epochs": epochs, "narrow": narrow and architecture == "pet"}
    found = {**how, **hybrid.errors(model, labelled_test()), **hybrid.pair(model, start, folder)}
    found |= hybrid.asymmetry(model, start, folder)
    return {**found, "nve": hybrid.drifts(model, start, folder, ps, device=device)}


def main_of(
    out: Path,
    epochs: int,
    ps: float,
    only: str | None = None,
    *,
    narrow: bool = False,
    device: str = "cpu",
) -> None:
    """Both architectures, or one; one that fails doesn't stop the other."""
    out.mkdir(parents=True, exist_ok=True)
    write_data(out)
    chosen = [a for a in frames("water", {"kind": "md", "T": 300}) if len(a) == 96]
    ase.io.write(out / "water96.xyz", chosen[: hybrid.N_JACOBIANS])
    result = out / "pet.json"
    found: dict[str, Any] = json.loads(result.read_text()) if result.is_file() else {}
    for architecture, name in ARCHITECTURES.items():
        if architecture != (only or architecture):
            continue
        try:
            found[name] = one(architecture, epochs, out, ps, narrow=narrow, device=device)
        except (subprocess.CalledProcessError, OSError, ValueError) as err:
            found[name] = {"why": str(err)}
        result.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--ps", type=float, default=1.0, help="of each run at constant energy")
    parser.add_argument("--narrow", action="store_true")
    parser.add_argument("--only", choices=ARCHITECTURES)
    args = parser.parse_args()
    main_of(
        args.out.resolve(), args.epochs, args.ps, args.only, narrow=args.narrow, device=args.device
    )
