"""The part of an i-PI input that says what moves and how: ensemble, thermostat, barostat, steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ncforce_ipi.inputs.ensembles import Ensemble, gle_matrix
from ncforce_ipi.inputs.held import held, held_xml
from ncforce_ipi.inputs.plan import Plan
from ncforce_ipi.inputs.templates import fill
from ncforce_ipi.units import ATOMIC_TIME_FS

if TYPE_CHECKING:
    from ase import Atoms

ATMOSPHERE_MPA = 0.101325
BAROSTAT_TAU_FS = 500.0


def title(ensemble: Ensemble) -> str:
    """NVE, NVT or NPT, and how."""
    return {
        "nve": "NVE",
        "langevin": "NVT (Langevin)",
        "svr": "NVT (stochastic velocity rescaling)",
        "gle": f"NVT (GLE, {ensemble.gle or 'optimal'} sampling)",
        "npt": f"NPT ({ensemble.barostat or 'isotropic'} cell)",
    }[ensemble.name]


def motion_xml(plan: Plan, ensemble: Ensemble, temperature_K: float, atoms: Atoms) -> str:
    """The elements ``ensemble`` and ``motion`` of an input."""
    what = "atoms" if held(atoms).any() else "centre of mass"
    only = f"only tells i-PI's thermometer what the fixed {what} would have"
    anisotropic = ensemble.barostat == "anisotropic"
    mode = {"nve": "nve", "npt": "nst" if anisotropic else "npt"}.get(ensemble.name, "nvt")
    return fill(
        "motion",
        {
            "temperature_text": f"NVE: {only}"
            if ensemble.name == "nve"
            else "the thermostat's target",
            "temperature_K": temperature_K,
            "held": held_xml(atoms),
            "pressure": _pressure(ensemble),
            "mode": mode,
            "step_text": _step_text(plan),
            "outer_step_fs": plan.outer_step_fs,
            "nmts": list(plan.nmts),
            "thermostat": _thermostat(ensemble),
            "barostat": _barostat(ensemble, atoms),
        },
    )


def _pressure(ensemble: Ensemble) -> str:
    if not ensemble.has_pressure:
        return ""
    pressure_MPa = ATMOSPHERE_MPA if ensemble.pressure_MPa is None else ensemble.pressure_MPa
    if ensemble.barostat == "anisotropic":
        p = f"{pressure_MPa:.17g}"
        return f'<stress units="megapascal"> [{p}, 0, 0, 0, {p}, 0, 0, 0, {p}] </stress>'
    return f'<pressure units="megapascal"> {pressure_MPa:.17g} </pressure>'


def _thermostat(ensemble: Ensemble) -> str:
    """White noise or velocity rescaling (PILE on the normal modes of a path integral), or GLE."""
    if ensemble.name == "nve":
        return ""
    if ensemble.name == "gle":
        matrix = gle_matrix(ensemble.gle or "optimal") * ATOMIC_TIME_FS
        rows = [", ".join(f"{value:.16e}" for value in row) for row in matrix]
        text = f"{ensemble.gle or 'optimal'} sampling, gle4md.org"
        return fill("thermostat_gle", {"text": text, "n": len(rows), "matrix": ",\n".join(rows)})
    local = ensemble.name == "langevin"
    text = "Langevin: white noise on each atom" if local else "stochastic velocity rescaling"
    mode = "langevin" if local else "svr"
    if ensemble.beads > 1:
        text += " of the centroid; PILE on the other normal modes"
        mode = "pile_l" if local else "pile_g"
    values = {"text": text, "mode": mode, "tau_fs": ensemble.thermostat_tau_fs}
    return fill("thermostat_white", values)


def _barostat(ensemble: Ensemble, atoms: Atoms) -> str:
    if not ensemble.has_pressure:
        return ""
    barostat = ensemble.barostat or "isotropic"
    tau_fs = ensemble.barostat_tau_fs or BAROSTAT_TAU_FS
    values: dict[str, object] = {"tau_fs": tau_fs, "cell_tau_fs": 0.5 * tau_fs}
    if barostat == "anisotropic":
        # i-PI's cell matrix has the lattice vectors as columns
        columns = atoms.cell.array.T.reshape(-1)
        values["h0_A"] = "[" + ", ".join(f"{value:.17g}" for value in columns) + "]"
    in_plane = barostat == "in-plane"
    values["fixed"] = "<hfix> [zz, xz, yz] </hfix>" if in_plane else ""
    return fill(f"barostat_{'flexible' if in_plane else barostat}", values)


def _step_text(plan: Plan) -> str:
    if plan.forces == "mts":
        return f"nmts = {plan.mts} inner steps of {plan.inner_step_fs} fs in each"
    return "inner and outer step are the same"
