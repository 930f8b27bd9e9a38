"""Frames beyond the force limit are left out of the data, and of their number."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ncforce_ipi.distil import points, sampling
from ncforce_ipi.distil.teacher import with_labels
from ncforce_ipi.errors import RunError

from .made import salt, session_of

LIMIT = 30.0  # eV/A


class Stiff:
    """A teacher whose n-th frame has one force of so many eV/A, the n-th of these."""

    def __init__(self, largest):
        self.calls, self.largest = 0, largest

    def label(self, frames):
        """With these forces."""
        return [self._labelled(atoms) for atoms in frames]

    def _labelled(self, atoms):
        forces = np.zeros((len(atoms), 3))
        forces[3, 1] = -self.largest[self.calls % len(self.largest)]
        self.calls += 1
        return with_labels(atoms, 0.0, forces)


def session(tmp_path, monkeypatch, largest):
    made = session_of(tmp_path, monkeypatch, 0, 0.0)
    choices = replace(made.choices, n_displaced=8, force_limit_eV_per_A=LIMIT)
    return replace(made, choices=choices, teacher=Stiff(largest))


@pytest.mark.parametrize(("largest", "n_left"), [((1.0,), 8), ((1.0, 31.0), 4), ((31.0,), 0)])
def test_displaced_copies_beyond_the_limit(tmp_path, monkeypatch, caplog, largest, n_left):
    made = session(tmp_path, monkeypatch, largest)
    file = sampling.file_of(made, "displaced")
    file.parent.mkdir(exist_ok=True)
    points.save([with_labels(salt(), 0.0, np.zeros((64, 3)))], file)  # of an attempt before
    assert sampling.displace(made) == ({"n_frames": n_left}, 8)
    found = points.load(file) if file.exists() else []
    assert len(found) == n_left
    assert all(np.abs(atoms.get_forces()).max() <= LIMIT for atoms in found)
    said = "all 8 displaced copies have a force beyond 30 eV/A and are left out"
    assert (said in caplog.text) == (n_left == 0)


class Run:
    """Points of a run, of which every frame from ``first`` on has a force of 31 eV/A."""

    def __init__(self, first):
        self.first = first

    def __len__(self):
        return 20

    def atoms(self, k, kind):
        """One of them."""
        forces = np.zeros((64, 3))
        forces[0, 0] = 31.0 if k >= self.first else 1.0
        atoms = with_labels(salt(), 0.0, forces)
        atoms.info["kind"] = kind
        return atoms


@pytest.mark.parametrize(("first", "n_left"), [(20, 32), (5, 10), (0, None)])
def test_frames_of_slow_forces_beyond_the_limit(tmp_path, monkeypatch, first, n_left):
    """20 of the warm-up and 12 (three fifths) of the reference, where all count."""
    made = session(tmp_path, monkeypatch, (1.0,))
    made = replace(made, choices=replace(made.choices, n_taught=100))
    finished = {"state": "finished", "reason": ""}
    monkeypatch.setattr(sampling, "dynamics", lambda *_, **__: finished)
    monkeypatch.setattr(sampling, "slow_calls", lambda record: 7)
    monkeypatch.setattr(sampling, "last_frame", lambda directory: "start.xyz")
    monkeypatch.setattr(sampling.points, "outer_points", lambda directory: Run(first))
    (system,) = made.systems
    if n_left is None:
        with pytest.raises(RunError, match=r"all 32 frames of slow forces alone .* nothing to lea"):
            sampling.teach(made, system)
        return
    found, calls = sampling.teach(made, system)
    assert (found["n_frames"], calls) == (n_left, 14)
    assert len(points.load(sampling.file_of(made, f"teacher-{system.name}"))) == n_left
