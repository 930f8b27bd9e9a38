"""Diffusion of files as people have them: wrapped, in a cell that changes, drifting, held."""

import json

import numpy as np
import pytest

from ncforce_ipi.cli import main

D, STEP_PS, N_FRAMES, N_ATOMS = 0.1, 0.1, 1000, 32
CELL = np.array([[9.0, 0.0, 0.0], [2.0, 8.0, 0.0], [-1.0, 3.0, 7.0]])


def walkers(seed=6):
    rng = np.random.default_rng(seed)
    steps = rng.normal(scale=np.sqrt(2 * D * STEP_PS), size=(N_FRAMES, N_ATOMS, 3))
    steps -= steps.mean(axis=1, keepdims=True)
    return rng.random((N_ATOMS, 3)) @ CELL + steps.cumsum(axis=0)


def extxyz(path, positions, cells=CELL, symbols="Ar", words=""):
    cells = np.broadcast_to(cells, (len(positions), 3, 3))
    names = [symbols] * positions.shape[1] if isinstance(symbols, str) else symbols
    with path.open("w") as file:
        for step, (frame, cell) in enumerate(zip(positions, cells, strict=True)):
            lattice = " ".join(f"{number:.9f}" for number in cell.ravel())
            lattice_word = f'Lattice="{lattice}" ' if cell.any() else ""
            file.write(
                f"{len(frame)}\n{lattice_word}Properties=species:S:1:pos:R:3{words.format(step=step)}\n"
            )
            rows = (
                f"{s} {x:.6f} {y:.6f} {z:.6f}\n" for s, (x, y, z) in zip(names, frame, strict=True)
            )
            file.writelines(rows)
    return path


def diffusion(path, tmp_path, *words):
    target = tmp_path / "numbers.json"
    words = ["--timestep-fs", str(1e3 * STEP_PS), "--json", str(target), "--force", *words]
    assert main(["diffusion", str(path), *words]) == 0
    return json.loads(target.read_text())


def value_and_error(numbers, symbol="Ar"):
    key = f"diffusion_{symbol}_einstein"
    return numbers[f"{key}_A2_per_ps"], numbers[f"{key}_standard_error_A2_per_ps"]


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """D and its error from continuous positions."""
    folder = tmp_path_factory.mktemp("plain")
    numbers = diffusion(extxyz(folder / "plain.extxyz", walkers()), folder)
    value, error = value_and_error(numbers)
    truth = D * (1 - 1 / N_ATOMS)  # about the centre of all
    assert value == pytest.approx(truth, abs=4 * error)
    assert error < 0.05 * truth
    return value, error


def test_wrapped_as_continuous(plain, tmp_path, capsys):
    positions = (walkers() @ np.linalg.inv(CELL) % 1.0) @ CELL
    numbers = diffusion(extxyz(tmp_path / "w.extxyz", positions), tmp_path)
    assert value_and_error(numbers) == pytest.approx(plain, rel=1e-4)  # 6 decimals of 0.1 A
    assert "w.extxyz is wrapped into the cell: " in capsys.readouterr().out


def test_wrapped_in_a_changing_cell(plain, tmp_path, capsys):
    strain = 0.005 * np.random.default_rng(1).normal(size=(N_FRAMES, 3, 3))
    cells = CELL @ (np.eye(3) + strain)
    positions = (walkers() @ np.linalg.inv(CELL) % 1.0) @ cells
    numbers = diffusion(extxyz(tmp_path / "w.extxyz", positions, cells), tmp_path)
    # the mean cell of 64 frames: 0.005 / 8 of each of its lengths, and twice that of their squares
    assert value_and_error(numbers)[0] == pytest.approx(plain[0], rel=0.01)
    printed = capsys.readouterr().out
    assert "the cell changes: displacements are relative to it" in printed
    assert "jumps by a cell vector were undone" in printed


def test_drift_of_the_whole_system_is_no_diffusion(plain, tmp_path, capsys):
    drift = 0.05 * np.arange(N_FRAMES)[:, None, None] * np.array([1.0, 0.0, 0.0])
    numbers = diffusion(extxyz(tmp_path / "d.extxyz", walkers() + drift), tmp_path)
    assert value_and_error(numbers) == pytest.approx(plain, rel=1e-4)
    assert "about the centre of mass, which moved by 49.9 A" in capsys.readouterr().out


def test_masses_weigh_the_centre(tmp_path, capsys):
    """Heavy walkers whose light partners carry the centre of atoms, not of mass, along."""
    heavy, light = walkers(), walkers(7)
    light += 0.05 * np.arange(N_FRAMES)[:, None, None] * np.array([1.0, 0.0, 0.0])
    path = extxyz(tmp_path / "m.extxyz", np.concatenate([heavy, light], axis=1),
                  symbols=["Au"] * N_ATOMS + ["H"] * N_ATOMS)  # fmt: skip
    numbers = diffusion(path, tmp_path, "--masses-u", "Au=1e9,H=1")
    value, error = value_and_error(numbers, "Au")
    assert value == pytest.approx(D * (1 - 1 / N_ATOMS), abs=4 * error)
    assert "nothing says the masses" not in capsys.readouterr().out
    diffusion(path, tmp_path)
    assert "nothing says the masses: the motion of the centre" in capsys.readouterr().out


def test_atoms_that_never_move_hold_the_frame(tmp_path, capsys):
    positions = np.concatenate([walkers(), np.ones((N_FRAMES, 5, 1)) * CELL[1]], axis=1)
    path = extxyz(tmp_path / "f.extxyz", positions)
    value, error = value_and_error(diffusion(path, tmp_path))
    assert value == pytest.approx(D * (1 - 1 / N_ATOMS), abs=4 * error)
    assert "5 atoms never move and are left out" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        (CELL, "whether they cross its boundary can't be told"),
        (np.zeros((3, 3)), "the file has no cell: they look wrapped"),
    ],
)
def test_what_cant_be_unwrapped_is_refused(tmp_path, capsys, cell, message):
    positions = walkers() * (10.0 if cell.any() else 1.0)
    positions = (positions @ np.linalg.inv(CELL) % 1.0) @ CELL
    path = extxyz(tmp_path / "w.extxyz", positions, cell)
    assert main(["diffusion", str(path), "--timestep-fs", "100"]) == 2
    printed = capsys.readouterr()
    assert message in printed.err
    assert printed.err.count("\n") == 1


def test_bead_is_said_to_be_one(tmp_path, capsys):
    words = " Step: {step} Bead: 1"
    path = extxyz(tmp_path / "run.pos_1.extxyz", walkers(), words=words)
    for bead in (0, 2, 3):
        (tmp_path / f"run.pos_{bead}.extxyz").write_text("")
    diffusion(path, tmp_path)
    assert "positions of bead 1 of a path integral of 4" in capsys.readouterr().out


def test_beads_are_no_replicas(tmp_path, capsys):
    paths = [
        extxyz(tmp_path / f"run.pos_{bead}.extxyz", walkers(bead)[:20],
               words=f" Step: {{step}} Bead: {bead}")
        for bead in (0, 1)
    ]  # fmt: skip
    assert main(["rdf", *map(str, paths)]) == 0
    words = "averaged as if they were replicas: beads move together"
    assert words in capsys.readouterr().err
