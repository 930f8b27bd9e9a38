"""Results as a table for people and as CSV and JSON files for programs.

Owns names with units and how a number with its error is written.
Every file says where it comes from: version, command, SHA-256 of the input and of the model.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from ncforce_ipi import __version__
from ncforce_ipi.analysis.drift import (
    GIGAKELVIN_PER_S_PER_K_PER_PS,
    LAMBENCH_MEV_PER_ATOM_PER_PS,
    Drift,
)
from ncforce_ipi.analysis.peaks import Peak
from ncforce_ipi.analysis.power import W_PER_MEV_PER_PS
from ncforce_ipi.analysis.rdf import main_peak
from ncforce_ipi.analysis.statistics import Mean, with_error
from ncforce_ipi.analysis.temperature import Equipartition, equipartition
from ncforce_ipi.analysis.vdos import hydrogen_peaks
from ncforce_ipi.models import sha256
from ncforce_ipi.observables.analysis_of_run import Results
from ncforce_ipi.observables.temperature import equipartition_line, kurtosis_line
from ncforce_ipi.result import plain, write_csv


@dataclass(frozen=True)
class Provenance:
    """Where results come from.

    Attributes
    ----------
    version : of this package
    command : that made the results
    input_sha256 : of the run's input.xml; empty where it is missing
    model_sha256 : as run.json states it
    """

    version: str
    command: str
    input_sha256: str
    model_sha256: str

    @classmethod
    def of(cls, results: Results, command: str) -> Provenance:
        """Of these results."""
        xml = results.facts.directory / "input.xml"
        model = results.facts.record.get("model") or {}
        return cls(
            version=__version__,
            command=command,
            input_sha256=sha256(xml) if xml.is_file() else "",
            model_sha256=str(model.get("sha256", "")),
        )

    def lines(self) -> list[str]:
        """One ``key: value`` for each fact."""
        return [f"{key}: {value}" for key, value in vars(self).items()]


def summary(results: Results, provenance: Provenance) -> dict[str, Any]:
    """Every number of the analysis under a key that states its unit; None where there is none."""
    record, spectrum = results.facts.record, results.spectrum
    numbers: dict[str, Any] = {
        "provenance": vars(provenance),
        "run_state": record.get("state"),
        "plan": record.get("plan"),
        "n_atoms": results.facts.n_atoms,
        "time_ps": results.time_ps[-1],
        "discarded_ps": results.discarded_ps,
        "runaway_ps": results.runaway_ps,
        **_drift_numbers("drift_conserved", "meV_per_atom_per_ps", results.drift_conserved),
        **_drift_numbers("drift_temperature", "K_per_ps", results.drift_temperature),
        **_drift_numbers("drift_temperature", "1e9_K_per_s", _gigakelvin(results)),
        "drift_over_sigma_kinetic": results.drift_over_sigma_kinetic,
        "ms_per_inner_step": _ms_per_inner_step(results),
    }
    for name, mean in results.mean_temperatures.items():
        numbers[f"temperature_{name}_K"] = mean.value
        numbers[f"temperature_{name}_standard_error_K"] = mean.error
    for pair in _equipartition(results):
        key = f"temperature_{pair.names[0]}_minus_{pair.names[1]}"
        numbers[f"{key}_K"] = pair.difference.value
        numbers[f"{key}_standard_error_K"] = pair.difference.error
    if results.species is not None:
        for name, shown in results.species.distributions.items():
            numbers[f"excess_kurtosis_{name}"] = shown.excess_kurtosis.value
            numbers[f"excess_kurtosis_{name}_standard_error"] = shown.excess_kurtosis.error
    if (power := _power(results)) is not None:
        numbers |= _drift_numbers("power", "W_per_atom", power)
    for name, diffusion in results.diffusion.items():
        numbers[f"diffusion_{name}_A2_per_ps"] = diffusion.value
        numbers[f"diffusion_{name}_standard_error_A2_per_ps"] = diffusion.error
    for (a, b), rdf in results.rdfs.items():
        peak = main_peak(rdf)
        numbers[f"g_{a}{b}_peak_A"] = peak.position
        numbers[f"g_{a}{b}_peak_height"] = peak.height
    if spectrum is not None:
        for name, peak in hydrogen_peaks(spectrum).items():
            numbers[f"cvv_H_{name}_per_cm"] = peak.position
        numbers["nyquist_per_cm"] = spectrum.nyquist_per_cm
        numbers["spectrum_resolution_per_cm"] = spectrum.resolution_per_cm
        numbers["spectrum_aliased"] = spectrum.aliased
    numbers["notes"] = list(results.notes)
    return dict(plain(numbers))


def table(results: Results) -> str:
    """The same for people; drifts with their 95 % interval, means with one standard error."""
    return "\n".join(f"{label:<34}{text}" for label, text in _lines(results))


def write_files(results: Results, provenance: Provenance, folder: Path) -> list[Path]:
    """Write summary.json and a CSV file for each quantity that there is; return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "summary.json"
    text = json.dumps(summary(results, provenance), indent=2, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")
    written = [path]
    for name, columns in _csv_columns(results).items():
        written.append(write_csv(folder / name, columns, provenance.lines()))
    return written


def _lines(results: Results) -> Iterable[tuple[str, str]]:
    record, spectrum = results.facts.record, results.spectrum
    plan = record.get("plan") or {}
    yield (
        "run",
        f"{plan.get('forces', '?')} forces, M = {plan.get('mts', '?')}, "
        f"{results.facts.n_atoms} atoms, {results.time_ps[-1]:.6g} ps "
        f"({results.discarded_ps:g} ps discarded), {record.get('state', '?')}",
    )
    if results.runaway_ps is not None:
        yield "runaway", f"T > 1.5 x start at {results.runaway_ps:.3g} ps; drifts are from before"
    yield "drift of the conserved quantity", _drift(results.drift_conserved, "meV/atom/ps")
    yield "", _verdict(results)
    yield "drift of the temperature", _drift(results.drift_temperature, "K/ps")
    yield "", _drift(_gigakelvin(results), "1e9 K/s")
    for name, mean in results.mean_temperatures.items():
        yield f"temperature, {name}", _mean(mean, "K")
    for pair in _equipartition(results):
        yield equipartition_line(pair)
    if results.species is not None:
        for name, shown in results.species.distributions.items():
            yield kurtosis_line(name, shown)
    if (power := _power(results)) is not None:
        yield "power of the forces", _drift(power, "W/atom, the drift of the conserved quantity")
    for (a, b), rdf in results.rdfs.items():
        yield f"peak of g_{a}{b}(r)", _peak(main_peak(rdf), "A", 3)
    for name, diffusion in results.diffusion.items():
        text = with_error(diffusion.value, diffusion.error)
        yield f"diffusion, {name}", f"{text} A^2/ps in this box (1 A^2/ps = 1e-4 cm^2/s)"
    if spectrum is not None:
        for name, peak in hydrogen_peaks(spectrum).items():
            yield f"{name} peak of c_vv, H", _peak(peak, "cm^-1", 0)
        yield "resolution of c_vv", f"{spectrum.resolution_per_cm:.0f} cm^-1"
        words = [f"{spectrum.nyquist_per_cm:.0f} cm^-1", spectrum.warning]
        yield "Nyquist frequency of c_vv", ", ".join(filter(None, words))
    per_step = _ms_per_inner_step(results)
    yield "time per inner step", "not recorded" if per_step is None else f"{per_step:.2f} ms"
    yield "errors", "of drifts: 95 % interval; of temperatures: one standard error"
    for note in results.notes:
        yield "note", note


def _equipartition(results: Results) -> list[Equipartition]:
    return [] if results.species is None else equipartition(results.species.values_K)


def _power(results: Results) -> Drift | None:
    """Of the forces, W/atom, in a thermostat: what it has to take out."""
    ensemble = (results.facts.record.get("ensemble") or {}).get("name", "nve")
    if ensemble == "nve" or results.drift_conserved is None:
        return None
    return results.drift_conserved.scaled(W_PER_MEV_PER_PS)


def _verdict(results: Results) -> str:
    """The tolerances of two benchmarks of the field, and whether the run keeps them."""
    drift, ratio = results.drift_conserved, results.drift_over_sigma_kinetic
    if drift is None or ratio is None:
        return "too short for a verdict"
    lambench = "passes" if abs(drift.slope) <= LAMBENCH_MEV_PER_ATOM_PER_PS else "fails"
    audit = "passes" if ratio <= 1.0 else "fails"
    return (
        f"{lambench} LAMBench ({LAMBENCH_MEV_PER_ATOM_PER_PS:g} meV/atom/ps); "
        f"{audit} mlipaudit (|drift of the run| / sigma(K) = {ratio:.2g}, at most 1)"
    )


def _gigakelvin(results: Results) -> Drift | None:
    drift = results.drift_temperature
    return None if drift is None else drift.scaled(GIGAKELVIN_PER_S_PER_K_PER_PS)


def _ms_per_inner_step(results: Results) -> float | None:
    return (results.facts.record.get("timings") or {}).get("ms_per_inner_step")


def _drift_numbers(name: str, unit: str, drift: Drift | None) -> dict[str, float | None]:
    slope, ci95 = (None, None) if drift is None else (drift.slope, drift.ci95)
    return {f"{name}_{unit}": slope, f"{name}_ci95_{unit}": ci95}


def _drift(drift: Drift | None, unit: str) -> str:
    if drift is None:
        return "too few samples"
    if math.isnan(drift.ci95):
        return f"{drift.slope:.3g} {unit} (run too short for an interval)"
    return f"{with_error(drift.slope, drift.ci95)} {unit}"


def _mean(mean: Mean, unit: str) -> str:
    if math.isnan(mean.error):
        return f"{mean.value:.4g} {unit} (too few independent samples for an error)"
    return f"{with_error(mean.value, mean.error)} {unit}"


def _peak(peak: Peak, unit: str, digits: int) -> str:
    return "none" if math.isnan(peak.position) else f"{peak.position:.{digits}f} {unit}"


def _csv_columns(results: Results) -> dict[str, dict[str, NDArray]]:
    """Columns of each CSV file; what wasn't computed has no file."""
    files: dict[str, dict[str, NDArray]] = {
        "drift.csv": {
            "time_ps": results.time_ps,
            "conserved_minus_start_meV_per_atom": results.conserved_meV,
            "temperature_K": results.temperature_K,
        }
    }
    if results.species is not None:
        values_K = results.species.values_K
        files["temperature.csv"] = {"time_ps": results.species.time_ps} | {
            f"temperature_{symbol}_K": values for symbol, values in values_K.items()
        }
    if results.rdfs:
        files["rdf.csv"] = {"r_A": next(iter(results.rdfs.values())).r_A}
        for (a, b), rdf in results.rdfs.items():
            files["rdf.csv"] |= {
                f"g_{a}{b}": rdf.g,
                f"g_{a}{b}_standard_error": rdf.error,
                f"n_{b}_around_{a}": rdf.coordination,
            }
    if (moved := results.displacement) is not None:
        files["displacement.csv"] = {"lag_ps": moved.lag_ps} | {
            f"msd_{symbol}_A2": values for symbol, values in moved.squared_A2.items()
        }
    spectrum = results.spectrum
    if spectrum is not None:
        axis = {"wavenumber_per_cm": spectrum.wavenumber_per_cm}
        files["vdos.csv"] = axis | {"frequency_THz": spectrum.frequency_THz}
        for symbol, density in spectrum.density.items():
            files["vdos.csv"] |= {
                f"cvv_{symbol}_K_cm": density,
                f"cvv_{symbol}_standard_error_K_cm": spectrum.error[symbol],
            }
        files["vdos.csv"] |= {
            "total_K_cm": spectrum.total,
            "total_standard_error_K_cm": spectrum.total_error,
        }
    return files
