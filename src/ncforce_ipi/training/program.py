"""``ncforce train`` from end to end: recipe in; checkpoint, curve and exported model out."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import platform
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from ncforce_ipi import __version__, durable
from ncforce_ipi.drivers import loading
from ncforce_ipi.errors import InputError
from ncforce_ipi.provenance import sha256
from ncforce_ipi.training.dataset import data_hash
from ncforce_ipi.training.distil import distil
from ncforce_ipi.training.fit import fit
from ncforce_ipi.training.hybrid import HybridNet
from ncforce_ipi.training.objective import Stage
from ncforce_ipi.training.recipe import Recipe, data_files, read_recipe

log = logging.getLogger(__name__)


def train(
    recipe_path: Path,
    folder: Path,
    out: Path,
    *,
    stage: Stage,
    initial: Path | None,
    changes: dict[str, Any],
    threads: int,
    compiled: bool,
    device: str = "cpu",
    minutes: float | None = None,
    resume: bool = False,
) -> None:
    """Run one stage and write everything that belongs to it into ``out``.

    What an earlier training left there is removed once the first step of this one has been taken;
    a training that doesn't come so far leaves ``out`` as it was.  With ``resume`` the one that was
    cut off there goes on.

    Raises
    ------
    InputError
        As `fit`; data or ``initial`` that aren't those it was begun with.
    """
    recipe = read_recipe(recipe_path, changes)
    where = torch.device(loading.pick_device(device))
    on_gpu = where.type == "cuda"
    files = data_files(recipe, folder)
    torch.set_num_threads(threads)
    provenance = {
        "ncforce_ipi": __version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "machine": f"{platform.machine()}, {threads} of {os.cpu_count()} cores"
        + (f", {torch.cuda.get_device_name(where)}" if on_gpu else ""),
        "stage": stage,
        "initial": None if initial is None else {"file": initial.name, "sha256": sha256(initial)},
        "minutes": minutes,
        "recipe": asdict(recipe),
        "data_sha256": data_hash(files),
        "data_files": [file.name for file in files],
    }

    if resume:
        _is_of(out, provenance)

    def begin() -> None:
        for name in ("curve.csv", "model.pt"):  # an old checkpoint holds its own recipe: it stays
            (out / name).unlink(missing_ok=True)
        durable.write_text(out / "training.json", json.dumps(provenance, indent=2) + "\n")

    with _folder(out), torch.cuda.device(where) if on_gpu else contextlib.nullcontext():
        if stage == "distil" and initial is not None:
            net = distil(recipe, folder, out, initial=initial, resume=resume, begin=begin)
        else:
            net = fit(
                recipe,
                folder,
                out,
                stage=stage,
                initial=initial,
                compiled=compiled,
                device=where,
                minutes=minutes,
                resume=resume,
                begin=begin,
            ).cpu()
    if stage != "direct":
        write_model(net, recipe, recipe_path.parent.name, out / "model.pt")
        log.info("model written to %s", out / "model.pt")


def _is_of(out: Path, provenance: Mapping[str, Any]) -> None:
    """Refuse to go on with other data or other initial weights."""
    try:
        before = json.loads((out / "training.json").read_text())
    except (OSError, ValueError):
        return  # what is there to go on with says the rest
    for name, words in (("data_sha256", "data"), ("initial", "initial weights")):
        if before.get(name) != provenance[name]:
            raise InputError(
                f"the training in {out} was begun with other {words}; give those, or begin anew "
                "with --force"
            )


@contextlib.contextmanager
def _folder(out: Path) -> Iterator[None]:
    """Make a folder; if nothing was written into it after all, leave none."""
    out.mkdir(parents=True, exist_ok=True)
    try:
        yield
    finally:
        if not any(out.iterdir()):
            out.rmdir()


def write_model(net: HybridNet, recipe: Recipe, name: str, path: Path) -> None:
    """Export a trained network as a metatomic model."""
    with warnings.catch_warnings(), loading.own_torch():
        from ncforce_ipi.training.export import export

        # metatomic models are TorchScript; torch announces its successor at every use
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        export(net, path, name=name, description=recipe.description, references=recipe.references)
