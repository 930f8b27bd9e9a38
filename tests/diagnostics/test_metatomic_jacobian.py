"""Derivatives of metatomic models: against differences, in both precisions, in batches."""

import numpy as np
import pytest

from ncforce_ipi.backend import Structure
from ncforce_ipi.diagnostics import jacobian
from ncforce_ipi.diagnostics.finite_differences import Differences
from ncforce_ipi.diagnostics.products import dense
from ncforce_ipi.drivers import metatomic, metatomic_jacobian
from ncforce_ipi.errors import ModelError
from ncforce_ipi.models import model_path
from tests.diagnostics.conftest import forces_of


@pytest.fixture
def molecules():
    """Eight H2O on a cube's corners, shaken, without a cell."""
    from ase.build import molecule

    h2o = molecule("H2O")
    corners = 2.9 * np.array(list(np.ndindex(2, 2, 2)))
    positions = (corners[:, None] + h2o.positions[None]).reshape(-1, 3)
    positions += np.random.default_rng(0).normal(0, 0.03, positions.shape)
    return Structure(np.tile(h2o.numbers, 8).astype(np.int32), positions, np.zeros((3, 3)))


@pytest.mark.parametrize("kind", ["conservative", "direct"])
def test_products_are_those_of_differences(molecules, random_model, kind):
    backend = metatomic.open_model(random_model("float64"))
    products = backend.jacobian_products(molecules, kind)
    forces = forces_of(backend, molecules, kind)
    expected = dense(Differences(forces, molecules.positions, 1e-4))
    found = dense(products)
    scale = np.abs(expected).max()
    assert scale > 1e-3
    np.testing.assert_allclose(found, expected, atol=1e-6 * scale)  # h^2 F'''/6
    vectors = np.random.default_rng(0).normal(size=(3, 24, 3))
    flat = vectors.reshape(3, -1)
    ahead, back = products.forward(vectors), products.backward(vectors)
    np.testing.assert_allclose(ahead.reshape(3, -1), flat @ found.T, atol=1e-12 * scale * 72)
    np.testing.assert_allclose(back.reshape(3, -1), flat @ found, atol=1e-12 * scale * 72)


def test_batches_are_the_single_products(molecules, random_model, monkeypatch):
    backend = metatomic.open_model(random_model("float64"))
    vectors = np.random.default_rng(0).normal(size=(5, 24, 3))
    results = []
    for atoms in (1, 48, 10000):  # one, two and all copies at once
        monkeypatch.setattr(metatomic_jacobian, "ATOMS_AT_ONCE", atoms)
        products = backend.jacobian_products(molecules, "direct")
        results.append((products.forward(vectors), products.backward(vectors)))
    for other in results[1:]:
        np.testing.assert_allclose(other[0], results[0][0], atol=1e-12)
        np.testing.assert_allclose(other[1], results[0][1], atol=1e-12)


def test_asymmetry_of_the_water_model(molecules):
    """Conservative: rounding of the precision; direct: the same in both; small, and not 0."""
    found = {}
    for precision in ("float32", "float64"):
        backend = metatomic.open_model(model_path("water"))
        if precision == "float64":
            backend.to_float64()
        for kind in ("conservative", "direct"):
            products = backend.jacobian_products(molecules, kind)
            found[precision, kind] = jacobian.asymmetry(jacobian.blocks(dense(products)))
    assert found["float64", "conservative"] < 1e-13
    assert 1e-9 < found["float32", "conservative"] < 1e-5
    assert 1e-3 < found["float64", "direct"] < 0.05
    assert found["float32", "direct"] == pytest.approx(found["float64", "direct"], rel=1e-3)


def test_float64_is_the_same_function(molecules):
    before = metatomic.open_model(model_path("water"))
    after = metatomic.open_model(model_path("water"))
    after.to_float64()
    assert "turned to float64" in after.description
    for kind in ("conservative", "direct"):
        r = molecules.positions
        a, b = (forces_of(backend, molecules, kind)(r) for backend in (before, after))
        np.testing.assert_allclose(a, b, atol=1e-4)  # float32 forces of 1 to 10 eV/A
        assert np.abs(a - b).max() > 1e-9


def test_a_kind_or_species_that_it_lacks_is_refused(molecules, random_model):
    backend = metatomic.open_model(random_model("float64"))
    wrong = Structure(np.full(24, 26, np.int32), molecules.positions, molecules.cell)
    with pytest.raises(ModelError, match="doesn't know atomic number 26"):
        backend.jacobian_products(wrong, "direct")
