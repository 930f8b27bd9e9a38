"""Where the servers of ``ncforce driver`` are, and which atoms each has.

One server, or one for each of several replicas: what is given once for all, or once for each.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ncforce_ipi.backend import ROLES, Role
from ncforce_ipi.cli.paths import path
from ncforce_ipi.errors import InputError
from ncforce_ipi.serve.sockets import IPI_PREFIX, Address
from ncforce_ipi.species import read_species

PORTS = ("port", "slow_port", "fast_port")
UNIX = {
    "socket_dir": None, "sockets_prefix": IPI_PREFIX, "unix": None, "slow_address": "slow",
    "fast_address": "fast",
}  # fmt: skip


def add_addresses(parser: argparse.ArgumentParser) -> None:
    """Options that say where servers are, and how long they are waited for."""
    group = parser.add_argument_group(
        "addresses",
        f"Unix sockets PREFIX + ADDRESS (as i-PI's, PREFIX is {IPI_PREFIX}) or TCP.",
    )
    group.add_argument("--socket-dir", type=path, nargs="+", metavar="DIR",
                       help="sockets are files of this directory; of several: one for each "
                       "replica, an i-PI of its own")  # fmt: skip
    group.add_argument("--sockets-prefix", default=IPI_PREFIX, help="begin of every socket path")
    group.add_argument("--unix", metavar="ADDRESS", help="address of the one role that is served")
    group.add_argument("--slow-address", default="slow", metavar="ADDRESS")
    group.add_argument("--fast-address", default="fast", metavar="ADDRESS")
    group.add_argument("--token-file", type=path, metavar="FILE",
                       help="of a run with --remote: where it is, and the secret that it asks for; "
                       "--host and --port say where instead, behind a tunnel")  # fmt: skip
    group.add_argument("--host", help="use TCP; i-PI's protocol has no authentication")
    group.add_argument("--port", type=int, nargs="+",
                       help="port of the one role that is served, of each replica")  # fmt: skip
    group.add_argument("--slow-port", type=int, nargs="+", metavar="PORT")
    group.add_argument("--fast-port", type=int, nargs="+", metavar="PORT")
    group.add_argument("--shm", action="store_true",
                       help="for <ffsocket mode='shm'>: arrays in shared memory")  # fmt: skip
    group.add_argument("--wait-s", type=_seconds, default=60.0, help="for a server not up yet")
    group.add_argument("--idle-s", type=_seconds, default=3600.0,
                       help="longest silence of a server before the driver gives up")  # fmt: skip


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"expected seconds >= 0, got {text!r}")
    return value


@dataclass(frozen=True)
class Server:
    """One replica's: an address for each role, and its atoms.

    Attributes
    ----------
    name : for messages; '' where there is one server only
    addresses : of each role
    structure : the file that it starts from
    numbers : ``(n_atoms,)``, atomic numbers in its order
    report : that is written of it, if any
    """

    name: str
    addresses: dict[Role, Address]
    structure: Path
    numbers: NDArray[np.int32]
    report: Path | None


def servers(args: argparse.Namespace) -> list[Server]:
    """One for each replica.

    Raises
    ------
    InputError
        Options contradict each other, or an address can't be had.
    """
    _check_one_way(args)
    n = max(len(args.socket_dir or "1"), *(len(getattr(args, port) or "1") for port in PORTS))
    structures = _one_for_each(args.structure, n, "--structure")
    reports: list[Path | None] = [None] * n
    if args.report:
        reports = [*_one_for_each(args.report, n, "--report")]
        if len(args.report) < n:
            raise InputError(f"--report: got one file, expected {n}: one for each replica")
    species = {file: read_species(file) for file in structures}
    roles: tuple[Role, ...] = ROLES if args.role == "both" else (args.role,)
    found = [
        Server(
            f"replica {k}" if n > 1 else "",
            {role: _address(args, role, k, n) for role in roles},
            structures[k],
            species[structures[k]],
            reports[k],
        )
        for k in range(n)
    ]
    _check_distinct(found)
    return found


def _check_one_way(args: argparse.Namespace) -> None:
    """Refuse options of one way to a server where another one is taken."""
    ports = [f"--{name.replace('_', '-')}" for name in PORTS if getattr(args, name)]
    unix = [
        f"--{name.replace('_', '-')}" for name, default in UNIX.items()
        if getattr(args, name) != default
    ]  # fmt: skip
    tcp = ["--host"] * bool(args.host) + ports
    if args.token_file and (useless := [name for name in (*ports, *unix) if name != "--port"]):
        raise InputError(
            f"--token-file says where the run is; leave {' and '.join(useless)} out (--host and "
            "--port say where instead)"
        )
    if tcp and unix:
        raise InputError(
            f"{tcp[0]} is for TCP and {unix[0]} for unix sockets; give the options of one of them"
        )
    if args.socket_dir and "--sockets-prefix" in unix:
        raise InputError("--socket-dir and --sockets-prefix both say where; leave one out")
    for role in ROLES:
        own = getattr(args, f"{role}_port")
        if args.port and own and own != args.port and args.role == role:
            raise InputError(f"--port and --{role}-port are two ports of role {role}; give one")


def _one_for_each(given: list[Path], n: int, option: str) -> list[Path]:
    if len(given) not in (1, n):
        raise InputError(
            f"{option}: got {len(given)} files for {n} server(s); expected one for each, as many "
            "as directories of --socket-dir or ports"
        )
    return given if len(given) == n else given * n


def _check_distinct(found: list[Server]) -> None:
    seen: dict[Address, str] = {}
    for server in found:
        for role, address in server.addresses.items():
            address.check()
            who = f"{server.name} {role}".strip()
            if address in seen and seen[address].split()[:-1] == who.split()[:-1]:
                raise InputError(f"both roles have the address {address}; give each its own")
            if address in seen:
                raise InputError(
                    f"{seen[address]} and {who} have the address {address}; give each its own"
                )
            seen[address] = who


def _address(args: argparse.Namespace, role: Role, k: int, n: int) -> Address:
    """Where the server of ``role`` listens; ``--unix`` and ``--port`` are for a single role."""
    if args.token_file:
        return _through_a_gate(args, role)
    single = args.role != "both"
    if not single and (args.unix or args.port):
        raise InputError(
            "--unix and --port name one server and --role both needs two; "
            "use --slow-address and --fast-address, or --slow-port and --fast-port"
        )
    if args.host or any(getattr(args, port) for port in PORTS):
        if args.shm:
            raise InputError("--shm needs unix sockets, got --host or a port; leave one out")
        ports = getattr(args, f"{role}_port") or args.port
        if not ports:
            raise InputError(f"no port for role {role}; give --{role}-port")
        if len(ports) != n:
            raise InputError(f"role {role} has {len(ports)} port(s), expected {n}: one for each")
        return Address(host=args.host or "localhost", port=ports[k])
    prefix = args.sockets_prefix
    if args.socket_dir:
        prefix = f"{args.socket_dir[k]}/"
    return Address(path=prefix + (args.unix or getattr(args, f"{role}_address")))


def _through_a_gate(args: argparse.Namespace, role: Role) -> Address:
    """The address of a run that asks for a secret."""
    if args.shm or args.socket_dir or args.unix or (args.port and len(args.port) > 1):
        raise InputError("--token-file leads to one run, over TCP; leave the other addresses out")
    port = args.port[0] if args.port else 0
    return Address(host=args.host or "", port=port, token_file=str(args.token_file), role=role)
