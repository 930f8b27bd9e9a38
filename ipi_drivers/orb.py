"""ORB: the names of its package (orb-v2, orb-v3-direct-20-omat, ...) and files of their weights.

Owns the way from a structure to ORB's graph and back, for orb-models 0.5 (Python < 3.12) and 0.6
and later.  A network has either direct or conservative forces.  A pair of them in one process, for
multiple time steps: ``--model`` the direct one, ``--conservative-model`` the other.  ORB subtracts
the mean of direct forces itself.
"""

from __future__ import annotations

import argparse
import inspect
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ncforce_ipi.backend import Evaluation, Kind, Structure, Wanted
from ncforce_ipi.errors import InputError, ModelError
from ncforce_ipi.models import sha256

from . import loading

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
    try:
        with loading.quiet():
            from orb_models.forcefield import pretrained
    except ImportError as err:
        raise loading.missing("orb", err) from err
    device = loading.pick_device(args.device)
    loading.make_reproducible(args.threads, device)
    networks = [_load(pretrained, args, args.model, args.architecture, device)]
    if args.conservative_model:
        second = args.conservative_model, args.conservative_architecture
        networks.append(_load(pretrained, args, *second, device))
    for network, _, path in networks:
        conservative = hasattr(network, "grad_forces_name")
        has_stress = network.has_stress if conservative else "stress" in network.heads
        if not has_stress and (not args.no_virial if conservative else args.direct_virial):
            raise ModelError(f"{path.name} has no stress; --no-virial runs NVE and NVT without it")
        if network.model.conditioner is not None and None in (args.charge, args.spin):
            raise InputError(f"{path.name} wants --charge and --spin")
    return OrbBackend(networks, args, device)


def _load(
    pretrained: Any, args: argparse.Namespace, model: str, architecture: str | None, device: str
) -> tuple[Any, Any, Path]:
    """Network, its function from ASE's atoms to its graph, and the file of its weights."""
    known = pretrained.ORB_PRETRAINED_MODELS
    file = Path(model) if Path(model).is_file() else None
    name = architecture if file else model
    if name not in known:
        names = ", ".join(sorted(known))
        raise InputError(
            f"{model!r}: expected one of {names}, or a file of weights with --architecture "
            f"one of these; got {name}"
        )
    function = known[name]
    try:
        with loading.quiet(), loading.default_dtype():
            from cached_path import cached_path

            url = inspect.signature(function).parameters["weights_path"].default
            path = file or Path(cached_path(url))
            options = {"precision": args.precision, "compile": args.compile}
            loaded = function(weights_path=str(path), device=device, **options)
    except Exception as err:  # of network, file or weights: of many kinds
        raise ModelError(
            f"weights of {name} can't be loaded from {file or 'the network'}: "
            f"{loading.one_line(err)}"
        ) from err
    if isinstance(loaded, tuple):
        return loaded[0], loaded[1].from_ase_atoms, path
    from orb_models.forcefield.atomic_system import ase_atoms_to_atom_graphs

    return loaded, partial(ase_atoms_to_atom_graphs, system_config=loaded.system_config), path


class OrbBackend:
    """One or two loaded ORB networks; see ``ncforce_ipi.backend.Backend``."""

    species: frozenset[int] | None = None  # all elements have an embedding

    def __init__(
        self, networks: list[tuple[Any, Any, Path]], args: argparse.Namespace, device: str
    ) -> None:
        self._networks: dict[Kind, tuple[Any, Any]] = {
            "conservative" if hasattr(network, "grad_forces_name") else "direct": (network, adapter)
            for network, adapter, _ in networks
        }
        if len(self._networks) < len(networks):
            raise InputError(
                "a pair needs --model with direct and --conservative-model with conservative forces"
            )
        self.kinds: frozenset[Kind] = frozenset(self._networks)
        names = [args.model, args.conservative_model][: len(networks)]
        self.description = f"{' + '.join(names)} (ORB, {device}, {args.precision})"
        if len(networks) > 1:
            self.description += f", SHA-256 of the second {sha256(networks[1][2]):.12}"
        self.source: Path | None = networks[0][2]
        self._device, self._no_virial = device, args.no_virial
        self._info = {"charge": args.charge, "spin": args.spin}

    def evaluate(self, structure: Structure, wanted: Wanted) -> Mapping[Kind, Evaluation]:
        """One call of the network of each kind."""
        loading.check_request(self, structure, wanted)
        periodic = loading.periodicity(structure)
        return {kind: self._evaluate(kind, structure, wanted, periodic) for kind in wanted.kinds}

    def _evaluate(
        self, kind: Kind, structure: Structure, wanted: Wanted, periodic: bool
    ) -> Evaluation:
        out = self._predict(*self._networks[kind], structure, periodic)
        energy, virial = np.nan, np.full((3, 3), np.nan)
        conservative = kind == "conservative"
        prefix = "grad_" if conservative else ""
        forces = out[prefix + "forces"]
        if conservative or wanted.direct_energy:
            energy = out["energy"].item()
        if conservative and self._no_virial:
            virial = np.zeros((3, 3))
        elif periodic and (conservative or wanted.direct_virial):
            virial = loading.virial(out[prefix + "stress"], structure.cell)
        elif conservative:
            virial = loading.open_virial(structure, forces)
        return Evaluation(energy, forces, virial)

    def _predict(
        self, network: Any, adapter: Any, structure: Structure, periodic: bool
    ) -> Mapping[str, np.ndarray]:
        """Outputs in float64, from a graph made anew as ORB's own calculator makes it."""
        atoms = loading.ase_atoms(structure, periodic)
        atoms.info = {key: value for key, value in self._info.items() if value is not None}
        try:
            with loading.quiet(), loading.default_dtype(next(network.parameters()).dtype):
                out = network.predict(adapter(atoms=atoms, device=self._device).to(self._device))
        except (RuntimeError, ValueError, KeyError, IndexError, AssertionError) as err:
            raise ModelError(f"{self.description} failed: {loading.one_line(err)}") from err
        return {key: value.detach().cpu().double().numpy() for key, value in out.items()}
