"""``ncforce optimize``: geometry optimisation with slow forces, fast ones, or fast ones first."""

from __future__ import annotations

import argparse
import functools
import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ncforce_ipi.backend import Backend, Kind
from ncforce_ipi.cli import forces
from ncforce_ipi.cli.arguments import DEFAULT_MODEL, add_net_force
from ncforce_ipi.cli.paths import path
from ncforce_ipi.errors import InputError
from ncforce_ipi.provenance import Provenance
from ncforce_ipi.result import write_csv, write_json

if TYPE_CHECKING:
    from ncforce_ipi.diagnostics.batch import Result
    from ncforce_ipi.diagnostics.optimise import Method
    from ncforce_ipi.diagnostics.sides import Side
    from ncforce_ipi.reading.structures import Frame

log = logging.getLogger(__name__)
SETS = ("g2",)
EXAMPLES = (
    (
        "one frame with slow, fast and fast-then-slow forces of the carbon model",
        "optimize carbon.xyz@-1 --model carbon",
    ),
    (
        "24 displaced starts of a molecule, SevenNet-0 slow, a model of your own fast",
        "optimize molecule.xyz --slow sevennet:7net-0 --fast my.pt --displace-A 0.5 --copies 24",
    ),
)
FILES = ("optimize.json", "optimize.csv", "optimize.png", "optimized.xyz")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``ncforce optimize``."""
    parser.add_argument(
        "structures",
        nargs="+",
        metavar="STRUCTURE",
        help="FILE (all frames), FILE@INDEX (@0, @-1, @::10), of any format that ASE reads, or g2: "
        "the closed-shell molecules of H, C, N, O, F in ASE's G2 set",
    )
    _add_models(parser.add_argument_group("models"))
    _add_search(parser.add_argument_group("optimisation"))
    _add_starts(parser.add_argument_group("starts"))
    computer = parser.add_argument_group("computer")
    computer.add_argument("--processes", type=int, default=1, metavar="N", help="default 1")
    computer.add_argument(
        "--threads", type=int, default=1, metavar="N", help="of each process, default 1"
    )
    files = parser.add_argument_group("files")
    files.add_argument(
        "--out", type=path, default=Path("optimize"), metavar="DIR", help="default optimize"
    )
    files.add_argument("--force", action="store_true", help="replace the files in DIR")


def _add_models(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--model", metavar="MODEL", help=f"both forces: {forces.HELP}; default water"
    )
    group.add_argument("--slow", metavar="MODEL", help="the slow forces from another model")
    group.add_argument(
        "--fast",
        metavar="MODEL",
        help="the fast forces from another model; default: the direct forces of the slow one",
    )
    group.add_argument(
        "--fast-kind",
        choices=("conservative", "direct"),
        help="kind of the fast force; default: direct where the model has it. A driver at a socket "
        "doesn't say what it has: name it here",
    )
    group.add_argument(
        "--precision",
        choices=("model", "float64"),
        default="model",
        help="float64: turn metatomic models to it, where float32 is too coarse for a small "
        "--fmax-eV-per-A; default model: as it is",
    )
    add_net_force(group, " (and for molecules the torque)")


def _add_search(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--forces",
        nargs="+",
        metavar="HOW",
        choices=("slow", "fast", "fast-then-slow"),
        help="one or more of slow, fast, fast-then-slow; default: all three, or slow where the "
        "model has one kind of force",
    )
    group.add_argument(
        "--optimizer",
        nargs="+",
        default=["LBFGS"],
        choices=("FIRE", "LBFGS"),
        help="one or both, default LBFGS",
    )
    group.add_argument(
        "--fmax-eV-per-A",
        dest="fmax",
        type=float,
        metavar="X",
        help="converged when no force is larger; default 1e-5 for molecules, 1e-4 for periodic "
        "structures",
    )
    group.add_argument(
        "--steps", type=int, default=1000, metavar="N", help="at most N steps, default 1000"
    )


def _add_starts(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--frames", type=int, metavar="N", help="use N frames of each STRUCTURE, evenly spaced"
    )
    group.add_argument(
        "--displace-A",
        type=float,
        default=0.0,
        metavar="X",
        help="first move every coordinate by gaussian noise of this width, default 0",
    )
    group.add_argument(
        "--copies",
        type=int,
        default=1,
        metavar="N",
        help="start N times from each structure, each time with other noise; default 1",
    )
    group.add_argument("--seed", type=int, default=0, metavar="N", help="of the noise")


def run(args: argparse.Namespace) -> int:
    """Table on stdout; JSON, CSV, figure and structures into ``--out``."""
    from ncforce_ipi.cli.display import display
    from ncforce_ipi.diagnostics import batch

    _choose_models(args)
    there = [str(args.out / name) for name in FILES if (args.out / name).exists()]
    if there and not args.force:
        raise InputError(f"{' and '.join(there)} exist; choose another --out or use --force")
    if args.processes < 1:
        raise InputError(f"--processes: expected 1 or more, got {args.processes}")
    models, methods = _models(args)
    tasks = batch.tasks(
        _groups(args.structures, args.frames),
        methods=methods,
        optimisers=args.optimizer,
        fmax=args.fmax,
        steps=args.steps,
        displace_A=args.displace_A,
        copies=args.copies,
        seed=args.seed,
    )
    opened = functools.partial(open_sides, _opening(args))
    results = batch.optimise_all(tasks, opened, args.processes, display)
    _write(args.out, forces.provenance(models), results)
    return 0 if len(results) == len(tasks) else 1


def _choose_models(args: argparse.Namespace) -> None:
    """``--model`` gives both forces, except those that ``--slow`` or ``--fast`` name."""
    forces.say_unused(args.model, args.slow, args.fast)
    if args.slow is None:
        args.slow = args.model or DEFAULT_MODEL
    elif args.fast is None:
        args.fast = args.model


def _write(out: Path, provenance: Provenance, results: Sequence[Result]) -> None:
    from ncforce_ipi.diagnostics import optimise_report

    sys.stdout.write(optimise_report.table(results) + "\n")
    out.mkdir(parents=True, exist_ok=True)
    paths = [out / name for name in FILES]
    write_json(paths[0], {"results": optimise_report.record(results)}, provenance)
    write_csv(paths[1], optimise_report.columns(results), provenance)
    optimise_report.draw(results, paths[2], provenance.lines())
    optimise_report.write_structures(paths[3], results)
    log.info("wrote %s", ", ".join(str(path) for path in paths))


@dataclass(frozen=True)
class Opening:
    """Which models are loaded and how; sent to each process."""

    slow: str
    fast: str | None
    fast_kind: Kind | None
    keep_net_force: bool
    precision: str
    threads: int


def _opening(args: argparse.Namespace) -> Opening:
    return Opening(
        args.slow, args.fast, args.fast_kind, args.keep_net_force, args.precision, args.threads
    )


def _open(spec: str, kind: Kind | None, how: Opening) -> Backend:
    backend = forces.opened(spec, kind, how.threads)
    if how.precision == "float64" and backend.castable:
        backend.to_float64()
    return backend


def open_sides(how: Opening) -> tuple[Side, Side | None]:
    """Load both models in the process that calls; no fast side if there is nothing to choose."""
    from ncforce_ipi.diagnostics.sides import Side

    backend = _open(how.slow, None, how)
    kind: Kind = "conservative" if "conservative" in backend.kinds else "direct"
    first = Side(backend, kind, how.keep_net_force)
    if how.fast is not None:
        other = _open(how.fast, how.fast_kind, how)
        kind = how.fast_kind or ("direct" if "direct" in other.kinds else "conservative")
        if kind not in other.kinds:
            raise InputError(f"--fast-kind: {other.description} has no {kind} forces")
        return first, Side(other, kind, how.keep_net_force)
    if how.fast_kind not in (None, *backend.kinds - {kind}):
        raise InputError(
            f"--fast-kind: {backend.description} has no {how.fast_kind} forces besides the slow "
            f"ones, which are {kind}; name a --fast model"
        )
    if backend.kinds == {"conservative", "direct"}:
        return first, Side(backend, "direct", how.keep_net_force)
    return first, None


def _models(args: argparse.Namespace) -> tuple[list[dict[str, str | None]], list[Method]]:
    """Who they are, and the ways to optimise that they allow; mistakes are found here, once."""
    from ncforce_ipi.diagnostics.optimise import METHODS

    slow, fast = open_sides(_opening(args))
    models = [forces.identity(args.slow, slow.backend)]
    if fast is not None and fast.backend is not slow.backend:
        models.append(forces.identity(args.fast, fast.backend))
    _say_precision(args.precision, [side.backend for side in (slow, fast) if side])
    methods: list[Method] = args.forces or (list(METHODS) if fast else ["slow"])
    if args.fast and methods == ["slow"]:
        log.warning("--fast %s isn't used: --forces slow", args.fast)
    if fast is None and methods != ["slow"]:
        raise InputError(f"{slow.backend.description} has one kind of force; name a --fast model")
    for side in (slow, fast):
        if side is not None:
            side.backend.close()
    return models, methods


def _say_precision(asked: str, backends: Sequence[Backend]) -> None:
    """Say which models stay as they are.

    Raises
    ------
    InputError
        Float64 is wanted and no model can be turned to it.
    """
    fixed = list(dict.fromkeys(one.description for one in backends if not one.castable))
    if asked == "model" or not fixed:
        return
    if not any(one.castable for one in backends):
        raise InputError(
            f"--precision float64 turns metatomic models, and {' and '.join(fixed)} isn't one; "
            "leave it out"
        )
    log.warning("%s stays in its own precision: only metatomic models are turned", fixed[0])


def _groups(sources: Sequence[str], most: int | None) -> dict[str, list[Frame]]:
    """Structures by the name of their set; of two files with one name together."""
    groups: dict[str, list[Frame]] = {}
    for source in sources:
        groups.setdefault(_group(source), []).extend(_frames(source, most))
    return groups


def _group(source: str) -> str:
    """``held_out`` of ``path/held_out.xyz.xz@:9``."""
    return Path(source.partition("@")[0]).name.partition(".")[0]


def _frames(source: str, most: int | None) -> list[Frame]:
    from ncforce_ipi.reading.structures import evenly, g2_closed_shell, read_frames

    if source in SETS:
        return evenly(g2_closed_shell(), most)
    return read_frames([source], most, of_runs=True)
