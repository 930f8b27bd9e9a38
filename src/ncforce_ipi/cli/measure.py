"""What ``drift``, ``rdf``, ``vdos``, ``temperature``, ``diffusion`` and ``power`` share.

Owns their common options and where results go; the physics is in `ncforce_ipi.observables`.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable
from contextlib import suppress

from ncforce_ipi.cli.paths import path
from ncforce_ipi.errors import InputError
from ncforce_ipi.launch.directory import holder
from ncforce_ipi.observables.bycondition import measured
from ncforce_ipi.observables.conditions import open_conditions
from ncforce_ipi.observables.dataset import Dataset
from ncforce_ipi.observables.options import DISCARD_PS, Options
from ncforce_ipi.provenance import Provenance
from ncforce_ipi.result import Result, Targets, table, write

log = logging.getLogger(__name__)
RUN = (
    "directory of 'ncforce run' (of one run, or of replicas) or of any i-PI run, or one of its "
    "files, which says which run"
)


def add_files(parser: argparse.ArgumentParser, what: str) -> None:
    """The files, the discarded start, and where results go."""
    add = parser.add_argument
    add("files", nargs="+", type=path, metavar="FILE",
        help=f"{what}, or a directory with it; several are replicas of one system")  # fmt: skip
    add_discard(parser)
    group = parser.add_argument_group("results").add_argument
    group("--json", type=path, metavar="FILE", help="write all numbers")
    group("--csv", type=path, metavar="FILE", help="write curves or series")
    group("--plot", type=path, metavar="FILE", help="write the figure: .png, .pdf or .svg")
    group("--force", action="store_true", help="replace files that exist")


def add_discard(parser: argparse.ArgumentParser) -> None:
    """The start that is left out."""
    parser.add_argument(
        "--discard-ps", type=float, metavar="X",
        help="time left out at the start of everything, ps; default: a tenth of the run, at most "
        f"{DISCARD_PS:g} ps",
    )  # fmt: skip


def add_trajectory(parser: argparse.ArgumentParser) -> None:
    """What a trajectory may not say."""
    parser.add_argument(
        "--timestep-fs", type=float, metavar="X",
        help="time of a step as the file counts them (i-PI: outer steps), of a frame where it "
        "doesn't; default: from i-PI's properties or checkpoint beside the file",
    )  # fmt: skip


def add_velocities(parser: argparse.ArgumentParser) -> None:
    """What velocities need besides."""
    add = parser.add_argument
    add("--masses-u", type=masses, metavar="H=X,O=Y",
        help="of each species, u; default: from run.json or i-PI's checkpoint")  # fmt: skip
    add("--unit", metavar="WORD", help="of velocities in an extxyz file that doesn't say: "
        "angstrom/fs, angstrom/ps, m/s, ase, atomic_unit")  # fmt: skip
    add_centre(parser)


def add_centre(parser: argparse.ArgumentParser) -> None:
    """Whether three degrees of freedom are missing."""
    parser.add_argument(
        "--free-com",
        action="store_true",
        help="count the motion of the centre of mass as heat; default: as the data show",
    )


def add_temperature(parser: argparse.ArgumentParser) -> None:
    """The target."""
    parser.add_argument(
        "--temperature-K", dest="temperature_K", type=float, metavar="X",
        help="of the ensemble; default: from run.json or i-PI's checkpoint",
    )  # fmt: skip


def add_atoms(parser: argparse.ArgumentParser) -> None:
    """What a properties file doesn't say."""
    parser.add_argument(
        "--atoms", type=int, metavar="N",
        help="number of atoms; default: from run.json, i-PI's checkpoint or a trajectory",
    )  # fmt: skip


def masses(text: str) -> dict[str, float]:
    """``H=1.008,O=15.999`` as a table."""
    try:
        pairs = [pair.split("=") for pair in text.split(",")]
        found = {name.strip(): float(mass) for name, mass in pairs}
        if len(found) < len(pairs):
            raise ValueError("a species twice")
        return found
    except ValueError as err:
        raise argparse.ArgumentTypeError(f"got {text!r}; expected for instance H=1.008,O=15.999") \
            from err  # fmt: skip


def options(args: argparse.Namespace) -> Options:
    """What the user said; InputError for a number out of its range."""
    for name in ("timestep_fs", "temperature_K", "atoms"):
        positive(args, name)
    check_discard(args)
    return Options(
        timestep_fs=getattr(args, "timestep_fs", None),
        masses_u=getattr(args, "masses_u", None),
        temperature_K=getattr(args, "temperature_K", None),
        n_atoms=getattr(args, "atoms", None),
        discard_ps=args.discard_ps,
        unit=getattr(args, "unit", None),
        fixed_com=not getattr(args, "free_com", False),
    )


def check_discard(args: argparse.Namespace) -> None:
    """Refuse a negative time to leave out."""
    if args.discard_ps is not None and not args.discard_ps >= 0.0:
        raise InputError(f"--discard-ps {args.discard_ps:g}; expected 0 or more")


def positive(args: argparse.Namespace, *names: str) -> None:
    """Refuse options that must be positive where they are given."""
    for name in names:
        value = getattr(args, name, None)
        if value is not None and not value > 0:
            raise InputError(f"{_option(name)} {value:g}; expected a positive number")


def say_what_goes_on(data: Dataset) -> None:
    """Warn of runs that haven't ended: their files grow, or their launcher was killed."""
    for source in data.sources:
        with suppress(InputError):  # whoever needs what lies beside the file says what is wrong
            directory = data.folder or source.directory
            if note := holder.not_ended(directory, source.metadata.record):
                log.warning("%s", note)
                if data.folder:  # one launcher runs all replicas
                    return


def publish(args: argparse.Namespace, measure: Callable[[Dataset], Result]) -> int:
    """Check the targets, open the files, measure, print the table, write the files."""
    targets = Targets(args.json, args.csv, args.plot, args.force)
    targets.check()
    conditions = open_conditions(args.files, options(args))
    for one in conditions:
        say_what_goes_on(one.data)
    found = measured(conditions, measure)
    sys.stdout.write(table(found.lines()))
    if targets.paths:
        every = [one.data for one in conditions]
        models = dict.fromkeys(data.model_sha256 for data in every)
        files = [file for data in every for file in data.files()]
        provenance = Provenance.of(files, ", ".join(filter(None, models)))
        written = write(found, targets, provenance)
        log.info("wrote %s", ", ".join(str(path) for path in written))
    return 0


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")
