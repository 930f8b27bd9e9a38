"""One trajectory in every dialect gives the same numbers, whatever has happened to the file.

``NCFORCE_TEST_PROFILE=long`` runs 10^4 examples of each.
"""

import contextlib
import logging
import tempfile
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("hypothesis")

from hypothesis import assume, given
from hypothesis import strategies as st

from ncforce_ipi.errors import InputError
from ncforce_ipi.reading.trajectory import Trajectory, open_trajectory
from tests.reading.dialects import PACK, Written, trajectories


# products of the numbers with factors of the same table, in another order of operations; cells by
# lengths and angles with 14 digits
@pytest.fixture(scope="module", autouse=True)
def quiet():
    """No log of ten thousand cut frames."""
    logging.disable(logging.WARNING)
    yield
    logging.disable(logging.NOTSET)


CLOSE = {"rtol": 1e-14, "atol": 0.0}
CELLS = {"rtol": 0.0, "atol": 1e-11}


def opened(folder: str, text: bytes, written: Written) -> Trajectory:
    path = Path(folder) / "trajectory"
    path.write_bytes(text)
    return open_trajectory(path, written.quantity)


def require_same(trajectory: Trajectory, written: Written) -> None:
    (block,) = trajectory.blocks(10**6)
    assert trajectory.species.tolist() == written.species
    assert trajectory.numbered == written.numbered
    assert trajectory.pbc == written.pbc
    np.testing.assert_array_equal(trajectory.steps, written.steps)
    np.testing.assert_allclose(block.values, written.factor * written.numbers, **CLOSE)
    cells = np.broadcast_to(written.cell_A, block.cells.shape)
    np.testing.assert_allclose(block.cells, cells, **CELLS)


@given(trajectories(), st.data())
def test_every_dialect_gives_the_same_numbers(written, data):
    """Blank lines around frames, either newline, none at the end, compressed or not."""
    between = data.draw(st.sampled_from(["", "", "\n", "\n \n"]))
    text = data.draw(st.sampled_from(["", "\n"])) + between.join(written.frames())
    if written.fixed_width and len(written.species) > 1 and data.draw(st.booleans()):
        text = text.removesuffix("\n")
    else:
        text += data.draw(st.sampled_from(["", "\n", "\n\n  \n"]))
    raw = text.replace("\n", data.draw(st.sampled_from(["\n", "\r\n"]))).encode()
    raw = data.draw(st.sampled_from([bytes, *PACK.values()]))(raw)
    with tempfile.TemporaryDirectory() as folder:
        require_same(opened(folder, raw, written), written)


@given(trajectories(), st.data())
def test_a_cut_frame_costs_no_other(written, data):
    """A crash cuts a frame anywhere, even within a number; whole ones go on there."""
    frames = written.frames()
    at = data.draw(st.integers(0, len(frames) - 1))
    cut = frames[at][: data.draw(st.integers(1, len(frames[at]) - 2))]
    assume(at > 0 or "\n" in cut)  # else nothing says how many atoms there are
    text = "".join([*frames[:at], cut, *frames[at:]])
    with tempfile.TemporaryDirectory() as folder:
        require_same(opened(folder, text.encode(), written), written)


@given(trajectories(), st.data())
def test_what_a_resumed_run_writes_again_counts(written, data):
    """From a checkpoint on, after a cut frame or a whole one."""
    assume(written.numbered and len(written.steps) > 2)
    frames = written.frames()
    first = data.draw(st.integers(1, len(frames) - 2))
    last = data.draw(st.integers(first + 1, len(frames) - 1))
    old = [row.replace("1", "2") for row in frames[first:last]]  # steps and numbers of another run
    old = [
        new.partition("\n")[0] + "\n" + new.partition("\n")[2].split("\n", 1)[0] + "\n"
        + bad.split("\n", 2)[2]
        for new, bad in zip(frames[first:last], old, strict=True)
    ]  # fmt: skip
    text = "".join([*frames[:first], *old, *frames[first:]])
    with tempfile.TemporaryDirectory() as folder:
        require_same(opened(folder, text.encode(), written), written)


@given(trajectories(), st.data())
def test_atoms_in_another_order_are_refused(written, data):
    assume(len(set(written.species)) > 1 and len(written.steps) > 1)
    frame = data.draw(st.integers(1, len(written.steps) - 1))
    order = data.draw(st.permutations(range(len(written.species))))
    moved = [atom for atom, k in enumerate(order) if written.species[atom] != written.species[k]]
    assume(moved)
    written.rows[frame][:] = [written.rows[frame][k] for k in order]
    with tempfile.TemporaryDirectory() as folder:
        trajectory = opened(folder, "".join(written.frames()).encode(), written)
        with pytest.raises(InputError, match=rf"atom \d+ is .* at step {written.steps[frame]} "):
            list(trajectory.blocks(5))


@given(st.binary(max_size=400), st.integers(1, 3))
def test_rubbish_ends_in_one_line(rubbish, n_atoms):
    """Bytes of any kind, alone, as a comment, as atoms, behind whole frames."""
    whole = b'1\nLattice="1 0 0 0 1 0 0 0 1" step=1\nH 0.0 0.0 0.0\n'
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rubbish"
        for text in (rubbish, b"%d\n" % n_atoms + rubbish, whole + rubbish, whole * 3 + rubbish,
                     b"1\n" + rubbish.replace(b"\n", b" ") + b"\nH 0 0 0\n"):  # fmt: skip
            path.write_bytes(text)
            with contextlib.suppress(InputError):  # nothing else, and no warning
                list(open_trajectory(path).blocks(3))
