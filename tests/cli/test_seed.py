"""Options that a run doesn't use: said, or refused."""

import pytest

from ncforce_ipi.cli import main
from ncforce_ipi.inputs.systems import SYSTEMS
from ncforce_ipi.inputs.templates import shipped_file

VELOCITIES = str(shipped_file(SYSTEMS["water"].velocities))


@pytest.mark.parametrize(
    ("words", "used"),
    [
        (("--seed", "3", "--velocities", VELOCITIES), False),
        (("--seed", "3"), True),  # velocities
        (("--velocities", VELOCITIES), True),  # none was asked for
        (("--seed", "3", "--velocities", VELOCITIES, "--ensemble", "svr"), True),
        (("--seed", "3", "--velocities", VELOCITIES, "--beads", "2"), True),
    ],
)
def test_a_seed_that_decides_nothing_is_said(tmp_path, monkeypatch, capsys, words, used):
    monkeypatch.chdir(tmp_path)
    code = main(["input", "water", "--out", "there", *words])
    err = capsys.readouterr().err
    assert code == 0 or "--beads" in words, err
    assert ("--seed 3 isn't used: nothing is random" in err) == (not used)


@pytest.mark.parametrize("command", ["run", "slurm"])
def test_a_run_that_goes_on_keeps_its_limit_of_temperature(tmp_path, monkeypatch, capsys, command):
    monkeypatch.chdir(tmp_path)
    words = [command, "--resume", "--out", "demo", "--max-temperature-K", "500"]
    assert main(words) == 2
    said = "--resume continues the run as it was begun; leave out --max-temperature-K"
    assert said in capsys.readouterr().err
