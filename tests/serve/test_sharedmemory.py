"""Shared memory: what a server names is attached, read, written, and bounded."""

import socket
import struct

import numpy as np
import pytest

from ncforce_ipi.backend import Evaluation
from ncforce_ipi.errors import ProtocolError
from ncforce_ipi.serve import sharedmemory
from ncforce_ipi.serve.sharedmemory import Segments
from ncforce_ipi.serve.stream import Stream
from tests.ipi_server import BOHR_A, HARTREE_EV

NUMBERS = np.array([8, 1], np.int32)
H = np.array([[10.0, 1.0, 2.0], [0.0, 11.0, 3.0], [0.0, 0.0, 12.0]])
SIZES = {"pos": 6, "h": 9, "ih": 9, "pot": 1, "force": 6, "vir": 9}  # doubles a structure


@pytest.fixture
def server(tmp_path, monkeypatch):
    """Our stream, the server's socket, and its segments for two structures."""
    monkeypatch.setattr(sharedmemory, "FOLDER", tmp_path)
    arrays = {}
    for kind, n in SIZES.items():
        (tmp_path / kind).write_bytes(bytes(16 * n))
        arrays[kind] = np.memmap(tmp_path / kind, np.float64, "r+").reshape(2, n)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.settimeout(10.0)
        yield Stream(ours), theirs, arrays


def named(*names):
    """Body of the first POSDATA."""
    parts = [struct.pack("<i", len(name)) + name.encode() for name in names]
    return struct.pack("<i", 2) + b"".join(parts)


def test_two_structures_there_and_back(server):
    stream, theirs, arrays = server
    segments = Segments()
    for step in range(3):
        arrays["pos"][:] = np.arange(12.0).reshape(2, 6) + step
        arrays["h"][:] = H.ravel()
        theirs.sendall(named(*SIZES) if step == 0 else struct.pack("<i", 2))
        structures = segments.receive(stream, NUMBERS, 2)
        for k, structure in enumerate(structures):
            expected = (np.arange(6.0).reshape(2, 3) + 6 * k + step) * BOHR_A
            np.testing.assert_array_equal(structure.positions, expected)
            np.testing.assert_array_equal(structure.cell, H.T * BOHR_A)
        one = np.full((2, 3), HARTREE_EV / BOHR_A)
        virial = np.diag([1.0, 2.0, 3.0]) * HARTREE_EV
        segments.send(stream, [Evaluation(step * HARTREE_EV, k * one, virial) for k in range(2)])
        assert theirs.recv(100) == b"FORCEREADY  " + bytes(8)
        assert arrays["pot"].ravel().tolist() == [step, step]
        np.testing.assert_array_equal(arrays["force"], [[0.0] * 6, [1.0] * 6])
        np.testing.assert_array_equal(arrays["vir"][1].reshape(3, 3), np.diag([1.0, 2.0, 3.0]))


def test_structures_are_copies(server):
    stream, theirs, arrays = server
    arrays["h"][:] = H.ravel()
    theirs.sendall(named(*SIZES))
    structure = Segments().receive(stream, NUMBERS, 2)[0]
    arrays["pos"][:] = arrays["h"][:] = 7.0
    assert not structure.positions.any()
    np.testing.assert_array_equal(structure.cell, H.T * BOHR_A)


@pytest.mark.parametrize(
    ("body", "match"),
    [
        (struct.pack("<i", 3), "sends 3 atoms, expected 2"),
        (struct.pack("<ii", 2, 1 << 20), "name of 1048576 bytes"),
        (struct.pack("<ii", 2, -1), "name of -1 bytes"),
        (named("../h"), "expected a plain name"),
        (named(".."), "can't be used"),
        (named("nothing"), "on the server's node"),
        (named("pot"), "can't be used"),  # too small
    ],
)
def test_what_cannot_be_attached(server, body, match):
    stream, theirs, _ = server
    theirs.sendall(body)
    with pytest.raises(ProtocolError, match=match):
        Segments().receive(stream, NUMBERS, 2)
