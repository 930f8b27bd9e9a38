"""Sections of the page that come from commands that are given once."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from bounded import table

from reproduction import paper, training
from reproduction.families import OWN
from reproduction.of_runs import LABELS, label
from reproduction.tasks import Numbers
from reproduction.values import NONE, Measured, pm

Records = Mapping[str, Numbers]
SPEED_ROWS = {
    "fast only": "direct only", "slow only": "conservative only", "a 8": "MTS, M = 8, one driver",
    "b 8": "MTS, M = 8, two drivers", "call joint": "one call for both forces",
}  # fmt: skip


def _result(records: Records, name: str) -> Numbers:
    return dict(records.get(name, {}).get("result", {}))


def speed(records: Records) -> list[str]:
    """ms/step and ratios in one run; other families."""
    found = _result(records, "overhead").get("192 atoms", {})
    rows = []
    theirs = {
        "slow only": paper.SPEED_RATIOS["slow"].value,
        "a 8": paper.SPEED_RATIOS["mts8"].value,
    }
    for row in found.get("rows", []):
        if row["what"] in SPEED_ROWS:
            ms, ratio = over_rounds(found, row)
            said = f"{theirs[row['what']]:.2f}" if row["what"] in theirs else ""
            rows.append([SPEED_ROWS[row["what"]], pm(ms), pm(ratio), said])
    device = _result(records, "overhead").get("device", "")
    lines = [
        *(
            table(["64 H2O, " + device, "ms/step", "/ direct only", "**paper**, /direct"], rows)
            if rows
            else [NONE]
        ),
        "",
        "± is the standard error over rounds of all layouts in turns. **Paper**, 192 atoms, one "
        "GPU, ms/step: "
        + ", ".join(f"{model} {value}" for model, value in paper.MS_PER_STEP.items())
        + "; no errors are given.",
        "",
        "Why ours differ: conservative forces of our network cost 1.9 times the direct ones, "
        "PET's 2.3 times, and on a CPU.",
    ]
    return lines + other_families(_result(records, "families"))


def other_families(found: Numbers) -> list[str]:
    """Calls of all families of one run, and what M = 8 saves with each."""
    families = found.get("families", {})
    ours = families.get(OWN, {}).get("ms", {}).get("direct", [])
    rows = []
    for name, one in families.items():
        if "why" in one:
            rows.append([name, one["why"], "", "", "", ""])
            continue
        ms = one["ms"]
        fast = ms.get("direct", ours)
        outer = ms.get("joint") or [a + b for a, b in zip(ms["conservative"], fast, strict=True)]
        mts = [(7 * a + b) / 8 for a, b in zip(fast, outer, strict=True)]
        rows.append([
            f"{name}{', random weights' if one['random'] else ''}",
            *(pm(mean(ms[kind])) if kind in ms else "" for kind in ("conservative", "direct")),
            pm(mean(ms["joint"])) if "joint" in ms else "",
            pm(mean(mts)),
            pm(mean([a / b for a, b in zip(ms["conservative"], mts, strict=True)])),
        ])  # fmt: skip
    if not rows:
        return []
    columns = [f"{found['atoms']} atoms of water, {found['device']}", "conservative, ms/call"]
    columns += ["direct, ms/call", "both in one call", "MTS, M = 8, ms/step", "times as fast"]
    return [
        "",
        *table(columns, rows),
        "",
        "All in one process, called in turns: other jobs make all of them slower alike, so that "
        "ratios count. MTS is worked out from the calls: seven direct ones "
        "and one for both forces, without i-PI, which adds a millisecond to a step. Models "
        f"without a direct force take that of {OWN}, as if `ncforce distil` had made it.",
    ]


def mean(values: list[float]) -> Measured:
    """With its standard error, None of a single one."""
    return float(np.mean(values)), _error(values)


def over_rounds(found: Numbers, row: Numbers) -> tuple[tuple[float, float | None], ...]:
    """ms and ratio to direct forces alone, each with the error over rounds."""
    rounds = found.get("ms_of_rounds", {})
    own, fast = rounds.get(row["what"], []), rounds.get("fast only", [])
    ms_error = _error(own)
    ratio_error = _error([a / b for a, b in zip(own, fast, strict=False)])
    return (row["ms"], ms_error), (row["over_fast"], ratio_error)


def _error(values: list[float]) -> float | None:
    return float(np.std(values, ddof=1) / math.sqrt(len(values))) if len(values) > 1 else None


LAMBDA_OF = {
    "estimates": "water", "lambda_graphene": "graphene", "lambda_amorphous": "amorphous carbon",
    "lambda_aluminium": "aluminium", "lambda_o-on-cu3al": "O on Cu3Al",
    "lambda_molecules": "molecules",
}  # fmt: skip


def _mean_work(loops: Sequence[Numbers], kind: str) -> Measured:
    """Over loops, meV, with its standard error."""
    works = [one[kind]["work_meV"] for one in loops]
    error = statistics.stdev(works) / math.sqrt(len(works)) if len(works) > 1 else None
    return statistics.fmean(works), error


def jacobian(records: Records) -> list[str]:
    """Lambda of our models, and loops."""
    numbers = _result(records, "jacobian") | {"loops": _result(records, "loops").get("loops")}
    rows = []
    for key, system in LAMBDA_OF.items():
        for one in (numbers.get(key) or {}).get("results", []):
            if one["kind"] == "direct":
                rows.append([system, pm((one["lambda"], one["lambda_error"]))])
    theirs = ", ".join(f"{model} {value}" for model, value in paper.LAMBDA.items())
    lines = [
        *(table(["direct forces of", "lambda"], rows) if rows else [NONE]),
        "",
        f"**Paper**, water: {theirs}; conservative models 0; no errors are given. lambda_ij(r) is "
        "on the page of the [diagnostics](measurements/diagnostics.md).",
    ]
    found = (numbers["loops"] or {}).get("results", {})
    rows = [
        [kind, pm((one["rms_meV"], one["rms_error_meV"])), pm(_mean_work(found["loops"], kind))]
        for kind, one in found.get("summary", {}).items()
    ]
    said = ", ".join(f"{model} {value}" for model, value in paper.LOOP_MEV.items())
    if rows:
        lines += [
            "",
            *table(["work of loops of one H2O, water model", "RMS, meV", "mean, meV"], rows),
        ]
    return [
        *lines,
        "",
        f"**Paper**, meV of one loop: {said}; conservative 0; no errors are given.",
        "",
        "Why ours differ: our direct force is built from adjoints of the energy's own features and "
        "trained against the conservative force of the same network. Our loops swing a molecule by "
        "30 degrees and strain it by a tenth; how far the paper's go isn't known to us.",
    ]


OPTIMISED = {  # files of diagnostics.py: what they are of, whose forces
    "gas": ("one H2O", "water model"),
    "gas_molecules": ("one H2O", "model of molecules"),
    "gas_sevennet": ("one H2O", "SevenNet-0, its student"),
    "liquid": ("32 H2O, liquid", "water model"),
    "liquid_fire": ("32 H2O, liquid", "water model"),
    "g2": ("G2", "SevenNet-0, its student"),
    "freesolv": ("FreeSolv", "SevenNet-0, its student"),
    "freesolv_fire": ("FreeSolv", "model of molecules"),
}
LEARNT = "molecules"  # the set of those that the student knows
FORCES = {**LABELS, "fast-then-slow": "direct, then conservative"}


def optimisation(records: Records) -> list[str]:
    """Successes in %, with binomial errors."""
    numbers, rows = _result(records, "optimisation"), []
    for key, (structures, models) in OPTIMISED.items():
        for one in (numbers.get(key) or {}).get("results", {}).get("rates", []):
            known = ", known to the student" if one["set"] == LEARNT else ""
            percent = pm(binomial(one["n_converged"], one["n"]))
            row = [structures + known, models, one["optimiser"], FORCES[one["forces"]]]
            rows.append([*row, one["n"], percent])
    said = [
        [model, *("" if value is None else value for value in row)]
        for model, row in paper.OPTIMISATION.items()
    ]
    return [
        *(
            table(["set", "models", "optimiser", "forces", "structures", "converged, %"], rows)
            if rows
            else [NONE]
        ),
        "",
        "± is one standard error of a share (Agresti and Coull). At most 1000 steps, until no "
        "force is above 1e-5 eV/A in molecules and 1e-4 in the liquid, as in the paper; FIRE in "
        "the liquid and in larger molecules isn't that far by then. Starts: H2O and the molecules "
        "displaced by 0.5 A, liquid frames of MD as they are. G2 and FreeSolv stand in the place "
        "of QM9; the student doesn't know them unless it is said. Where SevenNet-0 is named, its "
        "student's force is the direct one.",
        "",
        *table(["**paper**, L-BFGS, % (no errors)", "H2O gas", "H2O liquid", "QM9", "MPtrj"], said),
        "",
        "Why ours differ: our liquid starts are frames of MD as they are, and their number is "
        "small; MPtrj needs a general model.",
    ]


def binomial(successes: int, n: int) -> tuple[float, float]:
    """Share in % and one standard error, which isn't 0 where all or none succeed."""
    centre = (successes + 2) / (n + 4)
    return 100.0 * successes / n, 100.0 * math.sqrt(centre * (1 - centre) / (n + 4))


def learning(records: Records) -> list[str]:
    """Time from scratch over time with direct pre-training to the same error."""
    by_steps: dict[tuple[int, ...], list[Numbers]] = {}
    for one in records.values():
        by_steps.setdefault(tuple(one["result"]["n_steps"]), []).append(one["result"])
    ways = (
        ("conservative", "staged", "conservative, direct stage and fine-tuning"),
        ("direct", "staged", "direct, direct stage and fine-tuning"),
        ("direct", "direct", "direct, direct stage alone"),
    )
    rows = []
    scatter: dict[str, float] = {}  # of one seed, relative, the largest of any level
    for n_steps, found in sorted(by_steps.items()):
        for kind, way, words in ways:
            for level, ratios in training.speedups(found, kind, way):
                mean, error = float(np.mean(ratios)), _error(ratios)
                if error:
                    own = error * math.sqrt(len(ratios)) / mean
                    scatter[words] = max(scatter.get(words, 0.0), own)
                elif words in scatter:
                    error = mean * scatter[words]
                steps = " + ".join(map(str, n_steps[:2])) + f", {n_steps[2]}"
                rows.append([words, steps, level, len(ratios), pm((mean, error))])
    return [
        *(
            table(
                ["validation RMSE of", "steps", "meV/A", "seeds", "time from scratch / this"], rows
            )
            if rows
            else [NONE]
        ),
        "",
        f"**Paper**: {paper.TRAINING_SPEEDUP}; no errors are given. Time is that of a processor "
        "core: steps, times the median of what a step took in all trainings of that length, "
        "interpolated between validations, ten of each stage. Below 1 the way from scratch is the "
        "faster one. Steps are those of the direct stage and of fine-tuning, and those from "
        "scratch, which take about as long; learning rates fall to zero over each. ± is the "
        "standard error over seeds that reach an error both ways; of a single seed it is the "
        "largest scatter of seeds in the shorter trainings, in %.",
        "",
        "Why ours differ: for the direct force alone pre-training pays as in the paper. For both "
        "together it didn't pay: our loss contains the difference of the two forces, which "
        "teaches the direct head in every step from scratch; a step of the direct stage costs more "
        "than half of one with both; and fine-tuning at full rates first forgets. Lower rates, and "
        "energies in the direct stage, were tried and didn't help "
        "([water model](models/water.md#training)).",
    ]


def catalysis(records: Records) -> list[str]:
    """O on Cu3Al(111): slow, fast, MTS."""
    rows: list[list[Any]] = []
    for one in _result(records, "catalysis").get("runs", []):
        drift = (one["drift_meV_per_atom_per_ps"], one["drift_ci95_meV_per_atom_per_ps"])
        site, share = next(iter(one["occupancy"].items()))
        bond = (one["bond_A"], one["bond_standard_error_A"])
        where = f"{site}, {'all' if share == 1.0 else 'nearly all' if share > 0.9 else 'most'}"
        rows.append([one["label"], f"{one['time_ps']:.3g}", pm(drift), where, pm(bond)])
    columns = ["forces", "ps", "drift, meV/atom/ps", "site, of the frames", "O to metal, A"]
    return [
        *(table(columns, rows) if rows else [NONE]),
        "",
        "**Paper**: oxygen on alloy surfaces (OC20) as a test of MTS; no number is at hand. Ours: "
        "SevenNet-0 conservative, a small student direct.",
    ]


def _asymmetry(found: Numbers) -> Measured:
    """Lambda over several frames; of ``inspect-pair`` where nothing else was measured."""
    if "lambda" in found:
        return found["lambda"], found["lambda_standard_error"]
    return float(np.mean(found["lambda_fast"])), _error(found["lambda_fast"])


def _of_hybrids(found: Numbers) -> list[str]:
    """Drifts of the same models at constant energy; nothing where none was run."""
    rows = []
    for name, one in found.items():
        for forces, run in one.get("nve", {}).items():
            value = run["drift_meV_per_atom_per_ps"]
            drift = None if value is None else (value, run["drift_ci95_meV_per_atom_per_ps"])
            row = [name, label(forces), f"{run['ps']:.3g}"]
            rows.append([*row, pm(drift), run["why"].partition(":")[0]])
    columns = ["model", "forces, steps of 0.5 fs", "ps", "drift, meV/atom/ps", "ended early"]
    return [*table(columns, rows), ""] if rows else []


def families(records: Records) -> list[str]:
    """metatrain's architectures on the water set."""
    rows: list[list[Any]] = []
    for name, one in _result(records, "pet").items():
        if "why" in one:
            rows.append([name, one["why"], "", "", ""])
            continue
        errors = [
            pm((one[f"{kind}_mae_meV_per_A"], one[f"{kind}_mae_standard_error_meV_per_A"]))
            for kind in ("conservative", "direct")
        ]
        asymmetry = pm(_asymmetry(one))
        most = one["largest_M_without_growth"]
        label = f"{name}, {one['epochs']} epochs{', narrow' if one.get('narrow') else ''}"
        rows.append([label, *errors, asymmetry, most])
    said = [[m, e, f, s or ""] for m, (e, f, s) in paper.ACCURACY.items()]
    columns = ["model", "conservative MAE, meV/A", "direct MAE, meV/A", "lambda"]
    columns.append("no mode grows up to M")
    runs = _of_hybrids(_result(records, "pet"))
    return [
        *(table(columns, rows) if rows else [NONE]),
        "",
        *runs,
        "± of errors is over test frames of liquid water at 300 K. Few epochs on a processor core "
        "make a model that can be used and no more: what counts here is that energy and direct "
        "force of one model of metatrain go through the whole way. SOAP-BPNN's direct force is as "
        "far from its conservative one as from the data (slow less fast 0.6 eV/A), so that alone "
        "it runs away within 0.1 ps, and with M = 8 within 0.2; steps of the conservative force "
        "every 1 or 2 fs hold it for a picosecond. PET has to learn "
        "from data what turns with the molecules: after these 3000 steps its direct force is no "
        "better than none (forces are 711 meV/A in the mean), and with conservative forces the "
        "liquid falls apart and is at 4700 K after a picosecond, its energy kept within the error.",
        "",
        *table(["**paper** (no errors)", "energy, meV/atom", "force MAE, meV/A", "s/epoch"], said),
    ]
