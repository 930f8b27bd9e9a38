"""What i-PI is asked to write, and how often: the ``<output>`` of an input.

Owns which quantities, their units and their strides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ncforce_ipi.inputs.ensembles import Ensemble
from ncforce_ipi.inputs.plan import Plan
from ncforce_ipi.inputs.templates import fill
from ncforce_ipi.units import PER_FS_PER_CM

POSITION_INTERVAL_FS = 20.0
VELOCITY_INTERVAL_FS = 4.0  # at most: Nyquist 4169 cm^-1, above the O-H stretch
CHECKPOINT_INTERVAL_FS = 200.0
OLDER_CHECKPOINTS = 5


@dataclass(frozen=True)
class Strides:
    """Outer steps between two writes of each output."""

    position: int
    velocity: int
    checkpoint: int

    @classmethod
    def of(cls, plan: Plan, forces: int | None = None) -> Strides:
        """Positions for g(r), velocities for c_vv up to the O-H stretch where the step allows.

        With ``forces``, a stride of the force components, positions are written whenever forces
        are, which say nothing without them.
        """
        step_fs = plan.outer_step_fs
        position = max(1, round(POSITION_INTERVAL_FS / step_fs))
        return cls(
            position=position if forces is None else _nearest_divisor(forces, position),
            velocity=max(1, int(VELOCITY_INTERVAL_FS / step_fs + 1e-9)),
            checkpoint=max(1, round(CHECKPOINT_INTERVAL_FS / step_fs)),
        )


def _nearest_divisor(number: int, wanted: int) -> int:
    """Of ``number``, by its ratio to ``wanted``, of which it is at most twice as much."""
    divisors = (n for n in range(1, 2 * wanted + 1) if number % n == 0)
    return min(divisors, key=lambda n: (max(n / wanted, wanted / n), n))


def outputs_xml(
    plan: Plan, ensemble: Ensemble, species: Sequence[str], force_stride: int | None = None
) -> str:
    """The element ``<output>``.

    Parameters
    ----------
    species : element symbols, each once
    force_stride : outer steps between two writes of the force components; None for no such files
    """
    centroid = ensemble.beads > 1
    strides = Strides.of(plan, force_stride)
    interval_fs = strides.velocity * plan.outer_step_fs
    return fill(
        "outputs",
        {
            "outer_step_fs": plan.outer_step_fs,
            "velocity_interval_fs": interval_fs,
            "nyquist_per_cm": int(PER_FS_PER_CM / (2 * interval_fs)),
            "properties": ",\n".join(_properties(plan, ensemble, species)),
            "positions": "x_centroid" if centroid else "positions",
            "velocities": "v_centroid" if centroid else "velocities",
            "position_stride": strides.position,
            "velocity_stride": strides.velocity,
            "forces": "\n".join(_forces(plan, force_stride)),
            "checkpoint_stride": strides.checkpoint,
            "older_stride": OLDER_CHECKPOINTS * strides.checkpoint,
        },
    )


def _forces(plan: Plan, stride: int | None) -> list[str]:
    """The file of each force component; in a path integral the mean over the beads."""
    if stride is None:
        return []
    return [
        fill("forces", {"name": name, "index": index, "stride": stride})
        for index, name in enumerate(plan.components)
    ]


def _properties(plan: Plan, ensemble: Ensemble, species: Sequence[str]) -> list[str]:
    """i-PI's names of the columns of ``simulation.out``, each with its unit."""
    n_components = len(plan.components)
    return [
        "step",
        "time{picosecond}",
        "conserved{electronvolt}",
        "temperature{kelvin}",
        *(f"temperature({symbol}){{kelvin}}" for symbol in species),
        "kinetic_md{electronvolt}",
        "potential{electronvolt}",
        *(f"pot_component({index}){{electronvolt}}" for index in range(n_components)),
        *(["volume{angstrom3}", "pressure_md{megapascal}"] if ensemble.has_pressure else []),
        *(["kinetic_cv{electronvolt}"] if ensemble.beads > 1 else []),
    ]
