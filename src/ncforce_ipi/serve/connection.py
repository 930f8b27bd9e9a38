"""One connection to a server of i-PI's protocol: what was received on it and isn't answered yet.

Owns the protocol's state machine and the counts of one role.  Knows no model.

The model is called only after GETFORCE has been read to its end: a client that dies then looks to
i-PI like an end of file, and its request goes to the next client; one that leaves bytes unread
resets the connection, which i-PI's polling thread doesn't survive.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ncforce_ipi.backend import Evaluation, Role, Structure
from ncforce_ipi.errors import ProtocolError
from ncforce_ipi.serve import protocol
from ncforce_ipi.serve.claims import Claims
from ncforce_ipi.serve.points import n_without_copies, same
from ncforce_ipi.serve.sharedmemory import Segments
from ncforce_ipi.serve.sockets import Address
from ncforce_ipi.serve.stream import LeftError, Stream


@dataclass
class Tally:
    """Counts and seconds of one role: of the model, and of the wire from a message's first byte."""

    evaluations: int = 0
    model_s: float = 0.0
    wire_s: float = 0.0


@dataclass(eq=False)
class Connection:
    """One socket, and what was received on it but not yet answered.

    Attributes
    ----------
    role : that is served
    sock : connected; None as long as there is no server
    numbers : ``(n_atoms,)``, atomic numbers in the server's order
    address : where a server is looked for again when this one has left; None: nowhere
    shm : structures and forces go through shared memory and not the socket
    claims : compared with what the server says in INIT
    asked : a request (GETFORCE) waits for its answer
    end : why there is no server; '' while there is one
    first : the first structure that ever came
    """

    role: Role
    sock: socket.socket | None
    numbers: NDArray[np.int32]
    address: Address | None = None
    shm: bool = False
    claims: Claims | None = None
    tally: Tally = field(default_factory=Tally)

    def __post_init__(self) -> None:
        self.first: Structure | None = None
        self.end = "no server came"
        if self.sock is not None:
            self.attach(self.sock)

    def attach(self, sock: socket.socket) -> None:
        """Serve another server, of the same run."""
        self.sock, self.stream, self.end = sock, Stream(sock), ""
        self.segments = Segments() if self.shm else None
        self.initialised, self.asked, self.batch_size = False, False, 1
        self.structures: list[Structure] = []

    def leave(self, why: str) -> None:
        """Owe the server nothing any more; the caller closes the socket."""
        self.end, self.asked, self.structures = why, False, []

    @property
    def status(self) -> str:
        """The answer to STATUS."""
        if self.structures:
            return "HAVEDATA"
        return "READY" if self.initialised else "NEEDINIT"

    @property
    def n_asked(self) -> int:
        """How many of the structures are asked for: all but copies that fill the batch up.

        Beads that begin at one place are alike too, but are those of the first request.
        """
        if self.first is None or same(self.first, self.structures[-1]):
            return len(self.structures)
        return n_without_copies(self.structures)

    def read(self) -> None:
        """Take messages up to a request, or to the last that has begun to come, or to the end.

        Raises
        ------
        ProtocolError
            The server broke the protocol.
        InputError
            Its input was written for another role or model.
        """
        start = time.perf_counter()
        try:
            while not (self.asked or self.end):
                self._handle(protocol.receive_header(self.stream))
                if not self.stream.has_bytes:
                    return
        except LeftError as left:
            self.leave(str(left))
        finally:
            self.tally.wire_s += time.perf_counter() - start

    def _handle(self, header: str) -> None:
        """The protocol's state machine."""
        if header == "EXIT":
            self.leave("EXIT from the server")
        elif header == "STATUS":
            protocol.send_header(self.stream, self.status)
        elif header == "INIT":
            init = protocol.receive_init(self.stream)
            if self.claims:
                self.claims.check(init.parameters)
            self.batch_size = protocol.batch_size(init)
            self.initialised = True
        elif header == "POSDATA":
            self.structures = self._receive()
            self.first = self.first or self.structures[0]
            self.initialised = True  # servers that never send INIT are content with that
        elif header == "GETFORCE" and self.structures:
            self.asked = True
        else:
            raise ProtocolError(
                f"role {self.role} got {header!r} while {self.status}, expected one of "
                "STATUS, INIT, POSDATA, GETFORCE (after POSDATA), EXIT; is it an i-PI server?"
            )

    def _receive(self) -> list[Structure]:
        """Body of POSDATA."""
        if self.segments:
            return self.segments.receive(self.stream, self.numbers, self.batch_size)
        if self.batch_size > 1:
            return protocol.receive_batch(self.stream, self.numbers, self.batch_size)
        return [protocol.receive_posdata(self.stream, self.numbers)]

    def answer(self, evaluations: Sequence[Evaluation]) -> None:
        """FORCEREADY and its body.

        Raises
        ------
        ProtocolError
            The server didn't take it.
        """
        start = time.perf_counter()
        self.asked, self.structures = False, []
        try:
            if self.segments:
                self.segments.send(self.stream, evaluations)
            elif self.batch_size > 1:
                protocol.send_batch(self.stream, evaluations)
            else:
                protocol.send_forces(self.stream, evaluations[0])
        except LeftError as left:
            self.leave(str(left))
        finally:
            self.tally.wire_s += time.perf_counter() - start
