"""The net around every verb: one line for each end, and streams that end nothing."""

import argparse
import errno
import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ncforce_ipi.cli import ending, main, streams
from ncforce_ipi.errors import InputError, RunError
from tests.synthetic_run import write_run

PROGRAM = (sys.executable, "-m", "ncforce_ipi")
FULL = Path("/dev/full")
full = pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")


def shell(command, **options):
    """Run a line of bash, bounded."""
    return subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, timeout=120, **options
    )


@pytest.fixture(scope="module")
def calm(tmp_path_factory):
    """A finished run."""
    path = tmp_path_factory.mktemp("runs") / "calm"
    write_run(path, n_outer=300)
    return path


def ended_by(error, debug=False):
    """The exit code of a verb that raises this."""

    def call():
        raise error

    return ending.guarded(call, argparse.Namespace(verb="run", debug=debug))


NO_SPACE = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "a/run.json")


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (InputError("no such file"), 2, "no such file"),
        (RunError("i-PI died"), 1, "i-PI died"),
        (NO_SPACE, 1, "a/run.json: No space left on device; make room, then give the command "
         "again; a run that had begun goes on with --resume"),
        (PermissionError(errno.EACCES, "Permission denied", "b"), 1,
         "b: Permission denied; give another name, or ask for the right to it"),
        (OSError(errno.EROFS, "Read-only file system", "c"), 1,
         "c: Read-only file system; give another place, or have this one mended; a run that had "
         "begun then goes on with --resume"),
        (OSError("cannot send"), 1, "cannot send"),
        (InputError("a\x1b[2J\nb\u202e\udce9"), 2, "a\\x1b[2J\\nb\\u202e\\udce9"),
        (MemoryError(), 1, "out of memory; use fewer atoms or frames at once, or a larger machine"),
        (MemoryError("3 GiB"), 1, "out of memory (3 GiB); use fewer atoms or frames at once, or a "
         "larger machine"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), 1, "Broken pipe"),  # a socket's: stdout lives
    ],
)  # fmt: skip
def test_every_end_is_one_line(error, code, line, capsys):
    assert ended_by(error) == code
    assert capsys.readouterr().err == f"ncforce run: {line}\n"


def test_what_is_logged_obeys_no_terminal_and_may_have_lines(capsys):
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(ending.Formatter("ncforce: %(message)s"))
    log = logging.Logger("x")
    log.addHandler(handler)
    log.warning("%s is\ntwo lines", "a\x1b]0;b\x07")
    assert capsys.readouterr().err == "ncforce: a\\x1b]0;b\\x07 is\ntwo lines\n"


def test_debug_shows_where():
    with pytest.raises(OSError, match="No space left"):
        ended_by(NO_SPACE, debug=True)


def test_a_fault_of_the_program_keeps_its_traceback():
    with pytest.raises(KeyError, match="x"):
        ended_by(KeyError("x"))


def test_an_interrupt_while_a_verb_is_imported(monkeypatch, capsys):
    def interrupted(name):
        raise KeyboardInterrupt

    monkeypatch.setattr("ncforce_ipi.cli.importlib.import_module", interrupted)
    assert main(["drift", "x"]) == 130
    assert capsys.readouterr().err == "ncforce: interrupted\n"


def test_a_reader_that_leaves_is_no_error(calm):
    code = "${PIPESTATUS[0]}"
    said = shell(f"{' '.join(PROGRAM)} drift {calm} | true; echo {code}")
    assert (said.stdout, said.stderr) == ("141\n", "")
    said = shell(f"{' '.join(PROGRAM)} --help | true")
    assert said.stderr == ""


def test_results_that_nobody_can_read_are_closed_streams(calm, tmp_path):
    said = shell(f"{' '.join(PROGRAM)} drift {calm} --json {tmp_path}/x.json >&- 2>&- <&-")
    assert (said.returncode, said.stderr) == (0, "")
    assert json.loads((tmp_path / "x.json").read_text())


@full
def test_stdout_on_a_full_disk(calm):
    said = shell(f"{' '.join(PROGRAM)} drift {calm} > /dev/full")
    assert said.returncode == 1
    assert said.stderr.startswith("ncforce drift: No space left on device; make room")
    assert len(said.stderr.splitlines()) == 1


@full
def test_messages_on_a_full_disk_are_dropped(calm):
    said = shell(f"{' '.join(PROGRAM)} drift {calm} 2> /dev/full")
    assert said.returncode == 0
    assert "conserved" in said.stdout


def test_messages_outlive_a_closed_stream(tmp_path):
    file = (tmp_path / "x").open("w")
    messages = streams.Messages(file)
    assert messages.write("one") == 3
    messages.flush()
    assert not messages.isatty()
    file.close()
    assert messages.write("two") == 3
    messages.flush()
    assert not messages.isatty()
    assert (messages.name, Path(messages.name).read_text()) == (str(tmp_path / "x"), "one")


def test_names_that_are_no_text(calm, tmp_path):
    """A byte that isn't UTF-8, in a directory's name and in what is printed of it."""
    named = calm.rename(os.fsdecode(os.fsencode(tmp_path) + b"/c\xe9"))
    try:
        words = [*PROGRAM, "analyze", str(named), "--out", str(tmp_path / "out")]
        said = subprocess.run(words, capture_output=True, timeout=120)
        assert said.returncode == 0, said.stderr
        command = json.loads((tmp_path / "out/summary.json").read_text())["provenance"]["command"]
        assert command.startswith("ncforce analyze")
        assert "c\\udce9" in command
    finally:
        named.rename(calm)


@pytest.mark.parametrize("verb", ["run", "driver", "jacobian"])
def test_optimised_python(verb):
    """ASE reads extxyz wrongly under -O, and docstrings are gone: Python starts anew without."""
    words = [sys.executable, "-OO", *PROGRAM[1:], verb, "--help"]
    said = subprocess.run(words, capture_output=True, text=True, timeout=120)
    assert (said.returncode, said.stderr) == (0, "")
    assert said.stdout.startswith(f"usage: ncforce {verb}")


def test_optimised_python_by_the_environment(tmp_path):
    """It is handed on to nobody."""
    code = "import sys; sys.argv[1:] = ['--version']; from ncforce_ipi.cli import main; main()"
    script = tmp_path / "ncforce.py"
    script.write_text(code + "\nprint(sys.flags.optimize)")
    environment = {**os.environ, "PYTHONOPTIMIZE": "2"}
    said = subprocess.run(
        [sys.executable, "-O", str(script)],
        env=environment, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert said.stdout.startswith("ncforce ")
    assert said.stderr == ""
