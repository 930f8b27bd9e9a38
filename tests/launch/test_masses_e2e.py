"""Runs with other masses: what i-PI integrates, what is written, and how it is analysed."""

import json
from pathlib import Path
from xml.etree import ElementTree

import ase.io
import numpy as np
import pytest
from ase.build import molecule

from ncforce_ipi import cli
from ncforce_ipi.analysis.statistics import mean_of
from ncforce_ipi.observables import temperature
from ncforce_ipi.observables.dataset import open_dataset
from ncforce_ipi.observables.fromipi import MASS_TOLERANCE
from ncforce_ipi.observables.options import Options
from ncforce_ipi.reading.metadata import read_metadata
from ncforce_ipi.units import BOLTZMANN_EV_PER_K

pytestmark = pytest.mark.e2e
ELECTRON_U = 5.48579909065e-4  # CODATA 2018


@pytest.fixture
def ethanol(tmp_path, monkeypatch):
    """In wells of the analytic family, which ask no bonds; the words of a run of 0.03 ps."""
    monkeypatch.chdir(tmp_path)
    atoms = molecule("CH3CH2OH")
    atoms.set_cell([9.0, 10.0, 11.0])
    atoms.center()
    atoms.pbc = True
    atoms.write("start.xyz")
    sites = {"model": "harmonic", "sites_A": atoms.positions.tolist()}
    Path("wells.json").write_text(json.dumps(sites))
    return ("run", "--model", "analytic:wells.json", "--structure", "start.xyz", "--forces", "slow",
            "--timestep-fs", "1", "--time-ps", "0.03", "--repartition", "3", "--out")  # fmt: skip


def test_repartitioned_masses_go_into_the_run_and_into_its_analysis(ethanol, caplog):
    assert cli.main([*ethanol, "out"]) == 0
    # C2: three H; C1: two; O: one
    expected = {"C": [12.011 - 3 * 1.992, 12.011 - 2 * 1.992], "O": [15.999 - 1.992], "H": [3.0]}
    found = ase.io.read("out/init.xyz")
    for symbol, masses in expected.items():
        own = found.get_masses()[found.symbols == symbol]
        np.testing.assert_allclose(sorted(set(own)), sorted(masses), rtol=1e-9)  # 12 decimals
    beads = ElementTree.parse("out/RESTART" if Path("out/RESTART").exists() else
                              "out/simulation.checkpoint").find("system/beads/m")  # fmt: skip
    in_ipi = np.array(beads.text.strip(" []\n").split(","), float) * ELECTRON_U
    np.testing.assert_allclose(in_ipi, found.get_masses(), rtol=1e-8)  # i-PI's u is off by 8e-9
    record = json.loads(Path("out/run.json").read_text())
    assert record["masses"] == {"masses_u": None, "repartition_u": 3.0}
    assert record["several_masses"] == ["C"]
    metadata = read_metadata(Path("out"))
    np.testing.assert_allclose(metadata.atom_masses_u, found.get_masses(), rtol=1e-12)
    # the kinetic energy of i-PI's properties is that of the velocities with these masses
    source = open_dataset([Path("out")], Options(discard_ps=0.0), whole=True)
    measured = temperature.measure(source)
    assert max(one.off for one in measured.of_ipi) < MASS_TOLERANCE
    assert not [one for one in caplog.records if "masses those of the run" in one.message]


def test_a_run_from_a_frame_of_such_a_run_has_its_masses(ethanol):
    assert cli.main([*ethanol, "one"]) == 0
    words = list(ethanol)
    words[words.index("start.xyz")] = "one/simulation.pos_0.extxyz"
    plain = [word for word in words if word not in ("--repartition", "3")]
    plain[0] = words[0] = "input"
    assert cli.main([*plain, "two", "--velocities", "one/simulation.vel_0.xyz@5"]) == 0
    one, two = (ase.io.read(f"{name}/init.xyz").get_masses() for name in ("one", "two"))
    np.testing.assert_allclose(one, two, rtol=1e-12)
    assert cli.main([*words, "three"]) == 0  # what is so already stays
    np.testing.assert_allclose(ase.io.read("three/init.xyz").get_masses(), one, rtol=1e-12)


def test_start_velocities_are_drawn_for_these_masses_and_a_run_goes_on_with_them(ethanol):
    words = [*ethanol, "whole", "--temperature-K", "5000"]
    assert cli.main(words) == 0
    short = ["0.02" if word == "0.03" else word for word in words]
    short[short.index("whole")] = "parts"
    assert cli.main(short) == 0
    assert cli.main(["run", "--resume", "--out", "parts", "--time-ps", "0.03"]) == 0
    for name in ("simulation.out", "simulation.vel_0.xyz"):
        assert Path("parts", name).read_bytes() == Path("whole", name).read_bytes()
    first = open_dataset([Path("whole")], Options(), whole=True).first
    velocities = next(iter(first.all_frames("velocities").blocks(1))).values[0]
    masses = np.array(read_metadata(Path("whole")).atom_masses_u)
    momentum = (masses[:, None] * velocities).sum(axis=0)
    scale = np.sqrt(((masses[:, None] * velocities) ** 2).sum())
    assert np.abs(momentum).max() < 1e-5 * scale  # at rest with these masses; 6 digits are written


def test_input_and_given_masses(ethanol, capfd):
    words = ["input", *ethanol[1:-3], "--out", "by-hand"]
    assert cli.main([*words, "--masses-u", "H=4,O=10"]) == 0
    masses = ase.io.read("by-hand/init.xyz").get_masses()
    np.testing.assert_array_equal(np.unique(masses), [4.0, 10.0, 12.011])
    assert "a density must be computed with the true one" in capfd.readouterr().err
    with pytest.raises(SystemExit, match="2"):  # argparse's own
        cli.main([*words, "--force", "--masses-u", "H=4,H=5"])
    assert cli.main([*words, "--force", "--masses-u", "N=4"]) == 2
    assert "no N in the structure" in capfd.readouterr().err


def test_a_path_integral_is_refused_before_anything_is_made(ethanol, capfd):
    assert cli.main([*ethanol, "out", "--ensemble", "langevin", "--beads", "2"]) == 2
    assert "averages of a path integral depend on masses" in capfd.readouterr().err
    assert not Path("out").exists()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_equipartition_and_averages_over_positions_do_not_know_masses(tmp_path):
    """Wells with a fixed centre of mass: <|d_i|^2> = 3 k T/k (1 - m_i^2/sum m^2), T is alike."""
    one = molecule("CH3CH2OH")
    one.set_cell([6.0, 6.0, 7.0])
    one.center()
    one.pbc = True
    atoms = one * (2, 2, 2)
    atoms.write(tmp_path / "start.xyz")
    # the slowest, O, has a period of 240 fs; without a swirl direct and conservative are one
    wells = {"model": "harmonic", "swirl_eV_per_A2": 0.0, "sites_A": atoms.positions.tolist()}
    (tmp_path / "wells.json").write_text(json.dumps(wells))
    words = ["run", "--model", f"analytic:{tmp_path / 'wells.json'}", "--forces", "slow"]
    words += ["--structure", str(tmp_path / "start.xyz"), "--ensemble", "langevin"]
    words += ["--tau-fs", "30", "--timestep-fs", "3", "--time-ps", "9", "--repartition", "3"]
    assert cli.main([*words, "--out", str(tmp_path / "run")]) == 0
    data = open_dataset([tmp_path / "run"], Options(discard_ps=0.6), whole=True)
    found = temperature.measure(data)
    for mean in found.means.values():
        # 4 sigma; (omega dt)^2/4 = 1 % at most, of H, by the step
        assert abs(mean.value - 300.0) < 4.0 * mean.error + 0.01 * 300.0
    masses = np.array(read_metadata(tmp_path / "run").atom_masses_u)
    blocks = data.first.trajectory("positions").trajectory.blocks(100)
    squares = np.concatenate([((b.values - atoms.positions) ** 2).sum(axis=2) for b in blocks])
    expected = 3.0 * BOLTZMANN_EV_PER_K * 300.0 * (1.0 - masses**2 / (masses**2).sum())
    groups = {f"{s} {m:.4g}": (atoms.symbols == s) & np.isclose(masses, m)
              for s, m in set(zip(atoms.symbols, masses, strict=True))}  # fmt: skip
    assert len(groups) == 4  # H, O, and two kinds of C
    for own in groups.values():
        ratio = (squares[:, own] / expected[own]).mean(axis=1)
        mean = mean_of(ratio)
        assert abs(mean.value - 1.0) < 4.0 * mean.error + 0.01  # as above
        assert mean.error < 0.06
