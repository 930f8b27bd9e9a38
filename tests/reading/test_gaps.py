"""Frames behind an empty line, where ASE's reader ends."""

import gzip
import io

import pytest

from ncforce_ipi.errors import InputError
from ncforce_ipi.inputs.structure import read_structure
from ncforce_ipi.reading.gaps import has_gap, without_gaps
from ncforce_ipi.reading.images import read_images

LATTICE = 'Lattice="8 0 0 0 8 0 0 0 8" Properties=species:S:1:pos:R:3 pbc="T T T"'


def frame(x_A, comment=LATTICE):
    return f"2\n{comment}\nAl 0 0 0\nAl {x_A} 0 0\n"


def places(source):
    return [float(image.atoms.positions[1, 0]) for image in read_images(source)]


@pytest.mark.parametrize("comment", [LATTICE, "", " "])
@pytest.mark.parametrize(
    "text", ["{0}\n{1}{2}", "\n{0}{1} \n\n{2}\n", "{0}\r\n{1}\n{2}", "{0}{1}{2}\n\n"]
)
@pytest.mark.parametrize("packed", [False, True])
def test_frames_behind_empty_lines_are_read(tmp_path, comment, text, packed):
    """With every index the frames of the file, whatever its comment lines are."""
    text = text.format(*(frame(x, comment) for x in (3, 4, 5)))
    path = tmp_path / ("some.xyz.gz" if packed else "some.xyz")
    path.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    assert places(str(path)) == [3.0, 4.0, 5.0]
    assert places(f"{path}@-1") == [5.0]
    assert places(f"{path}@1") == [4.0]
    assert places(f"{path}@::2") == [3.0, 5.0]


def test_a_run_starts_from_the_last_frame(tmp_path):
    (tmp_path / "some.xyz").write_text(frame(3) + "\n" + frame(4))
    assert read_structure(f"{tmp_path / 'some.xyz'}@-1").get_distance(0, 1) == pytest.approx(4.0)


def test_a_cut_frame_behind_an_empty_line_is_refused(tmp_path):
    (tmp_path / "some.xyz").write_text(frame(3) + "\n" + frame(4)[:-10])
    with pytest.raises(InputError, match="can't be read by ASE"):
        read_images(str(tmp_path / "some.xyz"))


@pytest.mark.parametrize(
    "text", ["", "\n\n", "9999999999\n\nAl 0 0 0\n", "9" * 5000, "hello\nyou\n"]
)
def test_what_is_no_frame_stays_as_it_is(text):
    assert "".join(without_gaps(io.StringIO(text))) == ("" if not text.strip() else text)
    assert not has_gap(io.StringIO(text))
