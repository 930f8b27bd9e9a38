"""Who may connect: a secret that both ends of a connection know, and neither sends.

i-PI's protocol asks nobody who he is.  So a driver that reaches a run over TCP first shows that it
knows the secret of the run, and the run shows the same to the driver: each answers a random number
of the other with HMAC-SHA256 of both.  Role and certificate go into it, so that nobody in between
can turn slow into fast, or show another certificate than the one of the secret's file.

Each message has a fixed length::

    driver -> gate   b"NCFORCE1", role[8], number[32]
    gate -> driver   number[32]
    driver -> gate   hmac(secret, "driver" role number number certificate)[32]
    gate -> driver   hmac(secret, "gate" role number number certificate)[32]

After that the connection carries i-PI's protocol.
"""

from __future__ import annotations

import hmac
import json
import os
import re
import secrets
import socket
import stat
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from ncforce_ipi import durable
from ncforce_ipi.backend import ROLES, Role
from ncforce_ipi.errors import InputError, RunError

GREETING = b"NCFORCE1"
ROLE_BYTES = 8
NUMBER_BYTES = 32
HANDSHAKE_S = 10.0  # for the whole of it
MAX_FILE_BYTES = 4096
HOST = re.compile(r"[\w.:%-]{1,255}")
WHERE = "the file that the run with --remote writes"


class RefusedError(RunError):
    """The other end doesn't know the secret, or isn't one of ours."""


@dataclass(frozen=True)
class Secret:
    """What stands in the file of a secret.

    Attributes
    ----------
    key : hexadecimal, 32 bytes
    host, port : where the run can be reached
    certificate_sha256 : of the run's certificate, hexadecimal; empty for a connection in clear
    """

    key: str
    host: str
    port: int
    certificate_sha256: str = ""

    @classmethod
    def new(cls, host: str, port: int, certificate_sha256: str = "") -> Secret:
        """With a new key."""
        return cls(secrets.token_hex(32), host, port, certificate_sha256)

    def __repr__(self) -> str:
        """Without the key, which belongs into no log."""
        return f"Secret({self.host}:{self.port})"

    def answer(self, who: bytes, role: str, theirs: bytes, ours: bytes) -> bytes:
        """What shows that somebody knows it.

        Parameters
        ----------
        who : that answers, ``b"driver"`` or ``b"gate"``
        theirs, ours : the random numbers of driver and gate
        """
        words = (who.ljust(ROLE_BYTES), _padded(role), theirs, ours)
        message = b"".join(words) + bytes.fromhex(self.certificate_sha256)
        return hmac.digest(bytes.fromhex(self.key), message, "sha256")


def write(path: Path, secret: Secret) -> None:
    """Write the file, which nobody but its owner can ever read."""
    partial = path.with_name(f"{path.name}{durable.SUFFIX}")
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(json.dumps(asdict(secret)) + "\n")
    partial.replace(path)


def read(path: Path) -> Secret:
    """The secret in a file.

    Raises
    ------
    InputError
        There is none, others can read it, or it is something else.
    """
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as err:
        raise InputError(f"{path} can't be read: {err.strerror}; expected {WHERE}") from err
    if stat.S_IMODE(mode) & 0o077:
        raise InputError(
            f"{path} can be read by others (mode {stat.S_IMODE(mode):04o}), so that it is no "
            f"secret; type chmod 600 {path}, and start the run again if others were here"
        )
    try:
        found = Secret(**json.loads(data))
        lengths = len(bytes.fromhex(found.key)), len(bytes.fromhex(found.certificate_sha256))
        port = found.port if type(found.port) is int else 0
        if not (lengths[0] == 32 and lengths[1] in (0, 32) and 0 < port < 65536):
            raise ValueError("a value is out of its range")
        if not HOST.fullmatch(found.host):
            raise ValueError("no name or address of a machine")
    except (ValueError, TypeError, RecursionError) as err:
        raise InputError(f"{path} is no file of a secret; expected {WHERE}") from err
    return found


def show(sock: socket.socket, secret: Secret, role: Role, address: str) -> None:
    """The driver's part.

    Raises
    ------
    RefusedError
        The other end doesn't know the secret, says something else, or nothing.
    """
    ours, end_s = secrets.token_bytes(NUMBER_BYTES), time.monotonic() + HANDSHAKE_S
    try:
        sock.settimeout(HANDSHAKE_S)
        sock.sendall(GREETING + _padded(role) + ours)
        theirs = receive(sock, NUMBER_BYTES, end_s)
        sock.sendall(secret.answer(b"driver", role, ours, theirs))
        answer = receive(sock, NUMBER_BYTES, end_s)
    except OSError as err:
        raise RefusedError(
            f"{address} ended the handshake ({err}): it doesn't know the secret of the "
            "--token-file, or is no run with --remote; is the file that of this run?"
        ) from err
    if not hmac.compare_digest(answer, secret.answer(b"gate", role, ours, theirs)):
        raise RefusedError(
            f"{address} doesn't know the secret: it is not the run that wrote the --token-file"
        )


def check(sock: socket.socket, secret: Secret) -> Role:
    """The gate's part; the role of the driver.

    Raises
    ------
    RefusedError
        Something else than a driver that knows the secret, in one line.
    """
    end_s = time.monotonic() + HANDSHAKE_S
    try:
        hello = receive(sock, len(GREETING) + ROLE_BYTES + NUMBER_BYTES, end_s)
        role = next((r for r in ROLES if hello[len(GREETING) :][:ROLE_BYTES] == _padded(r)), None)
        if not hello.startswith(GREETING) or role is None:
            raise RefusedError("no driver with a secret")
        theirs, ours = hello[-NUMBER_BYTES:], secrets.token_bytes(NUMBER_BYTES)
        sock.sendall(ours)
        answer = receive(sock, NUMBER_BYTES, end_s)
        if not hmac.compare_digest(answer, secret.answer(b"driver", role, theirs, ours)):
            raise RefusedError("wrong secret")
        sock.sendall(secret.answer(b"gate", role, theirs, ours))
    except OSError as err:
        raise RefusedError(f"no whole handshake ({err})") from err
    return role


def receive(sock: socket.socket, n_bytes: int, end_s: float) -> bytes:
    """Exactly so many bytes, and none after them, before a time of ``time.monotonic``."""
    data = b""
    while len(data) < n_bytes:
        sock.settimeout(max(1e-3, end_s - time.monotonic()))
        piece = sock.recv(n_bytes - len(data))
        if not piece:
            raise ConnectionResetError("the connection was closed")
        data += piece
    return data


def _padded(role: str) -> bytes:
    return role.encode("ascii").ljust(ROLE_BYTES)
