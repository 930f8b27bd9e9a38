"""Molecular dynamics with direct and conservative machine-learned forces in i-PI.

i-PI integrates; our drivers serve a *slow* (conservative) and a *fast* (direct) force component
over i-PI's socket protocol; i-PI's multiple-time-step integrator combines them.

>>> import ncforce_ipi as nc
>>> nc.load("water").evaluate(atoms, kind="direct").forces
>>> run = nc.run("water", forces="mts", mts=8, time_ps=1, out="demo")
>>> run.rdf()["O", "O"].g
>>> nc.compare([run, nc.open_run("other")]).table()

Importing this is light: what a name needs is imported when it is used first.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ncforce_ipi.api.models import Model, Prediction, load
    from ncforce_ipi.api.runs import (
        Comparison,
        Run,
        compare,
        open_replicas,
        open_run,
        write_report,
    )
    from ncforce_ipi.api.start import resume, run
    from ncforce_ipi.inputs.ensembles import Ensemble

__version__ = "0.1.0"
__all__ = [
    "Comparison",
    "Ensemble",
    "Model",
    "Prediction",
    "Run",
    "compare",
    "load",
    "open_replicas",
    "open_run",
    "resume",
    "run",
    "write_report",
]

_HOMES = {
    "api.models": ("Model", "Prediction", "load"),
    "api.runs": (
        "Comparison",
        "Run",
        "compare",
        "open_replicas",
        "open_run",
        "write_report",
    ),
    "api.start": ("resume", "run"),
    "inputs.ensembles": ("Ensemble",),
}


def __getattr__(name: str) -> Any:
    """A public name, imported from its home."""
    for home, names in _HOMES.items():
        if name in names:
            return getattr(importlib.import_module(f"{__name__}.{home}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """The public names."""
    return sorted([*globals(), *__all__])
