"""``python -m tests.chaos [NAMES]``: all faults, or those of these names; prints their table.

A whole takes more than half an hour.  What was measured is kept, so that one that was interrupted
goes on where it was; when all is there, the next begins anew.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from . import disks, drivers, machines, remote
from .table import Kept, inserted, markdown
from .world import Row, World, world

FAULTS: dict[str, Callable[[World], Row]] = {
    fault.__name__: fault
    for fault in (*drivers.FAULTS, *remote.FAULTS, *machines.FAULTS, *disks.FAULTS)
}
N_STEPS = 700


def parser() -> argparse.ArgumentParser:
    """Of the command line."""
    found = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    found.add_argument("names", nargs="*", metavar="NAME", help=", ".join(FAULTS))
    found.add_argument("--seed", type=int, default=0)
    found.add_argument("--steps", type=int, default=N_STEPS, help="of each run")
    found.add_argument("--share", type=float, default=1.0, help="of the times of each fault")
    found.add_argument("--table", type=Path, help="put the table into this page of the manual")
    found.add_argument("--keep", type=Path, metavar="FILE", help="of what was measured so far")
    return found


def main() -> int:
    """0 only if nothing was lost and everything ended bitwise as it should."""
    args = parser().parse_args()
    kept = Kept(args.keep, f"{args.seed} {args.steps} {args.share}")
    todo = [name for name in args.names or FAULTS if args.names or name not in kept.rows]
    with world(args.seed, args.steps, args.share) as it:
        for name in todo:
            kept.add(name, measured(name, it))
    rows = [kept.rows[name] for name in FAULTS if name in kept.rows]
    text = markdown(rows, args.steps, args.seed)
    sys.stdout.write(text)
    if args.table:
        args.table.write_text(inserted(args.table.read_text(), text))
    if len(rows) == len(FAULTS):
        kept.forget()
    return int(any(row.n and (row.lost or not row.bitwise) for row in rows))


def measured(name: str, it: World) -> Row:
    """What a fault costs; one that has no end costs all."""
    start = time.monotonic()
    try:
        row = FAULTS[name](it)
    except (OSError, LookupError, RuntimeError, subprocess.SubprocessError) as err:  # and go on
        row = Row(name, 1, line=f"no end: {err}", bitwise=False)
    row.load = os.getloadavg()[0]
    sys.stderr.write(f"{name}: {row} in {time.monotonic() - start:.0f} s\n")
    return row


if __name__ == "__main__":
    raise SystemExit(main())
