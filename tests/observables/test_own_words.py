"""What a trajectory says of itself counts before options and neighbours."""

import ase
import ase.io
import numpy as np
import pytest

from ncforce_ipi.cli import main
from ncforce_ipi.errors import InputError
from ncforce_ipi.observables.dataset import open_dataset
from ncforce_ipi.observables.options import Options
from ncforce_ipi.observables.source import Source
from ncforce_ipi.observables.velocities import kinetics

BOX = 'Lattice="9 0 0 0 9 0 0 0 9" Properties=species:S:1:pos:R:3'


def test_momenta_with_a_dictionary_of_units_give_the_temperature_of_ase(tmp_path):
    """As janus-core writes them; T against ASE's own with 3N - 3 degrees of freedom."""
    rng = np.random.default_rng(0)
    frames, expected_K = [], []
    for _ in range(20):
        atoms = ase.Atoms("Ar8", positions=9.0 * rng.random((8, 3)), cell=[9.0] * 3, pbc=True)
        momenta = rng.normal(size=(8, 3))
        atoms.set_momenta(momenta - momenta.mean(axis=0))
        atoms.info["units"] = {"energy": "eV", "forces": "ev/Ang", "momenta": "(eV*u)^0.5"}
        frames.append(atoms)
        expected_K.append(atoms.get_temperature() * 8 / 7)
    ase.io.write(tmp_path / "md.extxyz", frames)
    masses = {"Ar": float(frames[0].get_masses()[0])}
    (found,) = kinetics(open_dataset([tmp_path / "md.extxyz"], Options(masses_u=masses)))
    # eight decimals of momenta near 1, and ASE's units of CODATA 2014: 1e-6
    np.testing.assert_allclose(found.values_K["Ar"], expected_K, rtol=3e-6)


def test_times_in_the_file_give_the_step_and_do_not_bear_another(tmp_path):
    path = tmp_path / "md.extxyz"
    path.write_text("".join(f"1\n{BOX} step={k} time_fs={0.5 * k}\nO {k}.0 0.0 0.0\n"
                            for k in range(0, 100, 10)))  # fmt: skip
    replica = Source(path).trajectory("positions")
    assert replica.step_fs == pytest.approx(0.5)
    assert replica.frame_fs == pytest.approx(5.0)
    assert Source(path, Options(timestep_fs=0.5)).trajectory("positions").step_fs == 0.5
    with pytest.raises(InputError, match=r"says 0\.5 fs by its own times; leave the option out"):
        _ = Source(path, Options(timestep_fs=5.0)).trajectory("positions").step_fs


def test_one_atom_has_no_rdf(tmp_path, capsys):
    path = tmp_path / "one.xyz"
    path.write_text(f"1\n{BOX}\nAr 0 0 0\n")
    assert main(["rdf", str(path)]) == 2
    error = capsys.readouterr().err
    assert "has one atom; expected two or more" in error
    assert error.count("\n") == 1
