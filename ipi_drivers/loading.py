"""What loading a model has in common in all families: threads, devices, missing libraries.

Owns what that does to the process.  Knows no model library; torch is touched only where it is
imported already.
"""

from __future__ import annotations

import contextlib
import ctypes
import io
import os
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import FunctionType
from typing import Any

from ncforce_ipi.errors import InputError, ModelError

UNSAFE = "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"  # every torch.load of the process may run a pickle
REQUIREMENTS = Path(__file__).parent / "requirements"
NO_DERIVATIVE = "an autograd kernel was not registered"  # in torch's words


def install_command(family: str) -> str:
    """What a user types to get the family's library into the environment that is in use."""
    return f"{sys.executable} -m pip install -r {REQUIREMENTS / family}.txt"


def missing(family: str, err: ImportError) -> ModelError:
    """The error for a library that isn't installed, or not completely."""
    return ModelError(f"models of {family} need their library: {err}; {install_command(family)}")


def prepare(threads: int) -> None:
    """Say how many threads torch may use, before it is imported; let glibc keep freed memory.

    Tensors of some MB are otherwise mapped and faulted in anew at every call, which doubled the
    time of a direct evaluation of 192 atoms (36 ms against 17).

    What torch only warns of makes forces wrong: an operation without a derivative counts as a
    constant.  From now on that is an error.

    Raises
    ------
    InputError
        No number of threads.
    """
    if threads < 1:
        raise InputError(f"--threads: expected an integer >= 1, got {threads}")
    warnings.filterwarnings("error", f".*{NO_DERIVATIVE}", UserWarning)
    os.environ["OMP_NUM_THREADS"] = str(threads)  # vesin reads it too
    with contextlib.suppress(OSError, AttributeError):  # other C libraries: no effect
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(-3, 1 << 25)  # M_MMAP_THRESHOLD: 32 MB, the most that glibc takes
        mallopt(-1, 1 << 30)  # M_TRIM_THRESHOLD


def make_reproducible(threads: int, device: str) -> None:
    """On a CPU, the same bits from the first call on; TorchScript would fuse in later ones."""
    import torch

    torch.set_num_threads(threads)
    if device == "cpu":
        torch.jit.set_fusion_strategy([])


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep a library's own messages and warnings off the terminal while it is imported or used."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


@contextlib.contextmanager
def keep_environment(name: str) -> Iterator[None]:
    """Put an environment variable back to what it was: importing a library may set it for good."""
    before = os.environ.get(name)
    try:
        yield
    finally:
        os.environ.pop(name, None)
        if before is not None:
            os.environ[name] = before


@contextlib.contextmanager
def default_dtype(dtype: Any = None) -> Iterator[None]:
    """Give torch's default type back as it was; some libraries set it, or read it."""
    import torch

    before = torch.get_default_dtype()
    torch.set_default_dtype(before if dtype is None else dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


@contextlib.contextmanager
def own_torch() -> Iterator[None]:
    """Torch's own functions, where another library has put its own in their places.

    torch_geometric, which SevenNet and SO3LR import, replaces ``index_select`` and ``select`` by
    functions that TorchScript can't compile, so that metatensor can't be imported after it.
    """
    import torch

    own = torch._C._VariableFunctions
    foreign = {
        name: function
        for name, function in vars(torch).items()
        if isinstance(function, FunctionType)
        and function.__module__.split(".")[0] != "torch"
        and hasattr(own, name)
    }
    for name in foreign:
        setattr(torch, name, getattr(own, name))
    try:
        yield
    finally:
        for name, function in foreign.items():
            setattr(torch, name, function)


def devices() -> list[str]:
    """What there is here: cpu, and cuda, cuda:0 ... of each GPU."""
    import torch

    n_gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    return ["cpu", *["cuda"] * bool(n_gpus), *[f"cuda:{k}" for k in range(n_gpus)]]


def pick_device(asked: str | None) -> str:
    """The device that is asked for, or the GPU if there is one, or the CPU.

    Raises
    ------
    ModelError
        There is no such device here.
    """
    here = devices()
    device = asked or ("cuda" if "cuda" in here else "cpu")
    if device not in here:
        raise ModelError(f"device {device} isn't here, expected one of {', '.join(here)}")
    return device


def n_compiled() -> int:
    """How many functions torch's compiler has compiled in this process, each for new shapes too."""
    if not (dynamo := sys.modules.get("torch._dynamo.utils")):
        return 0
    return int(dynamo.counters["stats"]["unique_graphs"])


def one_line(err: BaseException) -> str:
    """The last line of an error that isn't of a C++ stack, or advice for debugging a compiler."""
    others = ("frame #", "Exception raised from", "<omitting", "Set TORCHDYNAMO_VERBOSE")
    lines = [line for line in str(err).splitlines() if line.strip() and not line.startswith(others)]
    return lines[-1].strip() if lines else type(err).__name__
