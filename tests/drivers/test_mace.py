"""The MACE driver beside MACE's own calculator, and what importing mace must not leave behind."""

import os
import subprocess
import sys

import numpy as np
import pytest

from ncforce_ipi.backend import Structure, Wanted
from ncforce_ipi.drivers import loading
from ncforce_ipi.errors import InputError, ModelError
from tests.drivers import load
from tests.drivers.mace import make, words

pytest.importorskip("matscipy", reason="needs mace-torch")  # importing mace here would set UNSAFE
WANTED = Wanted(frozenset(["conservative"]))
UNSAFE = loading.UNSAFE


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    return tmp_path_factory.mktemp("mace")


def by_calculator(path, structure, **options):
    """Energy, forces and virial of MACECalculator, eV and A."""
    with loading.quiet(), pytest.MonkeyPatch.context() as patch:
        patch.setenv(UNSAFE, "1")
        from ase import Atoms
        from mace.calculators import MACECalculator

        atoms = Atoms(
            structure.numbers,
            structure.positions,
            cell=structure.cell,
            pbc=bool(structure.cell.any()),
            calculator=MACECalculator(model_paths=str(path), device="cpu", **options),
        )
        forces = atoms.get_forces()
        virial = np.full((3, 3), np.nan)
        if structure.cell.any():
            virial = -atoms.get_stress(voigt=False) * atoms.get_volume()
        return atoms.get_potential_energy(), forces, virial


def evaluate(backend, structure):
    return backend.evaluate(structure, WANTED)["conservative"]


# rounding of each type, of energies of 1e3 eV and forces of 10 eV/A
@pytest.mark.parametrize(("dtype", "atol"), [("float32", 2e-3), ("float64", 1e-11)])
def test_same_as_the_calculator(directory, water, dtype, atol):
    options = words(directory, dtype)
    found = evaluate(load("mace", *options), water)
    energy, forces, virial = by_calculator(options[1], water)
    assert found.energy == pytest.approx(energy, abs=atol)
    np.testing.assert_allclose(found.forces, forces, atol=atol)
    np.testing.assert_allclose(found.virial, virial, atol=10 * atol)  # times 10 A


def test_same_as_the_calculator_without_a_cell(directory, water):
    options = words(directory, "float64")
    molecules = Structure(water.numbers[:12], water.positions[:12], np.zeros((3, 3)))
    found = evaluate(load("mace", *options), molecules)
    energy, forces, _ = by_calculator(options[1], molecules)
    assert found.energy == pytest.approx(energy, abs=1e-11)
    np.testing.assert_allclose(found.forces, forces, atol=1e-11)


def test_another_type_than_the_file_has(directory, water):
    options = words(directory, "float32")
    backend = load("mace", *options, "--dtype", "float64")
    assert "float64" in backend.description
    _, forces, _ = by_calculator(options[1], water, default_dtype="float64")
    np.testing.assert_allclose(evaluate(backend, water).forces, forces, atol=1e-11)


def test_heads(directory, water):
    path = directory / "heads.model"
    make(path, "float64", heads=("pt_head", "Default"))
    common = ("--model", str(path), "--trust")
    for words_, name in [((), "Default"), (("--head", "pt_head"), "pt_head")]:
        found = evaluate(load("mace", *common, *words_), water)
        energy, forces, _ = by_calculator(path, water, head=name)
        assert found.energy == pytest.approx(energy, abs=1e-10)  # rounding of 1e3 eV
        np.testing.assert_allclose(found.forces, forces, atol=1e-11)
    energies = [
        evaluate(load("mace", *common, "--head", h), water).energy for h in ("pt_head", "default")
    ]
    assert abs(energies[0] - energies[1]) > 1.0  # their atomic energies differ by 3 eV
    with pytest.raises(ModelError, match="has no head dft; --head: pt_head, Default"):
        load("mace", *common, "--head", "dft")


def test_a_pickle_needs_trust(directory):
    with pytest.raises(InputError, match=r"is a pickle.*--trust"):
        load("mace", *words(directory, "float32")[:2])


def test_what_is_no_model(tmp_path):
    path = tmp_path / "not.model"
    path.write_bytes(b"not a zip file")
    with pytest.raises(ModelError, match="is no MACE model") as caught:
        load("mace", "--model", str(path), "--trust")
    assert "\n" not in str(caught.value)
    import torch

    torch.save({"state": 1}, path)
    with pytest.raises(ModelError, match="is a dict, not a MACE"):
        load("mace", "--model", str(path), "--trust")


def test_a_name_that_mace_does_not_know():
    with pytest.raises(InputError, match="neither a file nor one of MACE's names: small, medium"):
        load("mace", "--model", "gigantic", "--trust")


def test_a_name_without_a_network(tmp_path, monkeypatch):
    from mace.calculators import foundations_models

    def refuse(*_):
        raise OSError("no route to host")

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(foundations_models, "_urlretrieve_with_timeout", refuse)
    with pytest.raises(ModelError, match=r"'small' can't be downloaded: no route to host"):
        load("mace", "--model", "small", "--trust")


@pytest.mark.parametrize("before", [None, "0"])
def test_importing_mace_leaves_safe_loading_on(directory, before):
    """In a fresh process: a pickle that torch refuses before a MACE model is loaded, and after."""
    options = words(directory, "float32")
    program = f"""
import os, sys, torch
from pathlib import Path
from tests.drivers import load
load("mace", *{options!r})
assert "mace" in sys.modules
assert os.environ.get({UNSAFE!r}) == {before!r}, os.environ.get({UNSAFE!r})
torch.save(Path("x"), {str(directory / "pickle.pt")!r})
try:
    torch.load({str(directory / "pickle.pt")!r})
except Exception as err:
    sys.exit(0 if "Weights only load failed" in str(err) else str(err))
sys.exit("a pickle was run")
"""
    environment = {key: value for key, value in os.environ.items() if key != UNSAFE}
    environment |= {} if before is None else {UNSAFE: before}
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
