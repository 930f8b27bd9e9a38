"""A student's training that is cut off goes on, unless it is another one by then."""

from dataclasses import replace

import ase.io
import pytest
import torch

from ncforce_ipi.distil import student
from ncforce_ipi.distil.state import done_in
from ncforce_ipi.training import fit as fitting
from ncforce_ipi.training import progress
from tests.training.conftest import labelled_water
from tests.training.test_progress import cut_off

from .made import session_of


@pytest.fixture
def train(tmp_path, monkeypatch):
    """A training of nine steps in a directory: its checkpoint's weights, and steps that it took."""
    small = {"n_steps": 9, "n_steps_again": 6, "channels": 8, "layers": 2, "n_radial": 8}
    small |= {"atoms_per_batch": 48, "compiled": False, "tensor_channels": 0}
    (tmp_path / "x").mkdir()
    choices = replace(session_of(tmp_path / "x", monkeypatch, 0, 0.0).choices, **small)
    data = tmp_path / "data"
    data.mkdir()
    for name, seeds in (("displaced", range(4)), (student.HELD_OUT, range(4, 6))):
        ase.io.write(data / f"{name}.extxyz", [labelled_water(seed) for seed in seeds])

    def run(out, seed=1):
        how = student.recipe(choices, [1, 8], data, seed=seed, again=False, teacher="a formula")
        taken = []
        with monkeypatch.context() as patched:
            step = fitting.Optimisation.step
            patched.setattr(
                fitting.Optimisation, "step", lambda *of: (taken.append(1), step(*of))[1]
            )
            student.train(
                how, data, out, initial=None, choices=choices, device=None, threads=1,
                watch=lambda part, row: None,
            )  # fmt: skip
        return torch.load(out / student.CHECKPOINT, weights_only=True)["weights"], len(taken)

    return run


def test_it_goes_on_after_its_last_validation(tmp_path, monkeypatch, train):
    whole, n_steps = train(tmp_path / "whole")
    assert n_steps == 9
    out = tmp_path / "pair" / "rounds" / "round-01"
    assert done_in(tmp_path / "pair") == (0, 0, 0)
    with cut_off(monkeypatch, progress, "keep", 3):  # validations are after 3, 6 and 9 steps
        train(out)
    assert done_in(tmp_path / "pair") == (0, 0, 4)  # with the names of the columns
    found, n_steps = train(out)
    assert n_steps == 3
    assert all(torch.equal(found[name], whole[name]) for name in whole)
    assert (out / student.MODEL).exists()


def test_another_training_begins_anew(tmp_path, monkeypatch, train):
    with cut_off(monkeypatch, progress, "keep", 3):
        train(tmp_path / "out")
    _, n_steps = train(tmp_path / "out", seed=2)
    assert n_steps == 9
