"""``python -m ncforce_ipi.ready DIR``: the ready-made inputs of ``xml_inputs/ready``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from ncforce_ipi.ensembles import ENSEMBLES, Ensemble
from ncforce_ipi.inputs import SHIPPED_STRUCTURES, Recipe, input_xml, read_structure
from ncforce_ipi.mts import Forces, Plan

TIME_PS = 20.0
STEP_FS = 0.5
TEMPERATURE_K = 300.0
SPLITS: dict[str, tuple[Forces, int]] = {
    "slow": ("slow", 1),
    "fast": ("fast", 1),
    "mts8": ("mts", 8),
}


def ready() -> Iterator[tuple[str, str]]:
    """Name and text of every file."""
    for system in SHIPPED_STRUCTURES:
        atoms = read_structure(system)
        for name in ENSEMBLES:
            for word, (forces, mts) in SPLITS.items():
                plan = Plan.from_time(forces, mts, STEP_FS, TIME_PS)
                recipe = Recipe(plan, Ensemble(name), TEMPERATURE_K, 1, system)
                yield f"{system}-{name}-{word}.xml", input_xml(recipe, atoms)


def main(folder: Path) -> None:
    """Write them all."""
    for name, text in ready():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
