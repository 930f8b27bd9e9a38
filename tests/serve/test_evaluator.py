"""Serving: what is refused before the first force, and what goes out as 0."""

import numpy as np
import pytest

from ncforce_ipi.backend import Backend, Evaluation, Structure
from ncforce_ipi.errors import InputError, ModelError
from ncforce_ipi.serve.evaluator import Evaluator, Serving

STRUCTURE = Structure(np.ones(2, np.int32), np.eye(3)[:2], np.eye(3) * 9.0)
NOTHING = np.full((3, 3), np.nan)


class Bare(Backend):
    """Both kinds of force, and nothing that comes with them but the energy of one."""

    kinds = frozenset(["conservative", "direct"])
    description = "bare"

    def evaluate(self, structure, wanted):
        r = structure.positions
        return {
            kind: Evaluation(1.0 if kind == "conservative" else np.nan, -r, NOTHING)
            for kind in wanted.kinds
        }


def test_a_virial_that_the_model_does_not_have_goes_out_as_0():
    found = Evaluator(Bare(), {"slow": "conservative"}).evaluate(STRUCTURE, "slow")
    np.testing.assert_array_equal(found.virial, 0.0)
    assert found.energy == 1.0


def test_a_virial_that_the_model_says_that_it_has_must_be_finite():
    backend = Bare()
    backend.stress = frozenset(["conservative"])
    with pytest.raises(ModelError, match="bare: the conservative virial is not finite"):
        Evaluator(backend, {"slow": "conservative"}).evaluate(STRUCTURE, "slow")


@pytest.mark.parametrize(
    ("option", "match"),
    [
        ({"direct_energy": True}, "bare has no energy to send with .* leave out --direct-energy"),
        ({"direct_virial": True}, "bare has no stress of its direct forces; without --direct-v"),
    ],
)
def test_what_direct_forces_do_not_come_with(option, match):
    with pytest.raises(ModelError, match=match):
        Evaluator(Bare(), {"fast": "direct"}, **option)
    Evaluator(Bare(), {"slow": "conservative"}, **option)  # nobody asks for direct forces


def test_kinds_of_the_roles():
    serving = Serving(slow_kind="direct", fast_kind="conservative")
    assert (serving.kind("slow"), serving.kind("fast")) == ("direct", "conservative")
    found = serving.evaluator(Bare(), ["fast"]).evaluate(STRUCTURE, "fast")
    assert found.energy == 1.0


def test_a_number_of_inner_steps_that_is_none():
    with pytest.raises(InputError, match="--mts: expected an integer >= 1, got 0"):
        Serving(mts=0)
