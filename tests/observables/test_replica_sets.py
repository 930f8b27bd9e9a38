"""Directories of replicas: what is averaged, what is kept apart, and whether errors are true."""

import json
import shutil

import numpy as np
import pytest

import ncforce_ipi as nc
from ncforce_ipi.analysis.statistics import (
    FEWEST_REPLICAS,
    Mean,
    combine,
    error_over_runs,
    mean_of,
    mean_of_slopes,
)
from ncforce_ipi.cli import main
from ncforce_ipi.errors import InputError
from ncforce_ipi.observables import drift, rdf, vdos
from ncforce_ipi.observables.conditions import open_conditions, replica_lines
from ncforce_ipi.observables.dataset import open_dataset
from tests.observables.replica_set import remembering, write_set
from tests.synthetic_run import DRIFT_MEV_PER_ATOM_PER_PS, write_run

TRIALS = 200
CHANCE = 0.0154  # standard deviation of a share of 95 % of so many


def share_within(half_widths, off):
    return np.mean(np.abs(off) <= half_widths)


@pytest.mark.parametrize(
    ("n_replicas", "memory", "slow"),
    [(2, 5.0, 0.0), (3, 5.0, 0.0), (4, 5.0, 0.0), (8, 5.0, 0.0), (4, 400.0, 0.0), (8, 5.0, 2.0)],
)
def test_the_95_percent_interval_of_a_mean_holds_the_truth(n_replicas, memory, slow):
    """Known mean and memory: also of replicas shorter than their memory, and of a part that stays.

    The share within may be off by chance, three times its standard deviation; the errors of two
    and three come from estimated memories, which takes up to 2 % off.
    """
    rng = np.random.default_rng(1)
    off, half_widths = [], []
    for _ in range(TRIALS):
        means = [
            mean_of(rng.normal(scale=slow) + remembering(rng, 500, memory, 3.0))
            for _ in range(n_replicas)
        ]
        found = combine(means, [1.0] * n_replicas)
        off.append(found.value)
        half_widths.append(found.half_width(0.95))
    assert 0.95 - 0.02 - 3 * CHANCE < share_within(half_widths, off) <= 0.95 + 3 * CHANCE


def test_two_short_replicas_have_no_error():
    """Their spread says too little, and they don't know their own memory."""
    rng = np.random.default_rng(2)
    means = [mean_of(remembering(rng, 200, 100.0, 1.0)) for _ in range(2)]
    assert np.isnan(combine(means, [1.0, 1.0]).half_width(0.95))


@pytest.mark.parametrize("n_replicas", [2, 3, 4, 8])
def test_the_interval_of_a_mean_slope_holds_the_truth(n_replicas):
    """Gaussian slopes and intervals that are known: off by chance alone."""
    rng = np.random.default_rng(3)
    slopes = rng.normal(scale=0.3, size=(TRIALS, n_replicas))
    found = [mean_of_slopes(one, [1.96 * 0.3] * n_replicas) for one in slopes]
    share = share_within([ci95 for _, ci95 in found], [mean for mean, _ in found])
    assert abs(share - 0.95) < 3 * CHANCE


def test_two_or_three_slopes_have_their_own_intervals_or_none():
    """A spread of two that agree by chance would claim too much."""
    assert mean_of_slopes([1.0, 1.5], [0.3, 0.4]) == pytest.approx((1.25, 0.25))
    mean, ci95 = mean_of_slopes([1.0, 1.0, 3.1], [np.nan, 0.1, 0.1])
    assert mean == pytest.approx(1.7)
    assert np.isnan(ci95)
    _, ci95 = mean_of_slopes([0.0, 2.0, 0.0, 2.0], [np.nan] * 4)
    assert ci95 == pytest.approx(3.1824 / np.sqrt(3.0), rel=1e-4)  # t of three degrees of freedom


def test_errors_of_curves_are_those_of_the_runs():
    """Blocks of one run remember each other for good; runs know nothing of each other."""
    rng = np.random.default_rng(4)
    runs = rng.normal(size=(6, 1, 50))
    blocks = np.repeat(runs, 10, axis=1).reshape(60, 50)
    error = error_over_runs(blocks, np.ones(60), [10] * 6)
    np.testing.assert_allclose(error, runs[:, 0].std(axis=0, ddof=1) / np.sqrt(6))
    with pytest.raises(ValueError, match="60 blocks of runs"):
        error_over_runs(blocks, np.ones(60), [10] * 5)


@pytest.fixture(scope="module")
def four(tmp_path_factory):
    """Four replicas with velocities and positions, each 4 ps of 27 molecules."""
    folder = tmp_path_factory.mktemp("set") / "demo"
    write_set(folder, [None] * 4)
    for k in range(4):
        if k == 0:
            write_run(folder / "replica-0", n_outer=400)
        else:
            shutil.copytree(folder / "replica-0", folder / f"replica-{k}")
            scale = folder / f"replica-{k}/simulation.vel_0.xyz"
            scale.write_text(_scaled(scale.read_text(), 1.0 + 0.01 * k))
            properties = folder / f"replica-{k}/simulation.out"
            properties.write_text(_off(properties.read_text(), 0.01 * k))
    return folder


def _off(text, difference):
    """Properties whose last number is another one: no copy of the same run."""
    rows = text.splitlines()
    *words, last = rows[-1].split()
    return "\n".join([*rows[:-1], " ".join([*words, repr(float(last) + difference)])]) + "\n"


def _scaled(text, factor):
    """Velocities times a factor."""
    lines = []
    for line in text.splitlines():
        words = line.split()
        if len(words) == 4 and not line.startswith("#"):
            line = " ".join([words[0], *(f"{factor * float(word):.8e}" for word in words[1:])])
        lines.append(line)
    return "\n".join(lines) + "\n"


def test_curves_have_bands_of_the_spread_of_replicas(four):
    (condition,) = open_conditions([four], whole=True)
    spectra = vdos.measure(condition.data)
    each = [vdos.measure(open_dataset([four / f"replica-{k}"])).spectrum for k in range(4)]
    densities = np.array([one.density["O"] for one in each])
    np.testing.assert_allclose(spectra.spectrum.density["O"], densities.mean(axis=0), rtol=1e-9)
    expected = densities.std(axis=0, ddof=1) / 2.0
    # of the highest: small numbers are differences of large ones
    np.testing.assert_allclose(
        spectra.spectrum.error["O"], expected, atol=1e-9 * expected.max(), rtol=1e-9
    )
    assert ("errors", "one standard error, from the spread of 4 replicas") in spectra.lines()
    pairs = rdf.measure(condition.data)
    assert not np.isnan(pairs["O", "O"].error).any()  # fewer than 32 blocks would say nothing
    assert pairs.lines()[-1][1].endswith("from the spread of 4 replicas")


def test_every_verb_takes_the_directory(four, tmp_path, capsys):
    for verb in ("drift", "temperature", "rdf", "vdos"):
        out = tmp_path / f"{verb}.json"
        words = ["--json", str(out), "--csv", str(tmp_path / f"{verb}.csv")]
        assert main([verb, str(four), *words]) == 0
        text = capsys.readouterr().out
        assert text.startswith("replicas")
        numbers = json.loads(out.read_text())
        assert numbers["replicas"] == [f"replica-{k}" for k in range(4)]
    assert main(["analyze", str(four), "--out", str(tmp_path / "all")]) == 0
    assert "4 replicas" in capsys.readouterr().out
    assert main(["report", str(four), "--out", str(tmp_path / "r.html"), "--no-view"]) == 0
    page = (tmp_path / "r.html").read_text()
    assert page.count('<h2 id="') == 1
    assert main(["compare", str(four), str(four / "replica-0"), "--out", str(tmp_path / "c")]) == 0
    rows = json.loads((tmp_path / "c/compare.json").read_text())["runs"]
    assert [row["run"] for row in rows] == ["demo", "replica-0"]


def test_the_numbers_are_those_of_the_replicas_one_by_one(four):
    together = nc.open_run(four)
    alone = nc.open_run(*(four / f"replica-{k}" for k in range(4)))
    assert together.temperature()["H"] == alone.temperature()["H"]
    assert together.temperature()["H"].dof == 3.0
    assert together.drift().conserved.slope == pytest.approx(DRIFT_MEV_PER_ATOM_PER_PS, rel=0.1)
    assert [one.name for one in together.replicas] == [f"replica-{k}" for k in range(4)]
    assert together.directory == four


@pytest.fixture(scope="module")
def scan(tmp_path_factory):
    """Two temperatures with three replicas each, in an order that mixes them."""
    folder = tmp_path_factory.mktemp("set") / "scan"
    each = [{"mean_K": T, "target_K": T, "drift_meV": 1e-3 * T} for T in (280.0, 320.0)] * 3
    return write_set(folder, each)


def test_temperatures_are_never_averaged(scan, tmp_path, capsys):
    found = nc.open_replicas(scan)
    assert list(found) == ["280 K", "320 K"]
    assert [run.name for run in found.values()] == ["scan, 280 K", "scan, 320 K"]
    for expected_K, run in zip((280.0, 320.0), found.values(), strict=True):
        mean = run.drift().mean_temperature
        assert mean.value == pytest.approx(expected_K, abs=5.0 * mean.error)
        assert mean.error < 1.0
        assert len(run.data.sources) == 3
    with pytest.raises(InputError, match=r"2 conditions \(280 K; 320 K\), which aren't averaged"):
        nc.open_run(scan)
    words = ["--json", str(tmp_path / "d.json"), "--csv", str(tmp_path / "d.csv")]
    assert main(["drift", str(scan), *words]) == 0
    assert [line.split()[1:] for line in capsys.readouterr().out.splitlines()
            if line.startswith("condition")] == [["280", "K"], ["320", "K"]]  # fmt: skip
    parts = json.loads((tmp_path / "d.json").read_text())["conditions"]
    assert [part["temperature_K"] for part in parts] == [280.0, 320.0]
    assert (tmp_path / "d.csv").read_text().count("320 K") == 3 * 1000
    assert main(["compare", str(scan), "--out", str(tmp_path / "c")]) == 0
    rows = json.loads((tmp_path / "c/compare.json").read_text())["runs"]
    assert [row["run"] for row in rows] == ["scan, 280 K", "scan, 320 K"]
    assert [row["temperature_K"] for row in rows] == pytest.approx([280.0, 320.0], abs=2.0)
    assert main(["analyze", str(scan), "--out", str(tmp_path / "a")]) == 0
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == ["280_K", "320_K"]
    assert main(["report", str(scan), "--out", str(tmp_path / "r.html"), "--no-view"]) == 0
    assert (tmp_path / "r.html").read_text().count('<h2 id="') == 2


def test_a_temperature_that_the_user_gives_merges_nothing(scan):
    assert list(nc.open_replicas(scan, temperature_K=300.0)) == ["280 K", "320 K"]
    with pytest.raises(InputError, match="expected replicas at one temperature"):
        nc.open_run(scan / "replica-0", scan / "replica-1", temperature_K=300.0)


def test_paths_at_different_temperatures_are_no_replicas(scan, capsys):
    assert main(["drift", str(scan / "replica-0"), str(scan / "replica-1")]) == 2
    assert "at 280 K and" in capsys.readouterr().err
    assert main(["drift", str(scan / "replica-0"), str(scan / "replica-2")]) == 0


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"structure": "b.xyz", "start": {"structure_sha256": "cd"}}, ["init.xyz", "b.xyz"]),
        ({"start": {"structure_sha256": "cdefghijkl"}}, ["init.xyz ab", "init.xyz cdefghij"]),
        ({"plan": {"forces": "mts", "mts": 4, "inner_step_fs": 0.5, "outer_step_fs": 4.0}},
         ["mts M = 8, 0.5 fs", "mts M = 4, 0.5 fs"]),
        ({"ensemble": {"name": "nve"}}, ["svr", "nve"]),
        ({"seed": 7}, [""]),
    ],
)  # fmt: skip
def test_what_makes_a_condition(tmp_path, changes, names):
    folder = write_set(tmp_path / "set", [{}, changes, {}, changes])
    found = open_conditions([folder], whole=True)
    assert [one.name for one in found] == names
    assert sum(len(one.data.sources) for one in found) == 4


def test_what_is_unfinished_or_left_out_is_said(tmp_path, capsys):
    folder = write_set(tmp_path / "set", [
        {}, {"n_rows": 800, "state": "stopped", "reason": "SIGTERM"}, None,
        {"n_rows": 110, "state": "failed", "reason": "a disk was full"}, {},
    ])  # fmt: skip
    (condition,) = open_conditions([folder], whole=True)
    assert [source.name for source in condition.data.sources] == [
        "replica-0", "replica-1", "replica-4",
    ]  # fmt: skip
    assert replica_lines(condition.data) == [
        ("replicas", "3 of 5"),
        ("", "replica-1 stopped: SIGTERM; used"),
        ("", "replica-2 left out: it has written nothing yet"),
        ("", "replica-3 left out: failed after 10% of the longest: a disk was full"),
    ]
    assert main(["drift", str(folder)]) == 0
    assert "replica-3 left out" in capsys.readouterr().out
    assert main(["compare", str(folder), "--out", str(tmp_path / "c")]) == 0
    assert "replica-3 left out" in capsys.readouterr().out


def test_a_replica_that_was_lost_is_not_forgotten(tmp_path, capsys):
    """It is too short to be averaged, and still the forces aren't conservative."""
    folder = write_set(tmp_path / "set", [{}] * 4)
    path = folder / "replica-2/simulation.out"
    lines = path.read_text().splitlines(keepends=True)
    for k, line in enumerate(lines[200:], start=200):
        words = line.split()
        words[3:5] = [f"{100 * float(word):.6e}" for word in words[3:5]]
        words[2] = "1000.0"  # eV: more than that heat
        lines[k] = "  ".join(words) + "\n"
    path.write_text("".join(lines))
    assert main(["analyze", str(folder), "--out", str(tmp_path / "a")]) == 0
    text = capsys.readouterr().out
    assert "no: 1 of 4 replicas were lost, the first at 0.7" in text
    assert "replica-2 left out: lost at 0.7" in text


def test_nothing_yet(tmp_path):
    folder = write_set(tmp_path / "set", [None, None])
    with pytest.raises(InputError, match="none of 2 replicas has run yet"):
        nc.open_run(folder)


def test_few_replicas_use_their_own_errors(tmp_path):
    folder = write_set(tmp_path / "set", [{}] * (FEWEST_REPLICAS - 1))
    (condition,) = open_conditions([folder])
    runs = drift.measure(condition.data).runs
    means = [run.mean_temperature for run in runs]
    expected = np.sqrt(sum(mean.error**2 for mean in means)) / len(means)
    assert drift.measure(condition.data).mean_temperature.error == pytest.approx(expected)
    assert isinstance(means[0], Mean)


def test_a_running_set_is_said_once_and_by_its_own_name(tmp_path, capsys):
    folder = write_set(tmp_path / "set", [{"state": "running"}] * 2)
    assert main(["drift", str(folder)]) == 0
    said = capsys.readouterr().err
    assert said.count("the run in") == 1
    assert f"--out {folder}\n" in said
