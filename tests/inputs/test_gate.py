"""The gate of structures: what files say is used, refused or said, and all of it is turned."""

import bz2
import gzip
import logging
import lzma

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.constraints import FixAtoms, FixBondLengths, FixCartesian, FixCom, FixedPlane
from scipy.spatial.transform import Rotation

from ncforce_ipi.errors import InputError
from ncforce_ipi.inputs import preflight
from ncforce_ipi.inputs.ensembles import Ensemble
from ncforce_ipi.inputs.held import held, held_xml
from ncforce_ipi.inputs.motion import motion_xml
from ncforce_ipi.inputs.plan import Plan
from ncforce_ipi.inputs.recipe import Recipe, structure_xyz
from ncforce_ipi.inputs.service import Service
from ncforce_ipi.inputs.structure import read_structure
from ncforce_ipi.launch.engine.disagreement import Snapshot, frame
from ncforce_ipi.reading.images import read_images
from ncforce_ipi.reading.structures import read_frames
from tests.synthetic_run import write_record

BOHR_A = 0.529177210903
PLAN = Plan("slow", 1, 0.5, 10)
TURN = Rotation.from_rotvec([0.3, -0.8, 0.5]).as_matrix().T


def argon():
    """A shaken crystal in a cell of right angles, with momenta."""
    rng = np.random.default_rng(0)
    atoms = bulk("Ar", "fcc", a=5.3, cubic=True) * (2, 1, 1)
    atoms.positions += rng.normal(0, 0.05, atoms.positions.shape)
    momenta = rng.normal(0, 1.0, atoms.positions.shape)
    atoms.set_momenta(momenta - momenta.mean(axis=0))
    return atoms


def turned(atoms):
    found = atoms.copy()
    found.set_cell(atoms.cell.array @ TURN)
    found.positions = atoms.positions @ TURN
    found.set_momenta(atoms.get_momenta() @ TURN)
    return found


def saved(path, atoms, **options):
    ase.io.write(path, atoms, **options)
    return str(path)


def lj(**changes):
    service = Service("lennard-jones", "analytic")
    return Recipe(PLAN, changes.pop("ensemble", Ensemble()), 40.0, 1, service, **changes)


@pytest.mark.parametrize("suffix", ["xyz", "traj"])
def test_positions_velocities_and_cell_are_turned_together(tmp_path, suffix):
    plain, other = argon(), turned(argon())
    files = [saved(tmp_path / f"{k}.{suffix}", a) for k, a in enumerate((plain, other))]
    first, second = (read_structure(file, file) for file in files)
    # extxyz has eight decimals
    tolerance = 1e-12 if suffix == "traj" else 3e-8
    np.testing.assert_allclose(second.cell.array, first.cell.array, rtol=0, atol=1e-12)
    assert not np.triu(second.cell.array, 1).any()
    np.testing.assert_allclose(second.positions, first.positions, rtol=0, atol=tolerance)
    np.testing.assert_allclose(second.get_momenta(), first.get_momenta(), rtol=0, atol=tolerance)
    np.testing.assert_allclose(first.get_momenta(), plain.get_momenta(), rtol=0, atol=tolerance)


def test_velocities_that_are_in_the_frame_already_are_not_turned_again(tmp_path):
    """As a run writes them, for a structure that it had to turn."""
    plain, other = argon(), turned(argon())
    start = saved(tmp_path / "turned.traj", other)
    ours = saved(tmp_path / "ours.traj", plain)
    velocities = saved(tmp_path / "ours.xyz", ase.io.read(ours))
    found = read_structure(start, velocities)
    np.testing.assert_allclose(found.get_momenta(), plain.get_momenta(), rtol=0, atol=3e-8)


TO_AND_FRO = np.repeat([[1.0], [-1.0]], 4, axis=0) * np.ones(3)  # at rest as a whole


def wandering(folder, suffix):
    """Four frames without a step: momenta of frame k are +-(k + 1), all went 0.1 k A along x."""
    frames = [argon() for _ in range(4)]
    for k, atoms in enumerate(frames):
        atoms.positions += [0.1 * k, 0.0, 0.0]
        atoms.set_momenta((k + 1.0) * TO_AND_FRO)
    return saved(folder / f"md.{suffix}", frames)


@pytest.mark.parametrize("suffix", ["extxyz", "traj"])
def test_velocities_of_the_structures_own_file_are_those_of_its_frame(tmp_path, caplog, suffix):
    file = wandering(tmp_path, suffix)
    with caplog.at_level(logging.WARNING):
        for structure, velocities, k in (
            (f"{file}@1", file, 1),
            (f"{file}@-2", file, 2),
            (f"{file}@2", f"{file}@2", 2),
            (f"{file}@2", f"{file}@-2", 2),
            (file, file, 3),
        ):
            momenta = read_structure(structure, velocities).get_momenta()
            np.testing.assert_allclose(momenta, (k + 1.0) * TO_AND_FRO, rtol=0, atol=1e-7)
    assert not caplog.messages
    with pytest.raises(InputError, match=r"are frame @1 of .*, velocities are frame @2; give"):
        read_structure(f"{file}@1", f"{file}@2")


@pytest.mark.parametrize("suffix", ["extxyz", "traj"])
@pytest.mark.parametrize(("own_u", "theirs_u"), [(None, 79.896), (79.896, None), (79.896, 79.896)])
def test_momenta_are_those_of_the_masses_beside_them(tmp_path, caplog, suffix, own_u, theirs_u):
    """Atoms of twice the mass of argon; where a file has no masses, they are the structure's."""
    start, moving = argon(), argon()
    start.set_momenta(None)
    for atoms, mass_u in ((start, own_u), (moving, theirs_u)):
        if mass_u is not None:
            atoms.set_masses([mass_u] * 8)
    with caplog.at_level(logging.WARNING):
        found = read_structure(
            saved(tmp_path / "start.xyz", start), saved(tmp_path / f"moving.{suffix}", moving)
        )
    factor = 0.5 if own_u is None else 1.0  # from the momenta of the file
    np.testing.assert_allclose(found.get_momenta(), factor * argon().get_momenta(), atol=1e-7)
    said = [line for line in caplog.messages if "other masses" in line]
    assert len(said) == (own_u is None)
    assert not said or "(atom 0, Ar: 79.9 u, here 39.95)" in said[0]


@pytest.mark.parametrize("suffix", ["extxyz", "traj"])
def test_velocities_of_other_positions_are_said(tmp_path, caplog, suffix):
    file, start = wandering(tmp_path, suffix), tmp_path / "start.xyz"
    atoms = read_images(f"{file}@1")[0].atoms
    atoms.positions[3] -= atoms.cell.array[0]  # another image of the same place
    saved(start, atoms)
    with caplog.at_level(logging.WARNING):
        read_structure(str(start), f"{file}@1")
        assert not caplog.messages
        read_structure(str(start), file)
    (line,) = caplog.messages
    assert "gives velocities are up to 0.2 A from those of start.xyz: another" in line


@pytest.mark.parametrize("suffix", ["extxyz", "traj"])
@pytest.mark.parametrize("pbc", ["FTT", "TFT", "FFT", "FFF", "TTF", "TTT"])
def test_velocities_are_turned_as_atoms_are_where_a_direction_is_open(tmp_path, pbc, suffix):
    """That lattice vector is replaced, and with it the frame: not the one of the file's cell."""
    atoms = Atoms("HOOH", [[0.3, 0.3, 0.3], [1.3, 0.3, 0.3], [0.3, 1.6, 0.5], [0.8, 0.8, 1.7]])
    atoms.set_cell([[0.5, 9.0, 1.0], [8.0, 1.0, 2.0], [1.0, 2.0, -10.0]])
    atoms.set_pbc([letter == "T" for letter in pbc])
    atoms.set_momenta(np.random.default_rng(0).normal(size=(4, 3)))
    file = saved(tmp_path / f"open.{suffix}", atoms)
    found = read_structure(file, file)
    # what no turn changes; 8 decimals of momenta times 2 A
    np.testing.assert_allclose(along_all_pairs(found), along_all_pairs(atoms), rtol=0, atol=1e-7)


def along_all_pairs(atoms):
    """Momentum of each atom along the way between each pair, ``(n, n, n)``."""
    ways = atoms.positions[:, None] - atoms.positions
    return np.einsum("ix,jkx->ijk", atoms.get_momenta(), ways)


def test_velocities_of_our_own_input_are_read_again(tmp_path):
    from ncforce_ipi.inputs.velocities import velocities_xyz

    start = saved(tmp_path / "turned.traj", turned(argon()))
    first = read_structure(start, saved(tmp_path / "turned.xyz", turned(argon())))
    (tmp_path / "init_velocities.xyz").write_text(velocities_xyz(first))
    again = read_structure(start, str(tmp_path / "init_velocities.xyz"))
    np.testing.assert_allclose(again.get_momenta(), first.get_momenta(), rtol=1e-12)
    # as version 0.1.0 wrote it, in the frame of the structure
    lines = velocities_xyz(argon()).splitlines()
    lines[1] = "# velocities{atomic_unit}"
    (tmp_path / "old.xyz").write_text("\n".join(lines) + "\n")
    plain = saved(tmp_path / "plain.traj", argon())
    again = read_structure(plain, str(tmp_path / "old.xyz"))
    np.testing.assert_allclose(again.get_momenta(), argon().get_momenta(), rtol=1e-12)


def test_the_reference_cell_of_the_barostat_is_the_turned_one(tmp_path):
    primitive = bulk("Ar", "fcc", a=5.3) * (2, 2, 2)
    atoms = read_structure(saved(tmp_path / "primitive.xyz", primitive))
    xml = motion_xml(PLAN, Ensemble("npt", barostat="anisotropic"), 40.0, atoms)
    words = xml.partition('<h0 shape="(3, 3)" units="angstrom"> [')[2].partition("]")[0]
    h0 = np.array(words.split(","), float).reshape(3, 3)
    assert np.array_equal(h0, atoms.cell.array.T)
    assert not np.tril(h0, -1).any()  # columns: upper triangular
    np.testing.assert_allclose(atoms.cell.cellpar(), primitive.cell.cellpar(), rtol=1e-12)


def test_all_digits_go_into_the_input(tmp_path):
    atoms = read_structure(saved(tmp_path / "turned.traj", turned(argon())))
    (tmp_path / "init.xyz").write_text(structure_xyz(atoms))
    written = ase.io.read(tmp_path / "init.xyz")
    assert np.array_equal(written.cell.array, atoms.cell.array)
    assert written.pbc.all()
    np.testing.assert_allclose(written.positions, atoms.positions, rtol=0, atol=1e-12)


@pytest.mark.parametrize("column", ["mass", "masses"])
def test_masses_of_either_name_are_used(tmp_path, column):
    atoms = bulk("Ar", "fcc", a=5.3, cubic=True)
    atoms.set_array(column, np.full(4, 20.0))
    found = read_structure(saved(tmp_path / "heavy.xyz", atoms))
    assert found.get_masses().tolist() == [20.0] * 4
    assert ":masses:R:1" in structure_xyz(found)


def test_masses_of_the_run_that_wrote_a_trajectory(tmp_path, caplog):
    """Its frames have none."""
    atoms = bulk("Ar", "fcc", a=5.3, cubic=True)
    atoms.info["ipi_comment"] = "Step: 20 Bead: 0 positions{ase} cell{ase}"
    file = saved(tmp_path / "simulation.pos_0.extxyz", atoms)
    assert not read_structure(file).has("masses")
    write_record(tmp_path, 4, masses_u={"Ar": 20.0})
    with caplog.at_level(logging.INFO):
        assert read_structure(file).get_masses().tolist() == [20.0] * 4
    assert "masses as in the run that wrote it: Ar 20 u" in caplog.text
    write_record(tmp_path, 4, masses_u={"Ar": 39.95})
    assert not read_structure(file).has("masses")
    (tmp_path / "run.json").write_text("{")
    with caplog.at_level(logging.WARNING):
        assert not read_structure(file).has("masses")
    assert "masses are those of the table" in caplog.text


def test_masses_that_are_in_doubt_are_refused(tmp_path):
    atoms = bulk("Ar", "fcc", a=5.3, cubic=True)
    atoms.set_masses(np.full(4, 40.0))
    atoms.set_array("mass", np.full(4, 20.0))
    with pytest.raises(InputError, match="different numbers in columns mass and masses"):
        read_structure(saved(tmp_path / "two.xyz", atoms))
    atoms.arrays.pop("mass")
    atoms.set_masses([20.0, np.inf, 20.0, 20.0])
    with pytest.raises(InputError, match="masses are not finite"):
        read_structure(saved(tmp_path / "nan.xyz", atoms))


def test_deuterium_is_named_with_the_way_out(tmp_path):
    text = f"1\n{BOX} Properties=species:S:1:pos:R:3\nD 0 0 0\n"
    (tmp_path / "d.xyz").write_text(text)
    with pytest.raises(InputError, match=r"no element D; write H, and 2\.014 in a column masses"):
        read_structure(str(tmp_path / "d.xyz"))


BOX = 'Lattice="9 0 0 0 9 0 0 0 9"'


@pytest.mark.parametrize("unit", ["angstrom", "atomic_unit"])
def test_xyz_of_ipi_has_units_of_ipi(tmp_path, unit):
    factor = {"angstrom": 1.0, "atomic_unit": BOHR_A}[unit]
    atoms = argon()
    lines = []
    for step in (0, 10):
        cell = " ".join(f"{x:.9f}" for x in atoms.cell.lengths() / factor)
        lines += [
            f"{len(atoms)}",
            f"# CELL(abcABC): {cell} 90.0 90.0 90.0  Step: {step}  Bead: 0 "
            f"positions{{{unit}}}  cell{{{unit}}}",
            *(f"Ar {x:.9e} {y:.9e} {z:.9e}" for x, y, z in (atoms.positions + step) / factor),
        ]
    path = tmp_path / "md.pos_0.xyz"
    path.write_text("\n".join(lines) + "\n")
    found = read_structure(f"{path}@0")
    np.testing.assert_allclose(found.positions, atoms.positions, rtol=0, atol=1e-8)
    np.testing.assert_allclose(found.cell.array, atoms.cell.array, rtol=0, atol=1e-8)
    np.testing.assert_allclose(read_structure(str(path)).positions, atoms.positions + 10, atol=1e-8)
    frames = read_frames([str(path)])
    assert [frame.name for frame in frames] == ["md.pos_0.xyz@0", "md.pos_0.xyz@1"]
    np.testing.assert_allclose(frames[0].structure.cell, atoms.cell.array, rtol=0, atol=1e-8)


@pytest.mark.parametrize(
    ("opener", "suffix"), [(gzip.open, "gz"), (bz2.open, "bz2"), (lzma.open, "xz")]
)
def test_compressed_files_are_what_they_are(tmp_path, opener, suffix):
    """Units of i-PI's xyz too, which a reader of xyz would take for A."""
    head = "# CELL(abcABC): 18 18 18 90 90 90 Step: 3 Bead: 0 positions{atomic_unit} "
    text = f"2\n{head}cell{{atomic_unit}}\nAr 0 0 0\nAr 9 0 0\n"
    ase.io.write(tmp_path / "plain.extxyz", argon())
    for name, content in (
        ("md.xyz", text.encode()), ("start.extxyz", (tmp_path / "plain.extxyz").read_bytes()),
    ):  # fmt: skip
        with opener(tmp_path / f"{name}.{suffix}", "wb") as file:
            file.write(content)
    found = read_structure(str(tmp_path / f"md.xyz.{suffix}"))
    np.testing.assert_allclose(found.positions[1], [9 * BOHR_A, 0, 0], rtol=1e-8)
    np.testing.assert_allclose(found.cell.lengths(), 18 * BOHR_A, rtol=1e-8)
    file = str(tmp_path / f"start.extxyz.{suffix}")
    np.testing.assert_allclose(read_structure(file, file).positions, argon().positions, atol=1e-8)


def test_isotopes_of_ipi_and_names_that_are_no_elements(tmp_path):
    head = "# CELL(abcABC): 9 9 9 90 90 90 Step: 0 Bead: 0 positions{angstrom} cell{angstrom}"
    path = tmp_path / "x.xyz"
    path.write_text(f"3\n{head}\nO 0 0 0\nD 1 0 0\nD 0 1 0\n")
    found = read_structure(str(path))
    assert found.get_chemical_symbols() == ["O", "H", "H"]
    np.testing.assert_allclose(found.get_masses(), [15.999, 2.014, 2.014], atol=2e-4)
    path.write_text(f"1\n{head}\nOW 0 0 0\n")
    with pytest.raises(InputError, match="atoms called OW; expected chemical symbols"):
        read_structure(str(path))


@pytest.mark.parametrize(
    ("units", "match"),
    [
        ("positions{atomic_unit}  cell{angstrom}", "positions in atomic_unit"),
        ("positions{angstrom}  cell{atomic_unit}", "cell in atomic_unit"),
        ("positions{angstrom}  cell{angstrom}", None),
    ],
)
def test_pdb_of_ipi_is_in_angstrom_or_refused(tmp_path, units, match):
    path = tmp_path / "x.pdb"
    rows = [f"ATOM  {k:5d}   Ar   1     1    {k:8.3f}{0:8.3f}{0:8.3f}" for k in (1, 4)]
    cell = "CRYST1   10.000   11.000   12.000  90.00  90.00  90.00 P 1           1"
    path.write_text("\n".join([f"TITLE   Step: 5 Bead: 0 {units}", cell, *rows, "END\n"]))
    if match is not None:
        with pytest.raises(InputError, match=match):
            read_structure(str(path))
        return
    np.testing.assert_array_equal(read_structure(str(path)).cell.lengths(), [10, 11, 12])


def test_positions_and_velocities_of_different_steps(tmp_path):
    def file(name, quantity, unit, steps):
        head = "# CELL(abcABC): 9 9 9 90 90 90  Step: {} Bead: 0 {}{{{}}}  cell{{angstrom}}"
        text = "".join(
            f"1\n{head.format(step, quantity, unit)}\nAr {step}e-4 0 0\n" for step in steps
        )
        (tmp_path / name).write_text(text)
        return str(tmp_path / name)

    positions = file("p.xyz", "positions", "angstrom", [0, 250])
    velocities = file("v.xyz", "velocities", "m/s", [0, 250, 254])
    with pytest.raises(
        InputError, match=r"p\.xyz@-1 is of step 250.* of step 254; give --velocities .*v\.xyz@1$"
    ):
        read_structure(positions, velocities)
    assert read_structure(positions, f"{velocities}@1").get_momenta().any()
    assert not read_structure(f"{positions}@0", f"{velocities}@0").get_momenta().any()
    assert read_structure(f"{positions}@1", f"{velocities}@-2").get_momenta().any()
    with pytest.raises(InputError, match=r"expected @N or @-N of 3 frames, got @7"):
        read_structure(positions, f"{velocities}@7")
    other = file("w.xyz", "velocities", "m/s", [1, 2])
    with pytest.raises(InputError, match="give velocities of that step"):
        read_structure(positions, other)


@pytest.mark.parametrize(
    ("frame", "match"),
    [
        ('1\n{} Properties=species:S:1:pos:R:3 pbc="T T T"\n', "read by ASE"),
        ("0\n{} Properties=species:S:1:pos:R:3\n", "has no atoms|read by ASE"),
        ("1\n{} Properties=species:S:1:pos:R:3\nAr nan 0 0\n", "not finite numbers"),
    ],
)
def test_no_structure(tmp_path, frame, match):
    (tmp_path / "x.xyz").write_text(frame.format(BOX))
    with pytest.raises(InputError, match=match):
        read_structure(str(tmp_path / "x.xyz"))


@pytest.mark.parametrize(
    ("cell", "pbc", "match"),
    [
        ([[9, 0, 0], [0, 9, 0], [9, 9, 0]], True, "lattice vectors of .* span no volume"),
        ([[9, 0, 0], [9, 0, 0], [0, 0, 9]], (True, True, False), "span no volume"),
        ([[9, 0, 0], [0, 9, 0], [0, 0, 0]], True, "no periodic cell"),
        ([[9, 0, 0], [0, 0, 0], [0, 0, 9]], (True, True, False), "a lattice vector that it doesn"),
    ],
)
def test_cells_that_are_none(tmp_path, cell, pbc, match):
    atoms = Atoms("Ar2", [[0, 0, 0], [3, 3, 3]], cell=cell, pbc=pbc)
    with pytest.raises(InputError, match=match):
        read_structure(saved(tmp_path / "flat.traj", atoms))


def test_a_file_of_velocities_is_no_structure(tmp_path):
    (tmp_path / "v.extxyz").write_text(
        f'2\n{BOX} Properties=species:S:1:pos:R:3 ipi_comment="Step: 0 Bead: 0 '
        'velocities{ase} cell{ase}"\nAr 0 0 0\nAr 0 0 0\n'
    )
    with pytest.raises(InputError, match="holds velocities, no positions"):
        read_structure(str(tmp_path / "v.extxyz"))


def test_a_single_atom(tmp_path):
    found = read_structure(saved(tmp_path / "one.xyz", Atoms("Ar", cell=[9, 9, 9], pbc=True)))
    assert len(found) == 1
    with pytest.raises(InputError, match="a single atom can't move"):
        preflight.check(lj(), found)
    preflight.check(lj(ensemble=Ensemble("nve", beads=4)), found)


def test_open_directions_get_room(tmp_path, caplog):
    """A sheet whose file says that it ends along b, with atoms on both faces of the cell."""
    sheet = bulk("Ar", "fcc", a=5.3, cubic=True)
    sheet.pbc = (True, False, True)
    with caplog.at_level(logging.WARNING):
        found = read_structure(saved(tmp_path / "sheet.xyz", sheet))
    assert "sheet.xyz is not periodic along b" in caplog.text
    assert "images get 20.0 A of vacuum" in caplog.text
    np.testing.assert_allclose(found.cell.lengths(), [5.3, 2.65 + 20.0, 5.3])
    assert found.pbc.all()
    # forces as those of the open sheet: 20 A is beyond the cutoff
    from ncforce_ipi.backend import Wanted
    from ncforce_ipi.drivers.analytic import load
    from ncforce_ipi.reading.structures import to_structure

    model, wanted = load("lennard-jones"), Wanted(frozenset(["conservative"]))
    forces = [
        model.evaluate(to_structure(a), wanted)["conservative"].forces for a in (sheet, found)
    ]
    np.testing.assert_allclose(forces[1], forces[0], atol=1e-10)


def test_an_open_direction_with_room_keeps_its_vector(tmp_path):
    water = molecule("H2O")
    water.set_cell([[30, 0, 0], [10, 35, 0], [0, 0, 30]])
    found = read_structure(saved(tmp_path / "water.xyz", water))  # pbc="F F F"
    np.testing.assert_allclose(found.cell.array, water.cell.array)
    water.set_cell(np.diag([0, 0, 4.0]))
    found = read_structure(saved(tmp_path / "tight.traj", water))
    assert found.cell.lengths().min() >= 20.0


def test_a_molecule_gets_a_box(tmp_path, caplog):
    given = molecule("H2O", cell=[4.0, 4.0, 4.0])  # pbc="F F F"
    with caplog.at_level(logging.INFO):
        found = read_structure(saved(tmp_path / "m.extxyz", given))
    (record,) = caplog.records  # and isn't turned
    assert "is not periodic along a, b, c" in record.getMessage()
    np.testing.assert_allclose(found.positions, given.positions, atol=1e-8)
    assert not (found.cell.array - np.diag(np.diagonal(found.cell.array))).any()
    np.testing.assert_allclose(found.cell.lengths(), np.ptp(found.positions, axis=0) + 20.0)


def test_a_structure_without_a_cell_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"no periodic cell.*for a molecule, a Lattice="):
        read_structure(saved(tmp_path / "m.xyz", molecule("H2O"), format="xyz"))


def test_momenta_that_are_left_out_are_said(tmp_path, caplog):
    file = saved(tmp_path / "moving.xyz", argon())
    with caplog.at_level(logging.WARNING):
        read_structure(file)
    assert "moving.xyz has momenta, which are not used: velocities are random; give" in caplog.text
    caplog.clear()
    read_structure(file, file)
    assert not caplog.records


POSCAR = """argon
1.0
{}
Ar
2
Selective dynamics
Direct
0.0 0.0 0.0 F F F
0.5 0.5 0.5 {}
"""


@pytest.mark.parametrize("cell", [np.eye(3) * 8, np.eye(3) * 8 @ TURN])
def test_atoms_that_are_held(tmp_path, cell):
    """By ASE's constraint, by move_mask, by selective dynamics; also in a turned cell."""
    atoms = Atoms("Ar2", positions=np.array([[0, 0, 0], [4, 4, 4]]) @ cell / 8, cell=cell, pbc=True)
    atoms.set_constraint(FixAtoms([0]))
    files = [saved(tmp_path / f"held.{suffix}", atoms) for suffix in ("traj", "json")]
    columns = ["symbols", "positions", "move_mask"]  # ASE 3.24 writes the last on request only
    files.append(saved(tmp_path / "held.xyz", atoms, columns=columns))
    rows = "\n".join(" ".join(f"{x:.12f}" for x in row) for row in cell)
    (tmp_path / "POSCAR").write_text(POSCAR.format(rows, "T T T"))
    for file in [*files, str(tmp_path / "POSCAR")]:
        found = read_structure(file)
        assert held(found).tolist() == [[True] * 3, [False] * 3]
        assert held_xml(found) == "<fixcom> False </fixcom>\n<fixatoms> [ 0 ] </fixatoms>"
        assert "<fixatoms> [ 0 ] </fixatoms>" in motion_xml(PLAN, Ensemble(), 40.0, found)
        with pytest.raises(InputError, match="1 atoms are held, and a barostat would move them"):
            preflight.check(lj(ensemble=Ensemble("npt")), found)


def test_coordinates_that_are_held(tmp_path):
    (tmp_path / "POSCAR").write_text(POSCAR.format("8 0 0\n0 8 0\n0 0 8", "T F T"))
    found = read_structure(str(tmp_path / "POSCAR"))
    assert "<fixatoms_dof> [ 0, 1, 2, 4 ] </fixatoms_dof>" in held_xml(found)
    (tmp_path / "POSCAR").write_text(POSCAR.format("8 0 0\n1 8 0\n0 0 8", "T F T"))
    with pytest.raises(InputError, match=r"lattice vectors only .* right angles"):
        read_structure(str(tmp_path / "POSCAR"))


@pytest.mark.parametrize(
    ("constraint", "column"),
    [(FixAtoms([0, 5]), "L:1"), (FixCartesian([3], (True, False, True)), "L:3")],
)
@pytest.mark.parametrize("heavy", [False, True])
def test_what_is_held_is_in_the_start_of_a_run(tmp_path, constraint, column, heavy):
    """A run that starts from the ``init.xyz`` of another one holds the same, with its masses."""
    atoms = bulk("Ar", "fcc", a=5.3, cubic=True) * (2, 1, 1)
    atoms.set_constraint(constraint)
    if heavy:
        atoms.set_masses(np.linspace(20.0, 40.0, 8))
    first = read_structure(saved(tmp_path / "start.traj", atoms))
    (tmp_path / "init.xyz").write_text(structure_xyz(first))
    assert f":move_mask:{column}" in structure_xyz(first)
    again = read_structure(str(tmp_path / "init.xyz"))
    assert held(first).any()
    assert np.array_equal(held(again), held(first))
    np.testing.assert_allclose(again.get_masses(), atoms.get_masses(), atol=1e-12)  # decimals
    assert structure_xyz(again) == structure_xyz(first)


def test_a_frame_where_forces_disagreed_has_masses_and_held_atoms_of_its_run(tmp_path):
    """What a run keeps in ``disagreeing.extxyz`` says the step in ``from``."""
    atoms = bulk("Ar", "fcc", a=5.3, cubic=True)
    snapshot = Snapshot(
        np.array(atoms.get_chemical_symbols()), atoms.positions[None], atoms.cell.array,
        np.zeros((1, 4, 3)), np.ones((1, 4, 3)), np.zeros(1),
    )  # fmt: skip
    (tmp_path / "disagreeing.extxyz").write_text(frame(snapshot, 0, 20, 0.04))
    assert read_images(str(tmp_path / "disagreeing.extxyz"))[0].step == 20
    assert not held(read_structure(str(tmp_path / "disagreeing.extxyz"))).any()
    write_record(tmp_path, 4, masses_u={"Ar": 20.0})
    (tmp_path / "input.xml").write_text(
        "<simulation><output prefix='simulation'/><system><motion mode='dynamics'>"
        "<fixatoms> [ 2 ] </fixatoms></motion></system></simulation>"
    )
    found = read_structure(str(tmp_path / "disagreeing.extxyz"))
    assert found.get_masses().tolist() == [20.0] * 4
    assert held(found).any(axis=1).tolist() == [False, False, True, False]


def test_constraints_that_cannot_be_held(tmp_path):
    atoms = argon()
    cases = [
        (FixBondLengths([(0, 1)]), "constraint FixBondLengths, which i-PI can't hold"),
        (FixedPlane(0, (0, 0, 1)), "constraint FixedPlane"),
        (FixAtoms(range(len(atoms))), "all atoms of .* are held: nothing can move"),
        ([FixAtoms([1]), FixCom()], "a constraint FixCom and held atoms, and i-PI holds either"),
    ]
    for constraint, match in cases:
        atoms.set_constraint(constraint)
        with pytest.raises(InputError, match=match):
            read_structure(saved(tmp_path / "c.traj", atoms))
    other = turned(argon())
    other.set_constraint(FixCartesian(3, (True, False, False)))
    with pytest.raises(InputError, match=r"atom 3 of .* held along some directions only, and the"):
        read_structure(saved(tmp_path / "c.traj", other))


def test_held_atoms_do_not_start_with_velocities(tmp_path):
    atoms = argon()
    atoms.set_constraint(FixAtoms([2, 3]))
    file = saved(tmp_path / "x.traj", atoms)
    momenta = read_structure(file, saved(tmp_path / "moving.xyz", argon())).get_momenta()
    assert not momenta[[2, 3]].any()
    np.testing.assert_allclose(momenta[:2], argon().get_momenta()[:2], atol=1e-8)


@pytest.mark.parametrize("suffix", ["extxyz", "traj"])
def test_a_motion_of_all_atoms_is_said(tmp_path, caplog, suffix):
    """i-PI takes it away: with p of each of n atoms it has n p^2 of the sum of all squares."""
    atoms = argon()
    file, start = tmp_path / f"moving.{suffix}", saved(tmp_path / "start.extxyz", argon())
    read_structure(start, saved(file, atoms))
    assert "centre of mass" not in caplog.text
    momenta = atoms.get_momenta() + np.array([0.5, 0.0, 0.0])
    atoms.set_momenta(momenta)
    found = read_structure(start, saved(file, atoms))
    percent = 100.0 * 8 * 0.5**2 / np.sum(momenta**2)
    assert f"move the centre of mass, with {percent:.3g} % of their kinetic energy" in caplog.text
    np.testing.assert_allclose(found.get_momenta(), momenta, atol=1e-7)  # as the file has them
    caplog.clear()
    held_too = argon()
    held_too.set_constraint(FixAtoms([2]))  # then it is left alone
    read_structure(saved(tmp_path / "held.traj", held_too), str(file))
    assert "centre of mass" not in caplog.text


def test_columns_that_look_like_flags_are_said(tmp_path, caplog):
    atoms = argon()
    atoms.set_array("fixed", np.arange(8) % 2)
    with caplog.at_level(logging.WARNING):
        read_structure(saved(tmp_path / "x.xyz", atoms))
    assert "column fixed, which is not understood: no atom is held" in caplog.text


@pytest.mark.parametrize(
    ("info", "arrays", "said"),
    [
        ({"charge": -1, "spin": 2}, {}, "says charge=-1, spin=2, which no model sees"),
        ({"Total_Charge": 1.0}, {}, "says total_charge=1, which"),
        ({}, {"initial_charges": [0.25] * 8}, "says charges of 2 in all, which"),
        ({}, {"initial_magmoms": [0.5] * 4 + [0.0] * 4}, "magnetic moments of 2 in all"),
        ({"charge": 0, "spin": 1, "multiplicity": "x"}, {"initial_charges": [0.5, -0.5] * 4}, ""),
    ],
)
def test_charge_and_spin_that_no_model_sees_are_said(tmp_path, caplog, info, arrays, said):
    atoms = argon()
    atoms.set_momenta(None)
    atoms.info.update(info)
    for name, values in arrays.items():
        atoms.set_array(name, np.array(values))
    with caplog.at_level(logging.WARNING):
        read_structure(saved(tmp_path / "ion.xyz", atoms))
    assert said in caplog.text
    assert bool(caplog.records) == bool(said)


def test_atoms_that_are_too_close_are_said():
    close = Atoms("OHH", [[0, 0, 0], [0.62, 0, 0], [0, 0.97, 0]], cell=[9, 9, 9], pbc=True)
    (line,) = [w for w in preflight.check(lj(), close).warnings if "apart" in w]
    assert line.startswith("atoms 0 (O) and 1 (H) are 0.62 A apart, a bond has about 0.97 A")
    for name in ("H2O", "N2", "CO", "C2H2", "H2", "O2", "HCN", "CO2", "HF"):
        atoms = molecule(name, cell=[9, 9, 9], pbc=True)
        assert not [w for w in preflight.check(lj(), atoms).warnings if "apart" in w]


@pytest.mark.parametrize("axis", [0, 1])
def test_a_sheet_across_another_axis_is_refused_in_plane(axis):
    film = bulk("Ar", "fcc", a=5.3, cubic=True) * (2, 2, 2)
    cell = film.cell.array.copy()
    cell[axis, axis] = 25.0
    film.set_cell(cell)
    order = ("b, c, a", "c, a, b")[axis]
    in_plane = lj(ensemble=Ensemble("npt", barostat="in-plane"))
    with pytest.raises(InputError, match=f"in-plane would close; .* in the order {order}"):
        preflight.check(in_plane, film)
    permuted = film.copy()
    permuted.set_cell(film.cell.array[["abc".index(name) for name in order.split(", ")]])
    q = preflight.vacuum_A(permuted)
    assert q[2] > 10 > q[:2].max()
    preflight.check(in_plane, permuted)


DUMP = """ITEM: TIMESTEP
250
ITEM: NUMBER OF ATOMS
2
ITEM: BOX BOUNDS pp pp pp
0 9
0 9
0 9
ITEM: ATOMS id type {}x y z vx vy vz
1 1 {} 0 0 0 .1 .2 .3
2 2 {} 3 0 0 .1 .2 .3
"""


def test_types_of_lammps_are_no_elements(tmp_path):
    path = tmp_path / "md.lammpstrj"
    path.write_text(DUMP.format("", "", ""))
    with pytest.raises(InputError, match=r"types of atoms, no elements .*column element"):
        read_structure(str(path))
    path.write_text(DUMP.format("element ", "O", "Ar"))
    assert read_structure(str(path)).get_chemical_symbols() == ["O", "Ar"]
    path.write_text(DUMP.format("element ", "H", "He"))
    assert read_structure(str(path)).get_chemical_symbols() == ["H", "He"]
    with pytest.raises(InputError, match="a file of LAMMPS, which states no unit of velocities"):
        read_structure(str(path), str(path))


CIF = """data_x
_cell_length_a 5.6
_cell_length_b 5.6
_cell_length_c 5.6
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_space_group_name_H-M_alt 'P 1'
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
Cl1 Cl 0.5 0.5 0.5 1.0
Na1 Na 0.0 0.0 0.0 {}
{}"""


def test_partly_occupied_sites_are_refused(tmp_path):
    path = tmp_path / "x.cif"
    path.write_text(CIF.format("1.0", ""))
    assert len(read_structure(str(path))) == 2
    for share, other in (("0.5", "K1 K 0.0 0.0 0.0 0.5\n"), ("0.7", "")):
        path.write_text(CIF.format(share, other))
        with pytest.raises(InputError, match=r"has a partly occupied site .*ordered cell first"):
            read_structure(str(path))
