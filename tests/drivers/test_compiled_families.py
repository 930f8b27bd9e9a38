"""``--compile`` of model families: compiled forces are those of the model as it is, or it says so.

``make test-compiled`` and ``tests/families/run.sh fairchem`` run those that compile; ours are in
``test_compiled``.
"""

import shutil

import numpy as np
import pytest

from ncforce_ipi.backend import Structure
from ncforce_ipi.errors import InputError
from ncforce_ipi.serve import families
from tests.drivers import find_cases, is_missing, load
from tests.drivers.test_compiled import agree, steps

COMPILED = [
    pytest.param(case, id=case.label)
    for case in find_cases()
    if case.library
    and not is_missing(case.library)
    and case.family != "metatomic"
    and "compile" in families.find(case.family).options()
]


def box(case):
    """A cell of its own for each case: one in which no network runs out of neighbours."""
    return np.diag([20.0, 20.0, 20.0]) if case.limits.truncates else 8.0 * np.eye(3)


@pytest.mark.slow
@pytest.mark.timeout(3600)  # a minute or two of compilation, on a machine that may be busy
@pytest.mark.skipif(not (shutil.which("c++") or shutil.which("g++")), reason="needs a C++ compiler")
@pytest.mark.parametrize("case", COMPILED)
def test_a_compiled_model_of_a_family(case, tmp_path_factory, water, caplog):
    directory, dtype = tmp_path_factory.getbasetemp(), case.dtypes[-1]
    words = case.words(directory, dtype)
    plain, backend = load(case.family, *words), load(case.family, *words, "--compile")
    assert backend.description.endswith("compiled)")
    for n in (12, 9):
        few = Structure(water.numbers[:n], water.positions[:n], box(case))
        for each in steps(few, 4):
            agree(
                backend.evaluate(each, case.everything),
                plain.evaluate(each, case.everything),
                dtype,
            )
    pair = [Structure(water.numbers[:6], water.positions[:6], box(case))] * 2
    both = backend.evaluate_batch(pair, case.everything)
    for found in both:
        agree(found, plain.evaluate(pair[0], case.everything), dtype)
    assert backend.why_not == ""
    assert not [record for record in caplog.records if "is not compiled" in record.getMessage()]


def as_it_is(function, **_):
    return function


class WithoutCompiler:
    """What a library gets for its function or module where the compiler will fail."""

    def __init__(self, function, **_):
        self._function = function

    def __getattr__(self, name):
        return getattr(self._function, name)

    def __call__(self, *_, **__):
        raise RuntimeError("no C++ compiler found\n\nSet TORCHDYNAMO_VERBOSE=1 for more\n")


@pytest.mark.parametrize(
    ("compiler", "why"),
    [(as_it_is, "its library compiled nothing"), (WithoutCompiler, "no C++ compiler found")],
    ids=["nothing", "no-compiler"],
)
@pytest.mark.parametrize("case", COMPILED)
def test_a_model_that_is_not_compiled_says_so(
    case, compiler, why, tmp_path_factory, water, caplog, monkeypatch
):
    """With what the library makes of the model for its compiler, only not compiled."""
    words = case.words(tmp_path_factory.getbasetemp(), case.dtypes[-1])
    plain = load(case.family, *words)
    monkeypatch.setattr("torch.compile", compiler)
    backend = load(case.family, *words, "--compile")
    few = Structure(water.numbers[:6], water.positions[:6], box(case))
    for each in steps(few, 2):
        found = backend.evaluate(each, case.everything)
        for kind, expected in plain.evaluate(each, case.everything).items():
            np.testing.assert_array_equal(found[kind].forces, expected.forces)
    (line,) = [r.getMessage() for r in caplog.records if "is not compiled: " in r.getMessage()]
    assert line == f"{plain.description} is not compiled: {why}; slower, but right"


@pytest.mark.parametrize("family", ["sevennet", "equiformer", "ase", "analytic"])
def test_a_family_that_has_nothing_to_compile_says_so(family):
    with pytest.raises(InputError, match=f"^{family} has no option --compile; it has --model, "):
        load(family, "--model", "none", "--compile")


def test_fairchem_takes_one_way_to_say_it(tmp_path):
    pytest.importorskip("fairchem.core.units.mlip_unit")
    from tests.drivers.fairchem import words

    both = (*words("direct", tmp_path, "float32"), "--compile", "--inference", "high-precision")
    with pytest.raises(InputError, match="--compile and --inference are two settings"):
        load("fairchem", *both)


def test_mace_compiles_what_it_can_build_anew():
    torch = pytest.importorskip("torch")
    pytest.importorskip("mace")
    from ncforce_ipi.drivers import mace

    with pytest.raises(TypeError, match="a ScaleShiftMACE, this is a Linear"):
        mace._for_compiler(torch.nn.Linear(1, 1))
