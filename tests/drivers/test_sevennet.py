"""What is particular to SevenNet: its own calculator as reference, fidelities, pickles."""

import shutil

import numpy as np
import pytest

pytest.importorskip("sevenn")
from ase import Atoms
from ase.build import bulk

from ncforce_ipi.backend import Structure, Wanted
from ncforce_ipi.errors import InputError, ModelError
from tests.drivers import load

WANTED = Wanted(frozenset(["conservative"]))


def sheared(atoms):
    """Off its minima, in a cell without symmetry: all six stresses differ."""
    atoms.rattle(0.05, seed=1)
    atoms.set_cell(atoms.cell.array + 0.05 * np.arange(9).reshape(3, 3), scale_atoms=True)
    return atoms


def water():
    positions = [[0, 0, 0], [0.97, 0.1, 0], [-0.25, 0.9, 0.1]]
    return Atoms("OHH", positions, cell=[3.2, 3.1, 3.0], pbc=True)


@pytest.mark.parametrize(("name", "modal"), [("7net-0", None), ("7net-mf-0", "PBE")])
@pytest.mark.parametrize("atoms", [bulk("Al", cubic=True), water()], ids=["Al", "water"])
@pytest.mark.filterwarnings("ignore")  # SevenNet's own, of accelerators that aren't there
def test_the_calculator_of_sevennet_gives_the_same(name, modal, atoms):
    from sevenn.calculator import SevenNetCalculator

    atoms = sheared(atoms.copy())
    atoms.calc = SevenNetCalculator(name, modal=modal, device="cpu")
    backend = load("sevennet", "--model", name, *(["--modal", modal] if modal else []))
    structure = Structure(atoms.numbers.astype(np.int32), atoms.positions, atoms.cell.array)
    result = backend.evaluate(structure, WANTED)["conservative"]
    # float32 at both sides: 1e-6 of forces and stress terms of some 10 eV
    np.testing.assert_allclose(result.forces, atoms.get_forces(), rtol=0, atol=1e-5)
    assert result.energy == pytest.approx(atoms.get_potential_energy(), abs=1e-5)
    virial = -atoms.get_stress(voigt=False) * atoms.get_volume()
    np.testing.assert_allclose(result.virial, virial, rtol=0, atol=1e-4)


def test_float64_is_the_same_model():
    atoms = sheared(bulk("Al", cubic=True))
    structure = Structure(atoms.numbers.astype(np.int32), atoms.positions, atoms.cell.array)
    results = [
        load("sevennet", "--model", "7net-0", "--dtype", dtype).evaluate(structure, WANTED)
        for dtype in ("float32", "float64")
    ]
    single, double = (result["conservative"] for result in results)
    np.testing.assert_allclose(single.forces, double.forces, rtol=0, atol=1e-4)  # of float32
    assert not np.array_equal(single.forces, double.forces)


def test_a_file_needs_trust(tmp_path):
    named = load("sevennet", "--model", "7net-0")
    path = tmp_path / "checkpoint.pth"
    shutil.copy(named.source, path)
    with pytest.raises(InputError, match=r"checkpoint\.pth is a pickle.*add --trust"):
        load("sevennet", "--model", str(path))
    backend = load("sevennet", "--model", str(path), "--trust")
    assert backend.source == path
    assert backend.species == named.species


def test_a_name_that_would_be_downloaded_needs_trust():
    with pytest.raises(InputError, match="7net-omni is a pickle"):
        load("sevennet", "--model", "7net-omni")


def test_what_is_no_checkpoint(tmp_path):
    path = tmp_path / "x.pth"
    path.write_bytes(b"nothing")
    with pytest.raises(ModelError, match="can't be loaded by SevenNet") as caught:
        load("sevennet", "--model", str(path), "--trust")
    assert "\n" not in str(caught.value)
    with pytest.raises(ModelError, match="expected a checkpoint file or a name like 7net-0"):
        load("sevennet", "--model", "8net-0", "--trust")


@pytest.mark.parametrize(
    ("words", "match"),
    [
        (("7net-mf-0",), "--modal: 7net-mf-0 has .*PBE.*, got none"),
        (("7net-mf-0", "--modal", "x"), "--modal: 7net-mf-0 has .*, got x"),
        (("7net-0", "--modal", "PBE"), "--modal: 7net-0 has none, got PBE"),
    ],
)
def test_fidelities(words, match):
    with pytest.raises(InputError, match=match):
        load("sevennet", "--model", *words)
