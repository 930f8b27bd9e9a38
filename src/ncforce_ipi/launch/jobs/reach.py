"""What of a user's words for models and drivers reaches none in a run of these forces.

Owns the words for it: an option is used, refused, or said.
"""

from __future__ import annotations

import logging
import shlex
from collections.abc import Sequence

from ncforce_ipi.errors import InputError
from ncforce_ipi.inputs.service import Service

log = logging.getLogger(__name__)


def of_these_forces(
    forces: str, model: str | None, slow: str | None, fast: str | None
) -> tuple[str | None, str | None]:
    """The models ``slow`` and ``fast`` as far as this run asks them; says which it doesn't.

    ``model`` isn't asked either where each of its forces has one of its own.
    """
    own = {"slow": slow, "fast": fast}
    asked = {name: spec for name, spec in own.items() if forces in (name, "mts")}
    left = {name: spec for name, spec in own.items() if spec and name not in asked}
    if model and None not in asked.values() and model not in asked.values():
        left["model"] = model
    if left:
        words = " ".join(f"--{name} {shlex.quote(spec)}" for name, spec in left.items())
        has = "a model for each force" if forces == "mts" else f"{forces} forces alone"
        given = asked.get(forces)
        has += f", of --{forces} {shlex.quote(given)}" if given else ""
        log.warning("%s isn't used: this run has %s", words, has)
    return asked.get("slow"), asked.get("fast")


def say_unused_system(
    system: str | None, structure: str | None, forces: str, model: str | None, own: bool
) -> None:
    """Say that a run takes nothing of the system that is named.

    Parameters
    ----------
    model : of both forces, if it is given
    own : whether each of these forces has a model of its own
    """
    if system and structure not in (None, system) and (model or own):
        log.warning(
            "%s isn't used: the structure and the model of %s forces are given; leave it out",
            system, "both" if forces == "mts" else f"the {forces}",
        )  # fmt: skip


def check_reach(service: Service, options: Sequence[str]) -> None:
    """What was asked of drivers that a run of slow forces alone, by another model, lacks.

    Raises
    ------
    InputError
        Driver options that no driver would get.
    """
    if options:
        raise InputError(
            f"driver options ({shlex.join(options)}) are those of the fast forces' driver, and "
            "this run has slow forces alone: put them into the quotes of --slow, after the model"
        )
    has = {word.partition("=")[0] for word in service.slow_driver}
    asked = [f"--drivers {service.drivers}"] * ((service.drivers or 1) > 1)
    if len(service.devices) > 1 or (service.devices and "--device" not in has):
        asked.append(f"--device {service.device}")
    if service.threads != 1 and "--threads" not in has:
        asked.append(f"--threads {service.threads}")
    if asked:
        log.warning(
            "%s isn't used: this run has slow forces alone, which one driver of --slow serves; "
            "with --model in the place of --slow it counts for that model",
            " ".join(asked),
        )
