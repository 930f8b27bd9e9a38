"""The EquiformerV2 driver beside fairchem-core 1's own calculator, and what it refuses."""

import os

import numpy as np
import pytest

from ncforce_ipi.backend import Structure, Wanted
from ncforce_ipi.drivers import loading
from ncforce_ipi.errors import InputError, ModelError
from ncforce_ipi.serve.evaluator import Evaluator
from tests.drivers import load
from tests.drivers.equiformer import make, words

pytest.importorskip("torchtnt", reason="needs fairchem-core 1")
DIRECT = frozenset(["direct"])
EVERYTHING = Wanted(DIRECT, direct_energy=True, direct_virial=True)


class Anything:
    """Something that torch's safe loader doesn't know."""


@pytest.fixture(scope="module")
def options(tmp_path_factory):
    return words(tmp_path_factory.mktemp("equiformer"), "float32")


@pytest.fixture(scope="module")
def backend(options):
    return load("equiformer", *options)


def by_calculator(path, structure):
    """Energy, forces and stress of OCPCalculator, eV and A."""
    with loading.quiet():
        import torch
        from ase import Atoms
        from fairchem.core import OCPCalculator

        calculator = OCPCalculator(checkpoint_path=path, cpu=True, seed=0)
        atoms = Atoms(structure.numbers, structure.positions, cell=structure.cell)
        atoms.pbc = bool(structure.cell.any())
        torch.manual_seed(0)  # the rotations that the driver draws
        calculator.calculate(atoms, ["energy", "forces", "stress"], [])
        return (calculator.results[name] for name in ("energy", "forces", "stress"))


def test_same_as_the_calculator(options, backend, water):
    found = backend.evaluate(water, EVERYTHING)["direct"]
    energy, forces, stress = by_calculator(options[1], water)
    # float32 of the same operations
    assert found.energy == pytest.approx(energy, abs=1e-5)
    np.testing.assert_allclose(found.forces, forces, atol=1e-6)
    virial = -np.asarray(stress) * abs(np.linalg.det(water.cell))
    np.testing.assert_allclose(found.virial, virial, atol=1e-3)  # a stress of 1e-7 in 2000 A^3


def test_same_as_the_calculator_without_a_cell(options, backend, water):
    molecules = Structure(water.numbers[:12], water.positions[:12], np.zeros((3, 3)))
    found = backend.evaluate(molecules, Wanted(DIRECT))["direct"]
    _, forces, _ = by_calculator(options[1], molecules)
    np.testing.assert_allclose(found.forces, forces, atol=1e-6)


def test_the_net_force_is_removed_by_the_evaluator(backend, water):
    found = backend.evaluate(water, Wanted(DIRECT))["direct"].forces
    assert np.abs(found.sum(axis=0)).max() > 1e-2  # random weights: fairchem keeps it
    served = Evaluator(backend, {"fast": "direct"}).evaluate(water, "fast").forces
    np.testing.assert_allclose(served.sum(axis=0), 0.0, atol=1e-12)  # rounding


def test_a_slow_role_is_refused(backend):
    with pytest.raises(ModelError, match="has no conservative forces, which role slow needs"):
        Evaluator(backend, {"slow": "conservative"})


def test_a_model_without_stress(tmp_path, water):
    path = tmp_path / "no_stress.pt"
    make(path, stress=False)
    backend = load("equiformer", "--model", str(path))
    with pytest.raises(ModelError, match="has no stress of its direct forces"):
        Evaluator(backend, {"fast": "direct"}, direct_virial=True)
    found = backend.evaluate(water, Wanted(DIRECT, direct_energy=True))["direct"]
    assert np.isfinite(found.energy)
    assert np.isnan(found.virial).all()


def test_a_file_with_more_than_tensors_needs_trust(tmp_path, monkeypatch):
    path = tmp_path / "pickle.pt"
    make(path, extra=Anything())
    with pytest.raises(InputError, match=r"is a pickle.*--trust"):
        load("equiformer", "--model", str(path))
    monkeypatch.delenv(loading.UNSAFE, raising=False)
    assert load("equiformer", "--model", str(path), "--trust").kinds == DIRECT
    assert loading.UNSAFE not in os.environ


def test_what_is_no_checkpoint(tmp_path):
    import torch

    path = tmp_path / "x.pt"
    torch.save({"weights": torch.zeros(1)}, path)
    with pytest.raises(ModelError, match="is no OCP checkpoint") as caught:
        load("equiformer", "--model", str(path))
    assert "\n" not in str(caught.value)


def test_a_name_that_fairchem_does_not_know():
    with pytest.raises(
        InputError, match=r"neither a file nor one of fairchem's names: .*EquiformerV2"
    ):
        load("equiformer", "--model", "EquiformerV3")
