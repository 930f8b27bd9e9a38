"""What every driver file must fulfil; one more line in ``DRIVERS`` for each family."""

import argparse
import importlib

import numpy as np
import pytest

from ncforce_ipi.backend import Structure, Wanted
from ncforce_ipi.errors import ModelError

DRIVERS = ("metatomic",)
BOTH = Wanted(frozenset(["conservative", "direct"]), direct_energy=True, direct_virial=True)
CONSERVATIVE = Wanted(frozenset(["conservative"]))
DIRECT = Wanted(frozenset(["direct"]))
STEP_A = 1e-4  # central differences: error ~ STEP^2 F'' / 6 ~ 1e-8 eV/A, rounding ~ 1e-11 eV / STEP


@pytest.fixture(scope="module", params=DRIVERS)
def driver(request):
    return importlib.import_module(f"ncforce_ipi.drivers.{request.param}")


@pytest.fixture(scope="module")
def make(driver, random_model):
    """Load a random model of float32 or float64 through the driver."""

    def load(dtype="float64", **changes):
        parser = argparse.ArgumentParser()
        driver.add_arguments(parser)
        args = parser.parse_args([])
        common = {"model": str(random_model(dtype)), "device": "cpu", "threads": 1}
        common |= {"direct_energy": False, "direct_virial": False}
        vars(args).update(common | changes)
        return driver.load(args)

    return load


@pytest.fixture(scope="module")
def backend(make):
    return make()


@pytest.fixture
def molecules() -> Structure:
    """Two water molecules, off their minima, without a cell."""
    one = np.array([[0.0, 0.0, 0.0], [0.97, 0.1, 0.0], [-0.25, 0.9, 0.1]])
    positions = np.concatenate([one, one + np.array([2.7, 0.4, 0.3])])
    return Structure(np.array([8, 1, 1] * 2, np.int32), positions, np.zeros((3, 3)))


@pytest.fixture
def crystal(molecules) -> Structure:
    """The same in a small skewed cell: atoms see their own images."""
    cell = np.array([[5.5, 0.0, 0.0], [0.7, 5.0, 0.0], [0.2, -0.4, 4.2]])
    return Structure(molecules.numbers, molecules.positions, cell)


def moved(structure, positions=None, cell=None):
    return Structure(
        structure.numbers,
        structure.positions if positions is None else positions,
        structure.cell if cell is None else cell,
    )


def energy(backend, structure):
    return backend.evaluate(structure, CONSERVATIVE)["conservative"].energy


def slope(backend, structure, change):
    """Derivative of the energy along ``change(structure, step)``."""
    up, down = (energy(backend, change(structure, step)) for step in (STEP_A, -STEP_A))
    return (up - down) / (2 * STEP_A)


def negative_gradient(backend, structure):
    forces = np.zeros_like(structure.positions)
    for atom, axis in np.ndindex(forces.shape):

        def change(structure, step, atom=atom, axis=axis):
            positions = structure.positions.copy()
            positions[atom, axis] += step
            return moved(structure, positions)

        forces[atom, axis] = -slope(backend, structure, change)
    return forces


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_shapes_and_types(make, crystal, dtype):
    result = make(dtype).evaluate(crystal, BOTH)
    assert set(result) == {"conservative", "direct"}
    for evaluation in result.values():
        assert isinstance(evaluation.energy, float)
        assert evaluation.forces.shape == crystal.positions.shape
        assert evaluation.virial.shape == (3, 3)
        assert evaluation.forces.dtype == evaluation.virial.dtype == np.float64
        np.testing.assert_array_equal(evaluation.virial, evaluation.virial.T)


def test_what_the_backend_says_of_itself(backend):
    assert backend.kinds == {"conservative", "direct"}
    assert backend.species == {1, 8}
    assert "\n" not in backend.description


def test_inputs_are_not_changed(backend, crystal):
    copies = [array.copy() for array in (crystal.numbers, crystal.positions, crystal.cell)]
    backend.evaluate(crystal, BOTH)
    for array, copy in zip((crystal.numbers, crystal.positions, crystal.cell), copies, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_inputs_may_be_read_only(backend, crystal):
    for array in (crystal.numbers, crystal.positions, crystal.cell):
        array.flags.writeable = False
    backend.evaluate(crystal, BOTH)


def test_results_are_kept_when_the_next_structure_comes(backend, crystal):
    first = backend.evaluate(crystal, BOTH)["direct"].forces
    copy = first.copy()
    backend.evaluate(moved(crystal, crystal.positions + 0.1 * crystal.positions**2), BOTH)
    np.testing.assert_array_equal(first, copy)


def test_what_is_not_wanted_is_nan(backend, crystal):
    result = backend.evaluate(crystal, DIRECT)
    assert set(result) == {"direct"}
    assert np.isnan(result["direct"].energy)
    assert np.isnan(result["direct"].virial).all()


def test_the_conservative_force_is_minus_the_gradient(backend, crystal):
    forces = backend.evaluate(crystal, CONSERVATIVE)["conservative"].forces
    np.testing.assert_allclose(forces, negative_gradient(backend, crystal), atol=1e-7)  # STEP_A


def test_the_direct_force_is_not(backend, crystal):
    forces = backend.evaluate(crystal, DIRECT)["direct"].forces
    difference = np.abs(forces - negative_gradient(backend, crystal)).max()
    assert difference > 1e-3  # random weights: of the order of the forces, 0.01 to 1 eV/A


def test_the_virial_is_minus_the_strain_derivative(backend, crystal):
    numeric = np.zeros((3, 3))
    for a, b in np.ndindex(3, 3):

        def change(structure, step, a=a, b=b):
            strain = np.eye(3)
            strain[a, b] += 0.5 * step
            strain[b, a] += 0.5 * step
            return moved(structure, structure.positions @ strain, structure.cell @ strain)

        numeric[a, b] = -slope(backend, crystal, change)
    virial = backend.evaluate(crystal, CONSERVATIVE)["conservative"].virial
    np.testing.assert_allclose(virial, numeric, atol=1e-6)  # as STEP_A, times lengths of 10 A


def test_joint_evaluation_is_each_alone(backend, crystal):
    joint = backend.evaluate(crystal, BOTH)
    alone = backend.evaluate(crystal, CONSERVATIVE)["conservative"]
    direct = backend.evaluate(crystal, DIRECT)["direct"]
    # rounding of float64; a graph with gradients may add in another order
    np.testing.assert_allclose(joint["conservative"].forces, alone.forces, atol=1e-12)
    np.testing.assert_allclose(joint["direct"].forces, direct.forces, atol=1e-12)
    assert joint["direct"].energy == pytest.approx(alone.energy, abs=1e-11)


@pytest.mark.parametrize("wanted", [CONSERVATIVE, DIRECT, BOTH])
def test_a_structure_gives_the_same_bits_whatever_came_before(make, crystal, wanted):
    backend = make("float32")
    first = backend.evaluate(crystal, wanted)
    for k in range(4):
        backend.evaluate(moved(crystal, crystal.positions * (1 + 0.01 * k)), wanted)
        again = backend.evaluate(crystal, wanted)
        for kind, evaluation in first.items():
            np.testing.assert_array_equal(again[kind].forces, evaluation.forces)


@pytest.mark.parametrize("shifts", [(1, 0, 0), (0, -2, 1)])
def test_translation_through_the_boundary(backend, crystal, shifts):
    """Moving all atoms, or one atom by a lattice vector, changes nothing."""
    everywhere = crystal.positions + np.array([3.0, -2.0, 7.0])
    image = crystal.positions.copy()
    image[0] += np.array(shifts) @ crystal.cell
    expected = backend.evaluate(crystal, BOTH)
    for positions in (everywhere, image):
        result = backend.evaluate(moved(crystal, positions), BOTH)
        for kind, evaluation in expected.items():
            # rounding of positions of 10 A: 1e-15, times stiffnesses of 100 eV/A^2
            np.testing.assert_allclose(result[kind].forces, evaluation.forces, atol=1e-10)
            np.testing.assert_allclose(result[kind].virial, evaluation.virial, atol=1e-10)


def test_a_molecule_without_a_cell_is_one_in_a_large_cell(backend, molecules):
    boxed = moved(molecules, molecules.positions + 20.0, np.eye(3) * 50.0)
    expected = backend.evaluate(boxed, BOTH)
    wanted = Wanted(frozenset(["conservative", "direct"]))
    result = backend.evaluate(molecules, wanted)
    for kind in result:  # tolerance: as for the translation
        np.testing.assert_allclose(result[kind].forces, expected[kind].forces, atol=1e-10)
    conservative = result["conservative"]
    assert conservative.energy == pytest.approx(expected["conservative"].energy, abs=1e-10)
    np.testing.assert_allclose(conservative.virial, expected["conservative"].virial, atol=1e-10)


def test_a_cell_of_one_atom(backend):
    """No force by symmetry; eight cells in one have eight times the energy."""
    one = Structure(np.array([8], np.int32), np.array([[0.3, 0.2, 0.1]]), np.eye(3) * 3.1)
    corners = np.array(list(np.ndindex(2, 2, 2))) * 3.1
    eight = Structure(np.full(8, 8, np.int32), corners + 0.2, np.eye(3) * 6.2)
    result = backend.evaluate(one, BOTH)
    for evaluation in result.values():  # sums of terms of 1 eV/A that cancel: rounding
        np.testing.assert_allclose(evaluation.forces, 0.0, atol=1e-12)
    supercell = backend.evaluate(eight, BOTH)
    for kind in result:  # rounding, of sums of 10 eV
        assert supercell[kind].energy == pytest.approx(8 * result[kind].energy, abs=1e-10)
        np.testing.assert_allclose(supercell[kind].virial, 8 * result[kind].virial, atol=1e-10)


def test_a_lonely_atom(backend):
    result = backend.evaluate(
        Structure(np.array([1], np.int32), np.zeros((1, 3)), np.zeros((3, 3))),
        Wanted(frozenset(["conservative", "direct"])),
    )
    for evaluation in result.values():
        np.testing.assert_array_equal(evaluation.forces, 0.0)
    assert np.isfinite(result["conservative"].energy)


def test_a_species_that_the_model_does_not_know(backend, molecules):
    numbers = molecules.numbers.copy()
    numbers[0] = 79
    with pytest.raises(ModelError, match="79") as caught:
        backend.evaluate(Structure(numbers, molecules.positions, molecules.cell), CONSERVATIVE)
    assert "\n" not in str(caught.value)
