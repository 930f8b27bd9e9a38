"""The teacher's own runs begin as warm as they are to be, however short the warm-up is."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ase.build import bulk

from ncforce_ipi import open_run
from ncforce_ipi.distil import sampling
from ncforce_ipi.rundir import read_record
from tests.distil import made

# argon's crystal, a hundred times as strongly bound: its vibrations take 50 fs and more
TEACHER = (
    """analytic:lennard-jones --arguments '{"epsilon_eV": 1.0, "sigma_A": 3.4, "cutoff_A": 7.0}'"""
)


@pytest.mark.e2e
def test_a_crystal_at_rest_is_warm_after_a_short_warm_up(tmp_path, monkeypatch):
    """All 108 atoms lie where their energy is least: both halves of the energy have to fill up.

    The energy of a canonical crystal of that size scatters by 6 %; with a thermostat of 100 fs the
    reference has 256 K.
    """
    pytest.importorskip("ipi")
    monkeypatch.setattr(made, "salt", lambda: bulk("Ar", "fcc", a=5.21, cubic=True) * (3, 3, 3))
    session = made.session_of(tmp_path, monkeypatch, 0, 0.0)
    session.request = replace(session.request, teacher=TEACHER)
    session.choices = replace(
        session.choices, timestep_fs=2.0, warm_ps=0.12, reference_ps=0.2, n_taught=5
    )
    session.data.mkdir()
    sampling.teach(session, session.systems[0])
    name = session.systems[0].name
    found = open_run(session.run(f"reference-{name}")).temperature()
    assert 265 < found["Ar"].value < 335
    assert read_record(session.run(f"warm-{name}"))["ensemble"]["tau_fs"] == pytest.approx(24.0)


@pytest.mark.parametrize(("npt", "name"), [(False, "langevin"), (True, "npt")])
@pytest.mark.parametrize(("warm_ps", "tau_fs"), [(0.05, 10.0), (0.4, 80.0), (2.0, 100.0)])
def test_the_thermostat_of_a_warm_up_is_as_fast_as_it_has_to_be(
    tmp_path, monkeypatch, npt, name, warm_ps, tau_fs
):
    session = made.session_of(tmp_path, monkeypatch, 0, 0.0, npt=npt)
    session.choices = replace(session.choices, warm_ps=warm_ps)
    found = sampling._warm_up(session)
    assert (found.name, found.tau_fs) == (name, pytest.approx(tau_fs))
