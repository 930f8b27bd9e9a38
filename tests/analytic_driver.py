"""``ncforce driver analytic``: our driver with a model that needs no library, and faults on order.

Molecules of harmonic bonds O-H, O-H and H-H.  The direct forces add a twist around z to each
molecule, which does work on a closed loop.  Environment:

NCFORCE_TEST_FAULT
    File with ``what n``; at the n-th evaluation the file is removed and ``what`` happens: ``die``,
    ``kill`` (by SIGKILL), ``half`` (by SIGKILL, with a part of the answer sent), ``hang``,
    ``deaf`` (die with a request unread), ``nan``, ``shape`` (a force for one atom more), ``raise``
    (a fault of its code).  With ``hold n`` it makes FILE.held and waits until FILE is gone.
NCFORCE_TEST_TWIST
    Strength of the twist, eV/A^2 (0.01 if not given).
NCFORCE_TEST_SLEEP_S
    Seconds before each evaluation.
NCFORCE_TEST_AFTER
    Log of another driver, which must have connected before this one does.
"""

import os
import signal
import sys
import time
from pathlib import Path
from types import ModuleType

import numpy as np

from ncforce_ipi import cli
from ncforce_ipi.backend import Backend, Evaluation
from ncforce_ipi.serve import protocol, stream

BONDS = ((0, 1, 25.0, 0.96), (0, 2, 25.0, 0.96), (1, 2, 6.0, 1.51))  # eV/A^2, A


class Analytic(Backend):
    """See the module."""

    kinds = stress = frozenset({"conservative", "direct"})
    direct_energy = True
    species = frozenset({1, 8})
    description = "analytic"

    def __init__(self):
        self.n = 0
        self.bad = None  # positions without finite forces: there again when they are tried again
        self.twist = float(os.environ.get("NCFORCE_TEST_TWIST", "0.01"))
        self.sleep_s = float(os.environ.get("NCFORCE_TEST_SLEEP_S", "0"))

    def evaluate(self, structure, wanted):
        """Fulfil ``Backend``."""
        self.n += 1
        hold(self.n)
        time.sleep(self.sleep_s)
        if fault("nan", self.n):
            self.bad = structure.positions.copy()
        scale = np.nan if np.array_equal(self.bad, structure.positions) else 1.0
        if fault("die", self.n):
            os._exit(3)
        if fault("hang", self.n):
            time.sleep(3600)
        if fault("kill", self.n):
            os.kill(os.getpid(), signal.SIGKILL)
        if fault("raise", self.n):
            raise KeyError("forces")
        one_more = fault("shape", self.n)
        energy, forces = harmonic(structure.positions)
        result = {
            kind: Evaluation(energy, scale * forces, np.zeros((3, 3))) for kind in wanted.kinds
        }
        if "direct" in result:
            molecules = structure.positions.reshape(-1, 3, 3)
            arms = molecules - molecules.mean(axis=1, keepdims=True)
            turned = np.stack([-arms[..., 1], arms[..., 0], 0 * arms[..., 2]], axis=-1)
            direct = scale * (forces + self.twist * turned.reshape(-1, 3))
            direct = np.append(direct, direct[:1], axis=0) if one_more else direct
            result["direct"] = Evaluation(energy, direct, np.zeros((3, 3)))
        return result


def harmonic(positions):
    """Energy, eV, and forces ``(n_atoms, 3)``, eV/A, of molecules that aren't wrapped."""
    atoms = positions.reshape(-1, 3, 3)
    forces, energy = np.zeros_like(atoms), 0.0
    for a, b, k, r0 in BONDS:
        bond = atoms[:, b] - atoms[:, a]
        r = np.linalg.norm(bond, axis=1)
        energy += 0.5 * k * float(np.sum((r - r0) ** 2))
        pull = (k * (r - r0) / r)[:, None] * bond
        forces[:, a] += pull
        forces[:, b] -= pull
    return energy, forces.reshape(-1, 3)


def fault(what, n):
    """Whether ``what`` is due at the n-th evaluation, or was before; it happens once."""
    path = file_of_faults()
    if not is_due(path, what, n):
        return False
    path.unlink(missing_ok=True)  # another driver may have been first
    return True


def hold(n):
    """Wait as long as ``hold`` is due, so that a test can do something meanwhile."""
    path = file_of_faults()
    while is_due(path, "hold", n):
        path.with_name(f"{path.name}.held").touch()
        time.sleep(0.01)


def file_of_faults():
    """It need not be there."""
    return Path(os.environ.get("NCFORCE_TEST_FAULT", "/nonexistent"))


def is_due(path, what, n):
    """Whether the file says so."""
    try:
        planned, _, at = path.read_text().partition(" ")
    except OSError:  # none, or another driver was first
        return False
    return planned == what and n >= int(at)


def main():
    """The program ``ncforce`` with this one family of models."""
    backend = Analytic()
    receive_posdata = protocol.receive_posdata
    path = file_of_faults()
    if path.is_file() and "deaf" in path.read_text():
        stream.READ_AHEAD_BYTES = 0  # else GETFORCE would be read with the positions

    def receive(*arguments):
        structure = receive_posdata(*arguments)
        if fault("deaf", backend.n):
            time.sleep(0.1)  # GETFORCE is in the socket by now
            os._exit(3)
        return structure

    protocol.receive_posdata = receive
    send_all = stream.Stream.send

    def send(self, data):
        if data.startswith(b"FORCEREADY") and fault("half", backend.n):
            self.sock.sendall(data[: 1 + 37 * backend.n % (len(data) - 1)])
            os.kill(os.getpid(), signal.SIGKILL)
        send_all(self, data)

    stream.Stream.send = send
    family = ModuleType("ncforce_ipi.drivers.analytic")

    def load(model, *, device=None, dtype=None, threads=1, trust=False):
        log = Path(os.environ.get("NCFORCE_TEST_AFTER", os.devnull))
        while log.is_file() and "ncforce: connected" not in log.read_text():
            time.sleep(0.05)
        return backend

    family.load = load
    sys.modules[family.__name__] = family
    return cli.main()


if __name__ == "__main__":
    raise SystemExit(main())
