"""Masses that a trajectory has in a column of its own, as ASE's dynamics writes it."""

import ase.io
import numpy as np
import pytest
from ase import Atoms, units

from ncforce_ipi.errors import InputError
from ncforce_ipi.observables import temperature
from ncforce_ipi.observables.dataset import open_dataset
from ncforce_ipi.observables.options import Options


@pytest.fixture
def path(tmp_path):
    """Atoms of 20 u at 300 K, whose momenta are in the file."""
    random, frames = np.random.default_rng(0), []
    for step in range(400):
        atoms = Atoms("Ar8", random.random((8, 3)) * 10, cell=[10] * 3, pbc=True)
        atoms.set_masses([20.0] * 8)
        momenta = random.normal(size=(8, 3)) * np.sqrt(20.0 * units.kB * 300.0)
        atoms.set_momenta(momenta - momenta.mean(axis=0))
        atoms.info["step"] = step
        frames.append(atoms)
    ase.io.write(tmp_path / "md.extxyz", frames)
    return tmp_path / "md.extxyz"


def kelvin(path, **options):
    (found,) = temperature.measure(open_dataset([path], Options(**options))).means.values()
    return found


def test_momenta_are_divided_by_the_masses_beside_them(path):
    found = kelvin(path)
    assert abs(found.value - 300.0) < 4 * 300.0 * np.sqrt(2 / (21 * 400))  # four standard errors
    assert kelvin(path, masses_u={"Ar": 20.001}).value == found.value  # of another table


def test_other_masses_are_refused(path):
    with pytest.raises(InputError, match=r"--masses-u, but .* other masses in a column of its own"):
        kelvin(path, masses_u={"Ar": 39.948})


def test_a_mass_that_is_none_is_refused(path):
    path.write_text(path.read_text().replace(" 20.00000000 ", " 0.0 "))
    with pytest.raises(InputError, match="a mass in its first frame is 0 u"):
        kelvin(path)


def test_other_isotopes_are_no_replicas(path, tmp_path):
    """Weighed with the masses of the first, velocities of the others have any temperature."""
    frames = ase.io.read(path, ":")
    for frame in frames:  # the same velocities: twice the temperature
        velocities = frame.get_velocities()
        frame.set_masses([40.0] * 8)
        frame.set_velocities(velocities)
    heavy = tmp_path / "heavy.extxyz"
    ase.io.write(heavy, frames)
    assert kelvin(heavy).value == pytest.approx(2 * kelvin(path).value, rel=1e-6)  # 8 digits
    message = r"heavy.extxyz: Ar \(atom 0 from 0\) has 40 u, and 20 u in .*md.extxyz"
    for quantity in ("velocities", "positions"):
        with pytest.raises(InputError, match=message):
            open_dataset([path, heavy]).replicas(quantity)
    assert len(open_dataset([path, path]).replicas("velocities")) == 2
