"""A training that was cut off goes on as if nothing had happened."""

from __future__ import annotations

import csv
from contextlib import contextmanager
from itertools import count

import pytest
import torch

from ncforce_ipi.cli import main
from ncforce_ipi.training import progress
from ncforce_ipi.training.optimise import Optimisation


class CutOff(BaseException):
    """Of the process: nothing may catch it."""


@contextmanager
def cut_off(monkeypatch, owner, name, nth):
    """Within, the n-th call of it never comes to its end."""
    calls, real = count(1), getattr(owner, name)

    def instead(*arguments):
        if next(calls) == nth:
            raise CutOff
        return real(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(owner, name, instead)
        with pytest.raises(CutOff):
            yield


def left(out):
    """Weights, and the curve without its times."""
    with (out / "curve.csv").open() as file:
        rows = [{k: v for k, v in row.items() if k != "cpu_s"} for row in csv.DictReader(file)]
    return torch.load(out / "checkpoint.pt", weights_only=True)["weights"], rows


@pytest.fixture(params=["scratch", "direct", "distil"])
def words(request, folder):
    """Of a training of nine steps and three validations."""
    recipe = ["train", str(folder / "recipe.toml"), "--no-compile"]
    if request.param != "distil":
        return [*recipe, "--stage", request.param, "--n-steps", "9", "--out"]
    assert main([*recipe, "--n-steps", "3", "--out", str(folder / "start")]) == 0
    initial = str(folder / "start" / "checkpoint.pt")
    return [*recipe, "--stage", "distil", "--init", initial, "--n-steps", "9", "--out"]


@pytest.mark.parametrize(
    ("owner", "name", "nth"),
    [
        (Optimisation, "step", 6),  # between two validations
        (progress, "keep", 2),  # with a row on the curve whose steps are taken again
    ],
)
def test_bitwise_as_one_that_was_never_cut_off(words, folder, monkeypatch, owner, name, nth):
    whole, cut = folder / "whole", folder / "cut"
    assert main([*words, str(whole)]) == 0
    with cut_off(monkeypatch, owner, name, nth):
        main([*words, str(cut)])
    assert (cut / progress.FILE).exists()
    assert main([*words, str(cut), "--resume"]) == 0
    (expected, rows), (found, found_rows) = left(whole), left(cut)
    assert [row["step"] for row in rows] == ["3", "6", "9"]
    assert found_rows == rows
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    assert {f.name for f in cut.iterdir()} == {f.name for f in whole.iterdir()}


def test_by_the_clock_too(folder, monkeypatch):
    """The time that was spent before counts."""
    words = ["train", str(folder / "recipe.toml"), "--no-compile", "--minutes", "0.2"]
    words += ["--out", str(folder / "out")]
    with cut_off(monkeypatch, Optimisation, "step", 5):
        main(words)
    kept = torch.load(folder / "out" / progress.FILE, weights_only=True)
    assert kept["standing"]["steps"] == 3
    kept["standing"]["spent_s"] = 11.999
    torch.save(kept, folder / "out" / progress.FILE)
    assert main([*words, "--resume"]) == 0
    assert [row["step"] for row in left(folder / "out")[1]] == ["3", "4"]


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (["--seed", "1"], "was begun with seed = 0, now it is 1; give what it was begun with, or"),
        (["--n-steps", "12"], "was begun with n_steps = 6, now it is 12; give"),
        (["--stage", "direct"], "was begun with stage = scratch, now it is direct"),
        (["--minutes", "1"], "was begun with minutes = None, now it is 1.0"),
        (["--force"], "--force begins anew and --resume goes on; give one of them"),
        (["--out", "nowhere"], "nothing to go on with in nowhere: no progress.pt"),
        (["--data", "other"], "was begun with other data; give those, or begin anew"),
        ("broken", "out/progress.pt can't be read; begin anew with --force"),
    ],
)
def test_another_training_is_refused(folder, monkeypatch, capsys, change, line):
    monkeypatch.chdir(folder)
    words = ["train", "recipe.toml", "--no-compile", "--out", "out"]
    with cut_off(monkeypatch, Optimisation, "step", 5):
        main(words)
    if change == "broken":
        (folder / "out" / progress.FILE).write_bytes(b"PK")
        change = []
    if "other" in change:
        (folder / "other").mkdir()
        for file in folder.glob("*.xz"):
            (folder / "other" / file.name).write_bytes((folder / "val.xyz.xz").read_bytes())
    before = {file.name: file.read_bytes() for file in (folder / "out").iterdir()}
    assert main([*words, "--resume", *change]) == 2
    assert line in capsys.readouterr().err.strip().splitlines()[-1]
    assert {file.name: file.read_bytes() for file in (folder / "out").iterdir()} == before
    assert not (folder / "nowhere").exists()
    monkeypatch.setattr(progress, "read", None)  # begun anew, it isn't looked at
    assert main([*words, "--force"]) == 0
    assert not (folder / "out" / progress.FILE).exists()
