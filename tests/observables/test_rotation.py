"""Temperatures of molecules in vacuum, of vibrations at 300 K exactly and a rotation that isn't."""

import json

import numpy as np
import pytest

from ncforce_ipi.cli import main
from ncforce_ipi.observables.analyse import analyse
from ncforce_ipi.observables.dataset import open_dataset
from ncforce_ipi.observables.options import Options
from ncforce_ipi.reading.metadata import read_metadata
from ncforce_ipi.units import BOLTZMANN_EV_PER_K, U_A2_PER_FS2_EV

KELVIN, BOX_A = 300.0, 20.0
N_FRAMES, STEP_FS = 2000, 50.0  # 100 ps, after which no slow part is feared
MASSES_U = {"C": 12.011, "H": 1.008, "O": 15.999}
SPECIES = np.array(["C", "C", "O", "H", "H", "H", "H", "H", "H"])
ETHANOL_A = np.array(
    [[1.17, -0.39, 0.0], [0.0, 0.56, 0.0], [-1.19, -0.23, 0.0], [-1.94, 0.38, 0.0],
     [2.1, 0.2, 0.0], [1.13, -1.02, 0.88], [1.13, -1.02, -0.88], [0.04, 1.2, 0.89],
     [0.04, 1.2, -0.89]]
)  # fmt: skip
MASS_U = np.array([MASSES_U[symbol] for symbol in SPECIES])
UNIT = ("--unit", "angstrom/fs")
NO_VERDICT = "no verdict (see the note)"


def molecule(*, rotating):
    """Positions and velocities ``(n_frames, 9, 3)`` of independent modes at 300 K, A and A/fs.

    All modes but the centre of mass, or without the three rotations.
    """
    rng = np.random.default_rng(2)
    places = ETHANOL_A - MASS_U @ ETHANOL_A / MASS_U.sum()
    held = [np.tile(axis, (9, 1)) for axis in np.eye(3)]
    held += [] if rotating else [np.cross(axis, places) for axis in np.eye(3)]
    rows = np.array([(np.sqrt(MASS_U)[:, None] * one).ravel() for one in held])
    modes = np.linalg.svd(rows)[2][len(rows) :]
    scaled = (rng.normal(size=(N_FRAMES, len(modes))) @ modes).reshape(N_FRAMES, 9, 3)
    thermal = np.sqrt(BOLTZMANN_EV_PER_K * KELVIN / (MASS_U * U_A2_PER_FS2_EV))
    return np.tile(places, (N_FRAMES, 1, 1)), scaled * thermal[:, None]


def write_ipi(path, what, values, edge_A=BOX_A):
    with path.open("w") as file:
        for step, frame in enumerate(values):
            cell = f"# CELL(abcABC): {edge_A} {edge_A} {edge_A} 90.0 90.0 90.0"
            file.write(f"9\n{cell} Step: {step} Bead: 0 {what} cell{{angstrom}}\n")
            rows = zip(SPECIES, frame, strict=True)
            file.writelines(f"{s} {x:.8e} {y:.8e} {z:.8e}\n" for s, (x, y, z) in rows)


def write_run(folder, *, rotating=False, edge_A=BOX_A, ensemble=None):
    """As i-PI writes it: a cell that is periodic, and the molecule across its boundary."""
    places, velocities = molecule(rotating=rotating)
    write_ipi(folder / "md.pos_0.xyz", "positions{angstrom}", places % edge_A, edge_A)
    write_ipi(folder / "md.vel_0.xyz", "velocities{m/s}", 1e5 * velocities, edge_A)
    if ensemble is not None:
        record = {"n_atoms": 9, "masses_u": MASSES_U, "temperature_K": KELVIN,
                  "plan": {"outer_step_fs": STEP_FS}, "ensemble": {"name": ensemble}}  # fmt: skip
        (folder / "run.json").write_text(json.dumps(record))
    return folder


def measured(path, tmp_path, capsys, *more):
    """What ``ncforce temperature`` prints, and its numbers."""
    masses = ",".join(f"{symbol}={mass}" for symbol, mass in MASSES_U.items())
    words = ["temperature", str(path), "--masses-u", masses, "--timestep-fs", str(STEP_FS), *more]
    target = tmp_path / "found.json"
    assert main([*words, "--json", str(target), "--force"]) == 0
    printed = capsys.readouterr().out
    return printed, json.loads(target.read_text())


def is_without_verdict(printed, numbers):
    """No verdict anywhere, a note, and all other keys."""
    assert "equipartition" not in printed
    assert printed.count(NO_VERDICT) == 3
    assert not any(key.endswith("_verdict") for key in numbers)
    for key in ("K", "standard_error_K", "sigmas", "limit_K"):
        assert f"temperature_H_minus_O_{key}" in numbers
    return True


@pytest.mark.parametrize("ensemble", [None, "nve", "svr"])
def test_a_molecule_that_does_not_rotate_gets_a_note_and_no_verdict(tmp_path, capsys, ensemble):
    printed, numbers = measured(write_run(tmp_path, ensemble=ensemble), tmp_path, capsys)
    assert is_without_verdict(printed, numbers)
    assert "angular momentum of this isolated system is constant in 64 frames" in printed
    assert "up to 3 of the 24 degrees of freedom, holds 0 % of the kinetic energy" in printed
    assert "T is about 12 % too low" in printed
    # 2000 frames of 21 modes: 4 sqrt(2 / 21 / 2000) is 2.8 %
    assert numbers["temperature_all_K"] == pytest.approx(KELVIN * 21.0 / 24.0, rel=0.028)
    off_K = numbers["temperature_H_minus_O_K"]
    assert off_K > 10.0 * numbers["temperature_H_minus_O_standard_error_K"]  # was "violated"


def test_a_velocity_file_alone_and_its_directory_say_the_same(tmp_path, capsys):
    write_run(tmp_path)
    printed, _ = measured(tmp_path, tmp_path, capsys)
    assert measured(tmp_path / "md.vel_0.xyz", tmp_path, capsys)[0] == printed


def test_a_thermostat_on_single_atoms_leaves_the_verdict(tmp_path, capsys):
    folder = write_run(tmp_path, rotating=True, ensemble="langevin")
    printed, numbers = measured(folder, tmp_path, capsys)
    assert "angular momentum" not in printed
    assert NO_VERDICT not in printed
    for pair in ("C_minus_H", "C_minus_O", "H_minus_O"):
        assert numbers[f"temperature_{pair}_verdict"] in ("holds", "open")  # of 3 Cartesians of O


def test_a_rotation_that_is_heat_is_told_by_nobody(tmp_path, capsys):
    """Without a word of the ensemble, positions show that nothing is constant."""
    printed, numbers = measured(write_run(tmp_path, rotating=True), tmp_path, capsys)
    assert is_without_verdict(printed, numbers)
    assert "keeps its angular momentum, unless a thermostat kicks single atoms" in printed
    assert "T is then too low by up to 12 %" in printed


def test_a_periodic_system_is_as_before(tmp_path, capsys):
    """The same velocities in a cell without vacuum, with positions or without."""
    folder = write_run(tmp_path, edge_A=6.0)
    printed, numbers = measured(folder, tmp_path, capsys)
    assert "note" not in printed
    assert "equipartition is violated" in printed
    assert numbers["temperature_H_minus_O_verdict"] == "violated"
    (folder / "md.pos_0.xyz").unlink()
    assert measured(folder, tmp_path, capsys)[0] == printed


@pytest.mark.parametrize(
    ("words", "isolated"),
    [
        (f'Lattice="{BOX_A} 0 0 0 {BOX_A} 0 0 0 {BOX_A}" pbc="F F F"', True),
        ('pbc="F F F"', True),
        (f'Lattice="{BOX_A} 0 0 0 {BOX_A} 0 0 0 {BOX_A}" pbc="T T F"', False),
        ("", False),  # other codes leave out the cell of a liquid
    ],
)
def test_the_periodicity_that_a_file_states_counts(tmp_path, capsys, words, isolated):
    _, velocities = molecule(rotating=False)
    path = tmp_path / "md.extxyz"
    with path.open("w") as file:
        for frame in velocities:
            file.write(f"9\nProperties=species:S:1:vel:R:3 {words}\n")
            rows = zip(SPECIES, frame, strict=True)
            file.writelines(f"{s} {x:.8f} {y:.8f} {z:.8f}\n" for s, (x, y, z) in rows)
    printed, numbers = measured(path, tmp_path, capsys, *UNIT)
    assert ("keeps its angular momentum" in printed) == isolated
    assert ("temperature_H_minus_O_verdict" in numbers) != isolated


def test_without_a_cell_a_constant_angular_momentum_tells(tmp_path, capsys):
    """Plain xyz: of what doesn't rotate, and of what isn't isolated or is stirred."""
    for rotating in (False, True):
        places, velocities = molecule(rotating=rotating)
        folder = tmp_path / str(rotating)
        folder.mkdir()
        path = folder / "md.extxyz"
        with path.open("w") as file:
            for where, how in zip(places, velocities, strict=True):
                file.write("9\nProperties=species:S:1:pos:R:3:vel:R:3\n")
                file.writelines(
                    f"{s} {' '.join(f'{x:.8f}' for x in (*one, *other))}\n"
                    for s, one, other in zip(SPECIES, where, how, strict=True)
                )
        printed, _ = measured(path, tmp_path, capsys, *UNIT)
        assert ("is constant in 64 frames" in printed) != rotating
        assert (NO_VERDICT in printed) != rotating


def test_what_analyze_and_report_show_has_the_note_too(tmp_path):
    options = Options(masses_u=MASSES_U, timestep_fs=STEP_FS)
    found = analyse(open_dataset([write_run(tmp_path)], options))
    lines = dict(found.results["temperature"].lines())
    assert NO_VERDICT in lines["T(H) - T(O)"]
    assert "angular momentum" in lines["note"]
    assert not any(key.endswith("_verdict") for key in found.to_dict()["temperature"])


@pytest.mark.parametrize(
    ("motion", "kicks"),
    [
        ("<dynamics mode='nve'><thermostat mode='langevin'/></dynamics>", False),
        ("<dynamics mode='nvt'><thermostat mode='langevin'/></dynamics>", True),
        ("<dynamics mode='nvt'><thermostat mode='pile_l'/></dynamics>", True),
        ("<dynamics mode='nvt'><thermostat mode='gle'/></dynamics>", True),
        ("<dynamics mode='nvt'><thermostat mode='svr'/></dynamics>", False),
        ("<dynamics mode='nvt'><thermostat mode='pile_g'/></dynamics>", False),
        ("<dynamics mode='nvt'><thermostat mode='multi'><thermostat mode='svr'/>"
         "<thermostat mode='gle'/></thermostat></dynamics>", True),
        ("<dynamics mode='npt'><barostat mode='isotropic'><thermostat mode='langevin'/></barostat>"
         "<thermostat mode='svr'/></dynamics>", False),
        ("", None),
    ],
)  # fmt: skip
def test_a_checkpoint_says_whether_single_atoms_are_kicked(tmp_path, motion, kicks):
    """Of a barostat's thermostat nothing comes to the atoms."""
    (tmp_path / "RESTART").write_text(
        "<simulation><output prefix='md'/><system><beads natoms='1' nbeads='1'>"
        "<m shape='(1)'> [ 1837.0 ] </m><names shape='(1)'> [ H ] </names></beads>"
        f"<motion>{motion}</motion></system></simulation>"
    )
    assert read_metadata(tmp_path).kicks is kicks


@pytest.mark.parametrize(
    ("ensemble", "kicks"),
    [("nve", False), ("langevin", True), ("gle", True), ("svr", False), ("npt", False)],
)
def test_a_record_says_whether_single_atoms_are_kicked(tmp_path, ensemble, kicks):
    write_run(tmp_path, ensemble=ensemble)
    assert read_metadata(tmp_path).kicks is kicks
