"""What the driver adds to a model: milliseconds for each request, besides the model's own.

A model that answers at once is served over a unix or TCP socket to a server that does what i-PI
does (POSDATA and GETFORCE in one message, then STATUS).  Run it on an idle machine::

    OMP_NUM_THREADS=1 python benchmarks/driver_overhead.py
"""

import socket
import statistics
import struct
import threading
import time

import numpy as np

from ncforce_ipi import client, sockets
from ncforce_ipi.backend import Evaluation, Structure, Wanted
from ncforce_ipi.evaluator import Evaluator

N_ATOMS = (3, 192, 1536, 12288)
REQUESTS = 300


class Instant:
    """A model that answers at once."""

    kinds = frozenset(["conservative", "direct"])
    species = None
    description = "instant"

    def evaluate(self, structure: Structure, wanted: Wanted) -> dict[str, Evaluation]:
        nothing = Evaluation(0.0, np.zeros_like(structure.positions), np.zeros((3, 3)))
        return dict.fromkeys(wanted.kinds, nothing)


def read(sock: socket.socket, n_bytes: int) -> None:
    while n_bytes:
        n_bytes -= len(sock.recv(n_bytes))


def ask(sock: socket.socket, request: bytes, n_atoms: int) -> float:
    """Seconds from the request to the last byte of the answer, and of STATUS after it."""
    start = time.perf_counter()
    sock.sendall(request)
    read(sock, 12 + 8 + 4 + 24 * n_atoms + 72 + 4)
    sock.sendall(b"STATUS      ")
    read(sock, 12)
    return time.perf_counter() - start


def pair(transport: str) -> tuple[socket.socket, socket.socket]:
    if transport == "unix":
        return socket.socketpair()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = sockets.Address(host="127.0.0.1", port=listener.getsockname()[1])
        ours = sockets.connect(address, wait_s=1.0)
        theirs = listener.accept()[0]
        theirs.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        assert ours is not None
        return ours, theirs


def measure(transport: str, n_atoms: int) -> tuple[float, float]:
    """Median round trip and mean of the driver's own ``wire_s``, milliseconds for a request."""
    ours, theirs = pair(transport)
    connection = client.Connection("fast", ours)
    thread = threading.Thread(
        target=client.serve,
        args=([connection], np.ones(n_atoms, np.int32), Evaluator(Instant(), {"fast": "direct"})),
        kwargs={"idle_s": 60.0},
    )
    thread.start()
    positions = np.random.default_rng(0).normal(size=(n_atoms, 3))
    body = np.eye(3).tobytes() * 2 + struct.pack("<i", n_atoms) + positions.tobytes()
    request = b"POSDATA     " + body + b"GETFORCE    "
    seconds = [ask(theirs, request, n_atoms) for _ in range(REQUESTS)]
    theirs.sendall(b"EXIT        ")
    thread.join()
    ours.close()
    theirs.close()
    return statistics.median(seconds) * 1e3, connection.tally.wire_s / REQUESTS * 1e3


if __name__ == "__main__":
    print("transport  n_atoms  round_trip_ms  driver_wire_ms")
    for transport in ("unix", "inet"):
        for n_atoms in N_ATOMS:
            trip, wire = measure(transport, n_atoms)
            print(f"{transport:9}  {n_atoms:7}  {trip:13.3f}  {wire:14.3f}")
