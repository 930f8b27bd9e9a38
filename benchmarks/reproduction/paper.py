"""What the paper measured, as data: Bigi, Langer, Ceriotti, ICML 2025, arXiv 2412.11569.

Errors are those of the last digit that the paper prints; None where it prints none.
"""

from __future__ import annotations

from dataclasses import dataclass

CITATION = (
    "Bigi, Langer, Ceriotti, The dark side of the forces: assessing non-conservative force models "
    "for atomistic machine learning, ICML 2025, arXiv 2412.11569"
)


@dataclass(frozen=True)
class Value:
    """A number and its error, None where there is none."""

    value: float
    error: float | None = None

    def __str__(self) -> str:
        """As on the page."""
        return f"{self.value:g}" if self.error is None else f"{self.value:g} ± {self.error:g}"


@dataclass(frozen=True)
class Thermostatted:
    """A row of the table of thermostatted water: mean temperatures - 300 K, K."""

    model: str
    thermostat: str  # as in the names of our runs
    forces: str  # slow, fast, mts8
    all: Value
    H: Value
    O: Value  # noqa: E741 - the element


def _row(model: str, thermostat: str, forces: str, *numbers: float) -> Thermostatted:
    pairs = [Value(*numbers[k : k + 2]) for k in (0, 2, 4)]
    return Thermostatted(model, thermostat, forces, *pairs)


THERMOSTATS = (
    _row("ORB-v2", "langevin1000", "fast", 51.0, 0.6, 60.4, 0.5, 33.0, 1.0),
    _row("ORB-v2", "langevin100", "fast", 4.2, 0.2, 5.9, 0.3, 0.9, 0.3),
    _row("ORB-v2", "langevin10", "fast", 0.4, 0.1, 0.6, 0.1, 0.1, 0.1),
    _row("ORB-v2", "svr10", "fast", 1.0, 0.1, 36.2, 0.8, -70.0, 2.0),
    _row("PET", "langevin100", "slow", 0.1, 0.2, 0.0, 0.2, 0.3, 0.3),
    _row("PET", "langevin1000", "fast", 12.8, 0.5, 11.2, 0.7, 16.2, 0.5),
    _row("PET", "langevin100", "fast", 1.4, 0.2, 1.3, 0.2, 1.6, 0.3),
    _row("PET", "langevin10", "fast", 0.1, 0.1, 0.0, 0.1, 0.2, 0.1),
    _row("PET", "svr10", "slow", 0.1, 0.1, -0.4, 0.3, 1.0, 0.7),
    _row("PET", "svr10", "fast", 0.3, 0.1, -4.4, 0.3, 9.9, 0.6),
    _row("PET", "svr10", "mts8", 0.0, 0.1, -0.1, 0.4, 0.1, 0.9),
)
GLE_ORB_K = Value(1181.0)  # direct forces, target 300 K

# NVE of water, direct forces: drift of the temperature, 1e9 K/s
DRIFT_1E9_K_PER_S = {"PET-NC": Value(7000.0), "ORB-v2": Value(70000.0)}
DRIFT_NONE = "EquiformerV2 like PET-NC; conservative models and MTS with M = 8: none visible"

# D of Langevin with direct PET forces over D of NVE, by tau/fs; read from the text
DIFFUSION_RATIO = {10: "1/5", 100: "1/1.5", 1000: "slightly above 1"}

LAMBDA = {
    "PET-NC": Value(0.004), "ORB-v2": Value(0.015), "EquiformerV2": Value(0.017),
    "SOAP-BPNN-NC": Value(0.032),
}  # fmt: skip
LOOP_MEV = {
    "ORB-v2": Value(15.0), "EquiformerV2": Value(-241.0), "PET-NC": Value(132.0),
    "SOAP-BPNN-NC": Value(-410.0),
}  # fmt: skip

# ms of an MD step, 192 atoms, one GPU
MS_PER_STEP = {
    "MACE-MP-0 large": Value(26.9), "SevenNet": Value(52.8), "ORB-v2": Value(11.9),
    "EquiformerV2": Value(1580.0), "PET-C": Value(19.4), "PET-NC": Value(8.58),
    "PET-M, MTS M = 8": Value(10.3),
}  # fmt: skip
SPEED_RATIOS = {"slow": Value(19.4 / 8.58), "mts8": Value(10.3 / 8.58)}  # over direct forces alone

# test MAE on water: energy meV/atom, force meV/A; training s/epoch on four H100
ACCURACY = {
    "PET-C": (0.55, 19.4, 15.3), "PET-NC": (1.42, 24.8, 5.6),
    "PET-M, conservative": (0.59, 20.2, 15.4),
    "PET-M, direct": (0.59, 26.7, 15.4), "PET-M, fine-tuned": (0.50, 20.0, None),
    "SOAP-BPNN-C": (1.38, 41.4, None), "SOAP-BPNN-NC": (3.20, 111.9, None),
}  # fmt: skip
TRAINING_SPEEDUP = "2 to 4 times: one GPU for a day after direct pre-training, four for two days"

# L-BFGS, successes in %: H2O gas, H2O liquid, QM9, MPtrj
OPTIMISATION = {
    "ORB-v2": (69, 9, 1, 76), "SevenNet": (81, 88, 92, 97), "MACE-MP-0": (94, 83, 94, 99),
    "PET-NC": (75, 52, None, None), "PET-C": (83, 58, None, None),
    "SOAP-BPNN-NC": (79, 0, None, None), "SOAP-BPNN-C": (91, 59, None, None),
}  # fmt: skip
