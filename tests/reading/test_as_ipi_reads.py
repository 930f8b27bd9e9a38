"""The dialects of i-PI's comment line against i-PI's own reader."""

import numpy as np
import pytest
from ipi.utils.io import read_file

from ncforce_ipi.reading.trajectory import open_trajectory
from ncforce_ipi.units import BOHR_A

CELLS = {"abcABC": "10 11 12 80 85 95", "H": "10 1 2 0 9 3 0 0 8", "GENH": "10 0 0 1 9 0 2 3 8"}


@pytest.mark.parametrize("kind", CELLS)
@pytest.mark.parametrize(
    "words",
    ["", " Step: 3 Bead: 0 positions", " Traj: positions{angstrom} Step: 3 Bead: 0 cell{angstrom}",
     " cell{angstrom}", " positions{angstrom}"],
)  # fmt: skip
def test_positions_and_cell_are_those_that_ipi_reads(tmp_path, kind, words):
    """Of GENH i-PI turns both into its own frame; what doesn't depend on it is compared."""
    path = tmp_path / "md.xyz"
    path.write_text(f"2\n# CELL({kind}): {CELLS[kind]}{words}\nO 1 2 3\nH 4 5 6\n")
    with path.open() as file:
        theirs = read_file("xyz", file)
    h_A = theirs["cell"].h * BOHR_A
    scaled = theirs["atoms"].q.reshape(-1, 3) * BOHR_A @ np.linalg.inv(h_A.T)
    (block,) = open_trajectory(path, "positions").blocks(1)
    cell_A = block.cells[0]
    # i-PI's angstrom differs from CODATA 2018 by 1e-8
    np.testing.assert_allclose(cell_A @ cell_A.T, h_A.T @ h_A, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(block.values[0] @ np.linalg.inv(cell_A), scaled, rtol=1e-7)
