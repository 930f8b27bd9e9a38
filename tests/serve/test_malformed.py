"""Rubbish on the wire, in both directions: one line, soon, and in little memory.

Valid conversations are cut, changed and prolonged at random places, or replaced altogether.  The
other end has said all that it will say when it is read, so nothing waits.
"""

import contextlib
import socket
import struct
import threading
import tracemalloc

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ncforce_ipi.backend import Backend, Evaluation, Structure
from ncforce_ipi.errors import InputError, NcforceError, ProtocolError
from ncforce_ipi.serve import client, protocol, server, sockets, stream
from ncforce_ipi.serve.claims import Claims
from ncforce_ipi.serve.connection import Connection
from ncforce_ipi.serve.evaluator import Evaluator
from ncforce_ipi.serve.replicas import Replica
from ncforce_ipi.serve.sockets import Address
from tests.ipi_server import BOHR_A, posdata

NUMBERS = np.array([8, 1, 1], np.int32)
POSITIONS = np.array([[0.0, 0.1, 0.2], [1.0, 1.1, 1.2], [2.0, 2.1, 2.2]])
CELL = np.diag([9.0, 8.0, 7.0])
LITTLE_MB = 12.0  # 4 MB of buffer, its copy, and what Python itself takes; never gigabytes
HUGE = (-1, 0, 1, 2, 4, 2**15, 2**31 - 1, -(2**31))


class Springs(Backend):
    """Springs to the origin."""

    kinds = stress = frozenset(["conservative"])
    species = frozenset([1, 8])
    description = "springs"

    def evaluate(self, structure, wanted):
        r = structure.positions
        with np.errstate(over="ignore", invalid="ignore"):  # positions may be 1e300
            energy, virial = 0.5 * float((r**2).sum()), -r.T @ r
        return {"conservative": Evaluation(energy, -r, virial)}


def header(text):
    return text.encode().ljust(12)


def init(text):
    return header("INIT") + struct.pack("<ii", 0, len(text)) + text


ASK = posdata(POSITIONS, CELL) + header("GETFORCE")
SERVER = [
    header("STATUS"), init(b" ncforce_role : slow , "), header("STATUS"), ASK,
    header("STATUS"), ASK, header("EXIT"),
]  # fmt: skip
BATCHED = [
    init(b"batch_size:2"),
    header("POSDATA") + struct.pack("<i", 3) + bytes(288) + POSITIONS.tobytes() * 2,
    header("GETFORCE"),
]
FORCES = struct.pack("<di", -1.0, 3) + POSITIONS.tobytes() + CELL.tobytes() + struct.pack("<i", 4)
WORDS = ("NEEDINIT", "READY", "HAVEDATA", "FORCEREADY")
DRIVER = [*map(header, WORDS), FORCES, b"text"]


@st.composite
def rubbish(draw, *conversations):
    """A conversation with a few faults in it."""
    messages = list(draw(st.sampled_from(conversations)))
    for _ in range(draw(st.integers(0, 2))):
        k = draw(st.integers(0, len(messages) - 1))
        what = draw(st.sampled_from(["drop", "double", "swap", "noise"]))
        if what == "drop":
            messages[k] = b""
        elif what == "double":
            messages.insert(k, messages[k])
        elif what == "swap":
            messages[k], messages[0] = messages[0], messages[k]
        else:
            messages.insert(k, draw(st.binary(max_size=40)))
    data = bytearray(b"".join(messages))
    for _ in range(draw(st.integers(0, 3))):
        place = draw(st.integers(0, max(0, len(data) - 8)))
        new = draw(
            st.one_of(
                st.sampled_from(HUGE).map(lambda n: struct.pack("<i", n)),
                st.floats(width=64).map(lambda x: struct.pack("<d", x)),
                st.binary(min_size=1, max_size=8),
            )
        )
        data[place : place + len(new)] = new
    return bytes(data[: draw(st.integers(0, len(data)))] if draw(st.booleans()) else data)


@contextlib.contextmanager
def said(data):
    """Our end of a connection whose other end has said this and then hung up its half."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(data)
        theirs.shutdown(socket.SHUT_WR)
        yield ours


def one_line(err):
    text = str(err)
    assert text
    assert "\n" not in text
    assert len(text) < 500


def served(data, shm=False):
    """What our driver makes of a server that says this: why it ended."""
    claims = Claims("unix:x", "slow", "conservative", frozenset(["m"]), frozenset())
    with said(data) as ours:
        connection = Connection("slow", ours, NUMBERS, shm=shm, claims=claims)
        evaluator = Evaluator(Springs(), {"slow": "conservative"})
        try:
            return client.serve(
                [Replica([connection], evaluator.trajectory())], evaluator, idle_s=5.0
            )
        except NcforceError as err:
            one_line(err)
            return str(err)


@given(rubbish(SERVER, BATCHED))
@example(b"".join([init(b"batch_size:\xc2\xb2"), ASK]))  # a digit that is no number
@example(b"".join([init(b"batch_size:" + b"9" * 5000), ASK]))
@example(ASK.replace(struct.pack("<d", POSITIONS[1, 0] / BOHR_A), b"\1\0\0\0\0\0\xf0\x7f"))  # sNaN
def test_our_driver_against_a_rubbish_server(data):
    assert served(data)


@given(rubbish(SERVER, BATCHED))
@example(header("POSDATA") + struct.pack("<ii", 3, 251) + bytes(251))  # a name of no letters
def test_our_driver_with_shared_memory_against_a_rubbish_server(data):
    assert served(data, shm=True)


@given(st.binary(max_size=200))
def test_our_driver_against_noise(data):
    assert served(data)


def asked(data):
    """What our server makes of a driver that says this."""
    with said(data) as ours:
        return server.Asked(ours, 5.0, lambda: None).forces(Structure(NUMBERS, POSITIONS, CELL))


@given(rubbish(DRIVER, DRIVER[1:]))
@example(b"".join(DRIVER).replace(struct.pack("<d", -1.0), struct.pack("<d", 1.7e308)))
@example(b"".join(DRIVER).replace(struct.pack("<d", 1.1), b"\1\0\0\0\0\0\xf0\x7f"))
def test_our_server_against_a_rubbish_driver(data):
    try:
        found = asked(data)
    except ProtocolError as err:
        one_line(err)
    else:
        assert found.forces.shape == (3, 3)
        for numbers in (found.energy, found.forces, found.virial):
            assert np.isfinite(numbers).all()


@given(st.binary(max_size=200))
def test_our_server_against_noise(data):
    with pytest.raises(ProtocolError) as caught:
        asked(data)
    one_line(caught.value)


def test_these_conversations_are_valid():
    """Else the fuzz would only see the first refusal."""
    assert served(b"".join(SERVER)) == "slow: EXIT from the server"
    assert served(b"".join(BATCHED)) == "slow: end of file"
    found = asked(b"".join(DRIVER))
    unit = protocol.HARTREE_PER_BOHR_EV_PER_A
    np.testing.assert_array_equal(found.forces, POSITIONS * unit)
    np.testing.assert_array_equal(found.virial, CELL.T * protocol.HARTREE_EV)
    assert found.energy == -protocol.HARTREE_EV


def peak_MB(function, *arguments):
    tracemalloc.start()
    try:
        function(*arguments)
        return 1e-6 * tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


PROMISES = {
    "a batch of 4096 large structures": (served, [
        init(b"batch_size:4096"), header("POSDATA"), struct.pack("<i", 3), bytes(5000),
    ]),
    "an INIT of 2 GB": (served, [header("INIT"), struct.pack("<ii", 0, 2**31 - 1)]),
    "a negative INIT": (served, [header("INIT"), struct.pack("<ii", 0, -1)]),
    "2^31 atoms": (served, [header("POSDATA"), bytes(144), struct.pack("<i", 2**31 - 1)]),
    "-1 atoms": (served, [header("POSDATA"), bytes(144), struct.pack("<i", -1)]),
    "forces of 2^31 atoms": (asked, [*DRIVER[1:4], struct.pack("<di", 0.0, 2**31 - 1)]),
    "forces of -3 atoms": (asked, [*DRIVER[1:4], struct.pack("<di", 0.0, -3)]),
    "2 GB of text": (asked, [*DRIVER[1:4], FORCES[:-4], struct.pack("<i", 2**31 - 1)]),
    "64 MB of text": (asked, [*DRIVER[1:4], FORCES[:-4], struct.pack("<i", 1 << 26)]),
    "a nan": (asked, [
        *DRIVER[1:4], struct.pack("<di", 0.0, 3), struct.pack("<d", np.nan) * 18, bytes(4),
    ]),
}  # fmt: skip


@pytest.mark.parametrize("promise", PROMISES)
def test_what_is_promised_takes_no_memory(promise):
    function, messages = PROMISES[promise]

    def talk():
        with contextlib.suppress(ProtocolError):
            function(b"".join(messages))
            assert function is served, "our server took that for forces"

    assert peak_MB(talk) < LITTLE_MB


def test_memory_grows_with_what_comes():
    """A large message is taken whole, through a buffer that grows."""
    data = np.random.default_rng(0).bytes(6 << 20)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        sender = stream.Stream(theirs, "test")
        thread = threading.Thread(target=sender.send, args=(data + b"more",))
        thread.start()
        receiver = stream.Stream(ours)
        assert bytes(receiver.take(len(data))) == data
        assert bytes(receiver.take(4)) == b"more"
        thread.join()


def test_a_silent_driver_is_not_waited_for_forever():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        it = server.Asked(ours, 0.1, lambda: None)
        with pytest.raises(ProtocolError, match=r"no driver answered within 0\.1 s"):
            it.forces(Structure(NUMBERS, POSITIONS, CELL))
        it = server.Asked(ours, 0.1, lambda: "its process ended with code 3")
        with pytest.raises(
            ProtocolError, match="no driver answered: its process ended with code 3"
        ):
            it.forces(Structure(NUMBERS, POSITIONS, CELL))


def test_a_driver_that_dribbles(monkeypatch):
    """A message that has begun must be complete in time."""
    monkeypatch.setattr(stream, "MESSAGE_TIMEOUT_S", 0.05)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(b"REA")
        with pytest.raises(ProtocolError, match=r"got 3 of 12 bytes .* the driver hangs"):
            server.Asked(ours, 5.0, lambda: None).forces(Structure(NUMBERS, POSITIONS, CELL))


def test_a_socket_of_ours_is_for_us_alone(tmp_path):
    path = tmp_path / "s"
    with server.listening(Address(path=str(path))):
        assert path.stat().st_mode & 0o777 == 0o600
        with (
            pytest.raises(InputError, match="another program may have it"),
            server.listening(Address(path=str(path))),
        ):
            pass
    assert not path.exists()


def test_a_stale_socket_is_replaced_and_a_file_is_not(tmp_path):
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(path))
    with server.listening(Address(path=str(path))):
        pass
    path.write_text("somebody's notes")
    with (
        pytest.raises(InputError, match="no socket can be made"),
        server.listening(Address(path=str(path))),
    ):
        pass
    assert path.read_text() == "somebody's notes"


@pytest.mark.parametrize(
    ("host", "private"),
    [("127.0.0.1", True), ("localhost", True), ("::1", True), ("0.0.0.0", False),
     ("node7", False), ("192.168.0.3", False), ("127.0.0.1.example.org", False)],
)  # fmt: skip
def test_what_stays_on_this_machine(host, private):
    assert sockets.is_loopback(host) is private
