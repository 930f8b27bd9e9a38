"""Our constants against ASE's, scipy's and i-PI's independent tables."""

import pytest

from ncforce_ipi import units


def test_constants_are_codata_2018():
    ase_units = pytest.importorskip("ase.units")
    table = ase_units.create_units("2018")
    assert pytest.approx(table["Bohr"], rel=1e-11) == units.BOHR_A  # derived there, tabulated here
    assert pytest.approx(table["Hartree"], rel=1e-11) == units.HARTREE_EV
    assert pytest.approx(table["kB"], rel=1e-11) == units.BOLTZMANN_EV_PER_K
    # ASE's unit of time is A sqrt(u / eV); 1 fs in it, squared, is what 1 u (A/fs)^2 is in eV
    assert pytest.approx(table["fs"] ** -2, rel=1e-9) == units.U_A2_PER_FS2_EV
    assert pytest.approx(1 / table["GPa"], rel=1e-11) == units.EV_PER_A3_GPA


def test_derived_constants_against_scipy():
    """scipy has CODATA 2022: the measured constants differ by less than 1e-9 from 2018's."""
    constants = pytest.importorskip("scipy.constants")
    value = constants.physical_constants
    time_fs = value["atomic unit of time"][0] * 1e15
    velocity = value["atomic unit of velocity"][0] * 1e10 * 1e-15
    force = value["atomic unit of force"][0] / constants.eV * 1e-10
    assert pytest.approx(time_fs, rel=1e-9) == units.ATOMIC_TIME_FS
    assert pytest.approx(velocity, rel=1e-9) == units.ATOMIC_VELOCITY_A_PER_FS
    assert pytest.approx(force, rel=1e-9) == units.HARTREE_PER_BOHR_EV_PER_A
    per_cm = constants.nu2lambda(1e15) * 100  # cm of wavelength at 1/fs
    assert pytest.approx(1 / per_cm, rel=1e-12) == units.PER_FS_PER_CM


@pytest.mark.parametrize(
    ("family", "unit", "ours", "difference"),
    [
        ("length", "angstrom", 1 / units.BOHR_A, -1.3e-8),
        ("time", "femtosecond", 1 / units.ATOMIC_TIME_FS, -0.8e-8),
        ("mass", "dalton", units.ATOMIC_MASS_KG / units.ELECTRON_MASS_KG, 0.8e-8),
        ("energy", "electronvolt", 1 / units.HARTREE_EV, 1.04e-7),
        ("force", "ev/ang", 1 / units.HARTREE_PER_BOHR_EV_PER_A, 1.0e-8),
        ("temperature", "kelvin", units.BOLTZMANN_EV_PER_K / units.HARTREE_EV, 1.148e-6),
    ],
)
def test_the_known_differences_of_ipis_table(family, unit, ours, difference):
    """What i-PI reads and prints in these units is off by that much, relatively; the wire is not.

    Tolerance: the last digit that is given here.
    """
    ipi_units = pytest.importorskip("ipi.utils.units")
    theirs = ipi_units.unit_to_internal(family, unit, 1.0)
    assert theirs / ours - 1 == pytest.approx(difference, abs=1e-9)
