"""A connected socket as a stream: exact reads, whole writes, no wait without a bound.

Owns the bytes that were received ahead of their use: a server sends a request in one piece, and one
system call takes it.  Knows no message.
"""

from __future__ import annotations

import socket
import time

from ncforce_ipi.errors import ProtocolError

MESSAGE_TIMEOUT_S = 60.0  # a message that has begun must be complete within this time
READ_AHEAD_BYTES = 1 << 16  # beyond what is asked for
FIRST_BYTES = 1 << 22  # of memory for a message, before more of it has come


class LeftError(ProtocolError):
    """The other end left between two messages or while it was owed an answer; it may do that."""


class CutError(ProtocolError):
    """The other end left within a message: it was killed, or the network is down."""


class Stream:
    """Reads and writes a socket, which the caller closes; ``peer`` is who is at the other end."""

    def __init__(self, sock: socket.socket, peer: str = "server") -> None:
        self.sock = sock
        self.peer = peer
        self._buffer = bytearray()
        self._start = self._end = 0

    @property
    def has_bytes(self) -> bool:
        """Whether something was received that nobody has taken yet."""
        # TLS decrypts ahead, where nobody who waits for the socket sees it
        return self._end > self._start or getattr(self.sock, "pending", int)() > 0

    def take(self, n_bytes: int, may_end: bool = False) -> memoryview:
        """Exactly ``n_bytes``, however small the pieces in which they come; valid until the next.

        Raises
        ------
        LeftError
            ``may_end``, and the connection was closed before the first byte.
        ProtocolError
            It was closed, or fell silent, before the last one.
        """
        if self._end - self._start < n_bytes:
            self._fill(n_bytes, may_end)
        start, self._start = self._start, self._start + n_bytes
        return memoryview(self._buffer)[start : start + n_bytes]

    def send(self, data: bytes) -> None:
        """All of ``data``: ``sendall`` goes on after short writes; the timeout bounds the whole.

        Raises
        ------
        LeftError
            The server has left.
        ProtocolError
            It didn't take the data in time.
        """
        self.sock.settimeout(MESSAGE_TIMEOUT_S)
        try:
            self.sock.sendall(data)
        except TimeoutError as err:
            raise ProtocolError(
                f"a message of {len(data)} bytes was not taken in {MESSAGE_TIMEOUT_S:g} s; "
                f"the {self.peer} hangs or the network is down"
            ) from err
        except OSError as err:  # a broken pipe, a reset, or TLS that says so
            raise LeftError(f"the {self.peer} left before it took the answer") from err

    def _fill(self, n_bytes: int, may_end: bool) -> None:
        """Receive until ``n_bytes`` are there."""
        have = self._end - self._start
        self._resize(min(n_bytes, FIRST_BYTES) + READ_AHEAD_BYTES, have)
        self._start, self._end = 0, have
        deadline = time.monotonic() + MESSAGE_TIMEOUT_S
        while self._end < n_bytes:
            if self._end == len(self._buffer):  # memory for what came, not for what is promised
                self._resize(min(n_bytes + READ_AHEAD_BYTES, 2 * self._end), self._end)
            self.sock.settimeout(max(deadline - time.monotonic(), 1e-3))
            with memoryview(self._buffer) as view:
                end = min(len(view), n_bytes + READ_AHEAD_BYTES)
                got = self._receive(view[self._end : end], n_bytes)
            if got == 0:
                self._say_end(n_bytes, may_end)
            self._end += got

    def _resize(self, size: int, have: int) -> None:
        """Bring ``have`` bytes to the front of a buffer of at least this size."""
        rest = bytes(memoryview(self._buffer)[self._start : self._start + have])
        if len(self._buffer) < size:
            self._buffer = bytearray(size)  # a new one: views of the old one stay valid
        self._buffer[:have] = rest
        self._start = 0

    def _receive(self, view: memoryview, n_bytes: int) -> int:
        try:
            return self.sock.recv_into(view)
        except TimeoutError as err:
            raise ProtocolError(
                f"got {self._end} of {n_bytes} bytes of a message in {MESSAGE_TIMEOUT_S:g} s; "
                f"the {self.peer} hangs or the network is down"
            ) from err
        except OSError:  # killed with our last answer unread: an end like any other
            return 0

    def _say_end(self, n_bytes: int, may_end: bool) -> None:
        if may_end and self._end == 0:
            raise LeftError("end of file")
        raise CutError(
            f"got {self._end} of {n_bytes} bytes of a message, then the connection was closed; "
            f"see the {self.peer}'s log"
        )
