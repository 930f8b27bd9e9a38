"""The driver of fairchem 2 beside fairchem's own calculator, and what it refuses."""

from functools import partial

import numpy as np
import pytest

from ncforce_ipi.backend import Structure, Wanted
from ncforce_ipi.drivers import loading
from ncforce_ipi.errors import InputError, ModelError
from ncforce_ipi.serve.evaluator import Evaluator
from tests.drivers import load
from tests.drivers.fairchem import make, words

pytest.importorskip("fairchem.core.units.mlip_unit", reason="needs fairchem-core 2")
KINDS = pytest.mark.parametrize("kind", ["conservative", "direct"])


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Options of the random checkpoint of a kind."""
    return partial(words, directory=tmp_path_factory.mktemp("fairchem"), dtype="float64")


def everything(kind):
    direct = kind == "direct"
    return Wanted(frozenset([kind]), direct_energy=direct, direct_virial=direct)


def by_calculator(path, structure):
    """Energy, forces and virial of FAIRChemCalculator in float64, eV and A."""
    with loading.quiet():
        from ase import Atoms
        from fairchem.core import FAIRChemCalculator
        from fairchem.core.units.mlip_unit import InferenceSettings, load_predict_unit

        settings = InferenceSettings(activation_checkpointing=False, base_precision_dtype="float64")
        unit = load_predict_unit(path, settings, device="cpu")
        atoms = Atoms(structure.numbers, structure.positions, cell=structure.cell)
        atoms.pbc = bool(structure.cell.any())
        atoms.calc = FAIRChemCalculator(unit)
        virial = -atoms.get_stress(voigt=False) * atoms.cell.volume
        return atoms.get_potential_energy(), atoms.get_forces(), virial


@KINDS
def test_same_as_the_calculator(model, water, kind):
    options = model(kind)
    found = load("fairchem", *options).evaluate(water, everything(kind))[kind]
    energy, forces, virial = by_calculator(options[1], water)
    # float64, of energies of 10 eV; neighbours may be added in another order
    assert found.energy == pytest.approx(energy, abs=1e-10)
    np.testing.assert_allclose(found.forces, forces, atol=1e-11)
    np.testing.assert_allclose(found.virial, virial, atol=1e-9)  # times 10 A, 192 atoms


@KINDS
def test_same_as_the_calculator_without_a_cell(model, water, kind):
    options = model(kind)
    molecules = Structure(water.numbers[:12], water.positions[:12], np.zeros((3, 3)))
    found = load("fairchem", *options).evaluate(molecules, Wanted(frozenset([kind])))[kind]
    energy, forces, _ = by_calculator(options[1], molecules)
    np.testing.assert_allclose(found.forces, forces, atol=1e-11)
    if kind == "conservative":
        assert found.energy == pytest.approx(energy, abs=1e-11)


def test_the_net_force_of_a_direct_model_is_removed_by_the_evaluator(model, water):
    backend = load("fairchem", *model("direct"))
    found = backend.evaluate(water, everything("direct"))["direct"].forces
    assert np.abs(found.sum(axis=0)).max() > 1e-3  # random weights: fairchem keeps it
    served = Evaluator(backend, {"fast": "direct"}).evaluate(water, "fast").forces
    np.testing.assert_allclose(served.sum(axis=0), 0.0, atol=1e-12)  # rounding
    np.testing.assert_allclose(served, found - found.mean(axis=0), atol=1e-14)


@KINDS
def test_one_kind_is_not_the_other(model, water, kind):
    other = {"conservative": "direct", "direct": "conservative"}[kind]
    with pytest.raises(ModelError, match=f"has no {other} forces, which role fast needs"):
        Evaluator(load("fairchem", *model(kind)), {"fast": other})


def test_a_task_of_several(tmp_path, water):
    path = tmp_path / "two.pt"
    make(path, direct=False, datasets=("omat", "omol"))
    common = ("--model", str(path), "--trust")
    with pytest.raises(ModelError, match="no task by default; --task: omat, omol"):
        load("fairchem", *common)
    with pytest.raises(ModelError, match="no task oc20; --task: omat, omol"):
        load("fairchem", *common, "--task", "oc20")
    assert "omol, conservative" in load("fairchem", *common, "--task", "omol").description


def test_a_pickle_needs_trust(model):
    with pytest.raises(InputError, match=r"is a pickle.*--trust"):
        load("fairchem", *model("direct")[:2])


def test_what_is_no_checkpoint(tmp_path):
    import torch

    path = tmp_path / "x.pt"
    torch.save({"weights": 1}, path)
    with pytest.raises(ModelError, match="is no model of fairchem 2") as caught:
        load("fairchem", "--model", str(path), "--trust")
    assert "\n" not in str(caught.value)


def test_a_name_that_fairchem_does_not_know():
    with pytest.raises(InputError, match=r"nor one of fairchem's names: .*uma-s"):
        load("fairchem", "--model", "uma-xxl", "--trust")


def test_named_settings(model):
    with pytest.raises(InputError, match=r"--inference: expected default, .*, got 'turbo'"):
        load("fairchem", *model("direct"), "--inference", "turbo")
    assert "float32" in load("fairchem", *model("direct"), "--inference", "batch").description
