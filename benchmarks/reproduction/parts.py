"""Which tasks a part of the paper takes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from reproduction import pair_frames, training
from reproduction.tasks import Call, Choice, Md, Numbers, Task, load, module, script

REPLICAS = 8
SYSTEMS = {  # inner step, fs; words of the run
    "water": (0.5, ()),
    "graphene": (1.0, ()),
    "amorphous-carbon": (0.5, ()),
    "aluminium": (2.0, ()),
    "o-on-cu3al": (2.0, ()),
}
NVE_PS = {"water": 50.0, "graphene": 45.0, "o-on-cu3al": 60.0}  # of others 20
NVE_M = {"water": (2, 4, 8, 16)}  # of others 4 and 8
THERMOSTATS = {
    "langevin10": ("--ensemble", "langevin", "--tau-fs", "10"),
    "langevin100": ("--ensemble", "langevin", "--tau-fs", "100"),
    "langevin1000": ("--ensemble", "langevin", "--tau-fs", "1000"),
    "svr10": ("--ensemble", "svr", "--tau-fs", "10"),
    "gle-optimal": ("--ensemble", "gle", "--gle", "optimal"),
    "gle-smart": ("--ensemble", "gle", "--gle", "smart"),
}
THERMOSTATTED_PS, THERMALISED_PS = 1000.0, 1.0


@dataclass(frozen=True)
class Part:
    """A table or figure of the paper."""

    title: str
    tasks: tuple[Task, ...]


def nve(system: str, forces: str) -> Md:
    """NVE from the start structure."""
    step_fs, words = SYSTEMS[system]
    name, ps = f"nve-{system}-{forces}", NVE_PS.get(system, 20.0)
    return Md(name, system, forces, ("--ensemble", "nve", *words), step_fs, ps)


def thermostatted(thermostat: str, forces: str) -> Md:
    """Water with a thermostat."""
    curves = thermostat == "svr10" and forces in ("slow", "fast", "mts8")
    return Md(
        f"{thermostat}-{forces}", "water", forces, THERMOSTATS[thermostat], 0.5, THERMOSTATTED_PS,
        THERMALISED_PS, replicated=True, curves=curves,
    )  # fmt: skip


def _all_nve(system: str) -> tuple[Md, ...]:
    ratios = [f"mts{m}" for m in NVE_M.get(system, (4, 8))]
    return tuple(nve(system, forces) for forces in ("slow", "fast", *ratios))


def _diagnostics(name: str, *parts: str, hours: float) -> Call:
    """Parts of diagnostics.py; one small molecule instead where all is small."""

    def command(choice: Choice, out: Path) -> list[str]:
        if choice.small:
            return SMALL[name](choice, out)
        return script("diagnostics.py", "--out", out, "--raw", out / "files", "--only", *parts)

    return Call(name, command, lambda out: load(out / "numbers.json"), hours)


def _small_jacobian(choice: Choice, out: Path) -> list[str]:
    return _small(out, "estimates", "jacobian", "{}", "--kind", "direct")


def _small_loops(choice: Choice, out: Path) -> list[str]:
    return _small(out, "loops", "loop-work", "{}", "--points", 16)


def _small_optimise(choice: Choice, out: Path) -> list[str]:
    words = ["{}", "--displace-A", 0.05, "--copies", 1, "--steps", 5]
    return _small(out, "gas", "optimize", *words)


def _small(out: Path, name: str, verb: str, *words: object) -> list[str]:
    return module("one_molecule", out, name, verb, *words)


SMALL = {"jacobian": _small_jacobian, "loops": _small_loops, "optimisation": _small_optimise}


def _pair(choice: Choice, out: Path) -> list[str]:
    if choice.small:
        return _small(out, "pair", "inspect-pair", "{}", "--most-mts", 4)
    return module("pair_frames", out)


def _speed(choice: Choice, out: Path) -> list[str]:
    words = ["--device", choice.device, "--out", out]
    return script("mts_overhead.py", *words, *["--copies", 1, "--rounds", 1 if choice.small else 4])


def _families(choice: Choice, out: Path) -> list[str]:
    rounds = 1 if choice.small else 8
    return module("families", out, "--device", choice.device, "--rounds", rounds)


def _catalysis(choice: Choice, out: Path) -> list[str]:
    few = ["--time-ps", 0.5] if choice.small else ["--time-ps", 2]
    return script("catalysis.py", "--out", out, *few)


def _pet(choice: Choice, out: Path) -> list[str]:
    return module("pet", out, "--epochs", 1 if choice.small else 100, "--device", choice.device)


METATRAIN = "install metatrain (docs/tutorials/pet.md), its mtt on the PATH, and ncforce_ipi[run]"
SEVENNET = "install sevenn beside this package"


def _read_pair(out: Path) -> Numbers:
    found = load(out / "pair.json")
    return pair_frames.merged([found["results"]]) if "results" in found else found


FORCES = ("slow", "fast", "mts8")
WATER = tuple(thermostatted(name, forces) for name in THERMOSTATS for forces in FORCES)
OVER_M = tuple(thermostatted("svr10", forces) for forces in ("slow", "mts4", "mts8"))
IN_SVR = tuple(thermostatted("svr10", forces) for forces in FORCES)
FREE_NVE = tuple(nve("water", forces) for forces in (*FORCES, "mts4"))

PARTS = {  # in the order of the page
    "nve": Part("Drift in NVE", tuple(run for system in SYSTEMS for run in _all_nve(system))),
    "thermostats": Part("Thermostatted water", WATER),
    "diffusion": Part("Diffusion", (*FREE_NVE, *(run for run in WATER if "gle" not in run.name))),
    "structure": Part("g(r) and velocity spectra", IN_SVR),
    "equipartition": Part(
        "Does MTS keep equipartition?",
        (Call("pair", _pair, _read_pair, 0.25), *OVER_M),
    ),
    "speed": Part(
        "Speed",
        (
            Call("overhead", _speed, lambda out: load(out / "mts_overhead.json"), 0.1),
            Call("families", _families, lambda out: load(out / "families.json"), 0.05),
        ),
    ),
    "jacobian": Part(
        "Jacobian and loops",
        (
            _diagnostics("jacobian", "estimates", "shipped", hours=0.1),
            _diagnostics("loops", "loops", hours=0.05),
        ),
    ),
    "optimisation": Part(
        "Geometry optimisation",
        (_diagnostics("optimisation", "gas", "liquid", "freesolv", hours=0.5),),
    ),
    "training": Part("Direct pre-training", training.CALLS),
    "catalysis": Part(
        "Oxygen on an alloy",
        (
            Call(
                "catalysis",
                _catalysis,
                lambda out: load(out / "catalysis.json"),
                1.0,
                ("sevenn",),
                SEVENNET,
            ),
        ),
    ),
    "families": Part(
        "PET and SOAP-BPNN",
        (Call("pet", _pet, lambda out: load(out / "pet.json"), 20.0, ("mtt", "ipi"), METATRAIN),),
    ),
}


TRIED = (  # of the runs and seeds, as a test of all
    *(f"nve-{name}" for name in ("water-slow", "water-fast", "water-mts8", "aluminium-mts4")),
    *(f"svr10-{forces}" for forces in FORCES),
    "gle-smart-fast",
    "training-seed1",
)


def tasks_of(chosen: list[str], small: bool = False) -> list[Task]:
    """Of several parts, and single ones, each once: commands first, they are short.

    ``small``: some of the runs and one of the seeds.
    """
    every = {
        task.name: task
        for name, part in PARTS.items()
        for task in part.tasks
        if name in chosen or task.name in chosen
    }
    some = [t for t in every.values() if not small or t.name in TRIED or not _many(t)]
    return sorted(some, key=lambda task: isinstance(task, Md))


def _many(task: Task) -> bool:
    return isinstance(task, Md) or task in training.CALLS
