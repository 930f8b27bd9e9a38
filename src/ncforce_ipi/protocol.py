"""i-PI's socket protocol: bytes on a stream to and from our nouns.

Owns the layout of every message, exact-length reading and writing, and the conversion between A, eV
and the atomic units of the wire; nothing else in the package knows them.  Knows no state, no model
and no address.

A message is a 12-byte header, padded with blanks, and what belongs to it, in the byte order of the
machine (i-PI sends it so; every machine we meet is little-endian)::

    STATUS                                                  -> NEEDINIT | READY | HAVEDATA
    INIT        int32 replica, int32 length, text
    POSDATA     float64 h[3,3], h^-1[3,3], int32 n_atoms, float64 positions[n_atoms,3]
    GETFORCE                                                -> FORCEREADY
    FORCEREADY  float64 energy, int32 n_atoms, float64 forces[n_atoms,3], virial[3,3],
                int32 length, text ("extras")
    EXIT

``h`` holds the lattice vectors as columns; ``Structure.cell`` holds them as rows.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ncforce_ipi.backend import Evaluation, Structure
from ncforce_ipi.errors import ModelError, ProtocolError
from ncforce_ipi.units import BOHR_A, HARTREE_EV, HARTREE_PER_BOHR_EV_PER_A

HEADER_BYTES = 12
MESSAGE_TIMEOUT_S = 60.0  # a message that has begun must be complete within this time
MAX_INIT_BYTES = 1 << 20  # i-PI's own are below 1 kB: more is not an INIT string


class LeftError(ProtocolError):
    """The server left between two messages or while it was owed an answer; it may do that."""


@dataclass(frozen=True)
class Init:
    """What a server says once to a new client.

    Attributes
    ----------
    replica : index of the replica (bead) that the server assigns
    parameters : names and values of the string ``name : value , name : value``
    """

    replica: int
    parameters: Mapping[str, str]


def receive_header(sock: socket.socket) -> str:
    """Next header, without its padding.

    Raises
    ------
    LeftError
        The connection was closed before the first byte of a header.
    ProtocolError
        It was closed, or fell silent, within the header; or the header is not ASCII.
    """
    data = _receive(sock, HEADER_BYTES, may_end=True)
    try:
        return data.decode("ascii").rstrip()
    except UnicodeDecodeError as err:
        raise ProtocolError(
            f"got the header {bytes(data)!r}, expected 12 ASCII characters; "
            "is the other end a server of i-PI's protocol?"
        ) from err


def receive_init(sock: socket.socket) -> Init:
    """Body of INIT."""
    replica, length = np.frombuffer(_receive(sock, 8), np.int32)
    if not 0 <= length <= MAX_INIT_BYTES:
        raise ProtocolError(f"got an INIT string of {length} bytes, expected 0 to {MAX_INIT_BYTES}")
    text = _receive(sock, int(length)).decode("utf-8", errors="replace")
    return Init(int(replica), parse_init(text))


def parse_init(text: str) -> dict[str, str]:
    """``name : value`` pairs of an INIT string, without whatever else is there (ASE: a NUL)."""
    pairs = (part.partition(":") for part in text.replace("\0", "").split(","))
    return {name.strip(): value.strip() for name, colon, value in pairs if colon and name.strip()}


def receive_posdata(sock: socket.socket, numbers: NDArray[np.int32]) -> Structure:
    """Body of POSDATA, as a structure of the atoms ``numbers`` ``(n_atoms,)``.

    Raises
    ------
    ProtocolError
        The server sends another number of atoms, or a non-finite position or cell.
    """
    head = _receive(sock, 148)  # h, its inverse, n_atoms
    h = np.frombuffer(head, np.float64, count=9).reshape(3, 3)
    n_atoms = int(np.frombuffer(head, np.int32, count=1, offset=144)[0])
    if n_atoms != len(numbers):
        raise ProtocolError(_n_atoms_message(n_atoms, len(numbers)))
    data = _receive(sock, 24 * n_atoms)
    return from_wire(h, np.frombuffer(data, np.float64).reshape(n_atoms, 3), numbers)


def from_wire(
    h: NDArray[np.float64], positions: NDArray[np.float64], numbers: NDArray[np.int32]
) -> Structure:
    """A structure as the server has it: ``h`` ``(3, 3)`` and ``(n_atoms, 3)``, Bohr.

    Raises
    ------
    ProtocolError
        Another number of atoms than ``numbers`` has, or a non-finite position or cell.
    """
    if len(positions) != len(numbers):
        raise ProtocolError(_n_atoms_message(len(positions), len(numbers)))
    cell = np.ascontiguousarray(h.T * BOHR_A)  # columns to rows
    structure = Structure(numbers, positions * BOHR_A, cell)
    if not (np.isfinite(structure.positions).all() and np.isfinite(cell).all()):
        raise ProtocolError(
            "the server sends a position or cell that is not finite; its run has already diverged"
        )
    return structure


def to_wire(evaluation: Evaluation) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:
    """Energy, forces ``(n_atoms, 3)`` and virial ``(3, 3)`` in Hartree and Bohr.

    Raises
    ------
    ModelError
        Energy, forces or virial are not finite: the wire carries finite numbers only.
    """
    numbers = (evaluation.energy, evaluation.forces, evaluation.virial)
    if not all(np.isfinite(number).all() for number in numbers):
        raise ModelError("a number that is not finite can't be sent; evaluate it or send 0")
    return (
        evaluation.energy / HARTREE_EV,
        evaluation.forces / HARTREE_PER_BOHR_EV_PER_A,
        (evaluation.virial / HARTREE_EV).T,
    )


def send_header(sock: socket.socket, header: str) -> None:
    """A message that is a header only."""
    _send(sock, _header(header))


def send_forces(sock: socket.socket, evaluation: Evaluation, extras: str = "") -> None:
    """FORCEREADY and its body, in one message."""
    _send(sock, encode_forces(evaluation, extras))


def encode_forces(evaluation: Evaluation, extras: str = "") -> bytes:
    """The bytes of FORCEREADY; ModelError as from ``to_wire``."""
    energy, forces, virial = to_wire(evaluation)
    text = extras.encode("utf-8")
    return b"".join(
        (
            _header("FORCEREADY"),
            np.float64(energy).tobytes(),
            np.int32(len(forces)).tobytes(),
            forces.astype(np.float64, copy=False).tobytes(),
            virial.astype(np.float64, copy=False).tobytes(),
            np.int32(len(text)).tobytes(),
            text,
        )
    )


def _n_atoms_message(got: int, expected: int) -> str:
    return (
        f"the server sends {got} atoms, expected {expected} as in --structure; "
        "start the driver with the structure that the server starts from"
    )


def _header(text: str) -> bytes:
    return text.encode("ascii").ljust(HEADER_BYTES)


def _receive(sock: socket.socket, n_bytes: int, may_end: bool = False) -> bytearray:
    """Exactly ``n_bytes``, however small the pieces in which they come."""
    data = bytearray(n_bytes)
    view = memoryview(data)
    deadline = time.monotonic() + MESSAGE_TIMEOUT_S
    done = 0
    while done < n_bytes:
        sock.settimeout(max(deadline - time.monotonic(), 1e-3))
        try:
            got = sock.recv_into(view[done:])
        except TimeoutError as err:
            raise ProtocolError(
                f"got {done} of {n_bytes} bytes of a message in {MESSAGE_TIMEOUT_S:g} s; "
                "the server hangs or the network is down"
            ) from err
        except ConnectionResetError:  # killed with our last answer unread: an end like any other
            got = 0
        if got == 0 and may_end and done == 0:
            raise LeftError("end of file")
        if got == 0:
            raise ProtocolError(
                f"got {done} of {n_bytes} bytes of a message, then the connection was closed; "
                "see the server's log"
            )
        done += got
    return data


def _send(sock: socket.socket, data: bytes) -> None:
    """All of ``data``: ``sendall`` goes on after short writes; the timeout bounds the whole."""
    sock.settimeout(MESSAGE_TIMEOUT_S)
    try:
        sock.sendall(data)
    except (BrokenPipeError, ConnectionResetError) as err:
        raise LeftError("the server left before it took the answer") from err
    except TimeoutError as err:
        raise ProtocolError(
            f"an answer of {len(data)} bytes was not taken in {MESSAGE_TIMEOUT_S:g} s; "
            "the server hangs or the network is down"
        ) from err
