"""``ncforce train``: a compact hybrid model from labelled frames."""

from __future__ import annotations

import argparse
import math

from ncforce_ipi.cli.paths import path
from ncforce_ipi.errors import InputError

EXAMPLES = (
    (
        "the shipped water model's recipe",
        "train benchmarks/training/water/recipe.toml --out model",
    ),
    (
        "direct forces first, then both",
        "train recipe.toml --stage direct --out first",
    ),
    (
        "and on with those weights",
        "train recipe.toml --stage finetune --init first/checkpoint.pt --out model",
    ),
    (
        "on a GPU, for half an hour",
        "train recipe.toml --device cuda --minutes 30 --out model",
    ),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``ncforce train``."""
    parser.add_argument(
        "recipe", type=path, help="TOML file, e.g. benchmarks/training/water/recipe.toml"
    )
    parser.add_argument(
        "--data", type=path, help="folder of the data files (default: the recipe's)"
    )
    parser.add_argument(
        "--stage",
        choices=("scratch", "direct", "finetune", "distil"),
        default="scratch",
        help="scratch (default): both forces, from random weights; direct: the direct force "
        "alone, which needs no derivatives; finetune: both forces, from the weights of --init; "
        "distil: the direct force alone, on the conservative one of --init",
    )
    parser.add_argument("--init", type=path, help="checkpoint.pt to start from (finetune, distil)")
    parser.add_argument("--n-steps", type=int, help="training steps instead of the recipe's")
    parser.add_argument(
        "--minutes", type=float, help="train this long instead; the learning rates follow the clock"
    )
    parser.add_argument("--seed", type=int, help="seed instead of the recipe's")
    parser.add_argument("--threads", type=int, default=1, help="of the CPU, default 1")
    parser.add_argument("--device", default="cpu", help="cpu (default), or a GPU: cuda, cuda:1")
    parser.add_argument("--no-compile", action="store_true", help="no C++ compiler at hand")
    parser.add_argument("--out", type=path, required=True, help="folder for curve and checkpoint")
    parser.add_argument("--force", action="store_true", help="write into an existing folder")
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on with the training that was cut off in --out, after its last validation; the "
        "other words are those it was begun with",
    )


def run(args: argparse.Namespace) -> int:
    """Train, write checkpoint, curve, provenance and the exported model."""
    if args.force and args.resume:
        raise InputError("--force begins anew and --resume goes on; give one of them")
    if args.out.exists() and not (args.force or args.resume):
        raise InputError(
            f"{args.out} exists; choose another --out, or add --force, or --resume where a "
            "training was cut off"
        )
    if args.stage in ("finetune", "distil") and args.init is None:
        raise InputError(
            f"--stage {args.stage} starts from an earlier run: add --init checkpoint.pt"
        )
    if args.init is not None and not args.init.is_file():
        raise InputError(f"--init {args.init} not found; give the checkpoint.pt of an earlier run")
    if args.init is not None and args.stage == "scratch":
        raise InputError("--stage scratch starts from random weights; with --init give finetune")
    if args.minutes is not None and not (math.isfinite(args.minutes) and args.minutes > 0):
        raise InputError(f"--minutes: expected a positive number, got {args.minutes}")
    if args.threads < 1:
        raise InputError(f"--threads: expected 1 or more, got {args.threads}")
    if args.minutes is not None and args.stage == "distil":
        raise InputError("--minutes is for training both heads; for distil give --n-steps")
    if args.device != "cpu" and args.stage == "distil":
        raise InputError("--stage distil runs on the CPU; leave out --device")
    from ncforce_ipi.training.program import train

    train(
        args.recipe,
        args.data or args.recipe.parent,
        args.out,
        stage=args.stage,
        initial=args.init,
        changes={"n_steps": args.n_steps, "seed": args.seed},
        threads=args.threads,
        compiled=not args.no_compile,
        device=args.device,
        minutes=args.minutes,
        resume=args.resume,
    )
    return 0
