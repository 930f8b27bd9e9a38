"""Several replicas and one model: which requests share a call, and whose trouble is whose."""

import contextlib
import itertools
import socket
import threading

import numpy as np
import pytest

from ncforce_ipi.backend import Evaluation, Structure
from ncforce_ipi.errors import InputError, ModelError, NcforceError, OutputError, ProtocolError
from ncforce_ipi.serve import client, replicas, sockets
from ncforce_ipi.serve.claims import Claims
from ncforce_ipi.serve.connection import Connection
from ncforce_ipi.serve.evaluator import Evaluator
from ncforce_ipi.serve.pulse import Pulse, read
from ncforce_ipi.serve.replicas import Replica, grouped
from ncforce_ipi.serve.requests import Request
from ncforce_ipi.serve.sockets import Address
from tests.ipi_server import Server
from tests.serve.test_client import CELL, CLOSE, Springs

NEVER_S = 1e6  # a wait of this length would be noticed: tests end after 300 s


@pytest.fixture(autouse=True)
def _no_waits(monkeypatch):
    monkeypatch.setattr(sockets, "HANG_UP_S", 0.1)
    monkeypatch.setattr(replicas, "LAG_S", NEVER_S)


class Together(Springs):
    """Springs in batches; ``calls`` has the number of structures of each call."""

    batched = True
    bad = None  # number of atoms of a structure that the model fails for

    def __init__(self):
        super().__init__()
        self.calls = []

    def evaluate_batch(self, structures, wanted):
        self.calls.append(len(structures))
        return [self.evaluate(structure, wanted) for structure in structures]

    def evaluate(self, structure, wanted):
        found = super().evaluate(structure, wanted)
        if len(structure.numbers) != self.bad:
            return found
        nan = Evaluation(np.nan, np.full_like(structure.positions, np.nan), np.zeros((3, 3)))
        return dict.fromkeys(found, nan)


def water(n_atoms, seed):
    return np.random.default_rng(seed).normal(size=(n_atoms, 3))


@contextlib.contextmanager
def serving(sizes, roles=("slow",), backend=None, **changes):
    """Serve replicas of so many atoms in a thread; give what servers have of each, and the rest."""
    backend = backend or Together()
    kinds = {"slow": "conservative", "fast": "direct"}
    evaluator = Evaluator(backend, {role: kinds[role] for role in roles})
    stop, stopper = socket.socketpair()
    served, theirs = [], []
    for k, n_atoms in enumerate(sizes):
        pairs = {role: socket.socketpair() for role in roles}
        numbers = np.ones(n_atoms, np.int32)
        connections = [
            Connection(role, ours, numbers, **changes.get("connection", {}))
            for role, (ours, _) in pairs.items()
        ]
        served.append(Replica(connections, evaluator.trajectory(), name=f"replica {k}"))
        theirs.append([Server(there) for _, there in pairs.values()])
    outcome = {"replicas": served, "backend": backend, "stopper": stopper, "ended": []}

    def target():
        try:
            outcome["end"] = client.serve(
                served, evaluator, idle_s=changes.get("idle_s", NEVER_S), stop=stop,
                ended=outcome["ended"].append,
            )  # fmt: skip
        except NcforceError as err:
            outcome["error"] = err
        finally:
            sockets.hang_up([each.sock for one in served for each in one.connections])

    thread = outcome["thread"] = threading.Thread(target=target)
    thread.start()
    try:
        yield [each[0] if len(roles) == 1 else each for each in theirs], outcome
    finally:
        for server in itertools.chain(*theirs):
            server.sock.close()
        thread.join(20.0)
        stop.close()
        stopper.close()


def ended(outcome):
    outcome["thread"].join(20.0)
    if "error" in outcome:
        raise outcome["error"]
    return outcome["end"]


def settled(server):
    """Wait until what was sent before by others has been read: the driver is a single thread."""
    assert server.status() in ("NEEDINIT", "READY")


@pytest.mark.parametrize(
    ("n_atoms", "at_once", "expected"),
    [
        ([192] * 3, 256, [1, 1, 1]),
        ([128] * 3, 256, [2, 1]),
        ([12] * 30, 256, [21, 9]),
        ([300, 3, 3, 250, 4], 256, [1, 3, 1]),
        ([192] * 64, np.inf, [64]),
        ([3] * 4, 0, [1, 1, 1, 1]),
    ],
)
def test_groups_fit_into_one_call(n_atoms, at_once, expected):
    evaluator = Evaluator(Together(), {"slow": "conservative"})
    made = [
        Replica([Connection("slow", None, np.ones(n, np.int32))], evaluator.trajectory())
        for n in n_atoms
    ]
    groups = grouped(made, at_once)
    assert [len(group.replicas) for group in groups] == expected
    assert [each for group in groups for each in group.replicas] == made


def test_a_group_is_one_call_when_the_last_of_it_has_asked():
    """Structures of different sizes; each gets its own forces."""
    sizes = [3, 6, 2, 3]
    with serving(sizes) as (servers, outcome):
        for step in range(3):
            asked = [water(n, 10 * step + k) for k, n in enumerate(sizes)]
            for server, positions in zip(servers[:3], asked, strict=False):
                server.ask(positions, CELL)
            settled(servers[3])
            assert outcome["backend"].calls == [4] * step
            servers[3].ask(asked[3], CELL)
            for server, positions in zip(servers, asked, strict=True):
                np.testing.assert_allclose(server.forces()[1], -positions, **CLOSE)
        for server in servers:
            server.exit()
        assert ended(outcome).count("EXIT from the server") == 4
    assert outcome["backend"].calls == [4, 4, 4]
    assert len(outcome["ended"]) == 4
    tallies = [one.connections[0].tally.evaluations for one in outcome["replicas"]]
    assert tallies == [3, 3, 3, 3]


def test_where_a_call_takes_one_structure_nobody_waits():
    with serving([3, 3], backend=Springs()) as (servers, outcome):
        for step in range(3):
            servers[0].ask(water(3, step), CELL)
            servers[0].forces()
        servers[1].ask(water(3, 7), CELL)
        servers[1].forces()
    assert len(outcome["backend"].asked) == 4


def test_replicas_of_different_roles_are_two_calls():
    """One whose slow force is asked for, as at another phase, doesn't hold up the fast ones."""
    with serving([3, 3], ("slow", "fast")) as (((slow, _), (_, fast)), outcome):
        slow.ask(water(3, 0), CELL)
        fast.ask(water(3, 1), CELL)
        np.testing.assert_allclose(slow.forces()[1], -water(3, 0), **CLOSE)
        expected = water(3, 1).mean(axis=0) - water(3, 1)
        np.testing.assert_allclose(fast.forces()[1], expected, **CLOSE)
    assert sum(outcome["backend"].calls) == 2


def test_one_that_asks_for_nothing_is_waited_for_once(monkeypatch):
    monkeypatch.setattr(replicas, "LAG_S", 1.0)  # the first two are to come within it
    with serving([3, 3, 3]) as (servers, outcome):
        for server in servers[:2]:
            server.ask(water(3, 0), CELL)
        for server in servers[:2]:
            server.forces()
        assert outcome["backend"].calls == [2]
        assert [one.lagging for one in outcome["replicas"]] == [False, False, True]
        monkeypatch.setattr(replicas, "LAG_S", NEVER_S)
        for server in servers[:2]:
            server.ask(water(3, 1), CELL)
        for server in servers[:2]:
            server.forces()
        assert outcome["backend"].calls == [2, 2]
        servers[2].ask(water(3, 2), CELL)  # it is back: one of three again
        settled(servers[0])
        assert outcome["backend"].calls == [2, 2]
        for server in servers[:2]:
            server.ask(water(3, 3), CELL)
        for server in servers:
            server.forces()
        assert outcome["backend"].calls == [2, 2, 3]


@pytest.mark.parametrize("how", ["EXIT", "end of file", "before its answer"])
def test_one_that_leaves_is_not_waited_for(how):
    with serving([3, 3, 3]) as (servers, outcome):
        for server in servers[:2]:
            server.ask(water(3, 0), CELL)
        if how == "before its answer":
            servers[2].ask(water(3, 0), CELL)
            servers[2].sock.close()
        else:
            settled(servers[2])
            assert outcome["backend"].calls == []
            servers[2].exit() if how == "EXIT" else servers[2].sock.close()
        for server in servers[:2]:
            server.forces()
            server.ask(water(3, 1), CELL)
        for server in servers[:2]:
            server.forces()
            server.exit()
        assert "replica 2 slow: " in ended(outcome)
    assert outcome["ended"][0] is outcome["replicas"][2]


def test_a_broken_protocol_is_the_trouble_of_one():
    with serving([3, 3]) as (servers, outcome):
        servers[0].sock.sendall(b"HTTP/1.1 200")
        with pytest.raises(EOFError):
            servers[0].read(1)
        servers[1].ask(water(3, 0), CELL)
        servers[1].forces()
        servers[1].exit()
        match = r"replica 0: role slow got 'HTTP.*\(of 2 replicas 1 failed\)"
        with pytest.raises(ProtocolError, match=match):
            ended(outcome)
    assert outcome["replicas"][0].end.startswith("ProtocolError: role slow got")


def test_an_input_of_another_model_is_the_trouble_of_one():
    claims = Claims("unix:x", "slow", "conservative", frozenset(["a"]), frozenset())
    with serving([3, 3], connection={"claims": claims}) as (servers, outcome):
        servers[0].init("ncforce_model : b")
        servers[1].init("ncforce_model : a")
        servers[1].ask(water(3, 0), CELL)
        servers[1].forces()
        servers[1].exit()
        with pytest.raises(InputError, match="replica 0: unix:x asks for model b"):
            ended(outcome)


def test_a_structure_that_the_model_fails_for_is_the_trouble_of_one():
    backend = Together()
    backend.bad = 6
    with serving([3, 6, 2], backend=backend) as (servers, outcome):
        for server, n in zip(servers, [3, 6, 2], strict=True):
            server.ask(water(n, n), CELL)
        for k, n in ((0, 3), (2, 2)):
            np.testing.assert_allclose(servers[k].forces()[1], -water(n, n), **CLOSE)
        with pytest.raises(EOFError):
            servers[1].forces()
        assert backend.calls == [3, 1, 1, 1]
        servers[0].ask(water(3, 1), CELL)
        servers[2].ask(water(2, 1), CELL)
        for server in (servers[0], servers[2]):
            server.forces()
            server.exit()
        with pytest.raises(OutputError, match="replica 1: springs: the conservative force is not"):
            ended(outcome)
    assert backend.calls == [3, 1, 1, 1, 2]
    assert "(role slow, evaluation 0)" in outcome["replicas"][1].end


def test_a_model_that_fails_ends_all():
    backend = Together()
    backend.bad = 3
    with serving([3, 3], backend=backend) as (servers, outcome):
        for server in servers:
            server.ask(water(3, 0), CELL)
        with pytest.raises(ModelError, match=r"replica 0.*\(of 2 replicas 2 failed\)"):
            ended(outcome)


def test_stop_answers_who_has_asked_and_waits_for_nobody():
    with serving([3, 3]) as (servers, outcome):
        servers[0].ask(water(3, 0), CELL)
        settled(servers[1])
        outcome["stopper"].send(b"!")
        servers[0].forces()
        assert ended(outcome) == "asked to stop"
    assert outcome["backend"].calls == [1]


def test_beads_of_replicas_share_a_call():
    with serving([3, 3]) as (servers, outcome):
        many = [[water(3, 10 * k + bead) for bead in range(4)] for k in range(2)]
        for server, beads in zip(servers, many, strict=True):
            server.init("batch_size:4")
            server.ask_batch(beads, CELL)
        for server, beads in zip(servers, many, strict=True):
            for positions, (_, forces, _) in zip(beads, server.batch_forces(4), strict=True):
                np.testing.assert_allclose(forces, -positions, **CLOSE)
    assert outcome["backend"].calls == [8]


def test_each_replica_has_its_pulse(tmp_path):
    with serving([3, 3]) as (servers, outcome):
        for k, replica in enumerate(outcome["replicas"]):
            replica.pulse = Pulse(tmp_path / f"{k}")
        for server in servers:
            server.ask(water(3, 0), CELL)
        for server in servers:
            server.forces()
        servers[1].exit()
        for step in range(2):
            servers[0].ask(water(3, step), CELL)
            servers[0].forces()
    assert [read(tmp_path / f"{k}").slow for k in range(2)] == [3, 1]


def test_a_silent_replica_is_no_silence_of_all():
    """All of them are silent only when nobody waits for an answer either."""
    with serving([3, 3], idle_s=0.05) as (servers, outcome):
        servers[0].ask(water(3, 0), CELL)
        servers[0].sock.settimeout(0.3)
        with pytest.raises(TimeoutError):
            servers[0].forces()
        servers[0].sock.settimeout(30.0)
        servers[1].ask(water(3, 0), CELL)
        servers[0].forces()
        with pytest.raises(ProtocolError, match="--idle-s"):
            ended(outcome)


def test_a_server_that_comes_again_is_served_again(tmp_path, monkeypatch):
    """As an i-PI that goes on from a checkpoint, with its sockets where they were."""
    monkeypatch.setattr(client, "LOOK_S", 0.02)
    path = f"{tmp_path}/slow"
    with serving([3, 3], connection={"address": Address(path=path)}) as (servers, outcome):
        for server in servers:
            server.ask(water(3, 0), CELL)
        for server in servers:
            server.forces()
        servers[1].sock.close()
        servers[0].ask(water(3, 1), CELL)
        servers[0].forces()
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            listener.listen(1)
            again = Server(listener.accept()[0])
        again.ask(water(3, 2), CELL)
        servers[0].ask(water(3, 2), CELL)
        np.testing.assert_allclose(again.forces()[1], -water(3, 2), **CLOSE)
        servers[0].forces()
        again.exit()
        servers[0].exit()
        ended(outcome)
    assert outcome["backend"].calls == [2, 1, 2]
    assert outcome["replicas"][1].connections[0].tally.evaluations == 2
    assert outcome["ended"].count(outcome["replicas"][1]) == 2


class Run:
    """What i-PI asks for in a run of M inner steps, one request after the other."""

    def __init__(self, mts, seed, start):
        self.mts, self.positions = mts, start.copy()
        self.velocities = np.random.default_rng(seed).normal(scale=0.01, size=start.shape)
        self.numbers = np.ones(len(start), np.int32)

    def requests(self):
        step = 0
        while True:
            structure = Structure(self.numbers, self.positions.copy(), CELL)
            yield structure, "fast"
            if step % self.mts == 0:
                yield structure, "slow"
            self.positions += self.velocities
            step += 1


@pytest.mark.parametrize("mts", [(4, 4, 4), (2, 3, 5)])
def test_predictions_of_replicas_know_nothing_of_each_other(mts):
    """They begin at one place and differ in M and phase: each saves all that one alone saves."""
    kinds = {"slow": "conservative", "fast": "direct"}
    start, backend = water(4, 0), Together()
    together = Evaluator(backend, kinds)
    trajectories = [together.trajectory() for _ in mts]
    streams = [Run(m, k, start).requests() for k, m in enumerate(mts)]
    alone = [Evaluator(Springs(), kinds) for _ in mts]
    for _ in range(60):
        asked = [next(stream) for stream in streams]
        found = together.evaluate_requests(
            [Request(t, [s], role) for t, (s, role) in zip(trajectories, asked, strict=True)]
        )
        for (structure, role), (evaluation,), one in zip(asked, found, alone, strict=True):
            expected = one.evaluate(structure, role)
            np.testing.assert_array_equal(evaluation.forces, expected.forces)
            assert evaluation.energy == expected.energy
    assert [each.counts for each in trajectories] == [each.counts for each in alone]
    assert all(each.counts.hits > 60 // (max(mts) + 1) - 2 for each in trajectories)
    if len(set(mts)) == 1:  # in step: one call for all, and none where all is remembered
        assert set(backend.calls) == {3}
        assert together.calls.joint + together.calls.single == 60 - alone[0].counts.hits
