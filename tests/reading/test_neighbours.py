"""What lies beside a trajectory: i-PI's checkpoints and inputs, properties files, others."""

import json
import logging

import pytest

from ncforce_ipi.errors import InputError
from ncforce_ipi.reading.directory import properties_beside, trajectory_in
from ncforce_ipi.reading.ipiunits import UNITS, factor
from ncforce_ipi.reading.metadata import RunMetadata, read_metadata

COMMENT = "<!-- Working Directory: /home/a/run--2 -->\n"  # as i-PI writes it: no XML
BEADS = (
    "<beads natoms='3' nbeads='1'><m shape='(3)'> [ 29164.4, 1837.47, 1837.47 ] </m>"
    "<names shape='(3)'> [ O, H, H ] </names></beads>"
)
STEP = "<timestep>41.341373</timestep>"
KELVIN = "<ensemble><temperature>9.5e-4</temperature></ensemble>"


def simulation(*, beads=BEADS, step=STEP, ensemble=KELVIN, output="", mode="nve", more=""):
    return (
        f"{COMMENT}<simulation>{output}<system>{ensemble}<motion mode='dynamics'>{more}"
        f"<dynamics mode='{mode}'>{step}</dynamics></motion>{beads}</system></simulation>\n"
    )


def test_a_checkpoint_is_in_atomic_units(tmp_path):
    (tmp_path / "RESTART").write_text(simulation())
    found = read_metadata(tmp_path)
    assert found.step_fs == pytest.approx(1.0, rel=1e-7)
    # CODATA 2018: 1 hartree is 315775.02480407 K, an electron 5.48579909065e-4 u
    assert found.temperature_K == pytest.approx(9.5e-4 * 315775.02480407, rel=1e-10)
    assert found.masses_u == pytest.approx(
        {"O": 29164.4 * 5.48579909065e-4, "H": 1837.47 * 5.48579909065e-4}, rel=1e-9
    )
    assert (found.n_atoms, found.counts, found.isolated) == (3, {"O": 1, "H": 2}, True)


def test_atoms_of_one_species_may_have_different_masses(tmp_path):
    mixed = BEADS.replace("1837.47, 1837.47", "1837.47, 3671.48")
    (tmp_path / "RESTART").write_text(simulation(beads=mixed))
    found = read_metadata(tmp_path)
    masses_u = [m * 5.48579909065e-4 for m in (29164.4, 1837.47, 3671.48)]  # CODATA 2018
    assert found.atom_masses_u == pytest.approx(masses_u, rel=1e-9)
    assert found.masses_u == pytest.approx(
        {"O": masses_u[0], "H": 0.5 * (masses_u[1] + masses_u[2])}, rel=1e-9
    )
    (tmp_path / "RESTART").write_text(simulation())
    assert read_metadata(tmp_path).atom_masses_u is None


START = """3
Lattice="5 0 0 0 5 0 0 0 5" Properties=species:S:1:pos:R:3:masses:R:1 pbc="T T T"
O 0 0 0 12.5
H 1 0 0 4.0
H 0 1 0 3.0
"""


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "No such file"),
        (START.replace(":masses:R:1", ""), "no column masses"),
        (START.replace("3.0", "three"), "three"),
        ("3\n", "out of range"),
    ],
)
def test_a_record_whose_atoms_differ_takes_their_masses_from_the_start(tmp_path, text, words):
    record = {
        "plan": {"outer_step_fs": 2.0}, "n_atoms": 3, "temperature_K": 300.0,
        "masses_u": {"O": 12.5, "H": 3.5}, "several_masses": ["H"],
    }  # fmt: skip
    (tmp_path / "run.json").write_text(json.dumps(record))
    (tmp_path / "init.xyz").write_text(START)
    assert read_metadata(tmp_path).atom_masses_u == (12.5, 4.0, 3.0)
    (tmp_path / "init.xyz").unlink()
    if text is not None:
        (tmp_path / "init.xyz").write_text(text)
    with pytest.raises(InputError, match=rf"should say the mass of each atom.*{words}"):
        read_metadata(tmp_path)


@pytest.mark.parametrize(
    ("step", "step_fs"),
    [
        ("<timestep units='femtosecond'> 0.5 </timestep>", 0.5),
        ('<timestep units="picosecond">2e-3</timestep>', 2.0),
        ("<timestep units='FEMTOSECOND'>0.5</timestep>", None),  # i-PI's prefixes are lower case
        ("<timestep units='femtoSecond'>0.5</timestep>", 0.5),  # its bases aren't
        ("<timestep units='ase'>0.1</timestep>", 1.0180505710774743),  # A sqrt(u/eV), ase.units
        ("<timestep units='automatic'>41.341373</timestep>", 1.0),
        ("<timestep units='parsec'>1</timestep>", None),
        ("<timestep units='kelvin'>1</timestep>", None),
        ("<timestep>fast</timestep>", None),
        ("", 0.024188843266),  # 1 atomic unit, which i-PI leaves out of a checkpoint
    ],
)
def test_units_of_a_value_are_honoured(tmp_path, step, step_fs):
    (tmp_path / "RESTART").write_text(simulation(step=step))
    if step_fs is not None:
        assert read_metadata(tmp_path).step_fs == pytest.approx(step_fs, rel=1e-7)
        return
    with pytest.raises(InputError, match=r"RESTART: <timestep.*expected"):
        read_metadata(tmp_path)


def test_units_of_masses_and_of_a_temperature_are_honoured(tmp_path):
    """Both are changed by hand for the next part of a run."""
    beads = BEADS.replace("29164.4, 1837.47, 1837.47", "16, 2, 2")
    beads = beads.replace("<m ", "<m units='dalton' ")
    kelvin = "<ensemble><temperature units='kelvin'> 350 </temperature></ensemble>"
    (tmp_path / "RESTART").write_text(simulation(beads=beads, ensemble=kelvin))
    found = read_metadata(tmp_path)
    assert found.masses_u == pytest.approx({"O": 16.0, "H": 2.0}, rel=1e-12)
    assert found.temperature_K == pytest.approx(350.0, rel=1e-12)


def test_units_are_i_pis(subtests):
    """To i-PI's own digits: seven or eight, but five of a kelvin."""
    from ipi.utils.units import UnitMap, unit_to_internal

    ours_of_atomic = {name: factor(name, "") for name in UNITS}
    for dimension, bases in UNITS.items():
        assert bases.keys() | {"", "automatic", "atomic_unit"} == UnitMap[dimension].keys() - {
            "radian", "degree",
        }  # fmt: skip
        for base in bases:
            for unit in (base, f"milli{base}", f"kilo{base}"):
                with subtests.test(dimension=dimension, unit=unit):
                    theirs = unit_to_internal(dimension, unit)
                    assert factor(dimension, unit) / ours_of_atomic[dimension] == pytest.approx(
                        theirs, rel=1e-5 if base == "kelvin" else 2e-6
                    )


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("restart.xml", simulation(beads="<initialize nbeads='1'><file>a</file></initialize>")),
        ("checkpoint.sh", "#!/bin/bash\necho not a checkpoint\n"),
        ("RESTART", ""),
        ("EXIT", ""),
        ("md.checkpoint", simulation()[:300]),
        ("checkpoint.pt", "\x00\x01PK binary"),
        ("restart", "<!doctype html><p>a page"),
        ("restart.svg", "<svg></svg>"),
        ("notes_on_restarts.txt", "use <simulation> and restart"),
        ("RESTART", simulation(beads=BEADS.replace("[ O, H, H ]", ""))),
        ("RESTART", simulation(beads=BEADS.replace("[ O, H, H ]", "[ O, H ]"))),
        ("RESTART", simulation().replace("simulation", "simulations")),
    ],
)
def test_what_is_no_checkpoint_says_no_masses(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    (tmp_path / "restarts").mkdir()
    assert read_metadata(tmp_path / "md.vel_0.xyz").masses_u is None


def test_a_checkpoint_is_found_by_what_it_says(tmp_path):
    for name in ("md.chk", "md.chk_100", "state", "old.restart.xml"):
        (tmp_path / name).write_text(simulation())
        assert read_metadata(tmp_path).n_atoms == 3, name
        (tmp_path / name).unlink()


def test_a_damaged_checkpoint_gives_way_to_a_whole_one(tmp_path, caplog):
    (tmp_path / "md.checkpoint").write_text(simulation())
    (tmp_path / "RESTART").write_text(simulation()[:-40])
    with caplog.at_level(logging.WARNING):
        assert read_metadata(tmp_path).n_atoms == 3
    assert "RESTART is no whole XML file of i-PI's" in caplog.text


def test_a_checkpoint_of_other_files_is_not_used(tmp_path, caplog):
    (tmp_path / "RESTART").write_text(simulation(output="<output prefix='old'></output>"))
    with caplog.at_level(logging.WARNING):
        assert read_metadata(tmp_path / "new.vel_0.xyz") == RunMetadata()
    assert "RESTART is of files old.*: not used for new.vel_0.xyz" in caplog.text
    assert read_metadata(tmp_path / "old.vel_0.xyz").n_atoms == 3
    assert read_metadata(tmp_path).n_atoms == 3
    other = simulation(output="<output prefix='new'></output>", step="<timestep>1</timestep>")
    (tmp_path / "new.chk").write_text(other)
    assert read_metadata(tmp_path / "new.vel_0.xyz").step_fs == pytest.approx(0.0241888, rel=1e-5)
    assert read_metadata(tmp_path / "old.vel_0.xyz").step_fs == pytest.approx(1.0, rel=1e-5)


def test_an_input_says_what_no_checkpoint_does(tmp_path, caplog):
    text = simulation(beads="<initialize nbeads='4'/>", step="<timestep units='femtosecond'>2"
                      "</timestep>", mode="nvt")  # fmt: skip
    (tmp_path / "input.xml").write_text(text)
    with caplog.at_level(logging.INFO):
        found = read_metadata(tmp_path / "md.vel_0.xyz")
    assert (found.step_fs, found.n_beads, found.isolated) == (pytest.approx(2.0), 4, False)
    assert "input.xml, an i-PI input, says steps of 2 fs" in caplog.text
    (tmp_path / "other.xml").write_text(text.replace(">2<", ">1<"))
    with caplog.at_level(logging.WARNING):
        assert read_metadata(tmp_path / "md.vel_0.xyz") == RunMetadata()
    assert "inputs of i-PI that differ" in caplog.text
    (tmp_path / "RESTART").write_text(simulation())
    assert read_metadata(tmp_path / "md.vel_0.xyz").step_fs == pytest.approx(1.0, rel=1e-7)


def test_a_run_that_is_no_dynamics_has_no_time_step(tmp_path):
    (tmp_path / "RESTART").write_text(simulation().replace("dynamics", "optimizer"))
    assert read_metadata(tmp_path).step_fs is None


def test_each_system_has_its_own_facts(tmp_path):
    """Replicas at several temperatures in one i-PI: files are prefix.system_name."""
    one = simulation(output="<output prefix='sim'></output>")
    hot = one[one.index("<system>") : one.index("</simulation>")]
    cold = hot.replace("9.5e-4", "3.16681e-4").replace("<system>", "<system prefix='cold'>")
    both = hot.replace("<system>", "<system prefix='hot'>") + cold
    (tmp_path / "RESTART").write_text(one.replace(hot, both))
    assert read_metadata(tmp_path / "sim.cold_vel_0.xyz").temperature_K == pytest.approx(
        100.0, rel=1e-4
    )
    assert read_metadata(tmp_path / "sim.hot_out").temperature_K == pytest.approx(300.0, rel=1e-3)
    assert read_metadata(tmp_path).temperature_K is None  # of which?
    assert read_metadata(tmp_path).n_atoms == 3


@pytest.mark.parametrize(
    ("more", "fixed"),
    [
        ("", True),
        ("<fixcom>False</fixcom>", False),
        ("<fixcom> false </fixcom>", False),
        ("<fixcom>true</fixcom>", True),
        ("<fixatoms> [0] </fixatoms>", False),  # i-PI then lets the centre of mass go
        ("<fixatoms> [] </fixatoms>", True),
    ],
)
def test_the_centre_of_mass(tmp_path, more, fixed):
    (tmp_path / "RESTART").write_text(simulation(more=more))
    assert read_metadata(tmp_path).fixed_com is fixed


COLUMN = "# column   1     --> step : The step.\n 1.0\n"


@pytest.mark.parametrize(
    ("trajectory", "there", "wanted"),
    [
        ("run.1.vel_0.xyz", ("run.out", "run.1.out"), ["run.1.out"]),
        ("run.vel_0.xyz", ("run.out", "run.1.out"), ["run.out"]),
        ("run.1.vel_0.xyz", ("run.out", "run.10.out"), ["run.out"]),
        ("run.vel_0.xyz", ("run.1.out",), []),
        ("runs.vel_0.xyz", ("run.out",), []),
        ("vel_0.xyz", ("out", "run.out"), ["out"]),
        ("run.vel_0.xyz", ("out",), []),
        ("run.vel_0.xyz", ("run.thermo",), ["run.thermo"]),
        ("run.vel_0.xyz", ("run.thermo", "run.out"), ["run.out"]),
        ("run.vel_0.xyz", ("run.a", "run.b"), ["run.a", "run.b"]),
        ("run.hot_vel_0.xyz", ("run.hot_out", "run.cold_out"), ["run.hot_out"]),
    ],
)
def test_the_properties_file_of_a_trajectory(tmp_path, trajectory, there, wanted):
    for name in there:
        (tmp_path / name).write_text(COLUMN)
    (tmp_path / trajectory).touch()
    assert [path.name for path in properties_beside(tmp_path / trajectory)] == wanted


def test_of_two_properties_files_the_one_with_more_of_our_columns_counts(tmp_path):
    (tmp_path / "run.bonds.out").write_text(COLUMN)
    (tmp_path / "run.energies").write_text(
        "### what i-PI says of itself with verbosity='high'\n"
        + COLUMN.replace(" 1.0", "# column   2     --> time{picosecond} : The time.\n 1.0 2.0")
    )
    assert [path.name for path in properties_beside(tmp_path)] == ["run.energies"]


FRAME = '1\nLattice="9 0 0 0 9 0 0 0 9" Properties=species:S:1:pos:R:3\nHe 0 0 0\n'


def test_a_structure_beside_a_trajectory_is_none(tmp_path):
    (tmp_path / "best.xyz").write_text(FRAME + "\n")
    (tmp_path / "init.xyz").write_text(FRAME)
    with pytest.raises(InputError, match=r"positions but best\.xyz with one frame; give the file"):
        trajectory_in(tmp_path, "positions")
    (tmp_path / "md.extxyz").write_text(2 * FRAME)
    assert trajectory_in(tmp_path, "positions").name == "md.extxyz"
    (tmp_path / "more.xyz").write_text(2 * FRAME)
    with pytest.raises(InputError, match=r"holds pos in md\.extxyz, more\.xyz; give one"):
        trajectory_in(tmp_path, "positions")


def test_i_pis_own_first_frame_is_a_trajectory(tmp_path):
    comment = "# CELL(abcABC): 9 9 9 90 90 90 Step: 0 Bead: 0 positions{angstrom} cell{angstrom}"
    (tmp_path / "md.pos_0.xyz").write_text(f"1\n{comment}\nHe 0 0 0\n")
    assert trajectory_in(tmp_path, "positions").name == "md.pos_0.xyz"


def test_a_dictionary_of_units_is_not_taken_for_i_pis_words(tmp_path):
    units = 'units="_JSON {\\"velocities\\": \\"A/fs\\"}"'
    text = FRAME.replace("Lattice", f"{units} Lattice") * 2
    (tmp_path / "md.xyz").write_text(text)
    assert trajectory_in(tmp_path, "positions").name == "md.xyz"
    with pytest.raises(InputError, match="holds no trajectory of velocities"):
        trajectory_in(tmp_path, "velocities")
