"""Who holds a directory: the processes of its run as ``run.json`` names them, for a message."""

from __future__ import annotations

import os
import platform
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ncforce_ipi.errors import InputError
from ncforce_ipi.rundir import EXIT_FILE, REPLICA, REPLICAS, find_record

LAUNCHER = "launcher"
HOST = "host"
Processes = Mapping[str, Any]


def of_this_launcher() -> dict[str, Any]:
    """The start of a list of processes: where they are, and this one."""
    return {HOST: platform.node(), LAUNCHER: os.getpid()}


def said_of(directory: Path) -> str:
    """Why nothing can be done in a directory that is held, and what can be done about that."""
    try:
        record = find_record(directory) or {}
    except InputError:
        record = {}
    processes = record.get("processes") or {}
    if not processes:
        return f"another command is at work in {directory}; wait for its end"
    stop = f"touch {shlex.quote(str(directory / EXIT_FILE))}"
    if REPLICAS in record:
        stop = f"touch {shlex.quote(str(directory))}/{REPLICA}*/{EXIT_FILE}"
    if launcher_is_gone(processes):
        return (
            f"the launcher of the run in {directory} was killed, but {_named(processes)} may go "
            f"on; wait for the end of the run, or stop it with: {stop}; then go on with --resume"
        )
    return (
        f"a run is going on in {directory} ({_named(processes)}); wait for its end, or stop it "
        f"with: {stop}"
    )


def not_ended(directory: Path, record: Processes) -> str | None:
    """What to know of the files of a run that hasn't ended, as far as its record says; None if so.

    Parameters
    ----------
    record : ``run.json``; empty for other launchers
    """
    if record.get("state") != "running":
        return None
    processes = record.get("processes") or {}
    if processes and not launcher_is_gone(processes):
        return f"the run in {directory} is going on; this is what there is of it"
    again = f"ncforce run --resume --out {shlex.quote(str(directory))}"
    left = f"; {_named(processes)} may go on" if processes else ""
    return f"the launcher of the run in {directory} was killed{left}; to end it properly: {again}"


def launcher_is_gone(processes: Processes) -> bool:
    """Whether the launcher ran on this machine and does so no longer."""
    if processes.get(HOST) != platform.node():
        return False
    try:
        os.kill(int(processes[LAUNCHER]), 0)
    except ProcessLookupError:
        return True
    except (
        OSError,
        KeyError,
        TypeError,
        ValueError,
        OverflowError,
    ):  # another user's; nothing is said
        return False
    return False


def _named(processes: Processes) -> str:
    """Those besides the launcher if it is gone, else all, with their numbers and machine."""
    gone = launcher_is_gone(processes)
    left = {name: pid for name, pid in processes.items() if name != HOST}
    names = [f"{name} (pid {pid})" for name, pid in left.items() if not (gone and name == LAUNCHER)]
    where = "" if processes.get(HOST) == platform.node() else f" on {processes.get(HOST)}"
    return ", ".join(names) + where
