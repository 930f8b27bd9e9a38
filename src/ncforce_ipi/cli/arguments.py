"""Options that the verbs about forces have in common."""

from __future__ import annotations

import argparse

from ncforce_ipi.cli import forces
from ncforce_ipi.errors import InputError

DEFAULT_MODEL = "water"


def add_structures(parser: argparse.ArgumentParser, frames: bool = True) -> None:
    """``STRUCTURE ...`` and, where a part of them will do, ``--frames``."""
    parser.add_argument(
        "structures",
        nargs="+",
        metavar="STRUCTURE",
        help="FILE (all frames) or FILE@INDEX (@0, @-1, @::10), of any format that ASE reads",
    )
    if frames:
        parser.add_argument(
            "--frames", type=int, metavar="N", help="use N of the frames, evenly spaced"
        )


def add_model(group: argparse._ArgumentGroup) -> None:
    """``--model``, or one that stands for its conservative or direct forces, and ``--threads``."""
    one = group.add_mutually_exclusive_group()
    one.add_argument("--model", metavar="MODEL", help=f"{forces.HELP}; default water")
    one.add_argument("--slow", metavar="MODEL", help="its conservative forces: --kind conservative")
    one.add_argument("--fast", metavar="MODEL", help="its direct forces: --kind direct")
    group.add_argument("--threads", type=int, default=1, metavar="N", help="default 1")


def chosen_model(args: argparse.Namespace) -> None:
    """Put what ``--slow`` or ``--fast`` says in the place of ``--model`` and ``--kind``.

    Raises
    ------
    InputError
        ``--kind`` says otherwise.
    """
    for word, kind in (("slow", "conservative"), ("fast", "direct")):
        if getattr(args, word) is None:
            continue
        if args.kind not in (None, kind):
            raise InputError(f"--{word} means {kind} forces, --kind {args.kind}; leave one out")
        args.model, args.kind = getattr(args, word), kind
    args.model = args.model or DEFAULT_MODEL


def add_net_force(group: argparse._ArgumentGroup, more: str = "") -> None:
    """``--keep-net-force``."""
    group.add_argument(
        "--keep-net-force",
        action="store_true",
        help=f"keep the mean{more} of direct forces, which drivers subtract",
    )
