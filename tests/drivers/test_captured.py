"""Our networks on arrays of fixed sizes, in buckets, behind a gate; a stand-in captures on the CPU.

``once_more`` does what a CUDA graph does, with the same arrays and nothing else: calling again.
``tests/test_gpu.py`` has the real thing.
"""

import logging
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest

from ncforce_ipi.backend import Structure, Wanted
from ncforce_ipi.errors import ModelError
from ncforce_ipi.inputs.structure import read_structure
from ncforce_ipi.models import SHIPPED, model_path
from ncforce_ipi.testing import CHECKS, FLOAT32, FLOAT64, Setting, example, run_check

torch = pytest.importorskip("torch")
pytest.importorskip("metatomic.torch")

from ncforce_ipi.drivers import metatomic, metatomic_captured, metatomic_graphs  # noqa: E402
from ncforce_ipi.drivers import metatomic_padded as padded  # noqa: E402
from ncforce_ipi.drivers.metatomic_captured import CapturedBackend  # noqa: E402
from ncforce_ipi.drivers.metatomic_graphs import How  # noqa: E402
from ncforce_ipi.drivers.pairlist import find_pairs  # noqa: E402

DIRECT, CONSERVATIVE = frozenset(["direct"]), frozenset(["conservative"])
BOTH = DIRECT | CONSERVATIVE
SYSTEMS = {"water": "water", "graphene": "carbon", "aluminium": "aluminium"}
SYSTEMS["o-on-cu3al"] = "cu3al-o"


def again(function, arrays):
    return lambda: function(arrays)


once_more = How(again)


def everything(kinds):
    return Wanted(kinds, direct_energy="direct" in kinds, direct_virial="direct" in kinds)


def structure_of(system):
    atoms = read_structure(system)
    return Structure(atoms.numbers.astype(np.int32), atoms.positions, atoms.cell.array)


def moved(structure, size, seed):
    move = size * np.random.default_rng(seed).normal(size=structure.positions.shape)
    return replace(structure, positions=structure.positions + move)


@pytest.fixture(scope="module")
def eager():
    """Shipped models, loaded once."""
    loaded = {}

    def load(name, dtype):
        if (name, dtype) not in loaded:
            loaded[name, dtype] = metatomic.load(str(model_path(name)), device="cpu", dtype=dtype)
        return loaded[name, dtype]

    return load


@pytest.fixture
def random_eager(random_model):
    return metatomic.load(str(random_model("float32")), device="cpu")


def padded_evaluation(backend, structures, kinds, *, skin, more_atoms, more_pairs):
    """Structures on arrays with so many more atoms and pairs than there are."""
    net = padded.network_of(backend._model)
    lists = [find_pairs(each, net.cutoff, skin) for each in structures]
    sizes = padded.Sizes(
        sum(len(each.numbers) for each in structures) + padded.LEAST_GHOSTS + more_atoms,
        sum(len(each.first) for each in lists) + more_pairs,
        len(structures),
    )
    arrays = padded.Arrays(*map(torch.from_numpy, padded.pack(structures, lists, sizes)))
    flat = padded.evaluate(net, arrays, kinds).numpy()
    return padded.unpack(flat, structures, sizes, kinds)


@pytest.mark.parametrize("kinds", [DIRECT, CONSERVATIVE, BOTH], ids=["direct", "energy", "joint"])
@pytest.mark.parametrize("system", SYSTEMS)
def test_padded_evaluation_is_that_of_metatomic_in_float64(eager, system, kinds):
    structure, backend = structure_of(system), eager(SYSTEMS[system], "float64")
    expected = backend.evaluate(structure, everything(kinds))
    for skin, more_atoms, more_pairs in ((0.0, 0, 0), (0.5, 29, 777)):
        (found,) = padded_evaluation(
            backend, [structure], kinds, skin=skin, more_atoms=more_atoms, more_pairs=more_pairs
        )
        assert found.keys() == kinds
        for kind in kinds:
            # rounding of sums in another order: seen 4e-15 eV/A, 0 eV, 1e-13 eV
            np.testing.assert_allclose(found[kind].forces, expected[kind].forces, atol=1e-13)
            assert found[kind].energy == pytest.approx(expected[kind].energy, rel=1e-14)
            np.testing.assert_allclose(found[kind].virial, expected[kind].virial, atol=1e-11)


@pytest.mark.parametrize("system", SYSTEMS)
def test_padded_evaluation_in_float32_is_as_exact_as_metatomic(eager, system):
    """Pair vectors are differences in float64 in both."""
    structure = structure_of(system)
    exact = eager(SYSTEMS[system], "float64").evaluate(structure, everything(BOTH))
    backend = eager(SYSTEMS[system], "float32")
    through = backend.evaluate(structure, everything(BOTH))
    (found,) = padded_evaluation(
        backend, [structure], BOTH, skin=0.5, more_atoms=29, more_pairs=777
    )
    for kind in BOTH:
        for results in (found, through):
            apart = np.abs(results[kind].forces - exact[kind].forces).max()
            assert apart < 2e-5  # single precision of some eV/A; seen 8e-6
            assert results[kind].energy == pytest.approx(exact[kind].energy, abs=1e-5 * 200)


def test_what_fills_up_contributes_exactly_nothing(eager):
    """Bit by bit: other numbers of ghosts and filling pairs change nothing at all."""
    structure, backend = structure_of("water"), eager("water", "float64")
    (few,), (many,) = (
        padded_evaluation(backend, [structure], BOTH, skin=0.5, more_atoms=a, more_pairs=p)
        for a, p in ((0, 8), (64, 4096))
    )
    for kind in BOTH:
        np.testing.assert_array_equal(few[kind].forces, many[kind].forces)
        assert few[kind].energy == many[kind].energy
        np.testing.assert_array_equal(few[kind].virial, many[kind].virial)


@pytest.mark.parametrize("name", SHIPPED)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_pairs_beyond_the_cutoff_have_no_force_and_no_gradient(eager, name, dtype):
    net = padded.network_of(eager(name, dtype)._model)
    species = int(torch.nonzero(net.species_index >= 0)[0, 0])
    number = np.array([species] * 2, np.int32)
    apart = np.nextafter(np.float32(net.cutoff), np.float32(np.inf))  # float32 sees it beyond
    pair = Structure(number, np.array([[0.0, 0, 0], [0, 0, apart]]), np.zeros((3, 3)))
    (found,) = padded_evaluation(
        eager(name, dtype), [pair], BOTH, skin=0.5, more_atoms=0, more_pairs=0
    )
    for kind in BOTH:
        assert not found[kind].forces.any()
        assert not found[kind].virial.any()


def test_structures_side_by_side_are_those_alone(eager):
    backend = eager("water", "float64")
    water = structure_of("water")
    molecule = Structure(water.numbers[:3], water.positions[:3], np.zeros((3, 3)))
    structures = [water, molecule, moved(water, 0.05, 1)]
    found = padded_evaluation(backend, structures, BOTH, skin=0.3, more_atoms=7, more_pairs=99)
    for structure, results in zip(structures, found, strict=True):
        expected = backend.evaluate(structure, Wanted(BOTH))
        for kind in BOTH:
            # rounding, as above
            np.testing.assert_allclose(results[kind].forces, expected[kind].forces, atol=1e-13)
        energy = expected["conservative"].energy
        assert results["conservative"].energy == pytest.approx(energy, abs=1e-13)
        virial = expected["conservative"].virial
        np.testing.assert_allclose(results["conservative"].virial, virial, atol=1e-11)


def test_what_does_not_fit_is_refused_not_cut(eager):
    water = structure_of("water")
    pairs = find_pairs(water, 4.5, 0.0)
    for less in ((1, 0, 0), (0, 1, 0), (0, 0, 1)):
        enough = np.array([192 + padded.LEAST_GHOSTS, len(pairs.first), 1])
        with pytest.raises(ValueError, match=rf"192 atoms, {len(pairs.first)} pairs, 1 systems in"):
            padded.pack([water], [pairs], padded.Sizes(*(enough - less)))


def test_no_ghost_has_many_more_pairs_than_an_atom(random_eager, water):
    """A GPU adds to one atom in turns: two ghosts for all made a call five times as long."""
    backend = CapturedBackend(random_eager, once_more)
    structures = [moved(water, 0.02, seed) for seed in range(4)]
    backend.evaluate_batch(structures, everything(BOTH))
    arrays = backend._buckets[0].arrays
    of_atoms, of_ghosts = (
        np.bincount(torch.cat([arrays.first, arrays.second]).numpy())[part]
        for part in (slice(0, 4 * 192), slice(4 * 192, None))
    )
    assert of_ghosts.sum() > of_atoms.sum() / 20, "there is something to share out"
    assert of_ghosts.max() < 2 * of_atoms.mean()


WAITS = (
    "item",
    "nonzero",
    "masked_select",
    "unique",
    "Bool",
    "Int",
    "Float",
    "is_nonzero",
    "_local",
)


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_networks_have_no_operation_that_waits_or_looks_at_values(eager, name):
    """A capture would fail at these: they bring a value or a size from the device."""
    net = padded.network_of(eager(name, "float32")._model)
    for method in (net.trunk, net.atom_energies, net.pair_forces):
        graph = torch._C.Graph.copy(method.graph)
        torch._C._jit_pass_inline(graph)
        kinds = {node.kind() for node in graph.findAllNodes("aten::index_add", True)}
        kinds |= {line.split(" = ")[-1].split("(")[0] for line in str(graph).splitlines()}
        found = {kind for kind in kinds if kind.removeprefix("aten::") in WAITS}
        assert not found
        assert any(kind.startswith("aten::") for kind in kinds)


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_contract(check, dtype, random_model):
    eager = metatomic.load(str(random_model(dtype)), device="cpu")
    backend = CapturedBackend(eager, once_more)
    limits = FLOAT32 if dtype == "float32" else FLOAT64
    run_check(check, Setting(backend, example(backend), limits))
    assert backend.why_not == "", "it was the captured one that was checked"


class Counted:
    """A stand-in that counts captures and replays."""

    def __init__(self):
        self.captures = self.replays = 0

    def __call__(self, function, arrays):
        self.captures += 1
        function(arrays)

        def replay():
            self.replays += 1
            return function(arrays)

        return replay


def test_a_graph_is_captured_once_for_each_choice_of_forces_and_bucket(random_eager, water):
    counted = Counted()
    backend = CapturedBackend(random_eager, How(counted))
    for seed in range(4):
        for kinds in (DIRECT, CONSERVATIVE, BOTH):
            backend.evaluate(moved(water, 0.3, seed), everything(kinds))
    assert counted.captures == 3
    assert counted.replays == 3 + 12, "each gate is a replay"
    pair = Structure(water.numbers[:2], water.positions[:2], np.zeros((3, 3)))
    backend.evaluate(pair, everything(DIRECT))
    assert counted.captures == 4, "two atoms don't go where 192 do"
    backend.evaluate_batch([water, water], everything(DIRECT))
    assert counted.captures == 5
    backend.evaluate(water, everything(DIRECT))
    assert counted.captures == 5


def test_more_pairs_than_a_bucket_holds_make_a_larger_one(random_eager, water):
    counted = Counted()
    backend = CapturedBackend(random_eager, How(counted))
    captures = []
    for scale in (1.0, 0.99, 0.8, 0.65, 1.0):
        structure = replace(water, positions=scale * water.positions, cell=scale * water.cell)
        found = backend.evaluate(structure, everything(DIRECT))["direct"]
        expected = random_eager.evaluate(structure, everything(DIRECT))["direct"]
        # single precision of forces of some eV/A
        np.testing.assert_allclose(found.forces, expected.forces, atol=1e-4)
        captures.append(counted.captures)
    assert captures == [1, 1, 2, 3, 3], "10 % of spare room, then another bucket"
    assert not backend.why_not


def test_no_more_than_some_buckets_are_kept(random_eager, water, monkeypatch):
    monkeypatch.setattr(metatomic_captured, "N_BUCKETS", 1)
    counted = Counted()
    backend = CapturedBackend(random_eager, How(counted))
    for n in (192, 192, 3, 3, 192):
        part = Structure(water.numbers[:n], water.positions[:n], np.zeros((3, 3)))
        backend.evaluate(part, everything(DIRECT))
    assert counted.captures == 3, "that of 192 atoms had to go"
    assert len(backend._buckets) == 1


def test_a_step_sends_positions_and_cells_only(random_eager, water, monkeypatch):
    packed = []
    pack = padded.pack

    def counting(*arguments):
        packed.append(arguments)
        return pack(*arguments)

    backend = CapturedBackend(random_eager, once_more)
    backend.evaluate(water, everything(DIRECT))
    monkeypatch.setattr(metatomic_graphs.padded, "pack", counting)
    step = water
    for seed in range(5):
        step = moved(step, 0.01, seed)
        backend.evaluate(step, everything(DIRECT))
    assert packed == []
    backend.evaluate(moved(water, 0.5, 9), everything(DIRECT))
    assert len(packed) == 1


def test_lists_serve_each_structure_of_a_divided_batch(random_eager, water, monkeypatch):
    made = []
    find = metatomic_captured.find_pairs
    monkeypatch.setattr(metatomic_captured, "find_pairs", lambda *all: made.append(1) or find(*all))
    backend = CapturedBackend(random_eager, How(once_more.capture, atoms_at_once=2 * 192))
    batch = [moved(water, 0.5, seed) for seed in range(5)]  # each far from the others
    first = backend.evaluate_batch(batch, everything(DIRECT))
    assert len(made) == 5
    again = backend.evaluate_batch([moved(one, 0.001, 7) for one in batch], everything(DIRECT))
    assert len(made) == 5, "in pairs, and one alone, they have places of their own"
    assert len(first) == len(again) == 5


def test_a_graph_is_made_when_the_same_atoms_come_again_and_again(random_eager, water):
    counted = Counted()
    backend = CapturedBackend(random_eager, How(counted, after=3))
    part = Structure(water.numbers[:6], water.positions[:6], water.cell)
    for structures, wanted, captures in (
        ([water], BOTH, 0), ([water], BOTH, 0), ([part], BOTH, 0), ([water, part], BOTH, 0),
        ([water], DIRECT, 0), ([water], BOTH, 0), ([water], BOTH, 1), ([water], BOTH, 1),
        ([part], BOTH, 1),
    ):  # fmt: skip
        found = backend.evaluate_batch(structures, everything(wanted))
        assert counted.captures == captures
        for one, each in zip(structures, found, strict=True):
            expected = random_eager.evaluate(one, everything(wanted))
            for kind in wanted:
                # single precision, sums in another order
                np.testing.assert_allclose(
                    each[kind].forces, expected[kind].forces, rtol=0, atol=2e-5
                )


def test_on_a_gpu_graphs_are_the_default(random_eager, monkeypatch):
    monkeypatch.setattr(metatomic, "cuda_capture", lambda device: once_more.capture)
    here = metatomic.faster(random_eager, None, False)
    assert here is random_eager, "a CPU has none"
    monkeypatch.setattr(random_eager, "_device", "cuda:0")
    assert metatomic.faster(random_eager, False, False) is random_eager
    for capture, after in ((None, metatomic.CALLS_THAT_PAY), (True, 0)):
        assert metatomic.faster(random_eager, capture, False)._how.after == after
    monkeypatch.setattr(metatomic, "network_of", lambda model: None)
    assert metatomic.faster(random_eager, None, False) is random_eager, "of another package"


def test_large_structures_go_through_metatomic(random_eager, water):
    counted = Counted()
    backend = CapturedBackend(random_eager, How(counted, limit_atoms=100))
    found = backend.evaluate(water, everything(BOTH))
    assert counted.captures == 0
    expected = random_eager.evaluate(water, everything(BOTH))
    np.testing.assert_array_equal(found["direct"].forces, expected["direct"].forces)
    part = Structure(water.numbers[:3], water.positions[:3], np.zeros((3, 3)))
    backend.evaluate(part, everything(BOTH))
    assert counted.captures == 1, "which doesn't keep small ones from being captured"


def stale(function, arrays):
    """A graph that never looks at its arrays again."""
    result = function(arrays).clone()
    return lambda: result


def off_by(change):
    def capture(function, arrays):
        def replay():
            result = function(arrays).clone()
            change(result)
            return result

        return replay

    return capture


def refuses(function, arrays):
    raise RuntimeError("operation not permitted when stream is capturing\nframe #0: c10")


def break_force(result):
    result[30] += 1e-3  # behind two energies and padded forces: a force component


def break_energy(result):
    result[0] *= 1.001


def break_to_nan(result):
    result[3] = np.nan


def break_last_virial(result):
    result[-18:] *= 1.01


BROKEN = {
    "a stale graph": (stale, "forces differ by"),
    "one force": (off_by(break_force), "forces differ by"),
    "the energy": (off_by(break_energy), "energy differ by"),
    "not a number": (off_by(break_to_nan), "forces differ by nan"),
    "the virial": (off_by(break_last_virial), "virial differ by"),
    "no capture": (refuses, "operation not permitted when stream is capturing"),
}


@pytest.mark.parametrize("how", BROKEN)
@pytest.mark.parametrize("kinds", [DIRECT, CONSERVATIVE, BOTH], ids=["direct", "energy", "joint"])
def test_a_graph_that_is_wrong_is_never_used(random_eager, how, kinds, water, caplog):
    capture, says = BROKEN[how]
    backend = CapturedBackend(random_eager, How(capture))
    assert "captured" in backend.description
    with caplog.at_level(logging.WARNING):
        for seed in range(2):
            step = moved(water, 0.05, seed)
            found = backend.evaluate(step, everything(kinds))
            expected = random_eager.evaluate(step, everything(kinds))
            for kind in kinds:
                np.testing.assert_array_equal(found[kind].forces, expected[kind].forces)
                assert found[kind].energy == expected[kind].energy
    (line,) = [record.getMessage() for record in caplog.records]
    assert "is not captured: " in line
    assert says in line
    assert "\n" not in line
    assert "captured" not in backend.description


def test_the_gate_stands_at_every_new_graph(random_eager, water, caplog):
    """One that was right for direct forces says nothing of the joint graph."""
    good = CapturedBackend(random_eager, once_more)
    good.evaluate(water, everything(DIRECT))
    good._how = How(off_by(break_force))
    good.evaluate(water, everything(DIRECT))
    assert not caplog.records
    found = good.evaluate(water, everything(BOTH))
    assert "is not captured: " in caplog.text
    expected = random_eager.evaluate(water, everything(BOTH))
    np.testing.assert_array_equal(found["direct"].forces, expected["direct"].forces)


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_gate_lets_shipped_models_through_with_a_margin(eager, system, dtype, monkeypatch):
    """Ten times less than allowed here: a GPU adds up in another order."""
    through, structure = eager(SYSTEMS[system], dtype), structure_of(system)
    gate = metatomic_captured.gate
    monkeypatch.setattr(
        gate, "ROUNDING", {key: 0.1 * value for key, value in gate.ROUNDING.items()}
    )
    backend = CapturedBackend(through, once_more)
    backend.evaluate(structure, everything(BOTH))
    assert backend.why_not == ""


def test_only_what_is_wanted_is_told(random_eager, water):
    backend = CapturedBackend(random_eager, once_more)
    (bare,) = backend.evaluate(water, Wanted(DIRECT)).values()
    assert np.isnan(bare.energy)
    assert np.isnan(bare.virial).all()
    molecule = Structure(water.numbers[:3], water.positions[:3], np.zeros((3, 3)))
    full = backend.evaluate(molecule, everything(BOTH))
    assert np.isnan(full["direct"].virial).all(), "no volume, as through metatomic"
    assert np.isfinite(full["conservative"].virial).all()
    expected = random_eager.evaluate(molecule, everything(BOTH))["conservative"]
    np.testing.assert_allclose(full["conservative"].virial, expected.virial, atol=1e-5)


def test_what_can_not_be_captured_fused_is_captured_unfused(monkeypatch):
    tried = []

    def fake(fused, pool, function):
        tried.append((fused, pool))
        if fused:
            raise RuntimeError("a kernel is compiled while the stream is capturing")
        return function

    pools = iter(range(9))
    monkeypatch.setattr(torch.cuda, "graph_pool_handle", lambda: next(pools))
    monkeypatch.setattr(torch.cuda, "device", nullcontext)  # there is none
    monkeypatch.setattr(metatomic_graphs, "_with", fake)
    capture = metatomic_graphs.cuda_capture("cuda")
    assert [capture(lambda number: number, 7)() for _ in range(2)] == [7, 7]
    assert tried == [(True, 0), (False, 1), (False, 1)], "each way has memory of its own"
    capture = metatomic_graphs.cuda_capture("cuda", fused=False)
    capture(lambda number: number, 7)
    assert tried[3:] == [(False, 2)]


def test_turned_to_float64_it_is_captured_anew(random_eager, water):
    counted = Counted()
    backend = CapturedBackend(random_eager, How(counted))
    backend.evaluate(water, everything(DIRECT))
    backend.to_float64()
    assert backend.dtype == "float64"
    assert "float64" in backend.description
    found = backend.evaluate(water, everything(DIRECT))["direct"]
    assert counted.captures == 2
    expected = random_eager.evaluate(water, everything(DIRECT))["direct"]
    np.testing.assert_allclose(found.forces, expected.forces, atol=1e-13)  # rounding


def test_models_that_are_not_ours_are_refused(tmp_path):
    from tests.drivers.test_metatomic import save

    other = metatomic.load(str(save(tmp_path, "energy")))
    with pytest.raises(ModelError, match="can't be captured: only networks of"):
        CapturedBackend(other, once_more)


def test_on_a_cpu_the_option_is_refused(random_model):
    with pytest.raises(ModelError, match="--capture needs a GPU; leave it out"):
        metatomic.load(str(random_model("float32")), device="cpu", capture=True)
