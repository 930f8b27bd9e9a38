"""``ncforce run`` and ``ncforce compare`` with real i-PI, real sockets and a driver of ours."""

import json
import os
import signal
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from ncforce_ipi import cli
from ncforce_ipi.errors import InputError
from ncforce_ipi.inputs import outputs as written
from ncforce_ipi.launch import run
from ncforce_ipi.launch.directory import tails
from ncforce_ipi.launch.jobs import job
from ncforce_ipi.launch.watching import crew
from ncforce_ipi.reading.trajectory import open_trajectory
from ncforce_ipi.rundir import CHECKPOINTS
from tests.analytic_driver import harmonic
from tests.ipi_host import two_free_ports

from .runs import children_of, deaths, evaluation_after, mts, record, wait_for, while_held

pytestmark = pytest.mark.e2e
OUTPUTS = ("simulation.out", "simulation.pos_0.extxyz", "simulation.vel_0.xyz")


@pytest.fixture(autouse=True)
def often(monkeypatch):
    """A checkpoint every 10 steps."""
    monkeypatch.setattr(written, "CHECKPOINT_INTERVAL_FS", 20.0)


def assert_same_bytes(a, b):
    """Every output of both runs, and the state they end in."""
    for name in OUTPUTS:
        assert Path(a, name).read_bytes() == Path(b, name).read_bytes(), name
    states = [ElementTree.parse(Path(d, "RESTART")).find("system") for d in (a, b)]
    for tag in ("beads/q", "beads/p", "ensemble/time"):
        assert states[0].findtext(tag) == states[1].findtext(tag), tag


def test_run_to_the_last_step(ncforce, straight):
    data = record(straight)
    assert (data["state"], data["steps_done"], data["reason"]) == ("finished", 30, "")
    rows = np.loadtxt(Path(straight, "simulation.out"))
    np.testing.assert_array_equal(rows[:, 0], np.arange(31))
    roles = data["segments"][0]["driver_report"]["roles"]
    assert set(roles) == {"slow", "fast"}
    assert data["timings"]["ms_per_inner_step"] > 0
    masses = [
        float(x) for x in _text(straight, "beads/m").strip().strip("[]").split(",")
    ]  # electron masses
    written = {"O": masses[0], "H": masses[1]}
    for symbol, mass_u in data["masses_u"].items():  # 1e-8: digits of i-PI's electron mass
        assert written[symbol] / mass_u == pytest.approx(1822.888486, rel=1e-8)


def test_masses_of_the_structure_file_count(ncforce):
    """Heavy water: the file has a column of masses."""
    head, comment, *atoms = Path("start.xyz").read_text().splitlines()
    masses = {"O": "15.995", "H": "2.014"}
    lines = [head, comment.replace("pos:R:3", "pos:R:3:masses:R:1")]
    lines += [f"{line} {masses[line[0]]}" for line in atoms]
    Path("start.xyz").write_text("\n".join(lines) + "\n")
    code, said = ncforce(*mts("heavy", "--time-ps", "0.004"))
    assert code == 0, said.err
    assert record("heavy")["masses_u"] == {"H": 2.014, "O": 15.995}
    written = [float(x) for x in _text("heavy", "beads/m").strip().strip("[]").split(",")]
    assert written[0] / written[1] == pytest.approx(15.995 / 2.014, rel=1e-12)


def _text(directory, tag):
    return ElementTree.parse(Path(directory, "RESTART")).find("system").findtext(tag)


def test_interrupt_leaves_a_checkpoint_and_resume_is_bitwise(ncforce, straight, request):
    # ignored, and kept so, where the tests were started with &
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, before))

    def interrupt():
        """The driver goes on once i-PI knows that it is to stop, which takes it up to a second."""
        log = Path("cut/logs/ipi.log").absolute()
        os.kill(os.getpid(), signal.SIGINT)
        wait_for(lambda: "EXIT file detected" in log.read_text())

    thread = while_held(evaluation_after(7), interrupt)
    code, said = ncforce(*mts("cut"))
    thread.join()
    assert code == 128 + signal.SIGINT
    assert "stopped by SIGINT after step" in said.err
    assert "go on with: ncforce run --resume --out cut" in said.err
    stopped = record("cut")
    assert stopped["state"] == "stopped"
    assert stopped["steps_done"] == 7  # the step that it was in has no row, and begins again
    assert int(ElementTree.parse(Path("cut", "RESTART")).findtext("step")) == stopped["steps_done"]
    code, said = ncforce("run", "--resume", "--out", "cut")
    assert code == 0, said.err
    assert_same_bytes("straight", "cut")
    assert len(record("cut")["segments"]) == 2
    assert not list(Path("cut").glob("#*"))  # no backups of i-PI


def run_whole_and_in_parts(ncforce, *words):
    """The same run at one go and in two halves."""
    code, said = ncforce(*mts("whole", *words))
    assert code == 0, said.err
    code, said = ncforce(*mts("parts", "--time-ps", "0.03", *words))
    assert code == 0, said.err
    code, said = ncforce("run", "--resume", "--out", "parts", "--time-ps", "0.06")
    assert code == 0, said.err


@pytest.mark.parametrize(
    "words",
    [
        ["langevin", "--tau-fs", "20"],
        ["svr"],
        ["gle"],
        ["gle", "--gle", "smart"],
        ["npt"],
        ["npt", "--barostat", "flexible"],
        ["npt", "--barostat", "anisotropic"],
        ["npt", "--barostat", "in-plane"],
    ],
)
def test_every_ensemble_goes_on_bitwise(ncforce, words):
    """The state of thermostat, barostat, cell and random numbers is all in the checkpoint."""
    run_whole_and_in_parts(ncforce, "--ensemble", *words)
    written = [path.name for path in Path("whole").glob("simulation.*") if "check" not in path.name]
    assert len(written) == 4  # properties, slow - fast, positions, velocities
    for name in written:
        assert Path("whole", name).read_bytes() == Path("parts", name).read_bytes(), name
    rows = np.loadtxt(Path("whole", "simulation.out"))
    assert (rows[1:, 1:4] != rows[:-1, 1:4]).all()
    if words[0] == "npt":
        assert np.ptp(rows[:, -2]) > 0  # volume


def test_both_force_components_are_written_and_cost_nothing(ncforce, straight):
    """Of each frame the forces at its positions: i-PI has both there, and asks for none again."""
    run_whole_and_in_parts(ncforce, "--write-forces", "3")
    slow, fast = (
        next(open_trajectory(Path("whole", f"simulation.forces_{kind}.xyz"), "forces").blocks(99))
        for kind in ("slow", "fast")
    )
    assert slow.steps.tolist() == fast.steps.tolist() == list(range(0, 31, 3))
    steps = open_trajectory(Path("whole", "simulation.pos_0.extxyz")).steps.tolist()
    for block in open_trajectory(Path("whole", "simulation.pos_0.extxyz")).blocks(1):
        if block.steps[0] % 3:
            continue
        frame = int(block.steps[0]) // 3
        _, conservative = harmonic(block.values[0])
        # positions have 8 decimals at 50 eV/A^2, forces 6 digits and i-PI's unit
        np.testing.assert_allclose(slow.values[frame], conservative, rtol=1e-5, atol=1e-6)
        assert not np.allclose(fast.values[frame], conservative, rtol=1e-5, atol=1e-3)
    assert 0 in steps
    for name in ("simulation.forces_slow.xyz", "simulation.forces_fast.xyz"):
        assert Path("whole", name).read_bytes() == Path("parts", name).read_bytes(), name
    calls = [record(name)["segments"][0]["driver_report"]["calls"] for name in ("whole", straight)]
    assert calls[0] == calls[1]
    assert record("whole")["force_stride"] == 3
    code, said = ncforce("run", "--resume", "--out", "parts", "--write-forces")
    assert code == 2
    assert "leave out --write-forces" in said.err


@pytest.mark.parametrize("ensemble", ["langevin", "npt"])
def test_a_path_integral_goes_on(ncforce, ensemble):
    """Not bitwise: i-PI moves normal modes and writes beads, so a restart rounds once more."""
    run_whole_and_in_parts(ncforce, "--ensemble", ensemble, "--beads", "2")
    whole, parts = (np.loadtxt(Path(name, "simulation.out")) for name in ("whole", "parts"))
    np.testing.assert_allclose(parts, whole, rtol=1e-8, atol=1e-8)  # 15 steps after rounding
    assert Path("parts", "simulation.pos.extxyz").stat().st_size > 0
    assert cli.main(["analyze", "parts"]) == 0  # of the centroids


def test_forces_of_a_path_integral_are_those_of_the_centroid(ncforce):
    words = ("--ensemble", "langevin", "--beads", "2", "--write-forces", "10")
    code, said = ncforce(*mts("beads", *words))
    assert code == 0, said.err
    for kind in ("slow", "fast"):
        file = open_trajectory(Path("beads", f"simulation.forces_{kind}.xyz"), "forces")
        assert file.steps.tolist() == [0, 10, 20, 30]


def test_killed_ipi_is_continued_from_the_last_checkpoint(ncforce, straight, monkeypatch):
    children = children_of(monkeypatch)
    thread = while_held(evaluation_after(15), lambda: children[0].kill())
    code, said = ncforce(*mts("killed"))
    thread.join()
    assert code == 1
    assert "i-PI ended with signal SIGKILL (log ipi.log) at step 15 of 30" in said.err
    assert record("killed")["state"] == "failed"
    assert not Path("killed", "RESTART").exists()
    code, said = ncforce("run", "--resume", "--out", "killed")
    assert code == 0, said.err
    assert_same_bytes("straight", "killed")


def test_a_finished_run_gets_longer(ncforce, straight):
    code, said = ncforce(*mts("short", "--time-ps", "0.03"))
    assert code == 0, said.err
    code, said = ncforce("run", "--resume", "--out", "short")
    assert code == 2
    assert "short has already done 15 outer steps, asked for 15" in said.err
    code, said = ncforce("run", "--resume", "--out", "short", "--time-ps", "0.06")
    assert code == 0, said.err
    assert_same_bytes("straight", "short")
    assert record("short")["plan"]["n_outer"] == 30


@pytest.mark.parametrize("what", ["die", "deaf"])
def test_a_dead_driver_costs_nothing(ncforce, straight, what):
    Path("fault").write_text(f"{what} 60")
    code, said = ncforce(*mts("faulty"))
    assert code == 0, said.err
    assert not Path("fault").exists()
    assert_same_bytes("straight", "faulty")
    data = record("faulty")
    assert deaths(data) or len(data["segments"]) == 2
    assert data["timings"]["model_s"] is None  # a dead driver wrote no report


def test_forces_that_are_not_finite_stop_the_run(ncforce):
    Path("fault").write_text("nan 40")
    code, said = ncforce(*mts("nan"))
    assert code == 1
    assert "driver ended with exit code 1 (log driver.log)" in said.err
    assert "is not finite" in said.err
    data = record("nan")
    assert (data["state"], data["unphysical"]) == ("stopped", True)
    assert Path("nan", "RESTART").exists()


def test_a_start_that_is_not_equilibrated_is_not_stopped(ncforce):
    """Bonds 0.2 A too long heat it beyond 10 times its 100 K; no force did work for nothing."""
    long = 0.2 / 0.96
    lines = Path("start.xyz").read_text().splitlines()
    places = np.array([line.split()[1:] for line in lines[2:]], float).reshape(-1, 3, 3)
    places += long * (places - places[:, :1])
    rows = [f"{line.split()[0]} {x} {y} {z}" for line, (x, y, z) in
            zip(lines[2:], places.reshape(-1, 3), strict=True)]  # fmt: skip
    Path("start.xyz").write_text("\n".join([*lines[:2], *rows]) + "\n")
    # half the usual step: so stiff a bond moves the conserved quantity by the square of a step
    words = ("--temperature-K", "100", "--timestep-fs", "0.25", "--time-ps", "0.04", "--out")
    code, said = ncforce("run", "--forces", "slow", *words, "hot")
    assert code == 0, said.err
    assert np.loadtxt("hot/simulation.out")[:, 3].max() > 1000.0
    assert (record("hot")["state"], record("hot")["unphysical"]) == ("finished", False)
    code, said = ncforce("compare", "--mts", "2", *words, "all")  # stops at 3 times 100 K
    assert code == 0, said.err
    assert [record(f"all/{name}")["state"] for name in ("slow", "fast", "mts2")] == ["finished"] * 3
    runs = json.loads(Path("all/compare.json").read_text())["runs"]
    assert [entry["runaway_ps"] for entry in runs] == [None] * 3


def test_atoms_too_close_stop_a_run_that_keeps_what_it_wrote(tmp_path, monkeypatch, capfd):
    """Argon, one pair 0.6 A apart: v = 5e7 eV, gone within a step or two."""
    monkeypatch.chdir(tmp_path)
    places = [(0, 0, 0), (0.6, 0, 0), (6, 0, 0), (0, 6, 0), (0, 0, 6), (6, 6, 0), (0, 6, 6)]
    lines = ["7", 'Lattice="12 0 0 0 12 0 0 0 12" Properties=species:S:1:pos:R:3 pbc="T T T"']
    lines += [f"Ar {x} {y} {z}" for x, y, z in places]
    Path("close.xyz").write_text("\n".join(lines) + "\n")
    words = ["--model", "analytic:lennard-jones", "--structure", "close.xyz"]
    words += ["--forces", "slow", "--time-ps", "0.02", "--out", "close"]
    assert cli.main(["run", *words]) == 1
    (line,) = [x for x in capfd.readouterr().err.splitlines() if x.startswith("ncforce run: ")]
    assert "K is more than 10 times the 300 K asked for, and the conserved quantity" in line
    assert line.endswith("check the start structure for close atoms, or take a smaller time step")
    assert (record("close")["state"], record("close")["unphysical"]) == ("stopped", True)
    assert len(np.loadtxt("close/simulation.out")) >= 2
    assert Path("close/simulation.pos_0.extxyz").stat().st_size


def test_a_driver_that_cannot_start_ends_the_run_at_once(ncforce):
    text = Path("start.xyz").read_text().replace("O 0.0 0.0 0.0", "Ne 0.0 0.0 0.0")
    Path("start.xyz").write_text(text)
    code, said = ncforce(*mts("neon"))
    assert code == 1
    last = said.err.strip().splitlines()[-1]
    assert last.startswith("ncforce run: driver ended with exit code 1 (log driver.log) at step 0")
    assert "has Ne, expected only species of" in last
    Path("start.xyz").write_text(text.replace("Ne 0.0 0.0 0.0", "O 0.0 0.0 0.0"))
    code, said = ncforce(*mts("neon", "--time-ps", "0.004"))  # the same, corrected: no --force
    assert code == 0, said.err
    assert "expected only species of" in Path("neon/previous-1/logs/driver.log").read_text()


def test_a_run_without_progress_is_given_up(ncforce, monkeypatch):
    monkeypatch.setenv("NCFORCE_TEST_SLEEP_S", "30")
    monkeypatch.setattr(crew, "DRIVER_STOP_S", 0.5)  # it sleeps on
    code, said = ncforce(*mts("stalled", "--stall-s", "3"))
    assert code == 1
    assert "no outer step after step 0 for 3 s" in said.err


def test_tcp_gives_the_same_run(ncforce, straight):
    code, said = ncforce(*mts("tcp", "--port", str(two_free_ports())))
    assert code == 0, said.err
    assert_same_bytes("straight", "tcp")


def test_mts_of_one_step_and_one_force_is_velocity_verlet(ncforce):
    common = ("--time-ps", "0.02", "--out")
    assert ncforce("run", "--forces", "slow", *common, "slow")[0] == 0
    words = ("--forces", "mts", "--mts", "1", "--driver-options", "--fast-kind conservative")
    assert ncforce("run", *words, *common, "both")[0] == 0
    slow, both = (np.loadtxt(Path(name, "simulation.out")) for name in ("slow", "both"))
    # same operations but for one addition of (slow - fast) = 0: rounding of numbers up to 1e3
    np.testing.assert_allclose(both[:, :9], slow[:, :9], rtol=0, atol=1e-10)


def test_compare_keeps_a_run_that_heats_up(ncforce, monkeypatch):
    monkeypatch.setenv("NCFORCE_TEST_TWIST", "0.25")  # the kinetic energy grows e-fold in 17 fs
    words = ("--time-ps", "0.08", "--mts", "2", "4", "--temperature-K", "300", "--out", "all")
    code, said = ncforce("compare", *words)
    assert code == 0, said.err
    table = said.out.splitlines()
    assert table[0].split()[:2] == ["run", "ps"]
    assert [line.split("  ")[0] for line in table[1:]] == [
        "slow only", "fast only", "MTS, M = 2", "MTS, M = 4",
    ]  # fmt: skip
    assert "more than 3 times the 300 K" in table[2]
    data = {
        entry["run"]: entry for entry in json.loads(Path("all/compare.json").read_text())["runs"]
    }
    assert data["fast"]["state"] == "stopped"
    # so fast a model may have reached the end before the launcher looked
    assert data["fast"]["runaway_ps"] < 0.08
    assert data["fast"]["drift_conserved_meV_per_atom_per_ps"] > 100
    assert abs(data["slow"]["drift_conserved_meV_per_atom_per_ps"]) < 10
    starts = {np.loadtxt(f"all/{name}/simulation.out")[0, 6] for name in data}
    assert len(starts) == 1  # the same velocities
    assert all(Path("all", name).stat().st_size for name in ("compare.png", "drift_of_M.png"))
    before = Path("all/slow/run.json").stat().st_mtime_ns
    code, said = ncforce("compare", *words, "--resume")
    assert code == 0, said.err
    assert Path("all/slow/run.json").stat().st_mtime_ns == before
    assert said.out.splitlines() == table
    Path("start.xyz").write_text(Path("start.xyz").read_text().replace("8 0 0 0 8", "9 0 0 0 8"))
    code, said = ncforce("compare", *words, "--resume")
    assert code == 2
    assert "slow was begun with another structure; give the same options" in said.err


def test_a_comparison_gets_longer(ncforce, straight):
    """Bitwise each run as if it had been that long from the start; not shorter by an accident."""
    words = ("--mts", "4", "--out")
    for forces in ("slow", "fast"):
        assert ncforce("run", "--forces", forces, "--time-ps", "0.06", "--out", forces)[0] == 0
    assert ncforce("compare", "--time-ps", "0.03", *words, "parts")[0] == 0
    before = Path("parts/slow/run.json").stat().st_mtime_ns
    assert ncforce("compare", "--resume", *words, "parts")[0] == 0  # as long as it was
    assert Path("parts/slow/run.json").stat().st_mtime_ns == before
    code, said = ncforce("compare", "--resume", "--time-ps", "0.06", *words, "parts")
    assert code == 0, said.err
    for name, alone in (("slow", "slow"), ("fast", "fast"), ("mts4", straight)):
        assert_same_bytes(alone, f"parts/{name}")
    code, said = ncforce("compare", "--resume", "--time-ps", "0.03", *words, "parts")
    assert code == 2
    assert "was begun for 0.06 ps, longer than the 0.03 ps asked for; give --time-ps 0.06 or" in (
        said.err
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--mts", "0"), "MTS ratio M must be 1 or more inner steps, got 0"),
        (("--forces", "slow", "--mts", "8"), "M = 8 needs --forces mts, got slow forces alone"),
        (("--model", "nothing.pt"), "neither a file nor a shipped model"),
        (("--structure", "nothing.xyz"), "neither a file nor a shipped system"),
        (("--temperature-K", "-5"), "temperature must be positive, got -5.0 K"),
        (("--timestep-fs", "0"), "inner time step must be positive, got 0.0 fs"),
        (("--threads", "0"), "threads must be 1 or more, got 0"),
        (("--port", "65535"), "port must lie between 1 and 65534, got 65535"),
    ],
)
def test_bad_input_is_one_line_and_makes_nothing(ncforce, words, message):
    code, said = ncforce("run", "--out", "new", *words)
    assert code == 2
    assert message in said.err
    assert len(said.err.splitlines()) == 1
    assert not Path("new").exists()


def test_a_long_socket_path_is_refused_before_anything_is_made(ncforce, tmp_path, monkeypatch):
    long = tmp_path / ("x" * 90)
    long.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(long))
    code, said = ncforce(*mts("new"))
    assert code == 2
    assert "bytes, expected at most 107; set TMPDIR to a shorter directory" in said.err
    assert not Path("new").exists()


def files_below(directory):
    """Every file but locks, with its content."""
    paths = [path for path in Path(directory).rglob("*") if path.is_file()]
    return {path: path.read_bytes() for path in paths if path.name != ".lock"}


def test_an_old_run_is_not_overwritten(ncforce, straight):
    Path(straight, "notes.txt").write_text("mine")
    before = files_below(straight)
    code, said = ncforce(*mts("straight"))
    assert code == 2
    assert "straight is not empty; choose another --out" in said.err
    code, said = ncforce(*mts("straight", "--force", "--model", "nothing.pt"))
    assert code == 2
    assert before == files_below(straight)
    code, said = ncforce(*mts("straight", "--force", "--time-ps", "0.004"))
    assert code == 0, said.err
    assert "to straight/previous-1\n" in said.err
    after = files_below(straight)
    assert after.pop(Path("straight/notes.txt")) == b"mine"
    for path in before.keys() - {Path("straight/notes.txt")}:
        assert after["straight/previous-1" / path.relative_to("straight")] == before[path], path
    assert record("straight")["steps_done"] == 2
    assert not list(Path(straight).glob("#*"))


@pytest.mark.parametrize("verb", ["run", "compare", "tune"])
def test_force_leaves_a_users_directory_alone(ncforce, verb):
    for name in ("analysis/mine.csv", "logs/mine.log", "simulation.out", "init.xyz"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_text("mine")
    before = files_below(".")
    code, said = ncforce(verb, "--out", ".", "--force", "--time-ps", "0.08")
    assert code == 2
    assert ". is not empty, and no" in said.err
    assert len(said.err.splitlines()) == 1
    assert before == files_below(".")


def test_a_second_launcher_is_refused(ncforce, straight):
    """Also with --force."""
    refusals = []

    def second():
        try:
            run.start(job.from_record(Path("held"), record("held")), force=True)
        except InputError as err:
            refusals.append(str(err))

    thread = while_held(evaluation_after(5), second)
    code, said = ncforce(*mts("held"))
    thread.join()
    assert code == 0, said.err
    start = f"a run is going on in held (launcher (pid {os.getpid()}), i-PI (pid "
    (refusal,) = refusals
    assert refusal.startswith(start)
    assert refusal.endswith("wait for its end, or stop it with: touch held/EXIT")
    assert_same_bytes("straight", "held")
    assert not Path("held/previous-1").exists()


def test_a_run_without_all_of_its_outputs_is_left_alone(ncforce, straight):
    """30 steps; positions are due at 0, 10, 20 and 30.  The only checkpoint is that of the end."""
    for name in CHECKPOINTS:  # of other steps, of the start if they are written more rarely
        if name != "RESTART":
            Path(straight, name).unlink(missing_ok=True)
    path = Path(straight, "simulation.pos_0.extxyz")
    tails.cut(path, 29)
    before = files_below(straight)
    code, said = ncforce("run", "--resume", "--out", "straight", "--time-ps", "0.08")
    assert code == 2
    assert "pos_0.extxyz ends at step 20, but the oldest checkpoint" in said.err
    assert "is of step 30; begin anew with another --out" in said.err
    assert len(said.err.splitlines()) == 1
    assert before == files_below(straight)


def test_a_run_of_1000_steps_goes_on(ncforce):
    """1000 is i-PI's default, which isn't written into a checkpoint."""
    words = ("run", "--forces", "slow", "--time-ps", "0.5", "--out", "thousand")
    code, said = ncforce(*words)
    assert code == 0, said.err
    assert "total_steps" not in Path("thousand/RESTART").read_text()
    code, said = ncforce("run", "--resume", "--out", "thousand", "--time-ps", "0.505")
    assert code == 0, said.err
    np.testing.assert_array_equal(np.loadtxt("thousand/simulation.out")[:, 0], np.arange(1011))


def test_shipped_water_resumes_bitwise(tmp_path, capfd):
    """The real model: its last bits may not depend on what it was asked before."""
    words = ["--forces", "mts", "--mts", "4", "--out"]
    straight, parts = str(tmp_path / "straight"), str(tmp_path / "parts")
    assert cli.main(["run", "water", "--time-ps", "0.012", *words, straight]) == 0
    assert cli.main(["run", "water", "--time-ps", "0.006", *words, parts]) == 0
    assert cli.main(["run", "--resume", "--time-ps", "0.012", "--out", parts]) == 0
    assert_same_bytes(straight, parts)
    said = capfd.readouterr()
    assert f"ncforce analyze {parts}" in said.out
    assert said.err.count("starts from the equilibrated velocities of water (300 K)") == 2
    assert record(parts)["velocities"].endswith("water_velocities.xyz")
