"""Whether two services give the same forces: models, by contents or by name, and their options.

Owns how options of a driver are compared, and which of them say only where and how fast it runs.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from ncforce_ipi.inputs.service import NamedModel, Service, of_driver
from ncforce_ipi.launch.jobs.job import service_of_record
from ncforce_ipi.launch.jobs.record import models
from ncforce_ipi.rundir import Record

HOW = {
    "--device", "--threads", "--trust", "--extensions", "--capture", "--compile", "--joint",
}  # fmt: skip


def deciding(options: Sequence[str], neutral: Collection[str] = HOW) -> list[list[str]]:
    """Options with their values, in one order and spelling, without those that are neutral."""
    found: list[list[str]] = []
    for word in options:
        if word.startswith("--"):
            name, equals, value = word.partition("=")
            found.append([name, _plain(value)] if equals else [name])
        elif found:
            found[-1].append(_plain(word))
    return sorted(one for one in found if one[0].replace("--no-", "--", 1) not in neutral)


def other_forces(service: Service, record: Record) -> list[str]:
    """What of the models isn't as in the record of a run: a model, or options of one."""
    now = _models(service, models(service))
    then = _models(service_of_record(record), record)
    found = []
    for name, ours in now.items():
        theirs = then[name]
        if ours[:2] != theirs[:2]:
            found.append(name)
        elif ours[2] != theirs[2]:
            found.append(f"choice of options of the {name}")
    of_both = all(one["model"] == one["slow model"] for one in (now, then))
    return found[:1] if of_both else found


def _models(
    service: Service, identities: Mapping[str, Any]
) -> dict[str, tuple[str, str, list[list[str]]]]:
    """Family, contents or name, and options of the model of both or fast forces, and the slow."""
    main = NamedModel(service.family, service.model, service.options)
    slow = of_driver(service.slow_driver) if service.slow_driver else main
    of_main = identities.get("model") or {}
    of_slow = (identities.get("slow_model") or {}) if service.slow_driver else of_main
    return {
        "model": (main.family, of_main.get("sha256") or main.model, deciding(main.options)),
        "slow model": (slow.family, of_slow.get("sha256") or slow.model, deciding(slow.options)),
    }


def _plain(value: str) -> str:
    """JSON in one spelling; all else as it is."""
    try:
        return json.dumps(json.loads(value), sort_keys=True)
    except (ValueError, RecursionError):
        return value
