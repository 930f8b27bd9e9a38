"""Rubbish at the way into a run that asks for a secret: in both directions, in its file, in TLS.

Handshakes are cut, changed and prolonged at random places.  Nobody gets in who doesn't know the
secret, what is refused is refused in one line, soon, and in little memory.
"""

import contextlib
import json
import math
import shutil
import socket
import ssl
import tempfile
import threading
import tracemalloc
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ncforce_ipi.errors import InputError, NcforceError
from ncforce_ipi.serve import encryption, gate, secret, sockets
from ncforce_ipi.serve.entrance import Entrance
from ncforce_ipi.serve.gate import Gate
from ncforce_ipi.serve.secret import RefusedError, Secret

OURS = Secret("5a" * 32, "127.0.0.1", 5000)
HELLO = b"NCFORCE1" + b"slow".ljust(8) + bytes(range(32))
LITTLE_MB = 4.0
SOON_S = 5.0


def one_line(err):
    text = str(err)
    assert text
    assert text.isprintable()
    assert len(text) < 500


@contextlib.contextmanager
def said(data):
    """Our end of a connection whose other end has said this and then hung up its half."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(data)
        theirs.shutdown(socket.SHUT_WR)
        yield ours


FAULTS = st.lists(
    st.tuples(st.integers(0, 200), st.integers(0, 40), st.binary(max_size=40)), max_size=4
)


def damaged(data, faults, cut):
    """The same with other bytes in some places, and without its end."""
    data = bytearray(data)
    for place, length, new in faults:
        place = min(place, len(data))
        data[place : place + length] = new
    return bytes(data[: math.ceil(cut * len(data))])


@given(FAULTS, st.floats(0, 1))
@example([], 1.0)
def test_a_driver_that_says_rubbish_to_the_gate(faults, cut):
    """The answer to a number that nobody could know is never right."""
    with said(damaged(HELLO + bytes(32), faults, cut)) as ours:
        with pytest.raises(RefusedError) as caught:
            secret.check(ours, OURS)
        one_line(caught.value)


@given(FAULTS, st.floats(0, 1))
@example([], 1.0)
def test_a_gate_that_says_rubbish_to_a_driver(faults, cut):
    with said(damaged(bytes(64), faults, cut)) as ours:
        with pytest.raises(RefusedError) as caught:
            secret.show(ours, OURS, "slow", "the run")
        one_line(caught.value)


@given(st.integers(0, 79), st.integers(1, 255))
def test_one_bit_in_between_is_enough(place, bits):
    """Whatever of the driver's words somebody changes on the way, the gate lets nobody in."""
    driver, near = socket.socketpair()
    far, gate_end = socket.socketpair()

    def carry():
        sent = 0
        for n_bytes in (48, 32):
            data = bytearray(secret.receive(near, n_bytes, secret.time.monotonic() + SOON_S))
            if sent <= place < sent + n_bytes:
                data[place - sent] ^= bits
            sent += n_bytes
            far.sendall(data)
            if n_bytes == 48:
                with contextlib.suppress(OSError):
                    near.sendall(secret.receive(far, 32, secret.time.monotonic() + SOON_S))

    def show():
        with contextlib.suppress(RefusedError):
            secret.show(driver, OURS, "slow", "it")

    def between():
        with contextlib.suppress(OSError):
            carry()

    with driver, near, far, gate_end:
        threads = [threading.Thread(target=show), threading.Thread(target=between)]
        for thread in threads:
            thread.start()
        try:
            with pytest.raises(RefusedError):
                secret.check(gate_end, OURS)
        finally:
            for sock in (gate_end, near, far):
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)
            for thread in threads:
                thread.join(SOON_S)


VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8),
    st.sampled_from(["00" * 32, "0" * 63, "zz" * 32, "\0", "a b", "..", "[::1]", 10**30, [], {}]),
)  # fmt: skip


def written(folder, data):
    path = Path(folder) / "token"
    path.write_bytes(data)
    path.chmod(0o600)
    return path


@given(
    st.dictionaries(st.sampled_from([*asdict(OURS), "more"]), VALUES, max_size=3),
    st.sets(st.sampled_from(list(asdict(OURS))), max_size=1),
)
@example({"port": 70.5}, set())
@example({"host": "a\0b"}, set())
def test_the_file_of_a_secret_with_other_values(values, gone):
    """What is read can be used: an address, a key, a fingerprint."""
    content = {key: value for key, value in (asdict(OURS) | values).items() if key not in gone}
    with tempfile.TemporaryDirectory() as folder:
        path = written(folder, json.dumps(content).encode())
        try:
            found = secret.read(path)
        except InputError as err:
            one_line(str(err).replace(folder, ""))
            return
    assert len(found.answer(b"gate", "slow", bytes(32), bytes(32))) == 32
    Entrance(path).address(found).check()
    with contextlib.suppress(OSError, UnicodeError):  # no such machine
        socket.getaddrinfo(found.host, found.port, flags=socket.AI_NUMERICHOST)


@given(st.integers(0, 300), st.binary(max_size=12), st.booleans())
def test_the_file_of_a_secret_with_other_bytes(place, new, cut):
    data = bytearray(json.dumps(asdict(OURS)).encode())
    data[place : place + len(new)] = new
    with tempfile.TemporaryDirectory() as folder:
        path = written(folder, bytes(data[:place] if cut else data))
        try:
            found = secret.read(path)
        except InputError as err:
            one_line(str(err).replace(folder, ""))
        else:
            Entrance(path).address(found).check()


@pytest.mark.parametrize("host", ["a..b", "x" * 64 + ".org", ".", "no.such.host.invalid"])
def test_names_of_no_machine(host):
    with pytest.raises(NcforceError, match=r"can't be reached: .*; check the address") as caught:
        sockets.connect(sockets.Address(host=host, port=9), 0.0)
    one_line(caught.value)


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """A directory with a certificate, and its fingerprint."""
    if not shutil.which("openssl"):
        pytest.skip("no openssl is here")
    directory = tmp_path_factory.mktemp("keys")
    return directory, encryption.make_certificate(directory)


def tls(kind):
    """The first bytes of a client that speaks TLS of a version."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.maximum_version = context.minimum_version = kind
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        context.wrap_bio(incoming, outgoing).do_handshake()
    return outgoing.read()


HELLOS = [
    tls(ssl.TLSVersion.TLSv1_3), tls(ssl.TLSVersion.TLSv1_2), HELLO, b"GET / HTTP/1.1\r\n\r\n",
]  # fmt: skip


@pytest.fixture(scope="module")
def no_tcp():
    """Pairs of sockets have none of its options."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sockets, "lively", lambda sock: None)
        yield


@given(st.sampled_from(HELLOS), FAULTS, st.floats(0, 1))
def test_rubbish_instead_of_tls(keys, no_tcp, hello, faults, cut):
    """As a stranger says it to the gate, and as a driver hears it of who isn't the run."""
    directory, fingerprint = keys
    data = damaged(hello, faults, cut)
    run = replace(OURS, certificate_sha256=fingerprint)
    with said(data) as ours, pytest.raises(RefusedError) as caught:
        Gate(run, directory, encryption.server_context(directory)).let_in(ours)
    one_line(caught.value)
    with said(data) as ours, pytest.raises(RefusedError) as caught:
        encryption.as_client(ours, fingerprint, "the run")
    one_line(caught.value)


@pytest.mark.parametrize("encrypted", [False, True])
def test_strangers_take_little_memory_and_no_line_each(
    keys, no_tcp, encrypted, tmp_path, monkeypatch
):
    """300 of them, who say a megabyte each."""
    monkeypatch.setattr(gate, "MAX_LINES", 10)
    directory, fingerprint = keys
    run = replace(OURS, certificate_sha256=fingerprint if encrypted else "")
    context = encryption.server_context(directory) if encrypted else None
    it = Gate(run, tmp_path, context)
    lines = []
    monkeypatch.setattr(gate.log, "warning", lambda *words: lines.append(words))
    tracemalloc.start()
    try:
        for _ in range(300):
            ours, theirs = socket.socketpair()
            with ours, theirs:
                theirs.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    theirs.send(HELLO + bytes(1 << 20))
                theirs.shutdown(socket.SHUT_WR)
                it.lead(ours, "a stranger", id(ours))
        assert 1e-6 * tracemalloc.get_traced_memory()[1] < LITTLE_MB
    finally:
        tracemalloc.stop()
    assert len(lines) == 11
    assert ("no TLS" if encrypted else "wrong secret") in str(lines[0][2])
    assert not it.strangers | it.drivers
