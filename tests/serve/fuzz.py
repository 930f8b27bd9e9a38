"""``python -m tests.serve.fuzz [N]``: N malformed conversations, and what came of them.

Those of ``test_malformed`` and ``test_malformed_entrance`` with random faults, from a seed.  Each
is said to our driver as by a server, to our server as by a driver, and at the door of a run as by a
driver or a run.  It ends with 1 if anything but a refusal in one line, or an answer, came of one.
"""

from __future__ import annotations

import argparse
import random
import resource
import struct
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence

from ncforce_ipi.errors import NcforceError
from ncforce_ipi.serve import secret

from .test_malformed import BATCHED, DRIVER, HUGE, SERVER, asked, one_line, said, served
from .test_malformed_entrance import HELLO, OURS

N = 100_000
LONGEST_S = 5.0  # of one conversation, on a busy machine: nothing waits
Messages = Sequence[bytes]
FLOATS = (float("nan"), float("inf"), 1e300, -1e-300, 0.0)


def spoilt(rng: random.Random, conversation: Messages) -> bytes:
    """A conversation with messages dropped, doubled, swapped, and other bytes in places."""
    messages = list(conversation)
    for _ in range(rng.randint(0, 2)):
        k = rng.randrange(len(messages))
        what = rng.choice(["drop", "double", "swap", "noise"])
        if what == "drop":
            messages[k] = b""
        elif what == "double":
            messages.insert(k, messages[k])
        elif what == "swap":
            messages[k], messages[0] = messages[0], messages[k]
        else:
            messages.insert(k, rng.randbytes(rng.randint(0, 40)))
    data = bytearray(b"".join(messages))
    for _ in range(rng.randint(0, 3)):
        place = rng.randint(0, max(0, len(data) - 8))
        new = rng.choice([
            struct.pack("<i", rng.choice(HUGE)),
            struct.pack("<d", rng.choice(FLOATS)),
            rng.randbytes(rng.randint(1, 8)),
        ])  # fmt: skip
        data[place : place + len(new)] = new
    return bytes(data[: rng.randint(0, len(data))] if rng.random() < 0.5 else data)


def at_the_gate(data: bytes) -> None:
    """What our gate makes of a driver that says this."""
    with said(data) as ours:
        secret.check(ours, OURS)


def at_the_run(data: bytes) -> None:
    """What our driver makes of a run that says this."""
    with said(data) as ours:
        secret.show(ours, OURS, "slow", "the run")


KINDS: dict[str, tuple[Callable[[bytes], object], Sequence[Messages]]] = {
    "server to driver": (served, [SERVER, BATCHED]),
    "server to driver, shared memory": (lambda data: served(data, shm=True), [SERVER, BATCHED]),
    "driver to server": (asked, [DRIVER, DRIVER[1:]]),
    "driver to gate": (at_the_gate, [[HELLO[:8], HELLO[8:16], HELLO[16:], bytes(32)]]),
    "gate to driver": (at_the_run, [[bytes(32), bytes(32)]]),
}


def outcome(call: Callable[[bytes], object], data: bytes) -> str:
    """What came of a conversation: answered, refused, or what should not be."""
    start = time.monotonic()
    try:
        said_back = call(data)
        ended = not isinstance(said_back, str) or said_back.startswith("slow: ")
        found = "answered" if ended else "refused"  # our driver says why, in one line
    except NcforceError as err:
        found = "refused"
        one_line(err)
    return found if time.monotonic() - start < LONGEST_S else "slow"


def main() -> int:
    """Print a line for each kind, and the first conversations that were no good."""
    parser = argparse.ArgumentParser(prog="python -m tests.serve.fuzz", description=__doc__)
    parser.add_argument("n", nargs="?", type=int, default=N)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    rng, bad = random.Random(args.seed), 0
    for name, (call, conversations) in KINDS.items():
        start, cpu_s, counts = time.monotonic(), time.process_time(), Counter[str]()
        for _ in range(args.n // len(KINDS)):
            data = spoilt(rng, rng.choice(conversations))
            try:
                found = outcome(call, data)
            except Exception:  # noqa: BLE001 (what is looked for)
                found = "traceback"
                traceback.print_exc()
            counts[found] += 1
            if found not in ("answered", "refused"):
                sys.stderr.write(f"{name}: {found}: {data!r}\n")
        bad += sum(counts[what] for what in ("slow", "traceback"))
        peak_MB = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        sys.stdout.write(
            f"{name}: {dict(counts)}, {time.monotonic() - start:.0f} s "
            f"({time.process_time() - cpu_s:.0f} s of CPU), peak {peak_MB:.0f} MB\n"
        )
        sys.stdout.flush()
    return int(bad > 0)


if __name__ == "__main__":
    raise SystemExit(main())
