"""``python -m ncforce_ipi.serve.gate BIND TOKEN_FILE STALL_S SOCKETS KEYS``: the door of a run.

i-PI listens on unix sockets in a private directory.  The gate listens on a TCP port, lets in who
knows the secret of the run, and then carries bytes to and fro.  i-PI never sees anybody else.  A
driver of another machine that hangs is nobody else's to find: the gate leaves it.
"""

from __future__ import annotations

import logging
import math
import signal
import socket
import ssl
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from ncforce_ipi.backend import ROLES
from ncforce_ipi.errors import NcforceError, RunError
from ncforce_ipi.serve import encryption, secret, sockets
from ncforce_ipi.serve.patience import Longest, Wait
from ncforce_ipi.serve.relay import relay
from ncforce_ipi.serve.secret import RefusedError, Secret

log = logging.getLogger("ncforce_ipi.gate")

MAX_CONNECTIONS = 1024  # drivers, each with one for every role
MAX_STRANGERS = 64  # that haven't shown the secret yet
SERVER_S = 60.0  # for i-PI's socket to be there
MAX_LINES = 100  # about strangers: nobody fills a disk with them
BACKLOG = 128
LOOK_S = 0.5  # whether i-PI is still there


@dataclass
class Gate:
    """Lets drivers in.

    Parameters
    ----------
    secret : of the run
    directory : of i-PI's sockets, ``slow`` and ``fast``
    context : for TLS; None for connections in clear
    stall_s : after which the run is given up; a driver that hangs is left before
    """

    secret: Secret
    directory: Path
    context: ssl.SSLContext | None = None
    stall_s: float = math.inf
    longest: Longest = field(default_factory=Longest)
    strangers: set[int] = field(default_factory=set)
    drivers: set[int] = field(default_factory=set)
    n_lines: int = 0

    def serve(self, listener: socket.socket) -> None:
        """Take connections until i-PI's sockets, which were there, are gone."""
        listener.settimeout(LOOK_S)
        seen = False
        while True:
            there = any((self.directory / role).exists() for role in ROLES)
            if seen and not there and not self.drivers:
                return
            seen = seen or there
            try:
                sock, peer = listener.accept()
            except TimeoutError:
                continue
            except OSError as err:  # no more descriptors, or gone before it was taken
                log.warning("a connection was lost: %s", err)
                time.sleep(0.1)
                continue
            if len(self.strangers) >= MAX_STRANGERS or len(self.drivers) >= MAX_CONNECTIONS:
                self.say("%s was sent away: too many connections", peer[0])
                sock.close()
                continue
            self.strangers.add(id(sock))
            threading.Thread(target=self.lead, args=(sock, peer[0], id(sock)), daemon=True).start()

    def lead(self, sock: socket.socket, peer: str, number: int) -> None:
        """One connection, from its first byte to its end."""
        try:
            role, driver = self.let_in(sock)
            self.drivers.add(number)
            self.strangers.discard(number)
            log.info("a driver of %s is in: %s", peer, role)
            server = sockets.connect(sockets.Address(path=str(self.directory / role)), SERVER_S)
            if server is not None:
                with driver, server:
                    wait = Wait(self.longest, self.stall_s)
                    log.info("%s: %s: %s", peer, role, relay(driver, server, wait))
        except (NcforceError, OSError) as err:
            self.say("%s was sent away: %s", peer, err)
            sock.close()
        finally:
            self.strangers.discard(number)
            self.drivers.discard(number)

    def let_in(self, sock: socket.socket) -> tuple[str, socket.socket]:
        """Role and connection of a driver that knows the secret; RefusedError of all others."""
        sockets.lively(sock)
        sock.settimeout(secret.HANDSHAKE_S)
        if self.context is None:
            return secret.check(sock, self.secret), sock
        try:
            wrapped = self.context.wrap_socket(sock, server_side=True)
        except OSError as err:
            raise RefusedError(f"no TLS ({getattr(err, 'reason', None) or err})") from err
        try:
            return secret.check(wrapped, self.secret), wrapped
        except BaseException:
            wrapped.close()
            raise

    def say(self, text: str, *words: object) -> None:
        """A line about a stranger, as long as there aren't many."""
        self.n_lines += 1
        if self.n_lines <= MAX_LINES:
            log.warning(text, *words)
        if self.n_lines == MAX_LINES:
            log.warning("no more of this is said")


def listen(host: str, port: int) -> socket.socket:
    """A socket that takes connections; the caller closes it.

    Raises
    ------
    RunError
        The address can't be had.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError as err:
        listener.close()
        raise RunError(
            f"port {port} of {host or 'this machine'} can't be had ({err.strerror or err}); "
            "choose another one for --remote"
        ) from err
    return listener


def main(bind: str, token_file: str, stall_s: str, directory: str, keys: str) -> int:
    """Serve until a signal comes.

    Parameters
    ----------
    bind : address of this machine; empty for all that it has
    token_file : of the secret
    stall_s : after which the run is given up, seconds
    directory : of i-PI's sockets
    keys : directory of the certificate
    """
    logging.basicConfig(level=logging.INFO, format="gate: %(message)s")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        found = secret.read(Path(token_file))
        context = encryption.server_context(Path(keys)) if found.certificate_sha256 else None
        with listen(bind, found.port) as listener:
            Gate(found, Path(directory), context, float(stall_s)).serve(listener)
    except NcforceError as err:
        sys.stderr.write(f"gate: {err}\n")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
