"""The program ``ncforce VERB``.  Owns parsing, exit codes and where messages go; no physics.

Each verb is one module of this package with ``add_arguments(parser)`` and ``run(args)``; it is
imported only when its verb is called, so that ``ncforce driver`` starts on a node that has numpy
and one model library.  Exit 0, 1 (one line on stderr, ``--debug`` shows the traceback), 2 (usage).
"""

from __future__ import annotations

import argparse
import importlib
import logging
import re
import sys
from collections.abc import Sequence

from ncforce_ipi import __version__
from ncforce_ipi.cli.ending import Formatter, guarded, without_optimisation
from ncforce_ipi.cli.streams import standing

DESCRIPTION = """\
Molecular dynamics with i-PI and machine-learned forces: direct (fast) forces, corrected by
conservative (slow) ones in multiple time steps."""
GROUPS = {
    "runs": {
        "run": "run molecular dynamics with i-PI and our drivers",
        "compare": "the same start with slow, fast and MTS forces, or finished runs, side by side",
        "tune": "run a scan over M and say which M to take",
        "input": "write the i-PI input and start structure without running them",
        "slurm": "write a job script that goes on until the run is done",
        "slurm distil": "the same for a distillation",
        "driver": "serve a model's forces to an i-PI server",
    },
    "results": {
        "analyze": "everything that a run's files tell, with tables and figures",
        "report": "one HTML page of one or several runs",
        "drift": "drift of the conserved quantity and of the temperature",
        "temperature": "temperature of each species, equipartition, Maxwell's distribution",
        "rdf": "g(r) and coordination numbers",
        "vdos": "velocity spectra of each species",
        "diffusion": "diffusion coefficients from displacements and velocities",
        "power": "power of non-conservative forces in a thermostat",
    },
    "before a run": {
        "inspect-pair": "whether two forces go together in multiple time steps",
        "jacobian": "how far a force is from a gradient: asymmetry of its Jacobian",
        "loop-work": "the work that a force does along closed paths",
        "optimize": "geometry optimisation with slow forces, fast ones, or fast ones first",
        "gle": "what a thermostat does to each frequency and to diffusion",
    },
    "models": {
        "distil": "make and test a fast partner for a slow model",
        "train": "train a compact model with both kinds of force",
    },
}
OPTIONS_OF_OTHERS = {"--sbatch", "--driver-options"}  # what follows are options of other programs
VERBS = {name: text for verbs in GROUPS.values() for name, text in verbs.items()}


def main(argv: list[str] | None = None) -> int:
    """Run one verb; return the exit code."""
    if argv is None:
        without_optimisation()
    words = _verb_first(_with_options_of_others(sys.argv[1:] if argv is None else argv))
    called = argparse.Namespace(verb="", debug="--debug" in words)

    def call() -> int:
        _parser(words).parse_args(words, called)
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(Formatter("ncforce: %(message)s"))
        logging.basicConfig(handlers=[handler], level=logging.INFO, force=True)
        return int(called.function(called) or 0)

    with standing():
        return guarded(call, called)


def _with_options_of_others(words: list[str]) -> list[str]:
    """The same with ``--sbatch --mem=32G`` as one word: argparse would take the second for ours."""
    found: list[str] = []
    for word in words:
        if found and found[-1] in OPTIONS_OF_OTHERS and word.startswith("-"):
            found[-1] += f"={word}"
        else:
            found.append(word)
    return found


def _verb_first(words: list[str]) -> list[str]:
    """The same with a verb of two words as one."""
    for verb in VERBS:
        if (parts := verb.split()) == words[: len(parts)]:
            words = [verb, *words[len(parts) :]]
    return words


def _parser(words: list[str]) -> argparse.ArgumentParser:
    """Parser in which only the verb that is called has its arguments."""
    parser = argparse.ArgumentParser(
        prog="ncforce",
        description=DESCRIPTION,
        epilog=_overview(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"ncforce {__version__}")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    called = next((word for word in words if not word.startswith("-")), None)
    for name, text in VERBS.items():
        verb = verbs.add_parser(name, description=f"{text[0].upper()}{text[1:]}.")
        verb.add_argument("--debug", action="store_true", help="show the traceback of an error")
        if name == called:
            module = importlib.import_module(f"ncforce_ipi.cli.{re.sub('[- ]', '_', name)}")
            module.add_arguments(verb)
            add_examples(verb, module.EXAMPLES)
            verb.set_defaults(function=module.run)
    return parser


def add_examples(parser: argparse.ArgumentParser, examples: Sequence[tuple[str, str]]) -> None:
    """Show commands (without ``ncforce``), each below what it does."""
    lines = [f"  {text}:\n    ncforce {command}" for text, command in examples]
    parser.epilog = "examples:\n" + "\n".join(lines)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter


def _overview() -> str:
    """All verbs by what they are for."""
    lines = []
    for group, verbs in GROUPS.items():
        lines += [f"{group}:", *(f"  {name:<13}{text}" for name, text in verbs.items()), ""]
    lines += [
        "examples:",
        "  a picosecond of water, then what it tells:",
        "    ncforce run water --time-ps 1 --out demo && ncforce analyze demo",
        "  options and examples of one verb:",
        "    ncforce run --help",
    ]
    return "\n".join(lines)
