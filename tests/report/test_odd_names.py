"""Names that mean something to a spreadsheet, a page, mathematics or a terminal."""

import csv
import html
import json

import pytest

from ncforce_ipi import plots
from ncforce_ipi.cli import main
from ncforce_ipi.provenance import Provenance
from ncforce_ipi.result import plain_text, table, write_csv
from tests.synthetic_run import MASSES_U, write_record, write_run

ODD = "=1+2 <b>$\\frac{$&'\"x"


def cells(path):
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    return list(csv.reader(lines))


@pytest.mark.parametrize("text", ["=1+2", "@SUM(A1)", "+cmd|' /C calc'!A0", "-2+3+x"])
def test_a_cell_is_no_formula(tmp_path, text):
    path = write_csv(tmp_path / "x.csv", {text: [text]}, Provenance("", "", "", ""))
    with path.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.reader(file) if not row[0].startswith("#")]
    assert rows == [[f"'{text}"], [f"'{text}"]]


@pytest.mark.parametrize("text", ["water", "-", "-1.5", "+3", "a=b", "MTS, M = 8", "", "1e-3"])
def test_other_text_stays(tmp_path, text):
    path = write_csv(tmp_path / "x.csv", {"run": [text], "n": [1]}, Provenance("", "", "", ""))
    assert cells(path)[1] == [text, "1"]


@pytest.mark.parametrize(
    ("text", "cell"), [("\t=x", "\\t=x"), ("\r=x", "\\r=x"), ("a\n=x", "a\\n=x")]
)
def test_a_cell_is_one_line(tmp_path, text, cell):
    path = write_csv(tmp_path / "x.csv", {"run": [text]}, Provenance("", "", "", ""))
    assert cells(path) == [["run"], [cell]]


def test_a_line_of_provenance_stays_one_line(tmp_path):
    path = write_csv(tmp_path / "x.csv", {"n": [1]}, Provenance("", "ncforce 'a\n=2,3'", "", ""))
    assert cells(path) == [["n"], ["1"]]


def test_control_characters_reach_no_terminal():
    assert table([("run", "a\x1b[31mb\nc")]) == "run  a\\x1b[31mb\\nc\n"
    assert plain_text("Å ± 水") == "Å ± 水"


@pytest.mark.parametrize("name", [ODD, "_hidden", "$", "a_b^c", "${\\"])
def test_labels_are_drawn_as_they_are(name):
    figure, (panel,) = plots.figure(1)
    panel.plot([0, 1], label=plots.words(name))
    panel.set(ylabel=plots.of_pair(name), xlabel=f"$c_{{vv}}$ of {plots.words(name)}")
    figure.legend()
    figure.canvas.draw()
    shown = figure.legends[0].get_texts()[0].get_text()
    assert shown.strip().replace("\\$", "$") == name


def test_a_run_of_an_odd_name(tmp_path):
    for name in (ODD, "other"):
        write_run(tmp_path / name.replace("/", "|"), n_outer=60, n_molecules=8)
    names = [ODD, "other"]
    paths = [str(tmp_path / name) for name in names]
    assert main(["compare", *paths, "--out", str(tmp_path / "tables")]) == 0
    head, first, _ = cells(tmp_path / "tables/compare.csv")
    assert first[head.index("run")] == f"'{ODD}"
    rows = json.loads((tmp_path / "tables/compare.json").read_text())["runs"]
    assert [row["run"] for row in rows] == names
    assert main(["report", *paths, "--out", str(tmp_path / "page.html"), "--no-view"]) == 0
    page = (tmp_path / "page.html").read_text()
    assert "<b>" not in page
    assert html.escape(ODD) in page


def test_species_of_odd_names(tmp_path):
    """i-PI takes any name for a species: two kinds of oxygen, a dummy atom."""
    write_run(tmp_path / "run", n_outer=100, n_molecules=8)
    for path in (tmp_path / "run").glob("simulation.*xyz"):
        text = path.read_text()
        path.write_text(text.replace("       O ", "      =O "))
    write_record(tmp_path / "run", 24, masses_u=MASSES_U | {"=O": 15.999})
    assert main(["vdos", str(tmp_path / "run/simulation.vel_0.xyz"), "--csv",
                 str(tmp_path / "v.csv"), "--plot", str(tmp_path / "v.png")]) == 0  # fmt: skip
    assert "cvv_=O_K_cm" in cells(tmp_path / "v.csv")[0]
    assert (tmp_path / "v.png").stat().st_size > 10_000
