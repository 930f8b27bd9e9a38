"""How results are written: bytes of small files, and what is refused before computing."""

import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from ncforce_ipi import plots
from ncforce_ipi.errors import InputError
from ncforce_ipi.provenance import Provenance
from ncforce_ipi.result import Result, Targets, Unavailable, plain, table, write, write_csv

PROVENANCE = Provenance("0.1.0", "ncforce drift", "a.out ab", "12")
HEAD = "# version: 0.1.0\n# command: ncforce drift\n# input_sha256: a.out ab\n# model_sha256: 12\n"


@dataclass(frozen=True)
class Two:
    """The smallest result."""

    def lines(self):
        """Two lines, the second of which carries on the first."""
        return [("a", "1 K"), ("", "2 K")]

    def to_dict(self):
        """One number, one that can't be had."""
        return {"a_K": np.float64(1.5), "b_K": math.nan}

    def columns(self):
        """Two columns."""
        return {"time_ps": np.array([0.0, 0.1]), "a_K": np.array([300.0, math.nan])}

    def figure(self):
        """One panel."""
        figure, (panel,) = plots.figure(1)
        panel.plot([0.0, 1.0])
        return figure


def test_a_result_is_known_by_what_it_offers():
    assert isinstance(Two(), Result)
    assert not isinstance(Unavailable("why"), Result)


def test_table_is_aligned():
    assert table([("a", "1"), ("long label", "2"), ("", "3")]) == (
        "a           1\nlong label  2\n            3\n"
    )
    assert table([]) == ""


def test_csv_bytes(tmp_path):
    path = write_csv(tmp_path / "x.csv", Two().columns(), PROVENANCE)
    assert path.read_text() == HEAD + "time_ps,a_K\n0,300\n0.1,nan\n"


def test_json_has_no_nan_and_the_provenance_first(tmp_path):
    target = tmp_path / "x.json"
    assert write(Two(), Targets(json=target), PROVENANCE) == [target]
    assert target.read_text().endswith("}\n")
    found = json.loads(target.read_text())
    assert list(found) == ["provenance", "a_K", "b_K"]
    assert found == {"provenance": PROVENANCE.facts(), "a_K": 1.5, "b_K": None}


def test_numbers_become_pythons():
    value = {"a": [np.int64(1), (np.float64(2.5), math.inf)], "b": np.bool_(True), "c": "text"}
    found = plain(value)
    assert found == {"a": [1, [2.5, None]], "b": True, "c": "text"}
    assert type(found["a"][0]) is int
    assert type(found["b"]) is bool


@pytest.mark.parametrize(
    ("suffix", "start"), [(".png", b"\x89PNG"), (".pdf", b"%PDF"), (".svg", b"<?xml")]
)
def test_figures_in_each_format(tmp_path, suffix, start):
    target = tmp_path / f"x{suffix}"
    assert write(Two(), Targets(plot=target), PROVENANCE) == [target]
    assert target.read_bytes().startswith(start)


def test_only_what_is_asked_for_is_written(tmp_path):
    assert write(Two(), Targets(), PROVENANCE) == []
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_written_is_refused(tmp_path):
    there = tmp_path / "there.csv"
    there.write_text("mine")
    with pytest.raises(InputError, match="exists; expected none: give --force"):
        Targets(csv=there).check()
    Targets(csv=there, force=True).check()
    with pytest.raises(InputError, match="is no directory; make it"):
        Targets(json=tmp_path / "no/x.json").check()
    with pytest.raises(InputError, match=r"expected a name in \.png, \.pdf, \.svg"):
        Targets(plot=Path("x.jpg")).check()
