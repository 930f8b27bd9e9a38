"""Whole distillations with real i-PI and a teacher that is a formula: argon, 16 atoms."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk
from ase.io import read

from ncforce_ipi import cli, load, open_run
from ncforce_ipi.distil import rounds, sampling
from ncforce_ipi.distil.heldout import nearest_A
from ncforce_ipi.distil.points import outer_points
from ncforce_ipi.distil.state import FILE
from ncforce_ipi.launch.directory.tails import last_step
from ncforce_ipi.launch.processes.timelimit import TimeLimit

pytest.importorskip("ipi")
# seconds where nothing else is done; ten times that on a busy machine
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1500)]
TEACHER = """analytic:lennard-jones --arguments '{"cutoff_A": 5.0}'"""
SMALL = ("channels=8", "layers=2", "n_radial=8", "rounds=2", "n_steps=60", "n_steps_again=30",
         "n_displaced=8", "warm_ps=0.04", "reference_ps=0.16", "hot_steps=10",
         "test_steps=60", "longer=0")  # fmt: skip
GO_ON = ["distil", "--resume", "--out", "pair"]
WAIT_S = 900.0  # for what takes some seconds on a machine with nothing else to do


def words(out, *more, changes=()):
    """A small distillation: M = 2, so that a run of the pair is short."""
    given = ["distil", TEACHER, "--structure", "ar.xyz", "--temperature-K", "60", "--mts", "2"]
    given += ["--teacher-calls", "900", "--out", out, *more]
    return given + [word for one in (*SMALL, *changes) for word in ("--set", one)]


@pytest.fixture
def argon(tmp_path, monkeypatch):
    """In a directory with ``ar.xyz``."""
    monkeypatch.chdir(tmp_path)
    (bulk("Ar", "fcc", a=5.4, cubic=True) * (2, 2, 1)).write("ar.xyz")
    return tmp_path


def test_a_pair_survives_a_crash_and_ctrl_c_passes_and_learns_more(argon, capfd, monkeypatch):
    """From one command, cut off twice, to a student that runs; then frames of a run are added."""

    def crash(*_, **__):
        raise OSError("no room")

    with monkeypatch.context() as patched:
        patched.setattr(rounds, "train", crash)
        assert cli.main(words("pair")) == 1
    assert set(stages()) == {"displaced", "teacher-1-60K", "held-out"}
    stamp = Path("pair/data/displaced.extxyz").stat().st_mtime_ns
    interrupt_in("round-01-mts2-1-60K")
    before = stages()
    assert set(before) == {"displaced", "teacher-1-60K", "held-out", "round-01/train",
                           "round-01/inspect"}  # fmt: skip
    assert cli.main(GO_ON) == 0
    assert stages().items() >= before.items()
    assert Path("pair/data/displaced.extxyz").stat().st_mtime_ns == stamp
    assert "passes at M = " in capfd.readouterr().out
    check_card(json.loads(Path("pair/card.json").read_text()))
    check_labels(argon)
    done = stages()
    assert cli.main(GO_ON) == 0  # nothing is left to do
    assert stages() == done
    run = Path("pair/runs/round-01-mts2-1-60K")
    assert cli.main([*GO_ON, "--add", str(run)]) == 0  # one more round
    card = json.loads(Path("pair/card.json").read_text())
    left_out = len(outer_points(run)) - card["data"]["added-1"]
    assert 0 < left_out < len(outer_points(run))  # it follows the reference, whose end is held out
    nothing_held_out_is_learnt()
    assert (card["round_taken"], card["rounds"]) == (2, 2)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1], ids=["TERM", "USR1"])
def test_a_signal_between_runs_is_a_clean_end(argon, capfd, monkeypatch, number):
    """While the copies are labelled, and in the teacher's own run."""

    def interrupted(*_):
        os.kill(os.getpid(), number)
        time.sleep(WAIT_S)

    with monkeypatch.context() as patched:
        patched.setattr(sampling, "displaced", interrupted)
        assert cli.main(words("pair")) == 128 + number
    assert capfd.readouterr().err.splitlines()[-1] == (
        f"ncforce distil: stopped by {number.name}; go on with: ncforce distil --resume --out pair"
    )
    assert (stages(), signal.getsignal(number)) == ({}, signal.SIG_DFL)


def test_a_time_limit_stops_it_and_a_run_goes_on(argon, capfd, monkeypatch):
    """In the teacher's own run; a call in which nothing is done is a failure."""
    limit = {"at": 10}  # outer steps

    def is_near(self, step_s):
        return last_step(Path("pair/runs/warm-1-60K/simulation.out")) >= limit["at"]

    monkeypatch.setattr(TimeLimit, "is_near", is_near)
    often = ("warm_ps=20", "n_displaced=2")  # 10^4 steps
    calls = ("--time-limit", "1:00:00", "--teacher-calls", "20000")
    assert cli.main([*words("pair", changes=often), *calls]) == 75
    assert "stopped for the time limit of 01:00:00; go on with" in capfd.readouterr().err
    assert set(stages()) == {"displaced"}
    done = last_step(Path("pair/runs/warm-1-60K/simulation.out"))
    assert cli.main([*GO_ON, "--time-limit", "1:00:00"]) == 1
    assert "was done in 01:00:00; give a longer --time-limit" in capfd.readouterr().err
    limit["at"] = done + 10
    assert cli.main([*GO_ON, "--time-limit", "1:00:00"]) == 75
    assert last_step(Path("pair/runs/warm-1-60K/simulation.out")) >= done + 10


def stages():
    return json.loads(Path("pair", FILE).read_text())["stages"]


def interrupt_in(name):
    """Go on in another process, and send it Ctrl-C in the middle of a run."""
    command = [sys.executable, "-m", "ncforce_ipi", *GO_ON]
    properties, deadline = Path("pair", "runs", name, "simulation.out"), time.monotonic() + WAIT_S
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True,
                          preexec_fn=_as_in_a_terminal) as it:  # fmt: skip
        while not (properties.exists() and properties.read_text().count("\n") > 25):
            assert it.poll() is None, it.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        os.kill(it.pid, signal.SIGINT)
        _, err = it.communicate(timeout=WAIT_S)
    assert it.returncode == 130, err


def _as_in_a_terminal():
    signal.signal(signal.SIGINT, signal.default_int_handler)


def nothing_held_out_is_learnt():
    """Nothing is nearer to a held-out frame than the teacher's frames that come before."""
    held_out = read("pair/data/held-out.extxyz", ":")
    near = {}
    for path in Path("pair/data").glob("*-*.extxyz"):
        near[path.stem] = min(nearest_A(frame, held_out) for frame in read(path, ":"))
    assert near.pop("held-out") == 0.0
    assert {"teacher-1-60K", "added-1"} <= set(near)
    assert min(near.values()) == near["teacher-1-60K"] > 0.0


def check_card(card):
    band = card["slow_minus_fast_rms_eV_per_A"]
    assert 0.0 < band["expected"] < band["upper"]
    assert card["allowed_mts"] >= 2
    assert card["tests"]["2"]["1-60K"]["passes"]
    assert card["held_out_errors"]["direct_meV_per_A"]["Ar"] > 0.0
    assert card["teacher_calls"] <= 900
    for name in ("student.pt", "card.md", "distil.png", "distil.pdf", "run.txt"):
        assert Path("pair", name).stat().st_size > 0


def check_labels(argon):
    """What is learnt is what i-PI wrote: the same forces as the formula gives."""
    for name in ("teacher-1-60K", "displaced"):
        frame = read(argon / "pair" / "data" / f"{name}.extxyz", "-1")
        with load(TEACHER) as teacher:
            there = teacher.evaluate(frame)
        # i-PI writes forces with 6 digits and positions with 8 decimals
        assert frame.get_forces() == pytest.approx(there.forces, rel=1e-4, abs=1e-6)
        assert frame.get_potential_energy() == pytest.approx(there.energy, abs=1e-6)


def test_a_pair_that_passes_nothing_isn_t_left_as_one(argon, capfd):
    """Steps of 40 fs: twice that is beyond what argon takes, with any student, at 20 and 80 K."""
    changes = ("timestep_fs=40", "reference_ps=3", "warm_ps=0.8", "rounds=1", "n_steps=2",
               "tolerance_meV_per_atom_per_ps=1e-9")  # fmt: skip
    given = words("pair", changes=changes)
    given[given.index("60")] = "20,80"
    assert cli.main(given) == 1
    said = capfd.readouterr().err
    assert "no pair: M = 2 was tried and doesn't pass (1-20K, " in said
    assert "; 1-80K, " in said
    assert not (argon / "pair" / "student.pt").exists()
    assert "**No M passes: there is no pair.**" in (argon / "pair" / "card.md").read_text()
    card = json.loads((argon / "pair" / "card.json").read_text())
    assert card["allowed_mts"] is None
    assert set(card["tests"]["2"]) == {"1-20K", "1-80K"}
    cold, hot = (
        open_run(f"pair/runs/reference-1-{t}K").temperature()["Ar"].value for t in (20, 80)
    )
    assert cold < 40 < hot


def test_several_systems_at_constant_pressure(argon):
    """Of other sizes and elements, with two processes that label; each has its verdict."""
    mixture = bulk("Ar", "fcc", a=5.5, cubic=True) * (3, 1, 1)
    mixture.numbers[::3] = 36
    mixture.write("mixture.xyz")
    changes = ("rounds=1", "n_steps=20", "warm_ps=0.04", "reference_ps=0.12", "test_steps=30",
               "n_displaced=4")  # fmt: skip
    given = words("pair", "--npt", "--drivers", "2", changes=changes)
    given[given.index("ar.xyz") + 1 : given.index("ar.xyz") + 1] = ["mixture.xyz"]
    given[given.index("--teacher-calls") + 1] = "340"  # enough for no M but the one asked for
    code = cli.main(given)  # so short a run may leave its drift open
    card = json.loads((argon / "pair" / "card.json").read_text())
    assert code == int(card["allowed_mts"] is None)
    assert set(card["tests"]["2"]) == {"1-60K", "2-60K"}
    assert set(card["held_out_errors"]["direct_meV_per_A"]) == {"all", "Ar", "Kr"}
    frames = read("pair/data/displaced.extxyz", ":")
    assert [len(a) for a in frames] == [16] * 4 + [12] * 4
    assert {a.numbers.max() for a in read("pair/data/held-out.extxyz", ":")} == {18, 36}
    for number in (1, 2):
        cells = read(f"pair/data/teacher-{number}-60K.extxyz", ":")
        assert np.ptp([a.get_volume() for a in cells]) > 0.01  # A^3: the barostat moves


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("--temperature-K", "-5"), "temperature -5 K"),
        (("--structure", "nothing.xyz"), "nothing.xyz"),
        (("--set", "colour=red"), "no choice 'colour'"),
        (("--set", "rounds"), "expected NAME=VALUE"),
        (("--resume",), "--resume goes on as it was begun; leave out --teacher"),
        (("--add", "run"), "--add needs --resume"),
    ],
)
def test_bad_words_are_refused_before_anything_is_spent(argon, capfd, change, said):
    assert cli.main([*words("pair"), *change]) == 2
    assert said in capfd.readouterr().err
    assert not (argon / "pair" / FILE).exists()


def test_a_teacher_that_can_t_teach_is_refused(argon, capfd):
    (bulk("U", "fcc", a=5.0, cubic=True) * 2).write("u.xyz")
    assert cli.main(["distil", "water", "--structure", "u.xyz", "--out", "pair"]) == 2
    assert "doesn't know U; choose another teacher" in capfd.readouterr().err
    calculator = """ase:ase.calculators.lj:LennardJones --no-virial"""
    call = ["distil", calculator, "--structure", "ar.xyz", "--npt", "--out", "pair"]
    assert cli.main(call) == 2
    assert "has no stress, which --npt needs" in capfd.readouterr().err


def test_what_was_chosen_is_printed_and_nothing_written(argon, capfd):
    assert cli.main([*words("pair"), "--recipe"]) == 0
    lines = capfd.readouterr().out.splitlines()
    assert lines[0].startswith("teacher: lennard-jones (analytic, float64), ")
    table = {line.split()[0]: line.split()[1] for line in lines[1:]}
    assert (table["timestep_fs"], table["channels"], table["calls"]) == ("2", "8", "900")
    assert not (argon / "pair").exists()
    assert np.isfinite(float(table["r_min_A"]))
