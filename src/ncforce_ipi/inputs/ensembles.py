"""The statistical ensemble of a run: thermostat, barostat and beads, with their time scales.

Owns what a user may choose and what goes together.  Knows no XML and no time step.

Thermostats act at both ends of the outer step (the splitting OBABO of Bussi and Parrinello, Phys.
Rev. E 75, 056707, 2007), also under multiple time steps.  BAOAB is not offered: with multiple time
steps and at constant pressure i-PI's own issue 374 doubts it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from ncforce_ipi.errors import InputError
from ncforce_ipi.inputs.numbers import settle
from ncforce_ipi.inputs.templates import shipped_file
from ncforce_ipi.units import PER_FS_PER_CM

EnsembleName = Literal["nve", "langevin", "gle", "svr", "npt"]
GleName = Literal["optimal", "smart"]
Barostat = Literal["isotropic", "flexible", "anisotropic", "in-plane"]
ENSEMBLES: tuple[EnsembleName, ...] = get_args(EnsembleName)
GLES: tuple[GleName, ...] = get_args(GleName)
BAROSTATS: tuple[Barostat, ...] = get_args(Barostat)
DEFAULT_TAU_FS = {"langevin": 100.0, "svr": 10.0, "npt": 100.0}
OPTIMAL_CENTRE_PER_CM = 40.0  # four decades: from 0.4 to 4000 cm^-1, the O-H stretch included
SMART_SLOWEST_PS = 10.0  # three decades: up to 3300 cm^-1


@dataclass(frozen=True)
class Ensemble:
    """What is constant in a run, and what keeps it so.

    Attributes
    ----------
    name : "nve"; "langevin" (white noise), "svr" (stochastic velocity rescaling: Bussi, Donadio,
        Parrinello, J. Chem. Phys. 126, 014101, 2007), "gle" (generalised Langevin equation):
        constant volume and temperature; "npt": constant pressure, atoms under "svr"
    tau_fs : time scale of the thermostat, fs; None for the default of the name, or without one
    gle : which published matrix "gle" takes: "optimal" or "smart" sampling
    barostat : of "npt": "isotropic", "flexible" (all of the cell), "anisotropic" (the same against
        a reference cell: for solids), "in-plane" (x and y of a sheet; the vacuum along z stays)
    pressure_MPa : of "npt", MPa
    barostat_tau_fs : time scale of the cell, fs; its own Langevin thermostat has half of it
    beads : replicas of a path integral (normal modes under PILE thermostats); 1 is classical
    """

    name: EnsembleName = "nve"
    tau_fs: float | None = None
    gle: GleName | None = None
    barostat: Barostat | None = None
    pressure_MPa: float | None = None
    barostat_tau_fs: float | None = None
    beads: int = 1

    def __post_init__(self) -> None:
        if self.name not in ENSEMBLES:
            raise InputError(f"ensemble is {', '.join(ENSEMBLES)}, got {self.name!r}")
        if self.gle is not None and self.gle not in GLES:
            raise InputError(f"gle is {' or '.join(GLES)}, got {self.gle!r}")
        if self.barostat is not None and self.barostat not in BAROSTATS:
            raise InputError(f"barostat is {', '.join(BAROSTATS)}, got {self.barostat!r}")
        settle(self, whole=("beads",), real=("tau_fs", "pressure_MPa", "barostat_tau_fs"))
        if not 1 <= self.beads <= 1024:
            raise InputError(f"beads must lie between 1 and 1024, got {self.beads}")
        self._check_goes_together()
        for name in ("tau_fs", "barostat_tau_fs"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise InputError(f"{name} must be positive, got {value}")
        if self.pressure_MPa is not None and not math.isfinite(self.pressure_MPa):
            raise InputError(f"pressure must be finite, got {self.pressure_MPa} MPa")

    def _check_goes_together(self) -> None:
        """Refuse what this ensemble has no use for, instead of leaving it out silently."""
        useless: list[tuple[str, object]] = [("gle", self.gle)] if self.name != "gle" else []
        if self.name not in DEFAULT_TAU_FS:
            useless.append(("tau_fs", self.tau_fs))
        if self.name != "npt":
            useless += [
                ("barostat", self.barostat),
                ("pressure_MPa", self.pressure_MPa),
                ("barostat_tau_fs", self.barostat_tau_fs),
            ]
        for name, value in useless:
            if value is not None:
                raise InputError(f"ensemble {self.name} has no {name}, got {value}; leave it out")
        if self.beads > 1 and self.name == "gle":
            raise InputError("gle is for classical runs; path integrals take langevin, svr or nve")
        if self.beads > 1 and self.barostat not in (None, "isotropic"):
            raise InputError(f"a path integral takes the isotropic barostat, got {self.barostat}")

    @property
    def thermostat_tau_fs(self) -> float | None:
        """Time scale of a white-noise thermostat, fs; None without one."""
        return self.tau_fs or DEFAULT_TAU_FS.get(self.name)

    @property
    def has_pressure(self) -> bool:
        """Whether the cell moves, so that virials are needed."""
        return self.name == "npt"


def gle_matrix(name: GleName) -> NDArray[np.float64]:
    """Drift matrix A of the (mass-scaled) momentum and its additional momenta, ``(n, n)``, 1/fs.

    d(p, s) = -A (p, s) dt + noise with A + A^T times k_B T for its covariance: canonical sampling.
    The published dimensionless matrix is scaled as its authors do: "optimal" by the angular
    frequency of 40 cm^-1, the centre of its four decades; "smart" by 2 pi 10^3 / (10 ps), the top
    of its three.

    Source
    ------
    Ceriotti, Bussi, Parrinello, J. Chem. Theory Comput. 6, 1170 (2010); gle4md.org.
    """
    matrix = np.loadtxt(shipped_file(f"gle/{name}.txt"))
    if name == "optimal":
        return matrix * (2 * math.pi * OPTIMAL_CENTRE_PER_CM / PER_FS_PER_CM)
    return matrix * (2 * math.pi * 1e3 / (1e3 * SMART_SLOWEST_PS))
