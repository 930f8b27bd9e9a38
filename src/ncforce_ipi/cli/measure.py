"""What ``drift``, ``rdf``, ``vdos``, ``temperature``, ``diffusion`` and ``power`` share.

Owns their common options and where results go; the physics is in `ncforce_ipi.observables`.
"""

from __future__ import annotations

import argparse
import logging
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from ncforce_ipi import result as findings
from ncforce_ipi.errors import InputError
from ncforce_ipi.reading.metadata import look_around, properties_beside
from ncforce_ipi.reading.replicas import PATTERNS, Given

log = logging.getLogger(__name__)


def add_files(parser: argparse.ArgumentParser, what: str) -> None:
    """The files, the discarded start, and where results go."""
    add = parser.add_argument
    add("files", nargs="+", type=Path, metavar="FILE",
        help=f"{what}, or a directory with it; several are replicas of one system")  # fmt: skip
    add("--discard-ps", type=float, default=0.0, metavar="X",
        help="time left out at the start, ps, default 0")  # fmt: skip
    group = parser.add_argument_group("results").add_argument
    group("--json", type=Path, metavar="FILE", help="write all numbers")
    group("--csv", type=Path, metavar="FILE", help="write curves or series")
    group("--plot", type=Path, metavar="FILE", help="write the figure: .png, .pdf or .svg")
    group("--force", action="store_true", help="replace files that exist")


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
        "--free-com", action="store_true", help="the centre of mass is not held at rest (fixcom)"
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
        pairs = (pair.split("=") for pair in text.split(","))
        return {name.strip(): float(mass) for name, mass in pairs}
    except ValueError as err:
        raise argparse.ArgumentTypeError(f"got {text!r}; expected for instance H=1.008,O=15.999") \
            from err  # fmt: skip


def given(args: argparse.Namespace) -> Given:
    """What the user said; InputError for a number out of its range."""
    for name in ("timestep_fs", "temperature_K", "atoms"):
        value = getattr(args, name, None)
        if value is not None and not value > 0:
            raise InputError(f"{_option(name)} {value:g}; expected a positive number")
    if not args.discard_ps >= 0.0:
        raise InputError(f"--discard-ps {args.discard_ps:g}; expected 0 or more")
    return Given(
        timestep_fs=getattr(args, "timestep_fs", None),
        masses_u=getattr(args, "masses_u", None),
        temperature_K=getattr(args, "temperature_K", None),
        n_atoms=getattr(args, "atoms", None),
        discard_ps=args.discard_ps,
        unit=getattr(args, "unit", None),
        fixed_com=not getattr(args, "free_com", False),
    )


def positive(args: argparse.Namespace, *names: str) -> None:
    """Refuse options that must be positive where they are given."""
    for name in names:
        value = getattr(args, name)
        if value is not None and not value > 0:
            raise InputError(f"{_option(name)} {value:g}; expected a positive number")


def publish(args: argparse.Namespace, measure: Callable[[], findings.Finding]) -> int:
    """Check the targets, measure, print the table, write the files."""
    targets = findings.Targets(args.json, args.csv, args.plot, args.force)
    targets.check()
    for path in args.files:
        if not path.exists():
            raise InputError(f"{path} is missing; expected a file, or a directory of a run")
    finding = measure()
    sys.stdout.write(findings.table(finding))
    command = shlex.join(["ncforce", *sys.argv[1:]])
    origin = findings.Origin(command, inputs(args.files), look_around(args.files[0]).model_sha256)
    written = findings.write(finding, targets, origin)
    if written:
        log.info("wrote %s", ", ".join(str(path) for path in written))
    return 0


def inputs(paths: Sequence[Path]) -> list[Path]:
    """Files, and of directories what there is to read."""
    found = []
    for path in paths:
        if path.is_file():
            found.append(path)
            continue
        found += sorted(file for pattern in PATTERNS for file in path.glob(pattern))
        properties = properties_beside(path)
        found += [properties] if properties is not None else []
    return found


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")
