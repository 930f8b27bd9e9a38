"""Options that ``run``, ``input``, ``compare`` and ``tune`` share, and the job they describe."""

from __future__ import annotations

import argparse
import logging
import shlex
from pathlib import Path
from typing import Any

from ncforce_ipi.cli.measure import masses
from ncforce_ipi.errors import InputError
from ncforce_ipi.inputs.ensembles import BAROSTATS, DEFAULT_TAU_FS, ENSEMBLES, GLES, Ensemble
from ncforce_ipi.inputs.plan import Plan
from ncforce_ipi.inputs.service import idle_drivers
from ncforce_ipi.inputs.systems import NAMES
from ncforce_ipi.launch.jobs.door import Remote
from ncforce_ipi.launch.jobs.job import DEFAULT_M, Job, new_job
from ncforce_ipi.launch.progress.ending import Limits

log = logging.getLogger(__name__)

DEFAULT_K = 300.0
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
    "temperature_K": DEFAULT_K,
    "seed": None,
    "model": None,
    "slow": None,
    "fast": None,
    "structure": None,
    "velocities": None,
    "masses_u": None,
    "repartition": None,
    "write_forces": None,
    "device": None,
    "threads": 1,
    "driver_options": "",
    "drivers": None,
    "port": None,
    "stall_s": 600.0,
    # old spellings
    "family": None,
    "program": None,
    "slow_driver": None,
    "slow_model": None,
    "slow_family": None,
}
SPEC = """\
MODEL is a shipped model (water), a metatomic file, FAMILY:MODEL, the same in quotes with options of
the family, or '[PATH/]ncforce driver FAMILY --model ...' of another environment."""
OF_DRIVERS = """\
A MODEL in quotes may have a --device and --threads of its own, which count for it. --slow of
another environment has no others."""


def add_system(
    parser: argparse.ArgumentParser, several: str = "", *, replicas: bool = False
) -> None:
    """What is simulated; ``several`` words say what else may stand there.

    Every default is None here, so that ``--resume`` can tell what was given; ``DEFAULTS`` fill in.

    Parameters
    ----------
    replicas : whether there may be several starts and temperatures
    """
    parser.add_argument(
        "system", nargs="*" if several else "?", metavar="SYSTEM|DIR" if several else "SYSTEM",
        help=f"shipped model and start structure: {NAMES}; {several}".rstrip("; "),
    )  # fmt: skip
    add = parser.add_argument_group("system").add_argument
    add("--structure", metavar="FILE", action="append" if replicas else "store",
        help="start structure instead of the shipped one: last frame of FILE, or FILE@INDEX, of "
        "any format that ASE reads" + "; given several times: a replica of each" * replicas,
        )  # fmt: skip
    add("--velocities", metavar="FILE",
        help="start velocities of the same step: i-PI's velocities, or momenta as ASE writes them; "
        "default: those of the system if it has any (water), else random ones")  # fmt: skip
    add("--masses-u", type=masses, metavar="H=X,O=Y",
        help="masses of species in u; dynamics change, averages over positions don't")  # fmt: skip
    add("--repartition", type=float, metavar="X",
        help="mass of hydrogen in u (4, say), taken from the heavy atom that it is bound to, for "
        "longer time steps; dynamics change, averages over positions don't")  # fmt: skip
    add("--temperature-K", dest="temperature_K", type=temperatures if replicas else float,
        metavar="X[,X]" if replicas else "X",
        help="of the start velocities and of the ensemble, default 300 K"
        + "; several: a replica at each" * replicas)  # fmt: skip
    add("--timestep-fs", type=float, metavar="X", help="inner time step, default 0.5 fs")
    add("--seed", type=int, metavar="N",
        help="of random start velocities and of the thermostat, default 1")  # fmt: skip
    _add_models(parser)
    _add_ensemble(parser)


def temperatures(text: str) -> list[float]:
    """Numbers with commas between them."""
    try:
        return [float(word) for word in text.split(",")]
    except ValueError as err:
        raise argparse.ArgumentTypeError(
            f"expected temperatures with commas between them, got {text!r}"
        ) from err


def _add_models(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("models", SPEC)
    add = group.add_argument
    add("--model", metavar="MODEL", help="both forces; default: the system's model")
    add("--slow", metavar="MODEL", help="the slow (conservative) force from another model")
    add("--fast", metavar="MODEL", help="the fast (direct) force from another model")
    add("--driver-options", metavar="WORDS",
        help="more options of `ncforce driver`, in quotes: of the one for both forces, or for the "
        "fast ones where --slow is another model, whose own options stand in its quotes",
        )  # fmt: skip
    for name in ("--family", "--program", "--slow-model", "--slow-family", "--slow-driver"):
        add(name, help=argparse.SUPPRESS)  # as it was spelt in 0.1
    add("--fast-model", dest="model", help=argparse.SUPPRESS)


def _add_ensemble(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("ensemble").add_argument
    add("--ensemble", choices=ENSEMBLES, help="default nve")
    taus = ", ".join(f"{name} {tau:g}" for name, tau in DEFAULT_TAU_FS.items())
    add("--tau-fs", type=float, metavar="X", help=f"of the thermostat, fs; defaults: {taus}")
    add("--gle", choices=GLES, help="matrix of the ensemble gle, default optimal")
    add("--barostat", choices=BAROSTATS,
        help="of the ensemble npt, default isotropic; of a start structure that ships and is a "
        "sheet in-plane")  # fmt: skip
    add("--pressure-MPa", dest="pressure_MPa", type=float, metavar="X",
        help="of the ensemble npt, default 0.101325 MPa")  # fmt: skip
    add("--barostat-tau-fs", type=float, metavar="X", help="of the cell, fs; default 500")
    add("--beads", type=int, metavar="N", help="replicas of a path integral, default 1: classical")


def add_service(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """How the forces are served; the group, for more."""
    group = parser.add_argument_group("drivers", OF_DRIVERS)
    add = group.add_argument
    add("--device", metavar="NAME[,NAME]",
        help="cpu, cuda, or cuda:0,cuda:1 for a driver on each; default: the model's own choice",
        )  # fmt: skip
    add("--threads", type=int, metavar="N", help="CPU threads of each driver, default 1")
    return group


def add_driver(parser: argparse.ArgumentParser) -> None:
    """How the forces are served, and how the drivers are started and watched."""
    add = add_service(parser).add_argument
    add("--drivers", type=int, metavar="K",
        help="driver processes; default: one, or one for each device")  # fmt: skip
    add("--stall-s", type=float, metavar="X", help="give up after X s without a step, default 600")


def add_outputs(parser: argparse.ArgumentParser) -> None:
    """What is written besides."""
    parser.add_argument(
        "--write-forces", type=int, nargs="?", const=True, metavar="N",
        help="write the slow and the fast force of every atom, every N outer steps, and positions "
        "with them; without N, as often as positions are written anyway",
    )  # fmt: skip


def given(args: argparse.Namespace) -> list[str]:
    """Names of the shared options that the user gave."""
    return [name for name in DEFAULTS if getattr(args, name, None) is not None]


def fill(args: argparse.Namespace) -> None:
    """Put the defaults in the place of what wasn't given, and today's spelling for the old one."""
    _translate(args)
    for name, value in DEFAULTS.items():
        if getattr(args, name, None) is None:
            setattr(args, name, value)
    if args.system is None and args.model is None:  # a run of one force needs that model only
        args.model = {"slow": args.slow, "fast": args.fast}.get(getattr(args, "forces", ""))
    named = args.model or (args.slow and args.fast)
    if args.system is None and not (named and args.structure):
        raise InputError(f"name a SYSTEM ({NAMES}), or give --model and --structure")


def _translate(args: argparse.Namespace) -> None:
    """What 0.1 called --family, --program, --slow-model, --slow-family and --slow-driver."""
    if args.slow_driver and (args.slow_model or args.slow_family):
        raise InputError("--slow-driver names model and family; leave --slow-model/-family out")
    if args.slow_family and not args.slow_model:
        raise InputError("--slow-family needs --slow-model")
    old = [name for name in ("family", "program", "slow_driver", "slow_model") if
           getattr(args, name)]  # fmt: skip
    if not old:
        return
    family = args.family or "metatomic"
    if args.slow_driver or args.slow_model:
        args.slow = args.slow_driver or f"{args.slow_family or family}:{args.slow_model}"
    if (args.family or args.program) and args.model:
        words = [args.program, "driver", family, "--model", args.model]
        args.model = shlex.join(words) if args.program else shlex.quote(f"{family}:{args.model}")
    names = ", ".join("--" + name.replace("_", "-") for name in old)
    log.warning(
        "%s will go: say --model, --slow or --fast with FAMILY:MODEL or "
        "'[PATH/]ncforce driver FAMILY --model ...'",
        names,
    )


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


def job(
    args: argparse.Namespace, steps: Plan, directory: Path, remote: Remote | None = None
) -> Job:
    """The whole job; says which of its drivers would be idle."""
    made = _job(args, steps, directory, remote)
    structures = made.recipe.ensemble.beads * (getattr(args, "replicas", None) or 1)
    if idle := idle_drivers(made.service, structures):
        log.warning("%s", idle)
    alone = getattr(args, "replicas", None) is None  # of several --seed is filled in
    if alone and args.seed is not None and not is_random(args):
        log.warning(
            "--seed %d isn't used: nothing is random at constant energy with --velocities",
            args.seed,
        )
    return made


def is_random(args: argparse.Namespace) -> bool:
    """Whether the seed has a say: in velocities, beads, or what a thermostat does."""
    return args.velocities is None or args.ensemble != "nve" or args.beads > 1


def _job(args: argparse.Namespace, steps: Plan, directory: Path, remote: Remote | None) -> Job:
    return new_job(
        directory,
        steps,
        system=args.system,
        model=args.model,
        slow=args.slow,
        fast=args.fast,
        structure=args.structure,
        velocities=args.velocities,
        ensemble=ensemble(args),
        temperature_K=args.temperature_K,
        seed=args.seed,
        masses_u=args.masses_u,
        repartition=args.repartition,
        write_forces=args.write_forces,
        device=args.device,
        threads=args.threads,
        drivers=args.drivers,
        driver_options=args.driver_options,
        port=args.port,
        limits=Limits(
            args.stall_s,
            getattr(args, "max_temperature_K", None),
            stop_on_disagreement=getattr(args, "stop_on_disagreement", False),
        ),
        remote=remote,
    )
