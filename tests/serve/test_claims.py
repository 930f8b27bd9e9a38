"""A driver refuses a server whose input was written for another; it serves all others."""

import hashlib
import socket
import threading

import numpy as np
import pytest

from ncforce_ipi.errors import InputError
from ncforce_ipi.models import identity
from ncforce_ipi.serve import client, sockets
from ncforce_ipi.serve.claims import Claims
from ncforce_ipi.serve.connection import Connection
from ncforce_ipi.serve.evaluator import Evaluator
from ncforce_ipi.serve.replicas import Replica
from tests.ipi_server import Server
from tests.serve.test_client import Springs

MODELS = frozenset(["sha256-0123456789ab", "metatomic/water"])


WATER = identity.of_atoms([8, 1, 1])


def claims(role="slow", kind="conservative", sends=(), atoms=WATER):
    return Claims(f"unix:./{role}", role, kind, MODELS, frozenset(sends), atoms)


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"model": "theirs", "role": "theirs"},  # parameters of somebody else's client
        {"ncforce_role": "slow"},
        {"ncforce_model": "sha256-0123456789ab"},
        {"ncforce_model": "metatomic/water", "ncforce_role": "slow"},
        {"ncforce_atoms": WATER},
    ],
)
def test_served(said):
    claims().check(said)


@pytest.mark.parametrize("needs", ["virial", "direct-virial"])
@pytest.mark.parametrize(
    ("kind", "sends", "advice"),
    [
        ("conservative", ["virial"], None),
        ("conservative", ["direct-virial"], "needs virial .* as 0; leave --no-virial out, give a"),
        ("direct", ["direct-virial"], None),
        ("direct", ["virial"], "needs direct-virial .* as 0; start it with --direct-virial$"),
    ],
)
def test_a_virial_is_one_whichever_kind_of_force_the_input_is_for(kind, sends, advice, needs):
    one = claims(kind=kind, sends=sends)
    if advice is None:
        one.check({"ncforce_needs": needs})
    else:
        with pytest.raises(InputError, match=advice):
            one.check({"ncforce_needs": needs})


@pytest.mark.parametrize(
    ("changes", "said", "message"),
    [
        (
            {},
            {"ncforce_role": "fast"},
            r"^unix:\./slow asks for the fast force .*, this driver serves the slow force there; "
            "the addresses of slow and fast are swapped$",
        ),
        (
            {},
            {"ncforce_role": "slow", "ncforce_model": "sha256-ba9876543210"},
            "asks for model sha256-ba9876543210 .*, this driver has metatomic/water, "
            "sha256-0123456789ab; it belongs to another run",
        ),
        (
            {"atoms": identity.of_atoms([1, 1, 8])},
            {"ncforce_atoms": WATER},
            rf"has other atoms, or in another order, than --structure .ncforce_atoms {WATER} in "
            r"the <parameters> of its input, here sha256-\w{12}.; give the file from which",
        ),
        (
            {"role": "fast", "kind": "direct", "sends": ["direct-energy"]},
            {"ncforce_needs": "direct-energy+direct-virial"},
            "needs direct-virial .* would send as 0; start it with --direct-virial$",
        ),
    ],
)
def test_refused_in_one_line(changes, said, message):
    with pytest.raises(InputError, match=message):
        claims(**changes).check(said)


def test_atoms_are_known_by_their_numbers_in_their_order():
    assert identity.of_atoms(np.array([8, 1, 1], np.int64)) == WATER
    assert "sha256-" + hashlib.sha256(b"\x08\0\0\0\1\0\0\0\1\0\0\0").hexdigest()[:12] == WATER
    others = [[1, 8, 1], [8, 1], [8, 1, 1, 1], []]
    assert WATER not in map(identity.of_atoms, others)


def test_refused_before_any_position_is_taken():
    """i-PI then sees an end of file, and its request goes to the next driver."""
    ours, theirs = socket.socketpair()
    connection = Connection("slow", ours, np.array([1], np.int32), claims=claims())
    evaluator = Evaluator(Springs(), {"slow": "conservative"})
    caught = []

    def serve():
        try:
            client.serve([Replica([connection], evaluator.trajectory())], evaluator, idle_s=10.0)
        except InputError as err:
            caught.append(str(err))
        finally:
            sockets.hang_up([ours])

    thread = threading.Thread(target=serve)
    thread.start()
    server = Server(theirs)
    assert server.status() == "NEEDINIT"
    server.init(" ncforce_role : fast , ncforce_model : metatomic/water , ")
    with pytest.raises(EOFError):
        server.status()
    theirs.close()
    thread.join(20.0)
    assert "asks for the fast force" in caught[0]
