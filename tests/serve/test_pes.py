"""Our forces as a potential of i-PI's Python interface: parameters, sharing, units."""

import numpy as np
import pytest

from ncforce_ipi.backend import Backend, Evaluation
from ncforce_ipi.drivers import metatomic
from ncforce_ipi.errors import InputError, ModelError
from ncforce_ipi.serve import pes
from ncforce_ipi.serve.evaluator import Serving
from tests.conftest import WATER_XYZ
from tests.ipi_server import BOHR_A, HARTREE_EV

POSITIONS = np.random.default_rng(0).normal(size=(192, 3)) * 5.0  # Bohr
CELL = np.array([[20.0, 1.0, 0.5], [0.0, 19.0, 0.0], [0.0, 0.0, 18.0]])  # Bohr, columns
CLOSE = {"rtol": 1e-13, "atol": 1e-13}  # two conversions of units


class Springs(Backend):
    kinds = stress = frozenset(["conservative", "direct"])
    species = frozenset([1, 8])
    description = "springs"

    def __init__(self):
        self.calls = []

    def evaluate(self, structure, wanted):
        self.calls.append(wanted.kinds)
        self.cell = structure.cell
        r = structure.positions
        every = {
            "conservative": Evaluation(2.0, -r, np.arange(9.0).reshape(3, 3)),
            "direct": Evaluation(np.nan, 1.0 - r, np.full((3, 3), np.nan)),
        }
        return {kind: every[kind] for kind in wanted.kinds}


@pytest.fixture
def made(monkeypatch, tmp_path):
    """Backends that were loaded; parameters of a block, with a file as model."""
    loaded = []

    def load(model, *, device=None, dtype=None, threads=1, trust=False, variant: str = ""):
        loaded.append(Springs())
        return loaded[-1]

    monkeypatch.setattr(metatomic, "load", load)
    monkeypatch.setattr(pes, "_SHARED", {})
    model = tmp_path / "model.pt"
    model.write_bytes(b"weights")
    return loaded, {"template": str(WATER_XYZ), "model": str(model), "verbosity": True}


def test_two_blocks_share_a_model_and_its_calls(made):
    loaded, parameters = made
    slow, fast = (pes.Pes(**parameters, role=role) for role in ("slow", "fast"))
    (backend,) = loaded
    energy, forces, virial, extras = slow(CELL, POSITIONS)
    np.testing.assert_allclose(forces, -POSITIONS * BOHR_A / HARTREE_EV * BOHR_A, **CLOSE)
    np.testing.assert_allclose(virial, np.arange(9.0).reshape(3, 3).T / HARTREE_EV, **CLOSE)
    assert energy == pytest.approx(2.0 / HARTREE_EV, rel=1e-13)  # as CLOSE
    assert extras == ""
    np.testing.assert_allclose(backend.cell, CELL.T * BOHR_A, **CLOSE)
    expected = (POSITIONS.mean(axis=0) - POSITIONS) * BOHR_A / HARTREE_EV * BOHR_A
    energy, forces, virial, _ = fast(CELL, POSITIONS)
    np.testing.assert_allclose(forces, expected, **CLOSE)
    assert (energy, np.abs(virial).max()) == (0.0, 0.0)
    assert backend.calls == [{"conservative", "direct"}]


def test_different_parameters_share_nothing(made):
    loaded, parameters = made
    pes.Pes(**parameters, role="slow")
    pes.Pes(**parameters, role="fast", keep_net_force=True)
    assert len(loaded) == 2


def test_the_same_model_under_another_name_is_the_same(made, tmp_path):
    loaded, parameters = made
    copy = tmp_path / "copy.pt"
    copy.write_bytes(b"weights")
    pes.Pes(**parameters, role="slow")
    pes.Pes(**parameters | {"model": str(copy)}, role="fast")
    assert len(loaded) == 1


def test_one_block_is_asked_for_its_force_alone(made):
    loaded, parameters = made
    pes.Pes(**parameters, role="fast")(CELL, POSITIONS)
    assert loaded[0].calls == [{"direct"}]


def test_lists_are_batches(made):
    _, parameters = made
    slow = pes.Pes(**parameters, role="slow")
    answers = slow([CELL, CELL], [POSITIONS, POSITIONS + 1.0])
    single = slow(CELL, POSITIONS + 1.0)
    np.testing.assert_array_equal(answers[1][1], single[1])
    assert len(answers) == 2


def test_a_role_of_slow_and_fast_kinds_that_are_told(made):
    loaded, parameters = made
    pes.Pes(**parameters, role="fast", fast_kind="conservative")(CELL, POSITIONS)
    assert loaded[0].calls == [{"conservative"}]


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"role": "both"}, "one block for each"),
        ({"role": "middle"}, "role: expected slow or fast"),
        ({"model": ""}, "expected parameters template, model, role"),
        ({"unknown": 3}, "has no option unknown; it has slow_kind, .*variant"),
        ({"joint": "yes"}, "--joint: expected true or false, got 'yes'"),
        ({"mts": 0}, "--mts: expected an integer >= 1, got 0"),
        ({"threads": "x"}, "--threads: expected an integer, got 'x'"),
        ({"fast_kind": "both"}, "--fast-kind: expected conservative or direct, got 'both'"),
        ({"family": "none"}, "no model family 'none'"),
        ({"template": "nothing.xyz"}, "is not a file"),
    ],
)
def test_parameters_that_cannot_be_used(made, change, match):
    _, parameters = made
    with pytest.raises(InputError, match=match) as caught:
        pes.Pes(**{**parameters, "role": "slow", **change})
    assert "\n" not in str(caught.value)


def test_flags_are_true_or_false(made):
    _, parameters = made
    block = pes.Pes(**parameters, role="slow", joint=False, direct_energy="True", mts=4)
    assert block.shared.serving == Serving(joint=False, direct_energy=True, mts=4)


def test_a_species_that_the_model_does_not_know(made, tmp_path):
    _, parameters = made
    path = tmp_path / "gold.xyz"
    path.write_text("1\n\nAu 0 0 0\n")
    with pytest.raises(ModelError, match="has Au, expected only species of springs: H O"):
        pes.Pes(**parameters | {"template": str(path)}, role="slow")
