"""Optimisations of known force fields: success, floors, fast forces first, failures, files."""

import csv
import dataclasses
import functools
import json
import os
import zlib

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.constraints import FixAtoms, FixCartesian

from ncforce_ipi.backend import Backend, Evaluation, Structure
from ncforce_ipi.cli import main
from ncforce_ipi.cli.optimize import Opening, _group, open_sides
from ncforce_ipi.diagnostics import batch
from ncforce_ipi.diagnostics.optimise import (
    Settings,
    at_rest,
    displaced,
    optimise,
)
from ncforce_ipi.diagnostics.optimise_report import median_trace, saved
from ncforce_ipi.diagnostics.sides import Side
from ncforce_ipi.diagnostics.verdict import at_floor, judge, stopped_falling
from ncforce_ipi.errors import InputError, ModelError
from ncforce_ipi.inputs.held import held
from ncforce_ipi.inputs.structure import read_structure
from ncforce_ipi.reading.images import read_images
from ncforce_ipi.reading.structures import g2_closed_shell, read_frames, to_structure
from tests.synthetic_run import write_record

NO_CELL = np.zeros((3, 3))
FATAL, WRONG = 2, 3  # atomic numbers at which the model below ends its process, or fails


class Springs(Backend):
    """A chain of springs; direct forces have noise that depends on the positions alone."""

    kinds = stress = frozenset({"conservative", "direct"})
    description = "springs"

    def __init__(self, noise=1e-3):
        self.noise = noise

    def evaluate(self, structure, wanted):
        if structure.numbers[0] == FATAL:
            os._exit(1)
        if structure.numbers[0] == WRONG:
            raise ModelError("this one can't be done")
        d = np.diff(structure.positions, axis=0)
        r = np.linalg.norm(d, axis=1)
        pull = (5.0 * (r - 1.0) / r)[:, None] * d
        forces = np.zeros_like(structure.positions)
        forces[:-1] += pull
        forces[1:] -= pull
        energy = 2.5 * float(np.sum((r - 1.0) ** 2))
        bits = zlib.crc32(structure.positions.tobytes())
        wild = forces + self.noise * np.random.default_rng(bits).normal(size=forces.shape)
        everything = {"conservative": forces, "direct": wild}
        return {k: Evaluation(energy, everything[k], np.zeros((3, 3))) for k in wanted.kinds}


def sides(noise=1e-3):
    springs = Springs(noise)
    return Side(springs, "conservative"), Side(springs, "direct")


@pytest.fixture
def chain():
    random = np.random.default_rng(0)
    positions = np.arange(5)[:, None] * np.array([1.0, 0.0, 0.0])
    return displaced(Structure(np.full(5, 6, np.int32), positions, NO_CELL), 0.2, random)


@pytest.mark.parametrize("optimiser", ["FIRE", "LBFGS"])
def test_slow_forces_converge(chain, optimiser):
    outcome = optimise(*sides(), "slow", chain, Settings(1e-5, 1000, optimiser))
    assert (outcome.converged, outcome.verdict) == (True, "converged")
    assert outcome.trace[-1] <= 1e-5 < outcome.trace[0]
    assert outcome.n_fast == 0
    assert 0 < outcome.cpu_seconds < 60
    assert outcome.n_slow == pytest.approx(len(outcome.trace), abs=1)
    assert outcome.energy < 1e-10
    bonds = np.linalg.norm(np.diff(outcome.structure.positions, axis=0), axis=1)
    np.testing.assert_allclose(bonds, 1.0, atol=1e-5)


@pytest.mark.parametrize("optimiser", ["FIRE", "LBFGS"])
def test_a_noisy_force_stays_at_its_floor(chain, optimiser):
    outcome = optimise(*sides(), "fast", chain, Settings(1e-5, 600, optimiser))
    assert (outcome.converged, outcome.verdict) == (False, "floor")
    assert len(outcome.trace) == 601
    # the largest of five atoms' noise of 1e-3 each way
    assert 5e-4 < np.median(outcome.trace[-50:]) < 1e-2
    assert "no longer fall" in outcome.reason
    assert outcome.n_slow == 0


def test_too_few_steps_are_said_to_be_that(chain):
    outcome = optimise(*sides(), "slow", chain, Settings(1e-12, 8, "LBFGS"))
    assert (outcome.converged, outcome.verdict) == (False, "out of steps")
    assert "ran out of steps" in outcome.reason


def test_fast_forces_first_save_slow_ones(chain):
    settings = Settings(1e-5, 1000, "FIRE")
    alone = optimise(*sides(), "slow", chain, settings)
    both = optimise(*sides(), "fast-then-slow", chain, settings)
    assert both.converged
    assert 0 < both.n_slow < alone.n_slow
    assert both.n_fast > 0
    assert both.energy == pytest.approx(alone.energy, abs=1e-8)
    # the slow part starts where the fast forces were smallest
    assert both.trace[both.n_fast] < 20 * min(both.trace[: both.n_fast])


def test_a_pause_isnt_a_floor():
    """A liquid falls for 200 steps, pauses for 90, goes on; noise around a level is a floor."""
    fall = list(np.geomspace(3.0, 0.02, 200))
    pause = [0.03] * 90
    assert not any(stopped_falling((fall + pause)[:n]) for n in range(1, 290))
    assert not stopped_falling([*fall, *pause, 0.01])
    level = np.random.default_rng(0).uniform(0.02, 0.03, 300)
    stops = next(n for n in range(500) if stopped_falling([*fall, *level][:n]))
    assert 390 < stops < 450  # as many steps at the floor as it took to get there
    assert stopped_falling([1.0] * 61)
    assert not stopped_falling([1.0] * 60)
    assert at_floor([*fall, *level], "LBFGS")
    assert not at_floor(
        [*fall, *level[:100]], "LBFGS"
    )  # a third of the steps: the next ones may fall


def test_a_slow_descent_isnt_a_floor():
    """FIRE in a liquid: forces fall as a power of the steps, and swing by a factor of two."""
    steps = np.arange(1, 1001)
    for power in (0.5, 1.0):
        trace = steps**-power * (1 + 0.33 * np.sin(steps / 7))
        assert not any(at_floor(trace[:n], "FIRE") for n in range(1, 1001))


def test_few_steps_are_never_a_floor():
    """50 steps of an even force say nothing of the ones to come."""
    verdict, reason = judge([1.0] * 51, converged=False, stuck=False, fmax=1e-4, optimiser="LBFGS")
    assert verdict == "out of steps"
    assert "allow more steps" in reason
    verdict, reason = judge([1.0] * 301, converged=False, stuck=False, fmax=1e-4, optimiser="LBFGS")
    assert verdict == "floor"
    assert "no longer fall: they stay near 1.0e+00 eV/A" in reason


def test_slow_forces_are_judged_alone(chain):
    """After fast forces with a floor of 1e-3 eV/A a few slow steps aren't a floor too."""
    outcome = optimise(*sides(), "fast-then-slow", chain, Settings(1e-13, 150, "FIRE"))
    assert 0 < outcome.n_slow < 60 < outcome.n_fast
    assert outcome.verdict == "out of steps"


def test_what_flies_apart_fails_in_words(chain):
    class Repulsive(Springs):
        def evaluate(self, structure, wanted):
            found = super().evaluate(structure, wanted)
            return {k: Evaluation(0.0, -1e3 * e.forces, e.virial) for k, e in found.items()}

    side = Side(Repulsive(0.0), "conservative")
    outcome = optimise(side, None, "slow", chain, Settings(1e-5, 1000, "FIRE"))
    assert (outcome.converged, outcome.verdict) == (False, "failed")
    assert "flew apart" in outcome.reason
    missing = optimise(side, None, "fast", chain, Settings(1e-5, 10, "FIRE"))
    assert missing.reason == "no fast forces were given"


@pytest.mark.parametrize("method", ["slow", "fast-then-slow"])
def test_an_optimiser_that_divides_by_zero_is_at_a_floor(chain, method):
    """L-BFGS divides by the change of the forces, which rounding can make zero."""

    class Constant(Springs):
        def evaluate(self, structure, wanted):
            found = super().evaluate(structure, wanted)
            pull = np.zeros((5, 3))
            pull[0, 0], pull[4, 0] = -1e-4, 1e-4
            return {k: Evaluation(0.0, pull, e.virial) for k, e in found.items()}

    both = Side(Constant(), "conservative"), Side(Constant(), "direct")
    with np.errstate(all="ignore"):
        outcome = optimise(*both, method, chain, Settings(1e-5, 1000, "LBFGS"))
    assert (outcome.converged, outcome.verdict) == (False, "floor")
    assert "stay near 1.0e-04 eV/A, above fmax = 1e-05 eV/A" in outcome.reason
    assert np.isfinite(outcome.structure.positions).all()
    assert outcome.n_slow + outcome.n_fast == len(outcome.trace) < 1000
    assert outcome.n_slow > 0


def test_an_optimiser_that_divides_by_zero_after_a_fall_is_at_a_floor_too():
    """Its forces fell until then, but more steps can't help."""
    trace = [1.0, 0.5, 0.2, 0.05, 0.01, 2e-3, 4e-4, 4e-4]
    for stuck, expected in ((True, "floor"), (False, "out of steps")):
        found, _ = judge(trace, converged=False, stuck=stuck, fmax=1e-5, optimiser="LBFGS")
        assert found == expected


def test_positions_that_are_no_numbers_fail_in_words(chain):
    chain.positions[0, 0] = np.nan
    outcome = optimise(*sides(), "slow", chain, Settings(1e-5, 10, "FIRE"))
    assert (outcome.verdict, outcome.n_slow) == ("failed", 0)
    assert outcome.reason == "the positions at the start are not finite"


def test_a_saving_without_energies_says_nothing_of_them(chain):
    """Slow forces that are direct have no energy."""
    direct = sides(0.0)[1]
    task = batch.Task("x", "x@0", chain, "slow", Settings(1e-5, 1000, "FIRE"))
    both = [task, dataclasses.replace(task, method="fast-then-slow")]
    (line,) = saved([(t, optimise(direct, direct, t.method, chain, t.settings)) for t in both])
    assert "over 1 structures" in line
    assert "energy" not in line


def test_direct_forces_come_to_rest():
    """No net force, no net torque; rotations and translations are all that is taken out."""
    h2o = to_structure(molecule("H2O"))
    random = np.random.default_rng(0)
    forces = random.normal(size=(3, 3))
    still = at_rest(forces, h2o.positions, isolated=True)
    np.testing.assert_allclose(still.sum(axis=0), 0, atol=1e-14)
    r = h2o.positions - h2o.positions.mean(axis=0)
    np.testing.assert_allclose(np.cross(r, still).sum(axis=0), 0, atol=1e-14)
    np.testing.assert_allclose(at_rest(still, h2o.positions, isolated=True), still, atol=1e-14)
    periodic = at_rest(forces, h2o.positions, isolated=False)
    np.testing.assert_allclose(periodic, forces - forces.mean(axis=0), atol=1e-15)
    line = np.array([[0.0, 0, 0], [0, 0, 1.1]])  # has no inertia along itself
    turned = at_rest(np.array([[0.5, 0, 1.0], [-0.5, 0, -1.0]]), line, isolated=True)
    np.testing.assert_allclose(turned, [[0, 0, 1.0], [0, 0, -1.0]], atol=1e-12)


def open_springs(noise):
    return sides(noise)


def test_a_failed_structure_never_stops_the_rest(chain):
    """One raises, one kills its process; all others are optimised, in two processes."""
    first = {1: WRONG, 3: FATAL}
    tasks = []
    for k in range(6):
        numbers = chain.numbers.copy()
        numbers[0] = first.get(k, 6)
        start = Structure(numbers, chain.positions, NO_CELL)
        tasks.append(batch.Task("chains", f"{k}", start, "slow", Settings(1e-4, 500, "FIRE")))
    found = dict(batch.run(tasks, functools.partial(open_springs, 0.0), 2))
    assert sorted(found) == list(range(6))
    assert [found[k].converged for k in range(6)] == [k not in first for k in range(6)]
    assert found[1].reason == "this one can't be done"
    assert found[3].reason == "its process died, twice"


@pytest.fixture
def argon_file(tmp_path):
    """Four atoms near the minimum of Lennard-Jones, without a cell."""
    random = np.random.default_rng(0)
    corners = 3.8 * np.array([[0, 0, 0], [1, 0, 0], [0.5, 0.87, 0], [0.5, 0.29, 0.82]])
    rows = corners + random.normal(0, 0.1, (4, 3))
    lines = "\n".join(f"Ar {x} {y} {z}" for x, y, z in rows)
    (tmp_path / "ar4.xyz").write_text(f"4\n\n{lines}\n")
    return tmp_path


def test_table_and_files(argon_file, capsys):
    out = argon_file / "out"
    # FIRE settles slowly where forces are of 0.01 eV/A^2: a tetrahedron of 6 bonds
    words = ["optimize", str(argon_file / "ar4.xyz"), "--slow", "analytic:lennard-jones"]
    words += ["--optimizer", "LBFGS", "--copies", "2", "--displace-A", "0.1"]
    words += ["--fmax-eV-per-A", "1e-4", "--steps", "200", "--out", str(out)]
    assert main(words) == 0
    text = capsys.readouterr().out
    assert "100 % (2/2)" in text
    assert "fast forces first: " in text
    assert "median structure: " in text
    record = json.loads((out / "optimize.json").read_text())
    assert set(record["provenance"]) >= {"version", "command", "models"}
    runs = record["results"]["optimisations"]
    assert len(runs) == 6
    slow = [r for r in runs if r["forces"] == "slow"]
    assert all(r["verdict"] == "converged" for r in slow)
    # six bonds of epsilon, raised by the shift at the cutoff (LennardJones in formulas.py)
    assert slow[0]["energy_eV"] == pytest.approx(slow[1]["energy_eV"], abs=1e-6)
    rows = [line for line in (out / "optimize.csv").read_text().splitlines() if line[0] != "#"]
    assert len(list(csv.reader(rows))) == 7
    assert (out / "optimize.png").read_bytes().startswith(b"\x89PNG")
    assert (out / "optimized.xyz").read_text().count("Ar ") == 24
    assert main(words) == 2
    assert "use --force" in capsys.readouterr().err


def test_masses_are_kept_for_a_run_from_the_optimised_structure(tmp_path):
    """The file's, or those of the run that wrote it; no column where they are ASE's."""
    atoms = Atoms("Ar2", [[0, 0, 0], [3.9, 0, 0]])
    atoms.write(tmp_path / "plain.xyz")
    atoms.set_masses([39.948, 39.948])
    atoms.write(tmp_path / "same.xyz")
    atoms.set_masses([36.0, 40.0])
    atoms.write(tmp_path / "heavy.xyz")
    atoms = Atoms("Ar2", [[0, 0, 0], [3.9, 0, 0]])
    atoms.info["ipi_comment"] = "Step: 20 Bead: 0 positions{ase} cell{ase}"
    (tmp_path / "run").mkdir()
    atoms.write(tmp_path / "run" / "simulation.pos_0.extxyz")
    write_record(tmp_path / "run", 2, masses_u={"Ar": 20.0})
    files = [tmp_path / f"{name}.xyz" for name in ("plain", "same", "heavy")]
    files.append(tmp_path / "run" / "simulation.pos_0.extxyz")
    out = tmp_path / "out"
    words = ["optimize", *map(str, files), "--slow", "analytic:lennard-jones", "--steps", "50"]
    assert main([*words, "--forces", "slow", "--fmax-eV-per-A", "1e-3", "--out", str(out)]) == 0
    found = [one.atoms for one in read_images(str(out / "optimized.xyz"))]
    assert [one.has("masses") for one in found] == [False, False, True, True]
    assert found[2].get_masses().tolist() == [36.0, 40.0]
    assert found[3].get_masses().tolist() == [20.0, 20.0]


def test_atoms_that_a_run_held_are_said_to_move(tmp_path, caplog):
    """A frame of its trajectory has no constraint."""
    atoms = Atoms("Ar2", [[0, 0, 0], [3.9, 0, 0]])
    atoms.info["ipi_comment"] = "Step: 20 Bead: 0 positions{ase} cell{ase}"
    path = tmp_path / "simulation.pos_0.extxyz"
    atoms.write(path)
    tasks = functools.partial(batch.tasks, methods=["slow"])
    tasks({"x": read_frames([str(path)], of_runs=True)})
    assert "held" not in caplog.text
    (tmp_path / "input.xml").write_text(
        "<simulation><output prefix='simulation'/><system><motion mode='dynamics'>"
        "<fixatoms> [ 1 ] </fixatoms></motion></system></simulation>"
    )
    tasks({"x": read_frames([str(path)], of_runs=True)})
    assert "simulation.pos_0.extxyz@0 has atoms that are held; an optimisation here" in caplog.text


@pytest.mark.parametrize("ending", ["traj", "extxyz"])
def test_what_was_held_is_in_the_optimised_structure(tmp_path, ending):
    """So that a run that starts from it holds the same; whole atoms, or some of the coordinates."""
    dimer = Atoms("Ar2", [[0, 0, 0], [3.9, 0, 0]], cell=[25.0] * 3, pbc=True)
    whole, partly = dimer.copy(), dimer.copy()
    whole.set_constraint(FixAtoms([1]))
    partly.set_constraint([FixAtoms([0]), FixCartesian([1], (False, False, True))])
    partly.set_masses([36.0, 40.0])
    files = []
    for name, atoms in (("free", dimer), ("whole", whole), ("partly", partly)):
        files.append(str(tmp_path / f"{name}.{ending}"))
        atoms.write(files[-1])
    (tmp_path / "run").mkdir()
    dimer.info["ipi_comment"] = "Step: 20 Bead: 0 positions{ase} cell{ase}"
    files.append(str(tmp_path / "run" / "simulation.pos_0.extxyz"))
    dimer.write(files[-1])
    (tmp_path / "run" / "input.xml").write_text(
        "<simulation><output prefix='simulation'/><system><motion mode='dynamics'>"
        "<fixatoms> [ 0 ] </fixatoms></motion></system></simulation>"
    )
    words = ["optimize", *files, "--slow", "analytic:lennard-jones", "--steps", "50"]
    words += ["--fmax-eV-per-A", "1e-3", "--out", str(tmp_path / "out")]
    assert main([*words, "--forces", "slow"]) == 0
    written = tmp_path / "out" / "optimized.xyz"
    found = [held(read_structure(f"{written}@{k}")).astype(int).tolist() for k in range(4)]
    free, fixed = [0, 0, 0], [1, 1, 1]
    assert found == [[free, free], [free, fixed], [fixed, [0, 0, 1]], [fixed, free]]
    assert read_structure(f"{written}@2").get_masses().tolist() == [36.0, 40.0]
    bond = [one.atoms.get_distance(0, 1) for one in read_images(str(written))]
    np.testing.assert_allclose(bond, bond[0], atol=1e-8)  # all atoms move; 8 decimals


@pytest.mark.parametrize("pbc", [(False, False, False), (True, True, False), (True, True, True)])
def test_the_room_around_a_molecule_or_slab_stays(tmp_path, pbc):
    """Lattice vectors without periodicity, which a run closes, and refuses a molecule without."""
    atoms = Atoms("Ar2", [[8, 8, 8], [11.9, 8, 8]], cell=[21.0, 22.0, 23.0], pbc=pbc)
    atoms.write(tmp_path / "two.extxyz")
    words = ["optimize", str(tmp_path / "two.extxyz"), "--slow", "analytic:lennard-jones"]
    words += ["--forces", "slow", "--fmax-eV-per-A", "1e-3", "--out", str(tmp_path / "out")]
    assert main(words) == 0
    (found,) = read_images(str(tmp_path / "out" / "optimized.xyz"))
    assert found.atoms.cell.lengths().tolist() == [21.0, 22.0, 23.0]
    assert tuple(found.atoms.pbc) == pbc
    assert len(read_structure(str(tmp_path / "out" / "optimized.xyz"))) == 2


def test_what_is_done_is_written_when_stopped(argon_file, capsys, monkeypatch):
    """Ctrl-C after the second of twelve."""

    def two(tasks, open_sides, processes):
        for done, found in enumerate(run(tasks, open_sides, processes)):
            if done == 2:
                raise KeyboardInterrupt
            yield found

    run = batch.run
    monkeypatch.setattr(batch, "run", two)
    out = argon_file / "out"
    words = ["optimize", str(argon_file / "ar4.xyz"), "--slow", "analytic:lennard-jones"]
    words += ["--copies", "4", "--displace-A", "0.05", "--fmax-eV-per-A", "1e-4"]
    assert main([*words, "--steps", "100", "--out", str(out)]) == 1
    assert "stopped; writing the 2 of 12" in capsys.readouterr().err
    record = json.loads((out / "optimize.json").read_text())
    assert len(record["results"]["optimisations"]) == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--slow", "ase:ase.calculators.emt:EMT", "--forces", "fast"], "name a --fast model"),
        (["--fmax-eV-per-A", "-1"], "fmax must be a positive force"),
        (["--steps", "0"], "one step or more"),
        (
            ["--fast", "ase:ase.calculators.emt:EMT", "--fast-kind", "direct"],
            "--fast-kind: ase.calculators.emt:EMT",
        ),
        (["--fast-kind", "conservative"], "has no conservative forces besides the slow ones"),
        (
            ["--slow", "ase:ase.calculators.emt:EMT", "--fast-kind", "direct"],
            "has no direct forces besides the slow ones, which are conservative",
        ),
        (["--copies", "0"], "expected 1 or more copies"),
        (["--copies", "3"], "without a displacement are 3 times the same"),
        (["--displace-A", "nan"], "expected a displacement of 0 to 10 A"),
        (["ar4.xyz@0"], "two structures are called ar4.xyz@0"),
    ],
)
def test_mistakes_are_one_line(argon_file, capsys, monkeypatch, words, message):
    model = [] if "--slow" in words else ["--slow", "analytic:lennard-jones"]
    monkeypatch.chdir(argon_file)
    assert main(["optimize", "ar4.xyz", *words, *model, "--out", str(argon_file / "o")]) == 2
    assert message in capsys.readouterr().err.splitlines()[-1]
    assert not (argon_file / "o").exists()


def test_the_median_of_traces_of_different_lengths():
    """One that has converged counts with its last force."""
    found = median_trace([[4.0, 2.0, 1.0], [9.0, 0.1], [3.0, 3.0, 3.0, 3.0]])
    np.testing.assert_array_equal(found, [4.0, 2.0, 1.0, 1.0])


def test_sets_are_named_after_their_files():
    assert _group("g2") == "g2"
    assert _group("path/held_out.xyz.xz@:9") == "held_out"


def test_settings_that_make_no_sense():
    with pytest.raises(InputError, match="optimisers are FIRE, LBFGS, got 'Newton'"):
        Settings(1e-3, 10, "Newton")


def test_molecules_of_g2():
    frames = g2_closed_shell()
    names = [frame.name for frame in frames]
    assert len(frames) == 73
    assert {"g2:H2O", "g2:C6H6", "g2:CH3CONH2"} <= set(names)
    assert not {"g2:CH3", "g2:O2", "g2:LiH", "g2:H"} & set(names)
    assert all(set(f.structure.numbers) <= {1, 6, 7, 8, 9} for f in frames)


def test_models_are_turned_to_float64_on_request():
    """Both sides are of one model; its rounding is then gone."""
    h2o = to_structure(molecule("H2O"))
    found = {}
    for precision in ("model", "float64"):
        slow, fast = open_sides(Opening("water", None, None, False, precision, 1))
        assert fast is not None
        assert fast.backend is slow.backend
        forces = slow.forces(h2o)
        found[precision] = forces, np.array_equal(forces, forces.astype(np.float32))
    assert found["model"][1]
    assert not found["float64"][1]
    # rounding of float32 forces of up to 1 eV/A
    np.testing.assert_allclose(found["model"][0], found["float64"][0], atol=1e-5)


def test_models_that_keep_their_precision_say_so(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    molecule("H2O").write("h2o.xyz")
    words = ["optimize", "h2o.xyz", "--precision", "float64", "--steps", "1", "--processes", "1"]
    lj = "ase:ase.calculators.lj:LennardJones"
    assert main([*words, "--model", lj, "--out", "one"]) == 2
    assert "--precision float64 turns metatomic models, and" in capsys.readouterr().err
    more = ["--fast", lj, "--forces", "slow", "fast", "--out", "two"]
    assert main([*words, "--model", "water", *more]) in (0, 1)
    assert "stays in its own precision: only metatomic models are turned" in capsys.readouterr().err


def test_a_fast_model_that_gives_nothing_is_said(argon_file, capsys):
    words = ["optimize", str(argon_file / "ar4.xyz"), "--model", "analytic:lennard-jones"]
    words += ["--fast", "analytic:harmonic", "--steps", "2", "--out", str(argon_file / "o")]
    assert main([*words, "--forces", "slow"]) == 0
    assert "--fast analytic:harmonic isn't used: --forces slow" in capsys.readouterr().err
    assert main([*words, "--forces", "slow", "fast", "--force"]) == 0
    assert "isn't used" not in capsys.readouterr().err
