"""Models exported by metatomic (metatensor-torch): the shipped models, PET, SOAP-BPNN and others.

Owns the way from a file to a loaded model on a device; what is done with it then is in
``metatomic_model``.  torch and metatomic are imported when a model is loaded, not before.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, Literal

from ncforce_ipi.errors import ModelError
from ncforce_ipi.models import model_path
from ncforce_ipi.models.modelfile import OTHER_FAMILIES, what_instead

from . import loading, metatomic_compiled, metatomic_extensions, metatomic_gradient
from .metatomic_captured import CapturedBackend
from .metatomic_graphs import How, cuda_capture
from .metatomic_model import MetatomicBackend
from .metatomic_padded import network_of

CALLS_THAT_PAY = 50  # a graph takes 3 s to make and saves 5 to 15 ms of a call; an MD run has more
FORCES = "conservative, direct: what the file has"


def load(
    model: str,
    *,
    device: str | None = None,
    dtype: Literal["float32", "float64"] | None = None,
    threads: int = 1,
    trust: bool = False,
    variant: str | None = None,
    extensions: Path | None = None,
    capture: bool | None = None,
    compile: bool = False,
) -> MetatomicBackend | CapturedBackend:
    """Load a shipped model or a file.

    Parameters
    ----------
    model : name of a shipped model, or file
    device : cpu, cuda, cuda:1, ...; None: the first of the model's devices that is here
    dtype : type of weights and positions; default: as in the file
    threads : that torch may use
    trust : not asked for: TorchScript is no pickle, but it may write files: take it from people
        whom you know
    variant : variant of the outputs, e.g. pbe for energy/pbe
    extensions : directory of the libraries that the model asks for; none is loaded from elsewhere
    capture : on a GPU, calls of this project's networks as CUDA graphs, checked against the model,
        from the first call on; default: when the same atoms have come 50 times
    compile : this project's networks by torch.compile, on a GPU as CUDA graphs, checked against the
        model; needs a C++ compiler and a minute at the start

    Raises
    ------
    InputError
        No such file or name, or it asks for libraries that aren't in ``extensions``.
    ModelError
        metatomic is missing, the file is no metatomic model, the device isn't there, or the model
        can't be captured or compiled.
    """
    eager = open_model(
        model_path(model), device=device, threads=threads, variant=variant, extensions=extensions
    )
    backend = faster(eager, capture, compile)
    if dtype:
        backend.turn(dtype)
    return backend


def faster(
    eager: MetatomicBackend, capture: bool | None, compile: bool
) -> MetatomicBackend | CapturedBackend:
    """The same model, called by CUDA graphs (``capture``) or by compiled code (``compile``).

    With neither said, by graphs on a GPU, where a run has so many calls that they pay.

    Raises
    ------
    ModelError
        The device is another one than that needs, or the model is none of this project's networks.
    """
    on_gpu = eager._device.startswith("cuda")
    if capture and not on_gpu:
        raise ModelError(f"{eager.description}: --capture needs a GPU; leave it out")
    if compile:
        return CapturedBackend(eager, metatomic_compiled.how(eager._device))
    if capture:
        return CapturedBackend(eager, How(cuda_capture(eager._device)))
    if capture is None and on_gpu and network_of(eager._model) is not None:
        return CapturedBackend(eager, How(cuda_capture(eager._device), after=CALLS_THAT_PAY))
    return eager


def open_model(
    path: Path,
    *,
    device: str | None = None,
    threads: int = 1,
    variant: str | None = None,
    extensions: Path | None = None,
) -> MetatomicBackend:
    """As ``load``, for a file."""
    loading.prepare(threads)
    model = _load_file(path, extensions)
    chosen = _pick_device(model.capabilities().supported_devices, device)
    backend = MetatomicBackend(model.to(chosen), chosen, path.name, variant)
    loading.make_reproducible(threads, chosen)
    backend.source = path
    return backend


def _load_file(path: Path, extensions: Path | None) -> Any:
    try:
        with loading.own_torch():
            from metatomic.torch import load_atomistic_model
            from vesin import metatomic as _  # noqa: F401  ask now, not at the first structure
    except ImportError as err:
        raise ModelError(
            f"metatomic models need torch, metatomic-torch and vesin: {err}; "
            "pip install 'ncforce_ipi[metatomic]'"
        ) from err
    metatomic_gradient.complete(metatomic_extensions.check(path, extensions))
    try:
        with warnings.catch_warnings():  # of a deprecated output name: both names are served here
            warnings.filterwarnings("ignore", message=".*is deprecated")
            return load_atomistic_model(path, extensions_directory=extensions)
    except (RuntimeError, ValueError) as err:
        why = what_instead(path) or f"{loading.one_line(err)}; {OTHER_FAMILIES}"
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
