"""ORB: the names of its package (orb-v2, orb-v3-direct-20-omat, ...) and files of their weights.

For orb-models 0.5 (Python < 3.12) and 0.6 and later.  A network (``orb_network``) has either direct
or conservative forces.  A pair of them in one process, for multiple time steps: ``--model`` the
direct one, ``--conservative-model`` the other.  ORB subtracts the mean of direct forces itself.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ncforce_ipi.backend import Evaluation, Kind, Structure, Wanted
from ncforce_ipi.errors import InputError, ModelError
from ncforce_ipi.provenance import sha256

from . import conversion, loading
from .orb_network import PREDICTION_ERRORS, Network, known_models, open_network

FORCES = "direct: orb-v2, orb-v3-direct; conservative: orb-v3-conservative; a pair of them"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options that only ORB models have."""
    add = parser.add_argument
    add("--architecture", metavar="NAME", help="model name that the weights of --model FILE are of")
    add("--conservative-model", metavar="MODEL", help="a second network, for conservative forces")
    add("--conservative-architecture", metavar="NAME", help="as --architecture, for that network")
    add("--precision", default="float32-highest",
        choices=("float32-high", "float32-highest", "float64"))  # fmt: skip
    add("--compile", action="store_true", help="torch.compile the network")
    add("--charge", type=float, help="total charge, for -omol models")
    add("--spin", type=float, help="spin multiplicity, for -omol models")
    add("--no-virial", action="store_true", help="send 0 as virial; for networks without stress")


def load(args: argparse.Namespace) -> OrbBackend:
    """Load one network or a pair.

    Raises
    ------
    InputError
        Names or options that don't go together.
    ModelError
        orb-models is missing, there is no such model or device, or no direct virial.
    """
    loading.prepare(args.threads)
    known = known_models()
    device = loading.pick_device(args.device)
    loading.make_reproducible(args.threads, device)
    wanted = [(args.model, args.architecture)]
    if args.conservative_model:
        wanted.append((args.conservative_model, args.conservative_architecture))
    options = {"precision": args.precision, "compile": args.compile}
    networks = [open_network(known, *names, device, options) for names in wanted]
    for network in networks:
        needs_stress = not args.no_virial if network.is_conservative else args.direct_virial
        if needs_stress and not network.has_stress:
            word = "--no-virial" if network.is_conservative else "without --direct-virial it"
            raise ModelError(f"{network.path.name} has no stress; {word} runs NVE and NVT")
        if network.wants_charge_and_spin and None in (args.charge, args.spin):
            raise InputError(f"{network.path.name} wants --charge and --spin")
    return OrbBackend(networks, args, device)


class OrbBackend:
    """One or two loaded ORB networks; see ``ncforce_ipi.backend.Backend``."""

    species: frozenset[int] | None = None  # all elements have an embedding

    def __init__(self, networks: list[Network], args: argparse.Namespace, device: str) -> None:
        self._networks: dict[Kind, Network] = {
            "conservative" if network.is_conservative else "direct": network for network in networks
        }
        if len(self._networks) < len(networks):
            raise InputError(
                "a pair needs --model with direct and --conservative-model with conservative forces"
            )
        self.kinds: frozenset[Kind] = frozenset(self._networks)
        names = [args.model, args.conservative_model][: len(networks)]
        self.description = f"{' + '.join(names)} (ORB, {device}, {args.precision})"
        if len(networks) > 1:
            self.description += f", SHA-256 of the second {sha256(networks[1].path):.12}"
        self.source: Path | None = networks[0].path
        self._no_virial = args.no_virial
        state = {"charge": args.charge, "spin": args.spin}
        self._info = {key: value for key, value in state.items() if value is not None}

    def evaluate(self, structure: Structure, wanted: Wanted) -> Mapping[Kind, Evaluation]:
        """One call of the network of each kind."""
        conversion.check_request(self, structure, wanted)
        periodic = conversion.periodicity(structure)
        return {kind: self._evaluate(kind, structure, wanted, periodic) for kind in wanted.kinds}

    def _evaluate(
        self, kind: Kind, structure: Structure, wanted: Wanted, periodic: bool
    ) -> Evaluation:
        try:
            out = self._networks[kind].predict(structure, periodic, self._info)
        except PREDICTION_ERRORS as err:
            raise ModelError(f"{self.description} failed: {loading.one_line(err)}") from err
        energy, virial = np.nan, np.full((3, 3), np.nan)
        conservative = kind == "conservative"
        prefix = "grad_" if conservative else ""
        forces = out[prefix + "forces"]
        if conservative or wanted.direct_energy:
            energy = out["energy"].item()
        if conservative and self._no_virial:
            virial = np.zeros((3, 3))
        elif periodic and (conservative or wanted.direct_virial):
            virial = conversion.virial(out[prefix + "stress"], structure.cell)
        elif conservative:
            virial = conversion.open_virial(structure, forces)
        return Evaluation(energy, forces, virial)
