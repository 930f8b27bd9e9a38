"""Validation frames that are trained on as well are said and left out, however they are written."""

import lzma
from io import StringIO

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write

from ncforce_ipi.cli import main
from ncforce_ipi.errors import InputError
from ncforce_ipi.training.dataset import to_frame
from ncforce_ipi.training.unseen import unseen
from tests.training.conftest import CUTOFF_A, labelled_water


def relabelled(atoms):
    """With other labels, as another method gives them."""
    atoms.calc = SinglePointCalculator(atoms, energy=7.0, forces=np.ones((len(atoms), 3)))
    return atoms


def rewritten(seed):
    """The same water: turned, wrapped, in another order, of four decimals, with other labels."""
    atoms = labelled_water(seed)[np.random.default_rng(seed).permutation(24)]
    atoms.rotate(40.0, (1.0, 2.0, 3.0), rotate_cell=True)
    atoms.translate([1.0, 2.0, 5.0])
    atoms.wrap()
    atoms.positions = atoms.positions.round(4)
    return relabelled(atoms)


def frames_of(images):
    return [to_frame(atoms, CUTOFF_A, needs_stress=False) for atoms in images]


def test_the_same_frames_are_left_out(caplog):
    trained = frames_of(labelled_water(seed) for seed in range(4))
    held_out = frames_of([labelled_water(9), rewritten(2), labelled_water(8), rewritten(0)])
    left = unseen("val", held_out, trained, CUTOFF_A)
    assert [id(one) for one in left] == [id(held_out[0]), id(held_out[2])]
    assert "2 of 4 validation frames (val) are trained on as well, number 1, 3 of" in caplog.text


def test_others_stay_however_alike(caplog):
    """Of dynamics 0.5 fs later, a crystal with one atom moved by 0.01 A, two atoms exchanged."""
    crystal = bulk("NaCl", "rocksalt", 5.64, cubic=True).repeat((2, 1, 1))
    moved, exchanged = crystal.copy(), crystal.copy()
    moved.positions[3, 0] += 0.01
    exchanged.numbers[[0, 1]] = exchanged.numbers[[1, 0]]
    later = labelled_water(0)
    later.rattle(0.003, seed=5)  # A: the way of an oxygen atom at 300 K in 0.5 fs is 0.002 A
    trained = frames_of([labelled_water(0), relabelled(crystal)])
    held_out = frames_of([relabelled(later), relabelled(moved), relabelled(exchanged)])
    assert unseen("val", held_out, trained, CUTOFF_A) == held_out
    assert not caplog.text


def test_none_left_is_refused():
    frames = frames_of([labelled_water(0)])
    with pytest.raises(InputError, match=r"all 1 validation frames \(val\) are trained on as well"):
        unseen("val", frames, frames, CUTOFF_A)


def val_errors(folder, capsys, seeds):
    text = StringIO()
    write(text, [labelled_water(seed) for seed in seeds], format="extxyz")
    (folder / "val.xyz.xz").write_bytes(lzma.compress(text.getvalue().encode()))
    out = folder / f"out-{len(seeds)}"
    assert main(["train", str(folder / "recipe.toml"), "--no-compile", "--out", str(out)]) == 0
    names, *_, last = (out / "curve.csv").read_text().split()
    kept = {k: v for k, v in zip(names.split(","), last.split(","), strict=True) if "val_" in k}
    return kept, capsys.readouterr().err


def test_errors_of_a_training_are_those_of_unseen_frames(folder, capsys):
    found, said = val_errors(folder, capsys, [4, 0, 5, 1, 2, 3])
    plain, nothing = val_errors(folder, capsys, [4, 5])
    assert found == plain
    assert "4 of 6 validation frames (val) are trained on as well, number 1, 3, 4, 5" in said
    assert "validation frames" not in nothing
