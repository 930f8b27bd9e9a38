"""One run has one answer, digit by digit, whichever command or function is asked; read once."""

import html
import json
import re
from collections import Counter

import pytest

from ncforce_ipi.cli import main
from ncforce_ipi.errors import InputError
from ncforce_ipi.observables import diffusion, drift, power, rdf, source, temperature, vdos
from ncforce_ipi.observables.analyse import HEADINGS, analyse
from ncforce_ipi.observables.dataset import open_dataset
from ncforce_ipi.reading.trajectory import Trajectory
from ncforce_ipi.result import plain
from tests.synthetic_run import write_run

MEASURES = {
    "drift": drift.measure,
    "temperature": temperature.measure,
    "rdf": rdf.measure,
    "vdos": vdos.measure,
    "diffusion": diffusion.measure,
    "power": power.measure,
}
SHORT = "short"  # too short for a diffusion coefficient
LENGTHS = {"1 ps": (250, False), "9 ps": (2200, False), "lost": (400, True)}


@pytest.fixture(scope="module", params=LENGTHS)
def directory(request, tmp_path_factory):
    """A run of 1 ps, of 9 ps, and one that is lost on its way."""
    n_outer, lost = LENGTHS[request.param]
    path = tmp_path_factory.mktemp(SHORT if n_outer < 1000 else "long") / "run"
    rate = 0.25 if lost else 0.0  # 1/ps: T is half as high again after 0.8 ps
    write_run(path, n_outer=n_outer, n_molecules=8, heating=rate, by_forces=lost)
    return path


@pytest.fixture(scope="module")
def alone(directory):
    """What each verb writes by itself, and the lines that it prints."""
    numbers, folder = {}, directory.parent
    for verb in MEASURES:
        target = folder / f"{verb}.json"
        code = main([verb, str(directory), "--json", str(target)])
        assert code == (2 if verb == "diffusion" and SHORT in str(directory) else 0)
        if code == 0:
            numbers[verb] = json.loads(target.read_text())
            del numbers[verb]["provenance"]
        else:
            numbers[verb] = {"unavailable": why_not(directory, verb)}
    return numbers


def why_not(directory, verb):
    with pytest.raises(InputError) as caught:
        MEASURES[verb](open_dataset([directory]))
    return str(caught.value)


@pytest.fixture(scope="module")
def lines(directory):
    """Label and text of every line, by observable, from the functions."""
    data = open_dataset([directory])
    return {
        verb: measure(data).lines()
        for verb, measure in MEASURES.items()
        if not (verb == "diffusion" and SHORT in str(directory))
    }


def test_the_measures_are_all_that_are_shown():
    """The disagreement of two forces, which a run writes itself, has no verb of its own."""
    assert [*MEASURES, "disagreement"] == list(HEADINGS)


def test_functions_give_what_the_verbs_write(directory, alone):
    for verb, measure in MEASURES.items():  # each opens the files by itself
        if "unavailable" in alone[verb]:
            continue
        assert plain(measure(open_dataset([directory])).to_dict()) == alone[verb]


def test_analyse_gives_what_the_verbs_write(directory, alone):
    found = analyse(open_dataset([directory])).to_dict()
    assert {verb: plain(found[verb]) for verb in MEASURES} == alone


def test_analyze_writes_what_the_verbs_write(directory, alone, capsys, lines):
    assert main(["analyze", str(directory), "--force"]) == 0
    summary = json.loads((directory / "analysis/summary.json").read_text())
    assert {verb: summary[verb] for verb in MEASURES} == alone
    printed = capsys.readouterr().out
    for verb in lines:
        for label, text in lines[verb]:
            if label not in ("run", "errors"):
                assert text in printed


def test_compare_writes_what_the_verbs_write(directory, alone):
    out = directory.parent / "compare"
    assert main(["compare", str(directory), "--out", str(out)]) == 0
    (run,) = json.loads((out / "compare.json").read_text())["runs"]
    assert {verb: run[verb] for verb in MEASURES} == alone
    (drifts,), temperatures = alone["drift"]["runs"], alone["temperature"]
    for key in (
        "drift_conserved_meV_per_atom_per_ps",
        "drift_conserved_ci95_meV_per_atom_per_ps",
        "drift_temperature_K_per_ps",
        "drift_temperature_ci95_K_per_ps",
        "temperature_K",
        "temperature_standard_error_K",
        "runaway_ps",
    ):
        assert run[key] == drifts[key], key
    assert run["temperature_K"] == temperatures["temperature_all_K"]
    assert run["temperature_split"] == "T(H)-T(O)"
    assert run["temperature_split_K"] == temperatures["temperature_H_minus_O_K"]
    (powers,) = alone["power"]["runs"]
    assert powers["power_meV_per_atom_per_ps"] == run["drift_conserved_meV_per_atom_per_ps"]


def test_report_shows_what_the_verbs_print(directory, lines):
    out = directory.parent / "report.html"
    assert main(["report", str(directory), "--out", str(out), "--no-view"]) == 0
    rows = re.findall(r"<tr><td>(.*?)</td><td>(.*?)</td></tr>", out.read_text(encoding="utf-8"))
    shown = [(html.unescape(label), html.unescape(text)) for label, text in rows]
    for verb in lines:
        for label, text in lines[verb]:
            assert (label, text.replace("+-", "±")) in shown, (verb, label)


@pytest.fixture
def reads(monkeypatch):
    """How often properties, and each quantity of a trajectory, are passed over."""
    count = Counter()
    read_properties, blocks = source.read_properties, Trajectory.blocks

    def counted_properties(path):
        count["properties"] += 1
        return read_properties(path)

    def counted_blocks(self, n_frames, **options):
        if n_frames > 1 or self.quantity != "velocities":  # of which a few show what moves
            count[self.quantity] += 1
        yield from blocks(self, n_frames, **options)

    monkeypatch.setattr(source, "read_properties", counted_properties)
    monkeypatch.setattr(Trajectory, "blocks", counted_blocks)
    return count


@pytest.mark.parametrize("verb", ["analyze", "report", "compare"])
def test_each_file_is_read_once(directory, tmp_path, reads, verb):
    words = {"report": ["--no-view", "--out", str(tmp_path / "r.html")]}
    assert main([verb, str(directory), *words.get(verb, ["--out", str(tmp_path / "out")])]) == 0
    assert (reads["properties"], reads["velocities"]) == (1, 1)
    assert 1 <= reads["positions"] <= 3  # g(r), a sample of 32 pairs, displacements
    assert set(reads) == {"properties", "velocities", "positions"}


@pytest.mark.parametrize(
    ("verb", "expected"),
    [
        ("drift", {"properties": 1}),
        ("power", {"properties": 1}),
        ("temperature", {"properties": 1, "velocities": 1}),
        ("vdos", {"properties": 1, "velocities": 1}),
        ("rdf", {"properties": 1, "positions": 1}),
    ],
)
def test_a_verb_reads_what_it_needs(directory, reads, verb, expected):
    assert main([verb, str(directory)]) == 0
    assert reads == expected
