"""The report of ``ncforce driver``: one JSON file for each replica that it serves."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from ncforce_ipi import __version__
from ncforce_ipi.backend import Kind, Role
from ncforce_ipi.cli.servers import Server
from ncforce_ipi.serve import client
from ncforce_ipi.serve.evaluator import Evaluator
from ncforce_ipi.serve.pulse import live_file
from ncforce_ipi.serve.replicas import Replica

Record = dict[str, object]


def provenance(
    args: argparse.Namespace, kinds: Mapping[Role, Kind], model: str, digest: str | None
) -> Record:
    """The head of all reports: what is served, from which file, how."""
    return {
        "version": __version__,
        "command": sys.argv,
        "model": model,
        "model_sha256": digest,
        "threads": args.threads,
        "kinds": dict(kinds),
        "net_force_removed_from_direct": not args.keep_net_force,
        "direct_energy_sent": args.direct_energy,
        "direct_virial_sent": args.direct_virial,
    }


@dataclass
class Reports:
    """Writes them.

    While a replica is served its counts are in the ``.live`` file beside its report
    (``serve.pulse``).  When it isn't any more, by whatever cause, its report is written at once and
    the ``.live`` file removed, though the driver may serve others: a launcher sees by ``end`` how
    it ended.  If its server comes again, counts go on, in both.

    Attributes
    ----------
    record : what is said of every replica; ``calls`` are those of the model for all of them
    replicas : one of each server
    started : when the search for servers began, `time.perf_counter`
    connected : when all had been found
    written : numbers of replicas whose report was written
    """

    record: Record
    servers: list[Server]
    evaluator: Evaluator
    replicas: list[Replica]
    started: float = field(default_factory=time.perf_counter)
    connected: float | None = None
    written: set[int] = field(default_factory=set)

    def write_others(self, end: str) -> None:
        """Those of replicas that were served to the end of the driver, or never."""
        for k, replica in enumerate(self.replicas):
            if replica.lives or k not in self.written:
                self.write(replica, end)

    def write(self, replica: Replica, end: str = "") -> None:
        """The report of one replica, if it has one; ``end`` if it isn't the replica's own."""
        server, end = self.servers[self.replicas.index(replica)], end or replica.end
        self.written.add(self.replicas.index(replica))
        replica.pulse.close()
        if server.report is None:
            return
        found = self.record | self._of(server, replica) | {"end": end}
        found |= self._timings(replica)
        client.write_report(server.report, found)
        live_file(server.report).unlink(missing_ok=True)  # the report says it all

    def _of(self, server: Server, replica: Replica) -> Record:
        counts = replica.trajectory.counts
        return {
            "n_atoms": len(server.numbers),
            "addresses": {role: str(address) for role, address in server.addresses.items()},
            "replica": self.replicas.index(replica),
            "replicas": len(self.replicas),
            "calls": asdict(self.evaluator.calls),
            "joint": asdict(counts) if counts else None,
        }

    def _timings(self, replica: Replica) -> Record:
        """Counts and seconds of each role; the rest of the time was waiting for servers.

        A call of the model for several replicas counts in full for each of them.
        """
        tallies = {each.role: each.tally for each in replica.connections}
        connected = self.connected or time.perf_counter()
        total_s = time.perf_counter() - connected
        busy_s = sum(tally.model_s + tally.wire_s for tally in tallies.values())
        return {
            "roles": {role: asdict(tally) for role, tally in tallies.items()},
            "connect_s": connected - self.started,
            "serve_s": total_s,
            "wait_s": total_s - busy_s,
        }
