"""Two sockets made one connection: what comes from one goes to the other, until both have ended.

What i-PI sends is taken to its end even if nobody wants it any more: bytes unread would reset its
connection, which its polling thread doesn't survive.  A driver that answers no more is left, so
that i-PI asks another one.
"""

from __future__ import annotations

import select
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from ncforce_ipi.serve.patience import Wait

PIECE_BYTES = 1 << 18
TAKEN_S = 60.0  # in which the other end must take what it was sent
HANG_UP_S = 2.0  # for the second end, after the first
TICK_S = 1.0
NOT_NOW = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


@dataclass
class Flow:
    """Bytes on their way from one socket to the other.

    Parameters
    ----------
    taken : hears of every piece that comes, its bytes
    given : hears that one went
    """

    source: socket.socket
    sink: socket.socket
    taken: Callable[[int], None] = lambda n_bytes: None
    given: Callable[[], None] = lambda: None
    buffer: bytearray = field(default_factory=lambda: bytearray(PIECE_BYTES))
    start: int = 0
    end: int = 0
    ended: bool = False
    lost: bool = False  # the sink takes nothing more
    since_s: float = 0.0  # when the bytes that wait were taken

    @property
    def waits(self) -> bool:
        """Whether bytes wait for the sink."""
        return self.end > self.start

    def take(self) -> None:
        """What there is at the source, if the last is gone."""
        self.start = self.end = 0
        self.since_s = time.monotonic()
        records = isinstance(self.source, ssl.SSLSocket)  # of 16 kB each: as many as there are
        try:
            while self.end < PIECE_BYTES:
                n_bytes = self.source.recv_into(memoryview(self.buffer)[self.end :])
                self.end += n_bytes
                self.taken(n_bytes)
                self.ended = n_bytes == 0
                if not records or self.ended:
                    return
        except NOT_NOW:
            return
        except OSError:  # reset: an end like any other
            self.ended = True

    def give(self) -> None:
        """As much as the sink takes; what nobody takes is dropped."""
        try:
            while self.waits and not self.lost:
                self.start += self.sink.send(memoryview(self.buffer)[self.start : self.end])
                self.given()
        except NOT_NOW:
            return
        except OSError:
            self.lost = True
        if self.lost:
            self.start = self.end

    def step(self) -> None:
        """All that can be done without waiting."""
        self.give()
        while not self.waits and not self.ended:
            self.take()
            self.give()
            if not getattr(self.source, "pending", int)():  # decrypted, so that no poll sees it
                return


def relay(driver: socket.socket, server: socket.socket, wait: Wait | None = None) -> str:
    """Until one of the two has left and the other has noticed; why it ended.

    Parameters
    ----------
    wait : for answers of the driver; None: as this connection has them
    """
    wait = wait or Wait()
    flows = (
        Flow(driver, server, taken=wait.answered),
        Flow(server, driver, given=wait.asked),
    )
    driver.setblocking(False)
    server.setblocking(False)
    poller, end_s = select.poll(), 0.0
    for flow in flows:
        flow.step()
    while True:
        for flow in flows:
            if flow.ended and not flow.waits and not end_s:
                end_s = time.monotonic() + HANG_UP_S
                _no_more(flow.sink)
        if all(flow.ended for flow in flows) or (end_s and time.monotonic() > end_s):
            return "the driver left" if flows[0].ended else "i-PI left"
        if any(flow.waits and time.monotonic() - flow.since_s > TAKEN_S for flow in flows):
            return f"a message was not taken in {TAKEN_S:g} s"
        if hung_s := wait.too_long_s():
            return f"the driver hangs: no answer for {hung_s:.0f} s"
        _wait(poller, flows)
        for flow in flows:
            flow.step()


def _wait(poller: select.poll, flows: tuple[Flow, Flow]) -> None:
    """Until something can be done, at most a tick."""
    wanted: dict[int, int] = {}
    for flow in flows:
        if flow.waits:
            wanted[flow.sink.fileno()] = wanted.get(flow.sink.fileno(), 0) | select.POLLOUT
        elif not flow.ended:
            wanted[flow.source.fileno()] = wanted.get(flow.source.fileno(), 0) | select.POLLIN
    for descriptor, events in wanted.items():
        poller.register(descriptor, events)
    poller.poll(1e3 * TICK_S)
    for descriptor in wanted:
        poller.unregister(descriptor)


def _no_more(sock: socket.socket) -> None:
    """Tell the other end that nothing more comes."""
    try:
        sock.shutdown(socket.SHUT_WR)
    except OSError:
        return
