"""Forces of any driver of i-PI's protocol over its socket: here the diagnostics are the server.

Owns the address, the driver that has connected and, where it was started here, its process.  Every
wait has a bound.
"""

from __future__ import annotations

import contextlib
import logging
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from ncforce_ipi.backend import Backend, Evaluation, Kind, Structure, Wanted
from ncforce_ipi.errors import ModelError, ProtocolError
from ncforce_ipi.reading.orientation import in_ipi_frame
from ncforce_ipi.reading.structures import to_atoms
from ncforce_ipi.serve.server import Asked, listening
from ncforce_ipi.serve.sockets import Address, is_loopback

log = logging.getLogger(__name__)
WAIT_S = 120.0  # for a driver to load its model and connect, and for each answer
END_S = 10.0  # for a driver to leave
NAME = "driver"  # of the socket in a private directory


class RemoteBackend(Backend):
    """A driver at the other end of a socket; see ``ncforce_ipi.backend.Backend``.

    Parameters
    ----------
    kind : of the forces that it sends
    address : where it will connect; None: in a private directory, where ``command`` is told to
    command : gives the command of a driver for a structure file; None: a driver comes by itself
    name : for messages
    """

    def __init__(
        self,
        kind: Kind,
        address: Address | None,
        command: Callable[[Path], list[str]] | None,
        name: str,
    ) -> None:
        self.kinds: frozenset[Kind] = frozenset([kind])
        self.description = f"{name} (driver at a socket)"
        self._kind, self._address, self._command = kind, address, command
        self._driver: Asked | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._folder: Path | None = None
        self._stack = ExitStack()
        self._numbers = np.empty(0, np.int32)
        if address is not None and address.host and not is_loopback(address.host):
            log.warning(
                "whoever reaches %s can connect and send any forces: i-PI's protocol has no "
                "authentication; unix:NAME and tcp:PORT stay on this machine",
                address,
            )

    def evaluate(self, structure: Structure, wanted: Wanted) -> Mapping[Kind, Evaluation]:
        """One request; a driver is waited for, or started, at the first."""
        if wanted.kinds != self.kinds:
            raise ModelError(f"{self.description} has {self._kind} forces only")
        turned, turn = in_ipi_frame(structure)  # LAMMPS and others know no other cells
        try:
            found = self._reached(turned).forces(turned)
        except (ProtocolError, OSError) as err:
            said = self._last_words()
            if self._command is None and self._driver is not None:
                said = said or "where it was started"
            self.close()
            why = f"{err}; its last words: {said}" if said else str(err)
            raise ModelError(f"{self.description} gave no forces: {why}") from err
        virial = np.full((3, 3), np.nan)  # of some drivers it is 0 and means nothing
        return {self._kind: Evaluation(found.energy, turn.back(found.forces), virial)}

    def close(self) -> None:
        """Tell the driver to leave; end the process that was started."""
        if self._driver is not None:
            self._driver.leave()
        if self._process is not None:
            try:
                self._process.wait(END_S if self._driver else 0.0)
            except subprocess.TimeoutExpired:
                self._process.kill()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._process.wait(END_S)
        self._stack.close()
        self._driver = self._process = self._folder = None
        self._numbers = np.empty(0, np.int32)

    def _reached(self, structure: Structure) -> Asked:
        """The driver for these atoms: another composition needs another one."""
        if self._driver is not None and np.array_equal(structure.numbers, self._numbers):
            return self._driver
        self.close()
        address = self._address or self._private_address()
        listener = self._stack.enter_context(listening(address))
        if self._command is None:
            log.info("waiting up to %g s for a driver at %s", WAIT_S, address)
        else:
            self._start(self._command, structure, address)
        self._driver = Asked.accepted(listener, WAIT_S, self._gone)
        self._numbers = structure.numbers.copy()
        return self._driver

    def _private_address(self) -> Address:
        self._folder = Path(
            self._stack.enter_context(tempfile.TemporaryDirectory(prefix="ncforce-"))  # 0700
        )
        return Address(path=str(self._folder / NAME))

    def _start(
        self, command: Callable[[Path], list[str]], structure: Structure, address: Address
    ) -> None:
        folder = Path(address.path).parent
        to_atoms(structure).write(folder / "structure.xyz", format="extxyz")
        words = [*command(folder / "structure.xyz"), "--socket-dir", str(folder), "--unix", NAME]
        with (folder / "driver.log").open("wb") as file:
            self._process = subprocess.Popen(
                [*words, "--wait-s", str(WAIT_S)], stderr=file, stdin=subprocess.DEVNULL
            )

    def _gone(self) -> str | None:
        """Why no answer will come: its process has ended."""
        code = None if self._process is None else self._process.poll()
        return None if code is None else f"its process ended with code {code}"

    def _last_words(self) -> str:
        if self._folder is None:
            return ""
        text = (self._folder / "driver.log").read_text("utf-8", "replace").strip()
        return text.splitlines()[-1] if text else ""
