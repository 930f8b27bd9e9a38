"""The server's half of i-PI's protocol, for one driver: here we ask, and it answers.

Owns the socket that is listened on and what is said to the driver.  Nothing that comes is believed:
sizes are checked before memory is taken, every wait has a bound, numbers must be finite.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from ncforce_ipi.backend import Evaluation, Structure
from ncforce_ipi.errors import InputError, ProtocolError
from ncforce_ipi.models.identity import ATOMS, of_atoms
from ncforce_ipi.serve import protocol
from ncforce_ipi.serve.sockets import Address
from ncforce_ipi.serve.stream import Stream

LOOK_S = 1.0  # between two questions whether a driver may still come, or answer
LARGEST = 1e300  # of energy, force and virial, atomic units: beyond it eV and A may overflow
MAX_EXTRAS_BYTES = 1 << 26  # some drivers send dipoles or a Hessian as text

Gone = Callable[[], "str | None"]  # why no driver will come or answer; None while one may


@contextmanager
def listening(address: Address) -> Iterator[socket.socket]:
    """A socket on which a driver of this user, or of this machine, can connect; gone at the end.

    Raises
    ------
    InputError
        The address is taken, or can't be had.
    """
    address.check()
    family = socket.AF_UNIX if address.path else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        try:
            if address.path:
                _remove_stale(Path(address.path))
                listener.bind(address.path)
                Path(address.path).chmod(0o600)  # before anybody can connect
            else:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                listener.bind((address.host, address.port))
            listener.listen(1)
        except OSError as err:
            raise InputError(
                f"no socket can be made at {address}: {err.strerror or err}; another program may "
                "have it: choose another name or port"
            ) from err
        try:
            yield listener
        finally:
            if address.path:
                Path(address.path).unlink(missing_ok=True)


def _remove_stale(path: Path) -> None:
    """Remove a socket of ours to which nobody listens any more: its program was killed."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(status.st_mode) or status.st_uid != os.getuid():
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        if probe.connect_ex(str(path)) == errno.ECONNREFUSED:
            path.unlink()


class Asked:
    """A driver that has connected.

    Parameters
    ----------
    sock : its connection
    wait_s : for each answer, seconds
    gone : why it will not answer; asked once a second
    """

    def __init__(self, sock: socket.socket, wait_s: float, gone: Gone) -> None:
        self.sock, self._wait_s, self._gone = sock, wait_s, gone
        self._stream = Stream(sock, "driver")

    @classmethod
    def accepted(cls, listener: socket.socket, wait_s: float, gone: Gone) -> Asked:
        """The first that connects.

        Raises
        ------
        ProtocolError
            Nobody came.
        """
        _await(listener, wait_s, gone, "connected")
        sock, _ = listener.accept()
        return cls(sock, wait_s, gone)

    def forces(self, structure: Structure) -> Evaluation:
        """Energy, forces and virial of a structure.

        Raises
        ------
        ProtocolError
            It left, said nothing, or something that isn't i-PI's protocol or can't be forces.
        """
        stream = self._stream
        status = self._status()
        if status == "NEEDINIT":
            stream.send(_init(structure))
            status = self._status()
        _expect("READY", status)
        stream.send(protocol.encode_posdata(structure))
        _expect("HAVEDATA", self._status())
        stream.send(protocol.header("GETFORCE"))
        _expect("FORCEREADY", self._word())
        return receive_forces(stream, len(structure.numbers))

    def leave(self) -> None:
        """Tell it that no more will be asked."""
        with contextlib.suppress(OSError, ProtocolError), self.sock:
            self._stream.send(protocol.header("EXIT"))

    def _status(self) -> str:
        self._stream.send(protocol.header("STATUS"))
        return self._word()

    def _word(self) -> str:
        """The next header; a driver may compute before it answers any."""
        if not self._stream.has_bytes:
            _await(self.sock, self._wait_s, self._gone, "answered")
        return protocol.receive_header(self._stream)


def _init(structure: Structure) -> bytes:
    """INIT, with the word by which our drivers see whether these are their atoms."""
    text = f"{ATOMS} : {of_atoms(structure.numbers)}".encode()
    return protocol.header("INIT") + np.array([0, len(text)], np.int32).tobytes() + text


def _await(sock: socket.socket, wait_s: float, gone: Gone, what: str) -> None:
    """Until there is something to take."""
    deadline = time.monotonic() + wait_s
    while not select.select([sock], [], [], min(LOOK_S, wait_s))[0]:
        if why := gone():
            raise ProtocolError(f"no driver {what}: {why}")
        if time.monotonic() > deadline:
            raise ProtocolError(f"no driver {what} within {wait_s:g} s")


def receive_forces(stream: Stream, n_atoms: int) -> Evaluation:
    """Body of FORCEREADY for a structure of so many atoms.

    Raises
    ------
    ProtocolError
        Another number of atoms, a text of impossible length, or a number that isn't finite.
    """
    head = stream.take(12)
    energy = float(np.frombuffer(head, np.float64, count=1)[0])
    got = int(np.frombuffer(head, np.int32, count=1, offset=8)[0])
    if got != n_atoms:
        raise ProtocolError(f"the driver sends forces of {got} atoms, expected {n_atoms}")
    forces = np.frombuffer(stream.take(24 * n_atoms), np.float64).reshape(n_atoms, 3).copy()
    virial = np.frombuffer(stream.take(72), np.float64).reshape(3, 3).copy()
    length = int(np.frombuffer(stream.take(4), np.int32)[0])
    if not 0 <= length <= MAX_EXTRAS_BYTES:
        raise ProtocolError(
            f"the driver announces a text of {length} bytes, expected 0 to {MAX_EXTRAS_BYTES}"
        )
    while length > 0:
        length -= len(stream.take(min(length, 1 << 16)))
    for name, numbers in (("energy", energy), ("force", forces), ("virial", virial)):
        if not (np.abs(numbers) < LARGEST).all():  # nan isn't
            raise ProtocolError(f"the driver sends a {name} that is not finite")
    return protocol.from_wire_forces(energy, forces, virial)


def _expect(expected: str, got: str) -> None:
    if got != expected:
        raise ProtocolError(
            f"the driver says {got!r}, expected {expected}; is it a program of i-PI's protocol?"
        )
