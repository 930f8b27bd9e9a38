"""Runs of `ncforce run` with a driver that does what a test asks for."""

import json
import sys
from pathlib import Path

import pytest

from ncforce_ipi import cli
from ncforce_ipi.launch import job
from tests.ipi_host import ANALYTIC, molecules


@pytest.fixture
def launch(tmp_path, monkeypatch, capfd):
    """``launch(out, ...)``: ``ncforce run`` with the analytic driver; code, stderr, record."""
    monkeypatch.setattr(job, "PROGRAM", (sys.executable, ANALYTIC))
    monkeypatch.setenv("NCFORCE_TEST_FAULT", str(tmp_path / "fault"))
    monkeypatch.chdir(tmp_path)
    Path("start.xyz").write_text(molecules())
    Path("model.txt").write_text("any file")

    def call(out, *words):
        words = ("--model", "analytic:model.txt", "--structure", "start.xyz", *words)
        words += ("--mts", "4", "--time-ps", "0.06", "--out", out)
        code = cli.main(["run", *words])
        return code, capfd.readouterr().err, json.loads(Path(out, "run.json").read_text())

    return call
