"""i-PI's shared-memory transport (``<ffsocket mode='shm'>``): arrays in memory, words on a socket.

Owns the segments that a server names, and what then is left on the unix socket::

    POSDATA     int32 n_atoms; the first time also six times (int32 length, name), of the segments
    FORCEREADY  batch_size times (int32 length, text)

The segments are float64 arrays ``(batch_size, ...)``: positions, h, h^-1, energies, forces and
virials.  The server owns them; messages on the socket say whose turn it is.
"""

from __future__ import annotations

import mmap
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ncforce_ipi.backend import Evaluation, Structure
from ncforce_ipi.errors import ProtocolError
from ncforce_ipi.serve import protocol
from ncforce_ipi.serve.stream import Stream

FOLDER = Path("/dev/shm")  # where Linux shows POSIX shared memory
KINDS = ("positions", "h", "inverse", "energies", "forces", "virials")
NAME = re.compile(r"/?([A-Za-z0-9_.-]{1,250})")


class Segments:
    """The six arrays, attached when the server names them."""

    def __init__(self) -> None:
        self._views: dict[str, NDArray[np.float64]] = {}

    def receive(
        self, stream: Stream, numbers: NDArray[np.int32], batch_size: int
    ) -> list[Structure]:
        """Body of POSDATA; ProtocolError as from ``protocol.receive_posdata``."""
        n_atoms = protocol.receive_n_atoms(stream, numbers)
        if not self._views:
            self._attach(stream, n_atoms, batch_size)
        pairs = zip(self._views["h"], self._views["positions"], strict=True)
        return [protocol.from_wire(h, q, numbers) for h, q in pairs]

    def send(self, stream: Stream, evaluations: Sequence[Evaluation]) -> None:
        """FORCEREADY; ModelError as from ``protocol.to_wire``."""
        for k, evaluation in enumerate(evaluations):
            energy, forces, virial = protocol.to_wire(evaluation)
            self._views["energies"][k] = energy
            self._views["forces"][k] = forces
            self._views["virials"][k] = virial
        stream.send(protocol.header("FORCEREADY") + bytes(4 * len(evaluations)))

    def _attach(self, stream: Stream, n_atoms: int, batch_size: int) -> None:
        shapes = {"positions": (n_atoms, 3), "forces": (n_atoms, 3), "energies": ()}
        for kind in KINDS:
            length = int(np.frombuffer(stream.take(4), np.int32)[0])
            if not 0 < length <= 251:
                raise ProtocolError(
                    f"got a name of {length} bytes for shared memory, expected 1 to 251; "
                    "is the server's <ffsocket> of mode shm?"
                )
            name = bytes(stream.take(length)).decode("ascii", errors="replace")
            shape = (batch_size, *shapes.get(kind, (3, 3)))
            self._views[kind] = _view(name, shape)


def _view(name: str, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """A segment as an array; the mapping lives as long as the array."""
    match = NAME.fullmatch(name)
    if not match:
        raise ProtocolError(f"got {name[:40]!r} as name of shared memory, expected a plain name")
    n_bytes = 8 * int(np.prod(shape, dtype=np.int64))
    try:
        with (FOLDER / match[1]).open("r+b") as file:
            memory = mmap.mmap(file.fileno(), n_bytes)
    except (OSError, ValueError) as err:
        raise ProtocolError(
            f"shared memory {name} can't be used: {err}; the driver must run on the server's node"
        ) from err
    return np.frombuffer(memory, np.float64).reshape(shape)
