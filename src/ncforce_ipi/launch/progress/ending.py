"""How a run ends, and when: the last step, a request, a fault, or numbers that are no physics."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ncforce_ipi.analysis.runaway import FAR_TOO_HOT, lost
from ncforce_ipi.errors import InputError
from ncforce_ipi.inputs.numbers import settle
from ncforce_ipi.launch.progress.follower import Row

State = Literal["finished", "stopped", "failed"]
NOT_FINITE = "is not finite"  # the driver says it too, of what its model gave
OUT_OF_TIME = 75  # sysexits' EX_TEMPFAIL: the same again, later
DISAGREEMENT = 3  # exit code of a run that was stopped by --stop-on-disagreement
ADVICE = "check the start structure for close atoms, or take a smaller time step"


@dataclass(frozen=True)
class Limits:
    """When a run is given up.

    Attributes
    ----------
    stall_s : longest time without a new outer step, seconds
    max_temperature_K : a hotter run is stopped, K; None for no limit
    hot : a run is stopped once it is hotter than this many times the temperature asked for, and
        its conserved quantity says that this isn't its own potential energy (`analysis.runaway`)
    stop_on_disagreement : whether a run is stopped where slow - fast leaves the band of the card
    """

    stall_s: float = 600.0
    max_temperature_K: float | None = None
    hot: float = FAR_TOO_HOT
    stop_on_disagreement: bool = False

    def __post_init__(self) -> None:
        settle(self, real=("stall_s", "max_temperature_K"))
        if not 0.0 < self.stall_s <= math.inf:
            raise InputError(f"--stall-s: expected seconds, more than 0, got {self.stall_s:g}")
        if self.max_temperature_K is not None and not 0.0 < self.max_temperature_K < math.inf:
            raise InputError(
                f"--max-temperature-K: expected a temperature in K, more than 0, got "
                f"{self.max_temperature_K:g}"
            )


@dataclass(frozen=True)
class Ending:
    """How a run, or the part of it that one i-PI process did, ended.

    Attributes
    ----------
    state : "finished" (last step reached), "stopped" (on purpose), "failed"
    reason : one line; empty for a finished run
    signal : number of the signal that asked for it, if one did
    recoverable : i-PI can go on from a checkpoint in a new process
    unphysical : energy, temperature or forces ran away; there is nothing to go on with
    foreign : forces came from another program than our drivers; likewise
    out_of_time : stopped for its time limit, or failed since no step was done in it
    disagreement : slow and fast force disagreed more than was asked for
    """

    state: State
    reason: str = ""
    signal: int | None = None
    recoverable: bool = False
    unphysical: bool = False
    foreign: bool = False
    out_of_time: bool = False
    disagreement: bool = False

    @property
    def on_request(self) -> bool:
        """Whether somebody asked for it, so that the run can go on from where it is."""
        return self.state == "stopped" and not self.unphysical

    @property
    def exit_code(self) -> int:
        """0 only for the last step; else of what stopped it; as a shell says it for a signal."""
        if self.out_of_time and self.on_request:
            return OUT_OF_TIME
        if self.signal is not None:
            return 128 + self.signal
        if self.disagreement:
            return DISAGREEMENT
        return 0 if self.state == "finished" else 1


def judged(
    rows: Sequence[Row], start: Row, reference_K: float, n_atoms: int, limits: Limits
) -> Ending | None:
    """The ending by the first of these rows that is beyond the rule, or the user's own limit.

    Parameters
    ----------
    start : first row of the run
    reference_K : temperature that was asked for, K
    """
    endings = (_beyond(row, start, reference_K, n_atoms, limits) for row in rows)
    return next(filter(None, endings), None)


def _beyond(
    row: Row, start: Row, reference_K: float, n_atoms: int, limits: Limits
) -> Ending | None:
    at = f"stopped at step {row.step}, {row.time_ps:.4g} ps"
    if not row.finite:
        return runaway(f"{at}: energy or temperature {NOT_FINITE}; {ADVICE}")
    moved_meV = 1e3 * (row.conserved_eV - start.conserved_eV) / n_atoms
    if lost(row.temperature_K, moved_meV, reference_K, limits.hot):
        return runaway(
            f"{at}: {row.temperature_K:.4g} K is more than {limits.hot:g} times the "
            f"{reference_K:g} K asked for, and the conserved quantity changed by "
            f"{moved_meV:.3g} meV/atom; {ADVICE}"
        )
    if limits.max_temperature_K is not None and row.temperature_K > limits.max_temperature_K:
        return runaway(
            f"{at}: the temperature ({row.temperature_K:.0f} K) exceeded the limit "
            f"({limits.max_temperature_K:.0f} K)"
        )
    return None


def runaway(reason: str) -> Ending:
    """There is nothing to go on with."""
    return Ending("stopped", reason, unphysical=True)
