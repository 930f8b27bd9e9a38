"""``ncforce driver FAMILY``: serve a model's forces to an i-PI server.

Owns options, log lines and the report; serving is ``ncforce_ipi.client``.  Imports the standard
library and numpy, and one model library when the model is loaded.
"""

from __future__ import annotations

import argparse
import logging
import math
import signal
import socket
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ncforce_ipi import __version__
from ncforce_ipi.backend import ROLES, Kind, Role
from ncforce_ipi.cli.families import FamilyParser, ListFamilies
from ncforce_ipi.cli.options import add_options, keywords
from ncforce_ipi.cli.paths import path
from ncforce_ipi.errors import InputError
from ncforce_ipi.models import identity
from ncforce_ipi.provenance import sha256
from ncforce_ipi.serve import client, families, sockets
from ncforce_ipi.serve.claims import Claims
from ncforce_ipi.serve.evaluator import Evaluator, Serving, check_species
from ncforce_ipi.serve.options import options_of, without
from ncforce_ipi.serve.pulse import Pulse, live_file
from ncforce_ipi.serve.sharedmemory import Segments
from ncforce_ipi.serve.sockets import IPI_PREFIX
from ncforce_ipi.species import read_species

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
    _add_addresses(parser)
    add_options(parser.add_argument_group("forces"), SERVING.values())
    parser.add_argument("--report", type=path, help="write counts and seconds to this JSON file; "
                        "while it runs, counts to the .live file beside it")  # fmt: skip
    own = without(options, {*families.COMMON} - {"dtype"})
    add_options(parser.add_argument_group(f"model of {family.name}"), own.values())


def _add_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--debug", action="store_true", default=argparse.SUPPRESS,
                        help="show the traceback of an error")  # fmt: skip
    parser.add_argument("--model", required=True, help="model file, or a name the family knows")
    parser.add_argument("--role", required=True, choices=(*ROLES, "both"), help="force(s) to serve")
    parser.add_argument("--structure", required=True, type=path,
                        help="the server's start structure; only its species are read")  # fmt: skip
    parser.add_argument("--device", help="cpu, cuda, cuda:1, ...; default: the model's first here")
    parser.add_argument("--threads", type=_positive_int, default=1,
                        help="CPU threads of the model (default 1: reproducible)")  # fmt: skip
    parser.add_argument("--trust", action=argparse.BooleanOptionalAction, default=False,
                        help="load a model file that can run any code (a pickle)")  # fmt: skip


def _add_addresses(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group(
        "addresses",
        f"Unix sockets PREFIX + ADDRESS (as i-PI's, PREFIX is {IPI_PREFIX}) or TCP.",
    )
    group.add_argument("--socket-dir", type=path, help="sockets are files of this directory")
    group.add_argument("--sockets-prefix", default=IPI_PREFIX, help="begin of every socket path")
    group.add_argument("--unix", metavar="ADDRESS", help="address of the one role that is served")
    group.add_argument("--slow-address", default="slow", metavar="ADDRESS")
    group.add_argument("--fast-address", default="fast", metavar="ADDRESS")
    group.add_argument("--host", help="use TCP; i-PI's protocol has no authentication")
    group.add_argument("--port", type=int, help="port of the one role that is served")
    group.add_argument("--slow-port", type=int, metavar="PORT")
    group.add_argument("--fast-port", type=int, metavar="PORT")
    group.add_argument("--shm", action="store_true",
                       help="for <ffsocket mode='shm'>: arrays in shared memory")  # fmt: skip
    group.add_argument("--wait-s", type=_seconds, default=60.0, help="for a server not up yet")
    group.add_argument("--idle-s", type=_seconds, default=3600.0,
                       help="longest silence of a server before the driver gives up")  # fmt: skip


def _positive_int(text: str) -> int:
    if not (text.isdigit() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"expected an integer >= 1, got {text!r}")
    return int(text)


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"expected seconds >= 0, got {text!r}")
    return value


@dataclass(frozen=True)
class Service:
    """Which kind of force each role gives, where, for which atoms ``(n_atoms,)``."""

    kinds: dict[Role, Kind]
    addresses: dict[Role, sockets.Address]
    numbers: NDArray[np.int32]


def run(args: argparse.Namespace) -> int:
    """Load, connect, serve until the servers leave; 0 is a clean end."""
    service = _service(args)
    start = time.perf_counter()
    family = families.find(args.family)
    with _termination() as stop, family.load(**keywords(family.options(), args)) as backend:
        check_species(backend, service.numbers, args.structure)
        serving = Serving(**keywords(SERVING, args))
        evaluator = serving.evaluator(backend, service.kinds)
        digest = sha256(backend.source) if backend.source else None
        _announce(args, service, f"{backend.description}, SHA-256 {digest or 'of no file':.12}")
        if "conservative" in service.kinds.values() and "conservative" not in backend.stress:
            log.info("conservative forces: virial sent as 0")
        record = _provenance(args, service, backend.description, digest)
        record["load_s"] = time.perf_counter() - start
        claims = _claims(args, service, backend.source)
        _serve(args, service, evaluator, stop, record, claims)
    return 0


def _service(args: argparse.Namespace) -> Service:
    roles: tuple[Role, ...] = ROLES if args.role == "both" else (args.role,)
    addresses = {role: _address(args, role) for role in roles}
    for address in addresses.values():
        address.check()
    if len(set(addresses.values())) < len(addresses):
        raise InputError(f"both roles have the address {addresses['slow']}; give each its own")
    kinds = {role: getattr(args, f"{role}_kind") for role in roles}
    return Service(kinds, addresses, read_species(args.structure))


def _address(args: argparse.Namespace, role: Role) -> sockets.Address:
    """Where the server of ``role`` listens; ``--unix`` and ``--port`` are for a single role."""
    single = args.role != "both"
    if not single and (args.unix or args.port):
        raise InputError(
            "--unix and --port name one server and --role both needs two; "
            "use --slow-address and --fast-address, or --slow-port and --fast-port"
        )
    if args.host or args.port or args.slow_port or args.fast_port:
        if args.shm:
            raise InputError("--shm needs unix sockets, got --host or a port; leave one out")
        port = getattr(args, f"{role}_port") or args.port
        if not port:
            raise InputError(f"no port for role {role}; give --{role}-port")
        return sockets.Address(host=args.host or "localhost", port=port)
    prefix = f"{args.socket_dir}/" if args.socket_dir else args.sockets_prefix
    return sockets.Address(path=prefix + (args.unix or getattr(args, f"{role}_address")))


def _claims(args: argparse.Namespace, service: Service, source: Path | None) -> dict[Role, Claims]:
    """What this driver is, to be compared with the server's input."""
    models = {identity.of_name(args.family, args.model)}
    file = source or Path(args.model)
    if file.is_file():
        models.add(identity.of_file(file))
    sends = {name for name in identity.SENT if getattr(args, name.replace("-", "_"))}
    return {
        role: Claims(str(address), role, service.kinds[role], frozenset(models), frozenset(sends))
        for role, address in service.addresses.items()
    }


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


def _announce(args: argparse.Namespace, service: Service, model: str) -> None:
    """Say what is served, before anything is."""
    log.info("model %s, %d thread(s)", model, args.threads)
    for role, kind in service.kinds.items():
        log.info(
            "%s = %s forces of %d atoms at %s",
            role, kind, len(service.numbers), service.addresses[role],
        )  # fmt: skip
    if "direct" in service.kinds.values():
        log.info(
            "direct forces: net force %s, energy %s, virial %s",
            "kept" if args.keep_net_force else "removed",
            "sent" if args.direct_energy else "sent as 0",
            "sent" if args.direct_virial else "sent as 0",
        )


def _provenance(
    args: argparse.Namespace, service: Service, model: str, digest: str | None
) -> dict[str, object]:
    """The head of the report: what is served, from which file, how."""
    return {
        "version": __version__,
        "command": sys.argv,
        "model": model,
        "model_sha256": digest,
        "threads": args.threads,
        "n_atoms": len(service.numbers),
        "kinds": service.kinds,
        "addresses": {role: str(address) for role, address in service.addresses.items()},
        "net_force_removed_from_direct": not args.keep_net_force,
        "direct_energy_sent": args.direct_energy,
        "direct_virial_sent": args.direct_virial,
    }


def _serve(
    args: argparse.Namespace,
    service: Service,
    evaluator: Evaluator,
    stop: socket.socket,
    record: dict[str, object],
    claims: Mapping[Role, Claims],
) -> None:
    """Connect, serve, and write the report however it ends."""
    connections: list[client.Connection] = []
    pulse = Pulse(live_file(args.report) if args.report else None)
    start = connected = time.perf_counter()
    try:
        for role, address in service.addresses.items():
            sock = sockets.connect(address, args.wait_s, stop)
            if sock is None:
                record["end"] = "asked to stop"
                return
            segments = Segments() if args.shm else None
            connections.append(client.Connection(role, sock, segments, claims[role], pulse))
        log.info("connected")
        connected = time.perf_counter()
        record["end"] = client.serve(
            connections, service.numbers, evaluator, idle_s=args.idle_s, stop=stop
        )
        log.info("end: %s", record["end"])
        _log_joint(evaluator)
    except BaseException as err:
        record["end"] = f"{type(err).__name__}: {err}"
        raise
    finally:
        pulse.close()
        sockets.hang_up([connection.sock for connection in connections])
        if args.report:
            record["connect_s"] = connected - start
            record |= _timings(connections, connected) | _joint_record(evaluator)
            client.write_report(args.report, record)
            live_file(args.report).unlink(missing_ok=True)  # the report says it all


def _joint_record(evaluator: Evaluator) -> dict[str, object]:
    """Calls of the model, and how joint evaluation did; null where one role was served."""
    counts = evaluator.counts
    return {"calls": asdict(evaluator.calls), "joint": asdict(counts) if counts else None}


def _log_joint(evaluator: Evaluator) -> None:
    if counts := evaluator.counts:
        log.info(
            "joint evaluation: %d hits, %d misses, %d wasted; %d model calls for both forces, "
            "%d for one",
            counts.hits, counts.misses, counts.wasted,
            evaluator.calls.joint, evaluator.calls.single,
        )  # fmt: skip


def _timings(connections: Sequence[client.Connection], connected: float) -> dict[str, object]:
    """Counts and seconds of each role; the rest of the time was waiting for the servers."""
    tallies = {connection.role: connection.tally for connection in connections}
    total_s = time.perf_counter() - connected
    busy_s = sum(tally.model_s + tally.wire_s for tally in tallies.values())
    return {
        "roles": {role: asdict(tally) for role, tally in tallies.items()},
        "serve_s": total_s,
        "wait_s": total_s - busy_s,
    }
