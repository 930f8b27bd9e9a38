"""Cells of systems that are not periodic along every vector."""

import numpy as np
import pytest

from ncforce_ipi.analysis.openings import complete, extents_A, widened

CELL = np.array([[8.0, 0.0, 0.0], [3.0, 7.0, 0.0], [1.0, -2.0, 6.0]])


@pytest.mark.parametrize("missing", [(2,), (0,), (0, 1), (0, 1, 2)])
def test_vectors_of_zeros_become_unit_vectors_across(missing):
    cell = CELL.copy()
    cell[list(missing)] = 0.0
    found = complete(cell)
    there = [axis for axis in range(3) if axis not in missing]
    assert np.array_equal(found[there], CELL[there])
    new = found[list(missing)]
    np.testing.assert_allclose(new @ new.T, np.eye(len(missing)), atol=1e-14)
    np.testing.assert_allclose(new @ CELL[there].T, 0.0, atol=1e-13)


def test_open_directions_are_widened_only():
    cells = np.stack([CELL, 1.1 * CELL])
    assert widened(cells, (True, True, True), np.full(3, 99.0)) is cells
    found = widened(cells, (True, False, False), np.array([99.0, 30.0, 2.0]))
    heights_A = 1.0 / np.linalg.norm(np.linalg.inv(found), axis=1)
    np.testing.assert_allclose(found[:, 0], cells[:, 0])
    np.testing.assert_allclose(heights_A[:, 1], 30.0)
    np.testing.assert_allclose(found[:, 2], cells[:, 2])  # high enough
    np.testing.assert_allclose(np.cross(found[:, 1], cells[:, 1]), 0.0, atol=1e-12)


def test_extents_are_those_across():
    positions = np.array([[[0.0, 0.0, 0.0], [1.0, 2.0, 3.0]], [[0.0, 0.0, 1.0], [4.0, 0.0, -3.0]]])
    cells = np.broadcast_to(np.diag([8.0, 0.0, 5.0]), (2, 3, 3))
    np.testing.assert_allclose(extents_A(positions, cells), [4.0, 2.0, 4.0])
