"""The first frame, read alone, is that of the whole file."""

import numpy as np
import pytest

from ncforce_ipi.errors import InputError
from ncforce_ipi.reading.firstframe import read_first
from ncforce_ipi.reading.trajectory import open_trajectory

CELL = "# CELL(abcABC): 18.0 19.0 20.0 90.0 90.0 90.0 Step: 0 Bead: 0"
IPI = f"{CELL} positions{{angstrom}} cell{{atomic_unit}}"
EXTXYZ = 'Lattice="9 0 0 0 9 0 0 0 9" Properties=species:S:1:pos:R:3 pbc="T F T"'
OPEN = "Properties=species:S:1:pos:R:3 pbc=F"


def written(path, comment, n_frames=3):
    frames = (f"2\n{comment}\nO 1.5 {k} 3\nH 4 5 6\n" for k in range(n_frames))
    path.write_text("".join(frames))
    return path


@pytest.mark.parametrize("comment", [IPI, EXTXYZ, OPEN, "water"])
def test_it_is_the_first_of_all(tmp_path, comment):
    path = written(tmp_path / "md.xyz", comment)
    whole = open_trajectory(path, "positions")
    frame, first = next(whole.blocks(1)), read_first(path, "positions")
    np.testing.assert_array_equal(first.values, frame.values[0])
    np.testing.assert_array_equal(first.cell, frame.cells[0])
    assert first.pbc == (None if comment == "water" else whole.pbc)


def test_a_cut_one_is_passed_over(tmp_path):
    path = written(tmp_path / "md.xyz", EXTXYZ)
    path.write_text(f"2\n{EXTXYZ}\nO 9 9\n" + path.read_text())
    np.testing.assert_array_equal(read_first(path, "positions").values[0], [1.5, 0.0, 3.0])


@pytest.mark.parametrize(
    ("text", "match"),
    [
        (f"2\n{EXTXYZ}\nO 1 2 3\n", "no complete frame"),
        (f"2\n{EXTXYZ}\nO 1 2 3\nH 4 5 six\n", "unreadable first frame"),
        (f"2\n{EXTXYZ.replace('pos', 'vel')}\nO 1 2 3\nH 4 5 6\n", "expected positions"),
        ("no frame at all\n", "expected a number of atoms"),
    ],
)
def test_what_is_no_frame_is_refused(tmp_path, text, match):
    path = tmp_path / "md.xyz"
    path.write_text(text)
    with pytest.raises(InputError, match=match):
        read_first(path, "positions")
