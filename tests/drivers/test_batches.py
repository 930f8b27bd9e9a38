"""Batches: how they are divided among calls, and what happens when a call fails."""

import numpy as np
import pytest

from ncforce_ipi.backend import Evaluation, Kind, Structure, Wanted
from ncforce_ipi.drivers import batches
from ncforce_ipi.drivers.batches import BatchedBackend, divided
from ncforce_ipi.errors import InputError, ModelError

DIRECT = Wanted(frozenset(["direct"]))
BOTH = Wanted(frozenset(["conservative", "direct"]))


class OutOfMemoryError(RuntimeError):
    """Named as torch's."""


NO_MEMORY = OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")


class Sized(BatchedBackend):
    """Forces that tell structures apart; fails above so many atoms, and at a position of 666 A."""

    kinds = frozenset[Kind](["conservative", "direct"])
    description = "sized"

    def __init__(self, device="cuda", fits=10**9, error=NO_MEMORY):
        super().__init__(device)
        self.fits, self.error, self.calls, self.failed = fits, error, [], 0

    def evaluate_together(self, structures, wanted):
        n_atoms = [len(structure.numbers) for structure in structures]
        if sum(n_atoms) > self.fits:
            self.failed += 1
            raise self.error
        if any(structure.positions[0, 0] == 666.0 for structure in structures):
            raise ValueError("the devil knows why")
        self.calls.append(n_atoms)
        every = np.concatenate([-structure.positions for structure in structures])
        nothing = np.full((3, 3), np.nan)
        return [
            {kind: Evaluation(float(len(f)), f, nothing) for kind in wanted.kinds}
            for f in divided(every, structures)
        ]


def atoms(*sizes):
    rng = np.random.default_rng(0)
    return [
        Structure(np.ones(n, np.int32), rng.normal(size=(n, 3)), np.zeros((3, 3))) for n in sizes
    ]


def check(backend, structures, wanted=DIRECT):
    found = backend.evaluate_batch(structures, wanted)
    assert len(found) == len(structures)
    for structure, results in zip(structures, found, strict=True):
        for kind in wanted.kinds:
            np.testing.assert_array_equal(results[kind].forces, -structure.positions)


def test_one_call_on_a_gpu_and_as_many_as_stay_in_the_cache_on_a_cpu(monkeypatch):
    monkeypatch.setattr(batches, "ATOMS_AT_ONCE", 10)
    sizes = (3, 4, 3, 1, 12, 5)
    gpu, cpu = Sized("cuda:1"), Sized("cpu")
    check(gpu, atoms(*sizes))
    check(cpu, atoms(*sizes))
    assert gpu.calls == [[3, 4, 3, 1, 12, 5]]
    assert cpu.calls == [[3, 4, 3], [1], [12], [5]]


def test_cells_that_a_library_does_not_mix_are_calls_of_their_own():
    structures = atoms(3, 4, 5, 6)
    for k in (1, 2):
        structures[k].cell[:] = np.eye(3)
    backend = Sized()
    check(backend, structures)
    backend._mixes_cells = False
    check(backend, structures)
    assert backend.calls == [[3, 4, 5, 6], [3], [4, 5], [6]]


@pytest.mark.parametrize(
    "error",
    [
        NO_MEMORY,
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: 8 bytes"),
        MemoryError(),
    ],
)
def test_a_batch_that_does_not_fit_is_halved_until_it_does_and_that_is_remembered(error):
    backend = Sized(fits=9, error=error)
    structures = atoms(*[3] * 8)
    check(backend, structures)
    assert backend.calls == [[3, 3]] * 4
    assert backend.failed == 2  # 24 and 12 atoms
    check(backend, structures)
    assert backend.failed == 2
    check(backend, structures, BOTH)  # which needs more memory, and is learnt for itself
    assert backend.failed == 4


def test_a_structure_that_does_not_fit_alone_is_said():
    with pytest.raises(ModelError, match="sized failed at structure 1 of 3: CUDA out of memory"):
        Sized(fits=5).evaluate_batch(atoms(3, 6, 2), DIRECT)


def test_one_structure_that_fails_is_said_and_bounds_nothing():
    structures = atoms(3, 4, 5)
    structures[1].positions[0, 0] = 666.0
    backend = Sized()
    with pytest.raises(ModelError, match="sized failed at structure 1 of 3: the devil knows why"):
        backend.evaluate_batch(structures, DIRECT)
    structures[1].positions[0, 0] = 0.0
    check(backend, structures)
    assert backend.calls[-1] == [3, 4, 5]


def test_errors_that_are_ours_pass():
    class Refusing(Sized):
        def evaluate_together(self, structures, wanted):
            raise InputError("give charge and spin")

    with pytest.raises(InputError, match=r"^give charge and spin$"):
        Refusing().evaluate_batch(atoms(3, 3), DIRECT)


def test_rows_that_are_too_few():
    with pytest.raises(ValueError, match="gave 6 rows, expected one for 7 atoms"):
        divided(np.zeros((6, 3)), atoms(3, 4))


def test_results_of_a_batch_hold_no_others_in_memory():
    parts = divided(np.zeros((7, 3)), atoms(3, 4))
    assert [part.base for part in parts] == [None, None]


def test_nothing_is_nothing():
    assert Sized().evaluate_batch([], DIRECT) == []
