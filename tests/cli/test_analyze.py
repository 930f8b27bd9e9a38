"""``ncforce analyze``: the files it writes, the table it prints, the one line of each refusal."""

import csv
import json

import numpy as np
import pytest

from ncforce_ipi.cli import main
from tests.synthetic_run import write_run

FILES = {
    "summary.json",
    "drift.csv",
    "temperature.csv",
    "rdf.csv",
    "vdos.csv",
    "energy_temperature.png",
    "rdf.png",
    "vdos.png",
    "energy_temperature.pdf",
    "rdf.pdf",
    "vdos.pdf",
    "temperature.png",
    "temperature.pdf",
}


@pytest.fixture
def directory(tmp_path):
    write_run(tmp_path / "run", n_outer=400)
    return tmp_path / "run"


def read_csv(path) -> tuple[list[str], dict[str, np.ndarray]]:
    """Comment lines and columns, as any reader that knows ``#`` sees them."""
    lines = path.read_text().splitlines()
    comments = [line for line in lines if line.startswith("#")]
    rows = list(csv.reader(line for line in lines if not line.startswith("#")))
    return comments, dict(zip(rows[0], np.array(rows[1:], dtype=float).T, strict=True))


def test_table_and_files(directory, capsys):
    assert main(["analyze", str(directory)]) == 0
    out = capsys.readouterr().out
    assert {path.name for path in (directory / "analysis").iterdir()} == FILES
    lines = dict(line.split("  ", 1) for line in out.splitlines() if not line.startswith(" "))
    slope, sign, _, unit = lines["drift of the conserved quantity"].split()
    assert (sign, unit) == ("+-", "meV/atom/ps")
    assert float(slope) == pytest.approx(0.3, abs=0.002)
    assert lines["Nyquist frequency of c_vv"].strip() == "4170 cm^-1"
    assert lines["time per inner step"].strip() == "12.50 ms"
    assert "1e9 K/s" in out
    assert "equipartition" in lines["T(H) - T(O)"]
    for label in (
        "temperature, H",
        "excess kurtosis of v, O",
        "temperature, O",
        "peak of g_OO(r)",
        "stretch peak of c_vv, H",
    ):
        assert label in lines


def test_every_file_says_where_it_comes_from(directory):
    main(["analyze", str(directory)])
    folder = directory / "analysis"
    summary = json.loads((folder / "summary.json").read_text())
    assert set(summary["provenance"]) == {"version", "command", "input_sha256", "model_sha256"}
    assert summary["provenance"]["model_sha256"] == "ab12"
    for path in folder.glob("*.csv"):
        comments, _ = read_csv(path)
        assert "# model_sha256: ab12" in comments
    for path in folder.glob("*.png"):
        assert b"model_sha256: ab12" in path.read_bytes()


def test_columns_have_units_and_sane_numbers(directory):
    main(["analyze", str(directory)])
    folder = directory / "analysis"
    _, drift = read_csv(folder / "drift.csv")
    assert list(drift) == ["time_ps", "conserved_minus_start_meV_per_atom", "temperature_K"]
    assert len(drift["time_ps"]) == 401
    _, temperature = read_csv(folder / "temperature.csv")
    assert list(temperature) == ["time_ps", "temperature_H_K", "temperature_O_K"]
    _, rdf = read_csv(folder / "rdf.csv")
    assert list(rdf)[:3] == ["r_A", "g_OO", "g_OO_standard_error"]
    assert rdf["r_A"][-1] < 9.32 / 2.0
    _, vdos = read_csv(folder / "vdos.csv")
    assert list(vdos)[:3] == ["wavenumber_per_cm", "frequency_THz", "cvv_H_K_cm"]
    # the THz axis is c times the other: 33.3564 cm^-1 are 1 THz
    np.testing.assert_allclose(vdos["wavenumber_per_cm"], 33.3564095 * vdos["frequency_THz"])


def test_power_is_that_of_a_thermostatted_run(directory, capsys):
    record = json.loads((directory / "run.json").read_text())
    record["ensemble"] = {"name": "svr", "beads": 1}
    (directory / "run.json").write_text(json.dumps(record))
    main(["analyze", str(directory)])
    summary = json.loads((directory / "analysis" / "summary.json").read_text())
    drift = summary["drift_conserved_meV_per_atom_per_ps"]
    assert summary["power_W_per_atom"] == pytest.approx(drift * 1.602176634e-10)
    assert "power of the forces" in capsys.readouterr().out


def test_summary_has_null_for_what_is_not_known(directory):
    main(["analyze", str(directory), "--lag-ps", "0.2"])
    summary = json.loads((directory / "analysis" / "summary.json").read_text())
    assert summary["drift_conserved_meV_per_atom_per_ps"] == pytest.approx(0.3, abs=0.01)
    ratio = summary["drift_temperature_1e9_K_per_s"] / summary["drift_temperature_K_per_ps"]
    assert ratio == pytest.approx(1000.0)
    assert summary["cvv_H_bend_per_cm"] is None  # these molecules have no bend
    assert summary["runaway_ps"] is None


def test_long_run_has_its_displacements(tmp_path, capsys):
    write_run(tmp_path / "run", n_outer=3200, n_molecules=8)
    assert main(["analyze", str(tmp_path / "run")]) == 0
    assert "diffusion, O" in capsys.readouterr().out
    folder = tmp_path / "run/analysis"
    _, columns = read_csv(folder / "displacement.csv")
    assert list(columns) == ["lag_ps", "msd_H_A2", "msd_O_A2"]
    # places with noise of 0.05 A an axis: 6 sigma^2, whatever the lag
    np.testing.assert_allclose(columns["msd_O_A2"][1:], 6 * 0.05**2, rtol=0.05)
    assert (folder / "displacement.png").stat().st_size > 0
    assert (folder / "displacement.pdf").stat().st_size > 0


def test_short_run_has_a_table_too(tmp_path, capsys):
    write_run(tmp_path / "run", n_outer=28)
    assert main(["analyze", str(tmp_path / "run"), "--discard-ps", "0.1"]) == 0
    out = capsys.readouterr().out
    assert "too few samples" in out
    assert "nan" not in out


def test_an_earlier_analysis_is_replaced_only_by_force(directory, capsys):
    assert main(["analyze", str(directory)]) == 0
    marked = directory / "analysis" / "summary.json"
    marked.write_text("mine")
    assert main(["analyze", str(directory)]) == 2
    assert "expected none: give --force" in capsys.readouterr().err
    assert marked.read_text() == "mine"
    assert main(["analyze", str(directory), "--force"]) == 0
    assert marked.read_text() != "mine"


def break_row(directory):
    path = directory / "simulation.out"
    lines = path.read_text().splitlines(keepends=True)
    words = lines[50].split()
    words[2] = "nan"
    lines[50] = "  ".join(words) + "\n"
    path.write_text("".join(lines))


@pytest.mark.parametrize(
    ("spoil", "words", "message"),
    [
        (lambda d: (d / "run.json").unlink(), [], "run.json is missing; expected a directory made"),
        (lambda d: (d / "simulation.out").unlink(), [], "simulation.out is missing"),
        (break_row, [], "conserved is nan at sample 45"),
        (lambda d: None, ["--discard-ps", "9"], "ends at 1.6 ps; expected more than the 9 ps"),
        (lambda d: None, ["--discard-ps", "-1"], "--discard-ps -1; expected 0 or more"),
        (lambda d: None, ["--lag-ps", "0"], "--lag-ps 0; expected a positive time"),
        (lambda d: None, ["--r-max-A", "-2"], "--r-max-A -2; expected a positive distance"),
        (lambda d: None, ["--r-max-A", "5"], "expected at most half the smallest height"),
    ],
)
def test_bad_input_ends_in_one_line(directory, capsys, spoil, words, message):
    spoil(directory)
    assert main(["analyze", str(directory), *words]) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""
    assert not (directory / "analysis").exists()


def test_no_directory(tmp_path, capsys):
    assert main(["analyze", str(tmp_path / "nothing")]) == 2
    assert "run.json is missing" in capsys.readouterr().err
