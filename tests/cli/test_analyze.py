"""``ncforce analyze``: the files it writes, the table it prints, the one line of each refusal."""

import csv
import json

import numpy as np
import pytest

from ncforce_ipi.cli import main
from tests.synthetic_run import replace_value, write_record, write_run

NAMES = ("drift", "temperature", "rdf", "vdos", "diffusion", "power")
TOO_SHORT = {f"diffusion.{kind}" for kind in ("csv", "png", "pdf")}
FILES = {"summary.json"} | {f"{name}.{kind}" for name in NAMES for kind in ("csv", "png", "pdf")}


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
    assert {path.name for path in (directory / "analysis").iterdir()} == FILES - TOO_SHORT
    lines = dict(line.strip().split("  ", 1) for line in out.splitlines() if "  " in line.strip())
    slope, sign, _, unit = lines["drift of the conserved quantity"].split()
    assert (sign, unit) == ("+-", "meV/atom/ps")
    assert float(slope) == pytest.approx(0.3, abs=0.002)
    assert lines["Nyquist frequency"].strip() == "4170 cm^-1 = 125.0 THz"
    assert "1e9 K/s" in out
    assert "open (the run can tell a violation beyond" in lines["T(H) - T(O)"]  # of 1.6 ps
    for label in (
        "temperature, H",
        "excess kurtosis of v, O",
        "temperature, O",
        "peak of g_OO(r)",
        "stretch of H",
        "power of the forces",
    ):
        assert label in lines


def test_the_first_lines_say_what_ran_whether_it_is_conservative_and_what_next(directory, capsys):
    write_record(directory, 81, ensemble={"name": "nve", "beads": 1})
    assert main(["analyze", str(directory)]) == 0
    ran, answer, following = capsys.readouterr().out.splitlines()[:3]
    assert ran.split("  ", 1)[0] == "run"
    for word in ("MTS forces, M = 8", "81 atoms", "NVE from 300 K", "1.6 ps", "finished"):
        assert word in ran
    assert answer.startswith("conservative")
    assert "yes: the conserved quantity drifts by 0.30" in answer
    assert "within 0.5 meV/atom/ps" in answer
    assert f"ncforce report {directory}" in following


def test_a_temperature_that_given_velocities_may_not_have_is_not_said(directory, capsys):
    """With a thermostat it is what the run is kept at."""
    for name, words in (("nve", "NVE from the velocities of v.xyz@3,"), ("svr", "SVR at 300 K,")):
        write_record(directory, 81, ensemble={"name": name, "beads": 1}, velocities="/data/v.xyz@3")
        assert main(["analyze", str(directory), "--force"]) == 0
        assert words in capsys.readouterr().out.splitlines()[0]


@pytest.mark.parametrize(
    ("forces", "remedy"),
    [("mts", "ncforce tune"), ("fast", "--forces mts"), ("slow", "a shorter time step")],
)
def test_a_lost_run_is_not_conservative_and_says_what_helps(tmp_path, capsys, forces, remedy):
    write_run(tmp_path / "run", n_outer=300, heating=0.3, by_forces=True)
    write_record(tmp_path / "run", 81, plan={"forces": forces, "mts": 8, "outer_step_fs": 4.0})
    assert main(["analyze", str(tmp_path / "run")]) == 0
    _, answer, following = capsys.readouterr().out.splitlines()[:3]
    assert "no: at 0." in answer
    assert "lost" in answer
    assert remedy in following


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
    assert list(drift) == [
        "run", "time_ps", "temperature_K", "conserved_minus_start_meV_per_atom",
    ]  # fmt: skip
    assert len(drift["time_ps"]) == 401
    _, temperature = read_csv(folder / "temperature.csv")
    assert list(temperature) == [
        "run", "step", "temperature_all_K", "temperature_H_K", "temperature_O_K",
    ]  # fmt: skip
    assert temperature["step"][0] == 25  # 0.1 ps are left out
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
    drift = summary["drift"]["runs"][0]["drift_conserved_meV_per_atom_per_ps"]
    (run,) = summary["power"]["runs"]
    assert run["power_W_per_atom"] == pytest.approx(drift * 1.602176634e-10)
    assert "power of the forces" in capsys.readouterr().out
    record["ensemble"] = {"name": "nve", "beads": 1}
    (directory / "run.json").write_text(json.dumps(record))
    main(["analyze", str(directory), "--force"])
    summary = json.loads((directory / "analysis" / "summary.json").read_text())
    assert "NVE: no thermostat" in summary["power"]["unavailable"]
    assert "power of the forces" not in capsys.readouterr().out


def test_summary_has_null_for_what_is_not_known(directory):
    main(["analyze", str(directory), "--lag-ps", "0.2"])
    summary = json.loads((directory / "analysis" / "summary.json").read_text())
    (drift,) = summary["drift"]["runs"]
    assert drift["drift_conserved_meV_per_atom_per_ps"] == pytest.approx(0.3, abs=0.01)
    ratio = drift["drift_temperature_1e9_K_per_s"] / drift["drift_temperature_K_per_ps"]
    assert ratio == pytest.approx(1000.0)
    assert summary["vdos"]["cvv_H_bend_per_cm"] is None  # these molecules have no bend
    assert drift["runaway_ps"] is None
    assert drift["discarded_ps"] == pytest.approx(0.1)
    assert summary["ms_per_inner_step"] == 12.5


def test_long_run_has_its_displacements(tmp_path, capsys):
    write_run(tmp_path / "run", n_outer=3200, n_molecules=8)
    assert main(["analyze", str(tmp_path / "run")]) == 0
    assert "Einstein's slope" in capsys.readouterr().out
    folder = tmp_path / "run/analysis"
    _, columns = read_csv(folder / "diffusion.csv")
    assert next(iter(columns)) == "lag_ps"
    assert {"msd_H_A2", "msd_O_A2"} <= set(columns)
    # places with noise of 0.05 A an axis: 6 sigma^2, whatever the lag, about the centre of mass,
    # which has its share of it
    shares = np.array([15.999, 1.008, 1.008] * 8) / (8 * 18.015)
    about = 1.0 - 2.0 * shares[0] + np.sum(shares**2)
    np.testing.assert_allclose(columns["msd_O_A2"][1:], 6 * 0.05**2 * about, rtol=0.05)
    assert {path.name for path in folder.iterdir()} == FILES
    assert all(path.stat().st_size > 0 for path in folder.iterdir())


def test_short_run_has_a_table_too(tmp_path, capsys):
    write_run(tmp_path / "run", n_outer=28)
    assert main(["analyze", str(tmp_path / "run"), "--discard-ps", "0.1"]) == 0
    out = capsys.readouterr().out
    assert "4 samples; expected at least 10" in out
    assert "nan" not in out


@pytest.mark.parametrize("column", [2, 3, 4])
def test_a_row_of_nan_ends_the_window(directory, capsys, column):
    """Of the conserved quantity and of the kinetic energy, which is our temperature."""
    replace_value(directory, row=45, column=column, word="nan")
    assert main(["analyze", str(directory)]) == 0
    summary = json.loads((directory / "analysis" / "summary.json").read_text())
    (drift,) = summary["drift"]["runs"]
    if column == 3:  # i-PI's own temperature, which isn't used
        assert drift["runaway_ps"] is None
        return
    assert drift["runaway_ps"] == pytest.approx(0.18)  # 45 steps of 4 fs
    assert drift["to_ps"] == pytest.approx(0.176)
    assert "no: at 0.18 ps the run was lost" in capsys.readouterr().out


def test_a_directory_of_another_launcher_is_analysed(directory, capsys):
    (directory / "run.json").unlink()
    words = ["--masses-u", "H=1.008,O=15.999", "--temperature-K", "300"]
    assert main(["analyze", str(directory), *words]) == 0
    assert "a run of i-PI" in capsys.readouterr().out.splitlines()[0]
    assert {path.name for path in (directory / "analysis").iterdir()} == FILES - TOO_SHORT


def test_what_cannot_be_had_says_why(directory, capsys):
    (directory / "simulation.out").unlink()
    (directory / "simulation.pos_0.extxyz").unlink()
    assert main(["analyze", str(directory)]) == 0
    assert "no properties file of i-PI there" in capsys.readouterr().out
    summary = json.loads((directory / "analysis" / "summary.json").read_text())
    assert "no properties file" in summary["drift"]["unavailable"]
    assert "holds no trajectory of positions" in summary["rdf"]["unavailable"]
    assert summary["temperature"]["temperature_all_K"] == pytest.approx(300.0, rel=0.05)


def remove_all(directory):
    for path in directory.iterdir():
        path.unlink()


def test_an_earlier_analysis_is_replaced_only_by_force(directory, capsys):
    assert main(["analyze", str(directory)]) == 0
    marked = directory / "analysis" / "summary.json"
    marked.write_text("mine")
    assert main(["analyze", str(directory)]) == 2
    assert "expected none: give --force" in capsys.readouterr().err
    assert marked.read_text() == "mine"
    assert main(["analyze", str(directory), "--force"]) == 0
    assert marked.read_text() != "mine"


@pytest.mark.parametrize(
    ("spoil", "words", "message"),
    [
        (remove_all, [], "no properties file of i-PI there"),
        (lambda d: None, ["--discard-ps", "9"], "ends before the 9 ps to discard"),
        (lambda d: None, ["--discard-ps", "-1"], "--discard-ps -1; expected 0 or more"),
        (lambda d: None, ["--lag-ps", "0"], "--lag-ps 0; expected a positive time"),
        (lambda d: None, ["--r-max-A", "-2"], "--r-max-A -2; expected a positive number"),
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
    assert "nothing is missing; expected a file, or a directory of a run" in capsys.readouterr().err
