"""``ncforce inspect-pair``: whether two forces go together in multiple time steps, before a run."""

from __future__ import annotations

import argparse
import contextlib
import logging
import sys
from pathlib import Path

from ncforce_ipi.backend import Backend, Kind
from ncforce_ipi.cli import forces
from ncforce_ipi.cli.arguments import DEFAULT_MODEL, add_net_force, add_structures
from ncforce_ipi.errors import InputError
from ncforce_ipi.inputs.plan import Plan
from ncforce_ipi.models import SHIPPED

log = logging.getLogger(__name__)
KINDS = ("conservative", "direct")
EXAMPLES = (
    ("both forces of the water model, modes of 3 frames", "inspect-pair md.xyz --model water"
     " --mode-frames 3"),
    ("SevenNet-0 slow, the aluminium model fast", "inspect-pair al.xyz@0 --slow sevennet:7net-0"
     " --fast aluminium --timestep-fs 2 --plot pair.png"),
)  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``ncforce inspect-pair``."""
    add_structures(parser)
    models = parser.add_argument_group("models")
    models.add_argument(
        "--model", metavar="MODEL", help=f"both forces: {forces.HELP}; default water"
    )
    models.add_argument("--slow", metavar="MODEL", help="the slow forces from another model")
    models.add_argument("--fast", metavar="MODEL", help="the fast forces from another model")
    models.add_argument(
        "--slow-kind", choices=KINDS, default="conservative", help="default conservative"
    )
    models.add_argument("--fast-kind", choices=KINDS, help="default: direct if the model has it")
    models.add_argument("--threads", type=int, default=1, metavar="N", help="default 1")
    add_net_force(models)
    steps = parser.add_argument_group("time steps and modes")
    steps.add_argument(
        "--timestep-fs", type=float, default=0.5, metavar="X", help="inner step, default 0.5 fs"
    )
    steps.add_argument(
        "--most-mts", type=int, default=16, metavar="M", help="the scan ends here, default 16"
    )
    steps.add_argument(
        "--modes",
        choices=("auto", "normal", "bonds"),
        default="auto",
        help="normal modes, or stretches of 40 of the lightest bonds; default auto: normal modes "
        "up to 400 atoms",
    )
    steps.add_argument(
        "--mode-frames", type=int, default=1, metavar="N", help="modes of N frames; default 1"
    )
    steps.add_argument(
        "--mass",
        action="append",
        default=[],
        metavar="SYMBOL=X",
        help="mass of an element in u, like H=2.014; default: as the structure or its run has it, "
        "else ASE's",
    )
    forces.add_files(parser, "the scan over M")


def run(args: argparse.Namespace) -> int:
    """The page on stdout, files where asked for."""
    from ncforce_ipi.cli.display import display
    from ncforce_ipi.diagnostics import pair_report
    from ncforce_ipi.diagnostics.pair import inspect_pair
    from ncforce_ipi.diagnostics.sides import Side
    from ncforce_ipi.reading.structures import read_frames

    forces.check_outputs([args.json, args.csv, args.plot], args.force)
    Plan("mts", args.most_mts, args.timestep_fs, 1)  # refuses what makes no step
    masses_u = _masses(args.mass)
    _choose_models(args)
    frames = read_frames(args.structures, args.frames, of_runs=True)
    with contextlib.ExitStack() as stack:
        slow, fast = _open(args, stack)
        fast_kind: Kind = args.fast_kind or ("direct" if "direct" in fast.kinds else "conservative")
        pair = inspect_pair(
            Side(slow, args.slow_kind, args.keep_net_force),
            Side(fast, fast_kind, args.keep_net_force),
            frames,
            step_fs=args.timestep_fs,
            most_mts=args.most_mts,
            modes=args.modes,
            n_modes_structures=args.mode_frames,
            masses_u=masses_u,
            progress=display,
        )
        models = [forces.identity(args.slow, slow), forces.identity(args.fast, fast)]
    sys.stdout.write(pair_report.table(pair) + "\n")
    forces.write_files(args, forces.provenance(models), pair_report, pair)
    return 0


def _choose_models(args: argparse.Namespace) -> None:
    """``--model`` gives both forces, except those that ``--slow`` or ``--fast`` name.

    0.1 had SLOW FAST STRUCTURE ... without options.
    """
    named = args.model or args.slow or args.fast
    if not named and len(args.structures) > 2 and all(map(_is_model, args.structures[:2])):
        args.slow, args.fast, *args.structures = args.structures
        log.warning("inspect-pair SLOW FAST will go: say --slow %s --fast %s", args.slow, args.fast)
        return
    forces.say_unused(args.model, args.slow, args.fast)
    args.slow = args.slow or args.model or DEFAULT_MODEL
    args.fast = args.fast or args.model or args.slow


def _is_model(word: str) -> bool:
    """Whether a word without an option is a model, as in 0.1, and no structure."""
    return word in SHIPPED or Path(word).suffix == ".pt" or not Path(word.split("@")[0]).is_file()


def _open(args: argparse.Namespace, stack: contextlib.ExitStack) -> tuple[Backend, Backend]:
    """Both models; one for both if the words are the same and it has both kinds of force."""
    slow = stack.enter_context(forces.opened(args.slow, args.slow_kind, args.threads))
    if args.fast == args.slow and args.fast_kind in (None, *slow.kinds):
        return slow, slow
    return slow, stack.enter_context(forces.opened(args.fast, args.fast_kind, args.threads))


def _masses(words: list[str]) -> dict[str, float]:
    from ncforce_ipi.species import NUMBERS

    masses = {}
    for word in words:
        symbol, _, value = word.partition("=")
        try:
            masses[symbol] = float(value)
        except ValueError as err:
            raise InputError(f"--mass: expected SYMBOL=X, like H=2.014, got {word!r}") from err
        if symbol not in NUMBERS:
            raise InputError(f"--mass: expected SYMBOL=X, like H=2.014, got {word!r}")
    return masses
