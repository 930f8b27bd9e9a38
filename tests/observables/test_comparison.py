"""Runs side by side: the numbers of each, and the files that hold them."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest

from ncforce_ipi.observables.comparison import ratio_to_fast
from ncforce_ipi.observables.entries import read_entry
from ncforce_ipi.report.comparison import rows, table, write_files

COLUMNS = ("step", "time{picosecond}", "conserved{electronvolt}", "temperature{kelvin}",
           "temperature(H){kelvin}", "temperature(O){kelvin}")  # fmt: skip
N_ATOMS = 192


def write(directory, forces, m, *, drift=0.0, heating=0.0, split=0.0, ms=10.0, state="finished"):
    """A run with drift (meV/atom/ps), heating (K/ps) and T(H) - T(O) = split (K)."""
    directory.mkdir(parents=True)
    rng = np.random.default_rng(m)
    time_ps = 5e-4 * m * np.arange(2000)
    noise = rng.normal(size=(3, len(time_ps)))
    conserved = 1e-3 * N_ATOMS * (drift * time_ps + 0.1 * noise[0])
    temperature = 300.0 + heating * time_ps + 5 * noise[1]
    hydrogen = temperature + split + noise[2]
    values = [np.arange(len(time_ps)), time_ps, conserved, temperature, hydrogen, temperature]
    head = "\n".join(f"column {i + 1:3d}     --> {name} : x" for i, name in enumerate(COLUMNS))
    np.savetxt(directory / "simulation.out", np.transpose(values), "%.17e", header=head)
    record = {
        "plan": {"forces": forces, "mts": m, "outer_step_fs": 0.5 * m},
        "state": state,
        "reason": "" if state == "finished" else "901 K passed 900 K",
        "n_atoms": N_ATOMS,
        "masses_u": {"H": 1.008, "O": 15.999},
        "temperature_K": 300.0,
        "timings": {"ms_per_inner_step": ms, "wall_s": 10.0, "model_s": {"fast": 8.0}},
    }
    (directory / "run.json").write_text(json.dumps(record))
    (directory / "init.xyz").write_text("192\n\n" + "O 0 0 0\nH 0 0 0\nH 0 0 0\n" * 64)
    return read_entry(directory)


@pytest.fixture
def entries(tmp_path):
    """Slow, fast and two ratios of MTS."""
    return [
        write(tmp_path / "slow", "slow", 1, ms=30.0),
        write(tmp_path / "fast", "fast", 1, drift=80.0, heating=600.0, state="stopped"),
        write(tmp_path / "mts4", "mts", 4, drift=0.3, split=2.0, ms=15.0),
        write(tmp_path / "mts8", "mts", 8, drift=2.0, ms=12.5),
    ]


def test_drift_and_split(entries):
    _, _, mts4, mts8 = entries
    # the interval holds the truth 19 times in 20; seeds are fixed and twice it always does
    assert mts4.drift_conserved.slope == pytest.approx(0.3, abs=2 * mts4.drift_conserved.ci95)
    assert mts8.drift_conserved.slope == pytest.approx(2.0, abs=2 * mts8.drift_conserved.ci95)
    assert mts4.split.value == pytest.approx(2.0, abs=4 * mts4.split.error)  # 4 standard errors
    assert mts4.split.error == pytest.approx(1 / np.sqrt(2000), rel=0.3)  # white noise of 1 K
    assert mts4.split_name == "T(H)-T(O)"


def test_drift_ends_at_the_runaway(entries):
    fast = entries[1]
    assert fast.runaway_ps == pytest.approx(0.25, abs=0.03)  # 150 K at 600 K/ps; noise of 5 K
    assert fast.drift_temperature.end_ps < fast.runaway_ps
    assert fast.drift_temperature.start_ps == pytest.approx(0.1, abs=6e-4)  # one step
    assert all(entry.runaway_ps is None for entry in entries if entry is not fast)


def test_costs(entries):
    assert [ratio_to_fast(entry, entries) for entry in entries] == [3.0, 1.0, 1.5, 1.25]
    assert ratio_to_fast(entries[0], [entries[0]]) is None
    assert entries[2].model_ms_per_inner_step == pytest.approx(12.0, rel=1e-12)  # 8 of 10 s


def test_table(entries):
    lines = table(entries).splitlines()
    assert [line[:11].strip() for line in lines] == [
        "run", "slow only", "fast only", "MTS, M = 4", "MTS, M = 8",
    ]  # fmt: skip
    assert "901 K passed 900 K; drifts until T > 1.5 x start at" in lines[2]
    assert "+-" in lines[3]


def test_one_species_has_no_split(entries):
    alone = [replace(entry, split=None, split_name=None) for entry in entries]
    head, *_ = table(alone).splitlines()
    assert "T(H)-T(O), K" in table(entries).splitlines()[0]
    assert head.split("  ")[-2:] == ["ms/inner step", "ratio to fast"]
    assert "None" not in head


def test_files_say_the_same(entries, tmp_path):
    names = [path.name for path in write_files(entries, {"command": "x"}, tmp_path)]
    assert names == [
        "compare.json", "compare.csv", "compare.png", "compare.pdf", "drift_of_M.png",
        "drift_of_M.pdf",
    ]  # fmt: skip
    data = json.loads((tmp_path / "compare.json").read_text())
    assert data["provenance"] == {"command": "x"}
    assert data["runs"] == rows(entries)
    lines = (tmp_path / "compare.csv").read_text().splitlines()
    assert lines[0] == "# command: x"
    read = list(csv.DictReader(lines[1:]))
    key = "drift_conserved_meV_per_atom_per_ps"
    assert [float(row[key]) for row in read] == [row[key] for row in data["runs"]]


def test_one_ratio_needs_no_second_figure(entries, tmp_path):
    names = [path.name for path in write_files(entries[:3], {}, tmp_path)]
    assert "drift_of_M.png" not in names
    assert not (tmp_path / "drift_of_M.png").exists()


def test_a_run_of_a_few_steps_has_no_numbers_but_a_line(tmp_path):
    write(tmp_path / "slow", "slow", 1)
    path = tmp_path / "slow" / "simulation.out"
    path.write_text("\n".join(path.read_text().splitlines()[: len(COLUMNS) + 3]) + "\n")
    entry = read_entry(tmp_path / "slow")
    assert (entry.drift_conserved, entry.drift_temperature, entry.split) == (None, None, None)
    assert rows([entry])[0]["drift_conserved_meV_per_atom_per_ps"] is None
    assert table([entry]).splitlines()[1].split()[3:6] == ["-", "-", "-"]
