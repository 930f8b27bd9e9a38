"""The verbs on what a plain i-PI writes: no launcher, atomic units, six digits, its RESTART."""

import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ncforce_ipi.analysis.verdicts import verdict
from ncforce_ipi.cli import main
from ncforce_ipi.observables import temperature
from ncforce_ipi.observables.dataset import open_dataset
from ncforce_ipi.observables.options import Options
from ncforce_ipi.reading.directory import trajectory_in
from ncforce_ipi.reading.metadata import read_metadata

pytestmark = pytest.mark.e2e
N_STEPS, SPRING = 1200, 0.05
INPUT = f"""
<simulation verbosity='quiet' threading='False'>
  <output prefix='md'>
    <properties stride='2' filename='out'>
      [step, time, conserved, temperature{{kelvin}}, temperature(H){{kelvin}},
       temperature(O){{kelvin}}, kinetic_md, potential]
    </properties>
    <trajectory filename='p' stride='4'>positions</trajectory>
    <trajectory filename='v' stride='2'>velocities</trajectory>
    <trajectory filename='f' stride='4' format='ase'>forces</trajectory>
  </output>
  <total_steps>{N_STEPS}</total_steps>
  <prng><seed>5</seed></prng>
  <ffdirect name='spring'>
    <pes>harmonic</pes> <parameters>{{k1: {SPRING}}}</parameters>
  </ffdirect>
  <system>
    <initialize nbeads='1'>
      <file mode='xyz' units='angstrom'>start.xyz</file>
      <cell mode='abc' units='angstrom'>[10, 11, 12]</cell>
      <velocities mode='thermal' units='kelvin'>1000</velocities>
    </initialize>
    <forces><force forcefield='spring'/></forces>
    <ensemble><temperature units='kelvin'>300</temperature></ensemble>
    <motion mode='dynamics'>
      <dynamics mode='nve'><timestep units='femtosecond'>0.5</timestep></dynamics>
    </motion>
  </system>
</simulation>
"""


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    path = tmp_path_factory.mktemp("ipi")
    (path / "input.xml").write_text(INPUT)
    rng = np.random.default_rng(0)
    lines = [
        f"{'OHH'[k % 3]} {x} {y} {z}\n" for k, (x, y, z) in enumerate(rng.normal(0.0, 0.2, (12, 3)))
    ]
    (path / "start.xyz").write_text("12\n# CELL(abcABC): 10 11 12 90 90 90\n" + "".join(lines))
    done = subprocess.run(
        [sys.executable, str(Path(sys.executable).with_name("i-pi")), "input.xml"],
        cwd=path, timeout=240, capture_output=True, check=False, text=True,
    )  # fmt: skip
    assert (path / "RESTART").is_file(), done.stderr[-2000:]
    return path


def numbers(directory, tmp_path, verb, *words):
    """The JSON of a verb on files of the directory."""
    target = tmp_path / "found.json"
    words = [*words, "--discard-ps", "0"]  # springs at 1000 K from the first step on
    assert main([verb, *words, "--json", str(target), "--force"]) == 0
    return json.loads(target.read_text())


def test_the_checkpoint_says_what_the_files_do_not(directory):
    around = read_metadata(directory)
    assert around.masses_u == pytest.approx({"H": 1.008, "O": 15.9994}, rel=1e-4)
    assert around.counts == {"O": 4, "H": 8}
    assert around.temperature_K == pytest.approx(300.0, rel=1e-5)
    assert around.step_fs == pytest.approx(0.5, rel=1e-6)
    assert around.fixed_com
    assert around.isolated


def test_ipis_temperatures_come_out_of_the_velocities_by_its_formula(directory):
    data = open_dataset([directory / "md.v_0.xyz"], Options(discard_ps=0.0))
    measured = temperature.measure(data)
    found = {one.name: one for one in measured.of_ipi}
    assert set(found) == {"all", "H", "O"}
    for name, one in found.items():
        # six digits of each velocity, i-PI's kelvin is off by 1.5e-6
        assert one.ours_K == pytest.approx(one.theirs_K, rel=1e-5), name
    # ours are others: these atoms are much hotter than the ensemble's 300 K
    (run,) = measured.runs
    assert run.values_K["all"].mean() > 1.02 * found["all"].theirs_K


def test_velocities_and_properties_agree(directory, tmp_path):
    from_velocities = numbers(directory, tmp_path, "temperature", str(directory))
    series = np.loadtxt(directory / "md.out")
    # 2 K / (k_B (3 N - 3)) of the column kinetic_md, hartree
    expected_K = 2 * series[:, 6].mean() * 27.211386245988 / 8.617333262e-5 / 33
    assert from_velocities["temperature_all_K"] == pytest.approx(expected_K, rel=1e-5)
    assert from_velocities["target_K"] is None  # NVE
    words = [str(directory), "--temperature-K", "300"]
    assert numbers(directory, tmp_path, "temperature", *words)["target_K"] == 300.0


def test_drift_is_the_slope_of_the_column(directory, tmp_path):
    """i-PI holds the centre of mass against springs to the origin, which costs energy."""
    (run,) = numbers(directory, tmp_path, "drift", str(directory / "md.out"))["runs"]
    assert run["n_atoms"] == 12
    assert run["to_ps"] == pytest.approx(0.5e-3 * N_STEPS, rel=1e-5)
    series = np.loadtxt(directory / "md.out")
    slope = np.polyfit(series[:, 1] * 2.4188843265857e-5, series[:, 2], 1)[0]
    expected = slope * 27211.386245988 / 12
    assert run["drift_conserved_meV_per_atom_per_ps"] == pytest.approx(expected, rel=1e-8)
    ci95 = run["drift_conserved_ci95_meV_per_atom_per_ps"]
    assert run["lambench"] == verdict(expected, math.nan if ci95 is None else ci95, 0.5)


def test_power_is_that_drift_and_forces_without_energy_leave_v_out(directory, tmp_path):
    drift = numbers(directory, tmp_path, "drift", str(directory))["runs"][0]
    power = numbers(directory, tmp_path, "power", str(directory))["runs"][0]
    assert power["power_meV_per_atom_per_ps"] == drift["drift_conserved_meV_per_atom_per_ps"]
    assert power["power_W_per_atom"] == pytest.approx(
        1.602176634e-10 * power["power_meV_per_atom_per_ps"]
    )
    words = [str(directory), "--without-potential"]
    without = numbers(directory, tmp_path, "power", *words)["runs"][0]
    assert "no energy" in without["kind"]
    kinetic = np.loadtxt(directory / "md.out")[:, [1, 6]]
    slope = np.polyfit(kinetic[:, 0] * 2.4188843265857e-5, kinetic[:, 1], 1)[0]
    # NVE: conserved - potential is the kinetic energy
    expected = slope * 27211.386245988 / 12
    assert without["power_meV_per_atom_per_ps"] == pytest.approx(
        expected, abs=abs(power["power_meV_per_atom_per_ps"]) + 1e-3 * abs(expected)
    )


def test_spectrum_has_the_springs_frequencies(directory, tmp_path):
    """omega = (k / m)^(1/2) in atomic units; 219474.63 cm^-1 are one hartree."""
    found = numbers(directory, tmp_path, "vdos", str(directory / "md.v_0.xyz"))
    for name, mass_u in (("H", 1.008), ("O", 15.9994)):
        expected = np.sqrt(SPRING / (mass_u * 1822.888486)) * 219474.63
        peak = found[f"cvv_{name}_peak_per_cm"]
        # a line of 222 cm^-1, from lags of 0.15 ps, has its top known to a fifth of that
        assert peak == pytest.approx(expected, abs=40.0)
    assert found["nyquist_per_cm"] == pytest.approx(33356.4 / 2, rel=1e-4)
    assert not found["aliased"]


def test_positions_have_a_g_of_r_and_no_diffusion(directory, tmp_path):
    found = numbers(directory, tmp_path, "rdf", str(directory), "--bins", "20")
    assert found["n_frames"] == N_STEPS // 4 + 1
    assert 4.8 < found["r_max_A"] <= 5.0  # half of 10 A
    words = [str(directory), "--from-ps", "0.02", "--memory-ps", "0.02"]
    diffusion = numbers(directory, tmp_path, "diffusion", *words)
    assert not [key for key in diffusion if key.startswith("diffusion")], "atoms on springs"


def test_forces_are_found_where_ase_leaves_positions_of_zero(directory):
    path = trajectory_in(directory, "forces")
    assert path.name == "md.f_0.extxyz"
    (force,) = open_dataset([path]).replicas("forces")
    (place,) = open_dataset([directory]).replicas("positions")
    forces, places = (next(replica.blocks(1)) for replica in (force, place))
    # -k x, hartree/bohr^2; six digits of x
    spring = -SPRING * 27.211386245988 / 0.529177210903**2
    np.testing.assert_allclose(forces.values, spring * places.values, atol=2e-6)
