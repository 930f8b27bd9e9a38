"""Sections of the page that come from runs."""

from __future__ import annotations

import math
from collections.abc import Mapping

from ase import units
from bounded import table

from reproduction import paper, values
from reproduction.parts import SYSTEMS, THERMOSTATS
from reproduction.tasks import Numbers
from reproduction.values import NONE, pm

Records = Mapping[str, Numbers]
LABELS = {"slow": "conservative", "fast": "direct"}
TARGET_K = 300.0
FREE = "svr10-mts8"
WAYS = ("einstein", "green_kubo")
GPU_PACE = (
    "On a GPU `python benchmarks/gpu_runs.py --compile --only langevin10-fast,svr10-mts8,... --out "
    "results` runs several of these side by side, each as 16 replicas. On one NVIDIA H100 with 16 "
    "processor cores four runs came to 538 ps together in 8.3 minutes, with a minute of "
    "compilation in it: 1.1 ps a second. So the 18 runs of 1 ns would take 5 hours there."
)
"""Of svr10-slow, svr10-mts4, svr10-mts8 and nve-water-mts8 in ``results/reproduction``."""


def label(forces: str) -> str:
    """As on the page."""
    return LABELS.get(forces, f"MTS, M = {forces[3:]}")


def note(result: Numbers) -> str:
    """What else a reader must know of a run."""
    return f" ({result['note']})" if result.get("note") else ""


def _split(name: str, first: str) -> str:
    return name.removeprefix(f"{first}-")


def nve(records: Records) -> list[str]:
    """Drifts of all systems."""
    rows = []
    for system in SYSTEMS:
        for name, record in sorted(records.items(), key=lambda one: _rank(one[0])):
            if not name.startswith(f"nve-{system}-"):
                continue
            found, heat = record["result"], values.heating(record["result"])
            in_seconds = None if heat is None else (1e3 * heat[0], heat[1] and 1e3 * heat[1])
            length = values.ps(found) + note(found)
            row = [system, label(_split(name, f"nve-{system}")), length]
            drift = values.drift(found)
            rows.append([*row, pm(drift), pm(by_heat(drift)), pm(heat), pm(in_seconds)])
    if not rows:
        return [NONE]
    columns = ["system", "forces", "ps", "drift, meV/atom/ps", "K/ps by that heat"]
    columns += ["drift of T, K/ps", "1e9 K/s"]
    theirs = ", ".join(f"{model} {value}" for model, value in paper.DRIFT_1E9_K_PER_S.items())
    return [
        *table(columns, rows),
        "",
        f"**Paper**, water, direct forces, 1e9 K/s: {theirs}; {paper.DRIFT_NONE}. No errors are "
        "given.",
        "",
        "By the heat: what the conserved quantity gains warms the atoms by drift / (3 k_B), as it "
        "does harmonic ones. T itself goes to and fro by more than that in a few ps.",
        "",
        "Why ours differ: the asymmetry of our direct force of water (lambda 0.0027) is below that "
        "of PET-NC (0.004). With M = 8 the conserved quantity of water isn't free of drift: it "
        "rises by some hundredths of what it does with direct forces (the first table has the "
        "share under SVR), and less with smaller M. Graphene "
        "has steps of 1 fs, and correcting it every 8 fs only heats more than direct forces alone, "
        "every 4 fs less: there T rises from 288 to 303 K in 45 ps, as by the heat. No small "
        "vibration grows up to 10 fs (`ncforce inspect-pair`), but its fastest is near that at "
        "8 fs: whether the asymmetry of the direct force or anharmonicity does the rest isn't "
        "known. With O on Cu3Al the conserved quantity goes to and fro by more than it drifts, so "
        "that longer runs with M = 8 aren't known better. Direct forces of amorphous carbon run "
        "away "
        "within a picosecond. In the figure the dotted line is LAMBench's tolerance.",
    ]


def by_heat(drift: values.Measured | None) -> values.Measured | None:
    """K/ps of harmonic atoms, 3 k_B each, that take a drift in meV/atom/ps up."""
    if drift is None:
        return None
    factor = 1e-3 / (3.0 * units.kB)
    return factor * drift[0], drift[1] and factor * drift[1]


def _rank(name: str) -> tuple[int, int]:
    forces = name.rsplit("-", 1)[-1]
    first = {"slow": 0, "fast": 1}.get(forces, 2)
    return first, int(forces[3:]) if first == 2 and forces[3:].isdigit() else 0


def thermostats(records: Records) -> list[str]:
    """T, T(H), T(O), power of each thermostat and force, with the paper's rows."""
    rows = []
    for thermostat in THERMOSTATS:
        for forces in ("slow", "fast", "mts8"):
            record = records.get(f"{thermostat}-{forces}")
            theirs = [
                one
                for one in paper.THERMOSTATS
                if (one.thermostat, one.forces) == (thermostat, forces)
            ]
            if record is None and not theirs:
                continue
            found = record["result"] if record else {}
            ours = [pm(values.temperature(found, s), TARGET_K) for s in ("all", "H", "O")]
            text = "; ".join(f"{one.model} {one.all}, {one.H}, {one.O}" for one in theirs)
            length = values.ps(found) + note(found) if found else "not run yet"
            power = values.power(found)
            row = [thermostat, label(forces), length, *ours, pm(power)]
            rows.append([*row, pm(warming(thermostat, power)), text])
    columns = ["thermostat", "forces", "ps", "T - 300, K", "T(H) - 300, K", "T(O) - 300, K"]
    columns += ["power, meV/atom/ps", "T - 300 by the power, K", "**paper**: all, H, O, K"]
    return [
        *table(columns, rows),
        "",
        f"Numbers behind the names: tau in fs. **Paper**, GLE with direct ORB-v2 forces: "
        f"{paper.GLE_ORB_K} K instead of 300 (no error is given).",
        "",
        "By the power: friction 1 / tau takes 3 k_B (T - 300 K) / tau per atom, so that in the "
        "long run T - 300 K is power tau / (3 k_B), in proportion to tau as in the paper's rows.",
        "",
        "Why ours differ: the paper's runs are up to 1 ns long. With a global thermostat T(H) is "
        "below and T(O) above 300 K by the time step alone, with conservative forces too (below). "
        "That direct forces of PET part them by 14 K isn't seen with ours: their asymmetry is "
        "smaller, and the heat that they make comes to H and O alike within the errors.",
        "",
        GPU_PACE,
    ]


def warming(thermostat: str, power: values.Measured | None) -> values.Measured | None:
    """K above the bath where Langevin's friction carries a power off, meV/atom/ps; else None."""
    tau_fs = thermostat.removeprefix("langevin")
    if power is None or not tau_fs.isdigit():
        return None
    factor = 1e-3 * int(tau_fs) / (3.0 * 1e3 * units.kB)  # K per (meV/atom/ps)
    return factor * power[0], power[1] and factor * power[1]


def diffusion(records: Records) -> list[str]:
    """D, and over that at constant energy and with a global thermostat."""
    rows = []
    for thermostat in ("nve-water", *THERMOSTATS):
        for forces in ("slow", "fast", "mts4", "mts8"):
            name = f"{thermostat}-{forces}"
            both = [_diffusion(records, name, way) for way in WAYS]
            if any(both):
                ratios = [_over(records, name, _unhindered(records, forces, way), way)
                          for way in WAYS]  # fmt: skip
                words = [thermostat.removesuffix("-water"), label(forces), *map(pm, both), *ratios]
                rows.append([*words, _over(records, name, FREE, WAYS[0])])
    theirs = ", ".join(f"{said} at {tau} fs" for tau, said in paper.DIFFUSION_RATIO.items())
    columns = ["thermostat", "forces", "D(O) from displacements, A^2/ps", "D(O) from c_vv, A^2/ps"]
    columns += ["/ NVE, displacements", "/ NVE, c_vv", f"/ {FREE}, displacements"]
    return [
        *(table(columns, rows) if rows else [NONE]),
        "",
        f"**Paper**, Langevin with direct PET forces, D over that of NVE: {theirs}; no errors are "
        "given.",
        "",
        "NVE is that with the same forces, or with M = 4 where that has no D (direct forces heat "
        "such a run, and a short one gives none); which one is said where it isn't the same. "
        f"{FREE} scales all velocities alike, which hardly changes how molecules move, and was run "
        "for longer. D of svr10 with direct forces is above it from displacements, by more than "
        "two errors, and from velocities no more than one above that of NVE: one run, open. "
        "Langevin's friction slows molecules with all three kinds of forces alike, within the "
        "errors. With 10 fs they leave their cages so slowly that longer lags give smaller D than "
        "these runs can: where velocities, whose lags are the shorter ones, give another number "
        "than displacements by more than three errors, they have none.",
        "",
        "In a cubic box of 12.4 A D is too small by k_B T xi / (6 pi eta L) (Yeh, Hummer 2004): "
        "0.05 A^2/ps with the viscosity of water, the same for all rows, so that it counts for "
        "the ratios only where D itself is small. `ncforce diffusion RUN --viscosity-mPa-s 0.89` "
        "adds it.",
    ]


def _diffusion(records: Records, name: str, way: str) -> values.Measured | None:
    return values.diffusion(records.get(name, {}).get("result", {}), "O", way)


def _unhindered(records: Records, forces: str, way: str) -> str:
    """The run at constant energy to compare with: of the same forces, if it has D and error."""
    same, other = f"nve-water-{forces}", "nve-water-mts4"
    found = _diffusion(records, same, way)
    return same if found and found[1] else other


def _over(records: Records, name: str, free: str, way: str) -> str:
    """The ratio of two D, and of whose if the forces differ; '' where there is none."""
    own, theirs = (_diffusion(records, one, way) for one in (name, free))
    if name == free or not own or not theirs:
        return ""
    same = free == FREE or name.rpartition("-")[2] == free.rpartition("-")[2]
    return pm(values.ratio(own, theirs)) + ("" if same else f" ({label(free.rpartition('-')[2])})")


def structure(records: Records) -> list[str]:
    """Largest differences of g(r) and spectra in units of their error."""
    rows = []
    for forces in ("fast", "mts8"):
        for name, axis in (("rdf", "r_A"), ("vdos", "wavenumber_per_cm")):
            one, other = (_curves(records, f"svr10-{which}", name) for which in ("slow", forces))
            if one and other:
                rows += [[label(forces), *row] for row in differences(one, other, axis)]
    if not rows:
        return [
            NONE,
            "",
            "**Paper**: shows such curves; no number of them is at hand.",
        ]
    columns = ["forces against conservative", "curve", "points"]
    columns += ["largest difference / its error", "at", "expected of equal curves"]
    return [
        *table(columns, rows),
        "",
        "Errors are of both curves together. The last column is the most that as many independent "
        "points of equal curves differ by on average; neighbouring points aren't independent, so "
        "that it is less in truth.",
    ]


def _curves(records: Records, run: str, name: str) -> Numbers:
    result = records.get(run, {}).get("result", {})
    return dict(result.get("curves", {}).get(name, {}))


def differences(one: Numbers, other: Numbers, axis: str) -> list[list[object]]:
    """A row for each curve that both have with errors: largest difference over its error."""
    rows: list[list[object]] = []
    for key in one:
        error = next((e for e in _error_keys(key) if e in one and e in other), None)
        if error is None or key not in other or len(one[key]) != len(other[key]):
            continue
        found = [
            (abs(a - b) / math.hypot(ea, eb), x)
            for a, b, ea, eb, x in zip(
                one[key], other[key], one[error], other[error], one[axis], strict=True
            )
            if None not in (a, b, ea, eb) and ea > 0 and eb > 0
        ]
        if found:
            largest, place = max(found)
            expected = math.sqrt(2 * math.log(max(len(found), 2)))
            rows.append([key, len(found), f"{largest:.2f}", f"{place:g} {axis.split('_', 1)[1]}",
                         f"{expected:.1f}"])  # fmt: skip
    return rows


def _error_keys(key: str) -> tuple[str, ...]:
    unit = "_K_cm" if key.endswith("_K_cm") else ""
    return (f"{key.removesuffix(unit)}_standard_error{unit}",) if "error" not in key else ()


def equipartition(records: Records) -> list[str]:
    """T(H), T(O) against M: the linear map, and runs."""
    scan = records.get("pair", {}).get("result", {}).get("scan", [])
    predicted = {row["M"]: row for row in scan}
    rows = []
    for mts, forces in ((1, "slow"), (4, "mts4"), (8, "mts8")):
        expected, run = predicted.get(mts), records.get(f"svr10-{forces}")
        row: list[object] = [mts]
        row += [pm(_kelvin(expected, s)) for s in ("H", "O")] if expected else ["not run yet", ""]
        if run is None:
            rows.append([*row, "not run yet", "", "", ""])
            continue
        ours = [values.temperature(run["result"], s) for s in ("H", "O", "H_minus_O")]
        shown = [pm(ours[0], TARGET_K), pm(ours[1], TARGET_K), pm(ours[2])]
        rows.append([*row, values.ps(run["result"]), *shown])
    columns = ["M", "linear map: T(H) - 300, K", "T(O) - 300, K", "run, ps"]
    columns += ["T(H) - 300, K", "T(O) - 300, K", "T(H) - T(O), K"]
    n = records.get("pair", {}).get("result", {}).get("n_structures", 1)
    theirs = [one for one in paper.THERMOSTATS if one.model == "PET" and one.thermostat == "svr10"]
    return [
        "A time step conserves an energy of its own, near the true one, and with a global "
        "thermostat all motions share *that* one. The columns of the linear map are what this "
        "does to hydrogen and oxygen, from all modes of both forces (`ncforce inspect-pair`) at "
        f"{n} frame(s) of 32 H2O; ± is over frames, rough for fewer than six. M = 1 is velocity "
        "Verlet with the conservative force. Heat that the asymmetry of the direct force makes "
        "isn't in it.",
        "",
        *table(columns, rows),
        "",
        "**Paper**, T(H) - 300 and T(O) - 300 under SVR: "
        + "; ".join(f"{label(one.forces)} {one.H} and {one.O} K" for one in theirs)
        + ".",
        *verdict(predicted, records),
    ]


def _kelvin(row: Numbers, species: str) -> values.Measured:
    """T - 300 K of a species at 300 K of all, from the linear map."""
    error = row.get(f"kinetic_temperature_{species}_standard_error")
    shift = TARGET_K * (row[f"kinetic_temperature_{species}"] - 1.0)
    return shift, None if error is None else TARGET_K * error


def growing(predicted: Mapping[int, Numbers]) -> str:
    """From which M on modes grow in the linear map, and how many there."""
    first = next((m for m in sorted(predicted) if predicted[m].get("n_growing")), None)
    if first is None:
        return f"No mode grows in it up to M = {max(predicted)}."
    return (
        f"No mode grows in it below M = {first}; there {predicted[first]['n_growing']:.2g} of a "
        "frame do."
    )


def verdict(predicted: Mapping[int, Numbers], records: Records) -> list[str]:
    """What M = 8 adds, by the linear map and by runs, in words."""
    lines: list[str] = []
    if 1 in predicted and 8 in predicted and "kinetic_temperature_O" in predicted[8]:
        one, eight = (_difference(predicted[m]) for m in (1, 8))
        lines += [
            "",
            f"By the linear map T(H) - T(O) is {pm(one)} K at M = 1 and {pm(eight)} K at M = 8.",
            growing(predicted),
        ]
    for forces, mts in (("mts4", 4), ("mts8", 8)):
        run = records.get(f"svr10-{forces}")
        measured = values.temperature(run["result"], "H_minus_O") if run else None
        if not measured or not measured[1] or mts not in predicted:
            continue
        expected = _difference(predicted[mts])
        error = math.hypot(measured[1], expected[1] or 0.0)
        away = (measured[0] - expected[0]) / error
        words = (
            "no more than chance" if abs(away) < 2 else "open" if abs(away) < 3.5 else "an effect"
        )
        old = run is not None and bool(note(run["result"]))
        caveat = " (an error by an earlier, more generous rule)" if old else ""
        lines += [
            "",
            f"The run with M = {mts} is {away:+.1f} of its errors from that{caveat}: {words}.",
        ]
    return lines


def _difference(row: Numbers) -> values.Measured:
    h, o = (_kelvin(row, s) for s in ("H", "O"))
    if h[1] is None or o[1] is None:
        return h[0] - o[0], None
    return h[0] - o[0], h[1] + o[1]  # a colder H is a warmer O: fully anticorrelated
