"""The launcher's parts: children, directories, progress, checkpoints.  No i-PI here."""

import math
import os
import re
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import numpy as np
import pytest

from ncforce_ipi.errors import InputError, RunError
from ncforce_ipi.inputs.commands import Transport
from ncforce_ipi.inputs.ensembles import Ensemble
from ncforce_ipi.inputs.plan import Plan
from ncforce_ipi.inputs.recipe import Recipe
from ncforce_ipi.inputs.service import Service, is_name
from ncforce_ipi.launch import compare, run
from ncforce_ipi.launch.directory import claim, files, resume, tails
from ncforce_ipi.launch.engine import addresses as sockets
from ncforce_ipi.launch.engine import continuation
from ncforce_ipi.launch.jobs import record as records
from ncforce_ipi.launch.jobs.job import Job, from_record, to_record
from ncforce_ipi.launch.jobs.staff import Staff, driver_names
from ncforce_ipi.launch.processes.child import Child, ended
from ncforce_ipi.launch.processes.stops import StopRequest
from ncforce_ipi.launch.progress import display
from ncforce_ipi.launch.progress.display import Shown, done_ps, facts
from ncforce_ipi.launch.progress.ending import Ending, Limits
from ncforce_ipi.launch.progress.follower import Follower, RunningLine
from ncforce_ipi.launch.segments.lane import Lane, finish
from ncforce_ipi.launch.watching.supervise import Watch
from ncforce_ipi.rundir import read_record

HEADER = """# column   1     --> step : The current simulation time step.
# column   2     --> time{picosecond} : The elapsed simulation time.
# column   3     --> conserved{electronvolt} : The value of the conserved energy quantity per bead.
# column   4     --> temperature{kelvin} : The current temperature, as obtained from the MD.
"""


def driver_command(job, sockets, index=0):
    """Of the index-th driver of a run."""
    staff = Staff(job)
    return staff.command(staff.posts([0])[index], {0: job}, sockets)


def child(tmp_path, code):
    return Child("it", [sys.executable, "-c", code], tmp_path, tmp_path / "it.log")


def row(step):
    return f"  {step:.17e}   {0.004 * step:.17e}   {1.0 + 0.01 * step:.17e}   {300 + step:.17e}\n"


def xyz(step, n_atoms=2):
    atoms = "".join(f"O {step} {atom} 0\n" for atom in range(n_atoms))
    return f"{n_atoms}\n# CELL Step: {step:11d}  Bead:       0 \n{atoms}"


class TestChild:
    def test_says_how_it_ended(self, tmp_path):
        with ended(child(tmp_path, "import sys; print('oh', file=sys.stderr); sys.exit(3)")) as it:
            assert it.ends_within(60)
            assert it.how_it_ended() == "it ended with exit code 3 (log it.log)"
            assert it.last_words() == "oh"

    def test_last_words_of_a_python_that_could_say_no_more(self, tmp_path):
        """A full disk: what stands before its own lines says why."""
        (tmp_path / "it.log").write_text("")
        said = [
            "OSError: No space left",
            "object type    : 0x7f",
            "object repr    : x",
            "lost sys.stderr",
        ]
        with ended(child(tmp_path, f"print({chr(10).join(said)!r})")) as it:
            assert it.ends_within(60)
            assert it.last_words() == "OSError: No space left"

    def test_has_its_own_session(self, tmp_path):
        with ended(child(tmp_path, "import time; time.sleep(60)")) as it:
            assert os.getsid(it.pid) == it.pid
            it.kill()
            assert it.how_it_ended() == "it ended with signal SIGKILL (log it.log)"

    def test_is_gone_when_the_block_is_left(self, tmp_path):
        with ended(child(tmp_path, "import time; time.sleep(60)")) as it:
            assert it.code is None
        assert it.code is not None

    def test_log_is_appended_and_only_the_new_part_read(self, tmp_path):
        (tmp_path / "it.log").write_text("old\n")
        with ended(child(tmp_path, "pass")) as it:
            assert it.ends_within(60)
            assert it.last_words() == "it said nothing"
        assert (tmp_path / "it.log").read_text() == "old\n"

    def test_missing_program(self, tmp_path):
        with pytest.raises(RunError, match=r"it can't be started: .*No such file"):
            Child("it", ["/no/such/program"], tmp_path, tmp_path / "it.log")


class TestSockets:
    def test_private_directory(self):
        with sockets.private_directory(("slow", "fast")) as directory:
            assert directory.stat().st_mode & 0o777 == 0o700
            assert len(directory.name) == len(sockets.PREFIX) + sockets.RANDOM_CHARACTERS
        assert not directory.exists()

    @pytest.mark.parametrize(("n_bytes", "fits"), [(107, True), (108, False)])
    def test_longest_path(self, n_bytes, fits):
        directory = Path("/" + "x" * (n_bytes - len("//slow")))
        if fits:
            sockets.check_length(directory, ("slow", "a"))
            return
        with pytest.raises(InputError, match="has 108 bytes, expected at most 107; set TMPDIR"):
            sockets.check_length(directory, ("slow", "a"))

    def test_port_in_use(self):
        import socket

        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            port = other.getsockname()[1]
            with pytest.raises(InputError, match=f"port {port} of 127.0.0.1 for the slow forces"):
                sockets.check_addresses(Transport(port), ("slow", "fast"))


class TestDirectory:
    def test_is_held_by_one_run(self, tmp_path):
        held = files.locked(tmp_path)
        with (
            held,
            pytest.raises(InputError, match="another command is at work in"),
            files.locked(tmp_path),
        ):
            pass
        with files.locked(tmp_path):
            pass

    def test_is_held_by_the_child_too(self, tmp_path):
        with files.locked(tmp_path) as lock:
            command = [sys.executable, "-c", "import time; time.sleep(60)"]
            it = Child("it", command, tmp_path, tmp_path / "it.log", keep=[lock])
        with ended(it), pytest.raises(InputError, match="is at work in"), files.locked(tmp_path):
            pass
        with files.locked(tmp_path):
            pass

    def test_lock_of_a_start_that_is_just_undone(self, tmp_path, monkeypatch):
        """The file that was opened is another one than that of the next launcher: refused."""
        monkeypatch.setattr(files.fcntl, "flock", lambda *_: (tmp_path / ".lock").unlink())
        with pytest.raises(InputError, match="is at work in"), files.locked(tmp_path):
            pass

    def test_results_that_did_not_come_leave_no_directory(self, tmp_path):
        folder = tmp_path / "a/analysis"
        with files.results_in(folder):
            assert folder.is_dir()
        assert list(tmp_path.iterdir()) == []
        with files.results_in(folder):
            (folder / "rdf.csv").write_text("x")
            refused = pytest.raises(InputError, match=r"another command is at work in .*analysis")
            with refused, files.results_in(folder):
                pass
        assert [path.name for path in folder.iterdir()] == ["rdf.csv"]

    def test_a_file_where_results_should_go(self, tmp_path):
        (tmp_path / "x").write_text("")
        refused = pytest.raises(InputError, match="analysis can't be made: Not a directory")
        with refused, files.results_in(tmp_path / "x/analysis"):
            pass

    def test_moved_files_get_the_next_number(self, tmp_path):
        (tmp_path / "previous-7").mkdir()
        (tmp_path / "previous-x").mkdir()  # a user's own
        (tmp_path / "a").write_text("a")
        assert files.set_aside(tmp_path, [tmp_path / "a", tmp_path / "b"]).name == "previous-8"
        assert files.set_aside(tmp_path, [tmp_path / "b"]) is None
        assert tree(tmp_path) == {"previous-8/a": b"a"}


def tree(directory):
    """Every file below a directory but locks, with its content."""
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_file() and path.name != files.LOCK
    }


RECORD = '{"plan": {}, "driver": {}, "limits": {}}'
OF_A_RUN = {
    "run.json": RECORD,
    "input.xml": "x",
    "init.xyz": "x",
    "simulation.out": HEADER + row(0) + row(1),
    "simulation.pos_0.extxyz": xyz(0),
    "simulation.forces_slow.xyz": xyz(0),
    "#RESTART#0#": "x",
    "RESTART": "x",
    "logs/ipi.log": "x",
    "analysis/rdf.csv": "x",
}
A_USERS_OWN = {"notes.txt": "mine", "simulation.txt": "mine", "old/run.json": "mine"}


def write(directory, texts):
    """Files with these contents; the tree of the directory."""
    for name, text in texts.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(text)
    return tree(directory)


def claim_and_write(directory, force, text="new"):
    """Begin a run that writes its record and input, and end it at once."""

    def begin():
        write(directory, {"run.json": RECORD, "init.xyz": text})

    with claim.claimed(directory, force, begin):
        pass


class TestClaim:
    def test_force_moves_the_run_aside_and_nothing_else(self, tmp_path):
        ours = write(tmp_path, OF_A_RUN)
        write(tmp_path, A_USERS_OWN)
        with pytest.raises(InputError, match="is not empty; choose another --out, --resume the"):
            claim_and_write(tmp_path, force=False)
        claim_and_write(tmp_path, force=True, text="second")
        found = tree(tmp_path)
        assert {f"previous-1/{name}": text for name, text in ours.items()}.items() <= found.items()
        assert {name: text.encode() for name, text in A_USERS_OWN.items()}.items() <= found.items()
        assert (found["init.xyz"], len(found)) == (b"second", len(ours) + len(A_USERS_OWN) + 2)
        claim_and_write(tmp_path, force=True, text="third")
        assert (tmp_path / "previous-2/init.xyz").read_text() == "second"
        assert found.items() - tree(tmp_path).items() == {("init.xyz", b"second")}

    @pytest.mark.parametrize("force", [False, True])
    def test_a_users_directory_is_never_touched(self, tmp_path, force):
        """With names as ours, but no record of ours."""
        texts = {name: text for name, text in OF_A_RUN.items() if name != "run.json"}
        before = write(tmp_path, texts)
        with pytest.raises(InputError, match=r"is not empty, and no run\.json says that a run"):
            claim_and_write(tmp_path, force)
        assert tree(tmp_path) == before
        assert not (tmp_path / ".lock").exists()

    def test_a_record_of_something_else(self, tmp_path):
        before = write(tmp_path, OF_A_RUN | {"run.json": '{"name": "marathon"}'})
        with pytest.raises(InputError, match="is no record of a run of ncforce"):
            claim_and_write(tmp_path, force=True)
        assert tree(tmp_path) == before

    def test_a_start_that_failed_needs_no_force(self, tmp_path):
        write(tmp_path, {"run.json": RECORD, "init.xyz": "bad", "logs/driver.log": "no such model"})
        claim_and_write(tmp_path, force=False, text="corrected")
        assert tree(tmp_path) == {
            "run.json": RECORD.encode(),
            "init.xyz": b"corrected",
            "previous-1/run.json": RECORD.encode(),
            "previous-1/init.xyz": b"bad",
            "previous-1/logs/driver.log": b"no such model",
        }

    def test_a_run_of_one_step_does_need_it(self, tmp_path):
        write(tmp_path, {"run.json": RECORD, "simulation.vel_0.xyz": xyz(0) + xyz(1)})
        with pytest.raises(InputError, match="or --force to move it aside"):
            claim_and_write(tmp_path, force=False)

    def test_where_a_run_was_moved_aside_from_a_users_files(self, tmp_path):
        """Not if his have names of ours."""
        write(tmp_path, {"previous-1/run.json": RECORD, "notes.txt": "mine", "init.xyz": "mine"})
        with pytest.raises(InputError, match=r"is not empty, and no run\.json"):
            claim_and_write(tmp_path, force=True)
        (tmp_path / "init.xyz").unlink()
        claim_and_write(tmp_path, force=False, text="new")
        assert (tmp_path / "notes.txt").read_text() == "mine"
        assert [path.name for path in files.previous(tmp_path)] == ["previous-1"]

    def test_a_failed_start_in_a_new_directory_leaves_nothing(self, tmp_path):
        def begin():
            write(tmp_path / "a/b", {"run.json": RECORD, "init.xyz": "part"})
            raise OSError("disk full")

        with (
            pytest.raises(OSError, match="disk full"),
            claim.claimed(tmp_path / "a/b", True, begin),
        ):
            pass
        assert list(tmp_path.iterdir()) == []

    def test_a_failed_start_puts_the_earlier_run_back(self, tmp_path):
        before = write(tmp_path, OF_A_RUN | A_USERS_OWN)

        def begin():
            write(tmp_path, {"run.json": RECORD + " ", "init.xyz": "part", "logs/x": ""})
            (tmp_path / "logs/x").unlink()
            raise OSError("disk full")

        with pytest.raises(OSError, match="disk full"), claim.claimed(tmp_path, True, begin):
            pass
        assert tree(tmp_path) == before
        assert not (tmp_path / "previous-1").exists()

    @pytest.mark.parametrize("force", [False, True])
    def test_one_run_from_its_first_file_to_its_end(self, tmp_path, force):
        def second():
            with pytest.raises(InputError, match="another command is at work in"):
                claim_and_write(tmp_path / "run", force, text="second")

        def begin():
            second()
            write(tmp_path / "run", {"run.json": RECORD, "init.xyz": "first"})

        with claim.claimed(tmp_path / "run", force, begin):
            second()
            assert tree(tmp_path / "run")["init.xyz"] == b"first"

    def test_an_analysis_that_is_being_written(self, tmp_path):
        before = write(tmp_path, OF_A_RUN)
        with (
            files.results_in(tmp_path / "analysis"),
            pytest.raises(InputError, match=r"another command is at work in .*analysis"),
        ):
            claim_and_write(tmp_path, force=True)
        assert tree(tmp_path) == before

    def test_a_file_in_the_way(self, tmp_path):
        (tmp_path / "x").write_text("")
        with pytest.raises(InputError, match="x is a file"):
            claim_and_write(tmp_path / "x", force=True)


class TestProgress:
    def test_follows_a_growing_file(self, tmp_path):
        path = tmp_path / "simulation.out"
        follower = Follower(path)
        assert follower.update() == []
        path.write_text(HEADER + row(0) + row(1)[:30])
        assert [found.step for found in follower.update()] == [0]
        path.write_text(HEADER + row(0) + row(1) + row(2))
        found = follower.update()
        assert [(one.step, one.temperature_K) for one in found] == [(1, 301.0), (2, 302.0)]
        assert follower.step == 2
        # 0.01 eV in 0.004 ps; exact but for the rounding of 17 digits
        assert follower.line.slope == pytest.approx(2.5, rel=1e-12)

    def test_old_rows_are_no_progress(self, tmp_path):
        path = tmp_path / "simulation.out"
        path.write_text(HEADER + row(0) + row(1))
        follower = Follower(path)
        follower.skip_old()
        assert (follower.step, follower.fresh_step) == (1, None)

    def test_columns_are_found_by_name(self, tmp_path):
        path = tmp_path / "simulation.out"
        path.write_text(
            "# column   1     --> step : x\n# column   2     --> temperature{kelvin} : x\n"
            "# column   3     --> time{picosecond} : x\n"
            "# column   4     --> conserved{electronvolt} : x\n  1.0 310.0 0.5 nan\n"
        )
        (found,) = Follower(path).update()
        assert (found.temperature_K, found.time_ps) == (310.0, 0.5)
        assert not found.finite

    def test_running_line_keeps_its_digits(self):
        line = RunningLine()
        for x in range(1000):
            line.add(x, 1e9 + 1e-3 * x)
        # doubles near 1e9 are 1.2e-7 apart; over 1000 points that leaves 1e-6 of the slope
        assert line.slope == pytest.approx(1e-3, rel=1e-5)
        assert math.isnan(RunningLine().slope)

    def test_facts(self, tmp_path, monkeypatch):
        monkeypatch.setattr(display, "FEWEST_ROWS", 3)
        path = tmp_path / "simulation.out"
        path.write_text(HEADER + row(0))
        follower = Follower(path)
        follower.update()
        path.write_text(HEADER + row(0) + row(1) + row(2))
        follower.update()
        follower.fresh_s, follower.last_s = 0.0, 4.0
        words = facts([Shown(follower, Plan("mts", 8, 0.5, 10), n_atoms=10)])
        assert words == {
            "speed": "4.0 inner steps/s, 0.173 ns/day",  # 86400 s / 2 s x 4 fs
            "temperature": "T 302 K",
            "drift": "drift +250.00 meV/atom/ps",
            "agreement": "",
            "eta": "0:16 to go",
        }

    @pytest.mark.parametrize(("rows", "told"), [(19, ""), (20, "drift +250.00 meV/atom/ps")])
    def test_a_drift_of_a_few_rows_is_not_shown(self, tmp_path, rows, told):
        path = tmp_path / "simulation.out"
        path.write_text(HEADER + "".join(map(row, range(rows))))
        follower = Follower(path)
        follower.update()
        shown = Shown(follower, Plan("mts", 8, 0.5, 100), n_atoms=10)
        assert facts([shown])["drift"] == told

    def test_facts_of_replicas(self, tmp_path, monkeypatch):
        """Means and standard deviations among them; the last one decides about the time to go."""
        monkeypatch.setattr(display, "FEWEST_ROWS", 3)
        shown = []
        for k, (steps, seconds) in enumerate([(2, 4.0), (4, 4.0), (0, 0.0)]):
            path = tmp_path / f"{k}.out"
            path.write_text(HEADER + row(0) * (steps > 0))
            follower = Follower(path)
            follower.update()
            path.write_text(HEADER + "".join(map(row, range(steps + 1))) * (steps > 0))
            follower.update()
            follower.fresh_s, follower.last_s = 0.0, seconds
            shown.append(Shown(follower, Plan("mts", 8, 0.5, 10), n_atoms=10 * (k + 1)))
        assert done_ps(shown) == "0.008-0.016"
        assert facts(shown) == {
            "speed": "2 x 6.0 inner steps/s, 0.518 ns/day",  # the third has done nothing yet
            "temperature": "T 303 ± 1 K",
            "drift": "drift +187.50 ± 88.39 meV/atom/ps",  # 250 and 125
            "agreement": "",
            "eta": "0:16 to go",
        }
        assert set(facts(shown[2:]).values()) == {""}


class TestResume:
    @pytest.mark.parametrize("end", ["", row(5)[:40]])
    def test_cut_properties(self, tmp_path, end):
        path = tmp_path / "simulation.out"
        path.write_text(HEADER + "".join(map(row, range(5))) + end)
        assert tails.last_step(path) == 4
        tails.cut(path, 2)
        assert path.read_text() == HEADER + "".join(map(row, range(3)))
        assert tails.last_step(path) == 2

    def test_a_repeated_header_hides_nothing(self, tmp_path):
        path = tmp_path / "simulation.out"
        path.write_text(HEADER + row(0) + row(1) + HEADER + row(2))
        assert tails.last_step(path, at_most=1) == 1
        tails.cut(path, 1)
        assert path.read_text() == HEADER + row(0) + row(1)

    @pytest.mark.parametrize("end", ["", xyz(12)[:-1], xyz(12)[:10], "2\n"])
    @pytest.mark.parametrize(("step", "kept"), [(9, 4), (8, 3), (100, 4), (0, 1)])
    def test_cut_frames(self, tmp_path, end, step, kept):
        path = tmp_path / "simulation.vel_0.xyz"
        path.write_text("".join(xyz(3 * frame) for frame in range(4)) + end)
        tails.cut(path, step)
        assert path.read_text() == "".join(xyz(3 * frame) for frame in range(kept))

    def test_cut_needs_the_file(self, tmp_path):
        with pytest.raises(RunError, match=r"vel\.xyz is missing"):
            tails.cut(tmp_path / "vel.xyz", 1)

    def test_the_latest_checkpoint_that_is_whole(self, tmp_path):
        write_outputs(tmp_path, 8)
        checkpoint(tmp_path, "simulation.checkpoint_older", 4)
        (tmp_path / "simulation.checkpoint").write_text(CHECKPOINT.format(8)[:-9])  # i-PI died
        assert resume.best_checkpoint(tmp_path).step == 4
        checkpoint(tmp_path, "resume.xml", 6)
        assert resume.best_checkpoint(tmp_path).path.name == "resume.xml"
        checkpoint(tmp_path, "RESTART", 9)  # beyond the last line that reached the disk
        assert resume.best_checkpoint(tmp_path).step == 6

    @pytest.mark.parametrize(
        ("short", "last", "step"),
        [
            ("out", 8, 8),
            ("out", 7, 4),
            ("vel_0.xyz", 11, 8),
            ("vel_0.xyz", 5, 4),
            ("pos_0.extxyz", 8, 8),
            ("pos_0.extxyz", 4, 4),
            ("forces_slow.xyz", 6, 8),  # due at 6 and 12: nothing is missing at 8
            ("forces_slow.xyz", 0, 4),
        ],
    )
    def test_all_outputs_reach_it(self, tmp_path, short, last, step):
        """The latest of 12, 8 and 4 to which one file, shorter than the others, holds all."""
        write_outputs(tmp_path, 20, **{short: last})
        for name, at in [("RESTART", 12), ("resume.xml", 8), ("simulation.checkpoint", 4)]:
            checkpoint(tmp_path, name, at)
        assert resume.best_checkpoint(tmp_path).step == step

    @pytest.mark.parametrize(
        ("name", "text", "says"),
        [
            (
                "simulation.out",
                "",
                r"simulation\.out is empty, but the oldest checkpoint \(RESTART",
            ),
            ("simulation.pos_0.extxyz", None, r"simulation\.pos_0\.extxyz is missing, but"),
            ("simulation.pos_0.extxyz", xyz(0), r"pos_0\.extxyz ends at step 0, but .* of step 9"),
            ("simulation.vel_0.xyz", xyz(0) + xyz(10), r"vel_0\.xyz has a gap, but"),
            ("simulation.forces_slow.xyz", xyz(0)[:-1], r"forces_slow\.xyz is empty"),
            ("RESTART", "<simulation>", "has no complete checkpoint of i-PI to go on from"),
        ],
    )
    def test_what_can_not_go_on_is_left_as_it_is(self, tmp_path, name, text, says):
        write_outputs(tmp_path, 9)
        write(tmp_path, {"input.xml": CHECKPOINT.format(0)})
        checkpoint(tmp_path, "RESTART", 9)
        (tmp_path / name).unlink()
        if text is not None:
            (tmp_path / name).write_text(text)
        before = tree(tmp_path)
        with pytest.raises(InputError, match=says + ".*; begin anew with another --out, or with"):
            resume.prepare(tmp_path, 99)
        assert tree(tmp_path) == before

    def test_without_any_output_a_checkpoint_is_not_ignored(self, tmp_path):
        checkpoint(tmp_path, "RESTART", 9)
        with pytest.raises(InputError, match=r"simulation\.out is missing"):
            resume.prepare(tmp_path, 99)

    def test_before_the_first_step_it_begins_anew(self, tmp_path):
        """Step 0 isn't written into a checkpoint."""
        text = CHECKPOINT.format(0).replace("<step>0</step>", "")
        before = write(tmp_path, {"input.xml": text, "RESTART": text, "simulation.out": HEADER})
        assert resume.prepare(tmp_path, 99) == "resume.xml"
        found = tree(tmp_path)
        assert b"<total_steps>99</total_steps>" in found.pop("resume.xml")
        assert found == {
            "input.xml": before["input.xml"],
            "previous-1/RESTART": before["RESTART"],
            "previous-1/simulation.out": before["simulation.out"],
        }
        (tmp_path / "input.xml").unlink()
        with pytest.raises(InputError, match=r"input\.xml is missing, and the run has no"):
            resume.prepare(tmp_path, 99)

    def test_a_run_that_ended_before_its_first_checkpoint_begins_again(self, tmp_path):
        """One is due at step 4: from then on it is missed, as that of the start is before."""
        write_outputs(tmp_path, 3)
        text = CHECKPOINT.format(0)
        before = write(tmp_path, {"input.xml": text, "simulation.checkpoint": text})
        assert resume.prepare(tmp_path, 99) == "resume.xml"
        found = tree(tmp_path)
        for name in (*(f"simulation.{name}" for name in STRIDES), "simulation.checkpoint"):
            assert found.pop(f"previous-1/{name}") == before[name]
        assert set(found) == {"input.xml", "resume.xml"}
        (tmp_path / "resume.xml").unlink()
        for last, start in [(4, text), (3, text[:-9])]:  # i-PI died while it wrote
            write_outputs(tmp_path, last)
            before = write(tmp_path, {"simulation.checkpoint": start})
            with pytest.raises(InputError, match="has no complete checkpoint of i-PI to go on"):
                resume.prepare(tmp_path, 99)
            assert tree(tmp_path) == before

    @pytest.mark.parametrize("broken", ["while it was written", "outputs don't reach it"])
    def test_a_young_run_goes_on_from_its_start(self, tmp_path, broken):
        """i-PI died at its second checkpoint; the rare one, every 20 steps, is of the start."""
        write_outputs(tmp_path, 19, out=2 if broken == "outputs don't reach it" else 19)
        rare = "<checkpoint filename='checkpoint_older' stride='20'>1</checkpoint>"
        start = CHECKPOINT.format(0).replace("</output>", f"{rare}</output>")
        later = start.replace("<step>0</step>", "<step>8</step>")
        if broken == "while it was written":
            later = later[: len(later) // 2]
        texts = {"simulation.checkpoint": later, "simulation.checkpoint_older": start}
        before = write(tmp_path, {"input.xml": start, **texts})
        assert resume.prepare(tmp_path, 99) == "resume.xml"
        found = tree(tmp_path)
        assert int(ElementTree.fromstring(found.pop("resume.xml")).findtext("step")) == 0
        assert found.pop("input.xml") == before.pop("input.xml")
        assert found == {f"previous-1/{name}": text for name, text in before.items()}
        (tmp_path / "resume.xml").unlink()
        write_outputs(tmp_path, 20, out=2 if broken == "outputs don't reach it" else 20)
        write(tmp_path, texts)
        with pytest.raises(InputError, match=r"no complete checkpoint|ends at step 2, but the"):
            resume.prepare(tmp_path, 99)

    def test_superseded_checkpoints_are_kept(self, tmp_path):
        write_outputs(tmp_path, 9)
        write_outputs(tmp_path / "cut", 8)
        for name, step in [("RESTART", 10), ("simulation.checkpoint", 8), ("resume.xml", 4)]:
            checkpoint(tmp_path, name, step)
        before = tree(tmp_path)
        resume.prepare(tmp_path, 99)
        found = tree(tmp_path)
        for name in ("RESTART", "simulation.checkpoint", "resume.xml"):
            assert found.pop(f"previous-1/{name}") == before[name]
        assert int(ElementTree.fromstring(found.pop("resume.xml")).findtext("step")) == 8
        for name in STRIDES:
            assert found.pop(f"simulation.{name}") == found.pop(f"cut/simulation.{name}")
        assert found == {}
        resume.prepare(tmp_path, 99)  # from its own input nothing gives way
        assert not (tmp_path / "previous-2").exists()

    def test_nothing_moves_before_the_input_is_on_the_disk(self, tmp_path, monkeypatch):
        write_outputs(tmp_path, 9)
        for name in ("RESTART", "simulation.checkpoint", "resume.xml"):
            checkpoint(tmp_path, name, 8)
        before = tree(tmp_path)

        def full(path, text):
            raise OSError("disk full")

        monkeypatch.setattr(resume, "staged", full)
        with pytest.raises(OSError, match="disk full"):
            resume.prepare(tmp_path, 99)
        assert before.items() <= tree(tmp_path).items()

    def test_directory_with_a_double_hyphen(self, tmp_path):
        """i-PI writes its working directory into a comment, where XML allows no --."""
        write_outputs(tmp_path, 8)
        text = "<!-- Working Directory: /home/a/run--2 -->\n" + CHECKPOINT.format(8)
        write(tmp_path, {"RESTART": text})
        resume.prepare(tmp_path, 99)
        assert ElementTree.parse(tmp_path / "resume.xml").findtext("total_steps") == "99"

    def test_outputs_whose_attributes_have_their_defaults(self, tmp_path):
        """Names as i-PI gives them to files, and what it leaves out of a checkpoint."""
        text = """<simulation><output><properties stride='3'> [ step ] </properties>
        <trajectory> positions </trajectory><trajectory format='ase'> x_centroid{ase} </trajectory>
        <checkpoint stride='50'/></output></simulation>"""
        found = resume.outputs_of(ElementTree.fromstring(text), tmp_path)
        assert [(output.path.name, output.stride) for output in found] == [
            ("i-pi.out", 3),
            ("i-pi.traj_0.xyz", 1),
            ("i-pi.traj.extxyz", 1),
        ]

    def test_total_steps(self):
        text = "<simulation>\n<total_steps> 5 </total_steps></simulation>"
        assert "<total_steps>9</total_steps>" in resume.with_total_steps(text, 9)
        with pytest.raises(RunError, match="expected one <total_steps>"):
            resume.with_total_steps("<simulation/>", 9)
        with pytest.raises(RunError, match=r"expected one <total_steps> .* got 2"):
            resume.with_total_steps(text.replace("5 </total_steps>", "5 </total_steps>" + text), 9)

    def test_total_steps_that_i_pi_left_out(self):
        """Of a checkpoint of i-PI's own writer, read by its own reader."""
        from ipi.inputs.simulation import InputSimulation
        from ipi.utils.io.inputs.io_xml import xml_parse_string

        simulation = InputSimulation()
        simulation.total_steps.store(1000)
        simulation.floatformat.store("%.17e")
        text = simulation.write("simulation")
        assert "total_steps" not in text
        (node,) = (
            node
            for name, node in xml_parse_string(resume.with_total_steps(text, 1200)).fields
            if name == "simulation"
        )
        read = InputSimulation()
        read.parse(node)
        assert read.total_steps.fetch() == 1200
        assert read.floatformat.fetch() == "%.17e"


STRIDES = {"out": 1, "pos_0.extxyz": 4, "vel_0.xyz": 1, "forces_slow.xyz": 6}
CHECKPOINT = """<simulation floatformat='%.17e'><output prefix='simulation'>
<properties flush='2'>[ step ]</properties>
<trajectory filename='pos' stride='4' format='ase'>positions{{ase}}</trajectory>
<trajectory filename='vel'>velocities{{m/s}}</trajectory>
<trajectory filename='forces_slow' stride='6'>forces_component(0){{ev/ang}}</trajectory>
<checkpoint filename='checkpoint' stride='4'>3</checkpoint></output>
<step>{}</step><total_steps>20</total_steps></simulation>"""


def checkpoint(directory, name, step):
    """A checkpoint as i-PI writes it: without strides of 1 and other defaults."""
    (directory / name).write_text(CHECKPOINT.format(step))


def write_outputs(directory, last, **shorter):
    """What a run has written up to step ``last``, or to another one in some files."""
    directory.mkdir(exist_ok=True)
    for name, stride in STRIDES.items():
        steps = range(0, shorter.get(name, last) + 1, stride)
        head, record = (HEADER, row) if name == "out" else ("", xyz)
        (directory / f"simulation.{name}").write_text(head + "".join(map(record, steps)))


class TestContinuation:
    def test_reads_the_momenta_of_each_system(self, tmp_path):
        path = tmp_path / "resume.xml"
        p = "<system><beads><p shape='(1, 3)'>\n [ 1.5, 2,\n 1e-3 ]\n</p></beads></system>"
        path.write_text(f"<simulation>{p}{p}</simulation>")
        found = continuation.read_momenta(path)
        np.testing.assert_array_equal(found, [[1.5, 2.0, 1e-3]] * 2)

    def test_an_input_has_none(self, tmp_path):
        (tmp_path / "input.xml").write_text("<simulation><system/></simulation>")
        assert continuation.read_momenta(tmp_path / "input.xml") == []


class TestJob:
    service = Service("/m.pt", "metatomic", "cuda", 2, ("--trust",))
    recipe = Recipe(
        Plan("mts", 8, 0.5, 250),
        Ensemble(),
        300.0,
        1,
        service,
        Transport(31415),
    )
    job = Job(Path("out"), recipe, "/start.xyz", Limits(60.0, 900.0))

    def test_survives_run_json(self):
        assert from_record(Path("out"), to_record(self.job)) == self.job

    @pytest.mark.parametrize("forces", ["slow", "fast", "mts"])
    def test_driver_command(self, forces):
        plan = Plan(forces, 8 if forces == "mts" else 1, 0.5, 10)
        job = Job(Path("out"), Recipe(plan, Ensemble(), 300.0, 1), "water")
        words = driver_command(job, Path("/tmp/s"))
        assert words[words.index("--role") + 1] == ("both" if forces == "mts" else forces)
        assert words[words.index("--socket-dir") + 1] == "/tmp/s"
        assert ("--direct-energy" in words) == (forces == "fast")
        assert ("--mts" in words) == (forces == "mts")

    @pytest.mark.parametrize(
        ("forces", "names"),
        [
            ("slow", ["slow-driver"]),
            ("fast", ["driver-1", "driver-2"]),
            ("mts", ["driver-1", "driver-2", "slow-driver"]),
        ],
    )
    def test_another_driver_for_the_slow_forces(self, forces, names):
        plan = Plan(forces, 8 if forces == "mts" else 1, 0.5, 10)
        other = ("/env/bin/ncforce", "driver", "mace", "--model", "/m.model")
        service = Service("water", device="cuda:0,cuda:1", slow_driver=other)
        recipe = Recipe(plan, Ensemble(), 300.0, 1, service)
        job = Job(Path("out"), recipe, "water")
        assert driver_names(job) == names
        assert from_record(Path("out"), to_record(job)) == job
        for index, name in enumerate(names):
            words = driver_command(job, Path("/tmp/s"), index)
            assert words[words.index("--report") + 1] == f"logs/{name}-report.json"
            slow = name == "slow-driver"
            assert words[words.index("--role") + 1] == ("slow" if slow else "fast")
            assert (tuple(words[:5]) == other) == slow
            assert "--mts" not in words
            if not slow:
                assert words[words.index("--device") + 1] == f"cuda:{index}"

    def test_a_model_that_only_the_other_driver_knows_has_no_file(self):
        def slow(family, model):
            words = ("/env/bin/ncforce", "driver", family, "--model", model)
            return records.models(Service("water", slow_driver=words))["slow_model"]

        nothing = {"name": "7net-0", "file": None, "sha256": None}
        assert slow("sevennet", "7net-0") == nothing
        assert slow("metatomic", "7net-0") == nothing
        assert slow("metatomic", "water") == records.models(Service("water"))["model"]
        assert records.models(Service("water"))["slow_model"] is None
        with pytest.raises(InputError, match="neither a file nor a shipped model"):
            slow("mace", "/missing.model")

    @pytest.mark.parametrize(
        ("device", "drivers", "n"), [(None, None, 1), ("cpu", 3, 3), ("a,b", None, 2)]
    )
    def test_number_of_drivers(self, device, drivers, n):
        assert Service("water", device=device, drivers=drivers).n_drivers == n

    @pytest.mark.parametrize(
        ("device", "drivers", "message"),
        [(None, 0, "drivers must lie between 1 and 1024, got 0"), ("a,,b", None, "an empty name")],
    )
    def test_impossible_drivers(self, device, drivers, message):
        with pytest.raises(InputError, match=message):
            Service("water", device=device, drivers=drivers)

    @pytest.mark.parametrize(
        ("model", "family", "name"),
        [
            ("7net-0", "sevennet", True),
            ("ase.calculators.lj:LennardJones", "ase", True),
            ("medium-mpa-0", "mace", True),
            ("water", "metatomic", False),
            ("x.pt", "mace", False),
            ("models/small", "mace", False),
        ],
    )
    def test_names_and_files(self, model, family, name):
        assert is_name(model, family) == name

    def test_program_of_another_environment(self):
        service = replace(self.job.service, program="/env/bin/ncforce")
        job = replace(self.job, recipe=replace(self.recipe, service=service))
        assert driver_command(job, Path("/tmp/s"))[:3] == [
            "/env/bin/ncforce",
            "driver",
            "metatomic",
        ]


class TestProvenance:
    def report(self, model_s):
        roles = {
            "slow": {"model_s": model_s, "wire_s": 0.5},
            "fast": {"model_s": 2.0, "wire_s": 0.5},
        }
        return {"roles": roles}

    def test_timings_add_up(self):
        segments = [
            {"from_step": 0, "to_step": 10, "wall_s": 6.0, "driver_report": self.report(1.0)},
            {"from_step": 10, "to_step": 20, "wall_s": 7.0, "driver_report": self.report(2.0)},
        ]
        timings = records.total_timings(segments, mts=8)
        assert timings["model_s"] == {"slow": 3.0, "fast": 4.0}
        assert list(timings["model_s"]) == ["slow", "fast"]
        assert (timings["wire_s"], timings["wall_s"]) == (2.0, 13.0)
        assert timings["integrator_s"] == pytest.approx(4.0, rel=1e-12)  # 13 - 7 - 2, rounding
        assert timings["ms_per_inner_step"] == pytest.approx(13e3 / 160, rel=1e-12)

    def test_reports_of_several_drivers(self):
        one = {"model": "a", "kinds": {"fast": "direct"}, "roles": {"fast": {"model_s": 1.0}}}
        two = {"model": "b", "kinds": {"slow": "conservative"}, "roles": {"slow": {"model_s": 2.0}}}
        merged = records.combined_report([one, two, one])
        assert merged["model"] == "a, b"
        assert merged["kinds"] == {"fast": "direct", "slow": "conservative"}
        assert merged["roles"] == {"fast": {"model_s": 2.0}, "slow": {"model_s": 2.0}}
        assert merged["drivers"] == 3

    def test_a_model_that_a_family_knows_by_name(self):
        identity = records.model_identity("7net-0", "sevennet")
        assert identity == {"name": "7net-0", "file": None, "sha256": None}
        with pytest.raises(InputError, match="neither a file nor a shipped model"):
            records.model_identity("7net-0")

    def test_no_report_no_split(self):
        segments = [{"from_step": 0, "to_step": 10, "wall_s": 6.0}]
        timings = records.total_timings(segments, mts=1)
        assert timings["model_s"] is None
        assert timings["ms_per_inner_step"] == 600.0

    @pytest.mark.parametrize("text", [None, "{", "[]", '{"plan": 1}'])
    def test_unreadable_record(self, tmp_path, text):
        if text is not None:
            (tmp_path / "run.json").write_text(text)
        with pytest.raises(InputError, match=r"run\.json is (missing|no record of a run)"):
            read_record(tmp_path)


class TestComparison:
    """What ``compare`` may begin with or go on with."""

    @pytest.fixture
    def job(self, tmp_path):
        (tmp_path / "start.xyz").write_text("one")
        (tmp_path / "v.xyz").write_text("fast")
        recipe = Recipe(Plan("slow", 1, 0.5, 10), Ensemble(), 300.0, 1)
        start, velocities = str(tmp_path / "start.xyz"), str(tmp_path / "v.xyz")
        directory = tmp_path / "out/slow"
        return Job(directory, recipe, start, velocities=velocities)

    @pytest.fixture
    def record(self, job):
        start = {"start": records.start_identity(job)}
        return to_record(job) | start | records.models(job.service)

    def test_start_is_its_content(self, job, record, tmp_path):
        assert compare.differences(job, record) == []
        (tmp_path / "copy.xyz").write_text("one")
        assert compare.differences(replace(job, structure=str(tmp_path / "copy.xyz")), record) == []
        (tmp_path / "start.xyz").write_text("two")
        assert compare.differences(job, record) == ["structure"]
        (tmp_path / "v.xyz").write_text("slow")
        assert compare.differences(job, record) == ["structure", "velocities"]
        assert compare.differences(replace(job, velocities=None), record)[1] == "velocities"

    def test_an_earlier_version_noted_only_the_path(self, job, record, tmp_path, caplog):
        del record["start"]
        assert compare.differences(job, record) == []
        assert "noted only the path of the start; make sure that the file" in caplog.text
        other = replace(job, structure=str(tmp_path / "v.xyz"))
        assert compare.differences(other, record) == ["structure"]

    def test_models_count_too(self, job, record):
        record["model"] = record["model"] | {"sha256": "0" * 64}
        assert compare.differences(job, record) == ["model"]

    def test_hash_of_the_start(self, job):
        import hashlib

        assert records.start_identity(job) == {
            "structure_sha256": hashlib.sha256(b"one").hexdigest(),
            "velocities_sha256": hashlib.sha256(b"fast").hexdigest(),
        }

    def claim(self, job, **how):
        words = {"resume": False, "force": False} | how
        with compare.claimed(job.directory.parent, [job], **words):
            pass

    def test_force_moves_runs_and_tables_aside(self, job):
        out = job.directory.parent
        of_a_run = write(job.directory, OF_A_RUN)
        tables = write(out, {"compare.json": "{}", "tune.json": "{}", "drift_of_M.png": "x"})
        write(out, {"notes.txt": "mine", "slow/notes.txt": "mine"})
        with pytest.raises(InputError, match="--force to move its runs aside and begin anew"):
            self.claim(job)
        self.claim(job, resume=True)
        assert not (out / "previous-1").exists()
        self.claim(job, force=True)
        found = tree(out)
        for name, text in of_a_run.items():
            assert found.pop(f"slow/previous-1/{name}") == text
        for name in ("compare.json", "tune.json", "drift_of_M.png"):
            assert found.pop(f"previous-1/{name}") == tables[name]
        assert found == {"notes.txt": b"mine", "slow/notes.txt": b"mine"}
        self.claim(job, resume=True)  # if it was killed just then, this goes on
        claim_and_write(job.directory, force=False)
        assert (job.directory / "notes.txt").read_text() == "mine"

    @pytest.mark.parametrize("how", [{"force": True}, {"resume": True}, {}])
    def test_a_users_directory_is_never_touched(self, job, how):
        out = job.directory.parent
        before = write(out, {"compare.json": "[]", "slow/simulation.out": row(3), "tune.json": ""})
        with pytest.raises(InputError, match="is not empty, and no comparison of ncforce is in it"):
            self.claim(job, **how)
        assert tree(out) == before
        assert not (out / ".lock").exists()

    def test_a_users_directory_in_a_comparison(self, job):
        """One of its runs has no record: then none is moved."""
        out = job.directory.parent
        before = write(out, {"fast/run.json": RECORD, "fast/simulation.out": HEADER + row(1)})
        before = write(out, {"slow/simulation.out": row(3)})
        with pytest.raises(InputError, match=r"slow is not empty, and no run\.json says"):
            self.claim(job, force=True)
        assert tree(out) == before

    def test_after_a_start_that_failed(self, job):
        write(job.directory, {"run.json": RECORD, "logs/driver.log": "no such model"})
        self.claim(job)

    def test_is_held_to_its_end(self, job):
        out = job.directory.parent
        with (
            compare.claimed(out, [job], resume=False, force=False),
            pytest.raises(InputError, match="another command is at work in"),
        ):
            self.claim(job, force=True)


def test_writes_are_whole(tmp_path):
    path = tmp_path / "x.json"
    files.write_atomically(path, "old")
    files.write_atomically(path, "new")
    assert path.read_text() == "new"
    assert [found.name for found in tmp_path.iterdir()] == ["x.json"]


def test_bounded_wait(tmp_path):
    with ended(child(tmp_path, "import time; time.sleep(60)")) as it:
        assert not it.ends_within(0.2)
        assert it.code is None  # it is still there: nobody waited for its end


@pytest.mark.parametrize("last_K", ["310.0", "nan"])
def test_rows_that_no_launcher_watched(tmp_path, last_K, caplog):
    """It was killed, and i-PI came to the end: the last row says whether that is an end."""
    caplog.set_level("INFO")
    plan = Plan("slow", 1, 0.5, 20)
    job = replace(TestJob.job, directory=tmp_path, recipe=replace(TestJob.recipe, plan=plan))
    record = to_record(job) | {"state": "running", "n_atoms": 2, "segments": [], "steps_done": 0}
    write_outputs(tmp_path, 20)
    checkpoint(tmp_path, "RESTART", 20)
    (tmp_path / "m.pt").write_text("")
    record["driver"]["model"] = str(tmp_path / "m.pt")
    records.save(tmp_path, record)
    (tmp_path / "simulation.out").write_text(
        f"{HEADER}{''.join(map(row, range(20)))}  20.0 0.08 1.0 {last_K}\n"
    )
    ending = run.go_on(tmp_path).ending
    now = read_record(tmp_path)
    assert "the launcher of the run in" in caplog.text
    assert now["steps_done"] == 20
    if last_K == "nan":
        assert (now["state"], now["unphysical"]) == ("stopped", True)
        assert "is not finite" in ending.reason
    else:
        assert now["state"] == "finished"


def test_a_recovery_without_a_checkpoint_says_both(tmp_path):
    """Why i-PI was given up, and why it can't go on."""
    job = replace(TestJob.job, directory=tmp_path)
    write(tmp_path, {"simulation.out": HEADER + row(0) + row(3)})
    follower = Follower(tmp_path / "simulation.out")
    follower.update()
    ending = Ending("failed", "a thread of i-PI died", recoverable=True)
    watch = Watch(
        SimpleNamespace(code=1), [], follower, 100, 300.0, 2, Limits(), StopRequest(), ending=ending
    )
    lane = Lane(job, {"steps_done": 0, "segments": []}, "input.xml", locks=[])
    finish(lane, watch)
    assert re.search(r"thread of i-PI died; .* has no complete checkpoint", lane.record["reason"])
    assert (lane.record["state"], lane.outcome.ending.state) == ("failed", "failed")


def test_a_thread_that_dies_before_the_first_row_is_tried_once_more(tmp_path):
    """Handshakes can fail on a machine that is busy; what fails twice is wrong."""
    job = replace(TestJob.job, directory=tmp_path)
    root = ElementTree.Element("simulation")
    ElementTree.SubElement(root, "total_steps").text = "100"
    (tmp_path / "input.xml").write_bytes(ElementTree.tostring(root))
    lane = Lane(job, {"steps_done": 0, "segments": []}, "input.xml", locks=[])

    def dies():
        ending = Ending("failed", "a thread of i-PI died at step 0", recoverable=True)
        follower = Follower(tmp_path / "simulation.out")
        server = SimpleNamespace(code=1)
        finish(lane, Watch(server, [], follower, 100, 300.0, 2, Limits(), StopRequest(),
                           ending=ending))  # fmt: skip

    dies()
    assert (lane.outcome, lane.input_file) == (None, "resume.xml")
    text = (tmp_path / "resume.xml").read_text()
    assert ElementTree.fromstring(text).findtext("total_steps").strip() == str(
        job.recipe.plan.n_outer
    )
    dies()
    assert lane.outcome.ending.state == "failed"
    assert lane.record["reason"] == "a thread of i-PI died at step 0"
