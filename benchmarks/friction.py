"""Does friction help long outer steps of multiple time stepping, and where must it act?

    python benchmarks/friction.py --out benchmarks/results/friction [--time-ps 2] [--minutes 75]

Integrates 32 H2O of the water model from the same frames with several thermostats at several outer
steps, in a loop of its own, because i-PI's thermostats act at the ends of outer steps only
(OBABO).  Here they act there (``outer``) or in the middle of each inner step (``inner``, BAOAB).
Of each case: the drift of the energy less the heat of the thermostat, which is what the time steps
put in, and the temperatures of H and O.  Cases that are in OUT are kept, so that it can go on;
OUT/friction.json has all of them, OUT/friction.png the figure, and the table is printed.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from bounded import table, write_json
from diagnosing import frames
from numpy.typing import NDArray
from scipy.linalg import expm

from ncforce_ipi import plots
from ncforce_ipi.analysis.statistics import interval_of_replicas, with_error
from ncforce_ipi.backend import Backend, Kind, Structure, Wanted
from ncforce_ipi.evaluations import evaluate_all
from ncforce_ipi.inputs.ensembles import gle_matrix
from ncforce_ipi.serve.load import load_model
from ncforce_ipi.units import BOLTZMANN_EV_PER_K, PER_FS_PER_CM, U_A2_PER_FS2_EV

Array = NDArray[np.float64]
Numbers = dict[str, Any]
N_ATOMS, TARGET_K = 96, 300.0
HYDROGEN, OXYGEN = 1, 8
SETTLE_PS = 0.3
STRETCH_PER_CM, WIDTH_PER_CM = 3450.0, 200.0  # of the O-H band and of what is to damp it
HOT_K = 3000.0


@dataclass(frozen=True)
class Case:
    """One run.

    Attributes
    ----------
    outer_fs, inner_fs : time steps
    hydrogen_u : mass of hydrogen, taken from oxygen; 0: true masses
    where : ``none``, ``outer`` or ``inner``
    kind : ``white``, ``band`` (friction near the O-H stretch alone), ``optimal``, ``svr``
    per_ps : friction, 1/ps; of ``band`` its peak
    """

    outer_fs: float
    inner_fs: float = 0.5
    hydrogen_u: float = 0.0
    where: str = "none"
    kind: str = "white"
    per_ps: float = 0.0

    @property
    def mts(self) -> int:
        """M."""
        return round(self.outer_fs / self.inner_fs)

    @property
    def name(self) -> str:
        """Of its record."""
        masses = f"H{self.hydrogen_u:g}-" if self.hydrogen_u else ""
        how = "" if self.where == "none" else f"-{self.kind}{self.per_ps:g}"
        return f"{masses}{self.outer_fs:g}fs-{self.where}{how}"


THERMOSTATS: tuple[tuple[str, str, float], ...] = (
    ("none", "white", 0.0),
    ("outer", "white", 10.0),
    ("inner", "white", 10.0),
    ("inner", "band", 50.0),
    ("outer", "svr", 100.0),
    ("outer", "white", 1.0),
    ("inner", "white", 1.0),
    ("outer", "optimal", 0.0),
    ("outer", "band", 50.0),
)
STEPS = ((8.0, 0.5, 0.0), (12.0, 1.0, 4.0), (8.0, 1.0, 4.0), (12.0, 0.5, 0.0))  # outer, inner, H


def cases() -> list[Case]:
    """All, thermostat by thermostat; first the longest outer step that each mass may bear."""
    return [
        Case(*steps, *how)
        for some in (STEPS[:2], STEPS[2:])
        for how in THERMOSTATS
        for steps in some
    ]


def drift_matrix(case: Case) -> Array:
    """A ``(1 + n, 1 + n)``, 1/fs, of d(p, s) = -A (p, s) dt + noise that keeps both at k_B T."""
    if case.kind == "optimal":
        return gle_matrix("optimal")
    rate = 1e-3 * case.per_ps
    if case.kind == "white":
        return np.array([[rate]])
    omega, width = (2 * np.pi * x / PER_FS_PER_CM for x in (STRETCH_PER_CM, WIDTH_PER_CM))
    coupling = np.sqrt(2 * rate * width)  # friction a^2/2 width/(width^2 + (w - omega)^2)
    return np.array([[0, coupling, 0], [-coupling, width, omega], [0, -omega, width]])


class Bath:
    """A thermostat that acts for ``time_fs`` at a time, in units of sqrt(k_B T)."""

    def __init__(self, case: Case, time_fs: float, shape: tuple[int, ...], seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.velocity_rescaling = case.kind == "svr"
        self.heat = np.zeros(shape[0])  # given to the atoms, k_B T
        if self.velocity_rescaling:
            self.keep = float(np.exp(-time_fs * 1e-3 * case.per_ps))
            return
        transport = expm(-drift_matrix(case) * time_fs)
        noise = np.eye(len(transport)) - transport @ transport.T
        values, vectors = np.linalg.eigh(0.5 * (noise + noise.T))
        self.transport, self.noise = transport, vectors * np.sqrt(np.maximum(values, 0.0))
        self.s = self.random.normal(size=(len(transport) - 1, *shape))

    def act(self, p: Array) -> Array:
        """``(n_replicas, n_atoms, 3)`` after its time."""
        before = 0.5 * (p**2).sum(axis=(1, 2))
        if self.velocity_rescaling:
            p = p * self._scale(before, p[0].size)[:, None, None]
        else:
            state = np.concatenate([p[None], self.s])
            new = self.random.normal(size=state.shape)
            state = np.tensordot(self.transport, state, 1) + np.tensordot(self.noise, new, 1)
            p, self.s = state[0], state[1:]
        self.heat += 0.5 * (p**2).sum(axis=(1, 2)) - before
        return p

    def _scale(self, kinetic: Array, n: int) -> Array:
        """Bussi, Donadio, Parrinello, J. Chem. Phys. 126, 014101 (2007), eq. A7."""
        first = self.random.normal(size=len(kinetic))
        rest = self.random.chisquare(n - 1, size=len(kinetic))
        ratio = (1 - self.keep) / (2 * kinetic)
        square = self.keep + ratio * (rest + first**2) + 2 * first * np.sqrt(self.keep * ratio)
        sign = np.sign(first + np.sqrt(self.keep / ratio))
        return np.asarray(sign * np.sqrt(square))


class Water:
    """Replicas of 32 H2O in one batch; positions in A, momenta over sqrt(m) in sqrt(k_B T)."""

    def __init__(self, backend: Backend, starts: list[Atoms], case: Case, seed: int) -> None:
        self.backend, self.case = backend, case
        self.numbers = starts[0].numbers.astype(np.int32)
        self.cells = [np.asarray(a.cell.array) for a in starts]
        self.x = np.array([a.positions for a in starts])
        masses = starts[0].get_masses()
        if case.hydrogen_u:
            taken = 2 * (case.hydrogen_u - masses[self.numbers == HYDROGEN][0])
            masses[self.numbers == HYDROGEN] = case.hydrogen_u
            masses[self.numbers == OXYGEN] -= taken
        self.unit_eV = BOLTZMANN_EV_PER_K * TARGET_K
        self.root_m = np.sqrt(masses * U_A2_PER_FS2_EV / self.unit_eV)[:, None]  # fs/A
        self.p = np.random.default_rng(seed).normal(size=self.x.shape)
        self.slow, self.energy = self._forces("conservative")
        self.fast, _ = self._forces("direct")
        time_fs = case.inner_fs if case.where == "inner" else 0.5 * case.outer_fs
        self.bath = None if case.where == "none" else Bath(case, time_fs, self.x.shape, seed + 1)

    def _forces(self, kind: Kind) -> tuple[Array, Array]:
        """Mass-weighted forces in 1/fs, energies in k_B T."""
        wanted = Wanted(frozenset([kind]))
        batch = [Structure(self.numbers, x, c) for x, c in zip(self.x, self.cells, strict=True)]
        found = [one[kind] for one in evaluate_all(self.backend, batch, wanted)]
        forces = np.array([one.forces for one in found])
        if kind == "direct":
            forces = forces - forces.mean(axis=1, keepdims=True)
        energies = np.array([one.energy for one in found])
        return forces / self.unit_eV / self.root_m, energies / self.unit_eV

    def step(self) -> None:
        """An outer step."""
        h, tau, where = self.case.inner_fs, self.case.outer_fs, self.case.where
        if self.bath and where == "outer":
            self.p = self.bath.act(self.p)
        self.p = self.p + 0.5 * tau * (self.slow - self.fast)
        for _ in range(self.case.mts):
            self.p = self.p + 0.5 * h * self.fast
            self.x = self.x + 0.5 * h * self.p / self.root_m
            if self.bath and where == "inner":
                self.p = self.bath.act(self.p)
            self.x = self.x + 0.5 * h * self.p / self.root_m
            self.fast, _ = self._forces("direct")
            self.p = self.p + 0.5 * h * self.fast
        self.slow, self.energy = self._forces("conservative")
        self.p = self.p + 0.5 * tau * (self.slow - self.fast)
        if self.bath and where == "outer":
            self.p = self.bath.act(self.p)

    @property
    def conserved_meV_per_atom(self) -> Array:
        """Energy less the heat of the thermostat, of each replica."""
        heat = self.bath.heat if self.bath else 0.0
        total = self.energy + 0.5 * (self.p**2).sum(axis=(1, 2)) - heat
        return np.asarray(1e3 * self.unit_eV / N_ATOMS * total)

    def temperature_K(self, z: int) -> Array:
        """Of an element, of each replica."""
        return np.asarray(TARGET_K * (self.p[:, self.numbers == z] ** 2).mean(axis=(1, 2)))


def run(backend: Backend, starts: list[Atoms], case: Case, time_ps: float, seed: int) -> Numbers:
    """Means over replicas with 95 % intervals; a run that gets too hot ends early."""
    water = Water(backend, starts, case, seed)
    rows: list[list[Array]] = []
    n_steps = round(1e3 * time_ps / case.outer_fs)
    hottest = 0.0
    while len(rows) < n_steps and hottest < HOT_K:
        water.step()
        t_h, t_o = water.temperature_K(HYDROGEN), water.temperature_K(OXYGEN)
        rows.append([water.conserved_meV_per_atom, t_h, t_o])
        hottest = float(max(t_h.max(), t_o.max()))
    series = np.array(rows)  # (step, quantity, replica)
    times = case.outer_fs * 1e-3 * np.arange(1, len(series) + 1)
    late = times > min(SETTLE_PS, 0.5 * times[-1])
    drifts = np.polyfit(times[late], series[late, 0], 1)[0]
    t_h, t_o = series[late, 1].mean(axis=0), series[late, 2].mean(axis=0)
    means = {
        "drift_meV_per_atom_per_ps": drifts, "T_H_K": t_h, "T_O_K": t_o,
        "T_H_minus_T_O_K": t_h - t_o,
    }  # fmt: skip
    return {
        **asdict(case), "M": case.mts, "replicas": len(starts), "ps": float(times[-1]),
        "ran_away": len(series) < n_steps,
        **{name: list(interval_of_replicas(list(values))) for name, values in means.items()},
    }  # fmt: skip


def label(found: Numbers) -> str:
    """What a thermostat is called in table and figure."""
    rate = f"{found['per_ps']:g}/ps"
    names = {
        "white": f"Langevin {rate}", "band": f"O-H band {rate}", "svr": f"SVR {rate}",
        "optimal": "GLE optimal",
    }  # fmt: skip
    where = {"outer": "ends of outer steps", "inner": "every inner step"}
    if found["where"] == "none":
        return "none (NVE)"
    return f"{names[found['kind']]}, {where[found['where']]}"


def steps(found: Numbers) -> str:
    """Masses and time steps."""
    masses = f"H {found['hydrogen_u']:g} u" if found["hydrogen_u"] else "true"
    return f"{masses}, {found['inner_fs']:g} fs x {found['M']}"


def lines(records: list[Numbers]) -> list[str]:
    """The table."""
    columns = ["masses, steps", "thermostat", "drift, meV/atom/ps", "T(H), K", "T(O), K"]
    keys = ("drift_meV_per_atom_per_ps", "T_H_K", "T_O_K")
    rows = []
    for found in records:
        values = [with_error(*found[key]) for key in keys]
        note = f" (ran away after {found['ps']:.1f} ps)" if found["ran_away"] else ""
        rows.append([steps(found), label(found) + note, *values])
    return table(columns, rows)


def draw(records: list[Numbers], path: Path) -> None:
    """Drift and temperature of H of each thermostat, a colour for masses and steps."""
    names, kinds = (list(dict.fromkeys(map(of, records))) for of in (label, steps))
    with plots.style():
        figure, panels = plots.figure(1, 2, height_in=0.55 * len(names) + 1.6)
        for rank, kind in enumerate(kinds):
            those = [found for found in records if steps(found) == kind]
            places = [names.index(label(found)) + 0.17 * (rank - 1.5) for found in those]
            for panel, key in zip(panels, ("drift_meV_per_atom_per_ps", "T_H_K"), strict=True):
                value, error = np.array([found[key] for found in those]).T
                shade = plots.PALETTE[rank]
                panel.errorbar(value, places, xerr=error, fmt="o", ms=4, color=shade, label=kind)
        for panel, nothing in zip(panels, (0.0, TARGET_K), strict=True):
            panel.axvline(nothing, color="0.6", linewidth=0.8)
            panel.set_ylim(len(names) - 0.5, -0.5)
            panel.margins(x=0.05)
        panels[0].set_yticks(range(len(names)), [name.replace(", ", "\n") for name in names])
        panels[1].set_yticks(range(len(names)), [])
        panels[0].set_xlabel("drift / (meV/atom/ps)")
        panels[1].set_xlabel("T(H) / K")
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
        plots.save(figure, path)


def read(out: Path) -> list[Numbers]:
    """Of all cases that are there, in the order of `cases`."""
    if (out / "friction.json").is_file():
        known = {one["name"]: one for one in json.loads((out / "friction.json").read_text())}
    else:
        known = {}
    return [known[case.name] for case in cases() if case.name in known]


def main() -> None:
    """Cases until the time is over, and what is known of all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--time-ps", type=float, default=2.0)
    parser.add_argument("--replicas", type=int, default=4)
    parser.add_argument("--minutes", type=float, default=75.0)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--no-compile", action="store_true")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    records = read(args.out)
    until = time.monotonic() + 60 * args.minutes
    left = [case for case in cases() if case.name not in {one["name"] for one in records}]
    if left and args.minutes > 0:
        options = {"device": args.device, **({} if args.no_compile else {"compile": True})}
        backend, starts = load_model("water", **options), chosen(args.replicas)
        for case in left:
            if time.monotonic() > until:
                break
            found = run(backend, starts, case, args.time_ps, seed=1)
            records.append({"name": case.name, **found})
            write_json(args.out / "friction.json", records)
            print(*lines(records[-1:])[2:], flush=True)
    records = read(args.out)
    draw(records, args.out / "friction.png")
    print(*lines(records), sep="\n")


def chosen(n: int) -> list[Atoms]:
    """Frames of 32 H2O at 300 K, as far apart as there are."""
    found = [a for a in frames("water", {"kind": "md", "T": TARGET_K}) if len(a) == N_ATOMS]
    return [found[k] for k in np.linspace(0, len(found) - 1, n).round().astype(int)]


if __name__ == "__main__":
    main()
