"""``--compile``: compiled forces are those of the model as it is, call after call.

The gate itself is tested in ``test_gate`` and, for arrays of fixed sizes, in ``test_captured``.
"""

import contextlib
import shutil
from dataclasses import replace

import numpy as np
import pytest

from ncforce_ipi.backend import Structure, Wanted
from ncforce_ipi.drivers.gate import disagreement
from ncforce_ipi.errors import ModelError
from tests.drivers import load

pytestmark = pytest.mark.skipif(
    not (shutil.which("c++") or shutil.which("g++")), reason="needs a C++ compiler"
)
SLOW = pytest.mark.timeout(1800)  # half a minute of compilation, on a machine that may be busy


def steps(structure, n):
    """The structure and some that follow it, whose numbers of pairs differ."""
    random = np.random.default_rng(7)
    found = [structure]
    for _ in range(n - 1):
        move = 0.1 * random.normal(size=structure.positions.shape)
        found.append(replace(structure, positions=found[-1].positions + move))
    return found


def agree(found, expected, dtype):
    for kind, each in expected.items():
        assert disagreement(found[kind], each, dtype) == ""


@pytest.fixture
def torch():
    pytest.importorskip("metatomic.torch")
    return pytest.importorskip("torch")


@SLOW
@pytest.mark.parametrize(
    ("dtype", "kinds"),
    [
        ("float32", ["direct"]),
        pytest.param("float32", ["conservative", "direct"], marks=pytest.mark.slow),
        pytest.param("float64", ["conservative", "direct"], marks=pytest.mark.slow),
    ],
    ids=["direct", "joint-float32", "joint-float64"],
)
def test_a_compiled_network_of_ours(torch, random_model, water, dtype, kinds):
    words = ("metatomic", "--model", str(random_model(dtype)))
    plain, backend = load(*words), load(*words, "--compile")
    assert backend.description.endswith("compiled)")
    wanted = Wanted(frozenset(kinds), direct_energy=True, direct_virial=True)
    few = Structure(water.numbers[:48], water.positions[:48], water.cell)
    for each in steps(few, 4):
        agree(backend.evaluate(each, wanted), plain.evaluate(each, wanted), dtype)
    assert backend.why_not == ""


@pytest.fixture
def no_compiler(torch):
    """Put back by torch itself: an attribute that pytest puts back is hidden from then on."""
    from torch._inductor import config

    with config.patch({"cpp.cxx": ("/nowhere/c++",), "force_disable_caches": True}):
        yield
    assert not config.force_disable_caches


def test_without_a_compiler_the_model_is_as_it_is(torch, random_model, water, no_compiler, caplog):
    path = str(random_model("float32"))
    words = ("metatomic", "--model", path)
    plain, backend = load(*words), load(*words, "--compile")
    wanted = Wanted(frozenset(["direct"]))
    few = Structure(water.numbers[:6], water.positions[:6], water.cell)
    for each in steps(few, 2):
        found = backend.evaluate(each, wanted)["direct"].forces
        np.testing.assert_array_equal(found, plain.evaluate(each, wanted)["direct"].forces)
    (line,) = [r.getMessage() for r in caplog.records if "is not compiled: " in r.getMessage()]
    assert "\n" not in line
    assert line.endswith("; slower, but right")
    assert "TORCHDYNAMO" not in line


def test_what_does_not_go_together_is_refused(torch, random_model, tmp_path):
    from tests.drivers.test_metatomic import save

    with pytest.raises(ModelError, match=r"can't be compiled: only networks of .*--compile"):
        load("metatomic", "--model", str(save(tmp_path, "energy")), "--compile")


def test_on_a_gpu_compiled_code_is_captured(torch, random_model, monkeypatch, caplog):
    from ncforce_ipi.drivers import metatomic, metatomic_compiled

    order = []
    monkeypatch.setattr(torch.cuda, "graph_pool_handle", lambda: "pool")
    monkeypatch.setattr(torch.cuda, "device", lambda name: contextlib.nullcontext())
    monkeypatch.setattr(
        metatomic_compiled, "compiled", lambda *both: order.append(both) or "compiled code"
    )
    monkeypatch.setattr(
        metatomic_compiled, "graph_of", lambda *both: order.append(both) or "its graph"
    )
    eager = metatomic.load(str(random_model("float32")), device="cpu")
    eager._device = "cuda:0"
    backend = metatomic.faster(eager, capture=True, compile=True)
    assert backend.description.endswith("compiled and captured)")
    assert backend._how.capture("function", "arrays") == "its graph"
    assert order == [("function", "arrays"), ("compiled code", "pool")]
    backend._give_up("there is no C compiler")
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.endswith(
        "(metatomic, cpu, float32) is not compiled and captured: there is no C compiler; "
        "right, but far slower than by --capture, which needs no compiler"
    )
