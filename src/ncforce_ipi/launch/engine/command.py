"""The words that start i-PI."""

from __future__ import annotations

import shutil
import sys
import sysconfig
from importlib.util import find_spec
from pathlib import Path

from ncforce_ipi.errors import RunError
from ncforce_ipi.launch.processes.interpreter import python_module
from ncforce_ipi.models.card import Band
from ncforce_ipi.rundir import INPUT_FILE

IPI_CONTINUED = python_module("ncforce_ipi.launch.engine.continuation")


def ipi_command(
    input_file: str, sockets: Path, watched: bool = False, band: Band | None = None
) -> list[str]:
    """i-PI on an input or checkpoint of its directory, with unix sockets in ``sockets``.

    By our own start of it (`continuation`); by its program where that is all there is.

    Parameters
    ----------
    watched : whether slow - fast is written
    band : where it should lie; structures beyond it are kept
    """
    program = _ipi_program()
    if find_spec("ipi") is None and not watched and input_file == INPUT_FILE:
        return [sys.executable, str(program), "-S", f"{sockets}/", input_file]
    limit = ["watched", *([repr(band.upper)] if band else [])] if watched else []
    return [*IPI_CONTINUED, f"{sockets}/", input_file, *limit]


def _ipi_program() -> Path:
    """i-PI's script beside our interpreter, or the one on the path."""
    beside = Path(sysconfig.get_path("scripts")) / "i-pi"
    found = beside if beside.is_file() else shutil.which("i-pi")
    if not found:
        raise RunError("i-pi isn't installed; pip install 'ncforce_ipi[run]'")
    return Path(found)
