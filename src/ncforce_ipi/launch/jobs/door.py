"""The way into a run for drivers of other machines: its port, its secret, what to type there."""

from __future__ import annotations

import logging
import platform
import re
import shlex
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ncforce_ipi.errors import InputError
from ncforce_ipi.inputs.commands import Transport, by_hand
from ncforce_ipi.inputs.recipe import Recipe
from ncforce_ipi.launch.processes.interpreter import python_module
from ncforce_ipi.rundir import STRUCTURE_FILE, TOKEN_FILE
from ncforce_ipi.serve import encryption, gate, secret
from ncforce_ipi.serve.secret import Secret
from ncforce_ipi.serve.sockets import is_loopback

log = logging.getLogger(__name__)

GATE = python_module("ncforce_ipi.serve.gate")
NAME = "gate"
EVERYWHERE = ("", "0.0.0.0")


@dataclass(frozen=True)
class Remote:
    """Where drivers of other machines are to come.

    Attributes
    ----------
    host : name or address of this machine on their network; empty: any that it has
    port : 0 for one that is free
    clear : without encryption
    """

    host: str = ""
    port: int = 0
    clear: bool = False

    @classmethod
    def parse(cls, text: str, clear: bool = False) -> Remote:
        """``[HOST:]PORT``.

        Raises
        ------
        InputError
            It is something else.
        """
        match = re.fullmatch(r"(?:(?P<host>[^\s:]+):)?(?P<port>\d{1,5})", text)
        if not match or int(match["port"]) > 65535:
            raise InputError(f"--remote: expected [HOST:]PORT, got {text!r}; port 0 is a free one")
        return cls(match["host"] or "", int(match["port"]), clear)


@dataclass(frozen=True)
class Door:
    """Of a run that goes on: its secret, and a private directory with key and certificate."""

    remote: Remote
    secret: Secret
    token_file: Path
    keys: Path

    def command(self, sockets: Path, stall_s: float) -> list[str]:
        """The gate to i-PI's sockets in a directory.

        Parameters
        ----------
        stall_s : after which the run is given up, seconds
        """
        paths = map(str, (sockets, self.keys))
        return [*GATE, self.remote.host, str(self.token_file), f"{stall_s:g}", *paths]


@contextmanager
def opened(remote: Remote | None, directory: Path) -> Iterator[Door | None]:
    """A secret for the run in a directory, which is worth nothing afterwards; None for no remote.

    Raises
    ------
    InputError
        The port can't be had, or there is no openssl.
    """
    if remote is None:
        yield None
        return
    path = directory.absolute() / TOKEN_FILE
    with tempfile.TemporaryDirectory(prefix="ncf-") as keys:  # 0700
        certificate = "" if remote.clear else encryption.make_certificate(Path(keys))
        with gate.listen(remote.host, remote.port) as probe:
            port = probe.getsockname()[1]
        host = remote.host if remote.host not in EVERYWHERE else platform.node() or "localhost"
        found = Secret.new(host, port, certificate)
        secret.write(path, found)
        try:
            yield Door(remote, found, path, Path(keys))
        finally:
            path.unlink(missing_ok=True)


def say(door: Door, recipe: Recipe, directory: Path) -> None:
    """What to type on the other machine, and what a stranger could do."""
    transport = Transport(token_file=str(door.token_file))
    structure = str(directory.absolute() / STRUCTURE_FILE)
    commands = by_hand(recipe.service, recipe.plan, recipe.ensemble, transport)
    log.info(
        "drivers come to %s:%d; on the other machine (which sees these files, or has copies of "
        "them, %s with mode 600):", door.secret.host, door.secret.port, TOKEN_FILE,
    )  # fmt: skip
    for words in commands:
        typed = [structure if word == STRUCTURE_FILE else word for word in words]
        log.info("    %s", shlex.join(typed))
    if door.remote.clear and not is_loopback(door.remote.host or "0.0.0.0"):
        log.warning(
            "--clear: who can read the network between here and the drivers reads positions and "
            "forces, and who can change it changes them; the secret alone stays safe"
        )
