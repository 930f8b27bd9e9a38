"""``ncforce distil``: a fast partner for a slow model, tested, in one command."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ncforce_ipi.cli.display import display
from ncforce_ipi.cli.paths import path
from ncforce_ipi.errors import InputError, RunError
from ncforce_ipi.inputs.systems import SYSTEMS
from ncforce_ipi.launch.between import Between, Stopped, stoppable
from ncforce_ipi.launch.processes.timelimit import TimeLimit

if TYPE_CHECKING:
    from ncforce_ipi.distil.card import Card
    from ncforce_ipi.distil.request import Request
    from ncforce_ipi.distil.teacher import Known

EXAMPLES = (
    (
        "a partner of SevenNet-0 for a molten salt",
        "distil sevennet:7net-0 --structure nacl.xyz --temperature-K 1300 --minutes 90 --out pair",
    ),
    (
        "what would be chosen, and why",
        "distil sevennet:7net-0 --structure nacl.xyz --temperature-K 1300 --out pair --recipe",
    ),
    (
        "go on after Ctrl-C, or learn the frames that a run was stopped at",
        "distil --resume --out pair --add run",
    ),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``ncforce distil``."""
    from ncforce_ipi.cli.job import SPEC

    parser.add_argument("teacher", nargs="?", metavar="TEACHER", help="the slow model; see below")
    add = parser.add_argument_group("what for", SPEC).add_argument
    add("--structure", nargs="+", metavar="FILE",
        help="one or more start structures: last frame of FILE, or FILE@INDEX")  # fmt: skip
    add("--temperature-K", dest="temperatures_K", type=_temperatures, metavar="X[,X]",
        help="one or several, default 300 K")  # fmt: skip
    add("--npt", action="store_true", help="sample and test at constant pressure")
    add("--mts", type=int, metavar="M", help="that the pair is to pass at, default 8")
    add("--timestep-fs", type=float, metavar="X",
        help="inner time step; default by the lightest atom")  # fmt: skip
    add = parser.add_argument_group("how much").add_argument
    add("--minutes", type=float, metavar="X", help="wall time that may be spent")
    add("--time-limit", metavar="TIME",
        help="wall time of this call, as Slurm writes it (24:00:00): it stops before its end with "
        "exit code 75, to go on with --resume")  # fmt: skip
    add("--teacher-calls", type=int, metavar="N", help="evaluations of TEACHER that may be spent")
    add("--device", metavar="NAME[,NAME]",
        help="cpu or cuda, for models and training; cuda:0,cuda:1 label together")  # fmt: skip
    add("--drivers", type=int, metavar="K",
        help="processes that label frames together; default: one, or one for each device",
        )  # fmt: skip
    add("--threads", type=int, metavar="N", help="CPU threads of each, default 1")
    add("--seed", type=int, metavar="N", help="default 1")
    add("--set", action="append", metavar="NAME=VALUE", dest="changes",
        help="another value than the program's own; names as --recipe prints them")  # fmt: skip
    add = parser.add_argument_group("where, and going on").add_argument
    add("--out", type=path, required=True, metavar="DIR", help="directory of the pair")
    add("--recipe", action="store_true", help="print what is chosen and why, and do nothing")
    add("--resume", action="store_true",
        help="go on with what is in DIR; --minutes and --teacher-calls are new totals, --device, "
        "--threads and --drivers may be others",
        )  # fmt: skip
    add("--add", type=path, nargs="+", metavar="RUN_DIR",
        help="with --resume: learn the frames that runs kept (disagreeing.extxyz, or those of "
        "--write-forces), and test again")  # fmt: skip
    add("--force", action="store_true", help="move an earlier distillation in DIR aside")


def run(args: argparse.Namespace) -> int:
    """Distil; 0 if an M passes."""
    from ncforce_ipi.distil.state import FILE, done_in

    limit = None if args.time_limit is None else TimeLimit.of_this_process(args.time_limit)
    before = done_in(args.out)
    try:
        with stoppable(limit) as between:
            return _run(args, between)
    except Stopped as stop:
        if stop.ending.out_of_time and done_in(args.out) == before:
            raise RunError(
                f"no stage, no step of a run and no part of a training was done in {limit}; "
                "give a longer --time-limit"
            ) from stop
        again = f"ncforce distil --resume --out {shlex.quote(str(args.out))}"
        how = (
            f"go on with: {again}"
            if (args.out / FILE).is_file()
            else "nothing was done yet; begin again"
        )
        sys.stderr.write(f"ncforce distil: {stop.ending.reason}; {how}\n")
        return stop.ending.exit_code


def _run(args: argparse.Namespace, between: Between) -> int:
    if args.add and not args.resume:
        raise InputError("--add needs --resume: frames are added to a distillation that is there")
    if args.resume:
        return _resume(args, between)
    request = request_of(args)
    from ncforce_ipi.distil import flow

    if args.recipe:
        known, choices = flow.preview(request)
        _print_recipe(known, choices.lines(request.changes))
        return 0
    return _finish(
        flow.begin(request, args.out, force=args.force, between=between, progress=display)
    )


def check_resume(args: argparse.Namespace) -> None:
    """Refuse options of a start where one goes on."""
    fixed = ("teacher", "structure", "temperatures_K", "mts", "timestep_fs", "seed", "changes")
    given = [name for name in fixed if getattr(args, name) is not None]
    given += [name for name in ("npt", "force", "recipe") if getattr(args, name)]
    if given:
        names = ", ".join("--" + name.replace("_", "-") for name in given)
        raise InputError(f"--resume goes on as it was begun; leave out {names}")


def _resume(args: argparse.Namespace, between: Between) -> int:
    check_resume(args)
    from ncforce_ipi.distil import flow

    where = {name: getattr(args, name) for name in ("device", "threads", "drivers")}
    card = flow.go_on(
        args.out,
        args.add or [],
        minutes=args.minutes,
        teacher_calls=args.teacher_calls,
        where={name: value for name, value in where.items() if value is not None},
        between=between,
        progress=display,
    )
    return _finish(card)


def request_of(args: argparse.Namespace) -> Request:
    """What the words ask for."""
    if not args.teacher or not args.structure:
        missing = "TEACHER" if not args.teacher else "--structure"
        raise InputError(f"{missing} is missing; expected: ncforce distil TEACHER --structure FILE")
    from ncforce_ipi.distil.request import Request

    changes = dict(_pair(text) for text in args.changes or [])
    if args.timestep_fs is not None:
        changes["timestep_fs"] = str(args.timestep_fs)
    return Request(
        teacher=args.teacher,
        structures=tuple(map(_absolute, args.structure)),
        temperatures_K=args.temperatures_K or (300.0,),
        mts=8 if args.mts is None else args.mts,
        minutes=args.minutes,
        teacher_calls=args.teacher_calls,
        npt=args.npt,
        device=args.device,
        threads=1 if args.threads is None else args.threads,
        drivers=args.drivers,
        seed=1 if args.seed is None else args.seed,
        changes=changes,
    )


def _absolute(source: str) -> str:
    """FILE or FILE@INDEX that another working directory finds too; a shipped system as it is."""
    return source if source in SYSTEMS else str(path(source).absolute())


def _temperatures(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(word) for word in text.split(","))
    except ValueError as err:
        raise argparse.ArgumentTypeError(f"{text!r}; expected X, or X,Y, in K") from err


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise InputError(f"--set {text}: expected NAME=VALUE; --recipe prints the names")
    return name, value


def _print_recipe(known: Known, lines: Sequence[tuple[str, str, str]]) -> None:
    sys.stdout.write(f"teacher: {known.description}, {1e3 * known.seconds:.0f} ms a call\n")
    width = max(len(name) for name, *_ in lines)
    for name, value, reason in lines:
        sys.stdout.write(f"{name:<{width}}  {value:<8}  {reason}\n")


def _finish(card: Card) -> int:
    gain = f", {card.speed_up:.1f} times as fast as slow forces alone" * (card.speed_up > 0)
    sys.stdout.write(f"{card.path}: passes at M = {card.mts}{gain}; next:\n{card.command}\n")
    return 0
