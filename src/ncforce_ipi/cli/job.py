"""Options that ``run``, ``input`` and ``compare`` share, and the job that they describe."""

from __future__ import annotations

import argparse
import shlex
import shutil
import sysconfig
from pathlib import Path
from typing import Any

from ncforce_ipi.errors import InputError
from ncforce_ipi.inputs.commands import Service, Transport, is_name
from ncforce_ipi.inputs.ensembles import BAROSTATS, DEFAULT_TAU_FS, ENSEMBLES, GLES, Ensemble
from ncforce_ipi.inputs.outputs import Strides
from ncforce_ipi.inputs.plan import Plan
from ncforce_ipi.inputs.recipe import Recipe
from ncforce_ipi.inputs.systems import NAMES, SYSTEMS, system
from ncforce_ipi.launch.job import Job
from ncforce_ipi.launch.supervise import Limits
from ncforce_ipi.models import SHIPPED
from ncforce_ipi.models.modelfile import named_model

DEFAULTS: dict[str, Any] = {
    "system": None,
    "ensemble": "nve",
    "tau_fs": None,
    "gle": None,
    "barostat": None,
    "pressure_MPa": None,
    "barostat_tau_fs": None,
    "beads": 1,
    "timestep_fs": 0.5,
    "temperature_K": 300.0,
    "seed": 1,
    "family": "metatomic",
    "model": None,
    "structure": None,
    "velocities": None,
    "write_forces": None,
    "device": None,
    "threads": 1,
    "driver_options": "",
    "drivers": None,
    "program": None,
    "slow_driver": None,
    "slow_model": None,
    "slow_family": None,
    "port": None,
    "stall_s": 600.0,
}
DEFAULT_M = 8


def add_system(parser: argparse.ArgumentParser, several: str = "") -> None:
    """What is simulated and with which model; ``several`` words say what else may stand there.

    Every default is None here, so that ``--resume`` can tell what was given; ``DEFAULTS`` fill in.
    """
    add = parser.add_argument
    add("system", nargs="*" if several else "?", metavar="SYSTEM|DIR" if several else "SYSTEM",
        help=f"shipped model and start structure: {NAMES}; {several}".rstrip("; "))  # fmt: skip
    add("--model", "--fast-model", dest="model", metavar="MODEL",
        help="model instead of the shipped one: a file, or a name of its family")  # fmt: skip
    add("--structure", metavar="FILE", help="start structure instead of the shipped one (A)")
    add("--velocities", metavar="FILE",
        help="start velocities: last frame of i-PI's velocities, or of extxyz with momenta; "
        "default: random ones by --seed")  # fmt: skip
    add("--timestep-fs", type=float, metavar="X", help="inner time step, default 0.5 fs")
    add("--temperature-K", dest="temperature_K", type=float, metavar="X",
        help="of the start velocities and of the ensemble, default 300 K")  # fmt: skip
    add("--seed", type=int, metavar="N",
        help="of the start velocities and the thermostat, default 1")  # fmt: skip
    _add_ensemble(parser)


def _add_ensemble(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("ensemble").add_argument
    add("--ensemble", choices=ENSEMBLES, help="default nve")
    taus = ", ".join(f"{name} {tau:g}" for name, tau in DEFAULT_TAU_FS.items())
    add("--tau-fs", type=float, metavar="X", help=f"of the thermostat, fs; defaults: {taus}")
    add("--gle", choices=GLES, help="matrix of the ensemble gle, default optimal")
    add("--barostat", choices=BAROSTATS, help="of the ensemble npt, default isotropic")
    add("--pressure-MPa", dest="pressure_MPa", type=float, metavar="X",
        help="of the ensemble npt, default 0.101325 MPa")  # fmt: skip
    add("--barostat-tau-fs", type=float, metavar="X", help="of the cell, fs; default 500")
    add("--beads", type=int, metavar="N", help="replicas of a path integral, default 1: classical")


def add_service(parser: argparse.ArgumentParser) -> None:
    """What serves the forces."""
    add = parser.add_argument
    add("--family", help="model family of the driver, default metatomic")
    add("--device", metavar="NAME[,NAME]",
        help="cpu, cuda, or cuda:0,cuda:1 for a driver on each; default: the model's own choice",
        )  # fmt: skip
    add("--threads", type=int, metavar="N", help="CPU threads of each driver, default 1")
    add("--driver-options", metavar="WORDS", help="more options of `ncforce driver`, in quotes")
    add("--program", metavar="FILE",
        help="ncforce of the family's environment; default: this one")  # fmt: skip
    add("--slow-model", metavar="MODEL",
        help="another model for the slow forces: a file, or a name of its family; "
        "the model above then serves the fast ones")  # fmt: skip
    add("--slow-family", metavar="NAME", help="family of the slow model, default that of --model")
    add(
        "--slow-driver",
        metavar="COMMAND",
        help="the same with all of its options or from another environment, in quotes: "
        "'[PATH/]ncforce driver FAMILY --model ...'",
    )


def add_driver(parser: argparse.ArgumentParser) -> None:
    """What serves the forces, and how it is started and watched."""
    add_service(parser)
    add = parser.add_argument
    add("--drivers", type=int, metavar="K",
        help="driver processes; default: one, or one for each device")  # fmt: skip
    add("--stall-s", type=float, metavar="X", help="give up after X s without a step, default 600")


def add_outputs(parser: argparse.ArgumentParser) -> None:
    """What is written besides."""
    parser.add_argument(
        "--write-forces", type=int, nargs="?", const=True, metavar="N",
        help="write the slow and the fast force of every atom, every N outer steps; "
        "without N as often as positions",
    )  # fmt: skip


def given(args: argparse.Namespace) -> list[str]:
    """Names of the shared options that the user gave."""
    return [name for name in DEFAULTS if getattr(args, name, None) is not None]


def fill(args: argparse.Namespace) -> None:
    """Put the defaults in the place of what wasn't given."""
    for name, value in DEFAULTS.items():
        if getattr(args, name, None) is None:
            setattr(args, name, value)
    if args.system is None and not (args.model and args.structure):
        raise InputError(f"name a SYSTEM ({NAMES}), or give --model and --structure")
    if args.system is not None:
        shipped = system(args.system)
        args.model = args.model or shipped.model
        args.structure = args.structure or args.system
        if args.ensemble == "npt":
            args.barostat = args.barostat or shipped.barostat


def plan(args: argparse.Namespace) -> Plan:
    """The plan of ``--forces``, ``--mts``, ``--timestep-fs`` and ``--time-ps``."""
    mts = args.mts if args.mts is not None else (DEFAULT_M if args.forces == "mts" else 1)
    return Plan.from_time(args.forces, mts, args.timestep_fs, args.time_ps)


def ensemble(args: argparse.Namespace) -> Ensemble:
    """The ensemble of ``--ensemble`` and what goes with it."""
    return Ensemble(
        args.ensemble,
        args.tau_fs,
        args.gle,
        args.barostat,
        args.pressure_MPa,
        args.barostat_tau_fs,
        args.beads,
    )


def recipe(args: argparse.Namespace, steps: Plan) -> Recipe:
    """The input of a run of these steps."""
    return Recipe(
        steps,
        ensemble(args),
        args.temperature_K,
        args.seed,
        service(args),
        Transport(args.port),
        _force_stride(args.write_forces, steps),
    )


def _force_stride(written: int | None, steps: Plan) -> int | None:
    """True is the option without a number."""
    return Strides.of(steps).position if written is True else written


def job(args: argparse.Namespace, steps: Plan, directory: Path) -> Job:
    """The whole job."""
    limits = Limits(args.stall_s, getattr(args, "max_temperature_K", None))
    velocities = args.velocities and str(Path(args.velocities).expanduser().absolute())
    structure = _absolute(args.structure)
    return Job(directory, recipe(args, steps), structure, limits, velocities)


def service(args: argparse.Namespace) -> Service:
    """The drivers."""
    if args.threads < 1:
        raise InputError(f"threads must be 1 or more, got {args.threads}")
    return Service(
        _absolute(args.model, args.family),
        args.family,
        args.device,
        args.threads,
        tuple(shlex.split(args.driver_options)),
        args.drivers,
        args.program and str(Path(args.program).expanduser().absolute()),
        _slow_driver(args),
    )


def _slow_driver(args: argparse.Namespace) -> tuple[str, ...]:
    """The words of another driver for the slow forces; none if the same one serves both."""
    if args.slow_driver and (args.slow_model or args.slow_family):
        raise InputError("--slow-driver names model and family; leave --slow-model/-family out")
    if args.slow_driver:
        return _other_driver(args.slow_driver)
    if args.slow_model is None:
        if args.slow_family is not None:
            raise InputError("--slow-family needs --slow-model")
        return ()
    family = args.slow_family or args.family
    program = Path(sysconfig.get_path("scripts")) / "ncforce"
    words = [str(program), "driver", family, "--model", _absolute(args.slow_model, family)]
    return _other_driver(shlex.join(words))


def _other_driver(command: str) -> tuple[str, ...]:
    """The words of ``--slow-driver``, with absolute paths of files and of its program."""
    words = shlex.split(command)
    if not words:
        return ()
    program = shutil.which(words[0])
    if not program or words[1:2] != ["driver"]:
        raise InputError(
            f"--slow-driver: expected 'ncforce driver FAMILY --model ...', got {command!r}"
        )
    found = (str(Path(program).absolute()), *map(_absolute_file, words[1:]))
    named_model(found)
    return found


def _absolute_file(word: str) -> str:
    """A file's absolute path in the place of the file, also behind ``--option=``."""
    option, _, value = word.rpartition("=")
    if option.startswith("--") and Path(value).is_file():
        return f"{option}={Path(value).absolute()}"
    return str(Path(word).absolute()) if Path(word).is_file() else word


def _absolute(name_or_path: str, family: str = "metatomic") -> str:
    """A name as it is, a path made absolute: programs run in the run's directory."""
    shipped = name_or_path in SHIPPED or name_or_path in SYSTEMS
    if shipped or is_name(name_or_path, family):
        return name_or_path
    return str(Path(name_or_path).expanduser().absolute())
