"""Processes that get so many seconds and no more; what they leave; files written whole."""

from __future__ import annotations

import json
import os
import platform
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

STOPPED = "stopped after"
STOP_S = 90.0  # for a process to end what it started, after the signal
TICK_S = 5.0


def bounded(
    command: Sequence[str],
    log: Path,
    seconds: float,
    tick: Callable[[], None] | None = None,
    environment: Mapping[str, str] | None = None,
) -> str:
    """Run in a session of its own; '' if it succeeds, else why not, in one line.

    Parameters
    ----------
    log : takes what it prints, after what is there
    tick : called every few seconds
    environment : beside that of this process
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # of a job in the background
        signal.signal(signal.SIGINT, signal.default_int_handler)  # else what it starts ignores it
    with log.open("ab") as sink:
        process = subprocess.Popen(
            command, stdout=sink, stderr=sink, stdin=subprocess.DEVNULL, start_new_session=True,
            env={**os.environ, **(environment or {})},
        )  # fmt: skip
        try:
            code = _wait(process, seconds, tick)
        except KeyboardInterrupt:
            end(process)
            raise
        if code is None:
            end(process)
            return f"{STOPPED} {seconds:.0f} s"
    return last_line(log, code) if code else ""


def _wait(
    process: subprocess.Popen[bytes], seconds: float, tick: Callable[[], None] | None
) -> int | None:
    """The exit code; None if the time is over first."""
    until = time.monotonic() + seconds
    while (left_s := until - time.monotonic()) > 0:
        try:
            return process.wait(min(left_s, TICK_S))
        except subprocess.TimeoutExpired:
            if tick is not None:
                tick()
    return process.poll()


def end(process: subprocess.Popen[bytes]) -> None:
    """Ctrl-C for the group, so that programs stop what they started; then the end."""
    if process.poll() is not None:
        return
    os.killpg(process.pid, signal.SIGINT)
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def last_line(log: Path, code: int) -> str:
    """What a program that failed said last."""
    lines = log.read_text(errors="replace").strip().splitlines()
    return f"exit code {code}: {lines[-1] if lines else 'no message'}"


def state_of(why: str) -> str:
    """done, stopped or failed, from what `bounded` returned."""
    return "stopped" if why.startswith(STOPPED) else "failed" if why else "done"


def machine(device: str) -> dict[str, str]:
    """The device's name, torch's version and the driver's."""
    import torch

    found = {
        "torch": torch.__version__,
        "processor": f"{platform.machine()}, {os.cpu_count()} CPUs",
    }
    if device == "cpu":
        return {"device": "cpu", **found}
    ask = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        told = subprocess.run(ask, capture_output=True, text=True, timeout=20, check=False)
        found["driver"] = told.stdout.strip().splitlines()[0]
    except (OSError, IndexError, subprocess.TimeoutExpired):
        found["driver"] = "unknown"
    return {"device": torch.cuda.get_device_name(device), **found}


def has_gpu() -> bool:
    """Whether torch finds one."""
    import torch

    return bool(torch.cuda.is_available())


def write(path: Path, text: str) -> None:
    """All of it or nothing: the machine may go while we write."""
    partial = path.with_suffix(path.suffix + ".partial")
    partial.write_text(text)
    partial.replace(path)


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """Lines of a table in Markdown; numbers with four digits."""
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    return lines + ["| " + " | ".join(map(cell, row)) + " |" for row in rows]


def cell(value: object) -> str:
    """``value`` as text."""
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def write_json(path: Path, numbers: object) -> None:
    """Likewise, as JSON."""
    write(path, json.dumps(numbers, indent=1) + "\n")
