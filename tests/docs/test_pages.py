"""Links, shared pages, the API page and the picture of the package."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from .manual import DOCS, ROOT, api_pages, shared_pages, structure


def test_links_of_the_readme_lead_somewhere():
    """Sphinx checks those of the manual."""
    targets = re.findall(r"\]\(([^)#]+)", (ROOT / "README.md").read_text(encoding="utf-8"))
    lost = [t for t in targets if not t.startswith("http") and not (ROOT / t).exists()]
    assert lost == []


def test_links_of_shared_pages_are_turned():
    """From a page of the manual: to another page of it, to a file, and to nothing."""
    text = (
        "[model](../src/ncforce_ipi/models/water.md#errors) [paper](https://arxiv.org/) "
        "![figure](results/water/drift_of_M.png) [folder](training) [cost](../docs/theory.md#cost)"
    )
    pages = shared_pages.shown(DOCS)
    turned = shared_pages.turned(text, "benchmarks/README.md", "measurements/x", pages, DOCS)
    assert turned == (
        "[model](../models/water.md#errors) [paper](https://arxiv.org/) "
        "![figure](../../benchmarks/results/water/drift_of_M.png) folder [cost](../theory.md#cost)"
    )


def test_shared_pages_exist():
    pages = shared_pages.shown(DOCS)
    assert len(pages) > 10
    assert [path for path in pages if not (ROOT / path).is_file()] == []


def test_the_api_page_shows_what_is_public(tmp_path, monkeypatch):
    """Of ``__all__``, lazy names too; without it constants and what the module defines."""
    (tmp_path / "lazy_api.py").write_text(
        "__all__ = ['load', 'Run', 'Lost']\n"
        "def __getattr__(name):\n"
        "    if name not in __all__: raise AttributeError(name)\n"
        "    kind = {'load': lambda: None, 'Run': type('Run', (), {})}\n"
        "    return kind.get(name, type('Lost', (ValueError,), {}))\n"
    )
    (tmp_path / "plain_api.py").write_text("import re\nPI = 3.14\ndef f(): pass\ndef _g(): pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    text = api_pages.members("lazy_api")
    assert re.findall(r"\.\. (\w+):: lazy_api\.(\w+)", text) == [
        ("autofunction", "load"),
        ("autoclass", "Run"),
        ("autoexception", "Lost"),
    ]
    text = api_pages.members("plain_api")
    assert re.findall(r":: plain_api\.(\w+)", text) == ["PI", "f"]
    assert api_pages.members("no_such_module") == ""


def test_the_rooms_of_the_launcher_are_those_of_the_layers():
    """In the manual as in the contract that ``make lint`` checks, floor by floor."""
    page = (DOCS / "structure.md").read_text(encoding="utf-8")
    told = {
        room: int(floor) for floor, room in re.findall(r"^\| (\d) \| `(\w+)`", page, re.MULTILINE)
    }
    contract = (ROOT / "pyproject.toml").read_text(encoding="utf-8").split('launch"]\n')[1]
    layers = re.findall(r'^    "(.*)",$', contract.partition("]\n")[0], re.MULTILINE)
    floors = {
        room: floor for floor, line in enumerate(reversed(layers), 1) for room in line.split(" | ")
    }
    launch = ROOT / "src/ncforce_ipi/launch"
    assert told == {room: floor for room, floor in floors.items() if (launch / room).is_dir()}
    assert told.keys() == {path.parent.name for path in launch.glob("*/__init__.py")}


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 120


def rooms(**imports: str):
    return {
        name: structure.Room(name, 1, frozenset(others.split())) for name, others in imports.items()
    }


def test_rooms_stand_above_all_that_they_import():
    found = rooms(cli="launch units", launch="inputs", inputs="units", units="")
    assert structure.floors(found) == {"cli": 3, "launch": 2, "inputs": 1, "units": 0}
    # cli -> units follows from the others
    assert structure.arrows(found) == [("cli", "launch"), ("inputs", "units"), ("launch", "inputs")]


def test_a_circle_of_rooms_is_seen():
    found = rooms(top="a", a="b", b="a units", units="")
    assert structure.floors(found) == {"top": 2, "a": 1, "b": 1, "units": 0}
    assert {("a", "b"), ("b", "a")} <= set(structure.arrows(found))
    assert structure.picture(found).count('class="circle"') == 2


def test_the_picture_has_every_room_and_the_same_bytes_each_time():
    found = rooms(cli="launch units", launch="units", units="")
    text = structure.picture(found)
    assert text == structure.picture(dict(reversed(found.items())))
    svg = "{http://www.w3.org/2000/svg}"
    tree = ElementTree.fromstring(text)
    assert [e.text for e in tree.iter(f"{svg}text")] == ["cli", "launch", "units"]
    assert len(tree.findall(f"{svg}path[@class='arrow']")) == 2
