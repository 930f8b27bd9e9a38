"""Requests, sessions and trials of distillations that are tested without a model."""

from __future__ import annotations

import math

from ase.build import bulk

from ncforce_ipi.distil import choices
from ncforce_ipi.distil.request import Request, conditions
from ncforce_ipi.distil.session import Session
from ncforce_ipi.distil.state import State
from ncforce_ipi.distil.teacher import Known
from ncforce_ipi.distil.trial import Trial


def request_of(path, **words):
    return Request("analytic:harmonic", (str(path),), **words)


def salt():
    return bulk("NaCl", "rocksalt", a=5.9, cubic=True) * (2, 2, 2)


def session_of(tmp_path, monkeypatch, calls, seconds, **words):
    """With so many calls and seconds spent; no teacher is asked for anything."""
    monkeypatch.setattr(State, "seconds", seconds)
    path = tmp_path / "start.xyz"
    salt().write(path)
    request = request_of(path, **words)
    systems = conditions(request, tmp_path)
    state = State.new(tmp_path, request.to_dict())
    state.record["calls"] = calls
    choices_ = choices.choose(request, systems, teacher_s=0.5)
    return Session(tmp_path, request, systems, choices_, state, Known("", None, 0.5), None)


def trial(**other):
    """That passes, but for what is given."""
    values = {
        "mts": 8, "ended": "", "drift_meV_per_atom_per_ps": 0.1,
        "drift_ci95_meV_per_atom_per_ps": 0.1, "excess_meV_per_atom_per_ps": 0.1,
        "excess_ci95_meV_per_atom_per_ps": math.nan, "bound_meV_per_atom_per_ps": 0.2,
        "answers": {"drift": "passes"},
        "temperatures_K": {}, "reference_temperatures_K": {}, "rdf_sigmas": {"g(A-A)": math.nan},
        "ms_per_inner_step": 2.0, "reference_ms_per_inner_step": 10.0, "rms_eV_per_A": 0.1,
        "largest_rms_eV_per_A": 0.2, "time_ps": 1.0,
    }  # fmt: skip
    return Trial(**{**values, **other})
