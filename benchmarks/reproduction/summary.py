"""The first table of the page: what the paper finds, and whether our models do the same."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping

from bounded import table

from reproduction import of_commands, of_runs, paper, training, values
from reproduction.tasks import Numbers
from reproduction.values import Measured, pm

Records = Mapping[str, Numbers]
SIGMAS = 2.0
SAME, UNLIKE = "no difference seen", {"fast": "yes", "mts8": "no"}
COLUMNS = ["the paper finds", "**paper**", "ours", "so with us"]


def summary(records: Records) -> list[str]:
    """The table; nothing where nothing of it was measured."""
    rows = [row for make in ROWS for row in make(records)]
    if not rows:
        return []
    return [
        "## In short",
        "",
        *table(COLUMNS, rows),
        "",
        f"Yes and no where a number is more than {SIGMAS:g} of its standard errors, or its 95 % "
        "interval, away from no effect; open where it isn't, or has no error bar. Each stands "
        "below with the runs that it is from.",
        "",
    ]


def said(found: Measured | None, *, interval: bool, expected: Measured = (0.0, 0.0)) -> str:
    """Whether a number is above what it would be without an effect."""
    if not found or found[1] is None:
        return "open"
    own = found[1] if interval else SIGMAS * found[1]
    limit = math.hypot(own, SIGMAS * (expected[1] or 0.0))
    away = found[0] - expected[0]
    return "yes" if away > limit else "no" if away < -limit else "open"


Row = list[str]


def _result(records: Records, name: str) -> Numbers:
    return dict(records.get(name, {}).get("result", {}))


def _heating(records: Records) -> Iterator[Row]:
    found = of_runs.by_heat(values.drift(_result(records, "nve-water-fast")))
    if found:
        theirs = f"{paper.DRIFT_1E9_K_PER_S['PET-NC'].value / 1e3:g} (PET-NC)"
        yield [
            "direct forces heat water at constant energy, K/ps",
            theirs,
            pm(found),
            said(found, interval=True),
        ]


def _left(records: Records) -> Iterator[Row]:
    """What M = 8 leaves of the heat of direct forces, in a global thermostat."""
    one, all_of_it = (values.power(_result(records, f"svr10-{f}")) for f in ("mts8", "fast"))
    share = values.ratio(one, all_of_it)
    if share and share[1]:
        percent = (100.0 * share[0], 100.0 * share[1])
        near = "nearly all" if percent[0] + percent[1] < 10.0 else "in part"
        yield [
            "MTS with M = 8 takes that heat away; what is left of the power under SVR, %",
            "none visible",
            pm(percent),
            near if said(percent, interval=True) == "yes" else "yes",
        ]


def _hidden(records: Records) -> Iterator[Row]:
    """The steady T - 300 K of local thermostats."""
    taus = (10, 100, 1000)
    warm = [
        of_runs.warming(f"langevin{tau}", values.power(_result(records, f"langevin{tau}-fast")))
        for tau in taus
    ]
    if any(warm):
        rows = {(r.thermostat, r.model): r for r in paper.THERMOSTATS if r.forces == "fast"}
        theirs = ", ".join(str(rows[f"langevin{tau}", "PET"].all) for tau in taus)
        answers = {said(one, interval=True) for one in warm}
        yield [
            "direct forces stay too warm in Langevin's thermostat, the more the weaker it is "
            f"(tau {', '.join(map(str, taus))} fs), K",
            f"{theirs} (PET)",
            ", ".join(pm(one) or "not run yet" for one in warm) + " (by the power)",
            answers.pop() if len(answers) == 1 else "open",
        ]


def _slowed(records: Records) -> Iterator[Row]:
    """D of a strong thermostat over that of a global one."""
    own, free = (
        values.diffusion(_result(records, name), "O", "einstein")
        for name in ("langevin10-fast", of_runs.FREE)
    )
    found = values.ratio(own, free)
    if found and found[1]:
        less = (1.0 - found[0], found[1])
        yield [
            "the strong one that hides it (10 fs) slows diffusion, D over that of NVE (ours: of "
            "SVR with M = 8)",
            paper.DIFFUSION_RATIO[10],
            pm(found),
            said(less, interval=False),
        ]


def _equipartition(records: Records) -> Iterator[Row]:
    """T(H) - T(O) in a global thermostat, direct forces and M = 8 against conservative ones."""
    rows = {(r.model, r.forces): r for r in paper.THERMOSTATS if r.thermostat == "svr10"}
    plain = values.temperature(_result(records, "svr10-slow"), "H_minus_O")
    for forces, words in (
        ("fast", "a global thermostat doesn't keep T(H) = T(O) with direct forces, difference, K"),
        ("mts8", "with M = 8 it does keep it, difference, K"),
    ):
        found = values.temperature(_result(records, f"svr10-{forces}"), "H_minus_O")
        if not found:
            continue
        theirs = rows["PET", forces]
        answer = "open"
        if plain and plain[1] is not None and found[1] is not None:
            limit = SIGMAS * math.hypot(found[1], plain[1])
            answer = SAME if abs(found[0] - plain[0]) <= limit else UNLIKE[forces]
        shown = pm(found)
        if plain and plain[1] is not None:
            shown += f"; conservative {pm(plain)}"
        yield [words, f"{theirs.H.value - theirs.O.value:.1f} (PET)", shown, answer]


def _cost(records: Records) -> Iterator[Row]:
    """Steps over those of direct forces alone."""
    found = _result(records, "overhead").get("192 atoms", {})
    of = {row["what"]: of_commands.over_rounds(found, row)[1] for row in found.get("rows", [])}
    if "a 8" in of and "slow only" in of:
        gained = (of["slow only"][0] - of["a 8"][0], of["slow only"][1])
        ratios = paper.SPEED_RATIOS
        yield [
            "a step of M = 8 costs little more than a direct one, a conservative one more than "
            "twice as much; over direct",
            f"{ratios['mts8'].value:.2f}, {ratios['slow'].value:.2f} (PET)",
            f"{pm(of['a 8'])}, {pm(of['slow only'])}",
            said(gained, interval=False),
        ]


def _asymmetry(records: Records) -> Iterator[Row]:
    found = (_result(records, "jacobian").get("estimates") or {}).get("results", [])
    for one in found:
        if one["kind"] == "direct":
            measured = (one["lambda"], one["lambda_error"])
            theirs = ", ".join(f"{value} ({name})" for name, value in paper.LAMBDA.items())
            yield [
                "the Jacobian of direct forces isn't symmetric, lambda of water",
                theirs,
                pm(measured),
                said(measured, interval=False),
            ]


def _optimising(records: Records) -> Iterator[Row]:
    """L-BFGS on molecules that the student doesn't know."""
    rates = (_result(records, "optimisation").get("freesolv") or {}).get("results", {})
    of = {r["forces"]: r for r in rates.get("rates", []) if r["optimiser"] == "LBFGS"}
    if "slow" in of and "fast" in of:
        slow, fast = (of_commands.binomial(of[f]["n_converged"], of[f]["n"])
                      for f in ("slow", "fast"))  # fmt: skip
        lost = (slow[0] - fast[0], math.hypot(slow[1], fast[1]))
        yield [
            "L-BFGS of molecules ends at a minimum less often with direct forces, conservative "
            "and direct, %",
            "92 (SevenNet), 1 (ORB-v2)",
            f"{pm(slow)}, {pm(fast)}",
            said(lost, interval=False),
        ]


def _training(records: Records) -> Iterator[Row]:
    """Of three seeds, at the smallest error that all reach."""
    found = [_result(records, name) for name in records if name.startswith("training-seed")]
    found = [one for one in found if one]
    if not found:
        return
    words = {"conservative": "conservative force", "direct": "direct force"}
    for kind in ("conservative", "direct"):
        way = "staged" if kind == "conservative" else "direct"
        ratios = training.speedups(found, kind, way)
        if not ratios:
            continue
        level, of_seeds = ratios[-1]
        faster = of_commands.mean(of_seeds)
        yield [
            f"direct pre-training saves time, from scratch over it, {words[kind]} at "
            f"{level:g} meV/A",
            "2 to 4",
            pm(faster),
            said(faster, interval=False, expected=(1.0, 0.0)),
        ]


ROWS: tuple[Callable[[Records], Iterator[Row]], ...] = (
    _heating,
    _left,
    _hidden,
    _slowed,
    _equipartition,
    _cost,
    _asymmetry,
    _optimising,
    _training,
)
