"""Real runs of i-PI's, with 3N - 3 degrees of freedom or not, have the temperature of the bath."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from ase.build import bulk
from ase.io import write

from ncforce_ipi.cli import main

pytestmark = pytest.mark.e2e
KELVIN = 300.0
N_ATOMS, N_STEPS, TIMEOUT_S = 40, 1000, 240
INPUT = """
<simulation verbosity='quiet' floatformat='%.17e' threading='False'>
  <output prefix='run'>
    <properties stride='1' filename='out'>
      [step, time{{picosecond}}, conserved{{electronvolt}}, kinetic_md{{electronvolt}},
       temperature{{kelvin}}]
    </properties>
    <trajectory filename='vel' stride='2' format='xyz'>velocities{{m/s}}</trajectory>
    <trajectory filename='pos' stride='20' format='ase'>positions{{ase}}</trajectory>
  </output>
  <total_steps>{n_steps}</total_steps>
  <prng><seed>5</seed></prng>
  <ffdirect name='none'><pes>dummy</pes><latency>1e-4</latency></ffdirect>
  <system>
    <initialize nbeads='{n_beads}'>
      <file mode='ase'>init.xyz</file>
      <velocities mode='thermal' units='kelvin'>{kelvin}</velocities>
    </initialize>
    <forces><force forcefield='none'/></forces>
    <ensemble><temperature units='kelvin'>{kelvin}</temperature></ensemble>
    <motion mode='dynamics'>{held}
      <dynamics mode='nvt'>
        <timestep units='femtosecond'>2</timestep>{thermostat}
      </dynamics>
    </motion>
  </system>
</simulation>
"""
LANGEVIN = "<thermostat mode='langevin'><tau units='femtosecond'>20</tau></thermostat>"
PILE = "<thermostat mode='pile_l'><tau units='femtosecond'>20</tau></thermostat>"
RUNS = {
    "at rest": ("", 1, 3 * N_ATOMS - 3),
    "free": ("<fixcom>False</fixcom>", 1, 3 * N_ATOMS),
    "atoms": (f"<fixatoms>{list(range(10))}</fixatoms>", 1, 3 * (N_ATOMS - 10)),
    "components": (f"<fixatoms_dof>{list(range(0, 30, 3))}</fixatoms_dof>", 1, 3 * N_ATOMS - 10),
    "beads": ("", 4, 3 * 4 * N_ATOMS - 3),
}


@pytest.fixture(scope="module", params=RUNS)
def run(request, tmp_path_factory):
    """Directory and degrees of freedom of a run of free atoms in a bath of 300 K."""
    held, n_beads, dof = RUNS[request.param]
    path = tmp_path_factory.mktemp("run")
    write(path / "init.xyz", (bulk("Ar", "fcc", a=5.35, cubic=True) * (2, 2, 3))[:N_ATOMS])
    text = INPUT.format(
        n_steps=N_STEPS, n_beads=n_beads, kelvin=KELVIN, held=held,
        thermostat=LANGEVIN if n_beads == 1 else PILE,
    )  # fmt: skip
    (path / "input.xml").write_text(text)
    program = [sys.executable, str(Path(sys.executable).with_name("i-pi")), "input.xml"]
    done = subprocess.run(program, cwd=path, capture_output=True, timeout=TIMEOUT_S, check=False)
    assert done.returncode == 0, done.stdout
    return path, dof


def found(path, tmp_path, *words):
    target = tmp_path / f"{words[0]}.json"
    assert main([words[0], *map(str, words[1:]), "--json", str(target), "--force"]) == 0
    return json.loads(target.read_text())


def assert_bath(value_K, error_K):
    assert error_K < 20.0  # 2000 fs and a memory of about 20 fs: 300 K sqrt(2 / 90 / 60) = 6 K
    assert value_K == pytest.approx(KELVIN, abs=4.0 * error_K)


@pytest.mark.parametrize("witness", ["velocities", "columns", "checkpoint"])
def test_drift_counts_what_i_pi_integrates(run, tmp_path, witness):
    path, dof = run
    if witness == "velocities" and dof > 3 * N_ATOMS:
        pytest.skip("of four beads")
    table = (path / "run.out").read_text()
    folder = path
    if witness != "velocities":
        folder = tmp_path
        if witness == "checkpoint":  # without the column that tells as well
            lines = [line for line in table.splitlines() if "temperature" not in line]
            cut = [line if line[0] == "#" else line.rsplit(maxsplit=1)[0] for line in lines]
            table = "\n".join(cut) + "\n"
        (folder / "run.out").write_text(table)
        (folder / "RESTART").write_text((path / "RESTART").read_text())
    (one,) = found(path, tmp_path, "drift", folder / "run.out")["runs"]
    assert one["degrees_of_freedom"] == dof
    assert_bath(one["temperature_K"], one["temperature_standard_error_K"])


def test_temperature_and_spectrum_are_those_of_the_bath(run, tmp_path, capsys):
    path, dof = run
    numbers = found(path, tmp_path, "temperature", path / "run.vel_0.xyz")
    printed = capsys.readouterr().out
    assert_bath(numbers["temperature_Ar_K"], numbers["temperature_Ar_standard_error_K"])
    spectrum = found(path, tmp_path, "vdos", path / "run.vel_0.xyz")
    error_K = numbers["temperature_Ar_standard_error_K"]
    # a block at the end is left out of the spectrum
    assert spectrum["integral_Ar_K"] == pytest.approx(numbers["temperature_Ar_K"], abs=2 * error_K)
    assert "give i-PI's temperature only to" not in printed
    if dof > 3 * N_ATOMS:
        assert "velocities of bead 0 of a path integral of 4" in printed
        assert "velocities of bead 0 of a path integral of 4" in capsys.readouterr().out
    else:
        assert numbers["runs"][0]["degrees_of_freedom"] == dof


def test_each_bead_says_that_it_is_one(run, tmp_path, capsys):
    path, dof = run
    if dof < 3 * N_ATOMS + 1:
        pytest.skip("a classical run")
    (path / "RESTART").rename(tmp_path / "RESTART")  # the files lie beside each other
    masses = "Ar=39.948"
    for verb, file in (
        ("temperature", "vel_2.xyz"),
        ("vdos", "vel_3.xyz"),
        ("rdf", "pos_1.extxyz"),
    ):
        words = [] if verb == "rdf" else ["--masses-u", masses]
        found(path, tmp_path, verb, path / f"run.{file}", *words)
        number = file.split("_")[1][0]
        assert f"of bead {number} of a path integral of 4" in capsys.readouterr().out
    (tmp_path / "RESTART").rename(path / "RESTART")
