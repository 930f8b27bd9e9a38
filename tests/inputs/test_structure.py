"""Start velocities from a file: what is read, and what i-PI makes of it."""

import re
import subprocess
import sys

import ase.io
import ase.units
import numpy as np
import pytest
from ase import Atoms

from ncforce_ipi.errors import InputError
from ncforce_ipi.inputs import preflight
from ncforce_ipi.inputs.ensembles import Ensemble
from ncforce_ipi.inputs.plan import Plan
from ncforce_ipi.inputs.recipe import Recipe, input_xml, write_input
from ncforce_ipi.inputs.service import Service
from ncforce_ipi.inputs.structure import read_structure
from ncforce_ipi.inputs.velocities import kept_warnings, temperature_K, velocities_xyz
from ncforce_ipi.units import ATOMIC_VELOCITY_A_PER_FS

PLAN = Plan.from_time("slow", 1, 0.5, 0.01)
HEAD = "# CELL(abcABC): 8.0 8.0 8.0 90 90 90  Step: {} Bead: 0 velocities{{m/s}}  cell{{angstrom}}"


@pytest.fixture
def water(tmp_path):
    """A molecule in a box, its file, and velocities of it, A/fs."""
    atoms = Atoms("OHH", [[0, 0, 0], [0.76, 0.59, 0], [-0.76, 0.59, 0]], cell=[8, 8, 8], pbc=True)
    ase.io.write(tmp_path / "start.xyz", atoms)
    velocities = np.random.default_rng(0).normal(0, 0.01, (3, 3))
    masses = atoms.get_masses()[:, None]
    velocities -= (masses * velocities).sum(0) / masses.sum()  # i-PI fixes the centre of mass
    return atoms, tmp_path / "start.xyz", velocities


def ipi_file(path, frames, symbols="OHH"):
    """i-PI's xyz of velocities in m/s."""
    lines = []
    for step, frame in enumerate(frames):
        lines += [str(len(symbols)), HEAD.format(step)]
        lines += [
            f"{s} {x:.17e} {y:.17e} {z:.17e}" for s, (x, y, z) in zip(symbols, frame, strict=True)
        ]
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def test_last_frame_of_ipi(water, tmp_path):
    _, start, velocities = water
    file = ipi_file(tmp_path / "v.xyz", [0 * velocities, 1e5 * velocities])  # A/fs = 1e5 m/s
    found = read_structure(str(start), file).get_velocities() * ase.units.fs
    np.testing.assert_allclose(found, velocities, rtol=1e-12)


def test_momenta_of_extxyz(water, tmp_path):
    atoms, start, velocities = water
    atoms.set_velocities(velocities / ase.units.fs)
    ase.io.write(tmp_path / "moving.extxyz", atoms, format="extxyz")
    found = read_structure(str(start), str(tmp_path / "moving.extxyz"))
    # ASE writes eight decimals
    np.testing.assert_allclose(found.get_momenta(), atoms.get_momenta(), rtol=0, atol=1e-8)


def test_ipi_starts_with_them(water, tmp_path):
    _, start, velocities = water
    given = read_structure(str(start), ipi_file(tmp_path / "v.xyz", [1e5 * velocities]))
    write_input(tmp_path, Recipe(PLAN, Ensemble(), 300.0, 1), given)
    assert not ase.io.read(tmp_path / "init.xyz").has("momenta")
    code = (
        "from ipi.engine.simulation import Simulation as S\n"
        "s = S.load_from_xml(open('input.xml'), custom_verbosity='quiet', read_only=True)\n"
        "b = s.syslist[0].beads\n"
        "print('=', *(b.p[0] / b.m3[0]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    found = np.array(done.stdout.split("= ")[-1].split(), float).reshape(3, 3)
    atomic = 0.529177210903 / 0.02418884326509  # A/fs
    np.testing.assert_allclose(found * atomic, velocities, rtol=1e-9)


def test_all_digits(water):
    """What is written is, read again, the same number to the last bit."""
    atoms, _, velocities = water
    atoms.set_velocities(velocities / ase.units.fs)
    rows = velocities_xyz(atoms).splitlines()[2:]
    written = np.array([row.split()[1:] for row in rows], float)
    expected = atoms.get_velocities() * ase.units.fs / ATOMIC_VELOCITY_A_PER_FS
    np.testing.assert_array_equal(written, expected)
    assert np.abs(expected).min() > 0


def test_refusals(water, tmp_path):
    _, start, velocities = water
    with pytest.raises(InputError, match=r"nowhere\.xyz is missing"):
        read_structure(str(start), str(tmp_path / "nowhere.xyz"))
    other = ipi_file(tmp_path / "v.xyz", [velocities], "HOH")
    with pytest.raises(InputError, match="the same species in the same order"):
        read_structure(str(start), other)
    with pytest.raises(InputError, match=r"start\.xyz .*velocities"):
        read_structure(str(start), str(start))
    given = read_structure(str(start), ipi_file(tmp_path / "w.xyz", [velocities]))
    with pytest.raises(InputError, match="leave --velocities out"):
        input_xml(Recipe(PLAN, Ensemble(beads=4), 300.0, 1), given)


@pytest.mark.parametrize(
    ("n_frames", "index", "said"), [(3, "", True), (1, "", False), (3, "@0", False)]
)
def test_which_of_several_frames_is_taken_is_said(tmp_path, caplog, n_frames, index, said):
    frames = [ase.Atoms("Ar", [[0.1 * k, 0, 0]], cell=[9, 9, 9], pbc=True) for k in range(n_frames)]
    ase.io.write(tmp_path / "start.xyz", frames)
    with caplog.at_level("INFO"):
        found = read_structure(f"{tmp_path / 'start.xyz'}{index}")
    taken = 0 if index else n_frames - 1
    assert found.positions[0, 0] == pytest.approx(0.1 * taken, abs=1e-8)  # as ASE writes them
    assert ("start.xyz has several frames: the last one is taken" in caplog.text) is said


def warm(kelvin, drift=0.0, **held):
    """A hundred atoms of 40 u that all have this temperature, and a common velocity in A/fs."""
    atoms = Atoms("Ar100", np.random.default_rng(2).uniform(0, 20, (100, 3)), cell=[20] * 3, pbc=1)
    atoms.set_masses(np.full(100, 40.0))
    speed = np.sqrt(3 * ase.units.kB * kelvin / 40.0)
    signs = np.repeat([1.0, -1.0], 50)
    atoms.set_velocities(np.outer(signs * speed + drift / ase.units.fs, [1, 0, 0]))
    for name, value in held.items():
        atoms.set_array(name, value)
    return atoms


def test_the_temperature_of_start_velocities():
    """2K/(k_B n): the centre of mass is at rest and doesn't count, unless atoms are held."""
    found_K, n = temperature_K(warm(200.0, drift=0.01))
    assert (found_K, n) == (pytest.approx(200.0 * 300 / 297), 297)
    flags = np.zeros((100, 3), bool)
    flags[[0, 99]] = True  # one of each sign
    flags[1, 2] = True
    found_K, n = temperature_K(warm(200.0, held=flags))
    assert (found_K, n) == (pytest.approx(200.0 * 294 / 293), 293)


@pytest.mark.parametrize(
    ("kelvin", "said"),
    [
        (199.0, "start velocities are of 201 K, --temperature-K 300 is used for i-PI's thermometer "
                "and limits alone: give 201"),  # 4 sigma of 297 degrees of freedom are 98.5 K
        (220.0, None),
        (390.0, None),
        (396.0, "of 400 K"),
        (0.0, "of 0 K, .* leave --velocities out for random ones"),
    ],
)  # fmt: skip
def test_a_temperature_that_start_velocities_dont_have_is_said(kelvin, said):
    """Where nothing changes them: a thermostat makes them warm or cold."""
    found = kept_warnings(warm(kelvin), 300.0)
    assert len(found) == (said is not None)
    assert said is None or re.search(said, found[0])
    atoms = warm(kelvin)
    argon = Service("lennard-jones", "analytic")
    recipe = Recipe(PLAN, Ensemble("langevin"), 300.0, 1, argon)
    assert not any("start velocities" in line for line in preflight.check(recipe, atoms).warnings)
    cold = preflight.check(Recipe(PLAN, Ensemble(), 300.0, 1, argon), atoms).warnings
    assert any("start velocities" in line for line in cold) == (said is not None)


def test_random_start_velocities_have_the_temperature_that_is_asked_for():
    atoms = warm(0.0)
    del atoms.arrays["momenta"]
    assert kept_warnings(atoms, 300.0) == []
