"""Whether the slow forces of a run are the teacher's, so that its frames may be learnt.

Owns which options of a driver leave the slow forces as they are.
"""

from __future__ import annotations

import logging
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ncforce_ipi.errors import InputError
from ncforce_ipi.inputs.service import NamedModel, of_driver, parse_model
from ncforce_ipi.launch.jobs.job import service_of_record
from ncforce_ipi.launch.jobs.record import driver_identity
from ncforce_ipi.launch.jobs.sameforces import HOW, deciding
from ncforce_ipi.rundir import RECORD_FILE, find_record

log = logging.getLogger(__name__)
# besides where and how fast it runs: rounding, what is sent besides, and the fast forces
NEUTRAL = HOW | {
    "--mts", "--dtype", "--precision", "--virial", "--direct-energy", "--direct-virial",
    "--fast-kind", "--keep-net-force",
}  # fmt: skip


def check_taught(directory: Path, teacher: str) -> None:
    """Refuse a run whose slow forces are those of another model; warn where nothing says it.

    Parameters
    ----------
    teacher : as `inputs.service.parse_model` takes it

    Raises
    ------
    InputError
        Another model, other options of it, or a damaged record.
    """
    record = find_record(directory)
    if record is None or not {"driver", "model"} <= record.keys():
        log.warning(
            "%s has no %s, which would say whose its slow forces are: taken for those of %s",
            directory, RECORD_FILE, teacher,
        )  # fmt: skip
        return
    model, sha256 = _of_run(directory, record)
    ours = parse_model(teacher)
    own = driver_identity(ours.driver())["sha256"]
    if _facts(model, sha256) != _facts(ours, own):
        raise InputError(
            f"the slow forces of {directory} are those of {_spoken(model, sha256)}, and the "
            f"teacher is {_spoken(ours, own)}; add only runs whose slow forces are the teacher's"
        )


def _of_run(directory: Path, record: Mapping[str, Any]) -> tuple[NamedModel, str | None]:
    """The model of a run's slow forces, and the SHA-256 of its file."""
    try:
        service = service_of_record(record)
    except (KeyError, TypeError) as err:
        raise InputError(
            f"{directory / RECORD_FILE} is damaged ({type(err).__name__}: {err}); restore it, or "
            "move it away"
        ) from err
    if service.slow_driver:
        return of_driver(service.slow_driver), (record.get("slow_model") or {}).get("sha256")
    model = NamedModel(service.family, service.model, service.options)
    return model, (record["model"] or {}).get("sha256")


def _facts(model: NamedModel, sha256: str | None) -> tuple[str, str, list[list[str]]]:
    """What decides the forces: family, file or name, options in any order."""
    return model.family, sha256 or model.model, deciding(model.options, NEUTRAL)


def _spoken(model: NamedModel, sha256: str | None) -> str:
    options = f" {shlex.join(model.options)}" if model.options else ""
    digest = f" (SHA-256 {sha256:.12})" if sha256 else ""
    return f"{model.family}:{model.model}{options}{digest}"
