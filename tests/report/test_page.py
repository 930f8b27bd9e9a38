"""``ncforce report``: a page that needs nothing but itself and says what it can't say."""

import json
import re
import sys
from html.parser import HTMLParser
from types import SimpleNamespace

import numpy as np
import pytest

from ncforce_ipi.cli import main
from ncforce_ipi.observables.analyse import HEADINGS, Analysis, analyse
from ncforce_ipi.observables.dataset import open_dataset
from ncforce_ipi.observables.options import Options
from ncforce_ipi.provenance import Provenance
from ncforce_ipi.report import page, view
from ncforce_ipi.result import Unavailable
from tests.synthetic_run import write_frame, write_run


class Reader(HTMLParser):
    """Tags with their attributes, and the text of each script."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags, self.scripts, self.inside = [], [], False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.inside = tag == "script"

    def handle_endtag(self, tag):
        self.inside = False

    def handle_data(self, data):
        if self.inside:
            self.scripts.append(data)


@pytest.fixture(scope="module")
def directories(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    for name, heating in (("calm", 0.0), ("hot", 0.02)):
        write_run(folder / name, n_outer=300, heating=heating)
    return [folder / "calm", folder / "hot"]


@pytest.fixture(scope="module")
def text(directories):
    target = directories[0].parent / "report.html"
    words = ["report", *map(str, directories), "--out", str(target), "--no-view"]
    assert main(words) == 0
    return target.read_text(encoding="utf-8")


def test_nothing_is_fetched(text):
    tags = Reader(text).tags
    policy = next(attrs for tag, attrs in tags if attrs.get("http-equiv"))["content"]
    assert policy.startswith("default-src 'none'")
    assert "http" not in policy
    assert "*" not in policy
    for _, attrs in tags:
        for name in ("src", "href", "action", "srcset", "data"):
            assert attrs.get(name, "data:").startswith(("data:", "#"))
    assert not re.search(r"url\(|@import", text)


def test_runs_are_side_by_side_and_each_on_its_own(text):
    headings = ('<h2 id="calm">calm</h2>', '<h2 id="hot">hot</h2>')
    for heading in ("Side by side", *headings, "Drift", "g(r)"):
        assert heading in text
    places = {attrs["id"] for _, attrs in Reader(text).tags if "id" in attrs}
    links = {attrs["href"].removeprefix("#") for tag, attrs in Reader(text).tags if tag == "a"}
    assert links
    assert links <= places
    images = [attrs["alt"] for tag, attrs in Reader(text).tags if tag == "img"]
    # three overlaid figures, and five of each run, which are too short for diffusion
    assert len(images) == 3 + 2 * 5
    assert all(images)
    assert "an eighth of the run, and the line begins at 1 ps" in text
    assert "model_sha256: ab12" in text


def test_no_note_is_lost_side_by_side():
    """A label may come again, and may go on in lines without one."""
    lines = [("mean", "1 K"), ("", "1 GK"), ("note", "first"), ("note", "second"), ("", "its end")]
    found = SimpleNamespace(lines=lambda: lines)
    run = SimpleNamespace(name="x", analysis=SimpleNamespace(available={"power": found}))
    text = page._compared([run, run])
    cells = re.findall(r"<tr>(.*?)</tr>", text)
    assert "<td>note</td>" + 2 * "<td>first; second; its end</td>" in cells
    assert "<td>mean (2)</td>" + 2 * "<td>1 GK</td>" in cells


def test_a_page_is_replaced_by_force_only(directories, tmp_path, capsys):
    target = tmp_path / "report.html"
    target.write_text("mine")
    words = ["report", str(directories[0]), "--out", str(target), "--no-view"]
    assert main(words) == 2
    assert "expected none: give --force" in capsys.readouterr().err
    assert target.read_text() == "mine"


def test_an_empty_directory_is_refused(tmp_path, capsys):
    assert main(["report", str(tmp_path), "--out", str(tmp_path / "r.html"), "--no-view"]) == 2
    assert "no properties file of i-PI there" in capsys.readouterr().err
    assert main(["report", str(tmp_path / "no"), "--out", str(tmp_path / "r.html")]) == 2
    assert "no is missing; expected a file, or a directory of a run" in capsys.readouterr().err
    assert not (tmp_path / "r.html").exists()


def test_names_and_data_cannot_leave_their_place(tmp_path):
    bad = "<script>alert(1)</script>"
    shown = view.View("var a = '</script>';", json.dumps({"name": bad}), bad)
    nothing = Analysis(open_dataset([tmp_path]), dict.fromkeys(HEADINGS, Unavailable(bad)))
    run = page.Run(bad, nothing, shown, Provenance(bad, bad, bad, bad))
    body = page._section(run, 0)
    assert bad not in body
    reader = Reader(body)
    assert [tag for tag, _ in reader.tags].count("script") == 1
    assert json.loads(reader.scripts[0]) == {"name": bad}


def test_without_chemiscope_the_page_has_no_view(directories, monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "chemiscope", None)
    assert view.of_source(open_dataset([directories[0]]).first) is None
    assert "pip install chemiscope" in caplog.text


def write_forces(directory, name, quantity, steps, scale):
    """Forces as i-PI writes them, on the atoms of the run."""
    species = np.array(["O", "H", "H"] * 27)
    rng = np.random.default_rng(len(name))
    with (directory / name).open("w") as file:
        for step in steps:
            values = scale * rng.normal(size=(81, 3))
            write_frame(file, species, values, "ase", "positions", step)
    path = directory / name
    path.write_text(path.read_text().replace("positions{ase}", f"{quantity}{{ev/ang}}"))


@pytest.mark.filterwarnings("ignore")  # of chemiscope's own imports
def test_view_has_both_force_components_as_arrows(tmp_path):
    pytest.importorskip("chemiscope")
    write_run(tmp_path / "run", n_outer=100)
    steps = range(0, 101, 10)
    write_forces(tmp_path / "run", "simulation.slow_0.extxyz", "forces_component(0)", steps, 1.0)
    write_forces(tmp_path / "run", "simulation.fast_0.extxyz", "forces_component(1)", steps, 3.0)
    shown = view.of_source(open_dataset([tmp_path / "run"]).first)
    data = json.loads(shown.data)
    assert len(data["structures"]) == 11
    assert data["structures"][0]["size"] == 81
    assert set(data["shapes"]) == {"slow_0", "fast_0"}
    colours = {one["parameters"]["global"]["color"] for one in data["shapes"].values()}
    assert len(colours) == 2
    assert "Chemiscope" in shown.program
    assert re.fullmatch(
        r"11 frames; arrows: fast_0 blue, slow_0 orange, 1 A for [\d.]+ eV/A", shown.words
    )
    longest = {}
    for name, shape in data["shapes"].items():
        vectors = [one["vector"] for one in shape["parameters"]["atom"]]
        longest[name] = np.median(np.linalg.norm(vectors, axis=1))
    # one scale for both: noise of 3 and of 1 eV/A
    assert longest["fast_0"] / longest["slow_0"] == pytest.approx(3.0, rel=0.1)
    analysis = analyse(open_dataset([tmp_path / "run"], Options(discard_ps=0.1)))
    run = page.Run("run", analysis, shown, Provenance("", "", "", ""))
    text = page.render([run], "one")
    scripts = Reader(text).scripts
    assert any("StructureVisualizer.load" in script for script in scripts)
    assert text.count("</script>") == 3
