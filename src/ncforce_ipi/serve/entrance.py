"""The way of a driver into a run that asks for a secret: its file, the connection, the handshake.

The file may come later than the driver, and the run may be away for a while (a gate that was
killed, an i-PI that is started again): all that is waited for, within a bound.
"""

from __future__ import annotations

import logging
import select
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ncforce_ipi.backend import Role
from ncforce_ipi.errors import InputError
from ncforce_ipi.serve import secret, sockets
from ncforce_ipi.serve.secret import RefusedError, Secret
from ncforce_ipi.serve.sockets import Address, UnreachedError
from ncforce_ipi.serve.stream import CutError

log = logging.getLogger(__name__)

AGAIN_S = 0.3
TRIES = 4  # with a run that refuses us
LEFT = "end of file"  # a run that ends says EXIT


@dataclass(frozen=True)
class Entrance:
    """Of one run.

    Attributes
    ----------
    token_file : of the secret
    host, port : instead of those that stand there (a tunnel); empty and 0 for none
    """

    token_file: Path
    host: str = ""
    port: int = 0

    def address(self, found: Secret) -> Address:
        """Where the run is reached."""
        return Address(host=self.host or found.host, port=self.port or found.port)

    def enter(
        self, role: Role, wait_s: float, stop: socket.socket | None = None
    ) -> socket.socket | None:
        """A connection to i-PI for a role; None when ``stop`` spoke first.

        Raises
        ------
        RunError
            The run isn't there within ``wait_s`` seconds, or it isn't the one of the secret.
        InputError
            The file is no secret.
        """
        end_s, refused = time.monotonic() + wait_s, 0
        while True:
            if not self.token_file.exists() and time.monotonic() < end_s:
                if _spoke(stop, AGAIN_S):
                    return None
                continue
            found = secret.read(self.token_file)
            address = self.address(found)
            sock = sockets.connect(address, max(0.0, end_s - time.monotonic()), stop)
            if sock is None:
                return None
            try:
                return _greeted(sock, found, role, str(address))
            except RefusedError:  # a gate that was just killed, a file that is just replaced?
                refused += 1
                if refused == TRIES or _spoke(stop, AGAIN_S):
                    raise


def _greeted(sock: socket.socket, found: Secret, role: Role, address: str) -> socket.socket:
    try:
        if found.certificate_sha256:
            from ncforce_ipi.serve import encryption  # only where it is needed

            sock = encryption.as_client(sock, found.certificate_sha256, address)
        secret.show(sock, found, role, address)
    except BaseException:
        sock.close()
        raise
    return sock


def _spoke(stop: socket.socket | None, seconds: float) -> bool:
    return bool(select.select([stop] if stop else [], [], [], seconds)[0])


def reach(
    address: Address, role: Role, wait_s: float, stop: socket.socket | None = None
) -> socket.socket | None:
    """A server, through its gate if it has one; None when ``stop`` spoke first."""
    if address.token_file:
        way = Entrance(Path(address.token_file), address.host, address.port)
        return way.enter(role, wait_s, stop)
    return sockets.connect(address, wait_s, stop)


def until_the_end(serve: Callable[[], str]) -> str:
    """Serve in as many connections as it takes until the run ends; why it did.

    Parameters
    ----------
    serve : connects and serves; why it ended

    Raises
    ------
    RunError
        The run was never reached.
    """
    begun = False
    while True:
        try:
            end = serve()
        except CutError as err:
            end = f"{LEFT}, {err}"
        except (UnreachedError, RefusedError, InputError) as err:
            if begun:
                return f"the run is gone: {err}"
            raise
        if LEFT not in end:
            return end
        begun = True
        log.info("the connection is lost (%s): connecting again", end)
