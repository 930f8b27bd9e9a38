"""``benchmarks/gpu.sh`` on the CPU, smallest numbers: it must work the day there is a GPU."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("torch")
BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
LIMIT_S = 280.0  # seconds to a minute; a busy machine takes far longer


@pytest.fixture
def gpu(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    import gpu

    return gpu


def call(out, *words, limit_s=LIMIT_S):
    return subprocess.run(
        ["bash", BENCHMARKS / "gpu.sh", out, "--small", "--device", "cpu", *words],
        capture_output=True, text=True, timeout=limit_s, check=False,
        env={**os.environ, "PYTHON": sys.executable},
    )  # fmt: skip


def result(out, part):
    record = json.loads((out / f"{part}.json").read_text())
    assert record["state"] == "done", record["why"]
    assert record["device"] == "cpu"
    return record["result"]


@pytest.mark.e2e
def test_calls_and_batches_are_measured_once(tmp_path):
    parts = "captured,device_calls,batches"
    done = call(tmp_path, "--parts", parts)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = result(tmp_path, "captured")["rows"]
    assert [(row["atoms"], row["call"]) for row in rows] == [
        (192, "fast"), (192, "slow"), (192, "joint"),
    ]  # fmt: skip
    for row in rows:
        assert row["not captured, why not"] == "", "the arrays give what metatomic gives"
        assert all(row[name] > 0 for name in ("metatomic", "not captured", "list"))
    (row,) = result(tmp_path, "device_calls")["cpu"]
    assert row["atoms"] == 192
    assert all(row[name] > 0 for name in ("fast", "slow", "joint"))
    rows = result(tmp_path, "batches")["rows"]
    assert [each["structures"] for each in rows] == [1, 2]
    names = ("fast", "slow", "joint", "fast, captured", "joint, captured")
    assert all(each[name] > 0 for each in rows for name in names)
    page = (tmp_path / "summary.md").read_text()
    assert page.index("## device_calls\n\ncpu, torch ") < page.index("## batches")
    written = {path: path.read_bytes() for path in tmp_path.glob("*.*")}
    again = call(tmp_path, "--parts", parts)
    assert (again.returncode, again.stdout) == (0, ""), "what is done is skipped"
    assert written == {path: path.read_bytes() for path in tmp_path.glob("*.*")}


@pytest.mark.e2e
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_part_writes_what_it_should(tmp_path):
    done = call(tmp_path, limit_s=800)
    assert done.returncode == 0, done.stdout + done.stderr
    tests = result(tmp_path, "tests")
    assert len(tests["skipped"]) + len(tests["passed"]) > 5
    assert not tests["failed"]
    found = {row["what"] for row in result(tmp_path, "overhead")["192 atoms"]["rows"]}
    assert {"fast only", "slow only", "call joint"} <= found
    assert {f"{layout} {mts}" for layout in "abcde" for mts in (2, 4, 8)} <= found
    rows = result(tmp_path, "replicas")["rows"]
    assert [row["replicas"] for row in rows] == ["a single run", 2]
    assert all(row["ms"] > 0 and row["/ single"] > 0 for row in rows)
    runs = result(tmp_path, "runs")["runs"]
    assert {name: (run["replicas"], run["steps"]) for name, run in runs.items()} == {
        "svr10-fast": (2, 32),  # 0.016 ps of 0.5 fs
        "nve-water-mts8": (2, 4),
    }
    assert all(run["temperature"]["temperature_H_K"] > 0 for run in runs.values())
    page = (tmp_path / "summary.md").read_text()
    assert [line for line in page.splitlines() if line.startswith("## ")] == [
        "## captured", "## device_calls", "## tests", "## overhead", "## batches", "## replicas",
        "## runs",
    ]  # fmt: skip


@pytest.fixture
def bare(tmp_path):
    """A tree on a machine whose Python lacks everything, and the way to call its gpu.sh."""
    files = ("src/ncforce_ipi/__init__.py", "ipi_drivers/family.py", "xml_inputs/water.xyz")
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
    (tmp_path / "benchmarks").mkdir()
    shutil.copy(BENCHMARKS / "gpu.sh", tmp_path / "benchmarks")
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/called\n[ "$1" != -c ]\n')
    python.chmod(0o755)
    site = tmp_path / "site"
    words = ["bash", tmp_path / "benchmarks" / "gpu.sh", "OUT", "--small"]
    more = {"PYTHON": str(python), "NCFORCE_GPU_SITE": str(site)}

    def run():
        return subprocess.run(
            words, capture_output=True, text=True, timeout=60, check=False,
            env={**os.environ, **more},
        )  # fmt: skip

    return run


def test_without_wheels_a_bare_machine_is_told_where_they_come_from(bare, tmp_path):
    done = bare()
    assert done.returncode == 1
    assert "make them with benchmarks/gpu_wheels.sh where there is a network" in done.stderr
    assert not (tmp_path / "site").exists()


def test_a_bare_machine_installs_wheels_and_this_tree(bare, tmp_path):
    wheels = tmp_path / ".wheels"
    (wheels / "ncforce_ipi-0.1.0.dist-info").mkdir(parents=True)
    (wheels / "ipi-1-py3-none-any.whl").touch()
    done = bare()
    assert done.returncode == 0, done.stderr
    calls = (tmp_path / "called").read_text().splitlines()
    (pip,) = [line for line in calls if line.startswith("-m pip install")]
    assert {"--no-index", "--no-deps", str(wheels / "ipi-1-py3-none-any.whl")} <= set(pip.split())
    assert calls[-1] == f"{tmp_path}/benchmarks/gpu.py OUT --small"
    site = tmp_path / "site"
    there = {str(path.relative_to(site)) for path in site.rglob("*") if path.is_file()}
    ours = ("__init__.py", "drivers/family.py", "xml_inputs/water.xyz")
    assert there == {f"ncforce_ipi/{name}" for name in ours}
    assert (site / "ncforce_ipi-0.1.0.dist-info").is_dir()


def test_a_part_that_does_not_exist_is_refused(tmp_path):
    done = call(tmp_path, "--parts", "runs,walks")
    assert done.returncode == 2
    assert "no part walks; parts: " in done.stderr


def test_without_a_gpu_nothing_begins(gpu, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["gpu.py", str(tmp_path / "out")])
    monkeypatch.setattr(gpu, "has_gpu", lambda: False)
    with pytest.raises(SystemExit, match="2"):
        gpu.main()
    assert "--device cuda: torch finds no GPU here" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def python(code):
    return lambda choice: [sys.executable, "-c", code.replace("RAW", str(choice.raw))]


def test_a_part_that_fails_or_hangs_does_not_stop_the_rest(gpu, tmp_path, monkeypatch):
    says = "open('RAW/x.json', 'w').write('{\"why_not_captured\": \"\", \"rows\": []}')"
    parts = {
        "device_calls": gpu.Part(python("raise SystemExit('no kernel image')"), 1.0, "x.json"),
        "tests": gpu.Part(python(f"{says}; import time; time.sleep(600)"), 5.0 / 60.0, "x.json"),
        "batches": gpu.Part(python(says), 1.0, "x.json"),
    }
    monkeypatch.setattr(gpu, "PARTS", parts)
    monkeypatch.setitem(gpu.gpu_report.SECTIONS, "tests", gpu.gpu_report.batches)
    monkeypatch.setattr(sys, "argv", ["gpu.py", str(tmp_path), "--device", "cpu"])
    with pytest.raises(SystemExit, match="1"):
        gpu.main()
    records = gpu.states(tmp_path)
    assert {name: record["state"] for name, record in records.items()} == {
        "device_calls": "failed",
        "tests": "stopped",
        "batches": "done",
    }
    assert records["device_calls"]["why"] == "exit code 1: no kernel image"
    assert records["tests"]["why"] == "stopped after 5 s"
    assert records["tests"]["result"] == {"why_not_captured": "", "rows": []}, (
        "what it had found is kept"
    )
    page = (tmp_path / "summary.md").read_text()
    assert "**exit code 1: no kernel image**" in page
    assert gpu.order(list(parts), records, small=False) == ["device_calls", "tests"]
    assert gpu.order(["tests", "batches"], {}, small=False) == ["tests", "batches"]
    records.pop("tests")
    assert gpu.order(list(parts), records, small=False) == ["tests", "device_calls"]
    assert gpu.order(["batches"], records, small=True) == ["batches"], (
        "a test's numbers don't count"
    )


def test_no_part_begins_without_time(gpu, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["gpu.py", str(tmp_path), "--minutes", "0"])
    monkeypatch.setattr(gpu, "has_gpu", lambda: True)
    with pytest.raises(SystemExit, match="0"):
        gpu.main()
    assert "runs: no time left; give the same command again" in capsys.readouterr().out
    assert gpu.states(tmp_path) == {}


def test_a_part_waits_for_a_call_with_more_time(gpu, tmp_path, monkeypatch, capsys):
    says = "open('RAW/x.json', 'w').write('{\"why_not_captured\": \"\", \"rows\": []}')"
    parts = {
        "captured": gpu.Part(python(says), 5.0, "x.json", least=3.0),
        "batches": gpu.Part(python(says), 5.0, "x.json", least=1.0),
    }
    monkeypatch.setattr(gpu, "PARTS", parts)
    words = ["gpu.py", str(tmp_path), "--device", "cpu", "--minutes", "2"]
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit, match="0"):
        gpu.main()
    assert "captured: no time left" in capsys.readouterr().out
    assert list(gpu.states(tmp_path)) == ["batches"], "what is shorter goes first"


def test_runs_begin_go_on_and_end(gpu, tmp_path):
    import gpu_runs
    import resumable

    def words():
        found = resumable.command(tmp_path / "a", "water", ["--forces", "fast"], "cuda", 10.0)
        return found and found[found.index("run") + 1 :]

    directory = tmp_path / "a"
    begin = ["water", "--forces", "fast", "--device", "cuda", "--time-ps", "10.0"]
    assert words() == [*begin, "--out", str(directory)]
    directory.mkdir()
    assert words() == [*begin, "--force", "--out", str(directory)], "stopped before a checkpoint"
    (directory / "RESTART").touch()
    record = {"state": "interrupted", "plan": {"time_ps": 10.0}}
    (directory / "run.json").write_text(json.dumps(record))
    assert words() == ["--resume", "--out", str(directory), "--time-ps", "10.0"]
    (directory / "run.json").write_text(json.dumps(record | {"state": "finished"}))
    assert words() is None
    (run,) = gpu_runs.chosen(["nve-water-mts8"])
    choice = gpu_runs.Choice(tmp_path / "runs", "cuda", replicas=16, compiled=True)
    words = run.command(choice, run.ps)
    assert words[words.index("--replicas") + 1] == "16"
    assert "--driver-options=--compile" in words
    gpu_runs.go(run, choice, time.monotonic())  # no time left: nothing to start
    assert not (tmp_path / "runs").exists()


def test_a_run_that_is_not_there_is_said(gpu):
    import gpu_runs

    with pytest.raises(ValueError, match=r"no run svr10-mts9; runs: svr10-mts8"):
        gpu_runs.chosen(["svr10-mts8", "svr10-mts9"])


def test_runs_are_compiled_or_captured_where_all_gates_were_passed(gpu, tmp_path):
    path = tmp_path / "captured" / "captured_calls.json"
    choice = gpu.Choice("cuda", False, tmp_path / "runs", 600.0)
    path.parent.mkdir()
    good = {"fused, why not": "", "compiled, why not": ""}
    for rows, expected in (
        ([good, good], "compile"),
        ([good, good | {"compiled, why not": "forces differ"}], "capture"),
        ([good, {"fused, why not": "forces differ", "compiled, why not": "no compiler"}], ""),
        ([{"fused, why not": ""}], "capture"),
        ([{"not captured, why not": ""}], ""),
        ([], ""),
    ):
        path.write_text(json.dumps({"rows": rows}))
        assert gpu.best(choice) == expected
        assert ("--compile" in gpu.runs(choice)) == (expected == "compile")
        assert (expected in gpu.replicas(choice)) == bool(expected)
    path.unlink()
    assert gpu.best(choice) == ""
    assert "--capture" in gpu.overhead_captured(choice)


def test_results_of_pytest_are_counted(gpu, tmp_path):
    path = tmp_path / "tests.xml"
    path.write_text(
        "<testsuites><testsuite><testcase name='a'/><testcase name='b'><failure/></testcase>"
        "<testcase name='c'><skipped/></testcase><testcase name='d'><error/></testcase>"
        "</testsuite></testsuites>"
    )
    found = gpu.gpu_report.read(path)
    assert found == {"passed": ["a"], "failed": ["b", "d"], "skipped": ["c"]}
    assert gpu.gpu_report.tests(found)[0] == "1 passed, 2 failed, 1 skipped."
