"""The contract of ``ncforce_ipi.testing`` for every family; the models are in ``tests/drivers``."""

from dataclasses import replace

import numpy as np
import pytest

from ncforce_ipi.backend import Wanted
from ncforce_ipi.testing import CHECKS, Setting, example, run_check
from ncforce_ipi.testing.physics import directions, negative_slopes
from tests.drivers import find_cases, is_missing


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


@pytest.fixture(scope="module")
def case(request):
    return request.param


@pytest.fixture(scope="module")
def make(case, tmp_path_factory):
    """The case's model in one of its types, and a structure that it can take."""
    loaded = {}

    def load(dtype):
        if dtype not in loaded:
            backend = case.load(tmp_path_factory.getbasetemp(), dtype)
            crystal = example(backend)
            # atoms see their own images, if all neighbours count
            cell = crystal.cell * (4 if case.limits.truncates else 1)
            loaded[dtype] = Setting(backend, replace(crystal, cell=cell), case.limits)
        return loaded[dtype]

    return load


@pytest.fixture(scope="module")
def setting(case, make):
    return make(case.dtypes[-1])


@pytest.mark.parametrize("check", CHECKS)
@every
def test_contract(setting, check):
    run_check(check, setting)


@pytest.mark.parametrize(
    "check", ["shapes_and_types", "a_structure_gives_the_same_bits_whatever_came_before"]
)
@some(lambda case: len(case.dtypes) > 1)
def test_contract_in_the_other_type(case, make, check):
    run_check(check, make(case.dtypes[0]))


@every
def test_what_the_backend_says_of_itself(case, setting):
    backend = setting.backend
    assert backend.kinds == backend.stress == case.kinds
    assert backend.direct_energy == ("direct" in case.kinds)
    assert (backend.species or set()) >= ({1, 8} if case.says_species else set())
    assert (backend.species is not None) == case.says_species
    assert backend.dtype in (None, case.dtypes[-1])
    assert setting.everything == case.everything


@some(lambda case: case.kinds == {"conservative", "direct"})
def test_the_direct_force_is_not_a_gradient(setting):
    found = setting.backend.evaluate(setting.structure, Wanted(frozenset(["direct"])))["direct"]
    projected = np.einsum("dia,ia->d", directions(setting.structure), found.forces)
    # random weights or a known curl: of the order of the forces, 0.01 to 1 eV/A
    assert np.abs(projected - negative_slopes(setting)).max() > 1e-3


@every
def test_close_may_be_repeated(case, tmp_path_factory):
    with case.load(tmp_path_factory.getbasetemp()) as backend:
        backend.close()
    backend.close()
