"""What is particular to ORB: its own calculator as reference, pairs, files of weights."""

from importlib import metadata

import numpy as np
import pytest

pytest.importorskip("orb_models")
from ase.build import bulk

from ncforce_ipi.backend import Structure, Wanted
from ncforce_ipi.errors import InputError, ModelError
from ncforce_ipi.serve.evaluator import Evaluator
from tests.drivers import load
from tests.drivers.orb import CASES, DIRECT, weights


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    return tmp_path_factory.getbasetemp()  # as the contract's: the files are large


def calculator(network, graph):
    """ORB's, of its versions before and after 0.6."""
    adapter = getattr(graph, "__self__", None)
    if adapter is None:
        from orb_models.forcefield.calculator import ORBCalculator

        return ORBCalculator(network, device="cpu")
    from orb_models.forcefield.inference.calculator import ORBCalculator

    return ORBCalculator(network, atoms_adapter=adapter, device="cpu")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # ORB's own, of NumPy 2
@pytest.mark.parametrize("case", CASES[:3], ids=lambda case: case.name)
def test_the_calculator_of_orb_gives_the_same(case, directory):
    backend = case.load(directory, "float32")
    (kind,) = backend.kinds
    atoms = bulk("C", "diamond", a=3.567, cubic=True)
    atoms.rattle(0.05, seed=1)
    atoms.set_cell(atoms.cell.array + 0.05 * np.arange(9).reshape(3, 3), scale_atoms=True)
    network = backend._networks[kind]
    atoms.calc = calculator(network.net, network.graph_of)
    structure = Structure(atoms.numbers.astype(np.int32), atoms.positions, atoms.cell.array)
    result = backend.evaluate(structure, case.everything)[kind]
    # float32, the same operations
    np.testing.assert_allclose(result.forces, atoms.get_forces(), rtol=0, atol=1e-6)
    assert result.energy == pytest.approx(float(atoms.get_potential_energy()), abs=1e-4)
    virial = -atoms.get_stress(voigt=False) * atoms.get_volume()
    np.testing.assert_allclose(result.virial, virial, rtol=0, atol=1e-4)


def test_a_pair_is_its_two_networks(directory, water):
    pair = CASES[3].load(directory, "float32")
    few = Structure(water.numbers[:6], water.positions[:6], 8.0 * np.eye(3))
    both = pair.evaluate(few, CASES[3].everything)
    for case, kind in zip(CASES[1:3], ("direct", "conservative"), strict=True):
        alone = case.load(directory, "float32").evaluate(few, case.everything)[kind]
        np.testing.assert_array_equal(both[kind].forces, alone.forces)
        np.testing.assert_array_equal(both[kind].virial, alone.virial)
    assert "SHA-256 of the second" in pair.description


def test_the_default_type_of_torch_stays(directory):
    import torch

    backend = CASES[0].load(directory, "float64")
    atom = Structure(np.array([6] * 2, np.int32), np.eye(3)[:2], np.zeros((3, 3)))
    backend.evaluate(atom, Wanted(frozenset(["direct"])))
    assert torch.get_default_dtype() == torch.float32


def test_a_network_of_molecules(directory):
    """Those of OMol25 want to know charge and spin; before orb-models 0.6 they have no stress."""
    import torch
    from orb_models.forcefield import pretrained

    path = directory / "omol.ckpt"
    torch.manual_seed(0)
    old = metadata.version("orb-models").startswith("0.5")
    options = {"has_charge_spin_cond": True, "has_stress": not old, "device": "cpu"}
    torch.save(pretrained.orb_v3_conservative_architecture(**options).state_dict(), path)
    words = ["--model", str(path), "--architecture", "orb-v3-conservative-omol"]
    if old:
        with pytest.raises(ModelError, match=r"omol\.ckpt has no stress; --no-virial runs NVE and"):
            load("orb", *words)
    pair = Structure(np.array([6, 8], np.int32), np.eye(3)[:2], 9.0 * np.eye(3))
    wanted = Wanted(frozenset(["conservative"]))
    with pytest.raises(InputError, match="wants --charge and --spin"):
        load("orb", *words, "--no-virial")
    results = [
        load("orb", *words, "--no-virial", "--charge", charge, "--spin", "1").evaluate(pair, wanted)
        for charge in ("0", "1")
    ]
    neutral, charged = (result["conservative"] for result in results)
    assert np.isfinite(neutral.forces).all()
    assert np.abs(neutral.forces - charged.forces).max() > 1e-6
    assert np.isnan(neutral.virial).all()


def test_a_fast_model_without_stress_and_constant_pressure(directory):
    """The launcher adds --direct-virial where the cell moves: one line says what to do."""
    import torch
    from orb_models.forcefield import pretrained

    if not metadata.version("orb-models").startswith("0.5"):
        pytest.skip("all of orb-models' own architectures have a stress since 0.6")
    path = directory / "direct_omol.ckpt"
    options = {"has_charge_spin_cond": True, "has_stress": False, "device": "cpu"}
    torch.save(pretrained.orb_v3_direct_architecture(**options).state_dict(), path)
    words = ["--model", str(path), "--architecture", "orb-v3-direct-omol"]
    words += ["--charge", "0", "--spin", "1"]
    backend = load("orb", *words)
    assert (backend.stress, backend.direct_energy) == (frozenset(), True)
    match = r"has no stress of its direct forces; without --direct-virial it runs NVE"
    with pytest.raises(ModelError, match=match):
        Evaluator(backend, {"fast": "direct"}, direct_virial=True)
    Evaluator(backend, {"fast": "direct"})


def test_two_words_for_the_type():
    pair = ["--model", "orb-v2", "--dtype", "float32", "--precision", "float64"]
    with pytest.raises(InputError, match="--dtype float32 and --precision float64 are two types"):
        load("orb", *pair)


def test_a_pair_of_one_kind(directory):
    file = weights(directory, DIRECT)
    words = ["--model", file, "--architecture", DIRECT]
    words += ["--conservative-model", file, "--conservative-architecture", DIRECT]
    with pytest.raises(InputError, match="a pair needs --model with direct"):
        load("orb", *words)


def test_weights_of_another_architecture(directory):
    words = ["--model", weights(directory, DIRECT), "--architecture", "orb-v2"]
    with pytest.raises(ModelError, match="weights of orb-v2 can't be loaded") as caught:
        load("orb", *words)
    assert "\n" not in str(caught.value)


def test_a_pickle_is_not_unpickled(tmp_path):
    """ORB's loader takes tensors only: no --trust is needed for what can't run code."""
    import torch

    path = tmp_path / "x.ckpt"
    torch.save({"weights": Wanted(frozenset())}, path)
    with pytest.raises(ModelError, match="can't be loaded") as caught:
        load("orb", "--model", str(path), "--architecture", DIRECT)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("words", [("orb-v9",), ("nothing.ckpt", "--architecture", DIRECT)])
def test_names_that_orb_does_not_know(words):
    with pytest.raises(InputError, match=r"expected one of .*orb-v3-direct-20-omat.*or a file"):
        load("orb", "--model", *words)


def test_a_file_without_its_architecture(directory):
    with pytest.raises(InputError, match="with --architecture one of these; got None"):
        load("orb", "--model", weights(directory, DIRECT))


def test_a_name_without_a_network(monkeypatch):
    import cached_path

    def fail(url):
        raise ConnectionError(f"first line\nno route to {url}")

    monkeypatch.setattr(cached_path, "cached_path", fail)
    with pytest.raises(
        ModelError, match="orb-v2 can't be loaded from the network: no route to http"
    ):
        load("orb", "--model", "orb-v2")
