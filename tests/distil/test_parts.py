"""Choices, displaced copies, what is picked, the record: without a model."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.constraints import FixAtoms

from ncforce_ipi.diagnostics.bonds import bonds
from ncforce_ipi.distil import choices, points, rounds, selection
from ncforce_ipi.distil.displaced import displaced
from ncforce_ipi.distil.inspection import inspected, why_not
from ncforce_ipi.distil.request import Condition, conditions
from ncforce_ipi.distil.state import FILE, State
from ncforce_ipi.distil.teacher import with_labels
from ncforce_ipi.distil.trial import Trial, of_drift_or, telling_ps
from ncforce_ipi.errors import InputError
from ncforce_ipi.inputs.held import HELD, held
from ncforce_ipi.reading.structures import to_structure
from ncforce_ipi.rundir import DISAGREEING_FILE

from .made import request_of, salt, session_of, trial


def chosen(tmp_path, atoms, teacher_s=0.5, **words):
    path = tmp_path / "start.xyz"
    atoms.write(path)
    request = request_of(path, **words)
    return choices.choose(request, conditions(request, tmp_path), teacher_s)


@pytest.mark.parametrize(
    ("answer", "largest", "bound", "expected"),
    [
        ("passes", 9.0, 9.0, ("passes", False)),
        ("fails", 0.1, 0.1, ("fails", False)),  # slow forces alone drift the other way
        ("open", 0.4, 9.0, ("passes", False)),  # their run was too short, this one wasn't
        ("open", 0.6, 0.4, ("passes", True)),
        ("open", math.nan, 0.4, ("passes", True)),
        ("open", 0.6, 0.6, ("open", False)),
        ("open", math.nan, math.nan, ("open", False)),
    ],
)
def test_a_drift_passes_by_itself_or_by_what_changed(answer, largest, bound, expected):
    assert of_drift_or(answer, largest, bound, 0.5) == expected


@pytest.mark.parametrize(
    ("atoms", "step_fs", "tensors"),
    [(salt(), 2.0, 0), (bulk("C", cubic=True) * (2, 2, 2), 1.0, 16),
     (bulk("LiH", "rocksalt", a=4.1, cubic=True) * (2, 2, 2), 0.5, 0)],
    ids=["NaCl", "diamond", "LiH"],
)  # fmt: skip
def test_the_step_follows_the_lightest_atom_and_tensors_the_elements(
    tmp_path, atoms, step_fs, tensors
):
    found = chosen(tmp_path, atoms)
    assert (found.timestep_fs, found.tensor_channels) == (step_fs, tensors)


def test_the_cutoff_holds_forty_neighbours(tmp_path):
    """Of NaCl: shells of 6, 12, 8, 6, 24 neighbours; the fortieth is of the fifth, sqrt(5) a/2."""
    assert chosen(tmp_path, salt()).cutoff_A == 6.0  # 6.6 A, beyond the largest
    small = bulk("NaCl", "rocksalt", a=5.0, cubic=True) * (3, 3, 3)
    assert chosen(tmp_path, small).cutoff_A == pytest.approx(2.5 * math.sqrt(5.0), abs=0.05)


def test_a_budget_of_minutes_becomes_calls(tmp_path):
    assert chosen(tmp_path, salt(), minutes=60.0, teacher_s=0.9).calls == 2000
    assert chosen(tmp_path, salt(), minutes=60.0, teacher_calls=700).calls == 700
    assert chosen(tmp_path, salt(), temperatures_K=(300.0, 1000.0)).calls == 4000


@pytest.mark.parametrize(("minutes", "scalars", "tensors"), [(30, 0, 0), (40, 1, 0), (60, 1, 1)])
def test_what_takes_long_to_compile_is_compiled_for_long_trainings(
    tmp_path, monkeypatch, minutes, scalars, tensors
):
    monkeypatch.setattr(choices.shutil, "which", lambda name: name)
    diamond = bulk("C", cubic=True) * (2, 2, 2)
    found = [chosen(tmp_path, atoms, minutes=minutes).compiled for atoms in (salt(), diamond)]
    assert found == [bool(scalars), bool(tensors)]


def test_what_the_user_says_replaces_choices(tmp_path):
    found = chosen(tmp_path, salt(), changes={"cutoff_A": "5", "compiled": "false", "rounds": 2})
    assert (found.cutoff_A, found.compiled, found.rounds) == (5.0, False, 2)
    lines = {name: (value, reason) for name, value, reason in found.lines({"rounds": 2})}
    assert lines["rounds"] == ("2", "yours")
    assert set(lines) == set(found.to_dict())  # every choice has a reason


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"changes": {"cut": "5"}}, "no choice 'cut'"),
        ({"changes": {"rounds": "many"}}, "rounds = 'many'; expected a value of type int"),
        ({"changes": {"cutoff_A": "nan"}}, "cutoff_A = 'nan'"),
        ({"teacher_calls": 200}, "200 calls of the teacher are too few"),
        ({"teacher_calls": 20}, "--teacher-calls 20; expected 100 or more"),
        ({"temperatures_K": (-3.0,)}, "temperature -3 K"),
        ({"temperatures_K": (300.0, 300.0)}, "given twice"),
        ({"mts": 1}, "--mts 1; expected 2 to 64"),
        ({"minutes": math.nan}, "--minutes nan"),
    ],
)
def test_what_makes_no_sense_is_refused(tmp_path, words, said):
    with pytest.raises(InputError, match=said):
        chosen(tmp_path, salt(), **words)


def test_the_manual_has_every_choice_with_its_reason():
    page = (Path(__file__).parents[2] / "docs" / "tutorials" / "distil.md").read_text("utf-8")
    lost = [name for name, why in choices.REASONS.items() if f"| `{name}` | {why} |" not in page]
    assert lost == []


def test_a_molecule_without_a_cell_gets_room(tmp_path):
    path = tmp_path / "water.xyz"
    molecule("H2O").write(path)
    (system,) = conditions(request_of(path), tmp_path / "start")
    extent = np.ptp(molecule("H2O").positions, axis=0)
    assert np.diag(system.atoms.cell.array) == pytest.approx(extent + 20.0)
    (copy,) = list(displaced(system.atoms, 2, 0.01, 0.1, np.random.default_rng(0)))[1:]
    assert np.array_equal(copy.cell.array, system.atoms.cell.array)  # there is nothing to strain
    with pytest.raises(InputError, match=r"water\.xyz has vacuum, which a barostat would close"):
        conditions(request_of(path, npt=True), tmp_path / "start")


def test_a_molecule_that_gets_room_keeps_masses_and_what_is_held(tmp_path):
    """It is centred, with the atoms that are held."""
    path = tmp_path / "heavy.traj"
    atoms = molecule("CH3OH")
    atoms.set_masses([12.0, 16.0, 2.0, 2.0, 2.0, 2.0])
    atoms.set_constraint(FixAtoms([0]))
    atoms.write(path)
    (system,) = conditions(request_of(path), tmp_path / "start")
    assert system.atoms.get_masses().tolist() == [12.0, 16.0, 2.0, 2.0, 2.0, 2.0]
    assert held(system.atoms).all(axis=1).tolist() == [True] + 5 * [False]
    assert system.atoms.get_distance(0, 1) == pytest.approx(atoms.get_distance(0, 1))


def test_displaced_copies_keep_what_must_stay():
    """Vacuum isn't strained, atoms that are held stay, the scale is the one asked for."""
    random = np.random.default_rng(0)
    sheet = Atoms("C2", [[0, 0, 7.5], [1.23, 0.71, 7.5]], cell=[2.46, 2.46, 15.0], pbc=True)
    cells = [a.cell.array for a in displaced(sheet, 20, 0.1, 0.05, random)]
    assert np.array_equal([c[2] for c in cells], [sheet.cell.array[2]] * 20)
    assert np.ptp([c[0, 0] for c in cells]) > 0.05
    held = bulk("Cu", cubic=True)
    held.set_array("held", np.array([[True] * 3] + [[False] * 3] * 3))
    copies = list(displaced(held, 200, 0.2, 0.05, random))
    assert np.array_equal([c.positions[0] for c in copies], [held.positions[0]] * 200)
    assert all(np.array_equal(c.cell.array, held.cell.array) for c in copies)
    # 600 x 200 / 3 numbers of standard deviations uniform in 0.01 ... 0.2: their RMS is
    # sqrt((0.2^3 - 0.01^3) / (3 x 0.19)) = 0.1184; 5 % is five times the spread of 200 draws
    moved = np.array([c.positions[1:] - held.positions[1:] for c in copies])
    assert np.sqrt(np.mean(moved**2)) == pytest.approx(0.1184, rel=0.12)


def test_frames_that_disagree_and_are_new_are_picked():
    """Three groups: known and wrong, new and right, new and wrong: the last wins."""
    known = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    candidates = np.array([[0.0, 0.0], [5.0, 0.0], [0.0, 5.0], [0.0, 5.01]])
    disagreement = np.array([0.9, 0.01, 0.8, 0.8])
    first, second, *_ = selection.pick(disagreement, candidates, known, 4)
    assert first == 3
    assert second == 1  # its twin, 2, is no longer new
    assert selection.pick(disagreement, known[:1].repeat(4, 0), known, 4) == []  # nothing is new
    assert selection.pick(disagreement[:0], candidates[:0], known, 4) == []


def test_fingerprints_see_surroundings_and_not_the_frame_of_reference():
    atoms = salt()
    atoms.rattle(0.1, seed=1)
    moved = atoms.copy()
    moved.positions += [1.0, 2.0, 3.0]
    moved.wrap()
    order = np.random.default_rng(0).permutation(len(atoms))
    one = selection.fingerprint(atoms, [11, 17], 5.0)
    assert selection.fingerprint(moved[order], [11, 17], 5.0) == pytest.approx(one)
    exchanged = atoms.copy()
    exchanged.numbers[[0, 1]] = exchanged.numbers[[1, 0]]
    assert np.abs(selection.fingerprint(exchanged, [11, 17], 5.0) - one).max() > 1e-3


def test_modes_without_bonds_name_no_option_of_another_command():
    gas = Atoms("Ar2", positions=[[0, 0, 0], [0, 0, 9.0]], cell=[20.0] * 3, pbc=True)
    with pytest.raises(InputError, match="within a bond's length") as caught:
        bonds(to_structure(gas), gas.get_masses(), 5)
    said = why_not(caught.value)
    assert said.startswith("no two atoms are within a bond's length; all modes take too many calls")
    assert "--" not in said


def test_modes_are_those_of_the_masses_of_the_system(tmp_path, monkeypatch):
    """Data files have none, and they know no constraints."""
    session = session_of(tmp_path, monkeypatch, 0, 0.0)
    heavy = session.systems[0].atoms.copy()
    heavy.set_masses(np.where(heavy.symbols == "Na", 30.0, 35.45))
    heavy.set_array(HELD, np.zeros((len(heavy), 3), bool))
    other = Atoms("Na", cell=[5] * 3, pbc=True)
    session.systems[:] = [
        Condition(name, "", 300.0, atoms) for name, atoms in (("10", other), ("1", heavy))
    ]
    frame = with_labels(heavy, 0.0, np.zeros((len(heavy), 3)))
    points.save([frame], session.data / "held-out.extxyz")
    found = inspected(session)
    assert (found.name, found.held) == ("1", False)
    assert np.array_equal(found.masses_u, heavy.get_masses())
    heavy.arrays[HELD][0] = True
    assert inspected(session).held


def test_stages_are_done_once(tmp_path):
    state = State.new(tmp_path, {"teacher": "x"})
    assert state.once("a", lambda: ({"n": 1}, 5)) == {"n": 1}
    again = State.read(tmp_path)
    assert again.once("a", lambda: ({"n": 2}, 5)) == {"n": 1}
    assert again.calls == 5


@pytest.mark.parametrize(
    ("text", "said"),
    [(None, "no distillation is in"), ("{", "is damaged"), ('{"request": {}}', "is damaged")],
)
def test_a_record_that_is_no_record_is_refused(tmp_path, text, said):
    if text is not None:
        (tmp_path / FILE).write_text(text)
    with pytest.raises(InputError, match=said):
        State.read(tmp_path)


def test_frames_of_a_watched_run_are_data(tmp_path):
    """The file that a run keeps: its slow forces are the labels, the fast ones no label."""
    random, frames = np.random.default_rng(0), []
    for _ in range(3):
        frame = with_labels(salt(), 1.5, random.normal(size=(64, 3)))
        frame.arrays["fast_forces"] = random.normal(size=(64, 3))
        frames.append(frame)
    points.save(frames, tmp_path / DISAGREEING_FILE)
    found = points.of_run(tmp_path, [11, 17])
    assert len(found) == 3
    assert found[2].get_forces() == pytest.approx(frames[2].get_forces(), abs=1e-7)
    assert found[0].get_potential_energy() == 1.5
    assert {a.info["kind"] for a in found} == {"added"}
    with pytest.raises(InputError, match="has Cl, which this distillation doesn't have"):
        points.of_run(tmp_path, [11])
    points.save([salt()], tmp_path / DISAGREEING_FILE)
    with pytest.raises(InputError, match="frame 0: expected an energy and forces"):
        points.of_run(tmp_path, [11, 17])


def test_frames_of_a_run_that_a_user_rewrote_with_held_atoms_keep_their_forces(tmp_path):
    """ASE writes what is held as a column, and then reads zero forces there."""
    frame = with_labels(salt(), 1.5, np.ones((64, 3)))
    frame.set_constraint(FixAtoms(range(32)))
    points.save([frame], tmp_path / DISAGREEING_FILE)
    (found,) = points.of_run(tmp_path, [11, 17])
    assert np.array_equal(found.get_forces(), np.ones((64, 3)))
    points.save([frame], tmp_path / "data.extxyz")
    (found,) = points.load(tmp_path / "data.extxyz")
    assert np.array_equal(found.get_forces(), np.ones((64, 3)))


def a_round(number, excess, ci95, direct, *, passes=False):
    excess = excess if isinstance(excess, tuple) else (excess,)
    trials = {
        str(k): trial(excess_meV_per_atom_per_ps=x, excess_ci95_meV_per_atom_per_ps=ci95,
                      answers={"drift": "passes" if passes else "open"})
        for k, x in enumerate(excess)
    }  # fmt: skip
    return rounds.Round(number, {"direct_meV_per_A": {"all": direct}}, {}, trials)


@pytest.mark.parametrize(
    ("tried", "taken"),
    [
        # of CHGNet and Li6PS5Cl: drifts that can't be told apart
        ([(0.53, 2.6, 41.7), (0.69, 2.0, 37.7), (-0.65, 2.1, 35.1)], 3),
        # the last one drifts more, whatever its errors
        ([(0.5, 0.2, 41.0), (0.6, 0.2, 38.0), (5.0, 0.4, 30.0)], 2),
        # the worst of two systems counts; one that ran away is out; without an interval: the value
        ([((0.1, 9.0), 0.5, 20.0), ((0.3, 0.4), 0.5, 25.0), (math.nan, math.nan, 10.0)], 2),
        ([(0.5, math.nan, 41.0), (0.6, math.nan, 38.0)], 1),
        ([(math.nan, math.nan, 41.0), (math.nan, math.nan, 42.0)], 2),
    ],
)
def test_the_most_exact_of_those_that_drift_alike_is_taken(monkeypatch, tried, taken):
    monkeypatch.setattr(rounds, "forbids", lambda inspection: False)
    found = [a_round(k + 1, *one) for k, one in enumerate(tried)]
    assert rounds._best(found).number == taken
    found[0] = a_round(1, 0.4, 0.1, 90.0, passes=True)
    assert rounds._best(found).number == 1


@pytest.mark.parametrize(("known", "taken", "largest"), [(2, 1, 2), (None, 2, 0)])
def test_what_has_passed_stays_a_pair(tmp_path, monkeypatch, known, taken, largest):
    """Of a later round, more exact, nothing passes; of the first M = 2 did, before it went on."""
    monkeypatch.setattr(rounds, "forbids", lambda inspection: False)
    session = session_of(tmp_path, monkeypatch, calls=950, seconds=3500.0, minutes=60.0)
    tried = [a_round(1, 0.53, 2.6, 41.7), a_round(2, 0.69, 2.0, 37.7)]
    name = session.systems[0].name
    failed = trial(answers={"drift": "open"}).to_dict()
    passed = trial(answers={"drift": "passes"}).to_dict()
    stages = {f"round-{n:02d}/mts{m}-{name}": failed for n in (1, 2) for m in (8, 4, 3, 2)}
    stages |= {f"round-{n:02d}/train": {"fast_ms": 20.0} for n in (1, 2)}
    if known:
        stages[f"round-01/mts{known}-{name}"] = passed
    session.state.record["stages"] = stages
    best, scan = rounds.allowed(session, tried)
    assert (best.number, rounds._largest(scan)) == (taken, largest)
    assert set(scan) == ({2, 3, 4, 8} if known else {2, 4, 8})


@pytest.mark.parametrize(
    ("answers", "passes"),
    [
        ({"drift": "passes", "g(A-A)": "open"}, True),
        ({"drift": "open"}, False),
        ({"drift": "fails"}, False),
        ({"drift": "passes", "T(A)": "fails"}, False),
    ],
)
def test_a_pair_passes_if_its_drift_is_small_and_nothing_differs(answers, passes):
    one = trial(answers=answers)
    assert one.passes is passes
    assert bool(one.reasons) is not passes


@pytest.mark.parametrize(
    ("words", "doubled", "asked", "goes_on"),
    [
        ({"answers": {"drift": "passes"}}, 0, True, False),
        ({"answers": {"drift": "fails"}}, 0, True, False),
        ({"answers": {"drift": "open"}}, 0, True, True),
        ({"answers": {"drift": "open"}}, 1, True, False),  # rather a better student
        ({"answers": {"drift": "open"}, "ended": "it ran away"}, 0, True, False),
        ({"by_bound": True}, 1, True, True),
        ({"by_bound": True}, 0, False, False),  # of a smaller or larger M
    ],
)
def test_a_test_is_made_longer_where_that_can_tell(words, doubled, asked, goes_on):
    assert rounds.undecided(trial(**words), doubled, asked=asked) is goes_on


@pytest.mark.parametrize(
    ("ci95", "expected", "said"),
    [(2.0, 32.0, ": open, a run of about 32 ps would tell"), (0.4, math.nan, ": open")],
)
def test_how_long_a_run_would_tell_is_said(ci95, expected, said):
    """An interval four times as wide as it may be takes sixteen times the time."""
    found = telling_ps(2.0, ci95, 0.5)
    assert found == pytest.approx(expected, nan_ok=True)
    open_ = trial(answers={"drift": "open"}, telling_ps=found)
    assert [one.endswith(said) for one in open_.reasons] == [True]


def test_a_test_survives_the_record():
    """Numbers that are unknown are null in JSON, and unknown again."""
    text = json.dumps(trial().to_dict(), allow_nan=False)
    again = Trial.of(json.loads(text))
    assert math.isnan(again.rdf_sigmas["g(A-A)"])
    assert again.speed_up == 5.0


def test_constraints_of_a_start_hold(tmp_path):
    path = tmp_path / "slab.traj"
    atoms = bulk("Cu", cubic=True) * (2, 2, 2)
    atoms.set_constraint(FixAtoms([0, 1]))
    atoms.write(path)
    (system,) = conditions(request_of(path), tmp_path)
    copies = displaced(system.atoms, 4, 0.1, 0.1, np.random.default_rng(0))
    assert all(np.array_equal(c.positions[:2], system.atoms.positions[:2]) for c in copies)


def test_what_stages_took_is_remembered(tmp_path):
    state = State.new(tmp_path, {"teacher": "x"})
    state.once("round-01/train", lambda: (time.sleep(0.3), ({}, 0))[1])
    state.once("round-01/mts8-1", lambda: ({}, 0))
    again = State.read(tmp_path)
    assert again.took_s("round-01/train") >= 0.3
    assert again.took_s("round-01/mts") < 0.3 <= again.took_s("round-01/")
    assert again.took_s("round-02/") == 0.0
