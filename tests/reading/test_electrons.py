"""What a structure says of its charge and spin."""

from ase import Atoms

from ncforce_ipi.reading.electrons import electrons_of, unseen


def test_words():
    info = {"Charge": -1, "multiplicity": 2, "name": "x"}
    ion = Atoms("N2", [[0, 0, 0], [1.12, 0, 0]], cell=[25.0] * 3, pbc=True, info=info)
    assert electrons_of(ion) == {"charge": -1.0, "multiplicity": 2.0}
    assert "says charge=-1, multiplicity=2, which no model sees" in unseen("x", ion)
    ion.info = {"charge": 0, "spin": 1, "multiplicity": "triplet"}
    assert electrons_of(ion) == {}
    assert unseen("x", ion) == ""
