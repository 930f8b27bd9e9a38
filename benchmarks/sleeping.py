"""A model that only sleeps, for the benchmarks of what is around a model.

As a program a driver of ours, ``python sleeping.py ROLE... --structure FILE [--port N] [--shm]``;
as a file a potential for i-PI's Python interface.  The file ``sleep_ms`` of the working directory
says how long a call takes; it may change while it runs.
"""

import argparse
import os
import time
from pathlib import Path

import numpy as np

from ncforce_ipi.backend import Backend, Evaluation, Kind, Role, Structure, Wanted
from ncforce_ipi.drivers import loading
from ncforce_ipi.serve import client, sockets
from ncforce_ipi.serve.connection import Connection
from ncforce_ipi.serve.evaluator import Evaluator
from ncforce_ipi.serve.replicas import Replica
from ncforce_ipi.species import read_species

__DRIVER_NAME__ = "sleeping"
__DRIVER_CLASS__ = "SleepingPes"
SLEEP_FILE = "sleep_ms"
KINDS: dict[Role, Kind] = {"slow": "conservative", "fast": "direct"}


class Sleeper:
    """Sleeps; the file is read again when it has changed."""

    def __init__(self) -> None:
        self._changed = 0
        self._seconds = 0.0

    def sleep(self) -> None:
        changed = os.stat(SLEEP_FILE).st_mtime_ns  # noqa: PTH116  a microsecond, Path takes three
        if changed != self._changed:
            self._changed = changed
            self._seconds = 1e-3 * float(Path(SLEEP_FILE).read_text())
        if self._seconds:
            time.sleep(self._seconds)


class SleepingPes:
    """For i-PI."""

    def __init__(self, **_: object) -> None:
        self._sleeper = Sleeper()

    def __call__(self, cell, pos):
        if isinstance(cell, list):
            return [self(h, q) for h, q in zip(cell, pos, strict=True)]
        self._sleeper.sleep()
        return 0.0, np.zeros_like(pos), np.zeros((3, 3)), ""


class Sleeping(Backend):
    """For our driver."""

    kinds = stress = frozenset[Kind](["conservative", "direct"])
    direct_energy = True
    description = "sleeping"

    def __init__(self) -> None:
        self._sleeper = Sleeper()

    def evaluate(self, structure: Structure, wanted: Wanted) -> dict[Kind, Evaluation]:
        self._sleeper.sleep()
        nothing = Evaluation(0.0, np.zeros_like(structure.positions), np.zeros((3, 3)))
        return dict.fromkeys(wanted.kinds, nothing)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("roles", nargs="+", choices=("slow", "fast"))
    parser.add_argument("--structure", type=Path, required=True)
    parser.add_argument("--port", type=int)
    parser.add_argument("--shm", action="store_true")
    args = parser.parse_args()
    loading.prepare(threads=1)  # as every driver of ours does
    connections, numbers = [], read_species(args.structure)
    for role in args.roles:
        address = sockets.Address(path=f"./{role}")
        if args.port:
            address = sockets.Address(host="127.0.0.1", port=args.port)
        sock = sockets.connect(address, wait_s=60.0)
        assert sock is not None
        connections.append(Connection(role, sock, numbers, shm=args.shm))
    kinds = {role: KINDS[role] for role in args.roles}
    evaluator = Evaluator(Sleeping(), kinds)
    client.serve([Replica(connections, evaluator.trajectory())], evaluator, idle_s=600.0)
    sockets.hang_up([each.sock for each in connections if each.sock])


if __name__ == "__main__":
    main()
