"""One run's energies in every form of i-PI's properties files: the same drift."""

import json

import numpy as np
import pytest

from ncforce_ipi.cli import main
from ncforce_ipi.units import BOLTZMANN_EV_PER_K

N_ATOMS, N_ROWS, STEP_PS = 16, 600, 0.004
KELVIN_EV = BOLTZMANN_EV_PER_K
# what one eV, one ps or one K is in i-PI's units, from its own table (ipi.utils.units)
EV = {"electronvolt": 1.0, "millielectronvolt": 1e3, "": 0.036749326, "kiloj/mol": 96.485332,
      "kilocal/mol": 23.045127, "kelvin": 11604.518, "ase": 1.0}  # fmt: skip
PS = {"picosecond": 1.0, "femtosecond": 1e3, "nanosecond": 1e-3, "": 41341.373, "ase": 98.22695}
KELVIN = {"kelvin": 1.0, "": 3.1668152e-06, "ase": 1.0}


def series():
    """Columns by name: time in ps, energies in eV, temperature in K."""
    rng = np.random.default_rng(3)
    steps = np.arange(N_ROWS)
    kinetic = 1.5 * N_ATOMS * KELVIN_EV * (300.0 + rng.normal(size=N_ROWS))
    kelvin = (2.0 * kinetic / KELVIN_EV + 3.0 * 300.0) / (3 * N_ATOMS)
    conserved = 2e-4 * N_ATOMS * STEP_PS * steps + 1e-5 * rng.normal(size=N_ROWS) - 70.0
    return {"step": steps, "time": STEP_PS * steps, "conserved": conserved,
            "kinetic_md": kinetic, "temperature": kelvin}  # fmt: skip


def write(path, columns, *, again=0):
    """``{name: (unit, values)}``; from row ``again`` on the header and rows once more."""
    head = ""
    for number, (name, (unit, _)) in enumerate(columns.items(), start=1):
        braces = f"{{{unit}}}" if unit else ""
        head += f"# column {number:3d}     --> {name}{braces} : What it is.\n"
    every = np.column_stack([values for _, values in columns.values()])
    rows = ["  " + "   ".join(f"{value:16.8e}" for value in row) + "   \n" for row in every]
    path.write_text(head + "".join(rows) + (head + "".join(rows[again:]) if again else ""))


def drift(tmp_path, *words):
    target = tmp_path / "drift.json"
    code = main(["drift", str(tmp_path / "md.out"), "--json", str(target), "--force",
                 "--atoms", str(N_ATOMS), "--temperature-K", "300", *words])  # fmt: skip
    assert code == 0
    return json.loads(target.read_text())["runs"][0]


def plain(tmp_path, *words):
    of = series()
    units = {"time": "picosecond", "conserved": "electronvolt", "kinetic_md": "electronvolt"}
    write(
        tmp_path / "md.out",
        {name: (unit, of[name]) for name, unit in ({"step": ""} | units).items()},
    )
    return drift(tmp_path, *words)


def same(one, other, rel):
    for key in ("temperature_K", "drift_temperature_K_per_ps",
                "drift_conserved_meV_per_atom_per_ps", "time_ps"):  # fmt: skip
        assert one[key] == pytest.approx(other[key], rel=rel, abs=1e-3 * rel), key


@pytest.mark.parametrize("energy", EV)
@pytest.mark.parametrize("time", PS)
def test_every_unit_of_i_pi(tmp_path, energy, time):
    reference = plain(tmp_path)
    of = series()
    write(tmp_path / "md.out", {
        "kinetic_md": (energy, of["kinetic_md"] * EV[energy]),
        "conserved": (energy, of["conserved"] * EV[energy]),
        "step": ("", of["step"]),
        "time": (time, of["time"] * PS[time]),
    })  # fmt: skip
    # the last of 9 digits of 70 eV is 1e-7 eV in a scatter of 1e-5 eV; i-PI's kelvin has 6 digits
    same(drift(tmp_path), reference, rel=1e-3)


@pytest.mark.parametrize("unit", KELVIN)
def test_the_temperature_in_every_unit(tmp_path, unit):
    reference = plain(tmp_path)
    of = series()
    write(tmp_path / "md.out", {
        "time": ("picosecond", of["time"]),
        "temperature": (unit, of["temperature"] * KELVIN[unit]),
        "step": ("", of["step"]),
        "conserved": ("electronvolt", of["conserved"]),
    })  # fmt: skip
    same(drift(tmp_path), reference, rel=1e-4)  # i-PI's kelvin is 1.5e-6 off


@pytest.mark.parametrize("name", ["kinetic_md(bead=0)", "kinetic_md (bead = 0)", "kinetic_md"])
def test_a_beads_kinetic_energy_is_that_of_a_classical_run(tmp_path, name):
    reference = plain(tmp_path)
    of = series()
    write(tmp_path / "md.out", {
        "step": ("", of["step"]), "time": ("picosecond", of["time"]),
        name: ("electronvolt", of["kinetic_md"]), "conserved": ("electronvolt", of["conserved"]),
    })  # fmt: skip
    same(drift(tmp_path), reference, rel=1e-12)


def test_the_mean_of_beads_counts(tmp_path):
    reference = plain(tmp_path)
    of, noise = series(), 0.3 * np.random.default_rng(1).normal(size=N_ROWS)
    # of 2 beads, each twice as hot as the system: 93 degrees of freedom, not 45
    kinetic = of["kinetic_md"] * 93 / 45
    write(tmp_path / "md.out", {
        "step": ("", of["step"]), "time": ("picosecond", of["time"]),
        "kinetic_md(bead=0)": ("electronvolt", kinetic + noise),
        "kinetic_md(bead=1)": ("electronvolt", kinetic - noise),
        "conserved": ("electronvolt", of["conserved"]),
    })  # fmt: skip
    same(drift(tmp_path), reference, rel=1e-5)  # noise of 0.3 eV rounded to 1e-9 eV


def test_columns_of_several_numbers_and_a_repeated_header_take_no_place(tmp_path):
    reference = plain(tmp_path)
    of = series()
    names = ("step", "time", "conserved", "kinetic_md")
    write(tmp_path / "md.out", {
        name: ({"step": "", "time": "picosecond"}.get(name, "electronvolt"), of[name])
        for name in names
    }, again=590)  # fmt: skip
    text = (tmp_path / "md.out").read_text()
    text = text.replace("# column   2", "# cols.    2-7   --> cell_abcABC : A cell.\n# column   8")
    text = text.replace("column   3", "column   9").replace("column   4", "column  10")
    lines = [line if line.startswith("#") else line[:18] + 6 * " 1.0" + line[18:]
             for line in text.splitlines()]  # fmt: skip
    (tmp_path / "md.out").write_text("\n".join(lines) + "\n" + lines[-1][:60])
    same(drift(tmp_path), reference, rel=1e-12)


def test_a_long_run_of_short_steps(tmp_path):
    """At 10 ns i-PI prints 0.5 fs as nothing or as 1 fs (%16.8e)."""
    of = series()
    first = 20_000_000
    steps = first + of["step"]
    write(tmp_path / "md.out", {
        "step": ("", steps), "time": ("picosecond", steps * 5e-4),
        "conserved": ("electronvolt", of["conserved"]),
        "kinetic_md": ("electronvolt", of["kinetic_md"]),
    })  # fmt: skip
    found = drift(tmp_path, "--discard-ps", "0")
    reference = plain(tmp_path, "--discard-ps", "0")
    # 0.3 ps of it, eight times as steep: the time step itself comes from printed times
    steep = STEP_PS / 5e-4
    for key in ("drift_temperature_K_per_ps", "drift_conserved_meV_per_atom_per_ps"):
        assert found[key] == pytest.approx(steep * reference[key], rel=2e-4)


def test_without_times_a_checkpoint_says_the_step(tmp_path):
    reference = plain(tmp_path)
    of = series()
    write(tmp_path / "md.out", {
        "step": ("", of["step"]), "conserved": ("electronvolt", of["conserved"]),
        "kinetic_md": ("electronvolt", of["kinetic_md"]),
    })  # fmt: skip
    assert main(["drift", str(tmp_path / "md.out"), "--atoms", "16"]) == 2
    (tmp_path / "input.xml").write_text(
        "<simulation><system><initialize nbeads='1'/><motion mode='dynamics'><dynamics>"
        "<timestep units='picosecond'>4e-3</timestep></dynamics></motion></system></simulation>"
    )
    same(drift(tmp_path), reference, rel=1e-12)
