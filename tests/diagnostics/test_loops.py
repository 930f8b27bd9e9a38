"""Work along closed paths: known values, convergence, paths of molecules and of files."""

import csv
import json

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule

from ncforce_ipi.backend import Structure
from ncforce_ipi.cli import main
from ncforce_ipi.diagnostics.loops import Work, points
from ncforce_ipi.diagnostics.paths import (
    FramesLoop,
    molecules,
    random_loop,
    random_paths,
)
from ncforce_ipi.errors import InputError
from ncforce_ipi.reading.structures import to_structure

RADIUS_A, SWIRL = 0.7, 0.3
HARMONIC = f"analytic --model harmonic --arguments '{{\"swirl_eV_per_A2\": {SWIRL}}}'"
WORK_MEV = 1e3 * 2 * np.pi * RADIUS_A**2 * SWIRL


@pytest.fixture
def circle(tmp_path):
    """One atom once around its well, counter-clockwise seen from +z; 24 frames."""
    import ase.io

    angles = 2 * np.pi * np.arange(24) / 24
    places = RADIUS_A * np.stack([np.cos(angles), np.sin(angles), 0 * angles], axis=1)
    ase.io.write(tmp_path / "circle.xyz", [Atoms("Ar", [place]) for place in places])
    return tmp_path


@pytest.fixture
def wet():
    """Two H2O, one of them cut by the boundary of the cell."""
    atoms = molecule("H2O")
    atoms.set_cell(8.0 * np.eye(3))
    atoms.pbc = True
    atoms.positions += [4.0, 4.0, 4.0]
    other = molecule("H2O")
    other.positions += [0.0, 0.1, 6.0]
    atoms += other
    atoms.wrap()
    return to_structure(atoms)


def test_known_work_of_a_path_in_a_file(circle, capsys):
    """2 pi a^2 s for the direct forces, 0 for the conservative ones."""
    words = ["loop-work", str(circle / "circle.xyz"), "--path", "--model", HARMONIC]
    words += ["--points", "96", "--keep-net-force", "--json", str(circle / "w.json")]
    words += ["--csv", str(circle / "w.csv"), "--plot", str(circle / "w.png")]
    assert main(words) == 0
    (loop,) = json.loads((circle / "w.json").read_text())["results"]["loops"]
    # area of the spline through 24 points of a circle: (2 pi/24)^4 / 180 and less
    assert loop["direct"]["work_meV"] == pytest.approx(WORK_MEV, rel=1e-4)
    assert loop["conservative"]["work_meV"] == pytest.approx(0, abs=1e-9)
    assert loop["energy_mismatch_meV"] < 1e-3
    assert "923.6 +- " in capsys.readouterr().out  # of a spline; a circle has 923.63
    rows = [r for r in csv.reader((circle / "w.csv").read_text().splitlines()) if r[0][0] != "#"]
    assert float(rows[-1][rows[0].index("direct_work_meV")]) == pytest.approx(WORK_MEV, rel=1e-4)
    assert (circle / "w.png").read_bytes().startswith(b"\x89PNG")


def test_the_net_force_of_one_atom_is_all_of_it(circle):
    words = ["loop-work", str(circle / "circle.xyz"), "--path", "--model", HARMONIC]
    assert main([*words, "--kind", "direct", "--json", str(circle / "w.json")]) == 0
    (loop,) = json.loads((circle / "w.json").read_text())["results"]["loops"]
    assert loop["direct"]["work_meV"] == 0.0


def test_groups_are_molecules(wet):
    groups = molecules(wet)
    assert sorted(tuple(sorted(g)) for g in groups) == [(0, 1, 2), (3, 4, 5)]


@pytest.mark.parametrize("amplitude", [0.5, None])
def test_a_molecule_moves_in_one_piece_and_comes_back(wet, amplitude):
    random = np.random.default_rng(0)
    loop = random_loop(wet, np.array([3, 4, 5]), amplitude, 0.1, random)
    start, _ = loop.at(0.0)
    end, _ = loop.at(1.0)
    np.testing.assert_allclose(end, start, atol=1e-12)
    shift = (start - wet.positions) / 8.0
    np.testing.assert_allclose(shift, np.round(shift), atol=1e-12)
    for s in (0.1, 0.25, 0.6):
        r, tangent = loop.at(s)
        np.testing.assert_array_equal(r[:3], wet.positions[:3])
        np.testing.assert_allclose(r[3:].mean(axis=0), start[3:].mean(axis=0), atol=1e-12)
        assert np.linalg.norm(r[4] - r[3]) < 1.12 * np.linalg.norm(start[4] - start[3])
        h = 1e-6
        slope = (loop.at(s + h)[0] - loop.at(s - h)[0]) / (2 * h)
        np.testing.assert_allclose(tangent, slope, atol=1e-8)  # h^2 and 1e-15 / h
    assert np.linalg.norm(loop.at(0.25)[0] - start) > 0.1


def test_a_molecule_longer_than_half_the_cell_stays_in_one_piece():
    """A chain of 7 carbon atoms, 1.4 A apart, in a cell of 13 A: 8.4 A, cut by the boundary."""
    chain = Atoms("C7", [[6.0 + 1.4 * k, 1.0, 1.0] for k in range(7)], cell=13 * np.eye(3))
    chain.pbc = True
    chain.wrap()
    loop = random_loop(to_structure(chain), np.arange(7), 0.5, 0.1, np.random.default_rng(0))
    start, _ = loop.at(0.0)
    np.testing.assert_allclose(np.diff(start[:, 0]), 1.4, atol=1e-12)


@pytest.mark.parametrize("size", [1, 2])
def test_a_crystal_is_no_molecule(size, tmp_path, capsys):
    """It would turn into itself, even as one atom whose neighbours are its images."""
    from ase.build import bulk

    crystal = bulk("Al", "fcc", a=4.05) * (size, size, size)
    crystal.write(tmp_path / "al.xyz", format="extxyz")
    words = ["loop-work", str(tmp_path / "al.xyz"), "--model", HARMONIC]
    assert main(words) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert f"({size**3} in all) reach their own periodic images" in line
    assert "--molecule" in line
    assert "--path" in line


def test_a_molecule_over_a_sheet_can_be_chosen():
    """Graphene has no end; the water over it has one."""
    from ase.build import graphene

    sheet = graphene(size=(3, 3, 1), vacuum=8.0)
    sheet.pbc = True
    water = molecule("H2O")
    water.positions += [3.0, 2.0, 12.0]
    frame = sheet + water
    ((_, path),) = random_paths([frame], 1, atom=len(frame) - 1)
    assert path.name.startswith("molecule of atoms 18 19 20 swung")
    with pytest.raises(InputError, match=r"\(18 in all\) reach their own periodic images"):
        random_paths([frame], 1, atom=0)


@pytest.mark.parametrize("turn", [False, True])
def test_conservative_forces_do_no_work_and_others_do(tmp_path, wet, turn):
    from ncforce_ipi.reading.structures import to_atoms

    to_atoms(wet).write(tmp_path / "wet.xyz", format="extxyz")
    model = 'analytic --model lennard-jones --arguments \'{"cutoff_A": 3.9, "sigma_A": 1.0}\''
    words = ["loop-work", str(tmp_path / "wet.xyz"), "--model", model, "--loops", "3"]
    words += ["--points", "64", "--json", str(tmp_path / "w.json")]
    assert main([*words, *["--turn"] * turn]) == 0
    results = json.loads((tmp_path / "w.json").read_text())["results"]
    for loop in results["loops"]:
        # the potential's third derivative jumps at its cutoff: steps converge as n^-4
        assert abs(loop["conservative"]["work_meV"]) < 1e-4
        assert loop["energy_mismatch_meV"] < 1e-2
        assert abs(loop["direct"]["work_meV"]) > 1e-3
    assert results["summary"]["direct"]["rms_meV"] > 1e-3


def test_convergence_and_cumulative_work():
    s = np.arange(64) / 64
    work = Work(0.3 + np.cos(2 * np.pi * s) - 0.5 * np.sin(6 * np.pi * s))
    assert work.total == pytest.approx(0.3, abs=1e-14)
    assert [n for n, _ in work.convergence] == [64, 32, 16, 8]
    assert work.error < 1e-14
    ends = np.arange(65) / 64
    expected = 0.3 * ends + np.sin(2 * np.pi * ends) / (2 * np.pi)
    expected += (np.cos(6 * np.pi * ends) - 1) / (12 * np.pi)
    np.testing.assert_allclose(work.cumulative, expected, atol=1e-13)


def test_a_path_through_frames_crosses_the_boundary():
    """Wrapped frames are one path; a path that ends in another image is none."""
    cell, n = 4.0 * np.eye(3), np.array([18], np.int32)
    angles = 2 * np.pi * np.arange(12) / 12
    circle = np.stack([np.cos(angles), np.sin(angles), 0 * angles], axis=1)[:, None]
    frames = [Structure(n, r % 4.0, cell) for r in circle]
    path = FramesLoop(frames, "circle")
    r, _ = path.at(0.5)
    np.testing.assert_allclose(r[0] - path.at(0.0)[0][0], [-2.0, 0.0, 0.0], atol=1e-3)
    line = [Structure(n, np.array([[4.0 * k / 12, 0, 0]]), cell) for k in range(12)]
    with pytest.raises(InputError, match="another image of the cell"):
        FramesLoop(line, "line")


def test_a_path_in_other_vectors_of_the_same_lattice():
    """Eight frames of a circle of 1 A in a cube of 4 A, whose lattice skew vectors have as well."""
    cell, n = 4.0 * np.array([[1, 0, 0], [3, 1, 0], [2, -3, 1]]), np.array([18], np.int32)
    angles = 2 * np.pi * np.arange(8) / 8
    circle = np.stack([np.cos(angles), np.sin(angles), 0 * angles], axis=1)[:, None]
    frames = [Structure(n, r - np.floor(r @ np.linalg.inv(cell)) @ cell, cell) for r in circle]
    path = FramesLoop(frames, "circle")
    for s, r in zip(np.arange(8) / 8, circle, strict=True):
        np.testing.assert_allclose(path.at(s)[0] - path.at(0.0)[0], r - circle[0], atol=1e-12)


def test_mistakes_are_one_line(circle, wet, capsys):
    path = str(circle / "circle.xyz")
    for words, message in (
        ([path], "is bound to none"),
        ([path, "--path", "--points", "17"], "an even number of points"),
        ([path + "@:5", "--path"], "expected 8 frames or more"),
        ([path, "--molecule", "7"], "has no atom 7; expected 0 to 0"),
        ([path, "--angle-deg", "0"], "angle of a loop: expected a positive number"),
        ([path, "--loops", "0"], "expected 1 loop or more, got 0"),
        ([path, "--path", "--strain", "5", "--turn"], "leave out --strain and --turn"),
        ([path, "--path", "--loops", "8", "--seed", "0"], "leave out --loops and --seed"),
        ([path, "--path", "--molecule", "0"], "are the path; leave out --molecule"),
        ([path, "--turn", "--angle-deg", "30"], "--angle-deg that of a swing; give one of them"),
    ):
        assert main(["loop-work", *words, "--model", HARMONIC]) == 2
        assert message in capsys.readouterr().err.splitlines()[-1]
    with pytest.raises(InputError, match="even number of points"):
        points(random_loop(wet, np.arange(3), 0.5, 0.1, np.random.default_rng(0)), 10)
