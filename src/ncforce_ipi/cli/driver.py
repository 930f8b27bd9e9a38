"""``ncforce driver FAMILY``: serve a model's forces to an i-PI server.

Owns options and log lines; serving is ``serve.client``.  Imports the standard library and numpy,
and one model library when the model is loaded.

It serves one server, or several replicas: ``--socket-dir D0 D1 ...`` (or ports), each an i-PI of
its own with its sockets named as those of a single one, ``--structure`` and ``--report`` one for
each.  Each report and its ``.live`` file are those of a run of its own
(``launch.watching.answers.Heard``).
"""

from __future__ import annotations

import argparse
import logging
import signal
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from ncforce_ipi.backend import ROLES, Backend, Kind, Role
from ncforce_ipi.cli.driver_report import Reports, provenance
from ncforce_ipi.cli.families import FamilyParser, ListFamilies
from ncforce_ipi.cli.options import add_options, keywords
from ncforce_ipi.cli.paths import path
from ncforce_ipi.cli.servers import Server, add_addresses, servers
from ncforce_ipi.errors import RunError
from ncforce_ipi.models import identity
from ncforce_ipi.provenance import sha256
from ncforce_ipi.serve import client, entrance, families, sockets
from ncforce_ipi.serve.claims import Claims
from ncforce_ipi.serve.connection import Connection
from ncforce_ipi.serve.evaluator import Evaluator, Serving, check_species
from ncforce_ipi.serve.options import options_of, without
from ncforce_ipi.serve.pulse import Pulse, live_file
from ncforce_ipi.serve.replicas import Replica, grouped

SERVING = options_of(Serving)

log = logging.getLogger("ncforce_ipi.driver")


EXAMPLES = (
    (
        "both forces of a shipped model, for i-PI's own unix sockets",
        "driver metatomic --model water --role both --structure init.xyz",
    ),
    (
        "the slow force of SevenNet-0 on a GPU",
        "driver sevennet --model 7net-0 --role slow --structure init.xyz --device cuda",
    ),
    (
        "two replicas, each an i-PI that was started with -S a/ or -S b/",
        "driver metatomic --model water --role both --structure init.xyz --socket-dir a b",
    ),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """One sub-parser for each family of models: the common options and its own."""
    parser.add_argument("--list", action=ListFamilies,
                        help="show families: which are here, what installs the others")  # fmt: skip
    names = parser.add_subparsers(
        dest="family", required=True, metavar="FAMILY", parser_class=FamilyParser
    )
    for name, family in families.known().items():
        names.add_parser(name, help=f"a model of {name}", family=family, fill=_add_family)


def _add_family(parser: argparse.ArgumentParser, family: families.Family) -> None:
    options = family.options()
    _add_model(parser)
    add_addresses(parser)
    add_options(parser.add_argument_group("forces"), SERVING.values())
    parser.add_argument("--report", type=path, nargs="+", metavar="FILE",
                        help="write counts and seconds to this JSON file; while it runs, "
                        "counts to the .live file beside it; one for each replica")  # fmt: skip
    own = without(options, {*families.COMMON} - {"dtype"})
    add_options(parser.add_argument_group(f"model of {family.name}"), own.values())


def _add_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--debug", action="store_true", default=argparse.SUPPRESS,
                        help="show the traceback of an error")  # fmt: skip
    parser.add_argument("--model", required=True, help="model file, or a name the family knows")
    parser.add_argument("--role", required=True, choices=(*ROLES, "both"), help="force(s) to serve")
    parser.add_argument("--structure", required=True, type=path, nargs="+", metavar="FILE",
                        help="the server's start structure; only its species are read; of several: "
                        "one for each replica, or one for all")  # fmt: skip
    parser.add_argument("--device", help="cpu, cuda, cuda:1, ...; default: the model's first here")
    parser.add_argument("--threads", type=_positive_int, default=1,
                        help="CPU threads of the model (default 1: reproducible)")  # fmt: skip
    parser.add_argument("--trust", action=argparse.BooleanOptionalAction, default=False,
                        help="load a model file that can run any code (a pickle)")  # fmt: skip


def _positive_int(text: str) -> int:
    if not (text.isdigit() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"expected an integer >= 1, got {text!r}")
    return int(text)


def run(args: argparse.Namespace) -> int:
    """Load, connect, serve until the servers leave; 0 is a clean end."""
    found = servers(args)
    _warn_of_strangers(args)
    kinds: dict[Role, Kind] = {role: getattr(args, f"{role}_kind") for role in found[0].addresses}
    start = time.perf_counter()
    family = families.find(args.family)
    with _termination() as stop, family.load(**keywords(family.options(), args)) as backend:
        for server in found:
            check_species(backend, server.numbers, server.structure)
        evaluator = Serving(**keywords(SERVING, args)).evaluator(backend, kinds)
        digest = sha256(backend.source) if backend.source else None
        _announce(
            args, found, kinds, f"{backend.description}, SHA-256 {digest or 'of no file':.12}"
        )
        if "conservative" in kinds.values() and "conservative" not in backend.stress:
            log.info("conservative forces: virial sent as 0")
        record = provenance(args, kinds, backend.description, digest)
        record["load_s"] = time.perf_counter() - start
        models = _identities(args, backend.source)
        sends = _sends(args, backend)
        replicas = [_replica(server, kinds, evaluator, models, sends, args.shm) for server in found]
        _log_groups(replicas, evaluator)
        _serve(args, Reports(record, found, evaluator, replicas), stop)
    return 0


def _identities(args: argparse.Namespace, source: Path | None) -> frozenset[str]:
    """Of the model, to be compared with the servers' inputs."""
    models = {identity.of_name(args.family, args.model)}
    file = source or Path(args.model)
    if file.is_file():
        models.add(identity.of_file(file))
    return frozenset(models)


def _sends(args: argparse.Namespace, backend: Backend) -> frozenset[str]:
    """What goes along with forces, in the words of an input."""
    found = {name for name in identity.SENT if getattr(args, name.replace("-", "_"))}
    if "conservative" in backend.stress:
        found.add(identity.VIRIAL)
    return frozenset(found)


def _replica(
    server: Server,
    kinds: Mapping[Role, Kind],
    evaluator: Evaluator,
    models: frozenset[str],
    sends: frozenset[str],
    shm: bool,
) -> Replica:
    """Not connected yet."""
    connections = [
        Connection(
            role, None, server.numbers, address, shm,
            Claims(
                str(address), role, kinds[role], models, sends, identity.of_atoms(server.numbers)
            ),
        )
        for role, address in server.addresses.items()
    ]  # fmt: skip
    pulse = Pulse(live_file(server.report) if server.report else None)
    return Replica(connections, evaluator.trajectory(), pulse, server.name)


@contextmanager
def _termination() -> Iterator[socket.socket]:
    """A socket that becomes readable on SIGTERM: no evaluation is cut in the middle."""
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    with reader, writer:
        handler = signal.signal(signal.SIGTERM, lambda *_: None)
        wakeup = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        try:
            yield reader
        finally:
            signal.set_wakeup_fd(wakeup)
            signal.signal(signal.SIGTERM, handler)


def _announce(
    args: argparse.Namespace, found: Sequence[Server], kinds: Mapping[Role, Kind], model: str
) -> None:
    """Say what is served, before anything is."""
    log.info("model %s, %d thread(s)", model, args.threads)
    for server in found:
        for role, kind in kinds.items():
            log.info(
                "%s = %s forces of %d atoms at %s",
                f"{server.name} {role}".strip(), kind, len(server.numbers), server.addresses[role],
            )  # fmt: skip
    if "direct" in kinds.values():
        log.info(
            "direct forces: net force %s, energy %s, virial %s",
            "kept" if args.keep_net_force else "removed",
            "sent" if args.direct_energy else "sent as 0",
            "sent" if args.direct_virial else "sent as 0",
        )


def _log_groups(replicas: Sequence[Replica], evaluator: Evaluator) -> None:
    """Say which replicas share calls of the model."""
    groups = grouped(replicas, evaluator.atoms_at_once)
    if len(groups) < len(replicas):
        sizes = ", ".join(str(len(group.replicas)) for group in groups)
        log.info("replicas that share calls of the model: %s", sizes)
    elif len(replicas) > 1:
        log.info("replicas are evaluated one by one: a batch wouldn't be faster here")


def _warn_of_strangers(args: argparse.Namespace) -> None:
    """Over a network without a secret."""
    if args.host and not args.token_file and not sockets.is_loopback(args.host):
        log.warning(
            "nothing shows that %s is the run that is meant, and whoever reaches its port can read "
            "positions and send forces; use ncforce run --remote, or a tunnel of ssh",
            args.host,
        )


def _serve(args: argparse.Namespace, reports: Reports, stop: socket.socket) -> None:
    """Connect, serve, and write the reports however it ends."""
    replicas, end = reports.replicas, "asked to stop"

    def serve() -> str:
        for replica in replicas:
            replica.error = None  # of a connection that was lost
            replica.pulse.open()
        if not _connect(replicas, args.wait_s, stop):
            return "asked to stop"
        log.info("connected")
        reports.connected = time.perf_counter()
        return client.serve(
            replicas, reports.evaluator, idle_s=args.idle_s, stop=stop, ended=reports.write
        )

    try:
        end = entrance.until_the_end(serve) if args.token_file else serve()
        log.info("end: %s", end)
        _log_joint(reports)
    except BaseException as err:
        end = f"{type(err).__name__}: {err}"
        raise
    finally:
        sockets.hang_up([
            each.sock for replica in replicas for each in replica.connections if each.sock
        ])  # fmt: skip
        reports.write_others(end)


def _connect(replicas: Sequence[Replica], wait_s: float, stop: socket.socket) -> bool:
    """Reach all servers within a time; False if it was to stop.

    One server must be there; of several, those that aren't are looked for again later.
    """
    deadline = time.monotonic() + wait_s
    for replica in replicas:
        for connection in replica.connections:
            if connection.address is None:
                continue
            try:
                left_s = max(0.0, deadline - time.monotonic())
                sock = entrance.reach(connection.address, connection.role, left_s, stop)
            except RunError as err:
                if len(replicas) == 1:
                    raise
                log.warning("%s: %s", replica.name, err)
                continue
            if sock is None:
                return False
            connection.attach(sock)
    if not any(replica.lives for replica in replicas):
        raise RunError(
            f"no server at any of {len(replicas)} addresses within {wait_s:g} s; start i-PI first, "
            "or raise --wait-s"
        )
    return True


def _log_joint(reports: Reports) -> None:
    found = [replica.trajectory.counts for replica in reports.replicas]
    counts, calls = [each for each in found if each], reports.evaluator.calls
    if counts:
        log.info(
            "joint evaluation: %d hits, %d misses, %d wasted; %d model calls for both forces, "
            "%d for one",
            *(sum(getattr(each, name) for each in counts) for name in ("hits", "misses", "wasted")),
            calls.joint, calls.single,
        )  # fmt: skip
