# ruff: noqa: UP006, UP035, UP045
"""Pair vectors that a model gets: differences in float64, whatever the type of its numbers."""

from typing import Dict, List, Optional  # metatomic looks for these very types

import numpy as np
import pytest

from ncforce_ipi.backend import Structure, Wanted
from ncforce_ipi.inputs.structure import read_structure
from ncforce_ipi.models import model_path

torch = pytest.importorskip("torch")
from metatensor.torch import Labels, TensorBlock, TensorMap  # noqa: E402
from metatomic.torch import (  # noqa: E402
    AtomisticModel,
    ModelCapabilities,
    ModelMetadata,
    ModelOutput,
    NeighborListOptions,
    System,
)

from ncforce_ipi.drivers import metatomic  # noqa: E402

NOTHING = np.zeros((3, 3))
BOX = np.diag([1000.0, 900.0, 800.0])
SKEWED = np.array([[1000.0, 0.0, 0.0], [300.0, 900.0, 0.0], [-250.0, 100.0, 800.0]])


class Springs(torch.nn.Module):
    """Energy: half the sum of squared pair vectors; direct force on a pair's first atom: it."""

    def requested_neighbor_lists(self) -> List[NeighborListOptions]:
        return [NeighborListOptions(cutoff=3.0, full_list=False, strict=True)]

    def forward(
        self,
        systems: List[System],
        outputs: Dict[str, ModelOutput],
        selected_atoms: Optional[Labels] = None,
    ) -> Dict[str, TensorMap]:
        block = systems[0].get_neighbor_list(self.requested_neighbor_lists()[0])
        vectors, pairs = block.values[:, :, 0], block.samples.values[:, :2].to(torch.long)
        single = torch.zeros(1, 1, dtype=torch.int32)
        key, one = Labels(["_"], single), Labels(["property"], single)
        result: Dict[str, TensorMap] = {}
        if "energy" in outputs:
            energy = 0.5 * (vectors * vectors).sum().reshape(1, 1)
            made = TensorBlock(energy, Labels(["system"], single), [], one)
            result["energy"] = TensorMap(key, [made])
        if "non_conservative_force" in outputs:
            force = torch.zeros_like(systems[0].positions)
            force = force.index_add(0, pairs[:, 0], vectors).index_add(0, pairs[:, 1], -vectors)
            index = torch.arange(len(force), dtype=torch.int32)
            samples = Labels(["system", "atom"], torch.stack([torch.zeros_like(index), index], 1))
            xyz = Labels(["xyz"], torch.arange(3, dtype=torch.int32)[:, None])
            made = TensorBlock(force[:, :, None], samples, [xyz], one)
            result["non_conservative_force"] = TensorMap(key, [made])
        return result


@pytest.fixture(scope="module")
def springs(tmp_path_factory):
    outputs = {
        "energy": ModelOutput(unit="eV", sample_kind="system", description="of springs"),
        "non_conservative_force": ModelOutput(
            unit="eV/Angstrom", sample_kind="atom", description="of springs"
        ),
    }
    capabilities = ModelCapabilities(
        outputs=outputs,
        atomic_types=[1],
        interaction_range=3.0,
        length_unit="Angstrom",
        supported_devices=["cpu"],
        dtype="float32",
    )
    path = tmp_path_factory.mktemp("springs") / "springs.pt"
    AtomisticModel(Springs().eval(), ModelMetadata(), capabilities).save(str(path))
    return lambda dtype: metatomic.load(str(path), dtype=dtype)


PLACES = {
    "at the origin": ([0.1, 0.2, 0.3], NOTHING, NOTHING[0]),
    "far from the origin": ([70001.1, -40000.3, 12345.6], NOTHING, NOTHING[0]),
    "in a large cell": ([901.3, 812.7, 755.1], BOX, NOTHING[0]),
    "across the boundary": ([999.7, 812.7, 0.2], BOX, -BOX[0] + BOX[2]),
    "in a skewed cell": ([901.3, 612.7, 455.1], SKEWED, NOTHING[0]),
    "in another image": ([901.3, 612.7, 455.1], SKEWED, 7 * SKEWED[1] - 3 * SKEWED[2]),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("place", PLACES)
def test_a_pair_vector_has_all_digits_wherever_the_pair_is(springs, place, dtype):
    where, cell, image = PLACES[place]
    apart = np.array([0.9123456789, -0.7234567891, 0.5345678912])
    positions = np.array([where, np.add(where, apart) + image])
    structure = Structure(np.array([1, 1], np.int32), positions, cell)
    found = springs(dtype).evaluate(structure, Wanted(frozenset(["direct", "conservative"])))
    # what is left of float64 after differences at 1e3 A (1e5 A): 2e-13 A (2e-11 A), or of float32
    digits = float(np.finfo(dtype).eps) + (3e-11 if "far" in place else 4e-12)
    for kind in ("direct", "conservative"):
        forces = found[kind].forces
        np.testing.assert_allclose(forces, [apart, -apart], rtol=0, atol=digits)
    np.testing.assert_allclose(
        found["conservative"].virial, -np.outer(apart, apart), rtol=0, atol=2 * digits
    )
    assert found["conservative"].energy == pytest.approx(0.5 * apart @ apart, abs=2 * digits)


def test_a_larger_cell_makes_forces_in_float32_no_less_exact():
    atoms = read_structure("water")
    found = []
    for n in (1, 2):
        many = atoms.repeat(n)
        structure = Structure(many.numbers.astype(np.int32), many.positions, many.cell.array)
        f32, f64 = (
            metatomic.load(str(model_path("water")), device="cpu", dtype=dtype)
            .evaluate(structure, Wanted(frozenset(["direct"])))["direct"]
            .forces
            for dtype in ("float32", "float64")
        )
        found.append((f32 - f64).std())
    # seen 1.6e-6 eV/A for both; of positions in float32 it was 8e-6 and 19e-6
    assert max(found) < 3e-6
