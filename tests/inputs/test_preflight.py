"""What is said and refused before a run starts."""

import json
import pickle
import zipfile
from dataclasses import fields, replace

import numpy as np
import pytest
from ase import Atoms
from ase.build import graphene

from ncforce_ipi.errors import InputError
from ncforce_ipi.inputs import preflight
from ncforce_ipi.inputs.commands import Transport
from ncforce_ipi.inputs.ensembles import Ensemble
from ncforce_ipi.inputs.plan import Plan
from ncforce_ipi.inputs.recipe import Recipe
from ncforce_ipi.inputs.service import Service
from ncforce_ipi.inputs.structure import read_structure
from ncforce_ipi.inputs.vibrations import fastest_per_cm

WATER = read_structure("water")
SHEET = graphene(size=(4, 4, 1), vacuum=7.0)
SHEET.pbc = True

SERVICE = {field.name for field in fields(Service)}


def recipe(mts=8, ensemble=None, step_fs=0.5, n_outer=1000, **changes):
    plan = Plan("mts" if mts > 1 else "slow", mts, step_fs, n_outer)
    words = {key: changes.pop(key) for key in SERVICE & changes.keys()}
    service = Service(**{"model": "water"} | words)
    return Recipe(plan, ensemble or Ensemble(), 300.0, 1, service, **changes)


def model_file(path, outputs, species=(1, 8)):
    """The archive of a metatomic model, as far as it is read: capabilities in its pickle."""
    text = json.dumps(
        {"class": "ModelCapabilities", "atomic_types": species, "outputs": dict.fromkeys(outputs)}
    )
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("final/data.pkl", pickle.dumps(["other", text, 1.0]))
        archive.writestr("final/code/data.pkl.py", "no pickle")
    return path


def test_a_sound_run_has_no_warning():
    found = preflight.check(recipe(), WATER)
    assert found.warnings == ()
    # 1000 outer steps: 200 frames of positions, 1000 of velocities, of 192 atoms
    assert found.disk_MB == pytest.approx(1e-6 * (192 * (200 * 53 + 1000 * 48) + 250e3))


def test_forces_take_disk():
    plain, with_forces = recipe(), replace(recipe(), force_stride=5)
    more_MB = preflight.disk_MB(with_forces, 192) - preflight.disk_MB(plain, 192)
    # 200 frames of two components: 8 letters, 3 numbers of 12 characters, 3 blanks, a newline
    assert more_MB == pytest.approx(1e-6 * 200 * 2 * 192 * 48, rel=1e-9)
    often_MB = preflight.disk_MB(replace(recipe(), force_stride=1), 192)
    # positions come as often, which else are written at every fifth step
    expected_MB = 1e-6 * 192 * (1000 * 2 * 48 + 800 * 53)
    assert often_MB - preflight.disk_MB(plain, 192) == pytest.approx(expected_MB, rel=1e-9)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"mts": 1, "step_fs": 2.0}, "inner step 2 fs: the fastest vibration"),
        ({"ensemble": Ensemble("langevin", tau_fs=2.0)}, "thermostat of 2 fs: it acts once"),
        ({"n_outer": 2_000_000}, "outputs will take 23.0 GB of disk"),
        ({"transport": Transport(31415)}, "can connect to port 31415 and port 31416 and send any"),
    ],
)
def test_warnings(settings, words):
    (warning,) = preflight.check(recipe(**settings), WATER).warnings
    assert words in warning


def test_a_long_outer_step_resonates_and_blurs_spectra():
    first, second = preflight.check(recipe(mts=12), WATER).warnings
    assert "outer step 6 fs: above 5.0 fs multiple time steps resonate" in first
    assert second == (
        "velocities are written once an outer step, every 6 fs: spectra end at 2780 cm^-1, and "
        "vibrations above it (up to 3700 cm^-1) show up below"
    )


def test_heavy_elements_take_longer_outer_steps():
    metal = Atoms("Al4", positions=np.eye(4, 3) * 3.0, cell=[8, 8, 8], pbc=True)
    assert preflight.check(recipe(mts=16, model="aluminium"), metal).warnings == ()
    warning, _ = preflight.check(recipe(mts=64, model="aluminium"), metal).warnings
    assert "resonate with the fastest vibration to expect (700 cm^-1)" in warning


@pytest.mark.parametrize(
    ("formula", "per_cm"),
    [
        ("OH2", 3700.0),
        ("CO", 1650.0),
        ("Cu3AlO", 1100.0),  # one O finds no other
        ("Cu3AlO2", 1650.0),
        ("Cu3Al", 700.0),
        ("H", 700.0),  # alone
    ],
)
def test_the_fastest_vibration_is_of_a_pair_that_there_is(formula, per_cm):
    assert fastest_per_cm(Atoms(formula)) == per_cm


def test_an_element_that_the_model_does_not_know():
    metal = Atoms("AlCu", positions=np.eye(2, 3) * 3.0, cell=[8, 8, 8], pbc=True)
    with pytest.raises(
        InputError, match=r"^model aluminium doesn't know Cu, only Al; give another"
    ):
        preflight.check(recipe(model="aluminium"), metal)
    slow = ("ncforce", "driver", "metatomic", "--model", "aluminium")
    with pytest.raises(InputError, match=r"^model aluminium doesn't know H O, only Al"):
        preflight.check(recipe(slow_driver=slow), WATER)
    preflight.check(recipe(slow_driver=(*slow[:2], "sevennet", "--model", "7net-0")), WATER)


def test_a_fast_model_without_direct_stress_and_constant_pressure(tmp_path):
    without = str(model_file(tmp_path / "m.pt", ["energy", "non_conservative_force"]))
    npt = Ensemble("npt")
    with pytest.raises(InputError, match=r"m\.pt has no output non_conservative_stress"):
        preflight.check(recipe(ensemble=npt, model=without), WATER)
    preflight.check(recipe(model=without), WATER)
    preflight.check(recipe(mts=1, ensemble=npt, model=without), WATER)  # slow alone
    names = ["energy/pbe", "non_conservative_forces/pbe", "non_conservative_stress/pbe"]
    preflight.check(recipe(ensemble=npt, model=str(model_file(tmp_path / "v.pt", names))), WATER)


def test_a_fast_model_without_direct_forces(tmp_path):
    path = str(model_file(tmp_path / "m.pt", ["energy"]))
    with pytest.raises(
        InputError,
        match=r"has no output non_conservative_force, only .*give another one with --fast",
    ):
        preflight.check(recipe(model=path), WATER)
    preflight.check(recipe(model=path, options=("--fast-kind", "conservative")), WATER)
    preflight.check(recipe(mts=1, model=path), WATER)


@pytest.mark.parametrize("content", [b"no archive", b"", b"<!doctype html>"])
def test_files_that_are_no_model_are_refused_before_the_start(content, tmp_path):
    path = tmp_path / "m.pt"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"m\.pt is no metatomic model: it is"):
        preflight.check(recipe(model=str(path)), WATER)
    preflight.check(recipe(model=str(path), family="mace"), WATER)  # its driver knows better
    preflight.check(recipe(model=str(tmp_path / "elsewhere.pt")), WATER)


def test_a_checkpoint_is_refused_before_the_start(tmp_path):
    with zipfile.ZipFile(tmp_path / "model.ckpt", "w") as archive:
        archive.writestr("model/data.pkl", b"")
    with pytest.raises(InputError, match=r"export it with `mtt export model\.ckpt -o model\.pt`"):
        preflight.check(recipe(model=str(tmp_path / "model.ckpt")), WATER)


@pytest.mark.parametrize(
    "words",
    [
        {"options": ("--no-virial",)},
        {"slow_driver": ("ncforce", "driver", "ase", "--model", "a:B", "--no-virial")},
    ],
)
def test_a_virial_that_is_left_out_and_constant_pressure(words):
    chosen = recipe(ensemble=Ensemble("npt"), **words)
    with pytest.raises(InputError, match="constant pressure needs the virial of the slow forces"):
        preflight.check(replace(chosen, plan=Plan("slow", 1, 0.5, 10)), WATER)
    preflight.check(replace(chosen, ensemble=Ensemble()), WATER)


def test_masses_are_positive_and_mixed_isotopes_are_said():
    heavy = WATER.copy()
    heavy.set_masses([2.014 if s == "H" else 15.999 for s in heavy.symbols])
    preflight.check(recipe(), heavy)
    masses = heavy.get_masses()
    masses[1] = 1.008
    heavy.set_masses(masses)
    (words,) = preflight.check(recipe(), heavy).warnings
    assert "H has masses from 1.008 to 2.014 u: all results of H are means" in words
    masses[2] = 0.0
    heavy.set_masses(masses)
    with pytest.raises(InputError, match=r"atom 2 \(H\) has a mass of 0 u"):
        preflight.check(recipe(), heavy)
    dummy = Atoms("OX", positions=np.eye(2, 3) * 3.0, cell=[8, 8, 8], pbc=True)
    with pytest.raises(InputError, match="atom 1 is X, which has no mass"):
        preflight.check(recipe(), dummy)


def test_outputs_that_do_not_fit_the_disk(tmp_path):
    assert preflight.space_warnings(tmp_path / "not" / "yet", 1.0) == []
    (warning,) = preflight.space_warnings(tmp_path / "not" / "yet", 1e12)
    assert warning.startswith(f"outputs will take 1000000000.0 GB, {tmp_path} has ")


def test_the_vacuum_of_a_sheet_stays():
    np.testing.assert_allclose(preflight.vacuum_A(SHEET)[2], 14.0, atol=1e-9)
    with pytest.raises(
        InputError, match=r"has 14\.0 A of vacuum along c, which barostat isotropic"
    ):
        preflight.check(recipe(ensemble=Ensemble("npt"), model="carbon"), SHEET)
    in_plane = Ensemble("npt", barostat="in-plane")
    preflight.check(recipe(ensemble=in_plane, model="carbon"), SHEET)
    preflight.check(recipe(ensemble=Ensemble("npt")), WATER)


def test_vacuum_of_a_triclinic_cell_is_measured_between_planes():
    cell = [[10.0, 0.0, 0.0], [0.0, 10.0, 0.0], [8.0, 0.0, 20.0]]
    atoms = Atoms("Al2", scaled_positions=[[0, 0, 0.0], [0, 0, 0.25]], cell=cell, pbc=True)
    np.testing.assert_allclose(preflight.vacuum_A(atoms)[2], 15.0)
