"""A run directory: the names of its files, and its record ``run.json``, read in one place.

Owns names only; what the files hold is the business of those who write and read them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ncforce_ipi.errors import InputError

Record = dict[str, Any]

RECORD_FILE = "run.json"
NEEDED = {"plan", "driver", "limits"}
_NUMBER = (int, float)
_WORDS = ("driver.options", "driver.slow_driver")
_TYPES: dict[str, type | tuple[type, ...]] = {
    **dict.fromkeys(("state", "reason", "version", "command"), str),
    **dict.fromkeys(("driver", "limits", "model", "slow_model", "start", "software"), dict),
    **dict.fromkeys(("plan", "ensemble", "timings", "masses_u", "masses", "processes"), dict),
    **dict.fromkeys(("slow_minus_fast", "driver.remote"), dict),
    **dict.fromkeys(("driver.model", "driver.family", "driver.device", "driver.program"), str),
    **dict.fromkeys(("structure", "velocities"), str),
    **dict.fromkeys(("driver.threads", "driver.drivers", "driver.port", "seed"), int),
    **dict.fromkeys(("plan.mts", "plan.n_outer", "ensemble.beads", "n_atoms", "steps_done"), int),
    **dict.fromkeys(("plan.time_ps", "plan.outer_step_fs", "plan.inner_step_fs"), _NUMBER),
    **dict.fromkeys(("timings.ms_per_inner_step", "timings.wall_s", "temperature_K"), _NUMBER),
    **dict.fromkeys(("plan.forces", "ensemble.name", "model.sha256", "model.name"), str),
    "timings.model_s": dict,
    **dict.fromkeys(("segments", "replicas", "several_masses"), list),
    **dict.fromkeys(_WORDS, list),
}
"""What stands in a record; keys of older versions may be missing."""
_SEGMENT = ("from_step", "to_step", "wall_s")
INPUT_FILE = "input.xml"
STRUCTURE_FILE = "init.xyz"
VELOCITIES_FILE = "init_velocities.xyz"
LOGS = "logs"
ANALYSIS = "analysis"
PREFIX = "simulation"
PROPERTIES_FILE = f"{PREFIX}.out"
# of a classical run, of a path integral's centroid
TRAJECTORY_FILES = (
    (f"{PREFIX}.pos_0.extxyz", f"{PREFIX}.pos.extxyz"),
    (f"{PREFIX}.vel_0.xyz", f"{PREFIX}.vel.xyz"),
)
FORCE_FILES = f"{PREFIX}.forces_*.xyz"
# slow - fast at the outer points, and the structures where it is large: of the launcher's own i-PI
DISAGREEMENT_FILE = f"{PREFIX}.disagreement.out"
DISAGREEING_FILE = "disagreeing.extxyz"
RESTART_FILE = "RESTART"
WRITTEN_BY_IPI = (RESTART_FILE, f"{PREFIX}.checkpoint", f"{PREFIX}.checkpoint_older")
SAFE_FILE = f"{PREFIX}.checkpoint_safe"  # one of these that is on the disk, as the outputs are
CHECKPOINTS = (*WRITTEN_BY_IPI, SAFE_FILE)
RESUME_FILE = "resume.xml"
JOB_FILE, JOB_LOGS = "job.sh", "slurm-*.out"  # the script that a scheduler runs, what it says
TOKEN_FILE = "driver.token"  # the secret that drivers of other machines show, while a run goes on
EXIT_FILE = "EXIT"  # where it appears, i-PI stops and leaves a checkpoint
REPLICA = "replica-"  # and a number: the directory of one of a set
REPLICAS = "replicas"  # key in the record of a set of replicas: directory, seed ... of each


def replica_names(n: int) -> list[str]:
    """Names of the directories of n replicas in that of their set: replica-0, or replica-00 ..."""
    return [f"{REPLICA}{index:0{len(str(n - 1))}d}" for index in range(n)]


def replica_directories(directory: Path) -> list[Path]:
    """Those of a set of replicas, each an ordinary run directory; none where no set is.

    Raises
    ------
    InputError
        The record of the set is damaged.
    """
    record = find_record(directory) or {}
    return [directory / replica["directory"] for replica in record.get(REPLICAS) or ()]


def read_record(directory: Path) -> Record:
    """``run.json`` of a directory, with all that going on with its run takes.

    Raises
    ------
    InputError
        There is none, it is damaged, incomplete or another program's.
    """
    record = find_record(directory)
    path = directory / RECORD_FILE
    if path.is_file() and (record is None or not record.keys() >= NEEDED):
        raise InputError(f"{path} is no record of a run of ncforce; is it another program's?")
    if record is None:
        raise InputError(
            f"{path} is missing: no run of ncforce is in {directory}; give the directory of one"
        )
    return record


def find_record(directory: Path) -> Record | None:
    """The same; None where there is none, or another program's file of that name.

    Raises
    ------
    InputError
        It is damaged.
    """
    path = directory / RECORD_FILE
    if not path.is_file():
        return None
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError, RecursionError) as err:
        raise InputError(
            f"{path} is no record of a run: {err}; expected JSON as 'ncforce run' writes it"
        ) from err
    if not isinstance(record, dict) or not isinstance(record.get("plan"), dict):
        return None
    _require_types(path, record)
    return record


def _require_types(path: Path, record: Record) -> None:
    for key, kind in _TYPES.items():
        value: Any = record
        for name in key.split("."):
            value = value.get(name) if isinstance(value, dict) else None
        if value is not None and (not isinstance(value, kind) or isinstance(value, bool)):
            raise _damaged(path, key, value)
        if isinstance(value, list) and key in _WORDS and not _are_words(value):
            raise _damaged(path, key, value)
    for replica in record.get(REPLICAS) or ():
        if not (isinstance(replica, dict) and isinstance(replica.get("directory"), str)):
            raise _damaged(path, REPLICAS, replica)
    for role, value in ((record.get("timings") or {}).get("model_s") or {}).items():
        if not isinstance(value, _NUMBER):
            raise _damaged(path, f"timings.model_s.{role}", value)
    for segment in record.get("segments") or ():
        numbers = [segment.get(key) for key in _SEGMENT] if isinstance(segment, dict) else [None]
        if not all(isinstance(number, _NUMBER) for number in numbers):
            raise _damaged(path, "segments", segment)


def _are_words(found: list[Any]) -> bool:
    return all(isinstance(word, str) for word in found)


def _damaged(path: Path, key: str, value: Any) -> InputError:
    return InputError(
        f"{path} is damaged: {key} is {str(value)[:40]!r}; expected it as 'ncforce run' writes it: "
        "restore the file, or move it away"
    )
