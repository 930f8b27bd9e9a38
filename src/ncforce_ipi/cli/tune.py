"""``ncforce tune``: a scan over M, and the largest one that is as good as the slow forces."""

from __future__ import annotations

import argparse
import json
import logging
import math
import sys
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ncforce_ipi import durable
from ncforce_ipi.analysis.drift import LAMBENCH_MEV_PER_ATOM_PER_PS
from ncforce_ipi.analysis.statistics import with_error
from ncforce_ipi.cli import compare
from ncforce_ipi.cli import job as jobs
from ncforce_ipi.cli.paths import path
from ncforce_ipi.errors import InputError
from ncforce_ipi.launch.jobs.job import Job
from ncforce_ipi.observables.tuning import Verdict, check_lengths, recommend, verdicts

if TYPE_CHECKING:
    from ncforce_ipi.observables.comparison import Entry

log = logging.getLogger(__name__)
SCAN = (2, 4, 6, 8, 10, 12, 16)
MEANING = {"good": "", "bad": "heats", "open": "run longer to tell"}


EXAMPLES = (
    (
        "which M the water model takes",
        "tune water --time-ps 5",
    ),
    (
        "a longer scan with what is there",
        "tune water --resume --time-ps 20",
    ),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``ncforce tune``: those of ``compare`` and a tolerance."""
    add = parser.add_argument_group("scan").add_argument
    add("--out", type=path, default=Path("tune"), metavar="DIR",
        help="directory of the runs and tables, default tune")  # fmt: skip
    add("--mts", type=int, nargs="+", default=list(SCAN), metavar="M",
        help=f"default {' '.join(map(str, SCAN))}")  # fmt: skip
    add("--time-ps", type=float, metavar="X", help=f"of each run, default {compare.TIME_PS:g} ps")
    add("--tolerance-meV-per-atom-per-ps", dest="tolerance", type=float, metavar="X",
        default=LAMBENCH_MEV_PER_ATOM_PER_PS,
        help="drift beyond that of the slow-only run, default 0.5 as LAMBench")  # fmt: skip
    add("--resume", action="store_true", help=compare.RESUME_HELP)
    add("--force", action="store_true",
        help="move earlier runs and tables in DIR to previous-N there")  # fmt: skip
    jobs.add_system(parser)
    jobs.add_driver(parser)


def run(args: argparse.Namespace) -> int:
    """Scan, write ``tune.json`` beside the comparison's files, say which M to take."""
    if not args.tolerance > 0.0:
        raise InputError(f"tolerance must be positive, got {args.tolerance} meV/atom/ps")
    recommend_from = partial(_recommend, args.out, args.tolerance)
    return compare.run_all(args, "tune", recommend_from, _check)


def _check(runs: Sequence[Job]) -> None:
    """Refuse runs that can't be judged by their conserved quantity."""
    if any(job.recipe.ensemble.barostat == "in-plane" for job in runs):
        raise InputError(
            "tune judges M by the conserved quantity, and under --barostat in-plane i-PI has none "
            "(docs/theory); find M at constant volume"
        )
    check_lengths([job.recipe.plan for job in runs])


def _recommend(out: Path, tolerance: float, entries: Sequence[Entry]) -> None:
    found = verdicts(entries, tolerance)
    best = recommend(found)
    path = out / "tune.json"
    durable.write_text(path, json.dumps(_record(found, best, tolerance), indent=2) + "\n")
    sys.stdout.write(_text(found, best, tolerance))
    log.info("wrote %s", path)


def _record(found: Sequence[Verdict], best: int | None, tolerance: float) -> dict[str, object]:
    scan = []
    for verdict in found:
        numbers = asdict(verdict)
        excess, ci95 = numbers.pop("excess"), numbers.pop("ci95")
        numbers["excess_drift_meV_per_atom_per_ps"] = excess if math.isfinite(excess) else None
        numbers["excess_drift_ci95_meV_per_atom_per_ps"] = ci95 if math.isfinite(ci95) else None
        scan.append(numbers)
    return {"tolerance_meV_per_atom_per_ps": tolerance, "recommended_mts": best, "scan": scan}


def _text(found: Sequence[Verdict], best: int | None, tolerance: float) -> str:
    lines = [
        f"\nM   drift beyond slow only, meV/atom/ps (tolerance {tolerance:g})   cost / fast only"
    ]
    for verdict in found:
        ratio = f"{verdict.ratio_to_fast:.2f}" if verdict.ratio_to_fast else "-"
        drift = with_error(verdict.excess, verdict.ci95)
        if math.isinf(verdict.excess):
            drift = "the run was stopped, or ran away"
        if math.isnan(verdict.excess):
            drift = "too short for a drift"
        lines.append(f"{verdict.mts:<4}{drift:<51}{ratio:<8}{MEANING[verdict.answer]}".rstrip())
    if best is None:
        lines.append(
            "take the slow forces alone, or run longer: not even the smallest M is shown good"
        )
    else:
        lines.append(f"take M = {best}: it and every smaller M tried are within the tolerance")
    return "\n".join(lines) + "\n"
