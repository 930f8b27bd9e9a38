"""Options that several verbs have in common, and the examples at the end of a verb's ``--help``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from ncforce_ipi.cli import forces


def add_examples(parser: argparse.ArgumentParser, examples: Sequence[tuple[str, str]]) -> None:
    """Show commands (without ``ncforce``), each below what it does."""
    lines = [f"  {text}:\n    ncforce {command}" for text, command in examples]
    parser.epilog = "examples:\n" + "\n".join(lines)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter


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
    """``--model`` and ``--threads``."""
    group.add_argument(
        "--model", default="water", metavar="MODEL", help=f"{forces.HELP}; default water"
    )
    group.add_argument("--threads", type=int, default=1, metavar="N", help="default 1")


def add_net_force(group: argparse._ArgumentGroup, more: str = "") -> None:
    """``--keep-net-force``."""
    group.add_argument(
        "--keep-net-force",
        action="store_true",
        help=f"keep the mean{more} of direct forces, which drivers subtract",
    )
