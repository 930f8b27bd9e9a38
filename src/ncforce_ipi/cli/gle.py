"""``ncforce gle``: what a thermostat does to each frequency and to diffusion, from its matrix."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ncforce_ipi.analysis.thermostat import (
    Sampling,
    free_diffusion,
    sampling,
    slowed_diffusion,
)
from ncforce_ipi.cli.paths import path
from ncforce_ipi.errors import InputError
from ncforce_ipi.inputs.ensembles import GLES, gle_matrix
from ncforce_ipi.provenance import Provenance
from ncforce_ipi.result import write_csv

log = logging.getLogger(__name__)
SHOWN_PER_CM = (1.0, 10.0, 100.0, 1000.0, 3600.0)
RANGE_PER_CM = (0.1, 1e4)
POINTS = 200


EXAMPLES = (
    (
        "the two published matrices, and white noise",
        "gle",
    ),
    (
        "a matrix of your own, at the mass of argon",
        "gle matrix.txt --mass-u 39.948 --out gle-argon",
    ),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``ncforce gle``."""
    add = parser.add_argument
    add("matrices", nargs="*", metavar="MATRIX", default=list(GLES),
        help=f"{', '.join(GLES)}, or a file with a drift matrix in 1/fs; default both")  # fmt: skip
    add("--langevin-tau-fs", type=float, nargs="*", metavar="X", default=[10.0, 100.0, 1000.0],
        help="white noise to compare with, fs; default 10 100 1000")  # fmt: skip
    add("--temperature-K", dest="temperature_K", type=float, default=300.0, metavar="X")
    add("--mass-u", type=float, default=18.015, metavar="X", help="that diffuses, default H2O")
    add("--diffusion-A2-per-ps", dest="diffusion", type=float, default=0.23, metavar="X",
        help="without a thermostat, default 0.23: liquid water at 298 K")  # fmt: skip
    add("--out", type=path, default=Path("gle"), metavar="DIR", help="default gle")
    add("--force", action="store_true", help="replace the files in DIR")


def run(args: argparse.Namespace) -> int:
    """Table on stdout; CSV and figure into ``--out``."""
    for name in ("temperature_K", "mass_u", "diffusion"):
        if not getattr(args, name) > 0.0:
            raise InputError(f"{name} must be positive, got {getattr(args, name)}")
    matrices = {name: _matrix(name) for name in args.matrices}
    for tau_fs in args.langevin_tau_fs:
        if not tau_fs > 0.0:
            raise InputError(f"tau must be positive, got {tau_fs} fs")
        matrices[f"Langevin {tau_fs:g} fs"] = np.array([[1.0 / tau_fs]])
    paths = [args.out / name for name in ("gle.csv", "gle.png")]
    there = [str(path) for path in paths if path.exists()]
    if there and not args.force:
        raise InputError(f"{' and '.join(there)} exist; choose another --out or use --force")
    grid = np.geomspace(*RANGE_PER_CM, POINTS)
    found = {name: sampling(matrix, grid) for name, matrix in matrices.items()}
    sys.stdout.write(_table(matrices, args))
    args.out.mkdir(parents=True, exist_ok=True)
    _write_csv(paths[0], found, (Path(name) for name in args.matrices if name not in GLES))
    _draw(paths[1], found)
    log.info("wrote %s", ", ".join(str(path) for path in paths))
    return 0


def _matrix(name: str) -> NDArray[np.float64]:
    if name in GLES:
        return gle_matrix(name)
    try:
        return np.atleast_2d(np.loadtxt(name))
    except (OSError, ValueError) as err:
        raise InputError(
            f"{name} is neither {' nor '.join(GLES)} nor a file with a matrix: {err}"
        ) from err


def _table(matrices: dict[str, NDArray], args: argparse.Namespace) -> str:
    """kappa of the potential energy at some frequencies, and the diffusion to expect."""
    head = "".join(f"{k:>10g}" for k in SHOWN_PER_CM)
    corner = "kappa_V at (cm^-1)"
    width = max(map(len, [corner, *matrices])) + 2
    lines = [f"{corner:{width}}{head}{'D (A^2/ps)':>14}{'slower by':>11}"]
    for name, matrix in matrices.items():
        values = sampling(matrix, np.array(SHOWN_PER_CM)).potential
        free = free_diffusion(matrix, args.mass_u, args.temperature_K)
        slowed = slowed_diffusion(args.diffusion, free)
        lines.append(
            f"{name:{width}}" + "".join(f"{value:10.2g}" for value in values)
            + f"{slowed:14.3g}{args.diffusion / slowed:11.2f}"
        )  # fmt: skip
    lines.append(
        "kappa 1: as well as white noise tuned to that one frequency; 1/D = 1/D_0 + 1/D_free"
    )
    return "\n".join(lines) + "\n"


def _write_csv(path: Path, found: dict[str, Sampling], files: Iterable[Path]) -> None:
    """What was found, and the SHA-256 of those ``files`` that are matrices of one's own."""
    columns = {"wavenumber_per_cm": next(iter(found.values())).wavenumbers_per_cm}
    for name, result in found.items():
        columns[f"kappa_V {name}"] = result.potential
        columns[f"kappa_H {name}"] = result.total
    write_csv(path, columns, Provenance.of(files))


def _draw(path: Path, found: dict[str, Sampling]) -> None:
    from ncforce_ipi import plots

    with plots.style():
        figure, panels = plots.figure(2, share_x=True)
        for panel, kind, text in zip(panels, ("potential", "total"), ("V", "H"), strict=True):
            for rank, (name, result) in enumerate(found.items()):
                dashed = "--" if name.startswith("Langevin") else "-"
                panel.plot(
                    result.wavenumbers_per_cm, getattr(result, kind), dashed,
                    color=plots.colour(name, rank), label=Path(name).name,
                )  # fmt: skip
            panel.set(xscale="log", yscale="log", ylim=(1e-4, 2.0), ylabel=rf"$\kappa_{text}$")
        panels[0].legend(ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1.0))
        panels[1].set(xlabel=r"wavenumber (cm$^{-1}$)")
        plots.save(figure, path)
