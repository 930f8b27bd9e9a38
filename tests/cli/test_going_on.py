"""Files of a run that hasn't ended: every verb that reads them says so."""

import json

import pytest

from ncforce_ipi.cli import main
from tests.synthetic_run import write_run


@pytest.fixture(scope="module")
def growing(tmp_path_factory):
    """A run whose launcher was killed, as far as its record says."""
    directory = tmp_path_factory.mktemp("growing") / "run"
    write_run(directory, n_outer=300, n_molecules=8)
    record = json.loads((directory / "run.json").read_text())
    (directory / "run.json").write_text(json.dumps(record | {"state": "running"}))
    return directory


@pytest.mark.parametrize(
    "words",
    [
        ["analyze", "{run}", "--out", "{out}"],
        ["report", "{run}", "--no-view", "--out", "{out}.html"],
        ["compare", "{run}", "{run}/simulation.out", "--out", "{out}"],
        ["drift", "{run}"],
        ["temperature", "{run}"],
        ["rdf", "{run}"],
        ["vdos", "{run}", "--lag-ps", "0.2"],
    ],
    ids=lambda words: words[0],
)
def test_it_is_said(growing, tmp_path, capsys, words):
    assert main([word.format(run=growing, out=tmp_path / "out") for word in words]) == 0
    assert f"the launcher of the run in {growing} was killed" in capsys.readouterr().err


def test_nothing_is_said_of_a_run_that_has_ended(growing, tmp_path, capsys):
    directory = tmp_path / "run"
    write_run(directory, n_outer=300, n_molecules=8)
    assert main(["drift", str(directory)]) == 0
    assert "launcher" not in capsys.readouterr().err
