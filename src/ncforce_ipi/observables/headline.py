"""The first lines of every report: what ran, whether it is conservative, what to do next."""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence
from pathlib import Path

from ncforce_ipi.analysis.drift import LAMBENCH_MEV_PER_ATOM_PER_PS
from ncforce_ipi.analysis.verdicts import Answer
from ncforce_ipi.observables.analyse import Analysis
from ncforce_ipi.observables.conditions import replica_lines, state_of
from ncforce_ipi.observables.dataset import LeftOut
from ncforce_ipi.observables.drift import Drifts
from ncforce_ipi.observables.series import HELD_CELL, is_constant
from ncforce_ipi.reading.metadata import RunMetadata

LONGER = 10.0  # times as long: what an error bar takes more often than not
ENSEMBLES = {"nve": "NVE", "npt": "NPT", "langevin": "Langevin", "svr": "SVR", "gle": "GLE"}

REMEDIES = {
    "mts": "ncforce tune: find the largest M that is good",
    "slow": "a shorter time step (--timestep-fs): these forces are conservative",
    "fast": "MTS forces (--forces mts), whose slow force corrects the drift",
}
"""What to do about a run that isn't conservative, by its forces."""


def headline(analysis: Analysis) -> list[tuple[str, str]]:
    """Label and text of each line."""
    lines = [("run", what_ran(analysis)), *replica_lines(analysis.data)]
    drifts = analysis.drift
    if drifts is None:
        return lines
    answer, words = conservative(drifts, analysis.data.left_out)
    return [*lines, ("conservative", words), ("next", _next(analysis, drifts, answer))]


def what_ran(analysis: Analysis) -> str:
    """Forces, atoms, ensemble, length, how it ended."""
    metadata = analysis.data.first.metadata
    parts = [_forces(metadata)]
    if metadata.n_atoms is not None:
        parts.append(f"{metadata.n_atoms} atoms")
    parts.append(_ensemble(metadata))
    if analysis.drift is not None:
        run = analysis.drift.runs[0]
        discarded = f" (the first {run.window.discarded_ps:.3g} ps left out)"
        parts.append(f"{run.whole.time_ps[-1]:.6g} ps{discarded}")
    if len(analysis.data.sources) > 1:
        parts.append(f"{len(analysis.data.sources)} replicas")
    states = dict.fromkeys(state_of(source)[0] for source in analysis.data.sources)
    parts.append(next(iter(states)) if len(states) == 1 else "not all finished")
    return ", ".join(filter(None, parts))


def conservative(drifts: Drifts, left_out: Sequence[LeftOut] = ()) -> tuple[str, str]:
    """``yes``, ``no`` or ``open``, and the sentence that says so."""
    every_ps = [one.window.runaway_ps for one in drifts.runs]
    every_ps += [one.runaway_ps for one in left_out]
    lost_ps = [one for one in every_ps if one is not None]
    if lost_ps and len(every_ps) > 1:
        return "no", (
            f"no: {len(lost_ps)} of {len(every_ps)} replicas were lost, the first at "
            f"{min(lost_ps):.3g} ps, heated by the work of their own forces; all numbers are from "
            "before"
        )
    if lost_ps:
        return "no", (
            f"no: at {min(lost_ps):.3g} ps the run was lost, heated by the work of its own forces; "
            "all numbers are from before"
        )
    drift = drifts.conserved
    if drift is None:
        return "open", "open: the conserved quantity isn't written"
    if _leaks(drifts):
        return "open", f"open: {HELD_CELL}; a run at constant volume tells"
    if any(is_constant(one.part.temperature_K) for one in drifts.runs):
        return "open", "open: the kinetic energy is the same in all rows; nothing moves there"
    limit = f"{LAMBENCH_MEV_PER_ATOM_PER_PS:g} meV/atom/ps"
    if math.isnan(drift.ci95) and _lambench(drifts) == "open":
        return "open", (
            f"open: the run is too short to tell; so far the conserved quantity drifts by "
            f"{drift.slope:.2g} meV/atom/ps, and the limit is {LAMBENCH_MEV_PER_ATOM_PER_PS:g}"
        )
    value = drift.text("meV/atom/ps")
    answer = {"passes": "yes", "fails": "no", "open": "open"}[_lambench(drifts)]
    meaning = {
        "yes": f"within {limit}",
        "no": f"more than {limit}",
        "open": f"whether that is within {limit} takes a longer run to tell",
    }[answer]
    return answer, f"{answer}: the conserved quantity drifts by {value}, {meaning}"


def _leaks(drifts: Drifts) -> bool:
    """Whether what is called conserved changes with exact forces too."""
    return any(one.whole.leaks for one in drifts.runs)


def _lambench(drifts: Drifts) -> Answer:
    """Of the one run, or of the mean of several."""
    drift = drifts.conserved
    return "open" if drift is None else drift.verdict(LAMBENCH_MEV_PER_ATOM_PER_PS)


def _forces(metadata: RunMetadata) -> str:
    if metadata.forces == "mts":
        return f"MTS forces, M = {metadata.mts}"
    return f"{metadata.forces} forces" if metadata.forces else "a run of i-PI"


def _ensemble(metadata: RunMetadata) -> str:
    name = str((metadata.record.get("ensemble") or {}).get("name", ""))
    word = ENSEMBLES.get(name, name) or ("NVE" if metadata.isolated else "")
    if metadata.n_beads > 1:
        word += f", {metadata.n_beads} beads"
    given = metadata.record.get("velocities")
    if metadata.isolated and given:  # of whatever temperature
        return f"{word} from the velocities of {Path(str(given)).name}"
    kept = "from" if metadata.isolated else "at"
    return (
        f"{word} {kept} {metadata.temperature_K:g} K" if word and metadata.temperature_K else word
    )


def _next(analysis: Analysis, drifts: Drifts, answer: str) -> str:
    source = analysis.data.first
    folder = shlex.quote(str(analysis.data.directory))
    if answer == "yes" or _leaks(drifts):
        return f"ncforce report {folder}: one page with all figures"
    if answer == "no":
        return REMEDIES.get(source.metadata.forces, REMEDIES["fast"])
    longer_ps = LONGER * float(drifts.runs[0].whole.time_ps[-1])
    if source.metadata.record:
        return f"ncforce run --resume --out {folder} --time-ps {longer_ps:.3g}"
    return f"run {longer_ps:.3g} ps or more"
