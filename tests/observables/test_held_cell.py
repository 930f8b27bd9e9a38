"""Barostats that hold a part of the cell: no verdict from a quantity that isn't conserved."""

import pytest

from ncforce_ipi.errors import InputError
from ncforce_ipi.observables import drift, power
from ncforce_ipi.observables.analyse import analyse
from ncforce_ipi.observables.dataset import open_dataset
from ncforce_ipi.observables.headline import conservative
from ncforce_ipi.observables.options import Options
from tests.synthetic_run import write_record, write_run

BAROSTATS = {"in-plane": True, "flexible": False}


def run(tmp_path, barostat, name="run"):
    write_run(tmp_path / name)
    write_record(tmp_path / name, 81, ensemble={"name": "npt", "barostat": barostat})
    return open_dataset([tmp_path / name], Options())


@pytest.mark.parametrize("barostat", BAROSTATS)
def test_no_verdict_and_no_power_where_the_cell_is_held(tmp_path, barostat):
    data, leaks = run(tmp_path, barostat), BAROSTATS[barostat]
    found = drift.measure(data)
    assert found.conserved is not None
    assert ("lambench" in found.to_dict()["runs"][0]) is not leaks
    assert any("LAMBench" in text for _, text in found.lines()) is not leaks
    assert any("a part of the cell is held" in text for _, text in found.lines()) is leaks
    answer, sentence = conservative(found)
    if leaks:
        assert answer == "open"
        assert "gains energy with exact forces too" in sentence
        with pytest.raises(InputError, match=r"a part of the cell is held .* at constant volume"):
            power.measure(data)
    else:
        assert answer != "open" or "too short" in sentence
        assert power.measure(data).runs
    assert ("power" in analyse(data).available) is not leaks


def test_a_checkpoint_of_ipi_says_it_too(tmp_path):
    """A run by hand: i-PI's own words decide."""
    run(tmp_path, "in-plane")
    for name in ("run.json", "input.xml"):
        (tmp_path / "run" / name).unlink()
    (tmp_path / "run" / "RESTART").write_text(
        """<simulation><output prefix="simulation"/><system><motion mode="dynamics">
        <dynamics mode="npt"><timestep units="femtosecond"> 4 </timestep>
        <barostat mode="flexible"><hfix shape="(3)"> [ zz, xz, yz ] </hfix></barostat>
        </dynamics></motion></system></simulation>"""
    )
    data = open_dataset([tmp_path / "run"], Options(n_atoms=81, masses_u={"H": 1.008, "O": 15.999}))
    assert data.first.metadata.held_cell
    assert "lambench" not in drift.measure(data).to_dict()["runs"][0]


def test_a_table_of_runs_says_it(tmp_path):
    from ncforce_ipi.observables.comparison import compare
    from ncforce_ipi.report.comparison import table

    data = {name: run(tmp_path, name, name) for name in BAROSTATS}
    lines = table(compare(data).entries, named=True).splitlines()
    told = [
        line for line in lines if line.endswith("held cell: its drift isn't that of the forces")
    ]
    assert [line.split()[0] for line in told] == ["in-plane"]
