"""The driver's state machine, seen from the server's end of a socket pair."""

import contextlib
import json
import select
import socket
import threading
import time

import numpy as np
import pytest

from ncforce_ipi.backend import Backend, Evaluation, Structure
from ncforce_ipi.errors import InputError, ModelError, NcforceError, ProtocolError, RunError
from ncforce_ipi.serve import client, sockets
from ncforce_ipi.serve.connection import Connection
from ncforce_ipi.serve.evaluator import Evaluator
from ncforce_ipi.serve.replicas import Replica
from tests.ipi_server import Server

NUMBERS = np.array([8, 1, 1], np.int32)
POSITIONS = np.array([[0.0, 0.1, 0.2], [1.0, 1.1, 1.2], [2.0, 2.1, 2.2]])
CELL = np.array([[9.0, 0.0, 0.0], [1.0, 8.0, 0.0], [0.5, 0.0, 7.0]])
# A -> Bohr -> A costs two roundings: a few 1e-16, relative
CLOSE = {"rtol": 1e-14, "atol": 1e-14}


@pytest.fixture(autouse=True)
def _short_farewell(monkeypatch):
    """Most servers of this file don't hang up: no need to wait for it at full length."""
    monkeypatch.setattr(sockets, "HANG_UP_S", 0.1)


class Springs(Backend):
    """A backend of springs to the origin; the direct force has a net force and breaks at will."""

    kinds = stress = frozenset(["conservative", "direct"])
    direct_energy = True
    species = frozenset([1, 8])
    description = "springs"

    def __init__(self) -> None:
        self.asked = []
        self.spoil = {}
        self.before = lambda: None

    def evaluate(self, structure: Structure, wanted):
        self.before()
        self.asked.append(wanted)
        r = structure.positions
        every = {
            "conservative": Evaluation(0.5 * (r**2).sum(), -r, -r.T @ r),
            "direct": Evaluation(np.nan, 1.0 - r, np.full((3, 3), np.nan)),
        }
        return {kind: self.spoil.get(kind, every[kind]) for kind in wanted.kinds}


@contextlib.contextmanager
def serving(roles=("slow",), backend=None, idle_s=10.0, **options):
    """Serve in a thread; give the servers' ends and what ``serve`` returned or raised."""
    backend = backend or Springs()
    kinds = {"slow": "conservative", "fast": "direct"}
    evaluator = Evaluator(backend, {role: kinds[role] for role in roles}, **options)
    pairs = {role: socket.socketpair() for role in roles}
    connections = [Connection(role, pairs[role][0], NUMBERS) for role in roles]
    replica = Replica(connections, evaluator.trajectory())
    stop, stopper = socket.socketpair()
    outcome = {"connections": connections, "stopper": stopper}

    def target():
        try:
            outcome["end"] = client.serve([replica], evaluator, idle_s=idle_s, stop=stop)
        except NcforceError as err:
            outcome["error"] = err
        finally:
            sockets.hang_up([connection.sock for connection in connections])

    thread = threading.Thread(target=target)
    thread.start()
    outcome["thread"] = thread
    try:
        yield *(Server(pairs[role][1]) for role in roles), outcome
    finally:
        for _, theirs in pairs.values():
            theirs.close()
        thread.join(20.0)
        stop.close()
        stopper.close()


def ended(outcome) -> str:
    outcome["thread"].join(20.0)
    if "error" in outcome:
        raise outcome["error"]
    return outcome["end"]


def test_the_states_in_their_order():
    with serving() as (server, outcome):
        assert server.status() == "NEEDINIT"
        server.init()
        assert server.status() == "READY"
        server.ask(POSITIONS, CELL, getforce=False)
        assert server.status() == "HAVEDATA"
        server.sock.sendall(b"GETFORCE    ")
        energy, forces, virial, extras = server.forces()
        np.testing.assert_allclose(forces, -POSITIONS, **CLOSE)
        np.testing.assert_allclose(virial, -POSITIONS.T @ POSITIONS, **CLOSE)
        assert energy == pytest.approx(0.5 * (POSITIONS**2).sum(), rel=1e-14)  # as CLOSE
        assert extras == ""
        assert server.status() == "READY"
        server.exit()
        assert ended(outcome) == "slow: EXIT from the server"


def test_posdata_and_getforce_in_one_message_many_times():
    with serving() as (server, outcome):
        server.init()
        for k in range(20):
            server.ask(POSITIONS + k, CELL)
            np.testing.assert_allclose(server.forces()[1], -POSITIONS - k, **CLOSE)
            assert server.status() == "READY"
        server.exit()
        ended(outcome)
        tally = outcome["connections"][0].tally
        assert tally.evaluations == 20
        assert tally.wire_s > 0.0


def test_the_cell_has_its_vectors_as_rows():
    seen = []
    backend = Springs()
    evaluate = backend.evaluate
    backend.evaluate = lambda structure, wanted: (
        seen.append(structure) or evaluate(structure, wanted)
    )
    with serving(backend=backend) as (server, _):
        server.ask(POSITIONS, CELL)
        server.forces()
    np.testing.assert_allclose(seen[0].cell, CELL, **CLOSE)


def test_the_model_is_called_only_after_getforce_was_read():
    backend = Springs()
    left = []
    with serving(backend=backend) as (server, outcome):
        ours = outcome["connections"][0].sock

        def peek():
            left.extend(select.select([ours], [], [], 0.0)[0])

        backend.before = peek
        server.ask(POSITIONS, CELL, getforce=False)
        assert server.status() == "HAVEDATA"
        assert backend.asked == []  # positions alone start nothing
        server.ask(POSITIONS, CELL)
        server.forces()
    assert len(backend.asked) == 1
    assert left == []


def test_positions_are_accepted_without_init():
    with serving() as (server, _):
        server.ask(POSITIONS, CELL)
        server.forces()
        assert server.status() == "READY"


def test_newer_positions_replace_unanswered_ones():
    with serving() as (server, _):
        server.ask(POSITIONS, CELL, getforce=False)
        server.ask(POSITIONS + 1, CELL)
        np.testing.assert_allclose(server.forces()[1], -POSITIONS - 1, **CLOSE)


def test_both_roles_on_one_model():
    with serving(("slow", "fast")) as (slow, fast, outcome):
        for server in (slow, fast):
            server.init()
        fast.ask(POSITIONS, CELL)
        slow.ask(POSITIONS, CELL)
        energy, forces, virial, _ = fast.forces()
        np.testing.assert_allclose(forces, POSITIONS.mean(axis=0) - POSITIONS, **CLOSE)
        assert energy == 0.0
        assert not virial.any()
        np.testing.assert_allclose(slow.forces()[1], -POSITIONS, **CLOSE)
        slow.exit()
        fast.ask(POSITIONS, CELL)  # the other goes on
        fast.forces()
        fast.exit()
        assert ended(outcome) == "slow: EXIT from the server, fast: EXIT from the server"


def test_the_net_force_of_direct_forces_can_be_kept():
    with serving(("fast",), keep_net_force=True) as (server, _):
        server.ask(POSITIONS, CELL)
        np.testing.assert_allclose(server.forces()[1], 1.0 - POSITIONS, **CLOSE)


def test_only_what_is_wanted_is_asked_of_the_model():
    backend = Springs()
    with serving(("fast",), backend=backend) as (server, _):
        server.ask(POSITIONS, CELL)
        server.forces()
    (wanted,) = backend.asked
    assert wanted.kinds == {"direct"}
    assert not wanted.direct_energy
    assert not wanted.direct_virial


def test_direct_energy_and_virial_are_sent_when_asked_for():
    backend = Springs()
    backend.spoil["direct"] = Evaluation(-3.0, np.zeros((3, 3)), np.eye(3))
    with serving(("fast",), backend=backend, direct_energy=True, direct_virial=True) as (server, _):
        server.ask(POSITIONS, CELL)
        energy, _, virial, _ = server.forces()
    assert energy == pytest.approx(-3.0, rel=1e-14)  # as CLOSE
    np.testing.assert_allclose(virial, np.eye(3), **CLOSE)


@pytest.mark.parametrize(
    ("role", "options", "evaluation", "match"),
    [
        (
            "slow",
            {},
            Evaluation(0.0, np.diag([1.0, np.inf, 1.0]), np.zeros((3, 3))),
            r"springs: the conservative force is not finite: atom 1 .* \(role slow, evaluation 1\)",
        ),
        (
            "slow",
            {},
            Evaluation(np.nan, np.eye(3), np.zeros((3, 3))),
            "conservative energy is not finite",
        ),
        (
            "slow",
            {},
            Evaluation(0.0, np.eye(3)[:2], np.zeros((3, 3))),
            r"springs: the conservative force is float64 \(2, 3\), expected .*\(3, 3\) \(role slow",
        ),
        ("fast", {"direct_energy": True}, None, "the direct energy is not finite"),
        (
            "fast",
            {"direct_virial": True},
            Evaluation(0.0, np.eye(3), np.full((3, 3), np.nan)),
            "direct virial needs three lattice vectors",
        ),
    ],
)
def test_what_is_not_finite_ends_the_driver(role, options, evaluation, match):
    backend = Springs()
    good = Evaluation(0.0, np.eye(3), np.zeros((3, 3)))
    kind = {"slow": "conservative", "fast": "direct"}[role]
    backend.spoil[kind] = good
    with serving((role,), backend=backend, **options) as (server, outcome):
        server.ask(POSITIONS, CELL)
        server.forces()
        backend.spoil[kind] = evaluation or Evaluation(np.nan, np.eye(3), np.zeros((3, 3)))
        server.ask(POSITIONS + 1, CELL)
        with pytest.raises(EOFError):  # an end of file, not a reset
            server.forces()
        with pytest.raises(ModelError, match=match):
            ended(outcome)


@pytest.mark.parametrize("header", [b"GETFORCE    ", b"READY       ", b"HTTP/1.1 200"])
def test_a_message_out_of_order(header):
    with serving() as (server, outcome):
        server.sock.sendall(header)
        with pytest.raises(ProtocolError, match="expected one of STATUS"):
            ended(outcome)


def test_a_batch_is_answered_in_its_order_and_its_filling_is_not_evaluated():
    backend = Springs()
    with serving(backend=backend) as (server, outcome):
        server.init(" , batch_size:4")
        many = [POSITIONS, POSITIONS + 1, POSITIONS + 2, POSITIONS + 2]
        server.ask_batch(many, CELL)
        for positions, (energy, forces, virial) in zip(many, server.batch_forces(4), strict=True):
            np.testing.assert_allclose(forces, -positions, **CLOSE)
            np.testing.assert_allclose(virial, -positions.T @ positions, **CLOSE)
            assert energy == pytest.approx(0.5 * (positions**2).sum(), rel=1e-14)  # as CLOSE
        assert server.status() == "READY"
        server.exit()
        ended(outcome)
    assert len(backend.asked) == 3


def test_copies_that_fill_a_batch_up_are_not_counted_and_beads_at_one_place_are():
    def structures(*shifts):
        return [Structure(np.ones(3, np.int32), POSITIONS + shift, CELL) for shift in shifts]

    ours, theirs = socket.socketpair()
    with ours, theirs:
        connection = Connection("slow", ours, np.ones(3, np.int32))
        connection.batch_size = 4
        connection.first = structures(0.0)[0]
        asked = [(0.0,) * 4, (1.0, 2.0, 2.0, 2.0), (1.0, 2.0, 3.0, 4.0), (5.0,) * 4]
        found = []
        for shifts in asked:
            connection.structures = structures(*shifts)
            found.append(connection.n_asked)
    assert found == [4, 2, 4, 1]


def test_a_batch_of_one_is_no_batch():
    with serving() as (server, _):
        server.init("batch_size:1")
        assert server.status() == "READY"


def test_another_number_of_atoms():
    with serving() as (server, outcome):
        server.ask(POSITIONS[:2], CELL)
        with pytest.raises(ProtocolError, match="sends 2 atoms, expected 3"):
            ended(outcome)


def test_end_of_file():
    with serving() as (server, outcome):
        server.sock.close()
        assert ended(outcome) == "slow: end of file"


def test_a_silent_server_is_left_in_the_end():
    with serving(idle_s=0.05) as (_, outcome), pytest.raises(ProtocolError, match="--idle-s"):
        ended(outcome)


def test_stop_without_a_pending_request():
    with serving() as (server, outcome):
        server.init()
        outcome["stopper"].send(b"!")
        assert ended(outcome) == "asked to stop"


def test_stop_answers_the_request_that_has_begun(monkeypatch):
    monkeypatch.setattr(sockets, "HANG_UP_S", 20.0)  # longer than the test takes
    with serving() as (server, outcome):
        server.ask(POSITIONS, CELL, getforce=False)
        assert server.status() == "HAVEDATA"
        outcome["stopper"].send(b"!")
        time.sleep(0.1)  # the driver has seen it by now; if not, the test passes for less reason
        server.sock.sendall(b"GETFORCE    ")
        np.testing.assert_allclose(server.forces()[1], -POSITIONS, **CLOSE)
        with pytest.raises(EOFError):
            server.read(1)
        # i-PI may send its next request before it sees that: it must not get a reset
        server.ask(POSITIONS, CELL)
        with pytest.raises(EOFError):
            server.forces()
        server.sock.close()
        assert ended(outcome) == "asked to stop"


def test_stop_does_not_wait_for_a_getforce_that_never_comes(monkeypatch):
    monkeypatch.setattr(client, "LAST_WORDS_S", 0.05)
    with serving() as (server, outcome):
        server.ask(POSITIONS, CELL, getforce=False)
        assert server.status() == "HAVEDATA"
        outcome["stopper"].send(b"!")
        with pytest.raises(EOFError):
            server.read(1)
        server.sock.close()
        assert ended(outcome) == "asked to stop, with a request unfinished"


def test_a_kind_that_the_model_lacks():
    backend = Springs()
    backend.kinds = frozenset(["conservative"])
    with pytest.raises(ModelError, match="no direct forces, which role fast needs"):
        Evaluator(backend, {"fast": "direct"})


def test_a_socket_path_that_fits_exactly_and_one_that_does_not():
    sockets.Address(path="/" + "x" * 106).check()
    with pytest.raises(InputError, match="has 108 bytes, expected at most 107"):
        sockets.Address(path="/" + "x" * 107).check()


def test_bytes_not_characters_count_in_a_socket_path():
    with pytest.raises(InputError, match="108 bytes"):
        sockets.Address(path="/x" + "é" * 53).check()


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_ports_that_do_not_exist(port):
    with pytest.raises(InputError, match="not between 1 and 65535"):
        sockets.Address(host="localhost", port=port).check()


def test_the_wait_for_a_server_is_bounded(tmp_path):
    with pytest.raises(RunError, match=r"within 0.1 s .*--wait-s"):
        sockets.connect(sockets.Address(path=f"{tmp_path}/nobody"), wait_s=0.1)


def test_a_host_that_does_not_exist_is_not_waited_for():
    with pytest.raises(RunError, match="can't be reached"):
        sockets.connect(sockets.Address(host="no.such.host.invalid", port=1), wait_s=600)


def test_a_server_that_comes_up_late(tmp_path):
    path = f"{tmp_path}/late"
    with socket.socket(socket.AF_UNIX) as listener:

        def listen():
            listener.bind(path)
            listener.listen(1)

        timer = threading.Timer(0.2, listen)
        timer.start()
        sock = sockets.connect(sockets.Address(path=path), wait_s=20)
        timer.join()
        assert sock is not None
        sock.close()


def test_stop_ends_the_wait_for_a_server(tmp_path):
    stop, stopper = socket.socketpair()
    with stop, stopper:
        stopper.send(b"!")
        assert sockets.connect(sockets.Address(path=f"{tmp_path}/x"), 600, stop) is None


def test_tcp_sends_at_once():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = sockets.Address(host="127.0.0.1", port=listener.getsockname()[1])
        sock = sockets.connect(address, wait_s=10)
        assert sock is not None
        with sock:
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


def test_the_report_is_written_in_one_move(tmp_path):
    path = tmp_path / "report.json"
    client.write_report(path, {"a_s": 1.5})
    assert json.loads(path.read_text()) == {"a_s": 1.5}
    assert list(tmp_path.iterdir()) == [path]
