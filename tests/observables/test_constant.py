"""Series in which nothing changes, runs of one row, systems of one atom: a number, or one line."""

import json

import numpy as np
import pytest

from ncforce_ipi.cli import main

COLUMNS = ("step", "time{picosecond}", "conserved{electronvolt}", "kinetic_md{electronvolt}")
MASSES = ["--masses-u", "Ar=39.948", "--timestep-fs", "2"]


def properties(path, n_rows, kinetic_eV, noise_eV=1e-4):
    rng = np.random.default_rng(0)
    head = [f"# column {k} --> {name} : x" for k, name in enumerate(COLUMNS, start=1)]
    rows = [
        f"{k:16.8e} {0.004 * k:16.8e} {1 + noise_eV * rng.normal():16.8e} {kinetic_eV:16.8e}"
        for k in range(n_rows)
    ]
    path.write_text("\n".join([*head, *rows]) + "\n")
    return str(path)


def velocities(path, frames):
    with path.open("w") as file:
        for step, frame in enumerate(frames):
            cell = "# CELL(abcABC): 20.0 20.0 20.0 90.0 90.0 90.0"
            file.write(
                f"{len(frame)}\n{cell} Step: {step} Bead: 0 velocities{{m/s}} cell{{angstrom}}\n"
            )
            file.writelines(f"Ar {x:.5e} {y:.5e} {z:.5e}\n" for x, y, z in frame)
    return str(path)


@pytest.mark.parametrize("kinetic_eV", [2.5, 0.0])
def test_constant_kinetic_energy_is_said_and_judged_by_nothing(tmp_path, capsys, kinetic_eV):
    table, target = properties(tmp_path / "x.out", 200, kinetic_eV), tmp_path / "x.json"
    assert main(["drift", table, "--atoms", "8", "--json", str(target)]) == 0
    printed = capsys.readouterr().out
    assert "the kinetic energy is the same in all rows" in printed
    for word in ("LAMBench", "mlipaudit", "nan", "inf"):
        assert word not in printed
    (run,) = json.loads(target.read_text())["runs"]
    assert (run["drift_temperature_K_per_ps"], run["drift_temperature_ci95_K_per_ps"]) == (0.0, 0.0)
    assert main(["analyze", table, "--atoms", "8", "--out", str(tmp_path / "out")]) in (0, 2)
    assert "Traceback" not in capsys.readouterr().err


def test_all_is_constant(tmp_path, capsys):
    table = properties(tmp_path / "x.out", 200, 2.5, noise_eV=0.0)
    for verb in ("drift", "power"):
        assert main([verb, table, "--atoms", "8"]) == 0
        assert "0 meV/atom/ps (constant)" in capsys.readouterr().out


@pytest.mark.parametrize("n_rows", [1, 2, 9])
@pytest.mark.parametrize("verb", ["drift", "power"])
def test_few_rows_are_refused_in_one_line(tmp_path, capsys, verb, n_rows):
    table = properties(tmp_path / "x.out", n_rows, 2.5)
    assert main([verb, table, "--atoms", "8"]) == 2
    printed = capsys.readouterr()
    assert "expected at least 10 for a drift" in printed.err
    assert (printed.out, printed.err.count("\n")) == ("", 1)


def test_one_atom_that_is_thermal_has_three_degrees_of_freedom(tmp_path, capsys):
    rng = np.random.default_rng(1)
    path = velocities(tmp_path / "x.vel_0.xyz", 250.0 * rng.normal(size=(400, 1, 3)))
    target = tmp_path / "x.json"
    assert main(["temperature", path, *MASSES, "--json", str(target)]) == 0
    kelvin = 39.948 * 1.66053906660e-27 * 250.0**2 / 1.380649e-23
    # 360 frames of 3 numbers: 4 sqrt(2 / 1080)
    found = json.loads(target.read_text())
    assert found["temperature_Ar_K"] == pytest.approx(kelvin, rel=0.17)
    assert found["runs"][0]["degrees_of_freedom"] == 3
    assert main(["vdos", path, *MASSES]) == 0
    assert "degrees of freedom  3, as the velocities show" in capsys.readouterr().out


@pytest.mark.parametrize("verb", ["temperature", "vdos"])
def test_one_atom_that_flies_straight_on_has_none(tmp_path, capsys, verb):
    path = velocities(tmp_path / "x.vel_0.xyz", np.full((400, 1, 3), 250.0))
    assert main([verb, path, *MASSES]) == 2
    printed = capsys.readouterr()
    assert "Ar has no degree of freedom with the centre of mass not counted" in printed.err
    assert (printed.out, printed.err.count("\n")) == ("", 1)


@pytest.mark.parametrize("verb", ["temperature", "vdos"])
def test_all_at_rest(tmp_path, capsys, verb):
    path = velocities(tmp_path / "x.vel_0.xyz", np.zeros((400, 3, 3)))
    assert main([verb, path, *MASSES]) == 2
    assert "all velocities of Ar are 0; expected moving atoms" in capsys.readouterr().err


def test_table_of_one_atom_at_rest_has_no_temperature(tmp_path, capsys):
    table = properties(tmp_path / "x.out", 200, 0.1)
    assert main(["drift", table, "--atoms", "1"]) == 2
    assert "nothing is left that moves as heat" in capsys.readouterr().err
    assert main(["drift", table, "--atoms", "1", "--free-com"]) == 0
    assert "3, as --free-com says" in capsys.readouterr().out
