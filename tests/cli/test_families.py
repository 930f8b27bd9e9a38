"""``ncforce driver --list``: every family, what is here, and the command for what isn't."""

from importlib import metadata

import pytest

from ncforce_ipi.cli import families, main

LIBRARIES = {
    "metatomic": "metatomic-torch",
    "sevennet": "sevenn",
    "orb": "orb-models",
    "mace": "mace-torch",
    "equiformer": "fairchem-core",
    "fairchem": "fairchem-core",
    "ase": "ase",
    "analytic": None,
}


def table(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["driver", "--list"])
    said = capsys.readouterr()
    assert said.err == ""
    return said.out


def line(text, family):
    (found,) = [line for line in text.splitlines() if line.startswith(f"{family} ")]
    return found


def test_every_family_is_listed(capsys):
    text = table(capsys)
    for family in families.FAMILIES:
        assert families.module(family).FORCES in line(text, family)


def test_what_is_installed_has_its_version(capsys, monkeypatch):
    monkeypatch.setattr(metadata, "version", lambda name: "0.13.0" if name == "sevenn" else "99")
    assert "sevenn 0.13.0" in line(table(capsys), "sevennet")


@pytest.mark.parametrize(
    ("version", "here", "not_here"),
    [("1.10.0", "equiformer", "fairchem"), ("2.24.0", "fairchem", "equiformer")],
)
def test_two_families_with_two_versions_of_a_library(monkeypatch, version, here, not_here):
    monkeypatch.setattr(metadata, "version", {"fairchem-core": version}.get)
    assert families.installed(here) == f"fairchem-core {version}"
    assert families.installed(not_here) is None


def test_what_is_not_has_the_command_that_installs_it(capsys, monkeypatch):
    def missing(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", missing)
    text = table(capsys)
    for family in families.FAMILIES:
        if family != "analytic":
            assert line(text, family).split()[1] == "no"
            assert f"pip install -r {families.requirements(family)}" in text
    assert "needs numpy only" in line(text, "analytic")


@pytest.mark.parametrize("family", families.FAMILIES)
def test_the_first_requirement_is_the_library(family):
    assert families.library(family) == LIBRARIES.get(family, families.library(family))
    assert families.requirements(family).is_file()
