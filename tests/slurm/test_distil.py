"""A distillation in jobs: what is interrupted goes on to the same student."""

import json

import ase.io
import numpy as np

from .test_jobs import restarts

LABELLED = "data/displaced.extxyz"  # by both processes
WIRE = 1e-14  # drivers answer in atomic units: the last bits of a label may be others


def test_a_distillation_goes_on(jobs, submitted):
    """Two processes label, a signal comes in the teacher's own run: one alone does the same."""
    job = submitted["pair"]
    assert jobs.ends(job, "pair") == {"COMPLETED"}, jobs.log("pair")
    assert restarts(job) == 1
    assert "ncforce distil: stopped by SIGUSR1; go on with: ncforce distil --resume" in jobs.log(
        "pair"
    )
    assert jobs.ends(submitted["whole-pair"], "whole-pair") == {"COMPLETED"}, jobs.log("whole-pair")
    one, other = (jobs.path(out) for out in ("pair", "whole-pair"))
    names = sorted(str(path.relative_to(other)) for path in other.glob("data/*.extxyz"))
    assert len(names) > 2
    names.remove(LABELLED)
    for a, b in zip(*(ase.io.read(path / LABELLED, ":") for path in (one, other)), strict=True):
        np.testing.assert_array_equal(a.positions, b.positions)
        np.testing.assert_allclose(a.get_potential_energy(), b.get_potential_energy(), WIRE)
        np.testing.assert_allclose(a.get_forces(), b.get_forces(), WIRE, atol=WIRE)
    names += [str(path.relative_to(other)) for path in other.glob("runs/*/simulation.out")]
    assert {name: (one / name).read_bytes() == (other / name).read_bytes() for name in names} == (
        dict.fromkeys(names, True)
    )
    cards = [json.loads((path / "card.json").read_text()) for path in (one, other)]
    assert cards[0]["allowed_mts"] == cards[1]["allowed_mts"]
    assert cards[0]["held_out_errors"] == cards[1]["held_out_errors"]
