"""The first table of the page: yes and no only where the error allows it."""

import pytest

pytest.importorskip("torch")


@pytest.fixture
def summary(script):
    return script("reproduction.summary")


def test_the_first_table_says_yes_only_beyond_the_error(summary):
    def heat(drift, error):
        row = {
            "drift_conserved_meV_per_atom_per_ps": drift,
            "drift_conserved_ci95_meV_per_atom_per_ps": error,
        }
        return {"nve-water-fast": {"result": {"drift": {"runs": [row]}}}}

    def answer(*numbers):
        return [line.split("|")[-2].strip() for line in summary.summary(heat(*numbers))[4:5]]

    assert answer(2.6, 1.2) == ["yes"]
    assert answer(1.1, 1.2) == ["open"]
    assert answer(-2.6, 1.2) == ["no"]
    assert answer(2.6, None) == ["open"]
    assert answer(2.6, 0.0) == ["yes"]
    assert answer(0.0, 0.0) == ["open"]
    assert summary.summary({}) == []


@pytest.mark.parametrize(
    ("direct", "mts", "answers"),
    [
        ((-14.0, 2.0), (-2.0, 2.0), ["yes", "no difference seen"]),
        ((-3.0, 2.0), (-9.0, 2.0), ["no difference seen", "no"]),
        ((-14.0, None), (-2.0, None), ["open", "open"]),
    ],
)
def test_equipartition_in_the_first_table_is_against_conservative_forces(
    summary, direct, mts, answers
):
    def run(value, error):
        keys = ("temperature_H_minus_O_K", "temperature_H_minus_O_standard_error_K")
        return {"result": {"temperature": dict(zip(keys, (value, error), strict=True))}}

    records = {
        "svr10-slow": run(-1.0, 1.5),
        "svr10-fast": run(*direct),
        "svr10-mts8": run(*mts),
    }
    rows = summary.summary(records)[4:6]
    assert [row.split("|")[-2].strip() for row in rows] == answers


def test_the_first_table_of_what_is_committed_has_all_its_rows(summary, script):
    known = script("reproduction.recorded").records()
    for make in summary.ROWS:
        rows = list(make(known))
        assert rows, make.__name__
        assert all(len(row) == len(summary.COLUMNS) and all(row) for row in rows)
