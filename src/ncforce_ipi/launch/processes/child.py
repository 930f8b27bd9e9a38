"""One child process: its own session, its log file, a bounded end.  Knows not what it runs."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from ncforce_ipi.errors import RunError
from ncforce_ipi.launch.processes import interpreter
from ncforce_ipi.launch.processes.stops import shielded

TICK_S = 0.1
KILL_S = 5.0
TAIL_BYTES = 16384
LAST_RITES = ("object ", "lost sys.stderr")  # of a Python that can't write any more


class Child:
    """A running program that is told to stop, then made to stop, at the latest when we leave.

    It leads its own session, so that Ctrl-C in the terminal reaches only the launcher.

    Parameters
    ----------
    name : for messages
    command : program and arguments
    directory : where it runs
    log : file that takes what it says (stdout and stderr), appended
    environment : variables to set besides ours
    keep : file descriptors that it inherits
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        directory: Path,
        log: Path,
        environment: Mapping[str, str] | None = None,
        keep: Sequence[int] = (),
    ) -> None:
        self.name = name
        self.log = log
        self.log_start = log.stat().st_size if log.exists() else 0
        with log.open("ab") as sink, shielded():
            try:
                self._process = subprocess.Popen(
                    command,
                    cwd=directory,
                    stdin=subprocess.DEVNULL,
                    stdout=sink,
                    stderr=subprocess.STDOUT,
                    env=interpreter.environment(environment or {}),
                    start_new_session=True,
                    pass_fds=keep,
                )
            except OSError as err:
                raise RunError(f"{name} can't be started: {err}") from err

    @property
    def pid(self) -> int:
        """Process id, which is also that of its session and group."""
        return self._process.pid

    @property
    def code(self) -> int | None:
        """Exit code; minus the signal's number if a signal ended it; None while it runs."""
        return self._process.poll()

    def terminate(self) -> None:
        """Ask it to stop (SIGTERM)."""
        if self.code is None:
            self._process.terminate()

    def kill(self) -> None:
        """End it and all of its group now."""
        if self.code is None:
            os.killpg(self.pid, signal.SIGKILL)
            with suppress(subprocess.TimeoutExpired):  # it hangs in its kernel's hands (a GPU)
                self._process.wait(KILL_S)

    def ends_within(self, seconds: float) -> bool:
        """Wait, but not longer than this, for it to end."""
        deadline = time.monotonic() + seconds
        while self.code is None:
            if time.monotonic() > deadline:
                return False
            time.sleep(TICK_S)
        return True

    def how_it_ended(self) -> str:
        """Name, log and exit code or signal, for a message."""
        code = self.code
        if code is None:
            return f"{self.name} (log {self.log.name}) still runs"
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        return f"{self.name} ended with {how} (log {self.log.name})"

    def said(self) -> str:
        """End of its log since it was started."""
        return tail(self.log, self.log_start)

    def last_words(self) -> str:
        """Last line of its log that isn't empty: of a traceback, the one that says what."""
        lines = [line.strip() for line in self.said().splitlines()]
        said = [line for line in lines if line and not line.startswith(LAST_RITES)]
        return said[-1] if said else "it said nothing"


@contextmanager
def ended(child: Child) -> Iterator[Child]:
    """The child, killed when the block is left and it still runs."""
    try:
        yield child
    finally:
        child.kill()


def tail(path: Path, start: int = 0) -> str:
    """End of a text file, at most a few pages and nothing before byte ``start``."""
    if not path.exists():
        return ""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(start, size - TAIL_BYTES))
        return file.read().decode("utf-8", errors="replace")
