"""The watchdog of slow - fast with real i-PI: it asks for nothing, changes nothing, can stop."""

import json
import shlex
from pathlib import Path

import ase.io
import numpy as np
import pytest

from ncforce_ipi.launch.engine import command
from ncforce_ipi.launch.jobs import job
from ncforce_ipi.reading.properties import read_properties
from ncforce_ipi.reading.trajectory import open_trajectory
from tests.analytic_driver import harmonic

pytestmark = pytest.mark.e2e
OUTPUTS = ("simulation.out", "simulation.pos_0.extxyz", "simulation.vel_0.xyz")
ROWS, KEPT = "simulation.disagreement.out", "disagreeing.extxyz"
TWIST = 0.01  # eV/A^2, of the driver: direct - conservative is about 0.005 eV/A


def card(upper, expected=0.0):
    """Beside ``model.txt``."""
    band = {"slow_minus_fast_rms_eV_per_A": {"expected": expected, "upper": upper}}
    Path("card.json").write_text(json.dumps(band))


def answers(record):
    """Requests of each role: needed, and what our drivers answered."""
    (segment,) = record["segments"]
    return segment["requests"]


@pytest.mark.parametrize(
    "words", [(), ("--ensemble", "npt", "--beads", "2")], ids=["nve", "npt-beads"]
)
def test_no_force_is_asked_for_and_no_bit_is_changed(launch, monkeypatch, words):
    card(1e-9)  # frames are kept all the time
    code, _, watched = launch("watched", *words)
    assert code == 0
    plain = command.ipi_command
    monkeypatch.setattr("ncforce_ipi.launch.segments.rounds.ipi_command", lambda *a: plain(*a[:2]))
    code, _, unwatched = launch("unwatched", *words)
    assert code == 0
    assert answers(watched) == answers(unwatched)
    assert not Path("unwatched", ROWS).exists()
    assert Path("watched", ROWS).exists()
    names = [path.name for path in Path("unwatched").glob("simulation.*")]
    assert len(names) >= len(OUTPUTS)
    for name in names:
        if "checkpoint" not in name:  # names its directory
            assert Path("watched", name).read_bytes() == Path("unwatched", name).read_bytes()


def test_rows_are_the_difference_of_the_forces_that_ipi_writes(launch):
    code, err, record = launch("out", "--write-forces", "1")  # without a card
    assert code == 0
    assert "card" not in err
    assert not Path("out", KEPT).exists()
    slow, fast = (
        open_trajectory(Path("out", f"simulation.forces_{name}.xyz"), "forces")
        for name in ("slow", "fast")
    )
    a, b = (next(iter(one.blocks(100))).values for one in (slow, fast))
    expected = np.sqrt(((a - b) ** 2).mean(axis=(1, 2)))
    table = read_properties(Path("out", ROWS))
    found = table.column("slow_minus_fast_rms", "ev/ang")
    assert len(found) == 31
    # frames are written with 6 digits of forces of about 1 eV/A, which differ by 0.005 eV/A
    np.testing.assert_allclose(found, expected, atol=1e-5)
    times_ps = read_properties(Path("out", "simulation.out")).column("time", "picosecond")
    np.testing.assert_allclose(table.column("time", "picosecond"), times_ps, atol=1e-9)  # 8 digits
    whole = record["slow_minus_fast"]["rms_eV_per_A"]
    assert whole == pytest.approx(np.sqrt((found**2).mean()), rel=1e-6)  # 8 digits are written
    assert record["slow_minus_fast"]["band"] is None


def test_beyond_the_band_of_two_models_it_says_so_once_and_keeps_labelled_frames(launch):
    card(0.001)
    Path("slow.txt").write_text("another file")
    program = Path("other-ncforce")
    program.write_text(f'#!/bin/sh\nexec {shlex.join(job.PROGRAM)} "$@"\n')
    program.chmod(0o755)
    slow = f"{program.absolute()} driver analytic --model slow.txt"
    code, err, record = launch("out", "--slow", slow)
    assert code == 0
    assert answers(record) == {
        "slow": {"needed": 31, "answered_by_our_drivers": 31},
        "fast": {"needed": 121, "answered_by_our_drivers": 121},
    }
    assert err.count("the system is where it wasn't trained") == 1
    assert record["slow_minus_fast"]["frames_kept"]
    assert record["slow_minus_fast"]["band"] == {"expected": 0.0, "upper": 0.001}
    frames = ase.io.read(Path("out", KEPT), ":")
    assert [atoms.info["time_ps"] for atoms in frames] == pytest.approx([0.0, 0.02, 0.04, 0.06])
    for atoms in frames:
        energy, forces = harmonic(atoms.positions)
        # 1e-7: positions have ten decimals and the stiffest bond 25 eV/A^2; i-PI's constants
        np.testing.assert_allclose(atoms.get_forces(), forces, atol=1e-7)
        assert atoms.get_potential_energy() == pytest.approx(energy, abs=1e-7)
        difference = np.linalg.norm(atoms.arrays["fast_forces"] - forces, axis=1)
        assert 0.001 < difference.max() < 2.0 * TWIST  # an arm is shorter than 2 A


def test_it_stops_with_a_code_of_its_own_and_goes_on_bitwise(launch, monkeypatch, capfd):
    # so that the launcher sees it in time, and i-PI that it is to stop, which may take a second
    monkeypatch.setenv("NCFORCE_TEST_SLEEP_S", "0.03")
    card(0.001)
    code, err, record = launch("stopped", "--stop-on-disagreement")
    assert code == 3
    assert record["state"] == "stopped"
    assert not record["unphysical"]
    assert "stopped: slow - fast is" in record["reason"]
    assert "go on with: ncforce run --resume" in err
    assert 4 <= record["steps_done"] < 30  # the fifth outer point is that of step 4
    monkeypatch.delenv("NCFORCE_TEST_SLEEP_S")
    from ncforce_ipi import cli

    assert cli.main(["run", "--resume", "--out", "stopped"]) == 0  # said once
    assert "trained" not in capfd.readouterr().err
    code, _, _ = launch("whole")
    assert code == 0
    for name in (*OUTPUTS, ROWS, KEPT):
        assert Path("stopped", name).read_bytes() == Path("whole", name).read_bytes()


def test_one_force_has_nothing_to_compare(launch, monkeypatch, capfd):
    from ncforce_ipi import cli

    words = ["run", "--model", "analytic:model.txt", "--structure", "start.xyz", "--time-ps"]
    words += ["0.01", "--forces", "slow", "--out"]
    assert cli.main([*words, "one"]) == 0
    assert not Path("one", ROWS).exists()
    assert "slow_minus_fast" not in json.loads(Path("one", "run.json").read_text())
    assert cli.main([*words, "two", "--stop-on-disagreement"]) == 2
    assert "compares two forces" in capfd.readouterr().err
    assert not Path("two").exists()


def test_stopping_needs_a_card(launch, capfd):
    from ncforce_ipi import cli

    words = ["run", "--model", "analytic:model.txt", "--structure", "start.xyz", "--out", "out"]
    assert cli.main([*words, "--stop-on-disagreement"]) == 2
    assert "needs card.json of these models" in capfd.readouterr().err
    assert not Path("out").exists()
