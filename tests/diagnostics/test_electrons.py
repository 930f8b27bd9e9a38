"""Charge and spin of structures are said by whoever asks a model of them."""

import functools

import pytest
from ase import Atoms

import ncforce_ipi as nc
from ncforce_ipi.cli import main
from ncforce_ipi.diagnostics.survey import measure_asymmetry
from ncforce_ipi.inputs.leftout import left_out
from ncforce_ipi.reading.electrons import electrons_of
from ncforce_ipi.reading.images import read_images

ARGUMENTS = '{"sigma_A": 1, "epsilon_eV": 1, "cutoff_A": 3}'
MODEL = f"analytic --model lennard-jones --arguments '{ARGUMENTS}'"
SAID = "says charge=-1, multiplicity=2, which no model sees"


@pytest.fixture
def ion() -> Atoms:
    """Two atoms in a box of 25 A."""
    info = {"Charge": -1, "multiplicity": 2, "name": "x"}
    return Atoms("N2", [[0, 0, 0], [1.12, 0, 0]], cell=[25.0] * 3, pbc=True, info=info)


@pytest.mark.parametrize("verb", ["jacobian", "loop-work", "inspect-pair", "optimize"])
def test_every_command_that_asks_a_model_says_them_once(ion, tmp_path, monkeypatch, capsys, verb):
    monkeypatch.chdir(tmp_path)
    ion.write("ion.xyz", format="extxyz")
    assert main([verb, "ion.xyz", "--model", MODEL]) == 0
    assert capsys.readouterr().err.count(SAID) == 1


def test_the_optimised_structure_says_them_too(ion, tmp_path):
    """So that a run that starts from it is told as one that starts from the file."""
    ion.write(tmp_path / "ion.xyz", format="extxyz")
    words = ["optimize", str(tmp_path / "ion.xyz"), "--slow", MODEL]
    assert main([*words, "--forces", "slow", "--out", str(tmp_path / "out")]) == 0
    written = str(tmp_path / "out" / "optimized.xyz")
    (found,) = read_images(written)
    assert electrons_of(found.atoms) == electrons_of(ion)
    assert [line for line in left_out(found, None) if SAID in line]


def test_in_python_a_model_says_them_once(ion, caplog):
    with nc.load(MODEL) as model:
        found = [model.evaluate(ion).energy for _ in range(3)]
        assert caplog.text.count(f"the structure {SAID}") == 1
        ion.info.clear()
        assert model.evaluate(ion).energy == found[0]
        measure = functools.partial(measure_asymmetry, model.backend, kind="conservative")
        caplog.clear()
        measure([ion])
        assert not caplog.records
        ion.info["charge"] = 1
        measure([ion])
    assert "structure 0 says charge=1, which no model sees" in caplog.text
