# ruff: noqa: UP006, UP035, UP045
"""What is particular to metatomic models: output names, devices, files that are none, warnings."""

import subprocess
import sys
import warnings
from pathlib import Path
from typing import Dict, List, Optional  # metatomic looks for these very types

import numpy as np
import pytest

from ncforce_ipi import models
from ncforce_ipi.backend import Structure, Wanted
from ncforce_ipi.errors import InputError, ModelError
from ncforce_ipi.models.modelfile import Capabilities, capabilities, what_instead

torch = pytest.importorskip("torch")
from metatensor.torch import Labels, TensorBlock, TensorMap  # noqa: E402
from metatomic.torch import (  # noqa: E402
    AtomisticModel,
    ModelCapabilities,
    ModelMetadata,
    ModelOutput,
    System,
)

from ncforce_ipi.drivers import metatomic, metatomic_model  # noqa: E402

STRUCTURE = Structure(np.array([8, 1], np.int32), np.eye(3)[:2], np.zeros((3, 3)))


class OneOutput(torch.nn.Module):
    """The energy sum(r^2) / 2, or a direct force of one everywhere, under the name given."""

    def __init__(self, name: str, force: bool) -> None:
        super().__init__()
        self.name = name
        self.force = force

    def forward(
        self,
        systems: List[System],
        outputs: Dict[str, ModelOutput],
        selected_atoms: Optional[Labels] = None,
    ) -> Dict[str, TensorMap]:
        positions = systems[0].positions
        single = torch.zeros(1, 1, dtype=torch.int32)
        values = 0.5 * (positions**2).sum().reshape(1, 1)
        samples = Labels(["system"], single)
        components: List[Labels] = []
        if self.force:
            index = torch.arange(len(positions), dtype=torch.int32)
            samples = Labels(["system", "atom"], torch.stack([torch.zeros_like(index), index], 1))
            components = [Labels(["xyz"], torch.arange(3, dtype=torch.int32)[:, None])]
            values = torch.ones_like(positions)[:, :, None]
        block = TensorBlock(values, samples, components, Labels(["property"], single))
        return {self.name: TensorMap(Labels(["_"], single), [block])}


def save(
    directory: Path,
    name: str,
    force: bool = False,
    device: str = "cpu",
    unit: str | None = None,
    length_unit: str = "Angstrom",
) -> Path:
    """Export a model with one output."""
    kind = "atom" if force else "system"
    if unit is None:
        unit = "eV/Angstrom" if force else "eV"
    capabilities = ModelCapabilities(
        outputs={name: ModelOutput(unit=unit, sample_kind=kind, description="for a test")},
        atomic_types=[1, 8],
        interaction_range=0.0,
        length_unit=length_unit,
        supported_devices=[device],
        dtype="float64",
    )
    path = directory / "model.pt"
    model = AtomisticModel(OneOutput(name, force).eval(), ModelMetadata(), capabilities)
    model.save(str(path))
    return path


def load(model: object, **changes: object) -> metatomic.MetatomicBackend:
    return metatomic.load(str(model), **changes)


def test_an_energy_only_model_is_conservative_only(tmp_path):
    backend = load(save(tmp_path, "energy"))
    assert backend.kinds == {"conservative"}
    result = backend.evaluate(STRUCTURE, Wanted(frozenset(["conservative"])))["conservative"]
    np.testing.assert_array_equal(result.forces, -STRUCTURE.positions)  # exact in binary
    np.testing.assert_array_equal(result.virial, -np.diag([1.0, 1.0, 0.0]))
    with pytest.raises(ModelError, match="has no direct forces"):
        backend.evaluate(STRUCTURE, Wanted(frozenset(["direct"])))


def test_the_current_name_of_the_direct_force(tmp_path):
    backend = load(save(tmp_path, "non_conservative_force", force=True))
    assert backend.kinds == {"direct"}
    result = backend.evaluate(STRUCTURE, Wanted(frozenset(["direct"])))["direct"]
    np.testing.assert_array_equal(result.forces, np.ones((2, 3)))


def test_the_deprecated_name_of_the_direct_force_without_a_word(tmp_path, capfd):
    with pytest.warns(UserWarning, match="deprecated"):  # metatomic's, to who makes the model
        path = save(tmp_path, "non_conservative_forces", force=True)
    capfd.readouterr()
    backend = load(path)
    result = backend.evaluate(STRUCTURE, Wanted(frozenset(["direct"])))["direct"]
    np.testing.assert_array_equal(result.forces, np.ones((2, 3)))
    assert capfd.readouterr() == ("", "")


def test_variants(tmp_path):
    path = save(tmp_path, "energy/pbe")
    assert load(path, variant="pbe").kinds == {"conservative"}
    with pytest.raises(ModelError, match=r"neither energy/scan nor .* outputs are energy/pbe"):
        load(path, variant="scan")


@pytest.mark.parametrize(
    ("output", "variant", "message"),
    [
        ("energy/pbe", None, "its outputs are energy/pbe: give --variant with one of pbe"),
        ("energy", "pbe", "its outputs are energy: leave --variant out"),
        ("mtt::U0", None, "mtt::NAME what it can't tell to be an energy; call the target energy"),
        ("energy_uncertainty", None, "its outputs are energy_uncertainty$"),
    ],
)
def test_a_model_without_forces_says_what_can_be_done(tmp_path, output, variant, message):
    with pytest.raises(ModelError, match=message):
        load(save(tmp_path, output), variant=variant)


def test_units_that_a_model_leaves_out_are_said(tmp_path, caplog):
    with warnings.catch_warnings():  # metatomic's, to who makes the model
        warnings.simplefilter("ignore")
        path = save(tmp_path, "energy", unit="", length_unit="")
    load(path)
    assert "model.pt states no unit of length: A is assumed" in caplog.text
    assert "model.pt states no unit of energy: eV is assumed" in caplog.text
    caplog.clear()
    load(save(tmp_path, "energy"))
    assert not caplog.text


def test_units_of_a_model_are_converted(tmp_path):
    """The network gives sum(r^2) / 2 in its own units: here kJ/mol of lengths in nm."""
    path = save(tmp_path, "energy", unit="kJ/mol", length_unit="nm")
    result = load(path).evaluate(STRUCTURE, Wanted(frozenset(["conservative"])))["conservative"]
    # 0.5 * 2 atoms at 0.1 nm: 0.01 kJ/mol; CODATA 2018: 96.48533 kJ/mol is an eV
    assert result.energy == pytest.approx(0.01 / 96.485332, rel=1e-7)
    np.testing.assert_allclose(result.forces, -STRUCTURE.positions * 0.01 / 96.485332, rtol=1e-7)


def test_a_file_says_what_it_can_before_it_is_loaded(tmp_path):
    path = save(tmp_path, "energy/pbe")
    found = capabilities(path)
    assert found == Capabilities(frozenset([1, 8]), frozenset(["energy/pbe"]))
    assert found.has("energy")
    assert not found.has("non_conservative_force")
    water = capabilities(models.model_path("water"))
    assert water.species == {1, 8}
    assert all(map(water.has, ("energy", "non_conservative_force", "non_conservative_stress")))


def test_what_a_file_has_beside_its_forces(tmp_path):
    force_only = load(save(tmp_path, "non_conservative_force", force=True))
    assert (force_only.stress, force_only.direct_energy) == (frozenset(), False)
    energy_only = load(save(tmp_path, "energy"))
    assert (energy_only.stress, energy_only.direct_energy) == ({"conservative"}, False)
    water = load("water")
    assert (water.stress, water.direct_energy) == ({"conservative", "direct"}, True)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_another_type_than_the_file_has(random_model, water, dtype):
    """The weights are the same numbers: the forces are those of the file of that type."""
    other = {"float32": "float64", "float64": "float32"}[dtype]
    turned = load(random_model(other), dtype=dtype)
    assert (turned.dtype, f"turned to {dtype}" in turned.description) == (dtype, True)
    kinds = frozenset(["conservative", "direct"])
    found = turned.evaluate(water, Wanted(kinds))
    expected = load(random_model(other)).evaluate(water, Wanted(kinds))
    for kind in kinds:  # float32: forces of 1 eV/A from terms of 10 eV/A
        np.testing.assert_allclose(found[kind].forces, expected[kind].forces, atol=1e-4)
        assert not np.array_equal(found[kind].forces, expected[kind].forces)


def test_a_model_with_an_old_output_name_can_be_turned(tmp_path):
    with pytest.warns(UserWarning, match="deprecated"):
        path = save(tmp_path, "non_conservative_forces", force=True)
    backend = load(path, dtype="float32")
    result = backend.evaluate(STRUCTURE, Wanted(frozenset(["direct"])))["direct"]
    np.testing.assert_array_equal(result.forces, np.ones((2, 3)))


def test_a_missing_file():
    with pytest.raises(InputError, match="neither a file nor a shipped model"):
        load("nothing.pt")


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "it is empty, cut, or no archive"),
        (b"not a model", "it is empty, cut, or no archive"),
        (b"PK\x03\x04 broken", "it is empty, cut, or no archive"),
        (b"\n<!DOCTYPE html><html>", "it is a web page: download the file itself"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid",
            "it is a pointer of Git LFS: get the file",
        ),
    ],
)
def test_a_file_that_is_no_model(tmp_path, content, what):
    path = tmp_path / "x.pt"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=f"can't be loaded as a metatomic model: {what}") as caught:
        load(path)
    assert "\n" not in str(caught.value)


def test_a_torchscript_file_of_another_kind(tmp_path):
    path = tmp_path / "x.pt"
    torch.jit.script(torch.nn.Linear(1, 1)).save(str(path))
    with pytest.raises(ModelError, match="needs its family: mace:FILE"):
        load(path)


def test_a_checkpoint_says_how_it_is_exported(tmp_path):
    path = tmp_path / "model.ckpt"
    torch.save({"architecture_name": "pet", "model_state_dict": {"w": torch.ones(2)}}, path)
    with pytest.raises(ModelError, match=r"export it with `mtt export model\.ckpt -o model\.pt`"):
        load(path)
    assert "checkpoint" in what_instead(path)


def test_a_model_is_nothing_else(tmp_path):
    assert not what_instead(save(tmp_path, "energy"))
    assert not what_instead(models.model_path("water"))
    assert not what_instead(tmp_path / "gone.pt")


@pytest.mark.parametrize("device", ["cuda:7", "tpu"])
def test_a_device_that_is_not_there(tmp_path, device):
    with pytest.raises(ModelError, match=f"device {device} can't be used: the model supports cpu"):
        load(save(tmp_path, "energy"), device=device)


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_a_model_for_devices_that_are_not_there(tmp_path):
    with pytest.raises(ModelError, match=r"the model supports cuda, .* has cpu"):
        load(save(tmp_path, "energy", device="cuda"))


def test_importing_the_driver_imports_no_model_library():
    code = "import sys, ncforce_ipi.drivers.metatomic; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 0


@pytest.mark.parametrize("name", sorted(models.SHIPPED))
def test_both_forces_of_a_shipped_model_at_once_have_the_bits_of_each_alone(name):
    """What --role both rests on: the trajectory doesn't depend on which calls were joint."""
    backend = metatomic.open_model(models.model_path(name), device="cpu")
    species = sorted(backend.species)
    rng = np.random.default_rng(3)
    grid = 2.5 * np.array(list(np.ndindex(4, 4, 4)))
    numbers = np.array(rng.choice(species, len(grid)), np.int32)
    both = Wanted(frozenset(["conservative", "direct"]))
    for _ in range(3):
        positions = grid + 0.3 * rng.normal(size=grid.shape)
        structure = Structure(numbers, positions, np.eye(3) * 10.0)
        joint = backend.evaluate(structure, both)
        for kind in ("conservative", "direct"):
            alone = backend.evaluate(structure, Wanted(frozenset([kind])))[kind]
            np.testing.assert_array_equal(joint[kind].forces, alone.forces)
        energy = backend.evaluate(structure, Wanted(frozenset(["conservative"])))["conservative"]
        assert joint["conservative"].energy == energy.energy
        np.testing.assert_array_equal(joint["conservative"].virial, energy.virial)


def output(values, samples):
    """As a model returns it."""
    properties = Labels(["_"], torch.arange(values.shape[-1], dtype=torch.int32)[:, None])
    components = [
        Labels([f"c{k}"], torch.arange(n, dtype=torch.int32)[:, None])
        for k, n in enumerate(values.shape[1:-1])
    ]
    labels = Labels(["system", "atom"], torch.tensor(samples, dtype=torch.int32))
    block = TensorBlock(values, labels, components, properties)
    return {"force": TensorMap(Labels(["_"], torch.tensor([[0]], dtype=torch.int32)), [block])}


def test_rows_are_in_the_order_of_systems_and_atoms_whatever_the_models():
    values = torch.arange(9.0).reshape(3, 3, 1)
    found = metatomic_model._rows(output(values, [(1, 0), (0, 1), (0, 0)]), "force", 3, 3)
    np.testing.assert_array_equal(found, [[6, 7, 8], [3, 4, 5], [0, 1, 2]])


@pytest.mark.parametrize("shape", [(2, 3, 1), (3, 3, 2), (3, 1)])
def test_an_output_of_another_shape_is_named(shape):
    samples = [(0, k) for k in range(shape[0])]
    with pytest.raises(ValueError, match=r"^force has shape \(.*\), expected 3 times 3 numbers$"):
        metatomic_model._rows(output(torch.zeros(shape), samples), "force", 3, 3)


REPLACED = """
import typing, warnings
import torch

before = torch.index_select

def index_select(input: torch.Tensor, dim: typing.Union[int, str], index: torch.Tensor):
    return before(input, dim, index)

torch.index_select = index_select  # as torch_geometric does
from ncforce_ipi import load
from ncforce_ipi.training.program import write_model
from ncforce_ipi.training.recipe import Recipe

recipe = Recipe(species=[1, 8], pools={"a": 1.0}, validation="b", channels=8, layers=1)
write_model(recipe.network(), recipe, "small", __import__("pathlib").Path("small.pt"))
with load("metatomic:small.pt") as model:
    print(model.description)
raise SystemExit(torch.index_select is not index_select)
"""


def test_models_are_written_and_read_beside_a_library_that_replaces_torchs_functions(tmp_path):
    """In another process: here metatensor is imported already."""
    done = subprocess.run([sys.executable, "-c", REPLACED], cwd=tmp_path, timeout=300,
                          capture_output=True, text=True, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "small" in done.stdout
