"""Bytes on the wire: golden bytes, one-byte reads, short writes, broken streams."""

import socket
import struct
import threading

import numpy as np
import pytest

from ncforce_ipi.backend import Evaluation
from ncforce_ipi.errors import ModelError, ProtocolError
from ncforce_ipi.serve import protocol, stream
from tests.ipi_server import BOHR_A, HARTREE_EV, posdata

NUMBERS = np.array([8, 1], np.int32)
# h as i-PI has it: lattice vectors a, b, c are its columns
H = np.array([[10.0, 1.0, 2.0], [0.0, 11.0, 3.0], [0.0, 0.0, 12.0]])
POSITIONS = np.array([[0.5, 1.5, 2.5], [-3.0, 4.0, 5.0]])
POSDATA_BODY = struct.pack("<9d9di6d", *H.ravel(), *np.linalg.inv(H).ravel(), 2, *POSITIONS.ravel())
ANSWER = Evaluation(
    2 * HARTREE_EV,
    np.array([[1.0, 0.0, 0.0], [0.0, -2.0, 0.0]]) * HARTREE_EV / BOHR_A,
    np.diag([4.0, 2.0, 1.0]) * HARTREE_EV,
)


class Trickle:
    """A socket that gives its bytes one at a time."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def settimeout(self, seconds: float) -> None:
        pass

    def recv_into(self, view: memoryview) -> int:
        view[:1], self.data = self.data[:1], self.data[1:]
        return 1


@pytest.fixture
def pair():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.settimeout(10.0)
        yield stream.Stream(ours), theirs


@pytest.mark.parametrize("header", ["STATUS", "NEEDINIT", "READY", "HAVEDATA", "FORCEREADY"])
def test_headers_have_twelve_bytes_padded_with_blanks(pair, header):
    ours, theirs = pair
    protocol.send_header(ours, header)
    assert theirs.recv(100) == header.encode() + b" " * (12 - len(header))


def test_posdata_has_lattice_vectors_as_columns_and_bohr(pair):
    ours, theirs = pair
    theirs.sendall(POSDATA_BODY)
    structure = protocol.receive_posdata(ours, NUMBERS)
    # exact: the same two doubles are multiplied on both sides
    np.testing.assert_array_equal(structure.cell, H.T * BOHR_A)
    np.testing.assert_array_equal(structure.positions, POSITIONS * BOHR_A)
    assert structure.cell[1, 0] == 1.0 * BOHR_A  # b has an x component, a has no y
    assert structure.positions.dtype == structure.cell.dtype == np.float64


def test_forceready_golden_bytes():
    golden = (
        "464f5243455245414459 2020"  # FORCEREADY
        "0000000000000040"  # 2 hartree
        "02000000"  # two atoms
        "000000000000f03f 0000000000000000 0000000000000000"
        "0000000000000000 00000000000000c0 0000000000000000"
        "0000000000001040 0000000000000000 0000000000000000"
        "0000000000000000 0000000000000040 0000000000000000"
        "0000000000000000 0000000000000000 000000000000f03f"
        "03000000 c3a92e"  # extras: three bytes of UTF-8 for two characters
    )
    # the conversions divide and multiply by the same constants: 1.0 comes out as exactly 1.0
    assert protocol.encode_forces(ANSWER, extras="é.") == bytes.fromhex(golden)


def test_messages_that_come_byte_by_byte():
    sock = stream.Stream(Trickle(b"POSDATA     " + POSDATA_BODY + b"INIT        "))
    assert protocol.receive_header(sock) == "POSDATA"
    np.testing.assert_array_equal(
        protocol.receive_posdata(sock, NUMBERS).positions, POSITIONS * BOHR_A
    )
    assert protocol.receive_header(sock) == "INIT"


def test_a_long_answer_survives_short_writes(pair):
    ours, theirs = pair
    ours.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)  # far less than the message
    forces = np.random.default_rng(1).normal(size=(20000, 3))
    answer = Evaluation(0.0, forces, np.zeros((3, 3)))
    sender = threading.Thread(target=protocol.send_forces, args=(ours, answer))
    sender.start()
    expected = protocol.encode_forces(answer)
    got = b""
    while len(got) < len(expected):
        got += theirs.recv(777)
    sender.join(10.0)
    assert got == expected


def test_bytes_that_come_together_are_taken_apart(pair):
    ours, theirs = pair
    theirs.sendall(b"POSDATA     " + POSDATA_BODY + b"GETFORCE    STATUS      ")
    assert protocol.receive_header(ours) == "POSDATA"
    structure = protocol.receive_posdata(ours, NUMBERS)
    assert ours.has_bytes
    assert protocol.receive_header(ours) == "GETFORCE"
    assert protocol.receive_header(ours) == "STATUS"
    assert not ours.has_bytes
    np.testing.assert_array_equal(structure.positions, POSITIONS * BOHR_A)  # no view of the buffer
    np.testing.assert_array_equal(structure.cell, H.T * BOHR_A)


def test_a_message_longer_than_what_was_read_ahead(pair):
    ours, theirs = pair
    positions = np.random.default_rng(0).normal(size=(5000, 3))
    theirs.sendall(posdata(positions, np.eye(3)) + b"GETFORCE    ")
    assert protocol.receive_header(ours) == "POSDATA"
    got = protocol.receive_posdata(ours, np.ones(5000, np.int32)).positions
    np.testing.assert_array_equal(got, positions * BOHR_A)
    assert protocol.receive_header(ours) == "GETFORCE"


def batch_body(n_structures: int) -> bytes:
    """Body of POSDATA: structures whose cells and positions are k times those of this file."""
    factors = np.arange(1.0, n_structures + 1)
    cells = b"".join((k * H).tobytes() + np.linalg.inv(k * H).tobytes() for k in factors)
    return struct.pack("<i", 2) + cells + b"".join((k * POSITIONS).tobytes() for k in factors)


def test_a_batch(pair):
    ours, theirs = pair
    theirs.sendall(batch_body(3))
    structures = protocol.receive_batch(ours, NUMBERS, 3)
    for k, structure in enumerate(structures, start=1):
        np.testing.assert_array_equal(structure.cell, (k * H).T * BOHR_A)
        np.testing.assert_array_equal(structure.positions, k * POSITIONS * BOHR_A)


def test_a_batch_of_another_number_of_atoms(pair):
    ours, theirs = pair
    theirs.sendall(struct.pack("<i", 7))
    with pytest.raises(ProtocolError, match="sends 7 atoms, expected 2"):
        protocol.receive_batch(ours, NUMBERS, 3)


def test_forceready_of_a_batch_golden_bytes():
    single = protocol.encode_forces(ANSWER)
    energy, count, forces, virial = single[12:20], single[20:24], single[24:72], single[72:144]
    expected = b"FORCEREADY  " + 2 * energy + count + 2 * forces + 2 * virial + bytes(8)
    assert protocol.encode_batch([ANSWER, ANSWER]) == expected


@pytest.mark.parametrize("text", ["0", "-1", "x", "1e3", "100000"])
def test_an_impossible_batch_size(text):
    with pytest.raises(ProtocolError, match="expected 1 to 4096"):
        protocol.batch_size(protocol.Init(0, {"batch_size": text}))


@pytest.mark.parametrize("cut", [1, 11, 12, 13, 12 + 148, 12 + len(POSDATA_BODY) - 1])
def test_a_truncated_stream_is_a_protocol_error(pair, cut):
    ours, theirs = pair
    theirs.sendall((b"POSDATA     " + POSDATA_BODY)[:cut])
    theirs.close()

    def read():
        protocol.receive_header(ours)
        protocol.receive_posdata(ours, NUMBERS)

    with pytest.raises(ProtocolError, match="bytes of a message, then the connection was closed"):
        read()


def test_an_end_between_messages_is_no_defect(pair):
    ours, theirs = pair
    theirs.close()
    with pytest.raises(stream.LeftError, match="end of file"):
        protocol.receive_header(ours)


def test_a_reset_between_messages_is_an_end_too(pair):
    ours, theirs = pair
    ours.sock.sendall(b"never read")
    theirs.close()  # with bytes unread: our next read gets ECONNRESET
    with pytest.raises(stream.LeftError, match="end of file"):
        protocol.receive_header(ours)


def test_sending_to_a_server_that_left(pair):
    ours, theirs = pair
    theirs.close()
    with pytest.raises(stream.LeftError, match="left before it took the answer"):
        protocol.send_header(ours, "READY")


def test_a_message_that_stops_in_the_middle_is_not_waited_for_forever(pair, monkeypatch):
    monkeypatch.setattr(stream, "MESSAGE_TIMEOUT_S", 0.05)
    ours, theirs = pair
    theirs.sendall(b"POSDA")
    with pytest.raises(ProtocolError, match="got 5 of 12 bytes"):
        protocol.receive_header(ours)


def test_an_answer_that_nobody_takes_is_not_offered_forever(pair, monkeypatch):
    monkeypatch.setattr(stream, "MESSAGE_TIMEOUT_S", 0.05)
    ours, _ = pair
    answer = Evaluation(0.0, np.zeros((100000, 3)), np.zeros((3, 3)))
    with pytest.raises(ProtocolError, match="was not taken"):
        protocol.send_forces(ours, answer)


def test_a_header_of_no_such_protocol(pair):
    ours, theirs = pair
    theirs.sendall(b"\xff" * 12)
    with pytest.raises(ProtocolError, match="expected 12 ASCII characters"):
        protocol.receive_header(ours)


def test_init(pair):
    ours, theirs = pair
    text = b" tau : 3 , batch_size:4"
    theirs.sendall(struct.pack("<ii", 7, len(text)) + text)
    init = protocol.receive_init(ours)
    assert init.replica == 7
    assert init.parameters == {"tau": "3", "batch_size": "4"}


@pytest.mark.parametrize("text", ["", " ", "\0", "no colon", " : 3"])
def test_init_strings_without_parameters(text):
    assert protocol.parse_init(text) == {}


def test_a_value_that_would_spoil_a_message():
    """Lines, and what a terminal takes for commands; and without an end."""
    found = protocol.parse_init("a : one\ntwo \x1b[2J , b : " + "x" * 1000)
    assert found == {"a": "one?two ?[2J", "b": "x" * 200}


@pytest.mark.parametrize("length", [-1, 1 << 30])
def test_an_impossible_init_length(pair, length):
    ours, theirs = pair
    theirs.sendall(struct.pack("<ii", 0, length))
    with pytest.raises(ProtocolError, match="INIT string"):
        protocol.receive_init(ours)


@pytest.mark.parametrize("n_atoms", [-1, 0, 3, 2**31 - 1])
def test_another_number_of_atoms(pair, n_atoms):
    ours, theirs = pair
    theirs.sendall(struct.pack("<18di", *range(18), n_atoms))
    with pytest.raises(ProtocolError, match=f"sends {n_atoms} atoms, expected 2"):
        protocol.receive_posdata(ours, NUMBERS)


def test_a_diverged_server(pair):
    ours, theirs = pair
    theirs.sendall(posdata(np.full((2, 3), np.nan), H.T)[12:])
    with pytest.raises(ProtocolError, match="not finite"):
        protocol.receive_posdata(ours, NUMBERS)


@pytest.mark.parametrize("field", ["energy", "forces", "virial"])
def test_nothing_but_finite_numbers_is_sent(field):
    broken = {"energy": 0.0, "forces": np.zeros((2, 3)), "virial": np.zeros((3, 3))}
    broken[field] = broken[field] + np.nan
    with pytest.raises(ModelError, match="not finite"):
        protocol.encode_forces(Evaluation(**broken))
