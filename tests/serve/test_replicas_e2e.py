"""Real i-PI, one process for each replica: what one driver serves is what each alone would get."""

import contextlib
import json
import signal
import sys

import pytest

from tests.ipi_host import ANALYTIC, HERE, TIMEOUT_S, host, molecules

pytest.importorskip("ipi")
pytestmark = pytest.mark.e2e


def two_molecules():
    """The first two of ``molecules``: another size."""
    lines = molecules().splitlines()
    return "\n".join(["6", *lines[1:8]]) + "\n"


def words(program, hosts, role="both"):
    """A driver of these i-PIs, with a report in the directory of each."""
    where = [str(one.directory) for one in hosts]
    return [
        sys.executable, *program, "--role", role, "--wait-s", str(TIMEOUT_S),
        "--socket-dir", *where,
        "--structure", *(f"{directory}/start.extxyz" for directory in where),
        "--report", *(f"{directory}/report.json" for directory in where),
    ]  # fmt: skip


def report(one):
    return json.loads(one.text("report.json"))


ANALYTIC_WORDS = [ANALYTIC, "driver", "analytic", "--model", str(HERE / "conftest.py")]


@contextlib.contextmanager
def hosts(folder, *changes):
    """A host and its i-PI for each set of changes of the input."""
    with contextlib.ExitStack() as stack:
        made = [stack.enter_context(host(folder / f"{k}")) for k in range(len(changes))]
        yield [(one, one.ipi(**change)) for one, change in zip(made, changes, strict=True)]


def alone(folder, **changes):
    """What the same i-PI leaves with a driver of its own."""
    with host(folder) as it:
        server = it.ipi(**changes)
        it.driver("driver", "both")
        return it.finish(server)


def test_each_is_bitwise_as_alone(tmp_path):
    """Of different sizes, with beads, and with another M; counts are those of each."""
    changes = [
        {},
        {"structure": two_molecules(), "n_outer": 12},
        {"n_beads": 2, "mts": 2, "n_outer": 8},
    ]
    with hosts(tmp_path, *changes) as made:
        first = made[0][0]
        driver = first.start(words(ANALYTIC_WORDS, [one for one, _ in made]), "driver")
        found = [one.finish(server) for one, server in made]
        assert driver.wait(TIMEOUT_S) == 0
        roles = [report(one)["roles"] for one, _ in made]
        atoms = [report(one)["n_atoms"] for one, _ in made]
    for k, change in enumerate(changes):
        assert found[k] == alone(tmp_path / f"alone{k}", **change)
    assert atoms == [12, 6, 12]
    counts = [[each[role]["evaluations"] for role in ("slow", "fast")] for each in roles]
    assert counts == [[21, 81], [13, 49], [2 * 9, 2 * 17]]  # at the start once, then each step


def test_two_that_fall_out_leave_the_others_as_alone(tmp_path):
    """One is killed, one stopped for good: batches there are none, so nobody waits for them."""
    with hosts(tmp_path, {"n_outer": 100_000}, {"n_outer": 100_000}, {"n_outer": 300}) as made:
        (killed, its_server), (stopped, stopped_server), (third, server) = made
        driver = third.start(words(ANALYTIC_WORDS, [killed, stopped, third]), "driver")
        for one in (killed, stopped):
            one.wait_for("MD step", "ipi.log")
        its_server.kill()
        stopped_server.send_signal(signal.SIGSTOP)
        found = third.finish(server)
        driver.send_signal(signal.SIGTERM)
        assert driver.wait(TIMEOUT_S) == 0
        ends = [report(one)["end"] for one in (killed, stopped, third)]
    assert found == alone(tmp_path / "alone", n_outer=300)
    assert "slow: " in ends[0]
    assert ends[1:] == ["asked to stop", "slow: EXIT from the server, fast: EXIT from the server"]


def test_forces_that_are_not_finite_end_one_and_not_the_other(tmp_path):
    """Runs of different sizes: of two equal ones, the other would come to the bad positions too."""
    fault = tmp_path / "fault"
    fault.write_text("nan 20")
    changes = [{}, {"structure": two_molecules()}]
    with hosts(tmp_path, *changes) as made:
        ours = [one for one, _ in made]
        driver = ours[0].start(words(ANALYTIC_WORDS, ours), "driver", NCFORCE_TEST_FAULT=str(fault))
        for _ in range(20 * TIMEOUT_S):
            ended = [k for k, one in enumerate(ours) if (one.directory / "report.json").exists()]
            with contextlib.suppress(Exception):
                driver.wait(0.05)
            if len(ended) == 2:
                break
        assert driver.wait(TIMEOUT_S) == 1
        assert "isn't served any more: analytic: the" in ours[0].text("driver")
        ends = [report(one)["end"] for one in ours]
        (good,) = [k for k, end in enumerate(ends) if "EXIT" in end]
        assert ends[1 - good].startswith("OutputError: analytic: the")
        found = made[good][0].finish(made[good][1])
    assert found == alone(tmp_path / "alone", **changes[good])


def test_small_molecules_share_calls_and_the_order_is_no_matter(tmp_path, random_model):
    """As many calls as one alone would make; twice the same to the last bit."""
    pytest.importorskip("torch")
    model = ["-m", "ncforce_ipi", "driver", "metatomic", "--model", str(random_model("float64"))]
    found, calls = [], []
    for k in range(2):
        folder = tmp_path / f"{k}"
        folder.mkdir()
        changes = [{"structure": two_molecules(), "n_outer": 6}, {"n_outer": 6}]
        with hosts(folder, *changes) as made:
            ours = [one for one, _ in made]
            driver = ours[0].start(words(model, ours), "driver")
            found.append([one.finish(server) for one, server in made])
            assert driver.wait(TIMEOUT_S) == 0
            calls.append(report(ours[0])["calls"])
    assert found[0] == found[1]
    assert calls[0] == calls[1]
    # fast forces: at the start and in each of 6 x 4 inner steps; slow ones with them, but for the
    # first outer step, when M isn't known yet
    assert calls[0]["single"] + calls[0]["joint"] == 25 + 1
