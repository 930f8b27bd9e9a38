"""Words of comment lines: as ASE splits them, whatever is in them, in linear time."""

import pytest
from ase.io.extxyz import key_val_str_to_dict

pytest.importorskip("hypothesis")

from hypothesis import given
from hypothesis import strategies as st

from ncforce_ipi.reading.commentline import counts_in, keys_and_values, step_in, time_of, title_of
from ncforce_ipi.reading.frameheader import NAMES, names_in

WORDS = st.text("abXY_-.:0", min_size=1, max_size=6)  # letters that ASE makes no numbers of
INSIDE = st.text("abXY_-.: =", min_size=1, max_size=12)
QUOTES = st.sampled_from(["''", '""', "{}", "[]"])


@st.composite
def pairs(draw):
    """A key, blanks, and a value with quotes or none."""
    key, blanks = draw(WORDS), draw(st.sampled_from(["=", " =", "= ", " = ", "\t=\t"]))
    if draw(st.booleans()):
        return key + blanks + draw(WORDS)
    quotes = draw(QUOTES)
    return key + blanks + quotes[0] + draw(INSIDE) + quotes[1]


@given(st.lists(st.one_of(pairs(), WORDS, st.just('a\\"b=c\\ d')), max_size=6))
def test_keys_and_values_are_those_of_ase(words):
    line = " ".join(words)
    theirs = key_val_str_to_dict("uid=0 " + line)  # without the first ASE gives a key that is empty
    ours = keys_and_values("uid=0 " + line)
    assert list(ours) == list(theirs)
    for name, value in theirs.items():
        if isinstance(value, str):
            assert ours[name] == value


def test_empty_quotes_are_a_value_of_their_own():
    """ASE takes the next word for it: a comment that is empty would cost the cell."""
    assert keys_and_values('comment="" Lattice="1 0 0" x')["Lattice"] == "1 0 0"


@pytest.mark.parametrize(
    ("comment", "step"),
    [
        (b"# CELL(abcABC): 1 1 1 90 90 90 Step:          7  Bead: 0 positions{a}", 7),
        (b'Lattice="1" step=12 energy=3.5', 12),
        (b'Lattice="1" Step = "12"', 12),
        (b"Timestep=100 Time=0.5", 100),  # LAMMPS
        (b"Atoms. Timestep: 100", 100),
        (b"Atoms. Timestep: 0.5", None),
        (b" i =       20, time =       10.000, E =  -34.1", 20),  # CP2K
        (b"timestep=4 nstep=5 my-step=3", None),
        (b"step=1.5", None),
        (b"step=1e3", None),
        (b"Step: 99999999999999999999", None),
        (b"", None),
    ],
)
def test_step(comment, step):
    match = step_in(comment)
    assert (match and int(match[1])) == step


@pytest.mark.parametrize(
    ("comment", "counts"),
    [
        (b"MD iter: 20", [20]),  # DFTB+
        (b"ORCA AIMD Position Step 20, t=10.00 fs, E_Pot=-76.3, Unit is Angstrom", [20]),
        (b"Iteration:       20", [20]),  # FHI-aims
        (b"step=20.0 energy=3", [20]),
        (b"timestep=1 istep=20", [1, 20]),
        (b"timestep=0.5 MD_STEP = 20", [20]),
        (b"my-step=3 substep=4 step=1e3 step=1.5 steps", []),
        (b"", []),
    ],
)
def test_numbers_that_may_be_steps(comment, counts):
    assert counts_in(comment) == counts


@pytest.mark.parametrize(
    ("comment", "time"),
    [
        (b"step=3 time=1.5", (1.5, None)),
        (b"time_fs=1.5e1", (15.0, "fs")),
        (b"Time_ps = 2", (2.0, "ps")),
        (b" i =       20, time =       10.000, E =  -34.1", (10.0, "fs")),
        (b"runtime=5", None),
        (b"time=now", None),
    ],
)
def test_time(comment, time):
    assert time_of(comment) == time


def test_what_is_not_ipis_has_no_title():
    for line in (
        "",
        "positions of water",
        'Lattice="1 0 0" units="_JSON {\\"energy\\": \\"eV\\"}"',
    ):
        assert title_of(line, NAMES) is None


def test_names_of_what_a_frame_holds():
    assert names_in(b"2\nProperties=species:S:1:pos:R:3:momenta:R:3") == {"pos", "momenta"}
    ase = b'2\nProperties=species:S:1:pos:R:3:velocities:R:3 ipi="velocities{ase} cell{ase}"'
    assert names_in(ase) == {"velocities"}  # the positions of such a file are zeros
    assert names_in(b"2\n# forces_component(1){ase} cell{ase}") == {"forces_component"}
    assert names_in(b"2\n\n") == set()


# pytest stops after 300 s what would take some 10^11 steps
@pytest.mark.parametrize(
    "word",
    ["a", "a(", "{", "a{", "step ", "Step: ", "CELL(", "x=", '"', "\\", "time", "i = ", "9 "],
)
def test_a_long_comment_takes_linear_time(word):
    line = word * (400_000 // len(word))
    keys_and_values(line)
    title_of(line, NAMES)
    step_in(line.encode() + b" step")
    counts_in(line.encode() + b" step")
    time_of(line.encode())
