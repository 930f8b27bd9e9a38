"""A trajectory as a chemiscope view: some frames, their cells, and forces as arrows.

Owns which frames and which files are shown; the viewer and its data format are chemiscope's.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ncforce_ipi.errors import InputError
from ncforce_ipi.observables.replica import Replica
from ncforce_ipi.observables.source import Source
from ncforce_ipi.reading.directory import trajectories
from ncforce_ipi.reading.trajectory import Trajectory, open_trajectory
from ncforce_ipi.species import SYMBOLS

log = logging.getLogger(__name__)
MOST_FRAMES = 60
LONG_ARROW_A, LONG = 1.5, 0.9  # of all arrows of the run nine tenths are shorter than that
SHADES = {"blue": 0x0072B2, "orange": 0xD55E00, "green": 0x009E73}
PROGRAM = "sphinx/static/chemiscope.min.js"


@dataclass(frozen=True)
class View:
    """What the page embeds.

    Attributes
    ----------
    program : chemiscope's JavaScript
    data : its input, JSON
    words : what is shown, one sentence
    """

    program: str
    data: str
    words: str


def of_source(source: Source) -> View | None:
    """The view of a run; None, with a message, where chemiscope or positions are missing."""
    try:
        import chemiscope
    except ImportError:
        log.warning("no view of the trajectory: pip install chemiscope")
        return None
    program = Path(chemiscope.__file__).parent / PROGRAM
    if not program.is_file():
        log.warning("no view of the trajectory: this chemiscope has no %s", PROGRAM)
        return None
    try:
        whole = replace(source, options=replace(source.options, discard_ps=0.0), _opened={})
        replica = whole.trajectory("positions")
    except InputError as err:
        log.warning("no view of %s: %s", source.path, err)
        return None
    unknown = no_elements(replica.species)
    if unknown:
        log.warning("no view of %s: no element is called %s", source.path, ", ".join(unknown[:5]))
        return None
    forces = force_files(source.path, replica.trajectory)
    steps = shown_steps(replica.trajectory, [file for _, file in forces])
    if not len(steps):
        log.warning("%s: force files have no step in common: forces not shown", source.path)
        forces, steps = [], shown_steps(replica.trajectory, [])
    data, words = _dataset(chemiscope, replica, forces, steps)
    return View(program.read_text(encoding="utf-8"), json.dumps(data), words)


def force_files(run: Path, positions: Trajectory) -> list[tuple[str, Trajectory]]:
    """Trajectories of forces on these atoms at these steps, and the names of the files."""
    found = []
    for path in trajectories(run):
        try:
            trajectory = open_trajectory(path, "forces")
        except InputError:  # it holds something else
            continue
        if not np.array_equal(trajectory.species, positions.species):
            continue
        same_count = trajectory.numbered == positions.numbered
        if not same_count or not np.intersect1d(trajectory.steps, positions.steps).size:
            log.warning("%s: no frame at a step of %s: forces not shown", path, positions.path.name)
        else:
            found.append((path.name.split(".")[1] if "." in path.stem else path.stem, trajectory))
    return found


def no_elements(species: NDArray[np.str_]) -> list[str]:
    """Labels that no element has: of force fields, or numbers of types."""
    return sorted(set(species.tolist()) - set(SYMBOLS))


def shown_steps(positions: Trajectory, forces: Sequence[Trajectory]) -> NDArray[np.int64]:
    """At most `MOST_FRAMES` steps, evenly over the run, that all the files have."""
    steps = positions.steps
    for trajectory in forces:
        steps = np.intersect1d(steps, trajectory.steps)
    chosen = np.linspace(0, len(steps) - 1, min(MOST_FRAMES, len(steps)))
    return steps[np.unique(np.rint(chosen).astype(np.int64))]


def _dataset(
    chemiscope: Any,
    replica: Replica,
    forces: Sequence[tuple[str, Trajectory]],
    steps: NDArray[np.int64],
) -> tuple[dict[str, Any], str]:
    from ase import Atoms

    frames = []
    for step in steps:
        block = next(replica.trajectory.blocks(1, from_step=int(step)))
        pbc = replica.trajectory.pbc
        atoms = Atoms(replica.species, block.values[0], cell=block.cells[0], pbc=pbc)
        if any(pbc):
            atoms.wrap()
        for name, trajectory in forces:
            atoms.arrays[name] = next(trajectory.blocks(1, from_step=int(step))).values[0]
        frames.append(atoms)
    scale = _scale([atoms.arrays[name] for name, _ in forces for atoms in frames])
    shapes = {}
    for shade, (name, _) in zip(SHADES.values(), forces, strict=False):
        arrows = chemiscope.ase_vectors_to_arrows(
            frames, key=name, target="atom", scale=scale, radius=0.08
        )
        arrows["parameters"]["global"]["color"] = shade
        shapes[name] = arrows
    unit, values = "step", steps.astype(float)
    step_fs = replica.source.step_fs
    if step_fs is not None and replica.trajectory.numbered:
        unit, values = "time", 1e-3 * step_fs * values
    properties = {unit: {"target": "structure", "values": values, "units": "ps"}}
    if unit == "step":
        del properties[unit]["units"]
    shown = {"structure": [{"unitCell": True, "spaceFilling": False, "keepOrientation": True,
                            "shape": ",".join(shapes), "playbackDelay": 300}]}  # fmt: skip
    data = chemiscope.create_input(
        structures=frames, properties=properties, metadata={"name": replica.source.name},
        shapes=shapes or None, settings=shown,
    )  # fmt: skip
    named = ", ".join(f"{name} {shade}" for name, shade in zip(shapes, SHADES, strict=False))
    words = f"; arrows: {named}, 1 A for {1.0 / scale:.2g} eV/A" if shapes else ""
    return data, f"{len(frames)} frames{words}"


def _scale(forces: Sequence[NDArray[np.float64]]) -> float:
    """A per eV/A, the same for all components, so that their arrows can be compared."""
    strengths = [np.linalg.norm(values, axis=1) for values in forces]
    long = float(np.quantile(np.concatenate(strengths), LONG)) if strengths else 0.0
    return LONG_ARROW_A / long if long > 0.0 else 1.0
