"""The gate of a run: bytes go through unchanged, strangers don't, and nothing waits for ever."""

import contextlib
import logging
import shutil
import socket
import threading
import time

import numpy as np
import pytest

from ncforce_ipi.errors import InputError, RunError
from ncforce_ipi.serve import encryption, gate, patience, relay, secret, sockets
from ncforce_ipi.serve.entrance import Entrance, until_the_end
from ncforce_ipi.serve.secret import RefusedError, Secret
from ncforce_ipi.serve.sockets import UnreachedError
from ncforce_ipi.serve.stream import CutError

WAIT_S = 20.0
LARGE = np.random.default_rng(0).bytes(3_000_001)  # more than any buffer in between


class House:
    """A gate, and the sockets behind it."""

    def __init__(self, directory, found, listener, keys):
        self.directory, self.secret = directory, found
        self.entrance = Entrance(directory / "token")
        context = encryption.server_context(keys) if found.certificate_sha256 else None
        self.gate = gate.Gate(found, directory, context)
        self.servers = {}
        for role in ("slow", "fast"):
            self.servers[role] = socket.socket(socket.AF_UNIX)
            self.servers[role].bind(str(directory / role))
            self.servers[role].listen(8)
            self.servers[role].settimeout(WAIT_S)
        self.thread = threading.Thread(target=self.gate.serve, args=(listener,), daemon=True)
        self.thread.start()

    def connected(self, role="slow"):
        """Both ends of a connection: the driver's and i-PI's."""
        ours = self.entrance.enter(role, WAIT_S)
        theirs, _ = self.servers[role].accept()
        theirs.settimeout(WAIT_S)
        ours.settimeout(WAIT_S)
        return ours, theirs

    def stranger(self):
        """A connection that says nothing."""
        return socket.create_connection(("127.0.0.1", self.secret.port), timeout=WAIT_S)

    def close(self):
        for role, server in self.servers.items():
            server.close()
            (self.directory / role).unlink(missing_ok=True)
        self.thread.join(WAIT_S)


@pytest.fixture(params=["clear", "tls"])
def house(request, tmp_path, monkeypatch):
    if request.param == "tls" and not shutil.which("openssl"):
        pytest.skip("no openssl is here")
    monkeypatch.setattr(relay, "HANG_UP_S", 0.3)
    certificate = encryption.make_certificate(tmp_path) if request.param == "tls" else ""
    with gate.listen("127.0.0.1", 0) as listener:
        found = Secret.new("127.0.0.1", listener.getsockname()[1], certificate)
        secret.write(tmp_path / "token", found)
        it = House(tmp_path, found, listener, tmp_path)
        yield it
        it.close()
        assert not it.thread.is_alive()  # it ends with i-PI's sockets


def received(sock, n_bytes):
    return secret.receive(sock, n_bytes, time.monotonic() + WAIT_S)


def test_bytes_go_through_unchanged(house):
    ours, theirs = house.connected("fast")
    with ours, theirs:
        for source, sink in ((ours, theirs), (theirs, ours)):
            sender = threading.Thread(target=source.sendall, args=(LARGE + b"end",))
            sender.start()
            assert received(sink, len(LARGE)) == LARGE
            assert received(sink, 3) == b"end"
            sender.join()
        for word in (b"STATUS      ", b"x"):
            theirs.sendall(word)
            assert received(ours, len(word)) == word
            ours.sendall(word)
            assert received(theirs, len(word)) == word


def test_a_driver_that_leaves_is_an_end_of_file_for_i_pi(house):
    """Not a reset, though i-PI had said something that nobody read."""
    ours, theirs = house.connected()
    with theirs:
        theirs.sendall(b"POSDATA     " + bytes(2000))
        time.sleep(0.05)
        ours.close()
        assert theirs.recv(10) == b""


def test_i_pi_that_leaves_is_an_end_of_file_for_the_driver(house):
    ours, theirs = house.connected()
    with ours:
        theirs.sendall(b"EXIT        ")
        theirs.close()
        assert received(ours, 12) == b"EXIT        "
        assert ours.recv(10) == b""


def test_strangers_get_nothing_and_i_pi_never_sees_them(house, monkeypatch):
    monkeypatch.setattr(secret, "HANDSHAKE_S", 0.5)
    silent = house.stranger()
    with silent, house.stranger() as loud:
        with contextlib.suppress(ConnectionResetError):
            loud.sendall(b"STATUS      " * 10)
            assert not loud.recv(100).startswith(b"READY")
        with contextlib.suppress(ConnectionResetError):
            assert silent.recv(10) == b""  # after half a second
    house.servers["slow"].settimeout(0.2)
    with pytest.raises(TimeoutError):
        house.servers["slow"].accept()


def test_many_connections_leave_room_for_a_driver(house, monkeypatch, caplog):
    """More strangers than are listened to at once; those that say nothing are gone in time."""
    monkeypatch.setattr(gate, "MAX_STRANGERS", 8)
    monkeypatch.setattr(gate, "MAX_LINES", 5)
    monkeypatch.setattr(secret, "HANDSHAKE_S", 1.0)
    caplog.set_level(logging.INFO)
    ours, theirs = house.connected()
    with contextlib.ExitStack() as stack:
        strangers = [stack.enter_context(house.stranger()) for _ in range(100)]
        theirs.sendall(b"STATUS      ")
        assert received(ours, 12) == b"STATUS      "
        for one in strangers:  # none still waits before the next driver
            with contextlib.suppress(ConnectionResetError):
                while one.recv(100):
                    pass
        deadline = time.monotonic() + WAIT_S
        while house.gate.strangers or threading.active_count() >= 10:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        monkeypatch.setattr(secret, "HANDSHAKE_S", WAIT_S)  # of a driver on a busy machine
        others = house.connected("fast")
    for sock in (ours, theirs, *others):
        sock.close()
    assert sum("was sent away" in record.message for record in caplog.records) <= 5


def test_a_driver_that_takes_nothing_is_given_up(house, monkeypatch):
    monkeypatch.setattr(relay, "TAKEN_S", 0.3)
    monkeypatch.setattr(relay, "TICK_S", 0.1)
    ours, theirs = house.connected()
    with ours, theirs, pytest.raises((BrokenPipeError, ConnectionResetError)):
        theirs.sendall(LARGE * 50)


def test_a_driver_that_hangs_is_left_and_comes_again(house, monkeypatch):
    """For i-PI that is an end of file, after which it asks another one."""
    monkeypatch.setattr(patience, "HANG_S", 0.3)
    monkeypatch.setattr(relay, "TICK_S", 0.05)
    ours, theirs = house.connected()
    with ours, theirs:
        for _ in range(2):
            theirs.sendall(b"POSDATA     " + bytes(300) + b"GETFORCE    ")
            received(ours, 324)
            time.sleep(0.01)
            ours.sendall(b"FORCEREADY  " + bytes(400))
            received(theirs, 412)
        time.sleep(0.5)  # asked for nothing, it may be silent
        theirs.sendall(b"POSDATA     ")
        assert theirs.recv(10) == b""
        assert received(ours, 12) == b"POSDATA     "
        assert ours.recv(10) == b""
    for sock in house.connected():
        sock.close()


def test_another_secret_is_refused_in_one_line(house, tmp_path):
    other = tmp_path / "other"
    secret.write(other, Secret.new("127.0.0.1", house.secret.port, house.secret.certificate_sha256))
    with pytest.raises(RefusedError, match=r"ended the handshake .* that of this run\?"):
        Entrance(other).enter("slow", WAIT_S)


def test_another_certificate_is_refused_before_anything_is_said(house, tmp_path):
    other = tmp_path / "other"
    secret.write(other, Secret(house.secret.key, "127.0.0.1", house.secret.port, "ab" * 32))
    says = "another certificate" if house.secret.certificate_sha256 else "speaks no TLS"
    with pytest.raises(RefusedError, match=f"{says}.*the run that wrote the --token-file"):
        Entrance(other).enter("slow", WAIT_S)


def test_a_port_that_is_taken():
    with gate.listen("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(RunError, match=f"port {port} of 127.0.0.1 can't be had .Address"):
            gate.listen("127.0.0.1", port)


class TestEntrance:
    def test_the_file_may_come_later(self, house, tmp_path):
        (tmp_path / "token").rename(tmp_path / "away")
        timer = threading.Timer(0.2, (tmp_path / "away").rename, [tmp_path / "token"])
        timer.start()
        ours, theirs = house.connected()
        with ours, theirs:
            timer.join()

    def test_a_file_that_never_comes(self, tmp_path):
        with pytest.raises(InputError, match="token can't be read"):
            Entrance(tmp_path / "token").enter("slow", 0.3)

    def test_stop_ends_the_wait(self, tmp_path):
        reader, writer = socket.socketpair()
        with reader, writer:
            writer.sendall(b"x")
            assert Entrance(tmp_path / "token").enter("slow", WAIT_S, reader) is None

    def test_a_tunnel_has_another_address(self, house):
        found = Secret(house.secret.key, "no.such.host", 1, house.secret.certificate_sha256)
        secret.write(house.directory / "copy", found)
        way = Entrance(house.directory / "copy", "127.0.0.1", house.secret.port)
        with way.enter("slow", WAIT_S):
            house.servers["slow"].accept()[0].close()

    @pytest.mark.parametrize("lost", ["slow: end of file", CutError("got 3 of 12 bytes")])
    def test_a_lost_connection_is_made_again(self, lost):
        ends = [lost, "slow: EXIT from the server"]

        def serve():
            end = ends.pop(0)
            if isinstance(end, Exception):
                raise end
            return end

        assert until_the_end(serve) == "slow: EXIT from the server"
        assert not ends

    def test_a_run_that_is_gone_is_an_end_and_one_that_never_was_is_not(self):
        ends = ["slow: end of file"]

        def serve():
            if ends:
                return ends.pop()
            raise UnreachedError("no server")

        assert until_the_end(serve) == "the run is gone: no server"
        with pytest.raises(UnreachedError):
            until_the_end(serve)

    def test_a_fault_of_the_model_is_none_of_the_connection(self):
        def serve():
            raise RunError("no such host")

        with pytest.raises(RunError, match="no such host"):
            until_the_end(serve)


def test_tcp_connections_of_the_gate_notice_a_dead_host():
    with socket.socket() as sock:
        sockets.lively(sock)
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
