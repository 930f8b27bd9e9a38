"""What runs on a GPU: the shipped models against the same on the CPU, a run, products, training.

Skipped where torch finds no GPU; ``python -m pytest tests/test_gpu.py`` on a node that has one.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from ncforce_ipi import cli
from ncforce_ipi.backend import Structure, Wanted
from ncforce_ipi.errors import ModelError
from ncforce_ipi.inputs.systems import SYSTEMS
from ncforce_ipi.models import model_path

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
INPUTS = Path(__file__).parent.parent / "xml_inputs"
BOTH = Wanted(frozenset({"conservative", "direct"}), direct_energy=True, direct_virial=True)


def start_of(system: str) -> Structure:
    from ase.io import read

    atoms = read(INPUTS / SYSTEMS[system].structure)
    return Structure(atoms.numbers.astype(np.int32), atoms.positions, atoms.cell.array)


@pytest.mark.parametrize("device", ["cuda", "cuda:0"])
@pytest.mark.parametrize("system", ["water", "graphene", "aluminium"])
def test_shipped_models_say_the_same_as_on_the_cpu(system, device):
    from ncforce_ipi.drivers import metatomic

    structure, path = start_of(system), model_path(SYSTEMS[system].model)
    here = metatomic.open_model(path, device=device)
    expected = metatomic.open_model(path, device="cpu").evaluate(structure, BOTH)
    for _ in range(4):  # TorchScript compiles kernels in the first calls
        found = here.evaluate(structure, BOTH)
    assert device in here.description
    n = len(structure.positions)
    for kind in ("conservative", "direct"):
        # single precision, other order of sums: 1e-6 of forces of a few eV/A
        scale = np.abs(expected[kind].forces).max() + 1.0
        np.testing.assert_allclose(
            found[kind].forces, expected[kind].forces, rtol=0, atol=2e-5 * scale
        )
        np.testing.assert_allclose(found[kind].energy, expected[kind].energy, atol=1e-5 * n)
        np.testing.assert_allclose(
            found[kind].virial, expected[kind].virial, rtol=0, atol=2e-5 * scale * n
        )


def test_a_gpu_that_is_not_there_is_one_line():
    from ncforce_ipi.drivers import metatomic

    name = f"cuda:{torch.cuda.device_count()}"
    with pytest.raises(ModelError, match=f"device {name} .*this machine has cpu, cuda"):
        metatomic.open_model(model_path("water"), device=name)


@pytest.mark.e2e
@pytest.mark.timeout(300)
def test_an_mts_run_on_the_gpu_conserves_and_its_driver_says_where(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ["run", "water", "--mts", "4", "--time-ps", "0.2", "--device", "cuda:0", "--out", "gpu"]
    assert cli.main(words) == 0
    table = np.loadtxt(tmp_path / "gpu" / "simulation.out")
    assert len(table) > 20
    reports = [json.loads(p.read_text()) for p in (tmp_path / "gpu").glob("**/*-report.json")]
    assert any("cuda:0" in json.dumps(report) for report in reports)
    assert cli.main(["analyze", "gpu"]) == 0


def test_jacobian_products_agree_with_those_of_the_cpu():
    from ncforce_ipi.drivers import metatomic

    structure = start_of("water")
    vectors = np.random.default_rng(0).normal(size=(3, len(structure.positions), 3))
    found = []
    for device in ("cpu", "cuda"):
        backend = metatomic.open_model(model_path("water"), device=device)
        backend.to_float64()
        products = backend.jacobian_products(structure, "direct")
        found.append((products.forward(vectors), products.backward(vectors)))
    for cpu, gpu in zip(*found, strict=True):
        np.testing.assert_allclose(gpu, cpu, rtol=0, atol=1e-9 * np.abs(cpu).max())


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
@pytest.mark.parametrize("coupled", [False, True], ids=["plain", "coupled"])
def test_the_captured_training_step_is_the_step_of_the_cpu(compiled, coupled):
    from ncforce_ipi.training.dataset import Packer, energy_shifts, to_frame
    from ncforce_ipi.training.device import captured
    from ncforce_ipi.training.hybrid import HybridNet
    from ncforce_ipi.training.objective import TERMS, BothHeads, make_step

    from .training.conftest import CUTOFF_A, labelled_water

    frames = [to_frame(labelled_water(seed), CUTOFF_A) for seed in range(4)]
    torch.manual_seed(0)
    net = HybridNet([1, 8], CUTOFF_A, 8, 2, 8, 8, tensor_channels=4, coupled=coupled)
    pack = Packer(
        2,
        2 * len(frames[0]),
        2 * max(len(f.first) for f in frames) + 40,
        CUTOFF_A,
        energy_shifts(frames, [1, 8]),
        net.species_index.clone(),
    )
    batches = [pack.pack(frames[:2]), pack.pack(frames[2:])]
    weights = torch.ones(len(TERMS))
    eager = make_step(net, "scratch", batches[0], compiled=False)
    values = [p.detach() for p in BothHeads(net).parameters()]
    expected = [eager(values, batch, weights) for batch in batches]
    device = torch.device("cuda")
    net = net.to(device)
    there = [batch.to(device) for batch in batches]
    step = make_step(net, "scratch", there[0], compiled=compiled)
    values = [p.detach() for p in BothHeads(net).parameters()]
    step = captured(step, values, there[0], weights.to(device))
    for batch, (gradients, loss, terms) in zip(there, expected, strict=True):
        found, found_loss, found_terms = step(values, batch, weights.to(device))
        torch.testing.assert_close(found_loss.cpu(), loss, rtol=1e-4, atol=0)
        torch.testing.assert_close(found_terms.cpu(), terms, rtol=1e-4, atol=1e-7)
        size = max(float(g.abs().max()) for g in gradients)
        for a, b in zip(found, gradients, strict=True):
            torch.testing.assert_close(a.cpu(), b, rtol=0, atol=1e-4 * size)


@pytest.mark.parametrize("way", ["fused", "unfused", "compiled"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("system", ["water", "graphene", "aluminium"])
def test_captured_graphs_are_the_model(system, dtype, way):
    from ncforce_ipi.drivers import metatomic, metatomic_compiled
    from ncforce_ipi.drivers.metatomic_captured import CapturedBackend
    from ncforce_ipi.drivers.metatomic_graphs import How, cuda_capture

    structure, path = start_of(system), model_path(SYSTEMS[system].model)
    exact = metatomic.load(str(path), device="cpu", dtype="float64")
    through = metatomic.load(str(path), device="cuda", dtype=dtype, capture=False)
    how = How(cuda_capture("cuda", fused=way == "fused"))
    how = metatomic_compiled.how("cuda") if way == "compiled" else how
    backend = CapturedBackend(through, how)
    random = np.random.default_rng(0)
    for step in range(6):
        for kinds in ({"direct"}, {"conservative"}, {"conservative", "direct"}):
            wanted = Wanted(frozenset(kinds), "direct" in kinds, "direct" in kinds)
            found = backend.evaluate(structure, wanted)
            assert backend.why_not == ""
            expected = exact.evaluate(structure, wanted)
            n = len(structure.positions)
            for kind in kinds:
                scale = np.abs(expected[kind].forces).max() + 1.0
                # sums in another order, and in single precision 1e-6 of some eV/A, as above
                size = 2e-5 if dtype == "float32" else 1e-11
                for name, most in (("forces", 1.0), ("energy", n), ("virial", n)):
                    np.testing.assert_allclose(
                        getattr(found[kind], name), getattr(expected[kind], name),
                        rtol=0, atol=size * scale * most,
                    )  # fmt: skip
        move = 0.02 * random.normal(size=structure.positions.shape)
        move += 0.6 if step == 2 else 0.0  # of all atoms, farther than the skin allows
        structure = Structure(structure.numbers, structure.positions + move, structure.cell)


def test_what_comes_again_and_again_is_captured():
    from ncforce_ipi.drivers import metatomic

    backend, structure = metatomic.load("water", device="cuda"), start_of("water")
    exact = metatomic.load("water", device="cpu").evaluate(structure, BOTH)
    for _ in range(metatomic.CALLS_THAT_PAY):
        backend.evaluate(structure, BOTH)
    assert not backend._buckets
    found = backend.evaluate(structure, BOTH)
    assert backend._buckets
    assert backend.why_not == ""
    for kind in ("conservative", "direct"):  # single precision, as above
        np.testing.assert_allclose(found[kind].forces, exact[kind].forces, rtol=0, atol=2e-4)


def test_a_captured_batch_is_each_alone():
    from ncforce_ipi.drivers import metatomic

    backend = metatomic.load("water", device="cuda", capture=True)
    structure, random = start_of("water"), np.random.default_rng(0)
    structures = [
        Structure(structure.numbers, structure.positions + move, structure.cell)
        for move in 0.02 * random.normal(size=(5, *structure.positions.shape))
    ]
    together = backend.evaluate_batch(structures, BOTH)
    for one, found in zip(structures, together, strict=True):
        alone = backend.evaluate(one, BOTH)
        for kind in ("conservative", "direct"):
            # single precision, as above
            np.testing.assert_allclose(found[kind].forces, alone[kind].forces, rtol=0, atol=2e-4)
            assert found[kind].energy == pytest.approx(alone[kind].energy, abs=1e-3)
    assert backend.why_not == ""


@pytest.mark.e2e
@pytest.mark.timeout(300)
def test_an_mts_run_by_captured_graphs_conserves(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ["run", "water", "--mts", "4", "--time-ps", "0.2", "--device", "cuda:0", "--out", "gpu"]
    assert cli.main([*words, "--driver-options=--capture"]) == 0
    assert len(np.loadtxt(tmp_path / "gpu" / "simulation.out")) > 20
    reports = [json.loads(p.read_text()) for p in (tmp_path / "gpu").glob("**/*-report.json")]
    assert any("captured" in json.dumps(report) for report in reports)


def test_what_can_not_be_captured_goes_through_metatomic(caplog):
    """Last in this file: a capture that fails must not spoil what comes after it, but might."""
    from ncforce_ipi.drivers import metatomic
    from ncforce_ipi.drivers.metatomic_captured import CapturedBackend
    from ncforce_ipi.drivers.metatomic_graphs import How, cuda_capture

    through = metatomic.load("water", device="cuda", capture=False)
    graphs = cuda_capture("cuda")
    counted = iter(range(100))

    def waits(function, arrays):
        def reads(inside):
            return function(inside) * float(function(inside)[0] > next(counted))  # a value, read

        return graphs(reads, arrays)

    backend = CapturedBackend(through, How(waits))
    structure = start_of("water")
    found = backend.evaluate(structure, BOTH)["direct"].forces
    assert "is not captured: " in caplog.text
    expected = through.evaluate(structure, BOTH)["direct"].forces
    # the same calls; on a GPU sums have no fixed order
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-4)
