"""i-PI: ``python -m ncforce_ipi.launch.engine.continuation PREFIX INPUT [watched [UPPER]]``.

Does what the program ``i-pi`` does, and three things more.  A second signal to stop doesn't end it
before RESTART is written (`stop_once`).  With ``watched`` it writes slow - fast of
every outer point, and keeps the structures where that is above UPPER, eV/A (`disagreement`).  And
it continues bitwise: whenever i-PI 3.3.1 starts, it removes the
momentum of the centre of mass, p - m v with v = sum(p) / sum(m).  After a restart that is once more
than in the uninterrupted run; rounding lets v be 1e-21 instead of 0, momenta change in their last
bits, and the two runs part.  So the momenta of the checkpoint are put back before the first step.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from ncforce_ipi.errors import RunError
from ncforce_ipi.launch.engine import disagreement

if TYPE_CHECKING:
    from ipi.engine.simulation import Simulation

STOPS = (signal.SIGINT, signal.SIGTERM)


def main(sockets_prefix: str, checkpoint: str, watched: str = "", upper: str = "") -> None:
    """Run i-PI from an input or a checkpoint to its last step or a soft exit."""
    from ipi.engine.simulation import Simulation
    from ipi.utils.softexit import softexit

    path = Path(checkpoint)
    with path.open(encoding="utf-8") as file:
        simulation = Simulation.load_from_xml(
            file, request_banner=True, sockets_prefix=sockets_prefix
        )
    put_back(simulation, read_momenta(path))
    if watched:
        output = disagreement.Output(simulation, Path(), float(upper) if upper else None)
        simulation.outputs.append(output)  # the last: forces that others ask for are there then
    stop_once()
    softexit.hard_exit = True  # as the program i-pi has it: end once RESTART is written
    simulation.run()
    softexit.trigger(status=simulation.exit_status, message=simulation.exit_message)


def stop_once() -> None:
    """Have i-PI, once loaded, stop at the first SIGINT or SIGTERM and take no notice of others.

    Schedulers send several, to every process of a job.  Of a second one i-PI would die before it
    has written RESTART.  Where it hangs, the launcher ends it by SIGKILL.
    """
    for number in STOPS:
        signal.signal(number, _once(signal.getsignal(number)))


def _once(handler: Any) -> Callable[[int, FrameType | None], None]:
    def handle(number: int, frame: FrameType | None) -> None:
        for each in STOPS:
            signal.signal(each, signal.SIG_IGN)
        handler(number, frame)

    return handle


def read_momenta(checkpoint: Path) -> list[NDArray[np.float64]]:
    """Momenta of each system in a checkpoint, ``(n_beads * n_atoms * 3,)``, atomic units."""
    systems = ElementTree.parse(checkpoint).getroot().findall("system")
    texts = [system.findtext("beads/p") for system in systems]
    return [np.array(text.strip(" []\n").split(","), np.float64) for text in texts if text]


def put_back(simulation: Simulation, momenta: list[NDArray[np.float64]]) -> None:
    """Give every system of a simulation these momenta.  None of them: a start, not a restart."""
    if not momenta:
        return
    if len(momenta) != len(simulation.syslist):
        raise RunError(
            f"the checkpoint has momenta of {len(momenta)} of {len(simulation.syslist)} systems"
        )
    for system, values in zip(simulation.syslist, momenta, strict=True):
        system.beads.p[:] = values.reshape(system.beads.p.shape)


if __name__ == "__main__":
    main(*sys.argv[1:])
