"""Reaching a server and leaving it.

Owns addresses, the bounded wait for a server that isn't up yet, and how a connection is left.
Knows no message.
"""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import os
import select
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass

from ncforce_ipi.errors import InputError, RunError

log = logging.getLogger(__name__)

IPI_PREFIX = "/tmp/ipi_"  # where programs of i-PI's protocol look for unix sockets
MAX_UNIX_PATH_BYTES = 107  # Linux: sockaddr_un.sun_path less its final NUL
CONNECT_S = 5.0  # for one attempt to reach a server
RETRY_S = 0.05  # between two attempts to reach a server that isn't up yet
HANG_UP_S = 2.0  # how long a server may take to notice that we leave
NOT_YET = (FileNotFoundError, ConnectionRefusedError, BlockingIOError, TimeoutError)
KEEPALIVE = {"TCP_KEEPIDLE": 60, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 6}  # a dead host: 2 minutes


@dataclass(frozen=True)
class Address:
    """Where a server listens: ``path`` of a unix socket, or ``host`` and ``port``.

    Or what stands in a ``token_file`` once it is there (`serve.entrance`).
    """

    path: str = ""
    host: str = ""
    port: int = 0
    token_file: str = ""
    role: str = ""

    def __str__(self) -> str:
        if self.token_file:
            return f"the run of {self.token_file}"
        return f"unix:{self.path}" if self.path else f"inet:{self.host}:{self.port}"

    def check(self, cure: str = "use a directory with a shorter name") -> None:
        """Raise InputError for a path or port that no socket can have.

        ``cure`` says what to do about a path that is too long.
        """
        n_bytes = len(os.fsencode(self.path))
        if n_bytes > MAX_UNIX_PATH_BYTES:
            raise InputError(
                f"socket path {self.path} has {n_bytes} bytes, expected at most "
                f"{MAX_UNIX_PATH_BYTES}; {cure}"
            )
        if not (self.path or self.token_file) and not 0 < self.port < 65536:
            raise InputError(f"port {self.port} is not between 1 and 65535")


class UnreachedError(RunError):
    """No server was there in time."""


def connect(
    address: Address, wait_s: float, stop: socket.socket | None = None
) -> socket.socket | None:
    """Reach a server, waiting up to ``wait_s`` seconds for it; None when ``stop`` spoke first.

    Raises
    ------
    UnreachedError
        There is no server at the end of that time.
    RunError
        None can ever be reached at that address.
    """
    address.check()
    deadline = time.monotonic() + wait_s
    waiting = False
    while True:
        try:
            return _open(address)
        except NOT_YET as err:
            if time.monotonic() > deadline:
                raise UnreachedError(
                    f"no server at {address} within {wait_s:.3g} s ({err}); "
                    "start i-PI first, or raise --wait-s"
                ) from err
        except (OSError, UnicodeError) as err:  # no name of a machine is such a text
            raise RunError(f"{address} can't be reached: {err}; check the address") from err
        if not waiting:
            log.info("waiting up to %g s for a server at %s", wait_s, address)
            waiting = True
        if _spoke(stop, RETRY_S):
            return None


def there(address: Address) -> socket.socket | None:
    """Reach a server of a unix socket that is up; None if there is none (TCP may let us wait)."""
    if not address.path:
        return None
    try:
        return _open(address)
    except OSError:
        return None


def _open(address: Address) -> socket.socket:
    if address.path:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.settimeout(CONNECT_S)  # a stopped server with a full queue would let us wait
        try:
            sock.connect(address.path)
        except OSError:
            sock.close()
            raise
        return sock
    sock = socket.create_connection((address.host, address.port), timeout=CONNECT_S)
    lively(sock)
    return sock


def lively(sock: socket.socket) -> None:
    """Let a TCP connection send at once, and notice when the other host is gone."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # answers are small
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in KEEPALIVE.items():
        if hasattr(socket, name):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def is_loopback(host: str) -> bool:
    """Whether only programs of this machine reach what listens there."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _spoke(stop: socket.socket | None, seconds: float) -> bool:
    """Sleep, but wake up early when ``stop`` becomes readable."""
    readable, _, _ = select.select([stop] if stop else [], [], [], seconds)
    return bool(readable)


def hang_up(socks: Sequence[socket.socket]) -> None:
    """Close our half of each, then read until the server has closed its own, for a bounded time.

    Closing at once would reset a connection with bytes unread, and that kills i-PI's polling
    thread; an end of file doesn't.
    """
    for sock in socks:
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_WR)
    deadline = time.monotonic() + HANG_UP_S
    for sock in socks:
        with contextlib.suppress(OSError), sock:
            while (left := deadline - time.monotonic()) > 0:
                sock.settimeout(left)
                if not sock.recv(1 << 16):
                    break
