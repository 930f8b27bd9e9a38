"""Serves a model's forces to servers of i-PI's protocol: i-PI, ASE, CP2K.

Owns the state of each connection (what was received and not yet answered) and the times that the
report gives.  Knows no address, no option of the command line and no model library.

One thread waits on one connection or two (one for each role) and answers whoever speaks.  The model
is called only after GETFORCE has been read to its end: a client that dies then looks to i-PI like
an end of file, and its request goes to the next client; one that leaves bytes unread resets the
connection, which i-PI's polling thread doesn't survive.
"""

from __future__ import annotations

import json
import selectors
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ncforce_ipi.backend import Evaluation, Role, Structure
from ncforce_ipi.errors import ProtocolError
from ncforce_ipi.serve import protocol
from ncforce_ipi.serve.claims import Claims
from ncforce_ipi.serve.evaluator import Evaluator
from ncforce_ipi.serve.points import n_without_copies, same
from ncforce_ipi.serve.pulse import Pulse
from ncforce_ipi.serve.sharedmemory import Segments
from ncforce_ipi.serve.stream import LeftError, Stream

LAST_WORDS_S = 5.0  # when asked to stop: for a server to ask for what it has sent positions for


@dataclass
class Tally:
    """Counts and seconds of one role: of the model, and of the wire from a message's first byte."""

    evaluations: int = 0
    model_s: float = 0.0
    wire_s: float = 0.0


@dataclass
class Connection:
    """One socket, and what was received on it but not yet answered.

    ``segments`` is shared memory, if structures and forces go through that and not the socket;
    ``claims`` is compared with what the server says in INIT; ``pulse`` is told of every answer;
    ``first`` is the first structure that ever came.
    """

    role: Role
    sock: socket.socket
    segments: Segments | None = None
    claims: Claims | None = None
    pulse: Pulse = field(default_factory=lambda: Pulse(None))
    initialised: bool = False
    batch_size: int = 1
    structures: list[Structure] = field(default_factory=list)
    first: Structure | None = None
    tally: Tally = field(default_factory=Tally)

    def __post_init__(self) -> None:
        self.stream = Stream(self.sock)

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

    def receive(self, numbers: NDArray[np.int32]) -> list[Structure]:
        """Body of POSDATA."""
        if self.segments:
            return self.segments.receive(self.stream, numbers, self.batch_size)
        if self.batch_size > 1:
            return protocol.receive_batch(self.stream, numbers, self.batch_size)
        return [protocol.receive_posdata(self.stream, numbers)]

    def send(self, evaluations: Sequence[Evaluation]) -> None:
        """FORCEREADY and its body."""
        if self.segments:
            self.segments.send(self.stream, evaluations)
        elif self.batch_size > 1:
            protocol.send_batch(self.stream, evaluations)
        else:
            protocol.send_forces(self.stream, evaluations[0])


def serve(
    connections: Sequence[Connection],
    numbers: NDArray[np.int32],
    evaluator: Evaluator,
    *,
    idle_s: float,
    stop: socket.socket | None = None,
) -> str:
    """Answer every connection until all servers have left; say why it ended.

    Parameters
    ----------
    connections
        One for each role; the caller closes them.
    numbers
        ``(n_atoms,)``, atomic numbers in the server's order.
    evaluator
        Answers the requests.
    idle_s
        Longest silence of all servers, seconds.
    stop
        Becomes readable when serving shall end; positions already received are answered first.

    Raises
    ------
    ProtocolError
        A server broke the protocol, or all were silent for too long.
    ModelError
        The model gave nothing that can be sent.
    InputError
        A server's input was written for another role or model.
    """
    ends: dict[Role, str] = {}
    stopping = False
    with selectors.DefaultSelector() as selector:
        for connection in connections:
            selector.register(connection.sock, selectors.EVENT_READ, connection)
        if stop is not None:
            selector.register(stop, selectors.EVENT_READ)
        while len(ends) < len(connections):
            if stopping and all(not connection.structures for connection in connections):
                return "asked to stop"
            ready = [key.data for key, _ in selector.select(LAST_WORDS_S if stopping else idle_s)]
            if stopping and not ready:
                return "asked to stop, with a request unfinished"
            _check_silence(ready, idle_s)
            if None in ready and stop is not None:
                selector.unregister(stop)
                stopping = True
            for connection in filter(None, ready):
                if end := _answer(connection, numbers, evaluator):
                    ends[connection.role] = end
                    selector.unregister(connection.sock)
                    connection.structures = []
    return ", ".join(f"{role}: {end}" for role, end in ends.items())


def _check_silence(ready: Sequence[Connection | None], idle_s: float) -> None:
    if not ready:
        raise ProtocolError(
            f"no server has said anything for {idle_s:g} s; if that is as it should be "
            "(a slow partner, a paused run), raise --idle-s"
        )


def _answer(connection: Connection, numbers: NDArray[np.int32], evaluator: Evaluator) -> str | None:
    """Answer all messages that have begun to come; say why if the last was the last of all."""
    start, model_s = time.perf_counter(), connection.tally.model_s
    try:
        while True:
            header = protocol.receive_header(connection.stream)
            if header == "EXIT":
                return "EXIT from the server"
            _handle(header, connection, numbers, evaluator)
            if not connection.stream.has_bytes:
                return None
    except LeftError as left:
        return str(left)
    finally:
        model_s = connection.tally.model_s - model_s
        connection.tally.wire_s += time.perf_counter() - start - model_s


def _handle(
    header: str, connection: Connection, numbers: NDArray[np.int32], evaluator: Evaluator
) -> None:
    """The protocol's state machine."""
    if header == "STATUS":
        protocol.send_header(connection.stream, connection.status)
    elif header == "INIT":
        init = protocol.receive_init(connection.stream)
        if connection.claims:
            connection.claims.check(init.parameters)
        connection.batch_size = protocol.batch_size(init)
        connection.initialised = True
    elif header == "POSDATA":
        connection.structures = connection.receive(numbers)
        connection.first = connection.first or connection.structures[0]
        connection.initialised = True  # servers that never send INIT are content with that
    elif header == "GETFORCE" and connection.structures:
        n, evaluated = connection.n_asked, lambda: evaluator.n_evaluated
        with connection.pulse.answering(connection.role, n, evaluated, connection.batch_size):
            evaluations = _evaluate(connection, evaluator)
        connection.send(evaluations)
        connection.structures = []
    else:
        raise ProtocolError(
            f"role {connection.role} got {header!r} while {connection.status}, expected one of "
            "STATUS, INIT, POSDATA, GETFORCE (after POSDATA), EXIT; is it an i-PI server?"
        )


def _evaluate(connection: Connection, evaluator: Evaluator) -> list[Evaluation]:
    start = time.perf_counter()
    evaluations = evaluator.evaluate_batch(connection.structures, connection.role)
    connection.tally.model_s += time.perf_counter() - start
    connection.tally.evaluations += connection.n_asked
    return evaluations


def write_report(path: Path, record: Mapping[str, object]) -> None:
    """Write counts and seconds as JSON, in one move: never a half-written file."""
    partial = path.with_name(path.name + ".partial")
    partial.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    partial.replace(path)
