"""i-PI's properties files: columns with units, files of broken and resumed runs."""

import logging

import numpy as np
import pytest

from ncforce_ipi.errors import InputError
from ncforce_ipi.reading.properties import read_properties
from tests.synthetic_run import write_properties

HEADER = """\
# column   1     --> step : The current simulation time step.
# column   2     --> temperature(H){kelvin} : The current temperature, as obtained {so}.
# cols.    3-5   --> cell_abc{angstrom} : Three numbers.
"""


def rows(steps) -> np.ndarray:
    steps = np.array(list(steps), dtype=float)
    return np.column_stack([steps, 0.004 * steps, -3.0 + 0.0 * steps, 300.0 + steps, 0.5 * steps])


def test_columns_have_names_and_units(tmp_path):
    path = tmp_path / "simulation.out"
    path.write_text(HEADER + "  0.0   301.5   1.0 2.0 3.0 \n  1.0   302.5   4.0 5.0 6.0 \n")
    table = read_properties(path)
    assert table.names == ("step", "temperature(H)", "cell_abc[0]", "cell_abc[1]", "cell_abc[2]")
    assert table.units == ("", "kelvin", "angstrom", "angstrom", "angstrom")
    assert table.column("temperature(H)", "kelvin").tolist() == [301.5, 302.5]
    assert table.column("cell_abc[2]", "angstrom").tolist() == [3.0, 6.0]


def test_missing_column_and_wrong_unit_are_refused(tmp_path):
    path = tmp_path / "simulation.out"
    write_properties(path, rows(range(3)))
    table = read_properties(path)
    with pytest.raises(
        InputError, match=r"no column 'potential' but step, time, .*: add potential"
    ):
        table.column("potential", "electronvolt")
    with pytest.raises(InputError, match="'time' is in picosecond; expected electronvolt"):
        table.column("time", "electronvolt")
    with pytest.raises(InputError, match="'time' is in picosecond; expected a number"):
        table.column("time")


@pytest.mark.parametrize(
    ("stated", "wanted", "factor"),
    [
        ("time{picosecond}", "femtosecond", 1000.0),
        ("time", "picosecond", 2.4188843265857e-5),  # CODATA 2018
        ("time{microsecond}", "picosecond", 1e6),
        ("conserved", "electronvolt", 27.211386245988),
        ("conserved{kiloj/mol}", "electronvolt", 0.010364269656),
        ("conserved{kelvin}", "electronvolt", 8.617333262e-5),
        ("temperature(O){kelvin}", "kelvin", 1.0),
        ("temperature", "kelvin", 315775.02480407),
    ],
)
def test_columns_are_converted(tmp_path, stated, wanted, factor):
    path = tmp_path / "prefix.out"
    path.write_text(f"# column   1     --> {stated} : Help.\n  2.0\n")
    found = read_properties(path).column(stated.split("{")[0], wanted)
    assert found[0] == pytest.approx(2.0 * factor, rel=1e-9)


def test_cut_last_line_is_left_out_with_a_warning(tmp_path, caplog):
    path = tmp_path / "simulation.out"
    write_properties(path, rows(range(3)))
    with path.open("a") as file:
        file.write("  3.00000000000000000e+00   1.2000000")
    with caplog.at_level(logging.WARNING):
        table = read_properties(path)
    assert table.column("step").tolist() == [0.0, 1.0, 2.0]
    assert "1 incomplete line(s) left out" in caplog.text


def test_last_number_cut_short_is_left_out(tmp_path):
    """All columns are there, but the last lacks its end: 1.5 could have been 1.5e+02."""
    path = tmp_path / "simulation.out"
    write_properties(path, rows(range(3)))
    text = path.read_text()
    path.write_text(text[: text.rindex("e+00")])
    assert len(read_properties(path).values) == 2


def test_resumed_run_repeats_header_and_steps_and_the_later_counts(tmp_path):
    path = tmp_path / "simulation.out"
    write_properties(path, rows(range(6)))
    again = rows(range(3, 5))
    again[:, 3] = 77.0
    write_properties(path, again, mode="a")
    table = read_properties(path)
    # what followed step 4 before the restart belongs to a past that was undone
    assert table.column("step").tolist() == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert table.column("temperature", "kelvin").tolist() == [300.0, 301.0, 302.0, 77.0, 77.0]


@pytest.mark.parametrize("begin", [0, 3])
def test_another_run_appended_is_refused(tmp_path, begin):
    path = tmp_path / "simulation.out"
    write_properties(path, rows(range(begin, begin + 6)))
    write_properties(path, rows(range(begin, begin + 4)), mode="a")
    with pytest.raises(
        InputError, match=rf"step {begin} comes after step {begin + 5} \(row 6 from"
    ):
        read_properties(path)


def test_rows_that_a_resumed_run_undid_are_said(tmp_path, caplog):
    path = tmp_path / "simulation.out"
    write_properties(path, rows(range(6)))
    write_properties(path, rows(range(3, 5)), mode="a")
    with caplog.at_level(logging.WARNING):
        assert read_properties(path).column("step").tolist() == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert "1 rows of steps 5 to 5 left out" in caplog.text


def test_another_header_is_refused(tmp_path):
    path = tmp_path / "simulation.out"
    write_properties(path, rows(range(2)))
    with path.open("a") as file:
        file.write("# column   2     --> time{femtosecond} : Other.\n")
    with pytest.raises(
        InputError, match="column 2 is 'time' and later 'time'; expected one header"
    ):
        read_properties(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1.0 2.0\n", "no '# column 1 --> name' header"),
        (HEADER, "no complete row"),
        (HEADER + "  0.0  what  1.0 2.0 3.0\n", "not a table of numbers"),
    ],
)
def test_file_that_is_no_properties_file_is_refused(tmp_path, text, message):
    path = tmp_path / "simulation.out"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_properties(path)


def test_missing_file_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"simulation\.out is missing; expected i-PI's properties"):
        read_properties(tmp_path / "simulation.out")
