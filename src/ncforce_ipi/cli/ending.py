"""How a verb ends: one line and an exit code for everything that isn't a fault of the program."""

from __future__ import annotations

import argparse
import errno
import logging
import os
import re
import select
import sys
from collections.abc import Callable

from ncforce_ipi.errors import InputError, NcforceError

INTERRUPTED = 130  # 128 + SIGINT, as a shell says it
NO_READER = 141  # 128 + SIGPIPE
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
LOST = (errno.EROFS, errno.EIO, errno.ESTALE)
WHAT_TO_DO = {
    **dict.fromkeys(
        FULL, "make room, then give the command again; a run that had begun goes on with --resume"
    ),
    **dict.fromkeys((errno.EACCES, errno.EPERM), "give another name, or ask for the right to it"),
    **dict.fromkeys(
        LOST,
        "give another place, or have this one mended; a run that had begun then goes on with "
        "--resume",
    ),
}


def guarded(call: Callable[[], int], called: argparse.Namespace) -> int:
    """The exit code of a call; what went wrong is one line on stderr.

    Parameters
    ----------
    called : the verb, and whether a traceback is wanted instead (``debug``), once that is known
    """
    try:
        code = call()
        sys.stdout.flush()
        return code
    except (NcforceError, OSError, MemoryError, UnicodeError) as err:
        if called.debug:
            raise
        if isinstance(err, BrokenPipeError) and _unread():
            return NO_READER
        _say(called.verb, reason(err))
        return 2 if isinstance(err, InputError) else 1
    except KeyboardInterrupt:
        _say(called.verb, "interrupted")
        return INTERRUPTED


def _say(verb: str, text: str) -> None:
    sys.stderr.write(f"ncforce {verb}: {spelt_out(text)}\n".replace(" : ", ": "))


def spelt_out(text: str) -> str:
    """The same in one line, with what a terminal would obey spelt out: names and files say it."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


class Formatter(logging.Formatter):
    """Messages of which each line is spelt out."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        """Fulfil ``logging.Formatter``."""
        return "\n".join(map(spelt_out, super().formatMessage(record).split("\n")))


def _unread() -> bool:
    """Whether it is stdout whose reader has left: ``ncforce ... | head`` has seen enough."""
    try:
        poll = select.poll()
        poll.register(sys.stdout.fileno(), select.POLLOUT)
        return any(event & select.POLLERR for _, event in poll.poll(0))
    except (OSError, ValueError):  # no descriptor
        return False


def reason(err: BaseException) -> str:
    """One line: what happened to which file, and what to do about it."""
    if isinstance(err, MemoryError):
        said = f" ({err})" if str(err) else ""
        return f"out of memory{said}; use fewer atoms or frames at once, or a larger machine"
    if not isinstance(err, OSError) or err.strerror is None:
        return str(err)
    advice = WHAT_TO_DO.get(err.errno or 0)
    parts = (
        f"{err.filename}: " if err.filename else "",
        err.strerror,
        f"; {advice}" * bool(advice),
    )
    return "".join(parts)


def without_optimisation() -> None:
    """Start Python again without ``-O``: ASE's reader of extxyz skips a line in an ``assert``."""
    if not sys.flags.optimize:
        return
    words = [word for word in sys.orig_argv[1:] if not re.fullmatch("-O+", word)]
    environment = {key: text for key, text in os.environ.items() if key != "PYTHONOPTIMIZE"}
    if len(words) < len(sys.orig_argv) - 1 or len(environment) < len(os.environ):
        os.execve(sys.executable, [sys.executable, *words], environment)
