"""ORB: the names of its package (orb-v2, orb-v3-direct-20-omat, ...) and files of their weights.

For orb-models 0.5 (Python < 3.12) and 0.6 and later.  A network (``orb_network``) has either direct
or conservative forces.  A pair of them in one process, for multiple time steps: ``--model`` the
direct one, ``--conservative-model`` the other.  ORB subtracts the mean of direct forces itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from ncforce_ipi.backend import Evaluation, Kind, Structure, Wanted
from ncforce_ipi.errors import InputError, ModelError
from ncforce_ipi.provenance import sha256

from . import conversion, loading
from .batches import BatchedBackend, divided
from .gate import GatedBackend
from .orb_network import PREDICTION_ERRORS, Network, known_models, open_network

FORCES = "direct: orb-v2, orb-v3-direct; conservative: orb-v3-conservative; a pair of them"


def load(
    model: str,
    *,
    device: str | None = None,
    dtype: Literal["float32", "float64"] | None = None,
    threads: int = 1,
    trust: bool = False,
    architecture: str | None = None,
    conservative_model: str | None = None,
    conservative_architecture: str | None = None,
    precision: Literal["float32-high", "float32-highest", "float64"] | None = None,
    compile: bool = False,
    charge: float | None = None,
    spin: float | None = None,
    virial: bool = True,
) -> OrbBackend | GatedBackend:
    """Load one network or a pair.

    Parameters
    ----------
    model : orb-models' name of a network, or a file of weights
    device : cpu, cuda, cuda:1, ...; None: the GPU if there is one
    dtype : type of weights and positions; default: float32
    threads : that torch may use
    trust : of no use: ORB's loader takes tensors only
    architecture : name of the network that the weights of --model FILE are of
    conservative_model : a second network, for conservative forces
    conservative_architecture : as --architecture, for that network
    precision : ORB's own word for --dtype; default: float32-highest
    compile : torch.compile the network, checked against the network as it is; on a CPU it needs a
        C++ compiler and a minute or more at the start
    charge : total charge, for -omol models
    spin : spin multiplicity, for -omol models
    virial : send the virial; --no-virial is for networks without stress

    Raises
    ------
    InputError
        Names or options that don't go together.
    ModelError
        orb-models is missing, or there is no such model or device.
    """
    loading.prepare(threads)
    word = _precision(dtype, precision)
    known = known_models()
    chosen = loading.pick_device(device)
    loading.make_reproducible(threads, chosen)
    wanted = [(model, architecture)]
    if conservative_model:
        wanted.append((conservative_model, conservative_architecture))
    state = {"charge": charge, "spin": spin}
    name = f"{' + '.join(each for each, _ in wanted)} (ORB, {chosen}, {word})"
    backends = []
    for how in [False, True] if compile else [False]:
        networks = [open_network(known, *names, chosen, word) for names in wanted]
        _check(networks, state, virial)
        if how:
            for network in networks:
                network.compile()
        backends.append(OrbBackend(networks, name, state, virial))
    return GatedBackend(*backends) if compile else backends[0]


def _check(networks: list[Network], state: Mapping[str, float | None], virial: bool) -> None:
    """Refuse networks that lack something, or that want more options than were given."""
    for network in networks:
        if network.is_conservative and virial and not network.has_stress:
            raise ModelError(f"{network.path.name} has no stress; --no-virial runs NVE and NVT")
        if network.wants_charge_and_spin and None in state.values():
            raise InputError(f"{network.path.name} wants --charge and --spin")


def _precision(dtype: str | None, precision: str | None) -> str:
    """ORB's word for the type of floats."""
    chosen = precision or {"float64": "float64"}.get(dtype or "", "float32-highest")
    if dtype and not chosen.startswith(dtype):
        raise InputError(f"--dtype {dtype} and --precision {precision} are two types; give one")
    return chosen


class OrbBackend(BatchedBackend):
    """One or two loaded ORB networks, which know all elements; see ``ncforce_ipi.backend.Backend``.

    Parameters
    ----------
    networks : one, or two with different kinds of force
    description : of them all
    state : total charge and spin multiplicity; None where a network doesn't want them
    virial : whether conservative forces come with one
    """

    def __init__(
        self,
        networks: list[Network],
        description: str,
        state: Mapping[str, float | None],
        virial: bool,
    ) -> None:
        super().__init__(networks[0].device, PREDICTION_ERRORS)
        self._networks: dict[Kind, Network] = {
            "conservative" if network.is_conservative else "direct": network for network in networks
        }
        if len(self._networks) < len(networks):
            raise InputError(
                "a pair needs --model with direct and --conservative-model with conservative forces"
            )
        self.kinds = frozenset(self._networks)
        self.stress = frozenset(
            kind
            for kind, network in self._networks.items()
            if network.has_stress and (virial or kind == "direct")
        )
        self.direct_energy = "direct" in self._networks
        self.description = description
        if len(networks) > 1:
            self.description += f", SHA-256 of the second {sha256(networks[1].path):.12}"
        self.dtype = networks[0].dtype
        self.source = networks[0].path
        self._info = {key: value for key, value in state.items() if value is not None}

    def evaluate_together(
        self, structures: Sequence[Structure], wanted: Wanted
    ) -> list[dict[Kind, Evaluation]]:
        """One call of the network of each kind."""
        found: dict[Kind, list[Evaluation]] = {
            kind: self._evaluate(kind, structures, wanted) for kind in wanted.kinds
        }
        return [{kind: found[kind][k] for kind in found} for k in range(len(structures))]

    def _evaluate(
        self, kind: Kind, structures: Sequence[Structure], wanted: Wanted
    ) -> list[Evaluation]:
        out = self._networks[kind].predict(structures, self._info)
        conservative, n = kind == "conservative", len(structures)
        prefix = "grad_" if conservative else ""
        forces = divided(out[prefix + "forces"], structures)
        with_energy = conservative or wanted.direct_energy
        energies = out["energy"].reshape(n).tolist() if with_energy else [np.nan] * n
        with_virial = kind in self.stress and (conservative or wanted.direct_virial)
        stresses = out[prefix + "stress"].reshape(n, -1) if with_virial else [None] * n
        virials = [
            _virial(structure, f, stress, conservative)
            for structure, f, stress in zip(structures, forces, stresses, strict=True)
        ]
        return [Evaluation(*each) for each in zip(energies, forces, virials, strict=True)]


def _virial(
    structure: Structure, forces: np.ndarray, stress: np.ndarray | None, conservative: bool
) -> np.ndarray:
    """From the stress; NaN where there is none, and of direct forces where there is no cell."""
    if stress is not None and structure.cell.any():
        return conversion.virial(stress, structure.cell)
    if stress is not None and conservative:
        return conversion.open_virial(structure, forces)
    return np.full((3, 3), np.nan)
