"""When a run starts from the velocities that ship with its system, and what these are."""

import argparse

import ase.units
import numpy as np
import pytest

from ncforce_ipi.cli import run
from ncforce_ipi.inputs.structure import read_structure
from ncforce_ipi.inputs.systems import SYSTEMS
from ncforce_ipi.inputs.templates import shipped_file


def job(*words):
    """What this command line asks for."""
    parser = argparse.ArgumentParser()
    run.add_arguments(parser)
    args = parser.parse_args([*words, "--out", "x", "--time-ps", "1", "--forces", "slow"])
    return run.job_of(args)


def velocities(*words):
    """Name of the file with which this command line starts; None for random velocities."""
    return job(*words).velocities


@pytest.mark.parametrize(
    "words",
    [(), ("--temperature-K", "300"), ("--ensemble", "svr"), ("--beads", "1")],
)
def test_nothing_else_was_asked(words, caplog):
    caplog.set_level("INFO")
    assert velocities("water", *words) == str(shipped_file("water_velocities.xyz"))
    (message,) = caplog.messages
    assert message == (
        "starts from the equilibrated velocities of water (300 K); --seed N for random ones"
    )


@pytest.mark.parametrize(
    "words",
    [
        ("water", "--seed", "1"),
        ("water", "--temperature-K", "301"),
        ("water", "--beads", "4"),
        ("water", "--model", "other.pt"),
        ("water", "--slow", "other.pt"),
        ("water", "--structure", "other.xyz"),
        ("graphene",),
        ("--model", "water", "--structure", "water"),
    ],
)
def test_random_ones_otherwise(words, caplog):
    caplog.set_level("INFO")
    assert velocities(*words) is None
    assert caplog.messages == []


def test_a_users_own_velocities_stay():
    assert velocities("water", "--velocities", "/mine.xyz") == "/mine.xyz"


@pytest.mark.parametrize(
    ("words", "barostat"),
    [
        (("graphene",), "in-plane"),
        (("water",), "isotropic"),
        (("--model", "carbon", "--structure", "graphene"), "in-plane"),
        (("graphene", "--structure", "diamond.xyz"), None),  # isotropic
        (("graphene", "--structure", "amorphous-carbon"), "isotropic"),
        (("graphene", "--structure", "diamond.xyz", "--barostat", "flexible"), "flexible"),
    ],
)
def test_the_barostat_is_that_of_the_structure(words, barostat):
    """Not that of the system whose model is taken: in-plane holds the height of a crystal."""
    assert job(*words, "--ensemble", "npt").recipe.ensemble.barostat == barostat


@pytest.mark.parametrize("name", [name for name, it in SYSTEMS.items() if it.velocities])
def test_they_fit_the_structure(name):
    """Same atoms, at rest as a whole, near the temperature: a frame isn't the mean of a run."""
    system = SYSTEMS[name]
    atoms = read_structure(name, str(shipped_file(system.velocities)))
    # eight decimals of each momentum, sqrt(u eV)
    np.testing.assert_allclose(atoms.get_momenta().sum(axis=0), 0.0, atol=len(atoms) * 1e-8)
    kinetic_K = 2 * atoms.get_kinetic_energy() / ((3 * len(atoms) - 3) * ase.units.kB)
    # 6 % is one standard deviation of a canonical frame of 192 atoms
    assert kinetic_K == pytest.approx(system.temperature_K, rel=2 * np.sqrt(2 / (3 * len(atoms))))
