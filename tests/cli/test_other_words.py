"""Words that contradict a run that goes on, and limits that are none."""

import hashlib
import json
from pathlib import Path

import pytest

from ncforce_ipi.cli import main
from ncforce_ipi.inputs.plan import Plan
from ncforce_ipi.launch import run
from ncforce_ipi.launch.jobs.job import new_job
from ncforce_ipi.rundir import read_record

PLAN = Plan.from_time("mts", 8, 0.5, 1.0)


def begun(directory, **words):
    """A directory with the record of a run that has begun."""
    directory.mkdir()
    record = run.check(new_job(directory, PLAN, **words)).record
    (directory / "run.json").write_text(json.dumps(record))
    return directory


@pytest.mark.parametrize("command", ["run", "slurm"])
@pytest.mark.parametrize(
    ("words", "named", "refused"),
    [
        ({"system": "water"}, "water", False),
        ({"system": "water"}, "graphene", True),
        ({"system": "graphene"}, "amorphous-carbon", True),  # of the same model
        ({"model": "carbon", "structure": "graphene"}, "graphene", False),
        ({"system": "graphene", "structure": "own.xyz"}, "graphene", False),
        ({"system": "graphene", "structure": "own.xyz"}, "water", True),
    ],
)
def test_a_run_goes_on_only_as_its_own_system(
    tmp_path, monkeypatch, capsys, command, words, named, refused
):
    monkeypatch.chdir(tmp_path)
    diamond = "2\n" + 'Lattice="2.52 0 0 1.26 2.18 0 1.26 0.73 2.06" Properties=species:S:1:pos:R:3'
    Path("own.xyz").write_text(diamond + "\nC 0 0 0\nC 1.26 0.73 0.51\n")
    directory = begun(tmp_path / "there", **words)
    monkeypatch.setattr(run, "go_on", lambda *_: 1 / 0)
    words = [command, named, "--resume", "--out", str(directory)]
    if command == "slurm":
        words += ["--time", "1:00:00", "--dry-run"]
    if not refused and command == "run":
        with pytest.raises(ZeroDivisionError):
            main(words)
        return
    assert main(words) == (2 if refused else 0)
    of = read_record(directory)["structure"]
    said = f"the run in {directory} is of {of} with model {'water' if of == 'water' else 'carbon'}"
    assert (f"{said}, not of {named}; leave {named} out" in capsys.readouterr().err) == refused


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--stall-s", "nan"), "--stall-s: expected seconds, more than 0, got nan"),
        (("--stall-s", "-1"), "--stall-s: expected seconds, more than 0, got -1"),
        (("--max-temperature-K", "nan"), "--max-temperature-K: expected a temperature in K, more"),
        (("--max-temperature-K", "-5"), "more than 0, got -5"),
    ],
)
def test_limits_that_are_none(tmp_path, monkeypatch, capsys, words, said):
    monkeypatch.chdir(tmp_path)
    assert main(["run", "water", "--out", "there", *words]) == 2
    assert said in capsys.readouterr().err
    assert not Path("there").exists()


@pytest.mark.parametrize("role", ["model", "slow model"])
def test_a_model_that_is_no_more_where_it_was(tmp_path, monkeypatch, capsys, role):
    monkeypatch.chdir(tmp_path)
    file = Path("mine.txt")
    file.write_text("any file")
    words = {"model": "analytic:mine.txt", "structure": "water"}
    if role == "slow model":
        words = {"system": "water", "slow": "analytic:mine.txt"}
    begun(tmp_path / "there", **words)
    file.rename("elsewhere.txt")
    assert main(["run", "--resume", "--out", "there"]) == 2
    digest = hashlib.sha256(b"any file").hexdigest()[:12]
    assert (
        f"the file of the {role} with which the run began is missing: {tmp_path / file} "
        f"(SHA-256 {digest}); put it, or a link to it, there to go on"
    ) in capsys.readouterr().err


def test_drivers_of_other_machines_do_not_come_to_a_port_of_i_pi(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    begun(tmp_path / "there", system="water", port=31415)
    assert main(["run", "--resume", "--remote", "0", "--out", "there"]) == 2
    assert "i-PI listens on port 31415 in this run, and --remote" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--structure", "graphene", "--model", "carbon"), "the model of both forces"),
        (("--structure", "graphene", "--slow", "carbon", "--fast", "carbon"), "of both forces"),
        (("--structure", "graphene", "--slow", "carbon", "--forces", "slow"), "of the slow forces"),
        (("--structure", "water", "--slow", "analytic:harmonic"), None),  # its model is fast
        (("--model", "water"), None),  # its structure
        (("--structure", "water", "--model", "water"), None),
    ],
)
def test_a_system_of_which_nothing_is_used_is_said(tmp_path, monkeypatch, capsys, words, said):
    monkeypatch.chdir(tmp_path)
    assert main(["input", "water", "--out", "there", *words]) == 0
    err = capsys.readouterr().err
    assert ("water isn't used: the structure and the model" in err) == (said is not None)
    assert said is None or said in err
