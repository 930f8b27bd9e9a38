"""Serves a model's forces to servers of i-PI's protocol: i-PI, ASE, CP2K.

Owns the loop that waits on all connections, and what the trouble of one replica means to the
others.  Knows no option of the command line and no model library.

One thread waits on all connections: one or two (one for each role) of each replica.  A replica
whose server leaves, breaks the protocol, or has a structure that the model can't take, is served no
more, and the others are.  If its server has left, one that comes at the same unix socket, such as
an i-PI that goes on from a checkpoint, is served again.  A model that fails for all fails for each.
"""

from __future__ import annotations

import json
import logging
import selectors
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from ncforce_ipi import durable
from ncforce_ipi.backend import Evaluation
from ncforce_ipi.errors import ModelError, NcforceError, ProtocolError
from ncforce_ipi.serve import replicas as rules
from ncforce_ipi.serve import sockets
from ncforce_ipi.serve.connection import Connection
from ncforce_ipi.serve.evaluator import Evaluator
from ncforce_ipi.serve.replicas import Group, Replica

log = logging.getLogger(__name__)

LAST_WORDS_S = 5.0  # when asked to stop: for a server to ask for what it has sent positions for
LOOK_S = 1.0  # between two looks for servers that come again


def serve(
    replicas: Sequence[Replica],
    evaluator: Evaluator,
    *,
    idle_s: float,
    stop: socket.socket | None = None,
    ended: Callable[[Replica], None] = lambda replica: None,
) -> str:
    """Answer every connection until all servers have left; say why it ended.

    Parameters
    ----------
    replicas
        With their connections; the caller closes those that are still open at the end.
    evaluator
        Answers the requests.
    idle_s
        Longest silence of all servers, seconds.
    stop
        Becomes readable when serving shall end; positions already received are answered first.
    ended
        Is called with each replica that is served no more, whenever that happens; its server may
        come again (``lives``), so maybe more than once.

    Raises
    ------
    ProtocolError
        A server broke the protocol, or all were silent for too long.
    ModelError
        The model gave nothing that can be sent.
    InputError
        A server's input was written for another role or model.
    """
    with selectors.DefaultSelector() as selector:
        loop = _Loop(selector, replicas, evaluator, idle_s, ended)
        end = loop.run(stop)
    _raise_first(replicas)
    return end or "; ".join(f"{each.name} {each.end}".strip() for each in replicas)


def _raise_first(replicas: Sequence[Replica]) -> None:
    """The error of a replica, if there is one; of several it is said which."""
    failed = [(replica, replica.error) for replica in replicas if replica.error is not None]
    if not failed:
        return
    replica, error = failed[0]
    if len(replicas) == 1:
        raise error
    more = f" (of {len(replicas)} replicas {len(failed)} failed)"
    raise type(error)(f"{replica.name}: {error}{more}") from error


class _Loop:
    """The connections that are waited on, and the clocks."""

    def __init__(
        self,
        selector: selectors.BaseSelector,
        replicas: Sequence[Replica],
        evaluator: Evaluator,
        idle_s: float,
        ended: Callable[[Replica], None],
    ) -> None:
        self._selector, self._replicas, self._evaluator = selector, replicas, evaluator
        self._idle_s, self._ended = idle_s, ended
        self._groups = rules.grouped(replicas, evaluator.atoms_at_once)
        self._owner = {id(each): replica for replica in replicas for each in replica.connections}
        self._unread: list[Connection] = []  # with bytes that were received ahead
        self._stopping = False
        self._heard_s = self._looked_s = time.monotonic()
        for replica in replicas:
            for connection in replica.connections:
                self._watch(connection)

    def run(self, stop: socket.socket | None) -> str | None:
        """Serve; None if that ended because nobody is there any more, else why it did."""
        if stop is not None:
            self._selector.register(stop, selectors.EVENT_READ)
        while any(replica.lives for replica in self._replicas):
            if self._stopping and not any(each.structures for each in self._served()):
                return "asked to stop"
            ready = self._wait()
            if self._stopping and not ready:
                return "asked to stop, with a request unfinished"
            self._check_silence(ready)
            if None in ready and stop is not None:
                self._selector.unregister(stop)
                self._stopping = True
            for connection in filter(None, ready):
                self._read(connection)
            for group in self._groups:
                while self._evaluate(group):
                    pass
        return None

    def _served(self) -> Iterator[Connection]:
        return (each for replica in self._replicas for each in replica.connections if not each.end)

    def _wait(self) -> list[Connection | None]:
        """Connections on which something has come; None stands for ``stop``."""
        unread, self._unread = self._unread, []
        self._look()
        events = self._selector.select(0.0 if unread else self._patience_s())
        ready = [key.data for key, _ in events]
        return unread + [each for each in ready if each is None or each not in unread]

    def _patience_s(self) -> float:
        """How long nothing need be done."""
        if self._stopping:
            return LAST_WORDS_S
        now_s = time.monotonic()
        waits_s = [self._heard_s + self._idle_s - now_s]
        if self._absent():
            waits_s.append(LOOK_S)
        for group in self._groups:
            if group.since_s is not None:
                waits_s.append(group.since_s + rules.LAG_S - now_s)
        return max(0.0, min(waits_s))

    def _check_silence(self, ready: Sequence[Connection | None]) -> None:
        now_s = time.monotonic()
        if ready or any(replica.pending for replica in self._replicas):
            self._heard_s = now_s
        elif now_s - self._heard_s >= self._idle_s:
            raise ProtocolError(
                f"no server has said anything for {self._idle_s:g} s; if that is as it should be "
                "(a slow partner, a paused run), raise --idle-s"
            )

    def _watch(self, connection: Connection) -> None:
        if connection.sock is not None and not connection.end:
            self._selector.register(connection.sock, selectors.EVENT_READ, connection)

    def _unwatch(self, connection: Connection) -> None:
        if connection.sock is not None and connection.sock in self._selector.get_map():
            self._selector.unregister(connection.sock)

    def _read(self, connection: Connection) -> None:
        replica = self._owner[id(connection)]
        if connection.end or connection.asked:
            return
        try:
            connection.read()
        except NcforceError as err:
            self._give_up(replica, err)
            return
        if connection.asked:
            replica.asks(connection)
            if len(self._replicas) > 1:  # else it is answered at once
                self._unwatch(connection)
        self._see_end(replica, connection)

    def _evaluate(self, group: Group) -> bool:
        """Answer the members that have asked, if all have that are waited for; else False."""
        members = group.due(time.monotonic(), hurry=self._stopping)
        if not members:
            return False
        taken = [(replica, *replica.takes()) for replica in members]
        before = [replica.trajectory.n_evaluated for replica in members]
        for replica in members:
            replica.pulse.begins()
        start = time.perf_counter()
        found = self._evaluator.evaluate_requests([request for _, _, request in taken])
        model_s = time.perf_counter() - start
        for (replica, connection, _), n, answers in zip(taken, before, found, strict=True):
            connection.tally.model_s += model_s
            self._answer(replica, connection, answers, replica.trajectory.n_evaluated - n)
        self._heard_s = time.monotonic()
        return True

    def _answer(
        self,
        replica: Replica,
        connection: Connection,
        answers: list[Evaluation] | ModelError,
        n_evaluated: int,
    ) -> None:
        """Count, then send: what a server has got is never more than what is counted."""
        try:
            if isinstance(answers, ModelError):
                raise answers
            n = connection.n_asked
            connection.tally.evaluations += n
            replica.pulse.answered(connection.role, n, n_evaluated, connection.batch_size)
            connection.answer(answers)
        except NcforceError as err:
            self._give_up(replica, err)
            return
        self._goes_on(replica, connection)

    def _goes_on(self, replica: Replica, connection: Connection) -> None:
        """After an answer: what comes next on this connection is waited for."""
        if not connection.end and connection.sock not in self._selector.get_map():
            self._watch(connection)
        if not connection.end and connection.stream.has_bytes:
            self._unread.append(connection)
        self._see_end(replica, connection)

    def _see_end(self, replica: Replica, connection: Connection) -> None:
        """Let go of a server that has left."""
        if not connection.end:
            return
        self._unwatch(connection)
        if connection.sock is not None:
            connection.sock.close()
        if not replica.lives:
            self._ended(replica)

    def _give_up(self, replica: Replica, error: NcforceError) -> None:
        """Serve a replica no more."""
        replica.error = error
        replica.pending.clear()
        for connection in replica.connections:
            self._unwatch(connection)
            connection.leave(connection.end or "given up")
        if len(self._replicas) > 1:
            log.error("%s isn't served any more: %s", replica.name, error)
        sockets.hang_up([each.sock for each in replica.connections if each.sock is not None])
        self._ended(replica)

    def _absent(self) -> list[tuple[Replica, Connection]]:
        """Connections whose server may come again."""
        return [
            (replica, connection)
            for replica in self._replicas
            for connection in replica.connections
            if replica.error is None and connection.end and connection.address is not None
        ]

    def _look(self) -> None:
        """For servers that came, or came again, now and then."""
        now_s = time.monotonic()
        if self._stopping or now_s - self._looked_s < LOOK_S:
            return
        self._looked_s = now_s
        for replica, connection in self._absent():
            sock = sockets.there(connection.address) if connection.address else None
            if sock is not None:
                connection.attach(sock)
                replica.pulse.open()
                self._watch(connection)
                log.info("%s: a server came again for role %s", replica.name, connection.role)


def write_report(path: Path, record: Mapping[str, object]) -> None:
    """Write counts and seconds as JSON, in one move: never a half-written file."""
    durable.write_text(path, json.dumps(record, indent=1) + "\n")
