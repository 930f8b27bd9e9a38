"""Where frames begin: by batches of heads as by counting lines, whatever happened to the file."""

import numpy as np
import pytest

from ncforce_ipi.reading.frameindex import index_frames
from ncforce_ipi.reading.framesteps import last_of_each

N_ATOMS = 2


def frame(step, *, width=6, digits=8, cell="9.0 9.0 9.0"):
    words = f"Step: {step:{width}d} cell {cell}" if step is not None else f"cell {cell}"
    rows = "".join(f"H {x:12.{digits}f}\n" for x in range(N_ATOMS))
    return f"{N_ATOMS}\n# {words}\n{rows}"


def indexed(tmp_path, pieces):
    path = tmp_path / "trajectory"
    path.write_text("".join(pieces))
    with path.open("rb") as file:
        return index_frames(path, file)


def spans_of(pieces):
    sizes = [len(piece) for piece in pieces]
    heads = [piece.index("\n", piece.index("\n") + 1) + 1 for piece in pieces]
    return np.column_stack([np.cumsum([0, *sizes[:-1]]), heads, sizes])


# fewer than the frames looked for at once, a batch or two exactly, and more
@pytest.mark.parametrize("n_frames", [1, 2, 8, 9, 24, 25, 3000])
def test_equal_frames(tmp_path, n_frames):
    pieces = [frame(5 * k) for k in range(n_frames)]
    found = indexed(tmp_path, pieces)
    assert found.numbered
    assert found.steps.tolist() == [5 * k for k in range(n_frames)]
    np.testing.assert_array_equal(found.spans, spans_of(pieces))
    assert len(found.cuts) == 0


def test_frames_without_steps_are_counted(tmp_path):
    found = indexed(tmp_path, [frame(None)] * 50)
    assert not found.numbered
    assert found.steps.tolist() == list(range(50))


def test_frames_of_changing_lengths_and_lines(tmp_path):
    """Steps that outgrow their columns, other cells, other digits: all are found."""
    rng = np.random.default_rng(3)
    pieces = []
    for k in range(2000):
        cell = " ".join(f"{x:.2f}" for x in rng.uniform(5.0, 12.0, size=3))
        pieces.append(frame(k, width=2, digits=int(rng.choice([7, 8], p=[0.02, 0.98])), cell=cell))
    found = indexed(tmp_path, pieces)
    assert found.steps.tolist() == list(range(2000))
    np.testing.assert_array_equal(found.spans, spans_of(pieces))


def test_cut_frames_between_equal_ones(tmp_path):
    """A killed run leaves a cut frame, and what is appended to it is lost with it."""
    rng = np.random.default_rng(4)
    pieces = [frame(k) for k in range(600)]
    cut = sorted(rng.choice(np.arange(20, 580), size=6, replace=False).tolist())
    for k in cut:
        pieces[k] = pieces[k][: int(rng.integers(30, len(pieces[k]) - 3))]
    found = indexed(tmp_path, pieces)
    lost = {step for k in cut for step in (k, k + 1)}
    assert set(range(600)) - lost <= set(found.steps.tolist())
    assert not set(cut) & set(found.steps.tolist())
    assert 1 <= len(found.cuts) <= 6
    text = "".join(pieces)
    for step, (first, _, size) in zip(found.steps, found.spans, strict=True):
        assert text[first : first + size] == frame(step)


def test_a_step_that_is_no_number_is_not_taken_for_one(tmp_path):
    pieces = [frame(k) for k in range(30)]
    pieces[20] = pieces[20].replace("Step:     20", "Step:   2 0 ")
    found = indexed(tmp_path, pieces)
    assert found.steps.tolist()[:20] == list(range(20))
    assert found.steps[20] == 2  # the number after the word, by the rule for every other frame
    assert found.steps.tolist()[21:] == list(range(21, 30))


def test_last_of_each():
    assert last_of_each(np.array([0, 1, 2, 3, 2, 3, 4])).tolist() == [1, 1, 0, 0, 1, 1, 1]


@pytest.mark.parametrize("n_atoms", [2, 1000])
def test_a_count_without_its_frame_is_no_line_of_the_frame_before(tmp_path, n_atoms):
    """A crash right after the number of atoms, and a frame as many bytes shorter than usual."""
    rows = [f"Ar {0.5 * k:12.6f} 0 0\n" for k in range(n_atoms)]
    count = f"{n_atoms}\n"
    shorter = ["Ar 7 0 0\n".rjust(len(rows[0]) - len(count)), *rows[1:]]
    frame, short = (f"{count}x=1\n{''.join(lines)}" for lines in (rows, shorter))
    (tmp_path / "cut.xyz").write_text(4 * frame + short + count + 3 * frame)
    with (tmp_path / "cut.xyz").open("rb") as file:
        found = index_frames(tmp_path / "cut.xyz", file)
    assert len(found.steps) == 8
    assert found.cuts.tolist() == [4 * len(frame) + len(short)]
    assert found.spans[4].tolist() == [4 * len(frame), len(count) + 4, len(short)]
