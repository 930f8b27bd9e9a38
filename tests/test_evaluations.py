"""What a model returned is looked at in one place, and said with its cause."""

from dataclasses import replace

import numpy as np
import pytest

from ncforce_ipi.backend import Backend, Evaluation, Structure, Wanted
from ncforce_ipi.errors import ModelError, OutputError
from ncforce_ipi.evaluations import evaluate, evaluate_all

ALL = Wanted(frozenset(["conservative", "direct"]), direct_energy=True, direct_virial=True)
DIRECT = Wanted(frozenset(["direct"]))
GOOD = Evaluation(1.0, np.zeros((3, 3)), np.zeros((3, 3)))
NOTHING = np.full((3, 3), np.nan)


class Given(Backend):
    """Returns for each structure and kind what it was given."""

    kinds = stress = frozenset(["conservative", "direct"])
    description = "given"

    def __init__(self, **changes):
        self.found = {"conservative": GOOD, "direct": GOOD, **changes}

    def evaluate(self, structure, wanted):
        return self.found


def water(shift=0.0):
    return Structure(np.array([8, 1, 1], np.int32), np.eye(3) + shift, np.zeros((3, 3)))


def spoilt(index, value):
    forces = np.zeros((3, 3))
    forces[index] = value
    return replace(GOOD, forces=forces)


@pytest.mark.parametrize(
    ("direct", "says"),
    [
        (replace(GOOD, forces=np.zeros((2, 3))), r"force is float64 \(2, 3\), .* float64 \(3, 3\)"),
        (replace(GOOD, forces=np.zeros(9)), r"direct force is float64 \(9,\), expected"),
        (
            replace(GOOD, forces=np.zeros((3, 3), np.float32)),
            r"force is float32 \(3, 3\), expected",
        ),
        (replace(GOOD, forces=[[0.0] * 3] * 3), "direct force is list , expected an array float64"),
        (replace(GOOD, virial=np.zeros(6)), r"direct virial is float64 \(6,\), expected"),
        (replace(GOOD, energy=np.zeros(1)), "direct energy is of type ndarray, expected float"),
        (spoilt((2, 1), np.nan), r"direct force is not finite: atom 2 \(H\) has \[ 0. nan  0.\]"),
        (spoilt((0, 0), -np.inf), r"direct force is not finite: atom 0 \(O\) has \[-inf"),
        (replace(GOOD, energy=np.inf), "direct energy is not finite: inf eV"),
        (replace(GOOD, virial=NOTHING), "direct virial is not finite; .* three lattice vectors"),
    ],
)
def test_what_is_wrong_is_named(direct, says):
    with pytest.raises(OutputError, match=f"^given: the .*{says}") as caught:
        evaluate(Given(direct=direct), water(), ALL)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("unasked", [replace(GOOD, energy=np.nan), replace(GOOD, virial=NOTHING)])
def test_what_nobody_asked_for_may_be_nothing(unasked):
    assert evaluate(Given(direct=unasked), water(), DIRECT) == {"direct": unasked}
    with pytest.raises(ModelError, match=r"given: the conservative .* is not finite"):
        evaluate(Given(conservative=unasked), water(), ALL)


def test_a_virial_that_the_model_does_not_claim_may_be_nothing():
    backend = Given(conservative=replace(GOOD, virial=NOTHING))
    backend.stress = frozenset()
    assert set(evaluate(backend, water(), Wanted(frozenset(["conservative"])))) == {"conservative"}


def test_the_structure_of_a_batch_is_named():
    class Third(Given):
        def evaluate(self, structure, wanted):
            wrong = structure.positions[0, 0] > 2.5
            return {"direct": spoilt((1, 0), np.nan) if wrong else GOOD}

    structures = [water(0.0), water(1.0), water(2.0)]
    with pytest.raises(ModelError, match="direct force of structure 2 of 3 is not finite: atom 1"):
        evaluate_all(Third(), structures, DIRECT)


def test_a_kind_that_is_missing():
    class Lacking(Given):
        def evaluate(self, structure, wanted):
            return {"conservative": GOOD}

    with pytest.raises(ModelError, match=r"given returned no direct force, .* conservative"):
        evaluate(Lacking(), water(), ALL)


def test_a_batch_with_too_few_results():
    class Short(Given):
        def evaluate_batch(self, structures, wanted):
            return [self.found] * (len(structures) - 1)

    with pytest.raises(ModelError, match="given returned 1 results, expected 2"):
        evaluate_all(Short(), [water(), water(1.0)], DIRECT)


def test_an_error_of_any_kind_is_one_line_with_its_cause():
    class Broken(Given):
        def evaluate(self, structure, wanted):
            raise IndexError("index 3 is out of bounds\n in a long story")

    with pytest.raises(ModelError, match=r"given failed: IndexError: index 3 is out of bounds$"):
        evaluate(Broken(), water(), DIRECT)


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (RuntimeError("CUDA error: an illegal memory access"), False),
        (MemoryError(), False),
        (OSError("stale file handle"), False),
        (TypeError("'NoneType' object is not callable"), True),
        (KeyError("forces"), True),
    ],
)
def test_what_another_process_would_do_again(error, again):
    """Only a fault of the model's code is one; a GPU that fell out may come back."""

    class Raises(Given):
        def evaluate(self, structure, wanted):
            raise error

    with pytest.raises(ModelError, match=f"^given failed: {type(error).__name__}: ") as caught:
        evaluate(Raises(), water(), DIRECT)
    assert isinstance(caught.value, OutputError) is again
