"""Sets of replicas: who differs in what, who is served by whom, what goes on.  No i-PI here."""

import json
import re
import sys
from pathlib import Path

import pytest

import ncforce_ipi as nc
from ncforce_ipi import cli
from ncforce_ipi.cli.job import temperatures
from ncforce_ipi.errors import InputError, RunError
from ncforce_ipi.inputs.ensembles import Ensemble
from ncforce_ipi.inputs.plan import Plan
from ncforce_ipi.inputs.recipe import input_xml
from ncforce_ipi.inputs.structure import read_structure
from ncforce_ipi.launch import replicas, sets
from ncforce_ipi.launch.directory import claim, holder
from ncforce_ipi.launch.jobs.door import Remote
from ncforce_ipi.launch.jobs.job import new_job
from ncforce_ipi.launch.jobs.staff import Staff
from ncforce_ipi.launch.processes.stops import StopRequest
from ncforce_ipi.launch.progress.ending import Ending, Limits
from ncforce_ipi.launch.segments import rounds
from ncforce_ipi.launch.segments.lane import close
from ncforce_ipi.launch.watching.answers import Heard
from ncforce_ipi.launch.watching.crew import Crew
from ncforce_ipi.launch.watching.drivers import Driver
from ncforce_ipi.launch.watching.hangs import Watchdog
from ncforce_ipi.launch.watching.supervise import Watch
from ncforce_ipi.rundir import read_record, replica_directories
from tests.launch.test_supervise import KILLED, Process, Progress

PLAN = Plan("mts", 8, 0.5, 10)


@pytest.mark.parametrize(
    ("structures", "heats_K", "n", "found"),
    [
        ([None], [300.0], 3, [(None, 300.0)] * 3),
        ([None], [280.0, 300.0], 2, [(None, 280.0)] * 2 + [(None, 300.0)] * 2),
        (["a", "b"], [300.0], 1, [("a", 300.0), ("b", 300.0)]),
        (["a", "b"], [280.0, 300.0], 1, [("a", 280.0), ("b", 300.0)]),
    ],
)
def test_which_replicas_there_are(structures, heats_K, n, found):
    assert sets.combine(structures, heats_K, n) == found


@pytest.mark.parametrize("n", [0, -1, 513])
def test_a_number_of_replicas_that_makes_no_sense(n):
    with pytest.raises(InputError, match=f"between 1 and 1024, got {2 * n}"):
        sets.combine(["a", "b"], [300.0], n)


def test_lists_that_do_not_fit():
    with pytest.raises(InputError, match="3 structures and 2 temperatures; expected one temp"):
        sets.combine(["a", "b", "c"], [280.0, 300.0], 1)


def test_temperatures_on_a_command_line(capsys):
    assert temperatures("280,300.5") == [280.0, 300.5]
    with pytest.raises(SystemExit):
        cli.main(["run", "water", "--out", "x", "--temperature-K", "280,hot"])
    assert (
        "expected temperatures with commas between them, got '280,hot'" in capsys.readouterr().err
    )


def set_of(directory, kinds=((None, 300.0),) * 3, seed=None, plan=PLAN, **words):
    """Replicas of water."""

    def make(structure, temperature_K, seed):
        return new_job(
            directory, plan, system="water", structure=structure, temperature_K=temperature_K,
            seed=seed, **words,
        )  # fmt: skip

    return sets.replicas_of(make, kinds, seed)


def test_replicas_differ_in_their_seeds(tmp_path):
    """Each has velocities of its own, also where a single run would start from shipped ones."""
    found = set_of(tmp_path, [(None, 280.0), (None, 280.0), (None, 320.0)], seed=7)
    recipes = [job.recipe for job in found.jobs]
    assert [recipe.seed for recipe in recipes] == [7, 8, 9]
    assert [recipe.temperature_K for recipe in recipes] == [280.0, 280.0, 320.0]
    assert [job.velocities for job in found.jobs] == [None] * 3
    names = [job.directory for job in found.jobs]
    assert names == [tmp_path / f"replica-{k}" for k in range(3)]


@pytest.mark.parametrize(("n", "latency_s"), [(2, 2e-4), (8, 8e-4), (40, 1e-3)])
def test_all_i_pis_together_look_for_answers_as_often_as_one(tmp_path, n, latency_s):
    recipe = set_of(tmp_path, ((None, 300.0),) * n).jobs[-1].recipe
    text = input_xml(recipe, read_structure("water"))
    found = [float(value) for value in re.findall("<latency> (.*) </latency>", text)]
    assert found == pytest.approx([latency_s] * 2)


def test_velocities_for_all_need_a_thermostat(tmp_path):
    words = {"velocities": "v.xyz"}
    with pytest.raises(InputError, match="are the same run at constant energy; leave --velocities"):
        set_of(tmp_path, **words)
    assert len(set_of(tmp_path, ensemble=Ensemble("svr"), **words).jobs) == 3
    starts = [("a.xyz", 300.0), ("b.xyz", 300.0)]
    assert len(set_of(tmp_path, starts, **words).jobs) == 2
    with pytest.raises(InputError, match="are the same run at constant energy"):
        set_of(tmp_path, [*starts, ("b.xyz", 320.0)], **words)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"port": 3000}, "private unix sockets, which need no port; leave --port out"),
        ({"remote": Remote("", 0)}, "by drivers of this machine; leave --remote out"),
        ({"drivers": 4}, "4 drivers for 3 replicas; expected at most one for each"),
        ({"device": "cuda:0,cuda:1,cuda:2,cuda:3"}, "4 drivers for 3 replicas"),
    ],
)
def test_what_does_not_go_with_replicas(tmp_path, words, message):
    with pytest.raises(InputError, match=message):
        set_of(tmp_path, **words)


class TestStaff:
    """Which driver serves whom, by which words."""

    def staff(self, tmp_path, n, **words):
        found = set_of(tmp_path, [(None, 300.0)] * n, **words)
        return Staff(found.common, shared=True), dict(enumerate(found.jobs))

    def words(self, staff, post, jobs, option):
        """Those behind an option of a driver's command."""
        command = staff.command(post, {place: jobs[place] for place in post.places}, Path("/s"))
        rest = command[command.index(option) + 1 :]
        end = next((k for k, word in enumerate(rest) if word.startswith("--")), len(rest))
        return rest[:end]

    def test_one_driver_serves_all(self, tmp_path):
        staff, jobs = self.staff(tmp_path, 3)
        (post,) = staff.posts([0, 1, 2])
        assert (post.name, post.serves, post.places) == ("driver", "both", (0, 1, 2))
        assert self.words(staff, post, jobs, "--socket-dir") == ["/s/0", "/s/1", "/s/2"]
        starts = [f"replica-{k}/init.xyz" for k in range(3)]
        assert self.words(staff, post, jobs, "--structure") == starts
        reports = [f"replica-{k}/logs/driver-report.json" for k in range(3)]
        assert self.words(staff, post, jobs, "--report") == reports

    def test_drivers_share_replicas_out_always_alike(self, tmp_path):
        """The k-th of K serves each K-th, also where some are done; with its own device."""
        staff, jobs = self.staff(tmp_path, 5, device="cuda:0,cuda:1")
        posts = staff.posts(range(5))
        assert [post.places for post in posts] == [(0, 2, 4), (1, 3)]
        assert [self.words(staff, post, jobs, "--device")[0] for post in posts] == [
            "cuda:0", "cuda:1",
        ]  # fmt: skip
        assert [job.service.device for job in jobs.values()] == ["cuda:0", "cuda:1"] * 2 + [
            "cuda:0"
        ]
        assert [(post.name, post.places) for post in staff.posts([3])] == [("driver-2", (3,))]

    def test_another_driver_for_the_slow_forces_serves_all(self, tmp_path):
        slow = f"{sys.executable} driver mace --model m.model"
        staff, jobs = self.staff(tmp_path, 3, drivers=2, slow=slow)
        posts = staff.posts(range(3))
        assert [(post.name, post.serves, post.places) for post in posts] == [
            ("driver-1", "fast", (0, 2)), ("driver-2", "fast", (1,)),
            ("slow-driver", "slow", (0, 1, 2)),
        ]  # fmt: skip
        report = self.words(staff, posts[2], jobs, "--report")[1]
        assert report == "replica-1/logs/slow-driver-report.json"

    def test_a_replica_is_a_run_of_its_own(self, tmp_path):
        """With one driver, so that it can go on alone, and all beads in one request."""
        _, jobs = self.staff(tmp_path, 4, drivers=2, ensemble=Ensemble("langevin", beads=4))
        assert {job.service.n_drivers for job in jobs.values()} == {1}


@pytest.fixture
def ran(monkeypatch):
    """Sets "run" in no time: what was asked for, and how each ends (name: ending)."""
    calls, endings = [], {}

    def run(lanes, staff, limit=None):
        calls.append([lane.job.directory.name for lane in lanes])
        out = []
        for lane in lanes:
            name, n = lane.job.directory.name, lane.job.recipe.plan.n_outer
            own = lane.job.recipe.seed  # no two replicas have the same numbers
            lines = [f"{float(step)} {0.004 * step} {own}.0 300.0" for step in range(n + 1)]
            (lane.job.directory / "simulation.out").write_text(
                "# column   1     --> step : x\n# column   2     --> time{picosecond} : x\n"
                "# column   3     --> conserved{electronvolt} : x\n"
                "# column   4     --> temperature{kelvin} : x\n" + "\n".join(lines) + "\n"
            )
            ending = endings.get(name, Ending("finished"))
            out.append(close(lane.job, lane.record, ending))
        return out

    monkeypatch.setattr(rounds, "run", run)
    run.calls, run.endings = calls, endings
    return run


def test_a_set_on_the_disk(tmp_path, ran):
    """Each replica has an ordinary run's files; the set says what they are."""
    found = set_of(tmp_path / "set", [(None, 280.0), (None, 320.0)], ensemble=Ensemble("svr"))
    outcomes = replicas.start(found)
    assert not outcomes.failed
    record = read_record(tmp_path / "set")
    assert (record["state"], record["plan"]["n_outer"]) == ("finished", 10)
    assert record["replicas"] == [
        {"directory": "replica-0", "seed": 1, "temperature_K": 280.0, "structure": "water"},
        {"directory": "replica-1", "seed": 2, "temperature_K": 320.0, "structure": "water"},
    ]
    for path, seed, heat_K in zip(
        replica_directories(tmp_path / "set"), (1, 2), (280.0, 320.0), strict=True
    ):
        own = read_record(path)
        assert (own["seed"], own["temperature_K"], own["state"]) == (seed, heat_K, "finished")
        assert f"<seed>{seed}</seed>" in (path / "input.xml").read_text().replace(" ", "")
        assert (path / "init.xyz").is_file()


def test_force_moves_a_whole_set_aside(tmp_path, ran):
    out = tmp_path / "set"
    replicas.start(set_of(out))
    with pytest.raises(InputError, match="is not empty; choose another --out, --resume"):
        replicas.start(set_of(out))
    (out / "notes.txt").write_text("mine")
    replicas.start(set_of(out, kinds=((None, 300.0),) * 2), force=True)
    names = {path.name for path in out.iterdir()}
    assert names - {".lock", "logs"} == {
        "notes.txt", "previous-1", "replica-0", "replica-1", "run.json",
    }  # fmt: skip
    assert len(replica_directories(out / "previous-1")) == 3
    assert (out / "previous-1/replica-2/simulation.out").is_file()
    claim.clear(out)
    assert {path.name for path in out.iterdir()} - {".lock", "logs"} == {
        "notes.txt", "previous-1", "previous-2",
    }  # fmt: skip


def test_a_users_directory_with_our_name_stays(tmp_path, ran):
    """Nothing is written, and it isn't moved."""
    out = tmp_path / "set"
    replicas.start(set_of(out, kinds=((None, 300.0),) * 2))
    (out / "replica-2").mkdir()
    (out / "replica-2/notes.txt").write_text("mine")
    before = (out / "run.json").read_text()
    with pytest.raises(InputError, match="replica-2 is there already, and no replica of ours"):
        replicas.start(set_of(out), force=True)
    assert (out / "run.json").read_text() == before
    assert (out / "replica-0/simulation.out").is_file()
    assert (out / "replica-2/notes.txt").read_text() == "mine"
    assert ran.calls == [["replica-0", "replica-1"]]


def test_replicas_in_python(tmp_path, ran):
    out = tmp_path / "set"
    found = nc.run("water", out=out, replicas=2, temperature_K=310.0, time_ps=0.04)
    assert [read_record(path)["seed"] for path in replica_directories(out)] == [1, 2]
    assert read_record(out)["replicas"][1]["temperature_K"] == 310.0
    assert [source.directory for source in found.data.sources] == replica_directories(out)
    with pytest.raises(InputError, match="have done their steps"):
        nc.resume(out)
    ran.endings["replica-1"] = Ending("failed", "no such device")
    with pytest.raises(RunError, match="1 of 2 replicas failed: replica-1: no such device"):
        nc.run("water", out=out, replicas=2, seed=5, time_ps=0.04, force=True)
    ran.endings["replica-1"] = Ending("stopped", "stopped by SIGINT", signal=2)
    with pytest.raises(KeyboardInterrupt):
        nc.run("water", out=out, replicas=2, seed=5, time_ps=0.04, force=True)


class TestGoingOn:
    """Only those that aren't done, each from where it is."""

    def test_those_that_are_done_are_kept(self, tmp_path, ran, monkeypatch):
        monkeypatch.setattr(
            "ncforce_ipi.launch.run.to_go_on", lambda lane: setattr(lane, "input_file", "x")
        )
        monkeypatch.setattr("ncforce_ipi.launch.directory.resume.best_checkpoint", lambda _: None)
        out = tmp_path / "set"
        ran.endings |= {
            "replica-1": Ending("failed", "i-PI ended with signal SIGKILL"),
            "replica-2": Ending("stopped", "9000 K is more", unphysical=True),
        }
        outcomes = replicas.start(set_of(out))
        assert set(outcomes.failed) == {"replica-1", "replica-2"}
        assert outcomes.complaint() == (
            "2 of 3 replicas failed: replica-1: i-PI ended with signal SIGKILL; replica-2: 9000 K "
            f"is more; go on with: ncforce run --resume --out {out}"
        )
        assert read_record(out)["reason"] == outcomes.complaint()
        del ran.endings["replica-1"]
        outcomes = replicas.go_on(out)
        assert ran.calls[1:] == [["replica-1"]]
        assert outcomes.complaint() == (
            "1 of 3 replicas failed: replica-2: 9000 K is more; the others are unaffected"
        )
        replicas.go_on(out, time_ps=0.08)  # twice as long: all but the one that ran away
        assert ran.calls[2:] == [["replica-0", "replica-1"]]
        assert read_record(out)["plan"]["n_outer"] == 20
        assert list(outcomes.endings) == ["replica-0", "replica-1", "replica-2"]

    def test_nothing_to_do_is_said(self, tmp_path, ran):
        replicas.start(set_of(tmp_path / "set"))
        with pytest.raises(InputError, match="have done their steps; give a longer --time-ps"):
            replicas.go_on(tmp_path / "set")

    def test_one_that_is_damaged_does_not_stop_the_others(self, tmp_path, ran, monkeypatch):
        monkeypatch.setattr(
            "ncforce_ipi.launch.run.to_go_on", lambda lane: setattr(lane, "input_file", "x")
        )
        monkeypatch.setattr("ncforce_ipi.launch.directory.resume.best_checkpoint", lambda _: None)
        out = tmp_path / "set"
        replicas.start(set_of(out))
        (out / "replica-1/run.json").write_text("{")
        outcomes = replicas.go_on(out, time_ps=0.08)
        assert ran.calls[1:] == [["replica-0", "replica-2"]]
        assert list(outcomes.failed) == ["replica-1"]
        assert "replica-1/run.json is no record of a run" in outcomes.complaint()

    def test_words_of_a_start_are_refused(self, tmp_path, ran, capsys):
        replicas.start(set_of(tmp_path / "set"))
        words = ["run", "--resume", "--out", str(tmp_path / "set")]
        for more in (["--replicas", "4"], ["--temperature-K", "300"], ["--structure", "a.xyz"]):
            assert cli.main([*words, *more]) == 2
            assert f"as it was begun; leave out {more[0]}" in capsys.readouterr().err


def test_who_holds_a_set(tmp_path):
    """All of its i-PIs are told to stop."""
    record = {"plan": {}, "replicas": [], "processes": holder.of_this_launcher()}
    (tmp_path / "run.json").write_text(json.dumps(record))
    assert holder.said_of(tmp_path).endswith(f"touch {tmp_path}/replica-*/EXIT")


class Shared:
    """Two i-PIs with one driver."""

    def __init__(self, tmp_path):
        self.reports = [tmp_path / f"{place}.json" for place in (0, 1)]
        self.started = []
        heard = {place: Heard(path, ours=True) for place, path in enumerate(self.reports)}
        self.driver = Driver(self.start, Process("driver"), heard=heard)
        self.watches = [
            Watch(
                Process("i-PI"), [self.driver], Progress(), 100, 300.0, 10, Limits(), StopRequest(),
                place=place,
            )
            for place in (0, 1)
        ]  # fmt: skip
        self.crew = Crew([self.driver], self.watches, Watchdog(600.0))
        for watch in self.watches:
            watch.follower.path = tmp_path / "simulation.out"
            watch.follower.fresh_step = 0

    def start(self, places):
        self.started.append(list(places))
        return Process("driver")

    def look(self):
        for _ in range(2):
            for watch in self.watches:
                watch.look()
            self.crew.look()
        return [watch.ending for watch in self.watches]


class TestSharedDriver:
    """What its end, or a word of its own, means for each of those that it serves."""

    def test_a_killed_one_is_started_for_those_that_still_need_it(self, tmp_path):
        shared = Shared(tmp_path)
        shared.watches[0].ending = Ending("finished")
        shared.driver.child.code = KILLED
        assert shared.look() == [Ending("finished"), None]
        assert shared.started == [[1]]
        assert [len(watch.notices) for watch in shared.watches] == [0, 1]

    def test_nobody_is_left_to_serve(self, tmp_path):
        shared = Shared(tmp_path)
        for watch in shared.watches:
            watch.ending = Ending("finished")
        shared.driver.child.code = KILLED
        shared.look()
        assert shared.started == []

    def test_forces_of_one_that_are_not_finite(self, tmp_path):
        """The driver gives it up alone and serves the other on."""
        shared = Shared(tmp_path)
        shared.reports[1].write_text('{"end": "ModelError: force is not finite: atom 3"}')
        first, second = shared.look()
        assert first is None
        assert second.unphysical
        assert second.reason == (
            "driver gave this run up at step 0: ModelError: force is not finite: atom 3"
        )
        assert shared.started == []

    def test_an_input_of_another_model(self, tmp_path):
        shared = Shared(tmp_path)
        shared.reports[0].write_text('{"end": "InputError: asks for another model"}')
        first, second = shared.look()
        assert (first.state, first.unphysical, second) == ("failed", False, None)

    def test_an_end_in_peace_is_none(self, tmp_path):
        shared = Shared(tmp_path)
        shared.reports[0].write_text('{"end": "slow: EXIT from the server"}')
        assert shared.look() == [None, None]

    def test_an_exit_code_that_speaks_of_another(self, tmp_path, monkeypatch):
        """Told to leave by the last one, whose i-PI hasn't ended yet; the other was given up."""
        now = [1000.0]
        monkeypatch.setattr("ncforce_ipi.launch.watching.crew.time.monotonic", lambda: now[0])
        shared = Shared(tmp_path)
        shared.watches[1].ending = Ending("stopped", "not finite", unphysical=True)
        shared.reports[1].write_text('{"end": "OutputError: force is not finite: atom 3"}')
        shared.reports[0].write_text('{"end": "slow: EXIT from the server"}')
        shared.driver.child.code = 1
        shared.driver.child.words = "replica 1: force is not finite: atom 3"
        assert shared.look()[0] is None
        assert (shared.started, shared.driver.lost) == ([], False)
        now[0] += 30.0  # i-PI lives: somebody else had stopped the driver
        shared.watches[0].follower.step = 1
        assert shared.look()[0] is None
        assert shared.started == [[0]]

    def test_a_driver_that_dies_of_one_fails_both_but_one_ran_away(self, tmp_path):
        """A program that knows no reports to each: the other can go on from its checkpoint."""
        shared = Shared(tmp_path)
        shared.driver.child.code = 1
        shared.driver.child.words = "force is not finite: atom 3"
        shared.reports[1].write_text('{"end": "ModelError: force is not finite: atom 3"}')
        first, second = shared.look()
        assert (first.state, first.unphysical) == ("failed", False)
        assert second.unphysical
