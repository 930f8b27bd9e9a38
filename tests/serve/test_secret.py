"""Who knows the secret is let in, and nobody else; nobody learns it by asking."""

import os
import socket
import stat
import threading
from dataclasses import replace

import pytest

from ncforce_ipi.errors import InputError
from ncforce_ipi.serve import encryption, secret
from ncforce_ipi.serve.secret import RefusedError, Secret

OURS = Secret("00" * 32, "127.0.0.1", 5000)


def shaken(theirs, ours=OURS, role="slow", between=lambda message: message):
    """What driver and gate make of each other: the role, or an error, of each.

    ``between`` may change what the driver says, message by message.
    """
    driver, near = socket.socketpair()
    far, gate = socket.socketpair()
    found = {}

    def act(name, function, *words):
        try:
            found[name] = function(*words)
        except RefusedError as err:
            found[name] = err

    def carry(source, sink, change):
        while data := source.recv(4096):
            sink.sendall(change(data))
        sink.shutdown(socket.SHUT_WR)

    with driver, near, far, gate:
        threads = [
            threading.Thread(target=act, args=("driver", secret.show, driver, theirs, role, "it")),
            threading.Thread(target=act, args=("gate", secret.check, gate, ours)),
            threading.Thread(target=carry, args=(near, far, between)),
            threading.Thread(target=carry, args=(far, near, lambda data: data)),
        ]
        for thread in threads:
            thread.start()
        threads[1].join()
        gate.shutdown(socket.SHUT_RDWR)
        threads[0].join()
        driver.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join()
    return found


@pytest.mark.parametrize("role", ["slow", "fast"])
def test_who_knows_it_is_let_in(role):
    assert shaken(OURS, role=role) == {"driver": None, "gate": role}


@pytest.mark.parametrize(
    "theirs",
    [
        replace(OURS, key="01" + "00" * 31),
        replace(OURS, certificate_sha256="00" * 32),  # somebody in between has another one
    ],
)
def test_who_doesnt_is_not(theirs):
    found = shaken(theirs)
    assert str(found["gate"]) == "wrong secret"
    assert "it ended the handshake" in str(found["driver"])


def test_nobody_in_between_can_swap_the_roles():
    def swap(message):
        return message.replace(b"slow    ", b"fast    ")

    assert str(shaken(OURS, between=swap)["gate"]) == "wrong secret"


def test_an_answer_of_yesterday_is_worth_nothing():
    """A recorded handshake, said again to the same gate."""
    said = []

    def record(message):
        said.append(message)
        return message

    shaken(OURS, between=record)
    assert b"".join(said)[:8] == b"NCFORCE1"
    assert bytes.fromhex(OURS.key) not in b"".join(said)
    ours, gate = socket.socketpair()
    with ours, gate:
        ours.sendall(b"".join(said))
        with pytest.raises(RefusedError, match="wrong secret"):
            secret.check(gate, OURS)


@pytest.mark.parametrize(
    "said",
    [b"", b"NCFORCE1", b"GET / HTTP/1.1\r\n\r\n" + bytes(100), b"NCFORCE1both    " + bytes(64)],
)
def test_strangers(said):
    ours, gate = socket.socketpair()
    with ours, gate:
        ours.sendall(said)
        ours.shutdown(socket.SHUT_WR)
        with pytest.raises(RefusedError, match=r"no driver with a secret|no whole handshake"):
            secret.check(gate, OURS)


def test_half_a_handshake_is_waited_for_a_bounded_time(monkeypatch):
    """A byte now and then prolongs nothing."""
    monkeypatch.setattr(secret, "HANDSHAKE_S", 0.3)
    ours, gate = socket.socketpair()
    done = threading.Event()

    def dribble():
        while not done.wait(0.05):
            ours.sendall(b"N")

    thread = threading.Thread(target=dribble)
    with ours, gate:
        thread.start()
        with pytest.raises(RefusedError, match="timed out"):
            secret.check(gate, OURS)
        done.set()
        thread.join()


def test_a_gate_that_doesnt_know_it_gets_no_driver():
    """It takes any answer, and gives one of its own."""
    driver, gate = socket.socketpair()

    def stranger():
        secret.receive(gate, 48, secret.time.monotonic() + 5)
        gate.sendall(bytes(32))
        secret.receive(gate, 32, secret.time.monotonic() + 5)
        gate.sendall(bytes(32))

    with driver, gate:
        thread = threading.Thread(target=stranger)
        thread.start()
        with pytest.raises(RefusedError, match="doesn't know the secret: it is not the run"):
            secret.show(driver, OURS, "slow", "it")
        thread.join()


class TestFile:
    def test_is_for_its_owner(self, tmp_path):
        path = tmp_path / "token"
        path.write_text("an older one, which others may read")
        path.chmod(0o644)
        before = os.umask(0)
        try:
            secret.write(path, OURS)
        finally:
            os.umask(before)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert secret.read(path) == OURS
        assert [found.name for found in tmp_path.iterdir()] == ["token"]

    @pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
    def test_that_others_can_open_is_refused(self, tmp_path, mode):
        secret.write(tmp_path / "token", OURS)
        (tmp_path / "token").chmod(mode)
        with pytest.raises(InputError, match=f"can be read by others .mode {mode:04o}"):
            secret.read(tmp_path / "token")

    @pytest.mark.parametrize(
        "text",
        [
            "", "{", "[1]", "[" * 3000, "{}", '{"key": "00", "host": "a", "port": 1}',
            '{"key": "%s", "host": "a", "port": 70000}' % ("00" * 32),
            '{"key": "%s", "host": 3, "port": 70}' % ("00" * 32),
            '{"key": "%s", "host": "a", "port": 70, "x": 1}' % ("00" * 32),
            '{"key": 3, "host": "a", "port": 70}', "\0" * 100,
            '{"key": "%s", "host": "a", "port": 70.5}' % ("00" * 32),
            '{"key": "%s", "host": "a", "port": true}' % ("00" * 32),
            '{"key": "%s", "host": "", "port": 70}' % ("00" * 32),
            '{"key": "%s", "host": "a b", "port": 70}' % ("00" * 32),
            '{"key": "%s", "host": "a\\u0000", "port": 70}' % ("00" * 32),
            '{"key": "%s", "host": "\\ud800", "port": 70}' % ("00" * 32),
        ],
    )  # fmt: skip
    def test_that_is_something_else(self, tmp_path, text):
        (tmp_path / "token").write_text(text)
        (tmp_path / "token").chmod(0o600)
        with pytest.raises(InputError, match="is no file of a secret; expected the file that"):
            secret.read(tmp_path / "token")

    def test_that_is_missing(self, tmp_path):
        with pytest.raises(InputError, match="can't be read: No such file or directory"):
            secret.read(tmp_path / "token")

    def test_keys_differ_and_are_shown_nowhere(self):
        one, other = (Secret.new("a", 1) for _ in range(2))
        assert one.key != other.key
        assert one.key not in f"{one} {one!r} {[one]}"


def test_without_openssl(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="openssl, which isn't here; install it, or give --clear"):
        encryption.make_certificate(tmp_path)
