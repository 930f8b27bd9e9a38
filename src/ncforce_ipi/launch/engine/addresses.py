"""Where i-PI listens: a private directory for unix sockets, or a free TCP port."""

from __future__ import annotations

import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ncforce_ipi.errors import InputError
from ncforce_ipi.inputs.commands import Transport
from ncforce_ipi.serve.sockets import Address

PREFIX = "ncf-"
RANDOM_CHARACTERS = 8  # that mkdtemp appends


@contextmanager
def private_directory(names: tuple[str, ...]) -> Iterator[Path]:
    """A new directory of mode 0700 for sockets of these names; gone when the block is left."""
    directory = Path(tempfile.mkdtemp(prefix=PREFIX))  # mkdtemp: 0700
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def check_length(directory: Path, names: tuple[str, ...]) -> None:
    """Refuse a directory in which the path of a socket would be too long for the kernel."""
    longest = max((directory / name for name in names), key=lambda path: len(bytes(path)))
    Address(path=str(longest)).check("set TMPDIR to a shorter directory such as /tmp")


def check_addresses(transport: Transport, names: tuple[str, ...]) -> None:
    """Refuse, before anything is made, addresses on which i-PI couldn't listen."""
    if transport.port is None:
        check_length(Path(tempfile.gettempdir()) / f"{PREFIX}{'x' * RANDOM_CHARACTERS}", names)
        return
    for name in names:
        port = transport.port_of(name)
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((transport.host, port))
            except OSError as err:
                raise InputError(
                    f"port {port} of {transport.host} for the {name} forces can't be had "
                    f"({err.strerror}); choose another --port or leave it out for unix sockets"
                ) from err
