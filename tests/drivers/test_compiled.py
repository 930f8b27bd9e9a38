"""``--compile``: compiled forces are those of the model as it is, call after call.

The gate itself is tested in ``test_gate`` and, for arrays of fixed sizes, in ``test_captured``.
"""

import shutil
from dataclasses import replace

import numpy as np
import pytest

from ncforce_ipi.backend import Structure, Wanted
from ncforce_ipi.drivers.gate import disagreement
from ncforce_ipi.errors import InputError, ModelError
from ncforce_ipi.serve import families
from tests.drivers import find_cases, is_missing, load

pytestmark = pytest.mark.skipif(
    not (shutil.which("c++") or shutil.which("g++")), reason="needs a C++ compiler"
)
SLOW = pytest.mark.timeout(1800)  # half a minute of compilation, on a machine that may be busy
COMPILED = [
    pytest.param(case, id=case.label)
    for case in find_cases()
    if case.library
    and not is_missing(case.library)
    and case.family != "metatomic"
    and "compile" in families.find(case.family).options()
]


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


@SLOW
@pytest.mark.parametrize("case", COMPILED)
def test_a_compiled_model_of_a_family(case, tmp_path_factory, water, caplog):
    directory, dtype = tmp_path_factory.getbasetemp(), case.dtypes[-1]
    words = case.words(directory, dtype)
    plain, backend = load(case.family, *words), load(case.family, *words, "--compile")
    assert backend.description.endswith("compiled)")
    cell = np.diag([20.0, 20.0, 20.0]) if case.limits.truncates else 8.0 * np.eye(3)
    for n in (12, 9):
        few = Structure(water.numbers[:n], water.positions[:n], cell)
        for each in steps(few, 4):
            agree(
                backend.evaluate(each, case.everything),
                plain.evaluate(each, case.everything),
                dtype,
            )
    pair = [Structure(water.numbers[:6], water.positions[:6], cell)] * 2
    both = backend.evaluate_batch(pair, case.everything)
    for found in both:
        agree(found, plain.evaluate(pair[0], case.everything), dtype)
    assert backend.why_not == ""
    assert not [record for record in caplog.records if "is not compiled" in record.getMessage()]


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


def test_without_a_compiler_the_model_is_as_it_is(torch, random_model, water, monkeypatch, caplog):
    from torch._inductor import config

    monkeypatch.setattr(config.cpp, "cxx", ("/nowhere/c++",))
    monkeypatch.setattr(config, "force_disable_caches", True)
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


def test_what_does_not_go_together_is_refused(torch, random_model, tmp_path):
    from ncforce_ipi.drivers import metatomic
    from tests.drivers.test_metatomic import save

    with pytest.raises(ModelError, match=r"can't be compiled: only networks of .*--compile"):
        load("metatomic", "--model", str(save(tmp_path, "energy")), "--compile")
    on_gpu = metatomic.load(str(random_model("float32")), device="cpu")
    on_gpu._device = "cuda:0"
    with pytest.raises(ModelError, match="--compile is for a CPU; use --capture instead"):
        metatomic.faster(on_gpu, capture=False, compile=True)


def test_fairchem_takes_one_way_to_say_it(tmp_path):
    pytest.importorskip("fairchem.core.units.mlip_unit")
    from functools import partial

    from tests.drivers.fairchem import words

    both = partial(load, "fairchem", *words("direct", tmp_path, "float32"))
    with pytest.raises(InputError, match="--compile and --inference are two settings"):
        both("--compile", "--inference", "high-precision")
