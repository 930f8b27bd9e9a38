"""``benchmarks/reproduce.py``: budget, tasks, the page from recorded results; all of it, small."""

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase.build import molecule

pytest.importorskip("torch")
BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
LIMIT_S = 600.0  # seconds to a minute; a busy machine takes far longer


@pytest.fixture(autouse=True)
def on_the_path(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)


def call(out, *words, limit_s=LIMIT_S):
    script = BENCHMARKS / "reproduce.py"
    return subprocess.run(
        [sys.executable, script, "--out", out, "--small", "--page", out / "page.md", *words],
        capture_output=True, text=True, timeout=limit_s, check=False,
    )  # fmt: skip


def record(out, task):
    return json.loads((out / f"{task}.json").read_text())


@pytest.mark.e2e
@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_every_part_runs_with_the_smallest_numbers(tmp_path):
    from reproduction.parts import PARTS, tasks_of

    done = call(tmp_path, limit_s=1700)
    states = {path.stem: record(tmp_path, path.stem)["state"] for path in tmp_path.glob("*.json")}
    tasks = {task.name for task in tasks_of(list(PARTS), small=True)}
    assert set(states) == tasks
    assert {"svr10-mts8", "training-seed1", "pair", "overhead", "pet"} <= tasks
    wrong = {name: s for name, s in states.items() if s not in ("done", "left out")}
    assert wrong == {}, done.stdout
    assert done.returncode == 0
    page = (tmp_path / "page.md").read_text()
    assert all(f"## {part.title}\n" in page for part in PARTS.values())


@pytest.mark.e2e
@pytest.mark.timeout(1900)
def test_a_part_runs_and_is_not_run_again(tmp_path):
    done = call(tmp_path, "--only", "jacobian")
    assert done.returncode == 0, done.stdout + done.stderr
    assert record(tmp_path, "jacobian")["result"]["estimates"]["results"][0]["kind"] == "direct"
    assert "| water | 0." in (tmp_path / "page.md").read_text()
    before = (tmp_path / "jacobian.json").read_bytes()
    refused = call(tmp_path, "--only", "jacobian")
    assert refused.returncode == 2
    assert "has results; --resume goes on with them" in refused.stderr
    again = call(tmp_path, "--only", "jacobian", "--resume")
    assert again.returncode == 0
    assert "[1/" not in again.stdout
    assert (tmp_path / "jacobian.json").read_bytes() == before


def test_a_part_that_does_not_exist_is_refused(tmp_path):
    done = call(tmp_path, "--only", "nve,walks")
    assert done.returncode == 2
    assert "no part walks; parts: nve, thermostats" in done.stderr


def test_the_page_of_recorded_results_has_no_number_without_an_error_bar(tmp_path):
    """Ours carry an error or say that there is none; every part is there with what is left."""
    from reproduction import page, values
    from reproduction.parts import PARTS
    from reproduction.tasks import Choice

    text = page.text(Choice(tmp_path / "none"), tmp_path / "page.md")
    for name, part in PARTS.items():
        section = text.split(f"## {part.title}\n")[1].split("\n## ")[0]
        names = {name, *(task.name for task in part.tasks)}
        commands = re.findall(r"--resume --only (\S+) --hours [\d.]+`", section)
        assert commands
        assert all(set(one.split(",")) <= names for one in commands)
        assert " h on this machine" in section
    rows = [line for line in text.splitlines() if line.startswith("| water | ")]
    assert len(rows) >= 7
    for row in rows:
        for cell in row.split("|")[4:-1]:
            assert "±" in cell or values.NO_ERROR in cell
    assert "from `benchmarks/results/water/compare.json`: nve-water-fast" in text
    assert (tmp_path / "page" / "nve.png").read_bytes().startswith(b"\x89PNG")


def test_values_carry_their_errors():
    from reproduction import values

    assert values.pm((0.263, None)) == "no error bar"
    assert values.pm((299.83, 1.9), 300.0) == "-0.2 ± 1.9"
    assert values.pm((2.5612, 0.042)) == "2.561 ± 0.042"
    assert values.pm(None) == ""
    # four values with a standard deviation of 1.29: t of 3 degrees of freedom is 3.182
    value, error = values.of_replicas([1.0, 2.0, 3.0, 4.0], [None] * 4, interval=True)
    assert (value, error) == (2.5, pytest.approx(3.182 * np.sqrt(5 / 3) / 2, rel=1e-3))
    assert values.of_replicas([1.0], [0.3], interval=True) == (1.0, 0.3)
    assert values.ratio((2.0, 0.2), (4.0, 0.0)) == (0.5, pytest.approx(0.05))
    assert values.ratio((2.0, None), (4.0, 0.1)) == (0.5, None)
    assert values.ratio((2.0, 0.1), None) is None
    # 24 of 24 isn't certain: (24 + 2) / 28
    from reproduction.of_commands import binomial

    share, error = binomial(24, 24)
    assert share == 100.0
    assert error == pytest.approx(100 * np.sqrt(26 / 28 * 2 / 28 / 28))


def test_hours_are_shared_evenly_and_short_runs_are_whole():
    from reproduction import budget

    assert budget.level([1.0, 2.0], 5.0) == 2.0, "all fit"
    assert budget.level([0.5, 10.0, 20.0], 8.5) == pytest.approx(4.0)
    assert budget.level([1.0, 1.0], 0.0) == pytest.approx(0.0, abs=1e-9)


def test_goals_of_runs(tmp_path):
    """Calls are counted first; the goal of what is begun counts from there."""
    from reproduction import budget
    from reproduction.parts import nve, thermostatted
    from reproduction.tasks import Call, Choice

    ms = {"water": {"slow_ms": 40.0, "fast_ms": 20.0}}
    choice = Choice(tmp_path, ms=ms)
    short, long = nve("water", "fast"), thermostatted("svr10", "slow")
    # 50 ps of 0.5 fs of 20 ms; 1000 ps of 40 ms
    assert short.hours(choice) == pytest.approx(1e5 * 20 / 3.6e6)
    assert long.hours(choice) == pytest.approx(2e6 * 40 / 3.6e6)
    assert thermostatted("svr10", "mts8").inner_ms(ms) == pytest.approx((7 * 20 + 40) / 8)
    first = Call("c", lambda c, out: [], lambda out: {}, 1.0)
    goals = budget.goals_ps([first, short, long], choice, 1.0 + short.hours(choice) + 2.0)
    assert goals[short.name] == pytest.approx(50.0)
    assert goals[long.name] == pytest.approx(1000.0 * 2.0 / long.hours(choice))
    begun = choice.folder(long.name)
    begun.mkdir(parents=True)
    plan = {"outer_step_fs": 0.5, "time_ps": 100.0}
    (begun / "run.json").write_text(json.dumps({"steps_done": 200000, "plan": plan}))
    assert long.done_ps(choice) == pytest.approx(100.0)
    replicated = replace(choice, replicas=8)
    assert long.done_ps(replicated) == pytest.approx(100.0), "begun as one alone"
    words = thermostatted("svr10", "fast").command(replicated, 1000.0)
    assert words is not None
    assert words[words.index("--replicas") + 1] == "8"
    assert words[words.index("--time-ps") + 1] == "125.0"
    # a set of two, the slower of which has 10 ps
    set_ = {"replicas": [{"directory": "replica-0"}, {"directory": "replica-1"}], "plan": plan}
    (begun / "run.json").write_text(json.dumps(set_))
    for name, steps in (("replica-0", 30000), ("replica-1", 20000)):
        (begun / name).mkdir()
        (begun / name / "run.json").write_text(json.dumps({"steps_done": steps, "plan": plan}))
    assert long.done_ps(choice) == pytest.approx(2 * 10.0)
    assert "--replicas" not in (short.command(replicated, 50.0) or [])


def test_a_task_that_fails_or_hangs_does_not_stop_the_rest(tmp_path, monkeypatch):
    import reproduce
    from reproduction import page
    from reproduction.tasks import Call, Choice

    def python(name, code, **more):
        says = lambda choice, out: [sys.executable, "-c", code.replace("OUT", str(out))]  # noqa: E731
        return Call(name, says, lambda out: json.loads((out / "x.json").read_text()), 0.0, **more)

    good = "open('OUT/x.json', 'w').write('{\"a\": 1}')"
    tasks = [
        python("broken", "raise SystemExit('no such molecule')"),
        python("hangs", f"{good}; import time; time.sleep(600)"),
        python("lacks", good, needs=("no_such_module",), hint="install it"),
        python("works", good),
    ]
    monkeypatch.setattr(reproduce, "LEAST_S", 5.0)
    choice = Choice(tmp_path)
    assert reproduce.work(tasks, choice, 1.0) == ["broken", "hangs"]
    found = page.records(tmp_path)
    states = {name: (one["state"], one["why"]) for name, one in found.items()}
    assert states == {
        "broken": ("failed", "exit code 1: no such molecule"),
        "hangs": ("stopped", "stopped after 5 s"),
        "lacks": ("left out", "no_such_module isn't at hand here; install it"),
        "works": ("done", ""),
    }
    assert found["hangs"]["result"] == {"a": 1}, "what it had found is kept"
    todo = [task.name for task in reproduce.pending(tasks, found, choice)]
    assert todo == ["lacks", "broken", "hangs"], "what failed comes last"
    assert reproduce.work([tasks[3]], replace(choice, small=True), 0.0) == []


@pytest.mark.parametrize(
    ("ps", "replicas", "wanted", "done"),
    [(20.0, 1, 20.0, True), (20.0, 1, 60.0, False), (4.0, 16, 60.0, True), (None, 1, 1.0, False)],
)
def test_a_run_that_is_wanted_longer_now_goes_on(tmp_path, ps, replicas, wanted, done):
    from reproduction.tasks import Choice, Md, is_done

    task, choice = Md("nve-x", "water", "slow", (), 0.5, wanted), Choice(tmp_path)
    record = {"state": "done", "small": False, "result": {"ps": ps, "replicas": replicas}}
    assert is_done(task, record, choice) == done
    assert not is_done(task, record | {"state": "goes on"}, choice)
    assert not is_done(task, {}, choice)


def test_the_largest_difference_of_curves_in_units_of_its_error():
    from reproduction.of_runs import differences

    one = {"r_A": [1.0, 2.0, 3.0], "g_OO": [0.0, 2.0, 1.0], "g_OO_standard_error": [None, 0.3, 0.1]}
    other = one | {"g_OO": [0.0, 2.5, 1.1], "g_OO_standard_error": [None, 0.4, 0.1]}
    rows = differences(one, other, "r_A")
    # 0.5 over hypot(0.3, 0.4); the other point is 0.1 over 0.14
    assert rows == [["g_OO", 2, "1.00", "2 A", "1.2"]]
    assert differences(one, {"r_A": [1.0]}, "r_A") == []


def test_the_mean_over_frames_of_the_linear_map():
    from reproduction.pair_frames import merged

    def frame(h, o):
        row = {"M": 8, "kinetic_temperature_H": h, "kinetic_temperature_H_standard_error": None}
        row |= {"kinetic_temperature_O": o, "kinetic_temperature_O_standard_error": None}
        row |= {"n_growing": 1.0, "total_growth_per_ps": 0.1}
        modes = [{"wavenumber_per_cm": [500.0, 3500.0], "delta": [0.5, 0.001]}]
        return {"scan": [row], "modes": modes, "lambda_fast": [0.003]}

    found = merged([frame(0.998, 1.004), frame(0.996, 1.008)])
    (row,) = found["scan"]
    assert row["kinetic_temperature_H"] == pytest.approx(0.997)
    assert row["kinetic_temperature_H_standard_error"] == pytest.approx(0.001)
    assert found["delta_of_stretches_mean"] == pytest.approx(0.001), "stretches alone"
    assert merged([frame(0.998, 1.004)])["scan"][0]["kinetic_temperature_O_standard_error"] is None


def test_diffusion_is_compared_with_motion_without_friction():
    """NVE of the same forces where its D is known, else the run that stands for it, by name."""
    from reproduction.of_runs import FREE, diffusion

    def of(d, error):
        names = "diffusion_O_einstein_A2_per_ps", "diffusion_O_einstein_standard_error_A2_per_ps"
        return {"result": {"diffusion": dict(zip(names, (d, error), strict=True))}}

    def rows():
        return {tuple(line.split(" | ")[:2]): line.split(" | ")[2:] for line in diffusion(records)}

    records = {"langevin10-fast": of(0.03, 0.003), FREE: of(0.15, 0.006)}
    records["nve-water-mts4"] = of(0.12, 0.012)
    row = ["0.0300 ± 0.0030", "", "0.250 ± 0.035 (MTS, M = 4)", "", "0.200 ± 0.022 |"]
    assert rows()["| langevin10", "direct"] == row
    records["nve-water-fast"] = of(0.1, None)
    assert rows()["| langevin10", "direct"] == row, "its D has no error"
    records["nve-water-fast"] = of(0.1, 0.01)
    assert rows()["| langevin10", "direct"][2] == "0.300 ± 0.042"
    assert rows()["| svr10", "MTS, M = 8"][2:] == ["1.25 ± 0.13 (MTS, M = 4)", "", " |"]
    assert rows()["| nve", "MTS, M = 4"] == ["0.120 ± 0.012", "", "", "", "0.800 ± 0.086 |"]


def test_langevin_s_friction_carries_off_what_it_takes():
    """3/2 k T of kinetic energy fall by 2 / tau: 2.585 meV/atom/ps at 100 fs are one kelvin."""
    from reproduction.of_runs import warming

    assert warming("langevin100", (2.585, 0.2585)) == pytest.approx((1.0, 0.1), rel=1e-3)
    assert warming("langevin1000", (0.2585, None)) == (pytest.approx(1.0, rel=1e-3), None)
    assert warming("svr10", (1.0, 1.0)) is None


def test_equipartition_is_judged_by_the_error_of_both():
    from reproduction.of_runs import equipartition

    row = {"kinetic_temperature_H": 0.998, "kinetic_temperature_O": 1.004}
    row |= {f"{key}_standard_error": 1e-4 for key in row}
    pair = {"result": {"scan": [{"M": m} | row for m in range(1, 9)], "n_structures": 3}}
    temperature = {"temperature_H_K": 297.0, "temperature_O_K": 306.0}
    temperature |= {f"temperature_{s}_standard_error_K": 0.5 for s in ("H", "O", "H_minus_O")}
    temperature["temperature_H_minus_O_K"] = -9.0
    run = {"result": {"ps": 500.0, "temperature": temperature}}
    text = "\n".join(equipartition({"pair": pair, "svr10-mts8": run}))
    # 300 x (0.998 - 1.004) = -1.8; (-9 + 1.8) / hypot(0.5, 0.06) = -14.3
    assert "T(H) - T(O) is -1.800 ± 0.060 K at M = 1" in text
    assert "The run with M = 8 is -14.3 of its errors from that: an effect." in text
    assert "| 8 | -0.600 ± 0.030 | 1.200 ± 0.030 | 500 | -3.00 ± 0.50 | 6.00 ± 0.50 |" in text
    assert "No mode grows in it up to M = 8." in text
    pair["result"]["scan"][6]["n_growing"] = 0.25
    text = "\n".join(equipartition({"pair": pair}))
    assert "No mode grows in it below M = 7; there 0.25 of a frame do." in text


def test_times_to_an_error_are_compared_over_seeds():
    """A step of both heads takes twice one of the direct stage, but where something else runs."""
    from reproduction.of_commands import learning
    from reproduction.training import COLUMNS

    def stage(conservative, step_s):
        steps = np.arange(1, 1 + len(conservative)) * 10.0
        slower = np.where(steps > 30, 3.0, 1.0)  # beside other work
        cpu_s = np.cumsum(10 * step_s * slower)
        column = {"step": steps, "cpu_s": cpu_s, COLUMNS["conservative"]: conservative}
        return {key: list(v) for key, v in column.items()} | {
            COLUMNS["direct"]: [99.0] * len(steps)
        }

    def seed(scratch, finetune, n=1):
        curves = {
            "direct": stage([900.0] * 2, 1.0),
            "finetune": stage(finetune, 2.0),
            "scratch": stage(scratch, 2.0),
        }
        n_steps = [int(one["step"][-1]) * n for one in curves.values()]
        return {"result": {"n_steps": n_steps, "curves": curves}}

    records = {
        # 60 meV/A after 2 x 40 s; after 20 + 2 x 10 s in two stages
        "a": seed([90, 90, 90, 60], [60, 60, 60, 60]),
        # not for good before 2 x 35 s, half-way between two validations; 20 + 2 x 30 s
        "b": seed([90, 60, 90, 30], [90, 90, 60, 60]),
        "of another length": seed([90, 60, 60, 60], [90, 60, 60, 60], n=10),
    }
    text = "\n".join(learning(records))
    name = "conservative, direct stage and fine-tuning"
    assert f"| {name} | 20 + 40, 40 | 60 | 2 | 1.44 ± 0.56 |" in text
    # a single one has the scatter of these, 0.8 of 1.44
    assert f"| {name} | 200 + 400, 400 | 60 | 1 | 0.67 ± 0.37 |" in text
    assert "| direct, " not in text


def test_a_training_is_validated_ten_times():
    from reproduction.training import RECIPE, often_validated

    text = often_validated(RECIPE.read_text(), 4000)
    assert "\nvalidate_every = 400\n" in text
    assert len(text.splitlines()) == len(RECIPE.read_text().splitlines())
    with pytest.raises(SystemExit, match="has 0 lines validate_every"):
        often_validated("seed = 1\n", 4000)


def test_a_training_that_was_cut_off_is_not_taken_for_one_that_ended(tmp_path):
    from reproduction.training import ended

    assert not ended(tmp_path, 40)
    (tmp_path / "curve.csv").write_text("stage,step,cpu_s\ndirect,4,1.0\n")
    (tmp_path / "training.json").touch()
    assert not ended(tmp_path, 40)
    with (tmp_path / "curve.csv").open("a") as file:
        file.write("direct,40,2.0\n")
    assert ended(tmp_path, 40)
    (tmp_path / "progress.pt").touch()  # its last checkpoint was not written
    assert not ended(tmp_path, 40)


def test_a_training_of_metatrain_goes_on_from_its_last_epoch(tmp_path):
    from reproduction import pet

    assert pet.restart(tmp_path) == []
    for day, name, age in [("26", "model_9", 30), ("27", "model_10", 10), ("27", "scaler", 5)]:
        file = tmp_path / "outputs" / day / "12-00-00" / f"{name}.ckpt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
        os.utime(file, (1e9 - age, 1e9 - age))
    assert pet.restart(tmp_path) == ["--restart", "outputs/27/12-00-00/model_10.ckpt"]


@pytest.mark.parametrize("architecture", ["pet", "soap_bpnn"])
def test_options_of_metatrain(architecture, tmp_path):
    from reproduction import pet

    text = pet.options(architecture, 3, tmp_path)
    assert f"name: {architecture}" in text
    assert "d_pet" not in text
    assert ("d_pet: 32" in pet.options(architecture, 3, tmp_path, narrow=True)) == (
        architecture == "pet"
    )
    assert f"read_from: {tmp_path}/train.xyz" in text
    assert "non_conservative_force:" in text
    assert text.startswith("device: cpu\n")
    assert "checkpoint_interval: 1\n" in text
    assert pet.options(architecture, 3, tmp_path, device="cuda").startswith("device: cuda\n")
    frames = pet.write_data(tmp_path)
    head = (tmp_path / "train.xyz").read_text().splitlines()[1]
    assert "forces:R:3" in head
    assert "energy=" in head
    assert len(frames) > 100


def test_families_are_called_in_turns_and_what_is_not_here_is_said(tmp_path):
    from reproduction import families

    chosen = {
        families.OWN: families.FAMILIES[families.OWN],
        "Other": families.Family("no_such_library", lambda _, __: "other"),
    }
    found = families.measure(tmp_path, "cpu", 1, chosen)["families"]
    assert {kind: len(times) for kind, times in found[families.OWN]["ms"].items()} == {
        "conservative": 1, "direct": 1, "joint": 1,
    }  # fmt: skip
    assert min(found[families.OWN]["ms"]["direct"]) > 1.0  # ms: a call was made
    assert found["Other"] == {"why": "no_such_library isn't in this environment"}


def test_what_multiple_time_steps_save_with_each_family():
    from reproduction.families import OWN
    from reproduction.of_commands import other_families

    found = {
        OWN: {
            "random": False,
            "ms": {"conservative": [1.9, 2.1], "direct": [0.9, 1.1], "joint": [2.1, 2.3]},
        },
        "Slow": {"random": True, "ms": {"conservative": [24.0, 26.0]}},
        "Absent": {"why": "isn't here"},
    }
    text = "\n".join(other_families({"atoms": 192, "device": "cpu", "families": found}))
    # 7 direct calls and one of both: (7 + 2.2) / 8; a direct and a conservative one: (8 + 25) / 8
    assert "| 2.200 ± 0.100 | 1.15 ± 0.10 | 1.745 ± 0.065 |" in text
    slow = "| Slow, random weights | 25.0 ± 1.0 |  |  | 4.12 ± 0.23 | 6.065"
    assert slow in text
    assert "| Absent | isn't here |" in text
    assert other_families({}) == []


@pytest.mark.e2e
def test_what_a_model_of_metatrain_is_asked_is_measured(tmp_path):
    """With the shipped model in its place, on one molecule; what was run isn't run again."""
    pytest.importorskip("ipi")
    from reproduction import hybrid
    from reproduction.of_commands import families

    start = tmp_path / "start.xyz"
    molecules = []
    for stretch in (1.0, 1.02, 1.05, 0.97):
        atoms = molecule("H2O", cell=[9.0] * 3, pbc=True)
        atoms.positions *= stretch
        atoms.arrays["forces"] = np.zeros((3, 3))
        molecules.append(atoms)
    ase.io.write(start, molecules)
    found = {"epochs": 1, **hybrid.errors("water", molecules)}
    found |= {**hybrid.pair("water", start, tmp_path), **hybrid.asymmetry("water", start, tmp_path)}
    assert 0 < found["lambda"] < 0.02
    assert 0 < found["lambda_standard_error"] < found["lambda"]
    found["nve"] = hybrid.drifts("water", start, tmp_path, 0.1, ("slow", "mts4"))
    written = (tmp_path / "nve-slow" / "simulation.out").stat().st_mtime_ns
    assert hybrid.drifts("water", start, tmp_path, 0.1, ("slow", "mts4")) == found["nve"]
    assert (tmp_path / "nve-slow" / "simulation.out").stat().st_mtime_ns == written
    assert {f: (run["ps"], run["why"]) for f, run in found["nve"].items()} == {
        "slow": (pytest.approx(0.1), ""),
        "mts4": (pytest.approx(0.1), ""),
    }
    assert abs(found["nve"]["slow"]["drift_meV_per_atom_per_ps"]) < 50
    text = "\n".join(families({"pet": {"result": {"PET": found}}}))
    assert "| PET | MTS, M = 4 | 0.1 |" in text


def test_the_papers_numbers():
    """Those that the sections stand on, once more by hand."""
    from reproduction import paper

    pet = {(r.thermostat, r.forces): r for r in paper.THERMOSTATS if r.model == "PET"}
    assert str(pet["svr10", "fast"].O) == "9.9 ± 0.6"
    assert len(paper.THERMOSTATS) == 11
    assert paper.SPEED_RATIOS["slow"].value == pytest.approx(2.26, abs=0.005)
    assert str(paper.LAMBDA["PET-NC"]) == "0.004"


def test_what_is_left_is_told_from_what_was_measured_whole(tmp_path):
    """A command's recorded result is all that is wanted, a run's where it is as long as that."""
    from reproduction import page
    from reproduction.parts import Part
    from reproduction.tasks import Call, Choice, Md

    runs = [Md(f"run{i}", "water", "slow", (), 0.5, 20.0) for i in range(3)]
    call = Call("timing", lambda choice, out: [], lambda out: {}, 0.25)
    part, choice = Part("Runs", (*runs, call)), Choice(tmp_path)
    here = {
        name: {"state": "recorded", "source": "x.json", "result": {"ps": ps, "replicas": 4}}
        for name, ps in (("run0", 5.0), ("run1", 4.0), ("timing", None))
    }
    first, short, again = page.sources("runs", part, here, {}, choice)
    assert first == "- from x.json: run0, run1, timing"
    assert short.startswith("- not run to the end: run1, run2, about ")
    assert "--only run1,run2 --hours " in short
    assert again.startswith("- again, from the start: run0, timing, about ")
    assert "--only run0,timing --hours " in again
    (all_of_it,) = page.sources("runs", part, {}, {}, choice)
    assert "not run to the end: all of it" in all_of_it
    assert "--only runs --hours" in all_of_it
