"""The verbs on files of other programs, replicas, what is missing, and what they write."""

import json

import ase
import ase.io
import numpy as np
import pytest

from ncforce_ipi.analysis.statistics import Mean, combine
from ncforce_ipi.cli import main
from ncforce_ipi.errors import InputError
from ncforce_ipi.observables.dataset import open_dataset
from ncforce_ipi.observables.options import Options
from ncforce_ipi.reading.directory import properties_beside
from ncforce_ipi.reading.metadata import read_metadata
from ncforce_ipi.reading.trajectory import open_trajectory
from ncforce_ipi.units import BOLTZMANN_EV_PER_K, U_A2_PER_FS2_EV
from tests.synthetic_run import (
    DRIFT_MEV_PER_ATOM_PER_PS,
    write_frame,
    write_record,
    write_run,
)

SPECIES = np.array(["O", "H", "H"] * 9)
MASSES = "H=1.008,O=15.999"


@pytest.fixture
def directory(tmp_path):
    """A run that only has i-PI's files, without our record."""
    write_run(tmp_path / "run", n_outer=400)
    (tmp_path / "run" / "run.json").unlink()
    return tmp_path / "run"


def gas(path, cells, seed):
    """Uniform positions in cells that change from frame to frame."""
    rng = np.random.default_rng(seed)
    with path.open("w") as file:
        for step, cell in enumerate(cells):
            positions = rng.uniform(size=(27, 3)) @ cell
            write_frame(file, SPECIES, positions, "ase", "positions", step, cell)


def found(tmp_path, *words):
    target = tmp_path / "numbers.json"
    code = main([*map(str, words), "--json", str(target), "--force"])
    return json.loads(target.read_text()) if code == 0 else code


# what is missing


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["vdos", "simulation.vel_0.xyz"], "give --masses-u H=...,O=..."),
        (["vdos", "simulation.pos_0.extxyz"], "holds positions; expected velocities"),
        (["rdf", "simulation.vel_0.xyz"], "holds velocities; expected positions"),
        (["rdf", "nothing.xyz"], "nothing.xyz is missing"),
        (["rdf", "simulation.pos_0.extxyz", "--r-max-A", "9"], "at most half the smallest height"),
        (["rdf", "simulation.pos_0.extxyz", "--bins", "0"], "--bins 0; expected a positive"),
        (["rdf", "simulation.pos_0.extxyz", "--discard-ps", "7"], "ends before the 7 ps"),
        (["drift", "simulation.out", "--discard-ps", "-1"], "--discard-ps -1; expected 0 or"),
        (["drift", "simulation.out", "--discard-ps", "7"], "ends before the 7 ps to discard"),
        (["power", "simulation.out", "--without-potential"], "no column potential to leave out"),
        (["temperature", "simulation.vel_0.xyz", "--temperature-K", "0"], "--temperature-K 0; exp"),
        (["diffusion", "simulation.pos_0.extxyz"], "the line begins at 1 ps"),
        (["rdf", "simulation.pos_0.extxyz", "--plot", "x.jpg"], "expected a name in .png, .pdf"),
        (["rdf", "simulation.pos_0.extxyz", "--csv", "no/x.csv"], "no is no directory"),
    ],
)
def test_refusals_are_one_line(directory, monkeypatch, capsys, words, message):
    monkeypatch.chdir(directory)
    assert main(words) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""


def test_masses_that_are_no_table_are_a_usage_error(directory, capsys):
    with pytest.raises(SystemExit) as caught:
        main(["vdos", str(directory), "--masses-u", "H:1"])
    assert caught.value.code == 2
    assert "expected for instance H=1.008,O=15.999" in capsys.readouterr().err


def test_files_are_replaced_by_force_only(directory, tmp_path, capsys):
    target = tmp_path / "g.csv"
    target.write_text("mine")
    words = ["rdf", str(directory), "--csv", str(target)]
    assert main(words) == 2
    assert "g.csv exists; expected none: give --force" in capsys.readouterr().err
    assert target.read_text() == "mine"
    assert main([*words, "--force"]) == 0
    assert target.read_text().startswith("# version")


# what is found


def test_directory_of_ipi_without_a_record(directory, tmp_path):
    drift = found(tmp_path, "drift", directory)
    (run,) = drift["runs"]
    assert run["n_atoms"] == 81  # counted in a trajectory with the prefix
    slope = run["drift_conserved_meV_per_atom_per_ps"]
    assert slope == pytest.approx(DRIFT_MEV_PER_ATOM_PER_PS, abs=0.002)
    spectrum = found(tmp_path, "vdos", directory, "--masses-u", MASSES)
    assert spectrum["cvv_H_stretch_per_cm"] == pytest.approx(3600.0, abs=25.0)
    assert spectrum["nyquist_per_cm"] == pytest.approx(4169.5, abs=1.0)  # simulation.out says 4 fs
    names = spectrum["provenance"]["input_sha256"]
    assert "simulation.vel_0.xyz" in names
    assert "simulation.out" in names


def test_extxyz_of_another_program_gives_the_same_spectrum(directory, tmp_path):
    """The same velocities as momenta in ASE's units, without steps or times."""
    data = open_dataset([directory / "simulation.vel_0.xyz"], Options(discard_ps=0.0))
    (replica,) = data.replicas("velocities")
    (block,) = replica.blocks(10_000)
    masses_u = np.where(replica.species == "H", 1.008, 15.999)[:, None]
    frames = []
    for values in block.values:
        atoms = ase.Atoms(replica.species, cell=np.eye(3) * 9.32, pbc=True)
        atoms.arrays["momenta"] = values * masses_u / 0.09822694788  # A/fs in (eV/u)^(1/2)
        frames.append(atoms)
    path = tmp_path / "md.extxyz"
    ase.io.write(path, frames, format="extxyz")
    words = ["--masses-u", MASSES]
    ours = found(tmp_path, "vdos", directory, *words)
    theirs = found(tmp_path, "vdos", path, "--timestep-fs", "4", *words)
    for key in ("integral_H_K", "cvv_H_stretch_per_cm", "cvv_O_at_zero_K_cm"):
        assert theirs[key] == pytest.approx(ours[key], rel=1e-5)


@pytest.mark.parametrize(
    ("pbc", "cell", "neighbours"),
    [
        ("T T T", np.diag([20.0, 20.0, 12.0]), 1),  # 9 A apart: 3 A by the image
        ("T T F", np.diag([20.0, 20.0, 12.0]), 0),
        ("T T F", np.diag([20.0, 20.0, 0.0]), 0),
        ("F F F", np.diag([20.0, 20.0, 12.0]), 0),
    ],
)
def test_pairs_have_no_images_where_the_system_is_open(tmp_path, capsys, pbc, cell, neighbours):
    path = tmp_path / "film.extxyz"
    lattice = " ".join(map(str, cell.ravel()))
    comment = f'Lattice="{lattice}" Properties=species:S:1:pos:R:3 pbc="{pbc}"'
    path.write_text("".join(f"2\n{comment}\nAr {k} 1 1.5\nAr {k} 1 10.5\n" for k in range(12)))
    rows = tmp_path / "g.csv"
    found(tmp_path, "rdf", path, "--r-max-A", 5, "--csv", rows)
    header, *_, last = [line for line in rows.read_text().splitlines() if line[0] != "#"]
    coordination = dict(zip(header.split(","), last.split(","), strict=True))["n_Ar_around_Ar"]
    assert float(coordination) == neighbours
    assert ("no images of atoms are counted there" in capsys.readouterr().out) == (pbc != "T T T")


def test_notes_name_the_pairs_that_fill_a_part_of_the_cell(tmp_path, capsys):
    """A slab without order, of half the cell, and one O2 anywhere in the other half."""
    rng = np.random.default_rng(3)
    frames = []
    for _ in range(40):
        slab = rng.uniform(size=(60, 3)) * [12.0, 12.0, 16.0]
        x, y, z = rng.uniform(size=3) * [12.0, 12.0, 14.8] + [0.0, 0.0, 16.0]
        places = [*slab, (x, y, z), (x, y, z + 1.2)]
        frames.append(ase.Atoms("Pt60O2", places, cell=[12.0, 12.0, 32.0], pbc=True))
    ase.io.write(tmp_path / "slab.extxyz", frames)
    found(tmp_path, "rdf", tmp_path / "slab.extxyz", "--discard-ps", "0")
    notes = [line for line in capsys.readouterr().out.splitlines() if line.startswith("note")]
    said = [line.split(maxsplit=1)[1] for line in notes]
    assert any(line.startswith("g_PtPt: these atoms fill only a part") for line in said)
    assert any(line.startswith("g_OO, g_OPt: these atoms were found in a part") for line in said)


def test_peak_that_may_be_folded_is_marked(tmp_path, capsys):
    """N2 at 2330 1/cm, a frame each 10 fs: seen at 2 x 1667.8 - 2330 = 1006."""
    rng = np.random.default_rng(2)
    phase = rng.uniform(0.0, 2.0 * np.pi, size=(20, 3))
    omega_per_fs = 2.0 * np.pi * 2330.0 / 33356.41
    for name, atoms in (("N", "N" * 20), ("Ar", ["Ar"] * 20)):
        with (tmp_path / f"{name}.vel_0.xyz").open("w") as file:
            for step in range(600):
                values = 0.004 * np.cos(omega_per_fs * 10.0 * step + phase)
                write_frame(file, np.array(list(atoms)), values, "xyz", "velocities", step)
        words = ["--timestep-fs", 10, "--masses-u", f"{name}={dict(N=14.007, Ar=39.948)[name]}"]
        numbers = found(tmp_path, "vdos", tmp_path / f"{name}.vel_0.xyz", *words)
        assert numbers[f"cvv_{name}_peak_per_cm"] == pytest.approx(1006.0, abs=5.0)
        assert numbers["aliased"] == numbers[f"cvv_{name}_peak_possibly_folded"] == (name == "N")
        assert ("1006 cm^-1, possibly folded (N-N)" in capsys.readouterr().out) == (name == "N")


def test_time_step_that_nobody_says_is_asked_for(directory, tmp_path, capsys):
    (directory / "simulation.out").unlink()
    assert main(["vdos", str(directory), "--masses-u", MASSES]) == 2
    assert "does not say how long a step is; give --timestep-fs" in capsys.readouterr().err
    words = ["--masses-u", MASSES, "--timestep-fs", "4"]
    assert found(tmp_path, "vdos", directory, *words)["nyquist_per_cm"] > 4000


def test_replicas_are_one_long_run(tmp_path):
    cells = np.broadcast_to(np.eye(3) * 9.0, (40, 3, 3))
    for seed in range(3):
        gas(tmp_path / f"r{seed}.pos_0.extxyz", cells, seed)
    paths = [tmp_path / f"r{seed}.pos_0.extxyz" for seed in range(3)]
    (tmp_path / "all.pos_0.extxyz").write_text("".join(path.read_text() for path in paths))
    three = found(tmp_path, "rdf", *paths, "--csv", tmp_path / "three.csv", "--bins", 10)
    assert three["n_frames"] == 120
    with pytest.raises(InputError, match="the steps begin again: two runs in one file"):
        open_trajectory(tmp_path / "all.pos_0.extxyz")
    rows = np.loadtxt(tmp_path / "three.csv", delimiter=",", skiprows=5)
    header = (tmp_path / "three.csv").read_text().splitlines()[4].split(",")
    g, error = (rows[1:, header.index(f"g_OH{end}")] for end in ("", "_standard_error"))
    assert np.all(np.abs(g - 1.0) < 5.0 * error)


def test_range_of_g_is_that_of_the_smallest_cell_of_the_run(tmp_path):
    """Under NPT the first cell may be larger than a later one."""
    sizes = [10.0, 11.0, 9.0, 10.5] * 5
    gas(tmp_path / "npt.pos_0.extxyz", [np.eye(3) * size for size in sizes], 1)
    numbers = found(tmp_path, "rdf", tmp_path / "npt.pos_0.extxyz")
    assert numbers["r_max_A"] == pytest.approx(4.5, abs=0.021)


def test_frames_without_a_cell_have_no_g(tmp_path, capsys):
    path = tmp_path / "molecule.xyz"
    path.write_text("2\n\nC 0 0 0\nO 0 0 1.1\n" * 3)
    assert main(["rdf", str(path)]) == 2
    assert "frames without a cell" in capsys.readouterr().err


def test_replicas_of_other_systems_are_refused(tmp_path, directory, capsys):
    gas(tmp_path / "small.extxyz", [np.eye(3) * 9.0], 1)
    assert main(["rdf", str(directory), str(tmp_path / "small.extxyz")]) == 2
    assert "has other atoms than" in capsys.readouterr().err


def test_ambiguous_directory_is_refused(directory, capsys):
    text = (directory / "simulation.pos_0.extxyz").read_text()
    (directory / "simulation.pos_1.extxyz").write_text(text)
    assert main(["rdf", str(directory)]) == 2
    assert "simulation.pos_0.extxyz, simulation.pos_1.extxyz; give one" in capsys.readouterr().err


def test_temperature_of_two_replicas_with_plot_and_columns(tmp_path, capsys):
    for seed, name in enumerate(("a", "b")):
        write_run(tmp_path / name, n_outer=200, seed=seed)
    words = ["--plot", tmp_path / "t.pdf", "--csv", tmp_path / "t.csv", "--discard-ps", "0.1"]
    numbers = found(tmp_path, "temperature", tmp_path / "a", tmp_path / "b", *words)
    assert numbers["target_K"] == 300.0
    assert numbers["temperature_all_K"] == pytest.approx(300.0, rel=0.05)
    assert len(numbers["runs"]) == 2
    assert (tmp_path / "t.pdf").read_bytes().startswith(b"%PDF")
    rows = np.loadtxt(tmp_path / "t.csv", delimiter=",", skiprows=5)
    assert np.unique(rows[:, 0]).tolist() == [0.0, 1.0]
    assert rows[0, 1] == 25  # steps of 4 fs
    assert "T(H) - T(O)" in capsys.readouterr().out


@pytest.mark.parametrize(("name", "target_K"), [("nve", None), ("svr", 300.0)])
def test_only_a_thermostat_has_a_target(tmp_path, capsys, name, target_K):
    write_run(tmp_path / "run", n_outer=100)
    write_record(tmp_path / "run", 81, ensemble={"name": name, "beads": 1})
    assert found(tmp_path, "temperature", tmp_path / "run")["target_K"] == target_K
    out = capsys.readouterr().out
    assert ("from 300 K" in out) == (target_K is not None)
    assert ("none: NVE" in out) == (target_K is None)


def test_diffusion_against_a_reference(tmp_path, capsys):
    """Walkers with D = 0.5 and 0.1 A^2/ps: a ratio of 5."""
    rng = np.random.default_rng(4)
    for name, coefficient in (("fast", 0.5), ("slow", 0.1)):
        steps = rng.normal(scale=np.sqrt(2 * coefficient * 0.02), size=(1500, 27, 3))
        with (tmp_path / f"{name}.pos_0.extxyz").open("w") as file:
            for step, frame in enumerate(steps.cumsum(axis=0)):
                write_frame(file, SPECIES, frame, "ase", "positions", step, np.eye(3) * 12.0)
    words = ["--timestep-fs", 20, "--from-ps", 0.2, "--lag-ps", 1.0, "--viscosity-mPa-s", 0.9,
             "--temperature-K", 300, "--plot", tmp_path / "msd.svg"]  # fmt: skip
    paths = [tmp_path / f"{name}.pos_0.extxyz" for name in ("fast", "slow")]
    numbers = found(tmp_path, "diffusion", paths[0], "--reference", paths[1], *words)
    error = numbers["ratio_H_einstein_standard_error"]
    assert numbers["ratio_H_einstein"] == pytest.approx(5.0, abs=4 * error)
    assert error < 0.7
    assert numbers["finite_size_correction_A2_per_ps"] == pytest.approx(0.0577, rel=0.01)
    assert "D / reference, H" in capsys.readouterr().out
    assert b"<svg" in (tmp_path / "msd.svg").read_bytes()


def test_diffusion_of_what_moves_faster_than_the_frames(tmp_path, capsys):
    """Hydrogen with a friction of 1/fs, oxygen with 1/(50 fs), frames of 4 fs."""
    rng = np.random.default_rng(2)
    masses_u = np.where(SPECIES == "H", 1.008, 15.999)
    sigma = np.sqrt(BOLTZMANN_EV_PER_K * 300.0 / (masses_u * U_A2_PER_FS2_EV))[:, None]
    keep = np.exp(-4.0 / np.where(SPECIES == "H", 1.0, 50.0))[:, None]
    frame = rng.normal(size=(len(SPECIES), 3))
    paths = [tmp_path / f"{name}.vel_0.xyz" for name in ("both", "hydrogen")]
    with paths[0].open("w") as both, paths[1].open("w") as hydrogen:
        for step in range(800):
            write_frame(both, SPECIES, sigma * frame, "xyz", "velocities", step)
            of_h = SPECIES == "H"
            write_frame(hydrogen, SPECIES[of_h], (sigma * frame)[of_h], "xyz", "velocities", step)
            frame = keep * frame + np.sqrt(1 - keep**2) * rng.normal(size=frame.shape)
    words = ["--timestep-fs", 4, "--memory-ps", 0.4, "--free-com", "--masses-u", MASSES]
    numbers = found(tmp_path, "diffusion", paths[0], *words)
    truth = 1e3 * BOLTZMANN_EV_PER_K * 300.0 / (15.999 * U_A2_PER_FS2_EV) * 50.0
    error = numbers["diffusion_O_green_kubo_standard_error_A2_per_ps"]
    assert numbers["diffusion_O_green_kubo_A2_per_ps"] == pytest.approx(truth, abs=4 * error)
    assert "diffusion_H_green_kubo_A2_per_ps" not in numbers
    said = capsys.readouterr().out
    assert "none from velocities for H: its velocities change faster than frames of 4 fs" in said
    assert main(["diffusion", str(paths[1]), *map(str, words)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "H: its velocities change faster than frames of 4 fs show" in line


def test_diffusion_of_a_solid_is_not_made_up(tmp_path, capsys):
    """Atoms that swing with a period of 0.9 ps; both quantities, and as a reference."""
    omega, frame_fs = 2.0 * np.pi / 900.0, 20.0
    phases = np.random.default_rng(5).uniform(0.0, 2.0 * np.pi, size=(len(SPECIES), 3))
    paths = [tmp_path / name for name in ("s.pos_0.extxyz", "s.vel_0.xyz", "walk.pos_0.extxyz")]
    walk = np.random.default_rng(6).normal(scale=0.1, size=(1000, len(SPECIES), 3)).cumsum(axis=0)
    with paths[0].open("w") as pos, paths[1].open("w") as vel, paths[2].open("w") as other:
        for step in range(1000):
            angles = omega * frame_fs * step + phases
            cell = np.eye(3) * 12.0
            write_frame(pos, SPECIES, 6.0 + 0.1 * np.cos(angles), "ase", "positions", step, cell)
            write_frame(vel, SPECIES, -0.1 * omega * np.sin(angles), "xyz", "velocities", step)
            write_frame(other, SPECIES, walk[step], "ase", "positions", step, cell)
    words = ["--timestep-fs", frame_fs, "--free-com", "--masses-u", MASSES]
    words += ["--plot", tmp_path / "msd.png", "--csv", tmp_path / "msd.csv"]
    numbers = found(tmp_path, "diffusion", *paths[:2], *words)
    assert not any("diffusion" in key for key in numbers)
    said = capsys.readouterr().out
    assert (
        "none from displacements for O: its mean squared displacement isn't a line from 1" in said
    )
    assert "O: its velocities remember for longer than 1 ps" in said
    assert "msd_O_A2" in (tmp_path / "msd.csv").read_text(), "the curve is there"
    words = ["--timestep-fs", frame_fs, "--force"]
    numbers = found(tmp_path, "diffusion", paths[2], "--reference", paths[0], *words)
    assert "diffusion_O_einstein_A2_per_ps" in numbers
    assert "ratio_O_einstein" not in numbers
    assert "reference: none from displacements for O" in capsys.readouterr().out


def test_several_drifts_have_a_mean_with_the_interval_of_their_spread(tmp_path):
    for seed, name in enumerate("abc"):
        write_run(tmp_path / name, n_outer=100, seed=seed)
    words = ["--plot", tmp_path / "drift.png"]
    numbers = found(tmp_path, "drift", *(tmp_path / name for name in "abc"), *words)
    slopes = [run["drift_conserved_meV_per_atom_per_ps"] for run in numbers["runs"]]
    mean = numbers["mean_drift_conserved_meV_per_atom_per_ps"]
    assert mean == pytest.approx(np.mean(slopes))
    assert (tmp_path / "drift.png").stat().st_size > 10_000


def test_replicas_together_take_their_errors_or_their_spread():
    two = combine([Mean(1.0, 0.3, 10.0), Mean(2.0, 0.4, 10.0)], [1.0, 1.0])
    assert (two.value, two.error) == pytest.approx((1.5, 0.25))
    values = [1.0, 2.0, 4.0, 5.0]
    four = combine([Mean(value, 1e-3, 1.0) for value in values], [1.0] * 4)
    assert four.error == pytest.approx(np.std(values, ddof=1) / 2.0)


def test_surroundings(directory, tmp_path, capsys):
    (beside,) = properties_beside(directory / "simulation.vel_0.xyz")
    assert beside.name == "simulation.out"
    (directory / "other.vel_0.xyz").touch()
    assert properties_beside(directory / "other.vel_0.xyz") == []
    (directory / "other.vel_0.xyz").unlink()
    assert read_metadata(directory).step_fs is None
    assert open_dataset([directory]).first.step_fs == pytest.approx(4.0)  # simulation.out says it
    assert read_metadata(directory).masses_u is None
    (directory / "run.json").write_text('{"somebody": "elses"}')
    assert read_metadata(directory).masses_u is None
    (directory / "RESTART").write_text("<simulation><system></beads>")  # half written
    assert main(["drift", str(directory)]) == 0  # it only lacks what nobody needs
    assert "RESTART is no whole XML file of i-PI's" in capsys.readouterr().err
