"""Words on the outputs of a metatomic model: why none of them can be used, and what is assumed.

metatomic fixes the names ``energy`` and ``non_conservative_force``, each alone or with a variant,
``energy/pbe``.  metatrain gives targets of other names the prefix ``mtt::``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

NAMES = ("energy", "non_conservative_force")
OWN = "mtt::"


def why_none(model: str, outputs: Iterable[str], variant: str | None) -> str:
    """Why a model gives no force, in one line.

    Parameters
    ----------
    model : its name
    outputs : names of its outputs
    variant : that was asked for
    """
    every, suffix = sorted(outputs), f"/{variant}" if variant else ""
    variants = sorted({
        name.partition("/")[2] for name in every if name.partition("/")[0] in NAMES and "/" in name
    })  # fmt: skip
    what = (
        f"{model} has neither energy{suffix} nor non_conservative_force{suffix}; its outputs are "
        f"{', '.join(every) or 'none'}"
    )
    if variants:
        return f"{what}: give --variant with one of {', '.join(variants)}"
    if variant and any(name in every for name in NAMES):
        return f"{what}: leave --variant out"
    if any(name.startswith(OWN) for name in every):
        return (
            f"{what}: metatrain calls {OWN}NAME what it can't tell to be an energy; call the "
            "target energy, or energy/NAME, in its options, and train and export again"
        )
    return what


def assumed(model: str, capabilities: Any, used: Iterable[str]) -> Iterator[str]:
    """What is assumed where a model states no unit, one line each.

    Parameters
    ----------
    model : its name
    capabilities : metatomic's ``ModelCapabilities``
    used : outputs that forces are made of
    """
    if not capabilities.length_unit:
        yield f"{model} states no unit of length: A is assumed"
    for name in used:
        if not capabilities.outputs[name].unit:
            unit = "eV" if name.startswith("energy") else "eV/A"
            yield f"{model} states no unit of {name}: {unit} is assumed"
