"""What a run left behind, damaged anywhere: refused in one line, or read; never a traceback.

``run.json``, checkpoints, reports and pulses of drivers, the card of a model, settings of a site
and the state of a distillation, with random values in the place of others, or random bytes.
"""

import copy
import json
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ncforce_ipi.cli.ending import reason, spelt_out
from ncforce_ipi.cluster.settings import read_settings
from ncforce_ipi.distil.state import State
from ncforce_ipi.errors import InputError, NcforceError
from ncforce_ipi.inputs.plan import Plan
from ncforce_ipi.launch import compare, replicas, run
from ncforce_ipi.launch.directory import holder, resume
from ncforce_ipi.launch.jobs import record as records
from ncforce_ipi.launch.jobs.job import from_record, new_job
from ncforce_ipi.launch.run import start_of
from ncforce_ipi.launch.watching.answers import Heard
from ncforce_ipi.models.card import BAND, CARD_FILE, read_band
from ncforce_ipi.observables.dataset import open_dataset
from ncforce_ipi.reading.metadata import read_metadata
from ncforce_ipi.rundir import RECORD_FILE, find_record, read_record, replica_directories
from ncforce_ipi.serve.pulse import LAYOUT, live_file, this_machine

pytest.importorskip("ipi")

VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from([0, -1, 1, 10**30, -(10**30), 2**63, 0.5, -1.5, 1e308]),
    st.sampled_from([float("nan"), float("inf"), "", "nan", "../..", "\0", "\n", "a\nb", "\ud800"]),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.sampled_from([[], {}, [1], ["x"], {"x": 1}, [[]], [None]]),
)


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """A directory with the record of a run that was stopped, and that record."""
    directory = tmp_path_factory.mktemp("begun")
    job = new_job(directory, Plan("mts", 4, 0.5, 100), system="water")
    record = json.loads(json.dumps(records.new_record(job, start_of(job))))
    segment = {"from_step": 0, "to_step": 50, "wall_s": 1.0}
    record |= {
        "state": "running", "steps_done": 50, "segments": [segment],
        "processes": {"host": holder.of_this_launcher()["host"], "launcher": 1, "i-PI": 2},
        "timings": records.total_timings([segment], 4),
        "replicas": [{"directory": "replica-0", "seed": 1}],
    }  # fmt: skip
    return record


def places(value, path=()):
    """Every place of a tree."""
    yield path
    items = enumerate(value) if isinstance(value, list) else ()
    for key, one in value.items() if isinstance(value, dict) else items:
        yield from places(one, (*path, key))


@st.composite
def changes(draw):
    """Which places of a tree get which values; None for a place that is removed."""
    return draw(st.lists(
        st.tuples(st.integers(0, 10**6), st.one_of(st.just("gone"), VALUES)),
        min_size=1, max_size=3,
    ))  # fmt: skip


def changed(tree, what):
    """A copy of a tree with these changes."""
    tree = {"": copy.deepcopy(tree)}
    for number, value in what:
        there = list(places(tree))
        *path, last = there[1 + number % max(1, len(there) - 1)] or ("",)
        parent = tree
        for key in path:
            parent = parent[key]
        if value == "gone" and path:
            del parent[last]
        else:
            parent[last] = copy.deepcopy(value)
        if not list(places(tree))[1:]:
            break
    return tree[""]


def one_line(err):
    """As a command says it."""
    text = spelt_out(reason(err))
    assert text
    assert "\n" not in text
    assert len(text) < 1000


def each(functions):
    """Call all; what is refused is refused in one line."""
    for function in functions:
        try:
            function()
        except NcforceError as err:
            one_line(err)


@given(changes())
def test_a_record_with_other_values(begun, what):
    looked_through(json.dumps(changed(begun, what)).encode())


@given(st.integers(0, 10**6), st.binary(max_size=8), st.booleans())
def test_a_record_with_other_bytes(begun, place, new, cut):
    data = bytearray(json.dumps(begun).encode())
    place %= len(data)
    data[place : place + len(new)] = new
    looked_through(bytes(data[:place] if cut else data))


def looked_through(data):
    """All that reads ``run.json``, as it comes in a command."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / RECORD_FILE).write_bytes(data)
        (folder / "replica-0").mkdir()
        (folder / "replica-0" / RECORD_FILE).write_bytes(data)
        each([
            lambda: find_record(folder),
            lambda: replica_directories(folder),
            lambda: from_record(folder, read_record(folder)),
            lambda: read_metadata(folder),
            lambda: open_dataset([folder]),
            lambda: holder.said_of(folder),
            lambda: holder.not_ended(folder, read_record(folder)),
            lambda: compare.is_comparison(folder),
            lambda: going_on(folder),
            lambda: replicas._found(folder / "replica-0", [], None),
        ])  # fmt: skip


def going_on(folder):
    """As ``--resume`` does before i-PI starts, and at the end."""
    found = run.prepared(folder, [], None)
    if not isinstance(found, run.Outcome):
        run.close(found.job, found.record, run.Ending("stopped", "here"))


@pytest.mark.parametrize("lost", ["state", "segments", "n_atoms"])
def test_a_run_does_not_go_on_without(begun, tmp_path, lost):
    (tmp_path / RECORD_FILE).write_text(json.dumps({k: v for k, v in begun.items() if k != lost}))
    with pytest.raises(InputError, match=rf"run\.json of .* is damaged .no {lost}.; restore it"):
        run.prepared(tmp_path, [], None)


CHECKPOINT = """<simulation verbosity='low' floatformat='%.17e'>
 <output prefix='simulation'>
  <properties stride='1' filename='out'> [ step, time{picosecond} ] </properties>
  <trajectory stride='2' filename='pos' format='ase'> positions </trajectory>
  <checkpoint stride='10'/>
 </output>
 <step> 20 </step> <total_steps>100</total_steps>
</simulation>"""
OUT = "# step\n" + "".join(f"{step} {step * 0.002}\n" for step in range(31))
PIECES = ("-1", "0", "9" * 30, "nan", "", "<", "'", "../../x", "<!ENTITY a 'b'>", "\0", "stride=")


@given(
    st.lists(
        st.tuples(
            st.integers(0, 10**6), st.integers(0, 12),
            st.one_of(st.sampled_from(PIECES), st.text(max_size=6)),
        ), max_size=3,
    ),
    st.booleans(),
)  # fmt: skip
@example([(CHECKPOINT.index("out'"), 3, "../../x")], False)
@example([(CHECKPOINT.index("20"), 2, "9" * 5000)], False)
@example([(CHECKPOINT.index("1'"), 1, "0")], False)
def test_a_checkpoint(what, cut):
    text = CHECKPOINT
    for place, length, new in what:
        place %= len(text)
        text = text[:place] + new + text[place + length :]
    text = text[: len(text) // 2] if cut else text
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "a", "b", "run")
        folder.mkdir(parents=True)
        beside = folder.parents[1] / "x"
        beside.write_text(OUT)
        for file in ("RESTART", "input.xml"):
            (folder / file).write_text(text, encoding="utf-8", errors="surrogatepass")
        (folder / "simulation.out").write_text(OUT)
        each([lambda: resume.prepare(folder, 100), lambda: read_metadata(folder)])
        assert beside.read_text() == OUT  # nothing outside is touched


REPORT = {
    "model": "m", "model_sha256": None, "kinds": {"slow": "conservative"},
    "roles": {"slow": {"evaluations": 3, "model_s": 0.1, "wire_s": 0.1}}, "calls": {"joint": 1},
    "joint": None, "load_s": 0.1, "serve_s": 1.0, "end": "EXIT from the server",
}  # fmt: skip


@given(changes(), st.binary(max_size=60))
@example([], LAYOUT.pack(this_machine(), -1, 2**62, float("nan"), float("inf")))
def test_what_a_driver_left(what, pulse):
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "report.json"
        path.write_text(json.dumps(changed(REPORT, what)))
        heard = Heard(path, ours=True)
        for _ in range(2):
            assert isinstance(heard.end, str)
            assert isinstance(heard.error, str)
            each([lambda: heard.beat])
            live_file(path).write_bytes(pulse)


@given(changes())
def test_the_report_of_a_driver_in_a_record(begun, what):
    report = changed(REPORT, what)
    with tempfile.TemporaryDirectory() as name:
        job = from_record(Path(name), begun)
        for file in records.driver_names(job):
            path = Path(name) / records.report_file(file)
            path.parent.mkdir(exist_ok=True)
            path.write_text(json.dumps(report))
        entry = records.reported(job)
        assert entry is None or json.dumps(entry)


CARD = {
    BAND: {"expected": 0.1, "upper": 0.2},
    "student": {"name": "m", "sha256": "a"}, "teacher": {"name": "n", "sha256": "b"},
}  # fmt: skip


@given(st.one_of(changes(), st.binary(max_size=30)))
def test_the_card_of_a_model(what):
    with tempfile.TemporaryDirectory() as name:
        data = what if isinstance(what, bytes) else json.dumps(changed(CARD, what)).encode()
        (Path(name) / CARD_FILE).write_bytes(data)
        identity = {"name": "m", "file": "m.pt", "sha256": "a"}
        each([lambda: read_band(Path(name) / "m.pt", identity, identity | {"sha256": "b"})])


SITE = 'partition = "gpu"\ntime = "24:00:00"\nsbatch = ["--a=1"]\nsetup = ["x"]\n'


@given(st.integers(0, len(SITE)), st.one_of(st.text(max_size=8), st.sampled_from(PIECES)))
@example(0, "x = " + "[" * 5000)
@example(SITE.index("24"), "9" * 5000)
def test_settings_of_a_site(place, new):
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "slurm.toml"
        text = SITE[:place] + new + SITE[place:]
        path.write_bytes(text.encode(errors="surrogatepass"))
        each([lambda: read_settings(path)])


DISTILLATION = {
    "version": "0", "command": "ncforce distil", "calls": 3, "seconds": 1.0, "stages": {"a": {}},
    "request": {"teacher": "water"},
}  # fmt: skip


@given(changes())
def test_the_state_of_a_distillation(what):
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "distil.json").write_text(json.dumps(changed(DISTILLATION, what)))
        each([lambda: State.read(Path(name)).stages])


def test_what_is_damaged_here_is_valid(begun):
    """Else all of this would only see the first refusal."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / RECORD_FILE).write_text(json.dumps(begun))
        job = from_record(folder, read_record(folder))
        assert job.recipe.plan.n_outer == 100
        assert replica_directories(folder) == [folder / "replica-0"]
        assert run.prepared(folder, [], None).job == job
        (folder / RECORD_FILE).unlink()
        (folder / "RESTART").write_text(CHECKPOINT)
        (folder / "simulation.out").write_text(OUT)
        shutil.copy(folder / "simulation.out", folder / "simulation.pos_0.extxyz")
        assert resume.read(folder / "RESTART").step == 20
        assert read_settings_of(SITE).time == "24:00:00"


def read_settings_of(text):
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "s.toml").write_text(text)
        return read_settings(Path(name) / "s.toml")
