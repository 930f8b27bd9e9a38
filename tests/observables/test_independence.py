"""Runs that are averaged as replicas must be runs of their own."""

from __future__ import annotations

import json
import shutil

import pytest

from ncforce_ipi import cli
from ncforce_ipi.errors import InputError
from ncforce_ipi.observables.conditions import open_conditions
from ncforce_ipi.observables.independence import require_independent
from ncforce_ipi.observables.source import Source
from tests.synthetic_run import write_run

SAME = "hold the same numbers"


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """``one``, a copy, its beginning, and another."""
    monkeypatch.chdir(tmp_path)
    write_run(tmp_path / "one", n_outer=200)
    shutil.copytree(tmp_path / "one", tmp_path / "copy")
    shutil.copytree(tmp_path / "one", tmp_path / "beginning")
    rows = (tmp_path / "one" / "simulation.out").read_text().splitlines(keepends=True)
    (tmp_path / "beginning" / "simulation.out").write_text("".join(rows[:120]))
    (tmp_path / "link").symlink_to("one")
    write_run(tmp_path / "other", n_outer=200, seed=2)


@pytest.mark.parametrize("verb", ["temperature", "drift", "power", "rdf", "vdos", "diffusion"])
@pytest.mark.parametrize("second", ["one", "copy", "beginning", "link"])
def test_one_run_is_no_two_replicas(runs, capsys, verb, second):
    assert cli.main([verb, "one", "other", second]) == 2
    assert f"one and {second} {SAME}" in capsys.readouterr().err


def test_neither_are_files_of_one_run(runs, capsys):
    files = [f"{name}/simulation.vel_0.xyz" for name in ("one", "copy")]
    assert cli.main(["vdos", *files]) == 2
    assert f"{files[0]} and {files[1]} {SAME}" in capsys.readouterr().err


@pytest.mark.parametrize(("kept", "refused"), [(0, False), (2, False), (3, True)])
def test_replicas_may_have_their_start_in_common(runs, tmp_path, kept, refused):
    """A run that has just begun isn't the beginning of another one."""
    path = tmp_path / "beginning" / "simulation.out"
    lines = (tmp_path / "one" / "simulation.out").read_text().splitlines(keepends=True)
    header = [line for line in lines if line.startswith("#")]
    path.write_text("".join(header + lines[len(header) :][:kept]))
    sources = [Source(tmp_path / name) for name in ("one", "beginning")]
    if refused:
        with pytest.raises(InputError, match=SAME):
            require_independent(sources)
    else:
        require_independent(sources)


@pytest.mark.parametrize(("kept", "refused"), [(1, False), (2, False), (3, True)])
def test_trajectories_may_have_their_start_in_common(runs, tmp_path, kept, refused):
    files = [tmp_path / f"{name}/simulation.vel_0.xyz" for name in ("one", "beginning")]
    lines = files[0].read_text().splitlines(keepends=True)
    files[1].write_text("".join(lines[: kept * (int(lines[0]) + 2)]))
    sources = [Source(file) for file in files]
    if refused:
        with pytest.raises(InputError, match=SAME):
            require_independent(sources)
    else:
        require_independent(sources)


@pytest.mark.parametrize(
    ("seeds", "ensemble", "velocities", "said"),
    [
        ((1, 1), "nve", None, True),
        ((1, 2), "nve", None, False),
        ((1, None), "nve", None, False),
        ((1, 1), "nve", "given.xyz", False),  # nothing was drawn
        ((1, 1), "svr", "given.xyz", True),
    ],
)
def test_runs_of_one_seed_are_named(runs, tmp_path, capsys, seeds, ensemble, velocities, said):
    how = {"ensemble": {"name": ensemble, "beads": 1}, "velocities": velocities}
    for name, seed in zip(("one", "other"), seeds, strict=True):
        path = tmp_path / name / "run.json"
        seeded = {} if seed is None else {"seed": seed}
        path.write_text(json.dumps(json.loads(path.read_text()) | how | seeded))
    assert cli.main(["drift", "one", "other"]) == 0
    told = "one and other have the same seed, 1: start velocities and thermostat drew the same"
    assert (told in capsys.readouterr().err) is said


def test_positions_and_velocities_of_one_run_are_one_run(runs, tmp_path, capsys):
    """Of which ``diffusion`` takes both."""
    path = tmp_path / "one" / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"seed": 1}))
    cli.main(["diffusion", "one/simulation.pos_0.extxyz", "one/simulation.vel_0.xyz"])
    told = capsys.readouterr().err
    assert SAME not in told
    assert "the same seed" not in told


def record(forces, mts, ensemble):
    plan = {
        "forces": forces, "mts": mts, "inner_step_fs": 0.5, "outer_step_fs": 4.0,
        "n_outer": 200, "time_ps": 0.8,
    }  # fmt: skip
    return {"plan": plan, "ensemble": {"name": ensemble, "beads": 1}}


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        (("mts", 4, "nve"), ("mts", 4, "nve"), ""),
        (("mts", 4, "nve"), ("mts", 8, "nve"), "one (mts M = 4, 0.5 fs, nve) and other (mts M = 8"),
        (("slow", 1, "nve"), ("slow", 1, "svr"), "(slow M = 1, 0.5 fs, svr) are no replicas"),
    ],
)
def test_a_mean_over_different_runs_is_said_to_be_one(runs, tmp_path, caplog, first, second, said):
    for name, how in (("one", first), ("other", second)):
        path = tmp_path / name / "run.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | record(*how)))
    open_conditions([tmp_path / "one", tmp_path / "other"])
    told = caplog.text.replace(f"{tmp_path}/", "")
    assert ("no replicas of each other" in told) is bool(said)
    assert said in told
