"""``python -m ncforce_ipi.inputs.ready_made DIR`` writes the inputs of ``xml_inputs/ready``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from ncforce_ipi.inputs.ensembles import ENSEMBLES, Ensemble
from ncforce_ipi.inputs.plan import Forces, Plan
from ncforce_ipi.inputs.recipe import Recipe, input_xml
from ncforce_ipi.inputs.service import Service
from ncforce_ipi.inputs.structure import read_structure
from ncforce_ipi.inputs.systems import SYSTEMS

TIME_PS = 20.0
STEP_FS = 0.5
CATALYSIS_STEP_FS = 2.0  # O against the metal has a period of 60 fs
TEMPERATURE_K = 300.0
SPLITS: dict[str, tuple[Forces, int]] = {
    "slow": ("slow", 1),
    "fast": ("fast", 1),
    "mts8": ("mts", 8),
}


def ready() -> Iterator[tuple[str, str]]:
    """Name and text of every file: all splits for the first system, MTS else; and one more."""
    first = next(iter(SYSTEMS))
    for name, system in SYSTEMS.items():
        atoms = read_structure(name)
        for kind in ENSEMBLES:
            ensemble = Ensemble(kind, barostat=system.barostat if kind == "npt" else None)
            for word in SPLITS if name == first else ["mts8"]:
                plan = Plan.from_time(*SPLITS[word], STEP_FS, TIME_PS)
                recipe = Recipe(plan, ensemble, TEMPERATURE_K, 1, Service(system.model))
                yield f"{name}-{kind}-{word}.xml", input_xml(recipe, atoms)
    yield from catalysis()


def catalysis() -> Iterator[tuple[str, str]]:
    """Oxygen on an alloy with SevenNet-0 as slow force: ``benchmarks/catalysis.md``."""
    name, teacher = "o-on-cu3al", ("ncforce", "driver", "sevennet", "--model", "7net-0")
    plan = Plan.from_time("mts", 8, CATALYSIS_STEP_FS, TIME_PS)
    service = Service(SYSTEMS[name].model, slow_driver=teacher)
    recipe = Recipe(plan, Ensemble(), TEMPERATURE_K, 1, service)
    yield f"{name}-nve-mts8-sevennet.xml", input_xml(recipe, read_structure(name))


def main(folder: Path) -> None:
    """Write them all."""
    for name, text in ready():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
