"""Runs in Python: the same numbers as of the command line, and a real run from a few words."""

import json

import numpy as np
import pytest
from ase.build import bulk

import ncforce_ipi as nc
from ncforce_ipi.cli import main
from ncforce_ipi.errors import InputError, RunError
from tests.synthetic_run import write_run

LENNARD_JONES = "analytic:lennard-jones"


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "one"
    write_run(path, n_outer=400)
    return path


def test_numbers_are_those_of_the_command_line(directory, tmp_path):
    run = nc.open_run(directory)
    for verb, found in (
        ("drift", run.drift()), ("temperature", run.temperature()), ("rdf", run.rdf()),
        ("vdos", run.vdos()),
    ):  # fmt: skip
        target = tmp_path / f"{verb}.json"
        assert main([verb, str(directory), "--json", str(target)]) == 0
        numbers = json.loads(target.read_text())
        del numbers["provenance"]
        ours = json.loads(json.dumps(nc_plain(found.to_dict())))
        assert ours == numbers
        assert len(str(found).splitlines()) >= 3


def nc_plain(numbers):
    from ncforce_ipi.result import plain

    return plain(numbers)


def test_results_have_what_a_script_wants(directory):
    run = nc.open_run(directory)
    assert run.drift().conserved.slope == pytest.approx(0.3, abs=0.01)  # what was written
    assert run.rdf()["H", "O"] is run.rdf()["O", "H"]
    assert run.temperature()["all"].value == pytest.approx(300.0, rel=0.05)  # random phases
    frames = run.trajectory("velocities").read()
    assert frames.values.shape == (len(frames.steps), 81, 3)
    assert frames.steps[0] == 25  # 0.1 ps of 4 fs left out
    whole = nc.open_run(directory, discard_ps=0.0)
    assert whole.trajectory("velocities").steps[0] == 0
    assert run.properties().column("time", "picosecond")[-1] == pytest.approx(1.6)
    assert run.record["plan"]["mts"] == 8


def test_comparison_and_page(directory, tmp_path):
    write_run(tmp_path / "two", n_outer=300)
    both = nc.compare([nc.open_run(directory), tmp_path / "two"])
    assert [line.split()[0] for line in both.table().splitlines()] == ["run", "one", "two"]
    assert set(both.to_dict()) == {"one", "two"}
    assert {path.name for path in both.write(tmp_path / "out")} >= {"compare.json", "rdf.png"}
    with pytest.raises(InputError, match="is not empty"):
        both.write(tmp_path / "out")
    page = nc.write_report([nc.open_run(directory)], tmp_path / "page.html", view=False)
    assert "Velocity spectra" in page.read_text()
    with pytest.raises(InputError, match=r"page\.html exists"):
        nc.open_run(directory).report(page, view=False)


def test_what_is_not_there_is_refused(tmp_path):
    with pytest.raises(InputError, match="nothing is missing"):
        nc.open_run(tmp_path / "nothing")
    with pytest.raises(InputError, match="discard_ps -1; expected 0 or more"):
        nc.open_run(tmp_path, discard_ps=-1.0)
    with pytest.raises(InputError, match="name a system"):
        nc.run(out=tmp_path / "x", model=LENNARD_JONES)
    assert not (tmp_path / "x").exists()


@pytest.mark.e2e
def test_a_run_of_atoms_in_memory_and_its_continuation(tmp_path):
    argon = bulk("Ar", "fcc", a=5.3, cubic=True) * (2, 2, 2)
    argon.rattle(0.05, seed=1)
    words = {"model": LENNARD_JONES, "structure": argon, "temperature_K": 40.0, "seed": 3}
    run = nc.run(**words, mts=4, time_ps=0.04, timestep_fs=0.5, out=tmp_path / "run")
    assert run.record["state"] == "finished"
    assert run.record["plan"]["forces"] == "mts"
    longer = nc.resume(tmp_path / "run", time_ps=0.08)
    assert longer.properties().column("step")[-1] == 40
    whole = nc.run(**words, mts=4, time_ps=0.08, timestep_fs=0.5, out=tmp_path / "whole")
    np.testing.assert_array_equal(
        whole.properties().column("conserved", "electronvolt"),
        longer.properties().column("conserved", "electronvolt"),
    )
    with pytest.raises(InputError, match="is not empty"):
        nc.run(**words, time_ps=0.04, out=tmp_path / "run")
    with pytest.raises(RunError, match="driver"):
        nc.run(
            model="analytic:harmonic", structure=argon, time_ps=0.01, out=tmp_path / "lost",
            driver_options=["--arguments", '{"nothing": 1}'],
        )  # fmt: skip


def test_atoms_go_into_a_run_with_all_that_they_have(tmp_path, monkeypatch, caplog):
    """All digits, masses, and constraints that no xyz file can say."""
    from ase.constraints import FixAtoms, FixedPlane

    from ncforce_ipi.inputs.held import held
    from ncforce_ipi.launch import run as launcher

    atoms = bulk("Ar", "fcc", a=5.3, cubic=True)
    atoms.positions += 1e-10 / 3
    atoms.set_masses([20.0] * 4)
    atoms.info |= {"a set": {1, 2}, "charge": -1}  # of no use in a run; said, as of a file
    atoms.set_constraint(FixAtoms([2]))
    found = []
    monkeypatch.setattr(
        launcher, "start", lambda job, force: found.append(launcher.check(job)) or 1 / 0
    )
    options = {"model": LENNARD_JONES, "forces": "slow", "time_ps": 0.01}
    with pytest.raises(ZeroDivisionError):
        nc.run(out=tmp_path / "run", structure=atoms, **options)
    assert "says charge=-1, which no model sees" in caplog.text
    (start,) = (one.atoms for one in found)
    assert np.array_equal(start.positions, atoms.positions)
    assert start.get_masses().tolist() == [20.0] * 4
    assert held(start)[:, 0].tolist() == [False, False, True, False]
    atoms.set_constraint(FixedPlane(0, (0, 0, 1)))
    with pytest.raises(InputError, match="constraint FixedPlane, which i-PI can't hold"):
        nc.run(out=tmp_path / "run", structure=atoms, **options)


class TestWhatPythonGives:
    """Numbers of numpy, paths, texts: the same run as with the words of the command line."""

    @pytest.fixture
    def made(self, tmp_path, monkeypatch):
        """A function that gives record, input and atoms of a run, which isn't started."""
        from ncforce_ipi.inputs.recipe import input_xml
        from ncforce_ipi.launch import run as launcher

        def make(**words):
            found = []
            monkeypatch.setattr(
                launcher, "start", lambda job, _: found.append(launcher.check(job)) or 1 / 0
            )
            with pytest.raises(ZeroDivisionError):
                nc.run(**{"system": "water", "out": tmp_path / "run", **words})
            (checked,) = found
            record = json.loads(json.dumps(checked.record))  # as run.json has it
            return record, input_xml(checked.job.recipe, checked.atoms), checked.atoms

        return make

    @pytest.mark.parametrize(
        ("words", "plain"),
        [
            ({"mts": np.int64(4)}, {"mts": 4}),
            ({"mts": 4.0}, {"mts": 4}),
            ({"temperature_K": np.int64(310)}, {"temperature_K": 310.0}),
            ({"timestep_fs": np.float32(0.25)}, {"timestep_fs": 0.25}),
            ({"time_ps": np.float32(0.5)}, {"time_ps": 0.5}),
            ({"seed": np.int32(7)}, {"seed": 7}),
            ({"masses_u": {"H": np.float32(2.0)}}, {"masses_u": {"H": 2.0}}),
            ({"write_forces": np.int64(5)}, {"write_forces": 5}),
            ({"write_forces": False}, {}),
            (
                {"ensemble": nc.Ensemble("langevin", np.float32(50), beads=np.int64(4))},
                {"ensemble": nc.Ensemble("langevin", 50.0, beads=4)},
            ),
            ({"driver_options": "--keep-net-force"}, {"driver_options": ["--keep-net-force"]}),
        ],
        ids=lambda words: " ".join(words) or "nothing",
    )
    def test_it_is_the_same_run(self, made, words, plain):
        found, expected = made(**words), made(**plain)
        assert found[1] == expected[1]
        assert found[0] == expected[0]

    def test_momenta_of_atoms(self, made, caplog):
        """They are start velocities where that is asked for; else they are said."""
        argon = bulk("Ar", "fcc", a=5.3, cubic=True)
        momenta = np.random.default_rng(1).normal(size=(4, 3))
        momenta -= momenta.mean(axis=0)
        argon.set_momenta(momenta)
        words = {"system": None, "model": LENNARD_JONES, "structure": argon, "forces": "slow"}
        _, text, _ = made(**words)
        assert "the atoms have momenta, which are not used: velocities are random" in caplog.text
        assert '<velocities mode="thermal"' in text
        caplog.clear()
        _, text, atoms = made(**words, velocities=argon)
        assert "not used: velocities are random" not in caplog.text
        assert '<velocities mode="xyz">' in text
        np.testing.assert_array_equal(atoms.get_momenta(), momenta)

    def test_a_path_of_a_model(self, made, tmp_path):
        from ncforce_ipi.models import model_path

        (tmp_path / "it's mine.pt").symlink_to(model_path("water"))
        record, _, _ = made(model=tmp_path / "it's mine.pt", structure="water")
        assert record["driver"]["model"] == str(tmp_path / "it's mine.pt")
        assert record["driver"]["family"] == "metatomic"

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            ({"mts": 2.5}, "mts: expected a whole number, got 2.5"),
            ({"seed": 1.5}, "seed: expected a whole number, got 1.5"),
            ({"threads": 1.5}, "threads: expected a whole number, got 1.5"),
            ({"temperature_K": [300, 320]}, "temperature_K: expected a number, got"),
            ({"device": ["cuda:0"]}, "device: expected 'cuda:0,cuda:1', got"),
            ({"driver_options": "--x 'a"}, "driver options: a quote isn't closed"),
            ({"driver_options": "--role fast"}, "--role among the options of a driver"),
        ],
    )
    def test_what_makes_no_run_is_refused(self, tmp_path, words, said):
        with pytest.raises(InputError, match=said):
            nc.run("water", out=tmp_path / "run", **words)
