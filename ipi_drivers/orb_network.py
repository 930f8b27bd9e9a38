"""One network of ORB: its weights, the graph that it reads, and its outputs.

Owns what differs between orb-models 0.5 and later ones.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ncforce_ipi.backend import Structure
from ncforce_ipi.errors import InputError, ModelError

from . import conversion, loading

PREDICTION_ERRORS = (RuntimeError, ValueError, KeyError, IndexError, AssertionError)


@dataclass(frozen=True)
class Network:
    """A loaded network.

    Attributes
    ----------
    net : orb-models' own
    graph_of : from ASE's atoms (keywords ``atoms`` and ``device``) to the graph that it reads
    together : many such graphs as one
    path : file of its weights
    device : where it is
    """

    net: Any
    graph_of: Callable[..., Any]
    together: Callable[[list[Any]], Any]
    path: Path
    device: str

    @property
    def is_conservative(self) -> bool:
        """Whether its forces are gradients."""
        return hasattr(self.net, "grad_forces_name")

    @property
    def has_stress(self) -> bool:
        """Whether it has a stress of the same kind as its forces."""
        return bool(self.net.has_stress) if self.is_conservative else "stress" in self.net.heads

    @property
    def dtype(self) -> str:
        """Of its weights, float32 or float64."""
        return str(next(self.net.parameters()).dtype).removeprefix("torch.")

    @property
    def wants_charge_and_spin(self) -> bool:
        """Whether its energy depends on them."""
        return self.net.model.conditioner is not None

    def compile(self) -> None:
        """Have torch compile the network but for its heads, from the first call on.

        orb-models' own ``compile=True`` has no effect on direct networks: it compiles what training
        calls, and predictions go around that.
        """
        self.net.model.compile(dynamic=True)

    def predict(
        self, structures: Sequence[Structure], info: Mapping[str, float]
    ) -> dict[str, np.ndarray]:
        """Outputs in float64, from graphs made anew as ORB's own calculator makes them.

        Raises
        ------
        PREDICTION_ERRORS
            Whatever orb-models raises.
        """
        graphs = []
        with loading.quiet(), loading.default_dtype(next(self.net.parameters()).dtype):
            for structure in structures:
                atoms = conversion.ase_atoms(structure, conversion.periodicity(structure))
                atoms.info = dict(info)
                graphs.append(self.graph_of(atoms=atoms, device=self.device).to(self.device))
            out = self.net.predict(graphs[0] if len(graphs) == 1 else self.together(graphs))
        return {key: value.detach().cpu().double().numpy() for key, value in out.items()}


def known_models() -> Mapping[str, Callable[..., Any]]:
    """ORB's functions that load a model, by its name.

    Raises
    ------
    ModelError
        orb-models is missing.
    """
    try:
        with loading.quiet():
            from orb_models.forcefield import pretrained
    except ImportError as err:
        raise loading.missing("orb", err) from err
    known: Mapping[str, Callable[..., Any]] = pretrained.ORB_PRETRAINED_MODELS
    return known


def open_network(
    known: Mapping[str, Callable[..., Any]],
    model: str,
    architecture: str | None,
    device: str,
    precision: str,
) -> Network:
    """Load a network by its name, or the weights in a file as those of an architecture.

    Parameters
    ----------
    known : `known_models`
    model : one of these names, or a file
    architecture : one of these names, of a file
    device : where it shall be
    precision : orb-models' word for its type of floats

    Raises
    ------
    InputError
        There is no such name.
    ModelError
        The weights can't be had or don't fit.
    """
    file = Path(model) if Path(model).is_file() else None
    name = architecture if file else model
    if name is None or name not in known:
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
            loaded = function(
                weights_path=str(path), device=device, precision=precision, compile=False
            )
    except Exception as err:  # of network, file or weights: of many kinds
        raise ModelError(
            f"weights of {name} can't be loaded from {file or 'the network'}: "
            f"{loading.one_line(err)}"
        ) from err
    if isinstance(loaded, tuple):
        from orb_models.common.atoms.batch.graph_batch import AtomGraphs

        return Network(loaded[0], loaded[1].from_ase_atoms, AtomGraphs.batch, path, device)
    from orb_models.forcefield.atomic_system import ase_atoms_to_atom_graphs
    from orb_models.forcefield.base import batch_graphs

    graph_of = partial(ase_atoms_to_atom_graphs, system_config=loaded.system_config)
    return Network(loaded, graph_of, batch_graphs, path, device)
