"""Real i-PI runs that stand ready side by side, so that their steps can be timed in turns.

Each `Rig` is one i-PI in its own process, with its drivers.  i-PI takes some steps when it is told
to and is stopped (SIGSTOP) in between, for its polling threads don't rest: what is timed has the
machine to itself.  Run as a program, this file is that i-PI.
"""

import argparse
import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
from ase import Atoms

from ncforce_ipi.inputs.structure import read_structure
from ncforce_ipi.units import ATOMIC_TIME_FS

ANSWER_S = 300.0  # for a block of steps, and for programs to start
INNER_STEP_FS = 0.5
INPUT = """
<simulation verbosity='low' floatformat='%.17e' threading='False'>
  <output prefix='out'>
    <properties stride='1' filename='csv'>[step, conserved{{electronvolt}}]</properties>
  </output>
  <total_steps>1</total_steps>
  <prng><seed>5</seed></prng>
  {forcefields}
  <system>
    <initialize nbeads='{n_beads}'>
      <file mode='ase'>init.xyz</file>
      <velocities mode='thermal' units='kelvin'>300</velocities>
    </initialize>
    <forces> {forces} </forces>
    <ensemble><temperature units='kelvin'>300</temperature></ensemble>
    <motion mode='dynamics'>
      <dynamics mode='nve'>
        <timestep units='femtosecond'>0.5</timestep><nmts> {nmts} </nmts>
      </dynamics>
    </motion>
  </system>
</simulation>
"""
WEIGHTS = {"slow": "[1, 0]", "fast": "[-1, 1]"}


@dataclass(frozen=True)
class Layout:
    """i-PI's force fields ``{role: xml}`` and the command lines of the drivers."""

    forcefields: dict[str, str]
    drivers: Sequence[Sequence[str]] = ()
    n_beads: int = 1


def socket_xml(
    role: str,
    *,
    latency_s: float = 1e-4,
    mode: str = "unix",
    port: int = 0,
    more: str = "",
    matching: str = "auto",
) -> str:
    """``<ffsocket>`` of a role, with ``more`` elements."""
    where = f"<address>{role}</address>"
    if mode == "inet":
        where = f"<address>127.0.0.1</address> <port>{port}</port>"
    return (
        f"<ffsocket name='{role}' mode='{mode}' matching='{matching}' pbc='False'> {where}"
        f" <latency>{latency_s}</latency> {more} </ffsocket>"
    )


def direct_xml(role: str, parameters: str, pes: str = "custom", path: str = "") -> str:
    """``<ffdirect>`` of a role."""
    return (
        f"<ffdirect name='{role}' pbc='False'> <pes>{pes}</pes> <pes_path>{path}</pes_path>"
        f" <parameters>{{{parameters}}}</parameters> </ffdirect>"
    )


class Rig:
    """One i-PI and its drivers; a context that ends all of them."""

    def __init__(self, directory: Path, layout: Layout, atoms: Atoms) -> None:
        directory.mkdir(parents=True)
        (directory / "sleep_ms").write_text("0")  # for models that sleep
        ase.io.write(directory / "init.xyz", atoms, format="extxyz")
        (directory / "input.xml").write_text(_input(layout))
        self.directory = directory
        self._processes: list[subprocess.Popen[bytes]] = []
        self._ipi = self._start([sys.executable, __file__], "ipi")
        sockets = [role for role, xml in layout.forcefields.items() if "ffsocket" in xml]
        deadline = time.monotonic() + ANSWER_S
        while not all(self._listens(role, xml) for role, xml in layout.forcefields.items()):
            if self._ipi.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"i-PI did not start: {directory / 'ipi.log'}")
            time.sleep(0.05)
        if not sockets:
            self._answer()
        for k, command in enumerate(layout.drivers):
            self._start(command, f"driver{k}")
        if sockets:
            self._answer()
        self.pause()

    def _listens(self, role: str, xml: str) -> bool:
        return "ffsocket" not in xml or "inet" in xml or (self.directory / role).exists()

    def _start(self, command: Sequence[str], name: str) -> subprocess.Popen[bytes]:
        with (self.directory / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                command,
                cwd=self.directory,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE if name == "ipi" else log,
                stderr=log,
                start_new_session=True,
            )
        self._processes.append(process)
        return process

    def steps(self, mts: int, n_warm: int, n_outer: int) -> float:
        """Milliseconds of one inner step, mean of ``n_outer`` outer ones after ``n_warm``.

        ``parts`` then has, of one request: ``queued``, from i-PI's integrator to the thread that
        sends it, and ``served``, from there to the answer that is read.
        """
        assert self._ipi.stdin is not None
        os.kill(self._ipi.pid, signal.SIGCONT)
        self._ipi.stdin.write(f"{mts} {n_warm} {n_outer}\n".encode())
        self._ipi.stdin.flush()
        self.parts = json.loads(self._answer())
        self.pause()
        return float(self.parts["step"])

    def pause(self) -> None:
        """Stop i-PI's polling threads."""
        os.kill(self._ipi.pid, signal.SIGSTOP)

    def _answer(self) -> str:
        assert self._ipi.stdout is not None
        deadline = time.monotonic() + ANSWER_S
        while not select.select([self._ipi.stdout], [], [], 1.0)[0]:
            ended = any(process.poll() for process in self._processes)
            if ended or time.monotonic() > deadline:
                raise RuntimeError(f"i-PI or a driver is dead or hangs: logs in {self.directory}")
        line = self._ipi.stdout.readline().decode()
        if not line:
            raise RuntimeError(f"i-PI ended: {self.directory}/ipi.log")
        return line

    def end(self) -> None:
        """Let i-PI say EXIT to the drivers, so that they write their reports."""
        with contextlib.suppress(OSError):
            os.kill(self._ipi.pid, signal.SIGCONT)
            assert self._ipi.stdin is not None
            self._ipi.stdin.close()
        deadline = time.monotonic() + 20.0
        for process in self._processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(deadline - time.monotonic(), 0.1))

    def __enter__(self) -> "Rig":
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.end()
        finally:
            for process in self._processes:
                process.kill()
                process.wait()

    def report(self) -> dict[str, object]:
        """What the driver wrote to ``report.json``; {} if it wrote none."""
        path = self.directory / "report.json"
        return dict(json.loads(path.read_text())) if path.exists() else {}


def _input(layout: Layout) -> str:
    roles = list(layout.forcefields)
    forces = [f"<force forcefield='{role}'/>" for role in roles]
    if len(roles) == 2:
        forces = [
            f"<force forcefield='{role}'><mts_weights>{WEIGHTS[role]}</mts_weights></force>"
            for role in roles
        ]
    return INPUT.format(
        forcefields="\n  ".join(layout.forcefields.values()),
        forces=" ".join(forces),
        nmts="[1, 1]" if len(roles) == 2 else "[1]",
        n_beads=layout.n_beads,
    )


def water(n_copies: int = 1) -> Atoms:
    """The shipped 64 H2O, repeated ``n_copies`` times along each axis."""
    return read_structure("water") * (n_copies, n_copies, n_copies)


def main() -> None:
    """i-PI that takes the steps that stdin asks for: ``mts n_warm n_outer`` a line."""
    argparse.ArgumentParser(description=main.__doc__).parse_args()
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    from ipi.engine.simulation import Simulation
    from ipi.utils.softexit import softexit

    with open("input.xml") as file:  # noqa: PTH123  i-PI wants a file
        simulation = Simulation.load_from_xml(file, sockets_prefix="./")
    print("ready", file=answers, flush=True)
    motion = simulation.syslist[0].motion
    requests = _watch(simulation)
    for line in sys.stdin:
        mts, n_warm, n_outer = map(int, line.split())
        if len(motion.nmts) == 2:
            motion.nmts[:] = [1, mts]
        motion.dt = mts * INNER_STEP_FS / ATOMIC_TIME_FS
        _advance(simulation, n_warm)
        requests.clear()
        seconds = _advance(simulation, n_outer)
        queued, served = np.array(requests).T
        parts = {"queued": 1e3 * queued.mean(), "served": 1e3 * served.mean()}
        parts["step"] = 1e3 * seconds / (n_outer * mts)
        print(json.dumps(parts), file=answers, flush=True)
    softexit.hard_exit = True
    softexit.trigger(status="success", message="all steps taken")


def _watch(simulation: Any) -> list[tuple[float, float]]:
    """A list that gets the two times of each request, in seconds, when i-PI lets go of it."""
    times: list[tuple[float, float]] = []
    for forcefield in simulation.fflist.values():

        def release(request, *arguments, inner=forcefield.release, **options):
            begin, sent, end = (request[f"t_{x}"] for x in ("queued", "dispatched", "finished"))
            times.append((sent - begin, end - sent))
            return inner(request, *arguments, **options)

        forcefield.release = release
    return times


def _advance(simulation: Any, n_outer: int) -> float:
    """Seconds for ``n_outer`` outer steps, with i-PI's outputs and safety copies."""
    first = getattr(simulation, "n_taken", 0)
    simulation.step, simulation.tsteps = first, first + n_outer
    start = time.perf_counter()
    simulation.run()
    simulation.n_taken = first + n_outer
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
