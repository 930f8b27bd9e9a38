"""The launcher's parts: children, directories, progress, checkpoints.  No i-PI here."""

import math
import os
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ncforce_ipi.ensembles import Ensemble
from ncforce_ipi.errors import InputError, RunError
from ncforce_ipi.inputs import Recipe, Transport
from ncforce_ipi.launch import continuation, files, provenance, resume, sockets
from ncforce_ipi.launch.display import facts
from ncforce_ipi.launch.job import (
    Job,
    Service,
    driver_command,
    driver_names,
    from_record,
    in_the_text,
    is_name,
    to_record,
)
from ncforce_ipi.launch.processes import Child, ended
from ncforce_ipi.launch.progress import Follower, RunningLine
from ncforce_ipi.launch.supervise import Limits
from ncforce_ipi.mts import Plan

HEADER = """# column   1     --> step : The current simulation time step.
# column   2     --> time{picosecond} : The elapsed simulation time.
# column   3     --> conserved{electronvolt} : The value of the conserved energy quantity per bead.
# column   4     --> temperature{kelvin} : The current temperature, as obtained from the MD.
"""


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
            assert it.ends_within(10)
            assert it.how_it_ended() == "it ended with exit code 3 (log it.log)"
            assert it.last_words() == "oh"

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
            assert it.ends_within(10)
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
        with held, pytest.raises(InputError, match="a run is going on in"), files.locked(tmp_path):
            pass
        with files.locked(tmp_path):
            pass

    def test_is_held_by_the_child_too(self, tmp_path):
        with files.locked(tmp_path) as lock:
            command = [sys.executable, "-c", "import time; time.sleep(60)"]
            it = Child("it", command, tmp_path, tmp_path / "it.log", keep=[lock])
        with ended(it), pytest.raises(InputError, match="going on"), files.locked(tmp_path):
            pass
        with files.locked(tmp_path):
            pass

    def test_force_removes_only_what_is_ours(self, tmp_path):
        for name in ("simulation.out", "#simulation.out#0#", "RESTART", "run.json", "mine.txt"):
            (tmp_path / name).write_text("x")
        (tmp_path / "analysis").mkdir()
        with pytest.raises(InputError, match="is not empty"):
            files.make_directory(tmp_path, force=False)
        files.make_directory(tmp_path, force=True)
        assert {path.name for path in tmp_path.iterdir()} == {"mine.txt", "logs"}

    def test_a_file_in_the_way(self, tmp_path):
        (tmp_path / "x").write_text("")
        with pytest.raises(InputError, match="x is a file"):
            files.make_directory(tmp_path / "x", force=True)


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

    def test_facts(self, tmp_path):
        path = tmp_path / "simulation.out"
        path.write_text(HEADER + row(0))
        follower = Follower(path)
        follower.update()
        path.write_text(HEADER + row(0) + row(1) + row(2))
        follower.update()
        follower.fresh_s, follower.last_s = 0.0, 4.0
        words = facts(follower, Plan("mts", 8, 0.5, 10), n_atoms=10)
        assert words == {
            "speed": "4.0 inner steps/s",
            "temperature": "T 302 K",
            "drift": "drift +250.00 meV/atom/ps",
            "eta": "0:16 to go",
        }


class TestResume:
    @pytest.mark.parametrize("end", ["", row(5)[:40]])
    def test_cut_properties(self, tmp_path, end):
        path = tmp_path / "simulation.out"
        path.write_text(HEADER + "".join(map(row, range(5))) + end)
        assert resume.last_step(path) == 4
        resume.cut(path, 2)
        assert path.read_text() == HEADER + "".join(map(row, range(3)))
        assert resume.last_step(path) == 2

    @pytest.mark.parametrize("end", ["", xyz(12)[:-1], xyz(12)[:10], "2\n"])
    @pytest.mark.parametrize(("step", "kept"), [(9, 4), (8, 3), (100, 4), (0, 1)])
    def test_cut_frames(self, tmp_path, end, step, kept):
        path = tmp_path / "simulation.vel_0.xyz"
        path.write_text("".join(xyz(3 * frame) for frame in range(4)) + end)
        resume.cut(path, step)
        assert path.read_text() == "".join(xyz(3 * frame) for frame in range(kept))

    def test_cut_needs_the_file(self, tmp_path):
        with pytest.raises(RunError, match=r"vel\.xyz is missing"):
            resume.cut(tmp_path / "vel.xyz", 1)

    def test_best_checkpoint(self, tmp_path):
        def checkpoint(name, step, end="</simulation>"):
            (tmp_path / name).write_text(f"<simulation><step>{step}</step>{end}")

        assert resume.best_checkpoint(tmp_path) is None
        (tmp_path / "simulation.out").write_text(HEADER + "".join(map(row, range(9))))
        checkpoint("simulation.checkpoint_older", 4)
        checkpoint("simulation.checkpoint", 8, end="")  # i-PI was killed while writing it
        assert resume.best_checkpoint(tmp_path).step == 4
        checkpoint("resume.xml", 6)
        assert resume.best_checkpoint(tmp_path).path.name == "resume.xml"
        checkpoint("RESTART", 9)  # beyond the last line that reached the disk
        assert resume.best_checkpoint(tmp_path).step == 6

    def test_total_steps(self):
        text = "<simulation>\n<total_steps> 5 </total_steps></simulation>"
        assert "<total_steps>9</total_steps>" in resume.with_total_steps(text, 9)
        with pytest.raises(RunError, match="expected one <total_steps>"):
            resume.with_total_steps("<simulation/>", 9)


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
        transport=Transport(31415),
        **in_the_text(service),
    )
    job = Job(Path("out"), recipe, "/start.xyz", service, Limits(60.0, 900.0))

    def test_survives_run_json(self):
        assert from_record(Path("out"), to_record(self.job)) == self.job

    @pytest.mark.parametrize("forces", ["slow", "fast", "mts"])
    def test_driver_command(self, forces):
        plan = Plan(forces, 8 if forces == "mts" else 1, 0.5, 10)
        job = Job(Path("out"), Recipe(plan, Ensemble(), 300.0, 1), "water", Service("water"))
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
        recipe = Recipe(plan, Ensemble(), 300.0, 1, **in_the_text(service))
        job = Job(Path("out"), recipe, "water", service)
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
            return provenance.models(Service("water", slow_driver=words))["slow_model"]

        nothing = {"name": "7net-0", "file": None, "sha256": None}
        assert slow("sevennet", "7net-0") == nothing
        assert slow("metatomic", "7net-0") == nothing
        assert slow("metatomic", "water") == provenance.models(Service("water"))["model"]
        assert provenance.models(Service("water"))["slow_model"] is None
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
        job = replace(self.job, service=replace(self.job.service, program="/env/bin/ncforce"))
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
        timings = provenance.total_timings(segments, mts=8)
        assert timings["model_s"] == {"slow": 3.0, "fast": 4.0}
        assert list(timings["model_s"]) == ["slow", "fast"]
        assert (timings["wire_s"], timings["wall_s"]) == (2.0, 13.0)
        assert timings["integrator_s"] == pytest.approx(4.0, rel=1e-12)  # 13 - 7 - 2, rounding
        assert timings["ms_per_inner_step"] == pytest.approx(13e3 / 160, rel=1e-12)

    def test_reports_of_several_drivers(self):
        one = {"model": "a", "kinds": {"fast": "direct"}, "roles": {"fast": {"model_s": 1.0}}}
        two = {"model": "b", "kinds": {"slow": "conservative"}, "roles": {"slow": {"model_s": 2.0}}}
        merged = provenance.together([one, two, one])
        assert merged["model"] == "a, b"
        assert merged["kinds"] == {"fast": "direct", "slow": "conservative"}
        assert merged["roles"] == {"fast": {"model_s": 2.0}, "slow": {"model_s": 2.0}}
        assert merged["drivers"] == 3

    def test_a_model_that_a_family_knows_by_name(self):
        identity = provenance.model_identity("7net-0", "sevennet")
        assert identity == {"name": "7net-0", "file": None, "sha256": None}
        with pytest.raises(InputError, match="neither a file nor a shipped model"):
            provenance.model_identity("7net-0")

    def test_no_report_no_split(self):
        segments = [{"from_step": 0, "to_step": 10, "wall_s": 6.0}]
        timings = provenance.total_timings(segments, mts=1)
        assert timings["model_s"] is None
        assert timings["ms_per_inner_step"] == 600.0

    @pytest.mark.parametrize("text", [None, "{", "[]", '{"plan": 1}'])
    def test_unreadable_record(self, tmp_path, text):
        if text is not None:
            (tmp_path / "run.json").write_text(text)
        with pytest.raises(InputError, match=r"run\.json is (missing|no record of a run)"):
            provenance.read_record(tmp_path)


def test_writes_are_whole(tmp_path):
    path = tmp_path / "x.json"
    files.write_atomically(path, "old")
    files.write_atomically(path, "new")
    assert path.read_text() == "new"
    assert [found.name for found in tmp_path.iterdir()] == ["x.json"]


def test_bounded_wait(tmp_path):
    with ended(child(tmp_path, "import time; time.sleep(60)")) as it:
        start = time.monotonic()
        assert not it.ends_within(0.2)
        assert time.monotonic() - start < 30  # the child sleeps 60 s
