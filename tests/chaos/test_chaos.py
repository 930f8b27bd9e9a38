"""The short part of ``python -m tests.chaos``, and files damaged anywhere."""

import json
import random
import shutil

import pytest

from ncforce_ipi.errors import NcforceError
from ncforce_ipi.launch.directory import resume, tails
from ncforce_ipi.rundir import CHECKPOINTS, PROPERTIES_FILE, SAFE_FILE, TRAJECTORY_FILES
from tests.ipi_host import trajectory

from . import drivers, machines
from .table import BEGIN, END, Kept, inserted, markdown
from .world import Row, world

pytest.importorskip("ipi")
pytestmark = pytest.mark.e2e

N_STEPS = 60
OUTPUTS = (PROPERTIES_FILE, *(classical for classical, _ in TRAJECTORY_FILES))
N_DAMAGES = 200
BLOCK = 512
SHORT_OF_MACHINES = (machines.ipi_killed, machines.launcher_killed, machines.all_killed)


@pytest.fixture(scope="module")
def hurt():
    """A world in which everything is done a few times at most."""
    with world(seed=1, n_steps=N_STEPS, share=0.1) as it:
        yield it


@pytest.mark.parametrize(
    "fault",
    [drivers.killed_in_the_call, drivers.killed_in_the_answer, *SHORT_OF_MACHINES],
    ids=lambda fault: fault.__name__,
)
def test_nothing_is_lost(hurt, fault):
    row = fault(hurt)
    assert row.n > 0
    assert (row.lost, row.bitwise) == (0, True), row


def damaged(rng, source, copy, keep):
    """A copy of a run of which the last writes are missing: cut, zeroed, or never there.

    Parameters
    ----------
    keep : what is on the disk for certain, bytes of each file
    """
    shutil.copytree(source, copy)
    for name in (*OUTPUTS, *CHECKPOINTS):
        path = copy / name
        if not path.exists():
            continue
        data, safe = bytearray(path.read_bytes()), keep.get(name, 0)
        how = rng.choice(["whole", "cut", "cut", "zeros", "empty", "gone"])
        if how == "cut":
            data = data[: rng.randint(safe, len(data))]
        elif how == "zeros" and len(data) > safe + 2 * BLOCK:
            start = rng.randrange(safe, len(data) - BLOCK)
            data[start : start + BLOCK] = bytes(BLOCK)
        elif how == "empty":
            data = data[:safe]
        elif how == "gone" and not safe:
            path.unlink()
            continue
        path.write_bytes(data)


@pytest.mark.parametrize("guaranteed", [True, False])
def test_files_that_lost_their_last_writes(hurt, tmp_path, guaranteed):
    """What was made durable is enough to go on, and nothing that is wrong is gone on from."""
    source, rng = hurt.straight, random.Random(int(guaranteed))
    whole = {name: (source / name).read_bytes() for name in OUTPUTS}
    step = N_STEPS // 2 // 10 * 10  # of a checkpoint
    said = []
    source_safe = tmp_path / "safe"
    shutil.copytree(source, source_safe)
    (source_safe / SAFE_FILE).write_text(of_step(source / "simulation.checkpoint", step))
    keep = {SAFE_FILE: (source_safe / SAFE_FILE).stat().st_size}
    for name in OUTPUTS:
        copy = tmp_path / name
        shutil.copy(source / name, copy)
        tails.cut(copy, step)
        keep[name] = copy.stat().st_size
    if not guaranteed:
        (source_safe / SAFE_FILE).unlink()  # as in a run of an earlier version
    for rank in range(N_DAMAGES):
        copy = tmp_path / f"copy-{rank}"
        damaged(rng, source_safe, copy, keep if guaranteed else {})
        try:
            resume.prepare(copy, 2 * N_STEPS)
        except NcforceError as err:
            said.append(str(err))
        else:
            goes_on_at = resume.read(copy / "resume.xml").step
            assert goes_on_at >= step or not guaranteed
            for name in OUTPUTS:
                if (copy / name).exists():
                    left = (copy / name).read_bytes()
                    assert whole[name].startswith(left), name
                    assert tails.is_whole(copy / name, goes_on_at, stride_of(copy, name), -1)
        shutil.rmtree(copy)
    assert not (said and guaranteed), said
    assert len(said) < N_DAMAGES
    assert not any("\n" in line for line in said)


def of_step(path, step):
    """A checkpoint as it was earlier, but for the numbers, which nobody looks at here."""
    text = path.read_text()
    found = resume.read(path).step
    assert f"<step>{found}</step>" in text
    return text.replace(f"<step>{found}</step>", f"<step>{step}</step>")


def stride_of(directory, name):
    checkpoint = resume.read(directory / "resume.xml")
    return next(one.stride for one in checkpoint.outputs if one.path.name == name)


def test_the_undisturbed_run_is_what_all_are_compared_with(hurt):
    assert hurt.is_undisturbed(hurt.straight)
    record = json.loads((hurt.straight / "run.json").read_text())
    assert (record["state"], record["steps_done"]) == ("finished", N_STEPS)
    other = hurt.directory / "other"
    shutil.copytree(hurt.straight, other)
    path = other / PROPERTIES_FILE
    path.write_bytes(path.read_bytes()[:-3] + b"9\n")
    assert trajectory(other) != trajectory(hurt.straight)
    assert not hurt.is_undisturbed(other)


def test_the_page_of_the_manual_takes_it():
    page = f"a\n{BEGIN}\nold\n{END}\nb\n"
    assert inserted(page, "new\n") == page.replace("old", "new")
    with pytest.raises(ValueError, match="expected a page with"):
        inserted("a", "new")


def test_the_table():
    rows = [Row("a fault", 3, [0.1, 0.3, 0.2], line="a | b", load=1.5), Row("another", line="no")]
    assert markdown(rows, n_steps=70, seed=2).splitlines()[2:4] == [
        "| a fault | 3 | 0.2 s (at most 0.3) | 0 | 0 | a \\| b | yes |",
        "| another | 0 | | | | not possible here: no | |",
    ]
    assert "runs of 70 outer steps" in markdown(rows, 70, 2)
    assert "load of 0.0 to 1.5" in markdown(rows, 70, 2)


def test_a_whole_that_was_interrupted_goes_on(tmp_path):
    row = Row("a fault", 2, [0.5], line="a")
    Kept(tmp_path / "kept", "0 700").add("one", row)
    again = Kept(tmp_path / "kept", "0 700")
    assert again.rows == {"one": row}
    assert not Kept(tmp_path / "kept", "1 700").rows  # another seed
    again.forget()
    assert not Kept(tmp_path / "kept", "0 700").rows
