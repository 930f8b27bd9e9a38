"""Fixtures that several test files share.  Model libraries are imported only where one is used."""

import os
from pathlib import Path

import numpy as np
import pytest

from ncforce_ipi.backend import Structure
from ncforce_ipi.species import read_species

try:
    import hypothesis
except ImportError:  # an environment of a model family may lack it
    pass
else:  # NCFORCE_TEST_PROFILE=long: what is run before a release, in minutes
    for name, n in (("short", 100), ("long", 10_000), ("fuzz", 20_000)):
        hypothesis.settings.register_profile(
            name, max_examples=n, deadline=None, derandomize=True, print_blob=True, database=None
        )
    hypothesis.settings.load_profile(os.environ.get("NCFORCE_TEST_PROFILE", "short"))

LONG = ("e2e", "timeout")  # marks of long tests


def pytest_collection_modifyitems(config, items):
    """Processes that share out files begin with those of long tests, so that they end together."""
    if hasattr(config, "workerinput"):
        long = {item.path for item in items if any(map(item.get_closest_marker, LONG))}
        items.sort(key=lambda item: item.path not in long)


WATER_XYZ = Path(__file__).parent.parent / "xml_inputs" / "water.xyz"


@pytest.fixture(scope="session")
def water() -> Structure:
    """The shipped start structure: 64 H2O, periodic."""
    lines = WATER_XYZ.read_text(encoding="utf-8").splitlines()
    words = lines[1].split('Lattice="')[1].split('"')[0].split()
    cell = np.array(words, float).reshape(3, 3)
    positions = np.array([line.split()[1:4] for line in lines[2:194]], float)
    return Structure(read_species(WATER_XYZ), positions, cell)


@pytest.fixture(scope="session")
def random_model(tmp_path_factory):
    """Make a model of the shipped architecture with random weights: ``random_model("float64")``."""

    def make(dtype: str) -> Path:
        import torch

        from ncforce_ipi.training.export import export
        from ncforce_ipi.training.hybrid import HybridNet

        path = tmp_path_factory.getbasetemp() / f"random_{dtype}.pt"
        if not path.exists():
            torch.manual_seed(0)
            net = HybridNet([1, 8], channels=8, layers=2, head_channels=8, n_radial=8)
            export(net, path, name="random", description="", dtype=getattr(torch, dtype))
        return path

    return make
