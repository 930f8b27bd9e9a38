"""The systems that ship with the package: a start structure, the model for it, what suits it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ncforce_ipi.errors import InputError


@dataclass(frozen=True)
class System:
    """What the name of a system stands for.

    Attributes
    ----------
    structure : file of ``xml_inputs``
    model : name of a shipped model
    barostat : the default under constant pressure; see ``ensembles.Ensemble``
    velocities : file of ``xml_inputs`` with velocities for this structure and model, with which a
        run at constant energy has ``temperature_K`` on average; None where there are none
    temperature_K : K
    """

    structure: str
    model: str
    barostat: Literal["isotropic", "in-plane"] = "isotropic"
    velocities: str | None = None
    temperature_K: float = 300.0


SYSTEMS = {
    "water": System("water.xyz", "water", velocities="water_velocities.xyz"),
    "graphene": System("graphene.xyz", "carbon", "in-plane"),
    "amorphous-carbon": System("amorphous-carbon.xyz", "carbon"),
    "aluminium": System("aluminium.xyz", "aluminium"),
    "o-on-cu3al": System("o-on-cu3al.xyz", "cu3al-o", "in-plane"),
}
NAMES = ", ".join(SYSTEMS)


def system(name: str) -> System:
    """The system of this name.

    Raises
    ------
    InputError
        There is none.
    """
    if name not in SYSTEMS:
        raise InputError(f"system {name!r} is not shipped; expected one of: {NAMES}")
    return SYSTEMS[name]
