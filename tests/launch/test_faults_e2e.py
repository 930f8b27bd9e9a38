"""What a machine or a user does to a run: real i-PI, one line, a true run.json, resumable."""

import json
import os
import resource
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ncforce_ipi import cli
from ncforce_ipi.launch.processes.interpreter import environment

from .conftest import MODEL, WAIT_S

pytestmark = pytest.mark.e2e
NAMES = ("ase", "ipi", "numbers", "numpy", "select", "socket", "string", "torch")
SETPRIV = shutil.which("setpriv")


def trap(directory):
    """Files with the names of modules, which leave a trace where one is imported."""
    for name in NAMES:
        code = f"import os; open({str(directory / 'IMPORTED')!r}, 'a').write({name!r})\n"
        (directory / f"{name}.py").write_text(code)


def without_rights(words):
    """The command, for which directories that aren't writable aren't, for root either."""
    if os.geteuid():
        return words
    if not SETPRIV:
        pytest.skip("root may write everywhere, and no setpriv is here")
    return (SETPRIV, "--bounding-set", "-dac_override,-dac_read_search", *words)


def one_line(err):
    """What was said, but for what went before."""
    (line,) = [line for line in err.splitlines() if line.startswith("ncforce run: ")]
    return line


def test_nothing_is_imported_from_where_it_runs(launcher):
    """Neither from the directory of the run nor from that of the user, by any of the programs."""
    trap(launcher.directory)
    relative = {**os.environ, "PYTHONPATH": "."}
    code, _, err = launcher.run(launcher.words("run", "--time-ps", "0.002"))
    assert code == 0, err
    trap(launcher.directory / "run")
    (launcher.directory / "run/torch.py").rename(launcher.directory / "run/ncforce_ipi.py")
    code, _, err = launcher.resume("run", "--time-ps", "0.004")
    assert code == 0, err
    assert launcher.steps("run") == list(range(9))
    # a user who puts his own directory first gets his own files, not those of the run
    for name in NAMES:
        (launcher.directory / f"{name}.py").unlink()
    words = ("run", "--resume", "--out", "run", "--time-ps", "0.006")
    program = shutil.which("ncforce", path=str(Path(sys.executable).parent))
    code, _, err = launcher.run((program, *words), env=relative)
    assert code == 0, err
    assert not list(launcher.directory.rglob("IMPORTED"))


def test_paths_of_modules_are_those_of_the_user(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(["", "lib", "/usr/lib/x"]))
    monkeypatch.setenv("PYTHONOPTIMIZE", "2")
    found = environment({"OMP_NUM_THREADS": "1"})
    assert found["PYTHONPATH"].split(os.pathsep) == [str(tmp_path), f"{tmp_path}/lib", "/usr/lib/x"]
    assert "PYTHONOPTIMIZE" not in found
    assert (found["OMP_NUM_THREADS"], found["PYTHONUTF8"]) == ("1", "1")


def test_a_disk_that_is_full(launcher):
    """A file of i-PI can't grow beyond 20 kB; once it can, the run goes on from a checkpoint."""
    soft = 20_000

    def limited():
        for number in (signal.SIGINT, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, resource.RLIM_INFINITY))

    words = launcher.words("run", "--time-ps", "0.5")  # a checkpoint every 400 steps is too few
    with subprocess.Popen(
        words, cwd=launcher.directory, preexec_fn=limited, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        _, err = process.communicate(timeout=WAIT_S)
    assert process.returncode == 1
    assert one_line(err).startswith(
        "ncforce run: i-PI ended with exit code 1 (log ipi.log) at step"
    )
    assert one_line(err).endswith("File too large")
    record = launcher.record("run")
    assert (record["state"], record["steps_done"]) == ("failed", launcher.steps("run")[-1])
    code, _, err = launcher.resume("run", "--time-ps", "0.06")
    assert code == 0, err
    assert launcher.steps("run") == list(range(121))


def test_a_reader_of_messages_that_leaves(launcher):
    """``2>&1 | head -1``: the run goes on to its end; 141 is what a shell says of a lost reader."""
    line = shlex.join(launcher.words("run", "--time-ps", "0.004"))
    words = ["bash", "-c", f"{line} 2>&1 | true; echo ${{PIPESTATUS[0]}}"]
    assert launcher.run(words) == (0, "141\n", "")
    closed = shlex.join(launcher.words("closed", "--time-ps", "0.004"))
    assert launcher.run(["bash", "-c", f"{closed} >&- 2>&- <&-"])[0] == 0
    assert [launcher.record(name)["state"] for name in ("run", "closed")] == ["finished"] * 2


def test_optimised_python(launcher):
    """ASE and i-PI read extxyz wrongly under -O."""
    environment = {**os.environ, "PYTHONOPTIMIZE": "1"}
    words = launcher.words("run", "--time-ps", "0.002", python=("-OO",))
    code, _, err = launcher.run(words, env=environment)
    assert code == 0, err
    assert launcher.record("run")["steps_done"] == 4


def test_a_directory_that_is_not_ours(launcher):
    """Refused before anything begins; a run in it can be analysed elsewhere."""
    code, _, err = launcher.run(launcher.words("run", "--time-ps", "0.05"))
    assert code == 0, err
    before = {path: path.stat().st_mtime_ns for path in (launcher.directory / "run").rglob("*")}
    out = launcher.directory / "mine"
    out.mkdir()
    os.chmod(launcher.directory / "run", 0o555)  # noqa: PTH101
    (launcher.directory / "run/.lock").chmod(0o444)
    program = (sys.executable, "-m", "ncforce_ipi")
    try:
        code, _, err = launcher.run(without_rights((*program, "analyze", "run", "--out", "mine/x")))
        assert code == 0, err
        code, _, err = launcher.run(without_rights((*program, "analyze", "run")))
        assert code == 2
        assert err == "ncforce analyze: run/analysis can't be made: Permission denied\n"
        words = (*program, "run", "--resume", "--time-ps", "1", "--out", "run")
        code, _, err = launcher.run(without_rights(words))
        assert code == 2
        assert (
            err == "ncforce run: run/.lock can't be made: Permission denied; choose another --out\n"
        )
        words = launcher.words("run/below", "--time-ps", "0.01")
        code, _, err = launcher.run(without_rights(words))
        assert (code, len(err.splitlines())) == (2, 1)
        after = {path: path.stat().st_mtime_ns for path in (launcher.directory / "run").rglob("*")}
        assert after == before
    finally:
        os.chmod(launcher.directory / "run", 0o755)  # noqa: PTH101
    assert json.loads((out / "x/summary.json").read_text())["runs"] == ["run"]


def test_a_name_that_is_no_text(tmp_path, monkeypatch, capsys):
    """i-PI writes the name of its directory into each checkpoint, as UTF-8."""
    (tmp_path / "argon.xyz").write_text("")
    for name in (b"d\xe9/run", b"d\xe9"):
        out = os.fsdecode(os.fsencode(tmp_path) + b"/" + name)
        words = ["--structure", str(tmp_path / "argon.xyz"), "--time-ps", "1", *MODEL]
        for verb in ("run", "compare"):
            args = [word for word in words if verb == "run" or word not in ("--forces", "slow")]
            assert cli.main([verb, *args, "--out", out]) == 2
            err = capsys.readouterr().err
            assert "isn't UTF-8 (byte " in err
            assert len(err.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["argon.xyz"]


def test_a_name_of_other_letters_in_any_locale(launcher):
    words = launcher.words("Größe", "--time-ps", "0.002")
    environment = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    code, _, err = launcher.run(words, env=environment)
    assert code == 0, err
    assert launcher.steps("Größe") == list(range(5))
