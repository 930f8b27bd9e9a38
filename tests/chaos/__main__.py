"""``python -m tests.chaos [NAMES]``: all faults, or those of these names; prints their table."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from . import disks, drivers, machines
from .table import inserted, markdown
from .world import Row, World, world

FAULTS: dict[str, Callable[[World], Row]] = {
    fault.__name__: fault for fault in (*drivers.FAULTS, *machines.FAULTS, *disks.FAULTS)
}
N_STEPS = 700


def main() -> int:
    """0 only if nothing was lost and everything ended bitwise as it should."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(FAULTS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=N_STEPS, help="of each run")
    parser.add_argument("--share", type=float, default=1.0, help="of the times of each fault")
    parser.add_argument("--table", type=Path, help="put the table into this page of the manual")
    args = parser.parse_args()
    rows = []
    with world(args.seed, args.steps, args.share) as it:
        for name in args.names or FAULTS:
            start = time.monotonic()
            try:
                rows.append(FAULTS[name](it))
            except (OSError, RuntimeError, subprocess.SubprocessError) as err:  # and go on
                rows.append(Row(name, 1, line=f"no end: {err}", bitwise=False))
            sys.stderr.write(f"{name}: {rows[-1]} in {time.monotonic() - start:.0f} s\n")
    text = markdown(rows)
    sys.stdout.write(text)
    if args.table:
        args.table.write_text(inserted(args.table.read_text(), text))
    return int(any(row.n and (row.lost or not row.bitwise) for row in rows))


if __name__ == "__main__":
    raise SystemExit(main())
