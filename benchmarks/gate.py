"""What the gate of ``ncforce run --remote`` adds to a round trip between i-PI and a driver.

A message of the size of POSDATA goes to an echo and comes back: over a unix socket as without a
gate, over TCP alone, through the gate in clear, and through the gate with TLS.  Medians, so that a
busy machine changes little.

    python benchmarks/gate.py
"""

from __future__ import annotations

import argparse
import contextlib
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from ncforce_ipi.serve import encryption, gate, secret, sockets
from ncforce_ipi.serve.entrance import Entrance
from ncforce_ipi.serve.secret import Secret

SIZES = {"a header": 12, "192 atoms": 4784, "98304 atoms": 2359464}
WAIT_S = 30.0


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=2000, help="round trips of the smallest message")
    n = parser.parse_args().n
    print("| connection | " + " | ".join(f"{name}, us" for name in SIZES) + " |")
    print("|---" * (len(SIZES) + 1) + "|")
    for name, make in (("unix socket", unix), ("TCP", tcp), ("gate, in clear", through_the_gate),
                       ("gate, TLS", encrypted)):  # fmt: skip
        with make() as (ours, theirs):
            numbers = [1e6 * round_trip_s(ours, theirs, size, n) for size in SIZES.values()]
        print(f"| {name} | " + " | ".join(f"{number:.0f}" for number in numbers) + " |")


def round_trip_s(ours: socket.socket, theirs: socket.socket, size: int, n: int) -> float:
    """Median of round trips of a message, seconds."""
    times = max(20, min(n, n * 5000 // size))
    thread = threading.Thread(target=echo, args=(theirs, size, times))
    thread.start()
    message, seconds = bytes(size), []
    for _ in range(times):
        start = time.perf_counter()
        ours.sendall(message)
        take(ours, size)
        seconds.append(time.perf_counter() - start)
    thread.join()
    return median(seconds)


def echo(sock: socket.socket, size: int, times: int) -> None:
    """Send back what comes."""
    message = bytes(size)
    for _ in range(times):
        take(sock, size)
        sock.sendall(message)


def take(sock: socket.socket, size: int) -> None:
    """Exactly so many bytes."""
    while size:
        size -= len(sock.recv(min(size, 1 << 20)))


@contextlib.contextmanager
def unix() -> Iterator[tuple[socket.socket, socket.socket]]:
    """As between i-PI and a driver of the same machine."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


@contextlib.contextmanager
def tcp() -> Iterator[tuple[socket.socket, socket.socket]]:
    """As with ``--port``."""
    with gate.listen("127.0.0.1", 0) as listener:
        ours = socket.create_connection(listener.getsockname())
        theirs, _ = listener.accept()
        sockets.lively(ours)
        sockets.lively(theirs)
        with ours, theirs:
            yield ours, theirs


@contextlib.contextmanager
def through_the_gate(certificate: bool = False) -> Iterator[tuple[socket.socket, socket.socket]]:
    """As with ``--remote --clear``; the gate is a process of its own, as in a run."""
    import subprocess
    import sys

    with tempfile.TemporaryDirectory() as name, socket.socket(socket.AF_UNIX) as server:
        folder = Path(name)
        digest = encryption.make_certificate(folder) if certificate else ""
        with gate.listen("127.0.0.1", 0) as probe:
            port = probe.getsockname()[1]
        secret.write(folder / "token", Secret.new("127.0.0.1", port, digest))
        server.bind(str(folder / "slow"))
        server.listen()
        words = [sys.executable, "-m", "ncforce_ipi.serve.gate", "127.0.0.1", f"{folder}/token"]
        process = subprocess.Popen([*words, name, name], stderr=subprocess.DEVNULL)
        try:
            ours = Entrance(folder / "token").enter("slow", WAIT_S)
            theirs, _ = server.accept()
            if ours is not None:
                with ours, theirs:
                    ours.settimeout(None)
                    yield ours, theirs
        finally:
            process.kill()
            process.wait()


def encrypted() -> contextlib.AbstractContextManager[tuple[socket.socket, socket.socket]]:
    """As with ``--remote``."""
    return through_the_gate(certificate=True)


if __name__ == "__main__":
    main()
