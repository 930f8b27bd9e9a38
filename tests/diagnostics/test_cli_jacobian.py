"""``ncforce jacobian``: table, files, refusals."""

import csv
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from ncforce_ipi.cli import main
from ncforce_ipi.errors import InputError
from ncforce_ipi.reading.structures import read_frames, to_atoms

K, S = 2.0, 0.3
HARMONIC = (
    f'analytic --model harmonic --arguments \'{{"k_eV_per_A2": {K}, "swirl_eV_per_A2": {S}}}\''
)
LAMBDA = np.sqrt(2) * S / np.sqrt(3 * K**2 + 2 * S**2)


@pytest.fixture
def files(tmp_path, argon):
    """Two frames of argon, for a model in which wells don't know of each other."""
    import ase.io

    structure, _ = argon
    frames = [to_atoms(structure), to_atoms(structure)]
    frames[1].positions += 0.1
    ase.io.write(tmp_path / "argon.xyz", frames)
    return tmp_path


def test_known_asymmetry_in_table_and_files(files, capsys):
    words = ["jacobian", str(files / "argon.xyz"), "--model", HARMONIC, "--keep-net-force"]
    out = [
        f"--{k}" if i % 2 == 0 else str(files / f"a.{k}") for k in ("json", "csv") for i in (0, 1)
    ]
    assert main([*words, *out]) == 0
    text = capsys.readouterr().out
    assert f"lambda            {LAMBDA:.4g}" in text
    assert "what a conservative model would have" in text
    record = json.loads((files / "a.json").read_text())
    assert set(record["provenance"]) >= {"version", "command", "models"}
    slow, fast = record["results"]
    assert (slow["kind"], fast["kind"]) == ("conservative", "direct")
    assert slow["lambda"] < 1e-9
    assert fast["lambda"] == pytest.approx(LAMBDA, rel=1e-9)
    assert fast["lambda_of_species_pairs"]["Ar-Ar"]["lambda"] == pytest.approx(LAMBDA, rel=1e-9)
    assert [s["name"] for s in fast["structures"]] == ["argon.xyz@0", "argon.xyz@1"]
    rows = [r for r in csv.reader((files / "a.csv").read_text().splitlines()) if r[0][0] != "#"]
    assert rows[0][0] == "distance_A"
    assert "direct_lambda_error" in rows[0]


def test_a_driver_at_a_socket_has_the_same_asymmetry(tmp_path, capsys):
    """Its driver has removed the net force: three atoms keep two thirds of the squared norm."""
    rows = "Ar 0.1 0.2 0.3\nAr 1 0 0\nAr 0 2 0\n"
    (tmp_path / "ar3.xyz").write_text(f"3\n\n{rows}")
    program = Path(sys.executable).with_name("ncforce")
    values = []
    for model in (f"{program} driver {HARMONIC}", HARMONIC):
        words = ["jacobian", str(tmp_path / "ar3.xyz"), "--model", model, "--kind", "direct"]
        assert main([*words, "--json", str(tmp_path / "a.json"), "--force"]) == 0
        (found,) = json.loads((tmp_path / "a.json").read_text())["results"]
        values.append((found["lambda"], found["structures"][0]["norm_eV_per_A2"]))
    np.testing.assert_allclose(values[0], values[1], rtol=1e-6)  # two Bohrs: 1e-9
    assert values[0][0] == pytest.approx(LAMBDA, rel=1e-6)
    norm = np.sqrt(3 * K**2 + 2 * S**2) * np.sqrt(3 * (1 - 1 / 3))
    assert values[0][1] == pytest.approx(norm, rel=1e-6)


def test_profile_figure_and_estimates(files, capsys):
    words = ["jacobian", str(files / "argon.xyz@0"), "--model", "analytic:lennard-jones"]
    words += ["--kind", "direct", "--r-max-A", "5"]
    assert main([*words, "--plot", str(files / "a.png"), "--json", str(files / "a.json")]) == 0
    assert (files / "a.png").read_bytes().startswith(b"\x89PNG")
    (whole,) = json.loads((files / "a.json").read_text())["results"]
    estimate = [*words, "--method", "estimate", "--probes", "24", "--json", str(files / "b.json")]
    assert main(estimate) == 0
    assert "+-" in capsys.readouterr().out.splitlines()[-1]
    (found,) = json.loads((files / "b.json").read_text())["results"]
    assert abs(found["lambda"] - whole["lambda"]) < 4 * found["lambda_error"]
    assert found["structures"][0]["n_products"] < 24 + 16 * 18 + 1
    inside = np.array([v is not None for v in found["profile"]["lambda"]])
    ours, theirs = (np.array(r["profile"]["full_eV_per_A2"], float)[inside] for r in (found, whole))
    np.testing.assert_allclose(ours, theirs, rtol=0.5)  # some hundred of a thousand pairs


def test_exact_products_of_a_metatomic_model(tmp_path, random_model, capsys):
    import ase.build

    ase.build.molecule("H2O").write(tmp_path / "h2o.xyz")
    words = ["jacobian", str(tmp_path / "h2o.xyz"), "--model", str(random_model("float32"))]
    values = {}
    for name, more in {
        "exact": ["--precision", "float64"],
        "differences": ["--products", "differences"],
    }.items():
        out = tmp_path / f"{name}.json"
        assert main([*words, *more, "--json", str(out)]) == 0
        results = json.loads(out.read_text())["results"]
        values[name] = {r["kind"]: r for r in results}
    assert "differentiation in float64" in values["exact"]["direct"]["products"]
    assert values["exact"]["conservative"]["lambda"] < 1e-12
    floor = values["differences"]["conservative"]["lambda_noise"]
    assert values["differences"]["conservative"]["lambda"] < 5 * floor
    exact, found = (values[name]["direct"]["lambda"] for name in ("exact", "differences"))
    assert abs(exact - found) < 5 * values["differences"]["direct"]["lambda_noise"] + 1e-3 * exact


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["missing.xyz"], 2, "'missing.xyz' is not a file"),
        (["{f}", "--model", HARMONIC, "--products", "exact"], 2, "can't be differentiated here"),
        (["{f}", "--model", "ase:ase.calculators.lj:LennardJones", "--kind", "direct"], 2,
         "has no direct forces"),
        (["{f}", "--json", "{f}"], 2, "add --force"),
        (["{f}", "--json", "no/folder/a.json"], 2, "make it first"),
        (["{f}", "--bin-A", "0"], 2, "bin_A: expected a positive length"),
        (["{f}", "--rounds", "0", "--method", "estimate", "--csv", "a.csv"], 2, "--rounds 0"),
        (["{f}", "--frames", "0"], 2, "expected one frame or more"),
        (["{f}", "--step-A", "0.01"], 2, "is differentiated exactly; add --products differences"),
        (["{f}"], 1, "doesn't know atomic number 18"),
    ],
)  # fmt: skip
def test_mistakes_are_one_line(files, capsys, words, code, message):
    path = str(files / "argon.xyz")
    assert (
        main(["jacobian", *(word.format(f=path) if word == "{f}" else word for word in words)])
        == code
    )
    assert message in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--probes", "64"], "not used: --probes; the whole Jacobian is taken"),
        (["--rounds", "2", "--probes", "4"], "not used: --probes and --rounds; the whole"),
        (["--probes", "4", "--rounds", "0", "--method", "estimate"], None),
        (["--precision", "float64"], "not used: --precision float64; it is that of exact prod"),
        (["--precision", "model"], "not used: --precision model; it is that of exact products"),
        ([], None),
    ],
)
def test_what_is_not_used_is_said(files, capsys, words, said):
    path = str(files / "argon.xyz@0")
    assert main(["jacobian", path, "--model", HARMONIC, "--kind", "direct", *words]) == 0
    error = capsys.readouterr().err
    assert said in error if said else "not used" not in error


def test_frames_of_files(files):
    path = str(files / "argon.xyz")
    assert [f.name for f in read_frames([path])] == ["argon.xyz@0", "argon.xyz@1"]
    assert len(read_frames([path, path + "@1"])) == 3
    assert [f.name for f in read_frames([path + "@1:", path + "@1"])] == ["argon.xyz@1"] * 2
    assert [f.name for f in read_frames([path + "@::1"])] == ["argon.xyz@0", "argon.xyz@1"]
    assert len(read_frames([path, path], 2)) == 2
    (last,) = read_frames([path + "@-1"])
    assert last.structure.positions[0, 0] == pytest.approx(
        read_frames([path])[1].structure.positions[0, 0]
    )
    (files / "bad.xyz").write_text("nonsense\n")
    with pytest.raises(InputError, match="can't be read by ASE"):
        read_frames([str(files / "bad.xyz")])
