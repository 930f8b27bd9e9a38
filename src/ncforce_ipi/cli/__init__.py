"""The program ``ncforce VERB``.  Owns parsing, exit codes and where messages go; no physics.

Each verb is one module of this package with ``add_arguments(parser)`` and ``run(args)``; it is
imported only when its verb is called, so that ``ncforce driver`` starts on a node that has numpy
and one model library.  Exit 0, 1 (one line on stderr, ``--debug`` shows the traceback), 2 (usage).
"""

from __future__ import annotations

import argparse
import importlib
import logging
import sys

from ncforce_ipi import __version__
from ncforce_ipi.errors import InputError, NcforceError

VERBS = {
    "run": "run molecular dynamics with i-PI and our drivers",
    "analyze": "drift, temperatures, g(r) and spectra of a run",
    "drift": "drift of the conserved quantity and of the temperature, of any i-PI output",
    "rdf": "g(r) and coordination numbers of any trajectory",
    "vdos": "velocity spectra of each species of any trajectory",
    "temperature": "of each species, equipartition, Maxwell's distribution",
    "diffusion": "diffusion coefficients from displacements and velocities",
    "power": "power of non-conservative forces in a thermostat",
    "report": "one HTML page of one or several runs, that needs nothing but itself",
    "compare": "the same start with slow, fast and MTS forces, side by side",
    "tune": "a scan over M, and which one to take",
    "input": "write an i-PI input without running it",
    "driver": "serve a model's forces to an i-PI server",
    "gle": "what a thermostat does to each frequency and to diffusion",
    "jacobian": "how far from a gradient a force is: asymmetry of its Jacobian",
    "loop-work": "the work that a force does along closed paths",
    "inspect-pair": "whether two forces go together in multiple time steps, before a run",
    "optimize": "geometry optimisation with slow forces, fast ones, or fast ones first",
    "train": "train a compact hybrid model",
}


def main(argv: list[str] | None = None) -> int:
    """Run one verb; return the exit code."""
    words = sys.argv[1:] if argv is None else argv
    parser = _parser(words)
    args = parser.parse_args(words)
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="ncforce: %(message)s", force=True
    )
    try:
        return int(args.function(args) or 0)
    except NcforceError as err:
        if args.debug:
            raise
        sys.stderr.write(f"ncforce {args.verb}: {err}\n")
        return 2 if isinstance(err, InputError) else 1
    except KeyboardInterrupt:
        sys.stderr.write(f"ncforce {args.verb}: interrupted\n")
        return 130


def _parser(words: list[str]) -> argparse.ArgumentParser:
    """Parser in which only the verb that is called has its arguments."""
    parser = argparse.ArgumentParser(prog="ncforce", description=__doc__.split("\n")[0])
    parser.add_argument("--version", action="version", version=f"ncforce {__version__}")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    called = next((word for word in words if not word.startswith("-")), None)
    for name, text in VERBS.items():
        verb = verbs.add_parser(name, help=text, description=text)
        verb.add_argument("--debug", action="store_true", help="show the traceback of an error")
        if name == called:
            module = importlib.import_module(f"ncforce_ipi.cli.{name.replace('-', '_')}")
            module.add_arguments(verb)
            verb.set_defaults(function=module.run)
    return parser
