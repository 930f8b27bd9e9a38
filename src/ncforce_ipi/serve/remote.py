"""Forces of any driver of i-PI's protocol over its socket: here the diagnostics are the server.

Owns an ASE ``SocketIOCalculator`` and, where it started one, the driver's process.  Every wait has
a bound.
"""

from __future__ import annotations

import contextlib
import logging
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ncforce_ipi.backend import Backend, Evaluation, Kind, Structure, Wanted
from ncforce_ipi.errors import InputError, ModelError
from ncforce_ipi.reading.orientation import in_ipi_frame
from ncforce_ipi.reading.structures import to_atoms

log = logging.getLogger(__name__)
WAIT_S = 120.0  # for a driver to load its model and connect, and for each answer
END_S = 10.0  # for a driver to leave


class _Watch:
    """What ASE asks, once a second, whether it still makes sense to wait for a driver.

    Without it ASE waits for ever: its own time limit only makes it ask.
    """

    def __init__(self, process: subprocess.Popen[bytes] | None) -> None:
        self._process = process
        self._end_s = time.monotonic() + WAIT_S

    def poll(self) -> str | None:
        """Why no driver will come; None while one may."""
        if self._process is not None and self._process.poll() is not None:
            return f"{self._process.returncode} of its process"
        return "no driver in time" if time.monotonic() > self._end_s else None

    def wait(self) -> int:
        """ASE calls it at the end; the process is waited for, with a bound, in ``close``."""
        return 0


class RemoteBackend(Backend):
    """A driver at the other end of a socket; see ``ncforce_ipi.backend.Backend``.

    Parameters
    ----------
    kind : of the forces that it sends
    address : ``unixsocket`` (a name: the path is /tmp/ipi_NAME) or ``port`` of ASE's server
    command : gives the command of a driver for a structure file; None: a driver comes by itself
    name : for messages
    """

    def __init__(
        self,
        kind: Kind,
        address: Mapping[str, Any],
        command: Callable[[Path], list[str]] | None,
        name: str,
    ) -> None:
        self.kinds: frozenset[Kind] = frozenset([kind])
        self.description = f"{name} (driver at a socket)"
        self._kind, self._address, self._command = kind, address, command
        self._calculator: Any = None
        self._process: subprocess.Popen[bytes] | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._numbers = np.empty(0, np.int32)

    def evaluate(self, structure: Structure, wanted: Wanted) -> Mapping[Kind, Evaluation]:
        """One request; a driver is waited for, or started, at the first."""
        if wanted.kinds != self.kinds:
            raise ModelError(f"{self.description} has {self._kind} forces only")
        if not np.array_equal(structure.numbers, self._numbers):
            self.close()
            self._open(structure)
        turned, turn = in_ipi_frame(structure)  # LAMMPS and others know no other cells
        atoms = to_atoms(turned)
        try:
            self._calculator.calculate(atoms, ["energy", "forces"], ["positions", "cell"])
        except Exception as err:  # ASE raises what the socket raises
            said = self._last_words()
            self.close()
            raise ModelError(
                f"{self.description} gave no forces within {WAIT_S:g} s: {said or err!r}"
            ) from err
        results = self._calculator.results
        forces = turn.back(np.array(results["forces"], float))
        return {self._kind: Evaluation(float(results["energy"]), forces, np.full((3, 3), np.nan))}

    def close(self) -> None:
        """Tell the driver to leave; end the process that was started."""
        if self._calculator is not None:
            with contextlib.suppress(OSError, AttributeError):  # nobody there
                self._calculator.server.protocol.end()
            with contextlib.suppress(OSError):
                self._calculator.close()
        if self._process is not None:
            try:
                self._process.wait(END_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(END_S)
        if self._folder is not None:
            self._folder.cleanup()
        self._calculator = self._process = self._folder = None
        self._numbers = np.empty(0, np.int32)

    def _open(self, structure: Structure) -> None:
        from ase.calculators.socketio import SocketIOCalculator

        address = dict(self._address)
        if self._command is not None:
            address = {"unixsocket": f"ncforce_{uuid.uuid4().hex[:16]}"}
        else:
            log.info("waiting up to %g s for a driver at %s", WAIT_S, address)
        try:
            self._calculator = SocketIOCalculator(timeout=WAIT_S, **address)
        except OSError as err:
            raise InputError(f"no socket can be made at {address}: {err}") from err
        if self._command is not None:
            self._start(self._command, structure, address["unixsocket"])
        self._calculator.server.proc = _Watch(self._process)
        self._numbers = structure.numbers.copy()

    def _start(
        self, command: Callable[[Path], list[str]], structure: Structure, address: str
    ) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="ncforce-")
        path = Path(self._folder.name)
        to_atoms(structure).write(path / "structure.xyz", format="extxyz")
        words = [*command(path / "structure.xyz"), "--unix", address, "--wait-s", str(WAIT_S)]
        with (path / "driver.log").open("wb") as file:
            self._process = subprocess.Popen(words, stderr=file, stdin=subprocess.DEVNULL)

    def _last_words(self) -> str:
        if self._folder is None:
            return ""
        text = (Path(self._folder.name) / "driver.log").read_text("utf-8", "replace").strip()
        return text.splitlines()[-1] if text else ""
