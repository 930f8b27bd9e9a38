"""i-PI's socket protocol: bytes on a stream to and from our nouns.

Owns the layout of every message and the conversion between A, eV and the atomic units of the wire;
nothing else in the package knows them.  Knows no state, no model and no address.

A message is a 12-byte header, padded with blanks, and what belongs to it, in the byte order of the
machine (i-PI sends it so; every machine we meet is little-endian)::

    STATUS                                                  -> NEEDINIT | READY | HAVEDATA
    INIT        int32 replica, int32 length, text
    POSDATA     float64 h[3,3], h^-1[3,3], int32 n_atoms, float64 positions[n_atoms,3]
    GETFORCE                                                -> FORCEREADY
    FORCEREADY  float64 energy, int32 n_atoms, float64 forces[n_atoms,3], virial[3,3],
                int32 length, text ("extras")
    EXIT

With ``batch_size: B`` in the text of INIT, B structures of one size come and go together (i-PI >=
3.3; it fills a batch up with copies of its last structure)::

    POSDATA     int32 n_atoms, B x (float64 h[3,3], h^-1[3,3]), B x float64 positions[n_atoms,3]
    FORCEREADY  B x float64 energy, int32 n_atoms, B x float64 forces[n_atoms,3],
                B x float64 virial[3,3], B x (int32 length, text)

``h`` holds the lattice vectors as columns; ``Structure.cell`` holds them as rows.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ncforce_ipi.backend import Evaluation, Structure
from ncforce_ipi.errors import ModelError, ProtocolError
from ncforce_ipi.serve.stream import Stream
from ncforce_ipi.units import BOHR_A, HARTREE_EV, HARTREE_PER_BOHR_EV_PER_A

HEADER_BYTES = 12
MAX_BATCH = 4096
MAX_VALUE = 200  # characters of a parameter of INIT
MAX_INIT_BYTES = 1 << 20  # i-PI's own are below 1 kB: more is not an INIT string


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


def receive_header(stream: Stream) -> str:
    """Next header, without its padding.

    Raises
    ------
    LeftError
        The connection was closed before the first byte of a header.
    ProtocolError
        It was closed, or fell silent, within the header; or the header is not ASCII.
    """
    data = stream.take(HEADER_BYTES, may_end=True)
    try:
        return bytes(data).decode("ascii").rstrip()
    except UnicodeDecodeError as err:
        raise ProtocolError(
            f"got the header {bytes(data)!r}, expected 12 ASCII characters; "
            "is the other end a server of i-PI's protocol?"
        ) from err


def receive_init(stream: Stream) -> Init:
    """Body of INIT."""
    replica, length = np.frombuffer(stream.take(8), np.int32)
    if not 0 <= length <= MAX_INIT_BYTES:
        raise ProtocolError(f"got an INIT string of {length} bytes, expected 0 to {MAX_INIT_BYTES}")
    text = bytes(stream.take(int(length))).decode("utf-8", errors="replace")
    return Init(int(replica), parse_init(text))


def parse_init(text: str) -> dict[str, str]:
    """``name : value`` pairs of an INIT string, without whatever else is there (ASE: a NUL)."""
    text = "".join(c if c.isprintable() else "?" for c in text.replace("\0", ""))  # for messages
    pairs = (part.partition(":") for part in text.split(","))
    return {
        name.strip(): value.strip()[:MAX_VALUE]
        for name, colon, value in pairs
        if colon and name.strip()
    }


def receive_posdata(stream: Stream, numbers: NDArray[np.int32]) -> Structure:
    """Body of POSDATA, as a structure of the atoms ``numbers`` ``(n_atoms,)``.

    Raises
    ------
    ProtocolError
        The server sends another number of atoms, or a non-finite position or cell.
    """
    head = stream.take(148)  # h, its inverse, n_atoms
    h = np.frombuffer(head, np.float64, count=9).reshape(3, 3).copy()
    n_atoms = int(np.frombuffer(head, np.int32, count=1, offset=144)[0])
    if n_atoms != len(numbers):
        raise ProtocolError(_n_atoms_message(n_atoms, len(numbers)))
    positions = np.frombuffer(stream.take(24 * n_atoms), np.float64).reshape(n_atoms, 3)
    return from_wire(h, positions, numbers)


def receive_batch(stream: Stream, numbers: NDArray[np.int32], batch_size: int) -> list[Structure]:
    """Body of POSDATA in batches; ProtocolError as from ``receive_posdata``."""
    n_atoms = receive_n_atoms(stream, numbers)
    cells = np.frombuffer(stream.take(144 * batch_size), np.float64).reshape(batch_size, 2, 3, 3)
    cells = cells[:, 0].copy()
    positions = np.frombuffer(stream.take(24 * n_atoms * batch_size), np.float64)
    positions = positions.reshape(batch_size, n_atoms, 3)
    return [from_wire(h, q, numbers) for h, q in zip(cells, positions, strict=True)]


def receive_n_atoms(stream: Stream, numbers: NDArray[np.int32]) -> int:
    """The number of atoms in front of a batch."""
    n_atoms = int(np.frombuffer(stream.take(4), np.int32)[0])
    if n_atoms != len(numbers):
        raise ProtocolError(_n_atoms_message(n_atoms, len(numbers)))
    return n_atoms


def batch_size(init: Init) -> int:
    """How many structures the server will send at once; 1 if it says nothing.

    Raises
    ------
    ProtocolError
        It is no positive number, or too large to be meant.
    """
    text = init.parameters.get("batch_size", "1")
    if not (re.fullmatch("[0-9]{1,6}", text) and 1 <= int(text) <= MAX_BATCH):
        raise ProtocolError(f"got batch_size {text[:20]!r} in INIT, expected 1 to {MAX_BATCH}")
    return int(text)


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
    if not (np.isfinite(positions).all() and np.isfinite(h).all()):
        raise ProtocolError(
            "the server sends a position or cell that is not finite; its run has already diverged"
        )
    cell = np.ascontiguousarray(h.T * BOHR_A)  # columns to rows
    return Structure(numbers, positions * BOHR_A, cell)


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


def from_wire_forces(
    energy: float, forces: NDArray[np.float64], virial: NDArray[np.float64]
) -> Evaluation:
    """The inverse of ``to_wire``: from Hartree and Bohr, with the virial as it is sent."""
    return Evaluation(
        energy * HARTREE_EV, forces * HARTREE_PER_BOHR_EV_PER_A, virial.T * HARTREE_EV
    )


def encode_posdata(structure: Structure) -> bytes:
    """The bytes of POSDATA; without three lattice vectors the inverse is a pseudo-inverse."""
    h = structure.cell.T / BOHR_A
    return b"".join(
        (
            header("POSDATA"),
            np.ascontiguousarray(h).tobytes(),
            np.ascontiguousarray(np.linalg.pinv(h)).tobytes(),
            np.int32(len(structure.positions)).tobytes(),
            np.ascontiguousarray(structure.positions / BOHR_A).tobytes(),
        )
    )


def send_header(stream: Stream, name: str) -> None:
    """A message that is a header only."""
    stream.send(header(name))


def send_forces(stream: Stream, evaluation: Evaluation, extras: str = "") -> None:
    """FORCEREADY and its body, in one message."""
    stream.send(encode_forces(evaluation, extras))


def send_batch(stream: Stream, evaluations: Sequence[Evaluation]) -> None:
    """FORCEREADY of a batch, in one message, without extras."""
    stream.send(encode_batch(evaluations))


def encode_forces(evaluation: Evaluation, extras: str = "") -> bytes:
    """The bytes of FORCEREADY; ModelError as from ``to_wire``."""
    energy, forces, virial = to_wire(evaluation)
    text = extras.encode("utf-8")
    return b"".join(
        (
            header("FORCEREADY"),
            np.float64(energy).tobytes(),
            np.int32(len(forces)).tobytes(),
            np.ascontiguousarray(forces, np.float64).data,  # join makes the only copy
            virial.astype(np.float64, copy=False).tobytes(),
            np.int32(len(text)).tobytes(),
            text,
        )
    )


def encode_batch(evaluations: Sequence[Evaluation]) -> bytes:
    """The bytes of FORCEREADY for a batch; ModelError as from ``to_wire``."""
    energies, forces, virials = zip(*map(to_wire, evaluations), strict=True)
    return b"".join(
        (
            header("FORCEREADY"),
            np.array(energies, np.float64).tobytes(),
            np.int32(len(forces[0])).tobytes(),
            *(np.ascontiguousarray(force, np.float64).data for force in forces),
            *(np.asarray(virial, np.float64).tobytes() for virial in virials),
            bytes(4 * len(evaluations)),  # texts of length 0
        )
    )


def _n_atoms_message(got: int, expected: int) -> str:
    return (
        f"the server sends {got} atoms, expected {expected} as in --structure; "
        "start the driver with the structure that the server starts from"
    )


def header(text: str) -> bytes:
    """Twelve bytes, padded with blanks."""
    return text.encode("ascii").ljust(HEADER_BYTES)
