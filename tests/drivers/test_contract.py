"""What every driver file must fulfil; the models are in ``tests/drivers``, a module a family."""

import numpy as np
import pytest

from ncforce_ipi.backend import Structure, Wanted
from ncforce_ipi.errors import ModelError
from tests.drivers import find_cases, is_missing

CONSERVATIVE = Wanted(frozenset(["conservative"]))
DIRECT = Wanted(frozenset(["direct"]))


def some(condition):
    """Decorator: the cases of which that is true, each skipped where its library isn't."""
    parameters = [
        pytest.param(
            case,
            id=case.label,
            marks=pytest.mark.skipif(is_missing(case.library), reason=f"needs {case.library}"),
        )
        for case in find_cases()
        if condition(case)
    ]
    return pytest.mark.parametrize("case", parameters, indirect=True, scope="module")


every = some(lambda case: True)
conservative = some(lambda case: "conservative" in case.kinds)
direct = some(lambda case: "direct" in case.kinds)


@pytest.fixture(scope="module")
def case(request):
    return request.param


@pytest.fixture(scope="module")
def make(case, tmp_path_factory):
    """Load the case's model in one of its types."""
    loaded = {}

    def load(dtype):
        if dtype not in loaded:
            loaded[dtype] = case.load(tmp_path_factory.getbasetemp(), dtype)
        return loaded[dtype]

    return load


@pytest.fixture(scope="module")
def backend(case, make):
    return make(case.dtypes[-1])


@pytest.fixture
def molecules() -> Structure:
    """Two water molecules, off their minima, without a cell."""
    one = np.array([[0.0, 0.0, 0.0], [0.97, 0.1, 0.0], [-0.25, 0.9, 0.1]])
    positions = np.concatenate([one, one + np.array([2.7, 0.4, 0.3])])
    return Structure(np.array([8, 1, 1] * 2, np.int32), positions, np.zeros((3, 3)))


@pytest.fixture
def crystal(case, molecules) -> Structure:
    """The same in a small skewed cell: atoms see their own images, if all neighbours count."""
    cell = np.array([[5.5, 0.0, 0.0], [0.7, 5.0, 0.0], [0.2, -0.4, 4.2]])
    return Structure(molecules.numbers, molecules.positions, cell * (4 if case.truncates else 1))


def moved(structure, positions=None, cell=None):
    return Structure(
        structure.numbers,
        structure.positions if positions is None else positions,
        structure.cell if cell is None else cell,
    )


def strained(structure, strain):
    return moved(structure, structure.positions @ strain, structure.cell @ strain)


def slope(backend, step, change):
    """Derivative of the energy along ``change(step)``, a structure."""
    up, down = (
        backend.evaluate(change(x), CONSERVATIVE)["conservative"].energy for x in (step, -step)
    )
    return (up - down) / (2 * step)


def directions(structure):
    """Six random unit vectors ``(6, n_atoms, 3)``: a wrong force shows along any of them."""
    vectors = np.random.default_rng(1).normal(size=(6, *structure.positions.shape))
    return vectors / np.linalg.norm(vectors, axis=(1, 2), keepdims=True)


def negative_slopes(case, backend, structure):
    """-dE/ds along each of the directions, ``(6,)``, eV/A."""
    return np.array(
        [
            -slope(
                backend, case.step_A, lambda s, d=d: moved(structure, structure.positions + s * d)
            )
            for d in directions(structure)
        ]
    )


@every
def test_shapes_and_types(case, make, crystal):
    for dtype in case.dtypes:
        result = make(dtype).evaluate(crystal, case.everything)
        assert set(result) == case.kinds
        for evaluation in result.values():
            assert isinstance(evaluation.energy, float)
            assert evaluation.forces.shape == crystal.positions.shape
            assert evaluation.virial.shape == (3, 3)
            assert evaluation.forces.dtype == evaluation.virial.dtype == np.float64
            np.testing.assert_array_equal(evaluation.virial, evaluation.virial.T)


@every
def test_all_that_is_wanted_is_finite(case, backend, crystal):
    for kind, evaluation in backend.evaluate(crystal, case.everything).items():
        assert np.isfinite(evaluation.forces).all()
        if kind == "conservative" or case.direct_energy:
            assert np.isfinite(evaluation.energy)
        if kind == "conservative" or case.direct_virial:
            assert np.isfinite(evaluation.virial).all()


@every
def test_what_the_backend_says_of_itself(case, backend):
    assert backend.kinds == case.kinds
    assert (backend.species or set()) >= ({1, 8} if case.says_species else set())
    assert (backend.species is not None) == case.says_species
    assert "\n" not in backend.description


@every
def test_a_kind_that_the_model_lacks(case, backend, crystal):
    for kind in {"conservative", "direct"} - case.kinds:
        with pytest.raises(ModelError, match=f"has no {kind} forces") as caught:
            backend.evaluate(crystal, Wanted(frozenset([kind])))
        assert "\n" not in str(caught.value)


@every
def test_inputs_are_not_changed(case, backend, crystal):
    copies = [array.copy() for array in (crystal.numbers, crystal.positions, crystal.cell)]
    backend.evaluate(crystal, case.everything)
    for array, copy in zip((crystal.numbers, crystal.positions, crystal.cell), copies, strict=True):
        np.testing.assert_array_equal(array, copy)


@every
def test_inputs_may_be_read_only(case, backend, crystal):
    for array in (crystal.numbers, crystal.positions, crystal.cell):
        array.flags.writeable = False
    backend.evaluate(crystal, case.everything)


@every
def test_results_are_kept_when_the_next_structure_comes(case, backend, crystal):
    first = backend.evaluate(crystal, case.everything)
    copies = {kind: evaluation.forces.copy() for kind, evaluation in first.items()}
    backend.evaluate(moved(crystal, crystal.positions + 0.05), case.everything)
    backend.evaluate(moved(crystal, crystal.positions * 1.02), case.everything)
    for kind, evaluation in first.items():
        np.testing.assert_array_equal(evaluation.forces, copies[kind])


@direct
def test_a_direct_force_alone(case, backend, crystal):
    result = backend.evaluate(crystal, DIRECT)
    assert set(result) == {"direct"}
    assert np.isnan(result["direct"].energy)
    assert np.isnan(result["direct"].virial).all()


@conservative
def test_the_conservative_force_is_minus_the_gradient(case, backend, crystal):
    forces = backend.evaluate(crystal, CONSERVATIVE)["conservative"].forces
    projected = np.einsum("dia,ia->d", directions(crystal), forces)
    expected = negative_slopes(case, backend, crystal)
    np.testing.assert_allclose(projected, expected, rtol=0, atol=case.slope_error)


@some(lambda case: case.kinds == {"conservative", "direct"})
def test_the_direct_force_is_not(case, backend, crystal):
    forces = backend.evaluate(crystal, DIRECT)["direct"].forces
    projected = np.einsum("dia,ia->d", directions(crystal), forces)
    # random weights or a known curl: of the order of the forces, 0.01 to 1 eV/A
    assert np.abs(projected - negative_slopes(case, backend, crystal)).max() > 1e-3


@conservative
def test_the_virial_is_minus_the_strain_derivative(case, backend, crystal):
    numeric = np.zeros((3, 3))
    for a, b in np.ndindex(3, 3):
        unit = np.zeros((3, 3))
        unit[a, b] += 0.5
        unit[b, a] += 0.5
        step = 0.1 * case.step_A  # of a strain: times lengths of 10 A
        numeric[a, b] = -slope(
            backend, step, lambda s, unit=unit: strained(crystal, np.eye(3) + s * unit)
        )
    virial = backend.evaluate(crystal, CONSERVATIVE)["conservative"].virial
    np.testing.assert_allclose(virial, numeric, rtol=0, atol=10 * case.slope_error)


@every
def test_joint_evaluation_is_each_alone(case, backend, crystal):
    joint = backend.evaluate(crystal, case.everything)
    for kind in case.kinds:
        alone = backend.evaluate(crystal, case.wanted(kind))[kind]
        # a graph with gradients may add in another order
        np.testing.assert_allclose(joint[kind].forces, alone.forces, atol=case.rounding)
        np.testing.assert_allclose(joint[kind].virial, alone.virial, atol=case.rounding)
        np.testing.assert_allclose(joint[kind].energy, alone.energy, atol=case.rounding)


@some(lambda case: case.repeatable)
def test_a_structure_gives_the_same_bits_whatever_came_before(case, make, crystal):
    backend = make(case.dtypes[0])
    for kind in case.kinds:
        wanted = case.wanted(kind)
        first = backend.evaluate(crystal, wanted)[kind]
        for k in range(3):
            backend.evaluate(moved(crystal, crystal.positions * (1 + 0.01 * k)), wanted)
            again = backend.evaluate(crystal, wanted)[kind]
            np.testing.assert_array_equal(again.forces, first.forces)


@pytest.mark.parametrize("shifts", [(1, 0, 0), (0, -2, 1)])
@every
def test_translation_through_the_boundary(case, backend, crystal, shifts):
    """Moving all atoms, or one atom by a lattice vector, changes nothing."""
    everywhere = crystal.positions + np.array([3.0, -2.0, 7.0])
    image = crystal.positions.copy()
    image[0] += np.array(shifts) @ crystal.cell
    expected = backend.evaluate(crystal, case.everything)
    for positions in (everywhere, image):
        result = backend.evaluate(moved(crystal, positions), case.everything)
        for kind, evaluation in expected.items():
            np.testing.assert_allclose(result[kind].forces, evaluation.forces, atol=case.rounding)
            np.testing.assert_allclose(result[kind].virial, evaluation.virial, atol=case.rounding)


@some(lambda case: not case.needs_cell)
def test_a_molecule_without_a_cell_is_one_in_a_large_cell(case, backend, molecules):
    wanted = Wanted(case.kinds)
    boxed = moved(molecules, molecules.positions + 20.0, np.eye(3) * 50.0)
    expected = backend.evaluate(boxed, wanted)
    result = backend.evaluate(molecules, wanted)
    for kind in case.kinds - ({"direct"} if case.removes_torque else set()):
        np.testing.assert_allclose(result[kind].forces, expected[kind].forces, atol=case.rounding)
    if "conservative" in result:
        found, boxed_ = result["conservative"], expected["conservative"]
        np.testing.assert_allclose(found.energy, boxed_.energy, atol=case.rounding)
        np.testing.assert_allclose(found.virial, boxed_.virial, atol=case.rounding)


@some(lambda case: not (case.truncates or case.blurs_axes))
def test_a_cell_of_one_atom(case, backend):
    """No force by symmetry; eight cells in one have eight times the energy."""
    one = Structure(np.array([8], np.int32), np.array([[0.3, 0.2, 0.1]]), np.eye(3) * 3.1)
    corners = np.array(list(np.ndindex(2, 2, 2))) * 3.1
    eight = Structure(np.full(8, 8, np.int32), corners + 0.2, np.eye(3) * 6.2)
    result = backend.evaluate(one, case.everything)
    for evaluation in result.values():  # terms of 1 eV/A that cancel
        np.testing.assert_allclose(evaluation.forces, 0.0, atol=case.rounding)
    supercell = backend.evaluate(eight, case.everything)
    for kind in result:
        tolerance = {"rtol": 0, "atol": 10 * case.rounding}  # sums of 10 eV
        np.testing.assert_allclose(supercell[kind].energy, 8 * result[kind].energy, **tolerance)
        np.testing.assert_allclose(supercell[kind].virial, 8 * result[kind].virial, **tolerance)


@some(lambda case: case.removes_torque)
def test_a_molecule_without_a_cell_has_no_torque(case, backend, molecules):
    forces = backend.evaluate(molecules, DIRECT)["direct"].forces
    torque = np.cross(molecules.positions, forces).sum(axis=0)
    np.testing.assert_allclose(torque, 0.0, atol=case.rounding)


@some(lambda case: case.needs_cell)
def test_a_molecule_for_a_model_that_needs_a_cell(case, backend, molecules):
    with pytest.raises(ModelError, match="cell") as caught:
        backend.evaluate(molecules, Wanted(case.kinds))
    assert "\n" not in str(caught.value)


def lonely(case):
    """An atom in nothing, or in a cell in which it doesn't see its images."""
    cell = np.eye(3) * 60.0 if case.needs_cell else np.zeros((3, 3))
    return Structure(np.array([1], np.int32), np.full((1, 3), 30.0), cell)


@some(lambda case: not case.needs_neighbors)
def test_a_lonely_atom(case, backend):
    result = backend.evaluate(lonely(case), Wanted(case.kinds))
    for evaluation in result.values():
        np.testing.assert_allclose(evaluation.forces, 0.0, atol=case.rounding)
    if "conservative" in result:
        assert np.isfinite(result["conservative"].energy)


@some(lambda case: case.needs_neighbors)
def test_a_lonely_atom_for_a_model_that_needs_neighbours(case, backend):
    with pytest.raises(ModelError) as caught:
        backend.evaluate(lonely(case), Wanted(case.kinds))
    assert str(caught.value).startswith(backend.description)
    assert "\n" not in str(caught.value)


@some(lambda case: case.says_species)
def test_a_species_that_the_model_does_not_know(case, backend, crystal):
    unknown = max(set(range(1, 119)) - backend.species)
    numbers = crystal.numbers.copy()
    numbers[0] = unknown
    structure = Structure(numbers, crystal.positions, crystal.cell)
    with pytest.raises(ModelError, match=str(unknown)) as caught:
        backend.evaluate(structure, Wanted(case.kinds))
    assert "\n" not in str(caught.value)
