"""Every model of every family serves a real i-PI run with multiple time steps.

What a family lacks, an analytic model serves in its place, in a process of its own.
"""

import sys

import numpy as np
import pytest

from ncforce_ipi.backend import ROLES, Structure, Wanted
from tests.drivers import find_cases, is_missing
from tests.ipi_host import TIMEOUT_S, host

pytest.importorskip("ipi")
pytestmark = pytest.mark.e2e
KINDS = {"slow": "conservative", "fast": "direct"}
STAND_IN = ["analytic", "--model", "harmonic", "--arguments", '{"k_eV_per_A2": 0.05}']
N_OUTER = 4


def parameter(case):
    skip = pytest.mark.skipif(is_missing(case.library), reason=f"needs {case.library}")
    return pytest.param(case, id=f"{case.family}-{case.name}", marks=skip)


@pytest.mark.parametrize("case", [parameter(case) for case in find_cases()])
def test_a_run_with_multiple_time_steps(case, tmp_path):
    options = case.words(tmp_path, case.dtypes[-1])
    roles = [role for role in ROLES if KINDS[role] in case.kinds]
    with host(tmp_path / "run") as it:
        common = ["--structure", "start.extxyz", "--socket-dir", str(it.directory)]
        common += ["--device", "cpu", "--wait-s", str(TIMEOUT_S)]
        server = it.ipi(n_outer=N_OUTER, mts=2, outer_step_fs=0.5)
        program = [sys.executable, "-m", "ncforce_ipi", "driver"]
        role = "both" if len(roles) == 2 else roles[0]
        drivers = [
            it.start([*program, case.family, *options, *common, "--role", role], "model.log")
        ]
        for other in set(ROLES) - set(roles):
            drivers.append(it.start([*program, *STAND_IN, *common, "--role", other], "other.log"))
        it.finish(server)
        assert [driver.wait(TIMEOUT_S) for driver in drivers] == [0] * len(drivers)
        np.testing.assert_array_equal(it.table()[:, 0], np.arange(N_OUTER + 1))
        for role in roles:
            check_last_forces(it, case, role, tmp_path)


def check_last_forces(it, case, role, directory):
    """The forces that i-PI has written are the model's at the last positions."""
    kind = KINDS[role]
    numbers = np.array([8, 1, 1] * 4, np.int32)
    structure = Structure(numbers, it.last_positions(), np.eye(3) * 8.0)
    expected = case.load(directory).evaluate(structure, Wanted(frozenset([kind])))[kind].forces
    if kind == "direct":
        expected = expected - expected.mean(axis=0)
    found = it.last_forces(role)
    scale = max(1.0, np.abs(expected).max())
    # half of the last of six digits; a float32 model sees positions rounded anew
    tolerance = scale * max(6e-6, 10 * case.limits.rounding)
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance)
    assert np.abs(found).max() > 1e-3
