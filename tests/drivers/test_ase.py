"""What is particular to ASE calculators: how they are named and made, stress, energy."""

import json

import numpy as np
import pytest

ase = pytest.importorskip("ase")
from ase import Atoms  # noqa: E402
from ase.build import bulk  # noqa: E402
from ase.calculators.calculator import Calculator, all_changes  # noqa: E402
from ase.calculators.emt import EMT  # noqa: E402

from ncforce_ipi.backend import Structure, Wanted  # noqa: E402
from ncforce_ipi.errors import InputError, ModelError  # noqa: E402
from tests.drivers import load  # noqa: E402

WANTED = Wanted(frozenset(["conservative"]))


class Smeared(Calculator):
    """Forces that belong to the free energy; no stress; as bad as one can be on order."""

    implemented_properties = ("energy", "free_energy", "forces")

    def __init__(self, path="", fail=False):
        super().__init__()
        self.path, self.fail, self.calls = path, fail, 0

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        """A constant."""
        super().calculate(atoms, properties, system_changes)
        self.calls += 1
        if self.fail:
            raise RuntimeError("first line\nSCF did not converge")
        self.results = {"energy": 1.0, "free_energy": 2.0, "forces": np.zeros((len(atoms), 3))}


class Promising(Smeared):
    """Says that it has a stress, and has none, in either of two ways."""

    implemented_properties = (*Smeared.implemented_properties, "stress")

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        """Without the stress that is asked for."""
        super().calculate(atoms, properties, system_changes)
        if self.path == "raises" and "stress" in properties:
            raise KeyError("stress")


class Ion(Calculator):
    """A uniform field of 1 V/A along z on a charge that the atoms' ``info`` says."""

    implemented_properties = ("energy", "forces")

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        """F = q E on each of n atoms with q/n."""
        super().calculate(atoms, properties, system_changes)
        each = atoms.info.get("charge", 0) / len(atoms)
        forces = np.tile([0.0, 0.0, each], (len(atoms), 1))
        self.results = {"energy": -each * atoms.positions[:, 2].sum(), "forces": forces}


class Empty(Calculator):
    """Knows nothing."""

    implemented_properties = ()


def structure(atoms):
    return Structure(
        atoms.numbers.astype(np.int32), atoms.positions.copy(), atoms.cell.array.copy()
    )


def evaluate(backend, atoms):
    return backend.evaluate(structure(atoms), WANTED)["conservative"]


def test_emt_is_what_ase_says():
    backend = load("ase", "--model", "ase.calculators.emt:EMT")
    for shift in (0.0, 0.1):  # one after the other: nothing is left over
        atoms = bulk("Al", cubic=True)
        atoms.rattle(0.1 + shift, seed=1)
        atoms.set_cell(atoms.cell.array + 0.1 * np.arange(9).reshape(3, 3))
        atoms.calc = EMT()
        result = evaluate(backend, atoms)
        np.testing.assert_allclose(result.forces, atoms.get_forces(), rtol=0, atol=1e-12)
        assert result.energy == pytest.approx(atoms.get_potential_energy(), abs=1e-12)
        virial = -atoms.get_stress(voigt=False) * atoms.get_volume()
        np.testing.assert_allclose(result.virial, virial, rtol=0, atol=1e-12)


def test_chgnet_is_what_chgnet_says():
    dynamics = pytest.importorskip("chgnet.model.dynamics")
    from chgnet.model import CHGNet

    name = "r2scan"  # not the default
    arguments = f'{{"model_name": "{name}", "use_device": "cpu", "verbose": false}}'
    backend = load("ase", "--model", "tests.chgnet_named:calculator", "--arguments", arguments)
    network = CHGNet.load(model_name=name, use_device="cpu", verbose=False)
    atoms = bulk("C", "diamond", a=3.567, cubic=True)
    atoms.rattle(0.03, seed=1)
    result = evaluate(backend, atoms)
    atoms.calc = dynamics.CHGNetCalculator(network, use_device="cpu")
    # float32 at both sides, sums in the same order
    np.testing.assert_allclose(result.forces, atoms.get_forces(), rtol=0, atol=1e-5)
    assert result.energy == pytest.approx(atoms.get_potential_energy(), abs=1e-4)
    virial = -atoms.get_stress(voigt=False) * atoms.get_volume()
    np.testing.assert_allclose(result.virial, virial, rtol=0, atol=1e-3)


def test_the_energy_is_the_one_that_the_forces_belong_to():
    backend = load("ase", "--model", f"{__name__}:Smeared", "--no-virial")
    result = evaluate(backend, bulk("Al", cubic=True))
    assert result.energy == 2.0
    assert np.isnan(result.virial).all()
    assert backend.stress == frozenset()


@pytest.mark.parametrize(("words", "charge"), [((), 0.0), (("--info", '{"charge": -1}'), -1.0)])
def test_the_charge_that_info_says(words, charge):
    backend = load("ase", "--model", f"{__name__}:Ion", "--no-virial", *words)
    for atoms in (Atoms("OH", [[0, 0, 1], [0, 0, 2]]), Atoms("F", [[0, 0, 5]])):
        found = evaluate(backend, atoms)
        np.testing.assert_allclose(found.forces.sum(axis=0), [0, 0, charge])
        assert found.energy == pytest.approx(-charge * atoms.positions[:, 2].mean())


def test_the_description_has_versions():
    backend = load("ase", "--model", "ase.calculators.emt:EMT")
    assert backend.description == f"ase.calculators.emt:EMT (ase {ase.__version__})"
    assert backend.source is None


def test_a_calculator_without_stress():
    with pytest.raises(ModelError, match="has no stress; --no-virial runs NVE and NVT without it"):
        load("ase", "--model", f"{__name__}:Smeared")


@pytest.mark.parametrize(
    ("path", "said"), [("raises", "failed: .*'stress'"), ("", "gave no stress")]
)
def test_a_stress_that_does_not_come(path, said):
    words = (
        "--model",
        "tests.drivers.test_ase:Promising",
        "--arguments",
        json.dumps({"path": path}),
    )
    with pytest.raises(ModelError, match=f"{said}; some give a stress if asked.*--no-virial"):
        evaluate(load("ase", *words, "--trust"), bulk("Al"))
    without = load("ase", *words, "--trust", "--no-virial")
    assert evaluate(without, bulk("Al")).energy == 2.0


def test_a_calculator_without_anything():
    with pytest.raises(ModelError, match="has no energy and no forces and no stress"):
        load("ase", "--model", f"{__name__}:Empty")


def test_a_calculator_that_fails():
    arguments = ["--no-virial", "--arguments", '{"fail": true}']
    backend = load("ase", "--model", f"{__name__}:Smeared", *arguments)
    with pytest.raises(ModelError, match=r"Smeared .* failed: SCF did not converge") as caught:
        evaluate(backend, bulk("Al", cubic=True))
    assert "\n" not in str(caught.value)


def test_a_slab_without_a_third_lattice_vector():
    backend = load("ase", "--model", "ase.calculators.emt:EMT")
    slab = Atoms("Al", cell=[3, 3, 0])
    with pytest.raises(ModelError, match="expected three lattice vectors or none, got 2"):
        evaluate(backend, slab)


def test_a_file_among_the_arguments_needs_trust(tmp_path):
    path = tmp_path / "model.pt"
    path.write_bytes(b"pickle")
    words = ["--model", f"{__name__}:Smeared", "--no-virial"]
    words += ["--arguments", f'{{"path": "{path}"}}']
    with pytest.raises(InputError, match=r"model\.pt is a pickle.*add --trust"):
        load("ase", *words)
    assert load("ase", *words, "--trust").source == path


@pytest.mark.parametrize(
    "arguments",
    ['{{"paths": ["no", "{}"]}}', '{{"a": {{"b": [["{}"]]}}}}', '{{"path": "~/model.pt"}}'],
)
def test_a_file_deep_among_the_arguments_needs_trust(arguments, tmp_path, monkeypatch):
    """MACE's own calculator takes a list of them."""
    monkeypatch.setenv("HOME", str(tmp_path))
    path = tmp_path / "model.pt"
    path.write_bytes(b"pickle")
    words = ["--model", f"{__name__}:Smeared", "--no-virial"]
    words += ["--arguments", arguments.format(path)]
    with pytest.raises(InputError, match=r"model\.pt is a pickle.*add --trust"):
        load("ase", *words)


def test_words_that_are_no_files(tmp_path, monkeypatch):
    """A directory, a very long word, a user whom nobody knows."""
    monkeypatch.chdir(tmp_path)
    words = {"directory": ".", "command": "x" * 5000, "user": "~nobody-of-this-name/x", "n": 3}
    arguments = json.dumps({"more": [words, None, True]})
    backend = load("ase", "--model", "ase.calculators.emt:EMT", "--arguments", arguments)
    assert backend.source is None


@pytest.mark.parametrize(
    ("words", "match"),
    [
        (("--model", "ase.calculators.emt"), "expected module:Class of an ASE calculator"),
        (("--model", "ase.calculators.emt:Emt"), "has no attribute 'Emt'"),
        (("--model", "json:loads", "--arguments", "x"), "--arguments is not JSON"),
        (("--model", "json:loads", "--arguments", "3"), "--arguments: expected an object"),
    ],
)
def test_wrong_names(words, match):
    with pytest.raises(InputError, match=match) as caught:
        load("ase", *words)
    assert "\n" not in str(caught.value)


def test_a_module_that_is_not_installed():
    with pytest.raises(ModelError, match="No module named 'no_such_module'") as caught:
        load("ase", "--model", "no_such_module:Calculator")
    assert "\n" not in str(caught.value)


def test_arguments_that_the_class_does_not_take():
    with pytest.raises(ModelError, match=r"Smeared can't be made with .* argument 'x'"):
        load("ase", "--model", f"{__name__}:Smeared", "--arguments", '{"x": 1}')
