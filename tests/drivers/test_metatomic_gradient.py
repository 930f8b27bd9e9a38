"""An operation that torch can't differentiate: refused, where torch takes it for a constant."""

import sys
import warnings
from typing import Dict, List, Optional  # noqa: UP035  TorchScript

import numpy as np
import pytest
import torch
from metatensor.torch import Labels, TensorBlock, TensorMap
from metatomic.torch import (
    AtomisticModel,
    ModelCapabilities,
    ModelMetadata,
    ModelOutput,
    System,
)

from ncforce_ipi.backend import Structure, Wanted
from ncforce_ipi.drivers import metatomic, metatomic_gradient
from ncforce_ipi.errors import ModelError

LIBRARY = torch.library.Library("ncforce_ipi_test", "DEF")
for name in ("square", "known"):
    LIBRARY.define(f"{name}(Tensor x) -> Tensor")
    LIBRARY.impl(name, lambda x: x * x, "CPU")
torch.library.register_autograd(
    "ncforce_ipi_test::known", lambda ctx, g: 2 * ctx.saved_tensors[0] * g,
    setup_context=lambda ctx, inputs, output: ctx.save_for_backward(*inputs), lib=LIBRARY,
)  # fmt: skip
LINE = (
    r"model.pt.*: the derivative of ncforce_ipi_test::square isn't known here, so that forces "
    r"would lack a part; the library that it comes from must register one"
)
CONSERVATIVE = Wanted(frozenset(["conservative"]))


class Wells(torch.nn.Module):
    """E = sum of r^2 / 2 + r^2, the second term by an operation of our own."""

    def __init__(self, known: bool):
        super().__init__()
        self.known = known

    def forward(
        self,
        systems: List[System],  # noqa: UP006
        outputs: Dict[str, ModelOutput],  # noqa: UP006
        selected_atoms: Optional[Labels] = None,  # noqa: UP045
    ) -> Dict[str, TensorMap]:  # noqa: UP006
        r = systems[0].positions
        if self.known:
            squares = torch.ops.ncforce_ipi_test.known(r)
        else:
            squares = torch.ops.ncforce_ipi_test.square(r)
        energy = (0.5 * r * r + squares).sum().reshape(1, 1)
        single = torch.zeros(1, 1, dtype=torch.int32)
        block = TensorBlock(energy, Labels(["system"], single), [], Labels(["property"], single))
        return {"energy": TensorMap(Labels(["_"], single), [block])}


def saved(tmp_path, known):
    capabilities = ModelCapabilities(
        outputs={"energy": ModelOutput(unit="eV", sample_kind="system", description="of wells")},
        atomic_types=[1],
        interaction_range=0.0,
        length_unit="Angstrom",
        supported_devices=["cpu"],
        dtype="float64",
    )
    path = tmp_path / "model.pt"
    AtomisticModel(Wells(known).eval(), ModelMetadata(), capabilities).save(str(path))
    return metatomic.load(str(path))


@pytest.fixture
def model(tmp_path):
    return saved(tmp_path, known=False)


STRUCTURE = Structure(np.array([1], np.int32), np.array([[1.0, 2.0, 3.0]]), np.zeros((3, 3)))


def test_forces_that_lack_a_part_are_refused_however_often(model):
    for _ in range(2):
        with pytest.raises(ModelError, match=LINE):
            model.evaluate(STRUCTURE, CONSERVATIVE)


def test_whatever_others_do_with_warnings(model):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(ModelError, match=LINE):
            model.evaluate(STRUCTURE, CONSERVATIVE)


def test_so_are_products_of_its_jacobian(model):
    products = model.jacobian_products(STRUCTURE, "conservative")
    for product in (products.forward, products.backward):
        with pytest.raises(ModelError, match=LINE):
            product(np.ones((1, 1, 3)))


def test_one_that_has_its_derivative_is_right(tmp_path):
    found = saved(tmp_path, known=True).evaluate(STRUCTURE, CONSERVATIVE)["conservative"]
    np.testing.assert_allclose(found.forces, -3.0 * STRUCTURE.positions)


def test_a_package_completes_its_library_before_that_is_loaded(tmp_path, monkeypatch, caplog):
    (tmp_path / "completes_it.py").write_text("")
    (tmp_path / "comes_too_late.py").write_text("raise SystemExit('torch would end the process')")
    packages = {
        "new": ("completes_it", "square"),
        "ncforce_ipi_test": ("comes_too_late", "square"),
        "gone": ("not_there", "square"),
    }
    monkeypatch.setattr(metatomic_gradient, "PACKAGES", packages)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "completes_it", raising=False)
    with caplog.at_level("INFO"):
        metatomic_gradient.complete(["other", *packages])
    assert "completes_it" in sys.modules
    assert "ncforce_ipi_test is loaded already: comes_too_late isn't imported" in caplog.text
    assert "gone: not_there can't be imported: No module named" in caplog.text
