"""Where results come from: exact words, published hashes."""

import hashlib

import pytest

from ncforce_ipi import __version__
from ncforce_ipi.provenance import SOFTWARE, Provenance, command_line, sha256, software

ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
"""SHA-256 of the bytes ``abc``, the example of FIPS 180-2."""


def test_hash_is_that_of_the_standard(tmp_path):
    path = tmp_path / "abc"
    path.write_bytes(b"abc")
    assert sha256(path) == ABC


def test_hash_of_a_file_longer_than_a_block(tmp_path):
    content = bytes(range(256)) * 8192  # 2 MiB, read in two blocks
    (tmp_path / "long").write_bytes(content + b"x")
    assert sha256(tmp_path / "long") == hashlib.sha256(content + b"x").hexdigest()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["/usr/bin/ncforce", "drift", "a b"], "ncforce drift 'a b'"),
        (["/x/ncforce_ipi/__main__.py", "rdf", "run"], "ncforce rdf run"),
        (["script.py", "--x"], "script.py --x"),
        ([""], "python"),
        ([], "python"),
    ],
)
def test_command_line_is_what_a_shell_takes(monkeypatch, words, expected):
    monkeypatch.setattr("sys.argv", words)
    assert command_line() == expected


def test_facts_and_lines_say_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.argv", ["ncforce", "drift"])
    for name in ("a.out", "b.out"):
        (tmp_path / name).write_bytes(b"abc")
    found = Provenance.of([tmp_path / "a.out", tmp_path / "b.out"], "12ab")
    assert found.facts() == {
        "version": __version__,
        "command": "ncforce drift",
        "input_sha256": f"a.out {ABC}, b.out {ABC}",
        "model_sha256": "12ab",
    }
    assert found.lines() == [f"{key}: {value}" for key, value in found.facts().items()]


def test_software_has_versions_of_what_is_installed(monkeypatch):
    found = software()
    assert {"python", "ipi", "numpy"} <= set(found) <= {"python", *SOFTWARE}
    monkeypatch.setattr("ncforce_ipi.provenance.SOFTWARE", ("nowhere-to-be-found",))
    assert list(software()) == ["python"]
