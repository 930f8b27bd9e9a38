"""``ncforce driver``: what can be wrong before a model is loaded, and structure files."""

import pytest

from ncforce_ipi.cli import main
from ncforce_ipi.errors import InputError
from ncforce_ipi.species import SYMBOLS, read_species
from tests.conftest import WATER_XYZ

COMMON = ("driver", "metatomic", "--model", "water", "--structure", str(WATER_XYZ))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--role", "slow", "--socket-dir", "/tmp/" + "x" * 100), "expected at most 107"),
        (("--role", "both", "--unix", "a"), "--slow-address and --fast-address"),
        (("--role", "both", "--host", "localhost", "--port", "3"), "--role both needs two"),
        (("--role", "both", "--host", "localhost", "--slow-port", "3"), "give --fast-port"),
        (("--role", "slow", "--host", "localhost", "--port", "70000"), "between 1 and 65535"),
        (("--role", "both", "--fast-address", "slow"), "both roles have the address"),
        (("--role", "slow", "--port", "3", "--unix", "a"), "--port is for TCP and --unix for unix"),
        (("--role", "slow", "--host", "h", "--socket-dir", "d"), "--host is for TCP and --socket-"),
        (("--role", "both", "--slow-port", "3", "--fast-address", "a"), "--slow-port is for TCP"),
        (("--role", "slow", "--socket-dir", "d", "--sockets-prefix", "/p"), "both say where"),
        (("--role", "slow", "--port", "3", "--slow-port", "4"), "two ports of role slow"),
        (("--role", "both", "--token-file", "t", "--slow-port", "4"), "leave --slow-port out"),
        (("--role", "slow", "--token-file", "t", "--unix", "a"), "leave --unix out"),
        (("--role", "slow", "--structure", "nothing.xyz"), "is not a file"),
        (("--role", "slow", "--model", "nothing.pt"), "neither a file nor a shipped model"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(options, message, capsys):
    assert main([*COMMON, *options]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("ncforce driver: ")
    assert message in line


@pytest.mark.parametrize(
    "options",
    [(), ("--role", "middle"), ("--role", "slow", "--threads", "0"),
     ("--role", "slow", "--wait-s", "-1"), ("--role", "slow", "--wait-s", "nan"),
     ("--role", "slow", "--mts", "1.5")],
)  # fmt: skip
def test_wrong_usage_is_exit_2(options):
    with pytest.raises(SystemExit, match="2"):
        main([*COMMON, *options])


def test_a_species_that_the_model_does_not_know(tmp_path, random_model, capsys):
    path = tmp_path / "gold.xyz"
    path.write_text("2\n\nAu 0 0 0\nH 0 0 1\n")
    arguments = [
        "--role",
        "slow",
        "--structure",
        str(path),
        "--model",
        str(random_model("float64")),
    ]
    assert main([*COMMON, *arguments]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert (
        "has Au, expected only species of random_float64.pt (metatomic, cpu, float64): H O" in line
    )


def test_no_server_is_one_line_and_a_report(tmp_path, random_model, capsys):
    report = tmp_path / "report.json"
    arguments = ["--role", "fast", "--socket-dir", str(tmp_path), "--wait-s", "0"]
    arguments += ["--model", str(random_model("float64")), "--report", str(report)]
    assert main([*COMMON, *arguments]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert "no server at unix:" in lines[-1]
    assert any("random_float64.pt (metatomic, cpu, float64), SHA-256 " in line for line in lines)
    assert any("fast = direct forces of 192 atoms at unix:" in line for line in lines)
    assert "direct forces: net force removed, energy sent as 0, virial sent as 0" in lines[2]
    assert '"end": "UnreachedError: no server' in report.read_text()


def test_the_shipped_start_structure():
    numbers = read_species(WATER_XYZ)
    assert len(numbers) == 192
    assert set(numbers.tolist()) == {1, 8}
    assert (numbers == 8).sum() == 64


@pytest.mark.parametrize(
    ("comment", "lines"),
    [
        ("", ["O 0 0 0", "H 1 0 0"]),
        ("# CELL(abcABC): 9 9 9 90 90 90 positions{angstrom}", ["  O 0.0 0 0 ", "H\t1 0 0"]),
        ("Properties=species:S:1:pos:R:3", ["O 0 0 0", "H 1 0 0"]),
        ("Properties=pos:R:3:tag:I:1:species:S:1", ["0 0 0 5 O", "1 0 0 5 H"]),
        ("", ["8 0 0 0", "1 1 0 0"]),
        ("Properties=id:I:1:Z:I:1:pos:R:3", ["1 8 0 0 0", "2 1 1 0 0"]),
        ('Properties="species:S:1:id:I:1:pos:R:3" pbc="T T T"', ["O 1 0 0 0", "H 2 1 0 0"]),
        ("Properties=id:I:1:elements:S:1:pos:R:3", ["1 O 0 0 0", "2 H 1 0 0"]),
        ("# CELL(abcABC): 9 9 9 90 90 90 positions{angstrom}", ["O 0 0 0", "D 1 0 0"]),
    ],
)
def test_dialects_of_xyz(tmp_path, comment, lines):
    path = tmp_path / "x.xyz"
    path.write_text("\n".join(["2", comment, *lines, "2", comment, *reversed(lines)]) + "\n")
    assert read_species(path).tolist() == [8, 1]


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", "line 1: expected an atom count, got ''"),
        ("two\n\n", "line 1: expected an atom count, got 'two'"),
        ("2\n\nO 0 0 0\n", "x.xyz ends after 1 of 2 atoms; is it cut"),
        ("1\n\nQq 0 0 0\n", "line 3: expected a chemical symbol, got 'Qq'"),
        ("1\n\n0 0 0 0\n", "line 3: expected a chemical symbol, got '0'"),
        ("1\nProperties=id:I:1:kind:S:1:pos:R:3\n1 O 0 0 0\n", "holds id, kind, pos; expected a"),
        ("1\nProperties=species:I:1:pos:R:3\n1 0 0 0\n", "a chemical symbol, got '1'"),
    ],
)
def test_broken_structures(tmp_path, text, match):
    path = tmp_path / "x.xyz"
    path.write_text(text)
    with pytest.raises(InputError, match=match):
        read_species(path)


def test_other_formats_are_read_by_ase(tmp_path):
    ase_io = pytest.importorskip("ase.io")
    path = tmp_path / "x.cif"
    ase_io.write(path, ase_io.read(WATER_XYZ))
    assert read_species(path).tolist() == read_species(WATER_XYZ).tolist()
    path.write_text("nonsense")
    with pytest.raises(InputError, match="can't be read by ASE"):
        read_species(path)


def test_the_periodic_table_is_complete():
    ase_data = pytest.importorskip("ase.data")
    assert list(SYMBOLS) == ase_data.chemical_symbols
