"""Models exported by metatomic (metatensor-torch): the shipped models, PET, SOAP-BPNN and others.

Owns the way from a file to a loaded model on a device; what is done with it then is in
``metatomic_model``.  torch and metatomic are imported when a model is loaded, not before.
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path
from typing import Any

from ncforce_ipi.errors import ModelError
from ncforce_ipi.models import model_path

from . import loading
from .metatomic_model import MetatomicBackend

FORCES = "conservative, direct: what the file has"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options that only metatomic models have."""
    parser.add_argument("--variant", help="variant of the outputs, e.g. pbe for energy/pbe")
    parser.add_argument("--extensions", type=Path, help="directory of the model's torch extensions")


def load(args: argparse.Namespace) -> MetatomicBackend:
    """Load the model that the options of ``ncforce driver metatomic`` name.

    Raises
    ------
    ModelError
        As `open_model`, or an output that is asked for is missing.
    """
    path = model_path(args.model)
    backend = open_model(
        path,
        device=args.device,
        threads=args.threads,
        variant=args.variant,
        extensions=args.extensions,
    )
    if args.direct_energy and not backend.energy_name:
        raise ModelError(f"{path.name} has no output energy for --direct-energy")
    if args.direct_virial and not backend.stress_name:
        raise ModelError(f"{path.name} has no output non_conservative_stress for --direct-virial")
    return backend


def open_model(
    path: Path,
    *,
    device: str | None = None,
    threads: int = 1,
    variant: str | None = None,
    extensions: Path | None = None,
) -> MetatomicBackend:
    """Load a model file; ``device`` None is the first of the model's devices that is here.

    Raises
    ------
    ModelError
        metatomic is missing, the file is no metatomic model, or the device isn't there.
    """
    loading.prepare(threads)
    model = _load_file(path, extensions)
    chosen = _pick_device(model.capabilities().supported_devices, device)
    backend = MetatomicBackend(model.to(chosen), chosen, path.name, variant)
    loading.make_reproducible(threads, chosen)
    backend.source = path
    return backend


def _load_file(path: Path, extensions: Path | None) -> Any:
    try:
        from metatomic.torch import load_atomistic_model
        from vesin import metatomic as _  # noqa: F401  ask for it now, not at the first structure
    except ImportError as err:
        raise ModelError(
            f"metatomic models need torch, metatomic-torch and vesin: {err}; "
            "pip install 'ncforce_ipi[metatomic]'"
        ) from err
    try:
        with warnings.catch_warnings():  # of a deprecated output name: both names are served here
            warnings.filterwarnings("ignore", message=".*is deprecated")
            return load_atomistic_model(path, extensions_directory=extensions)
    except (RuntimeError, ValueError) as err:
        why = loading.one_line(err)
        raise ModelError(f"{path} can't be loaded as a metatomic model: {why}") from err


def _pick_device(supported: list[str], asked: str | None) -> str:
    """The first of the model's devices that is here, or the one that is asked for."""
    here = loading.devices()
    for device in [asked] if asked else supported:
        if device in here and device.split(":")[0] in supported:
            return device
    raise ModelError(
        f"device {asked or 'of the model'} can't be used: the model supports "
        f"{', '.join(supported)}, this machine has {', '.join(here)}"
    )
