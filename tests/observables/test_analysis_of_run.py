"""A synthetic run directory whose every number is known."""

import logging

import numpy as np
import pytest

from ncforce_ipi.analysis.rdf import main_peak
from ncforce_ipi.analysis.vdos import hydrogen_peaks
from ncforce_ipi.errors import InputError
from ncforce_ipi.observables.analysis_of_run import Options, analyse
from tests.synthetic_run import DRIFT_MEV_PER_ATOM_PER_PS, write_record, write_run


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    path = tmp_path_factory.mktemp("results") / "run"
    write_run(path)
    return path


@pytest.fixture(scope="module")
def results(directory):
    return analyse(directory, Options())


def test_drift_of_the_conserved_quantity(results):
    drift = results.drift_conserved
    assert drift.slope == pytest.approx(DRIFT_MEV_PER_ATOM_PER_PS, abs=2.0 * drift.ci95)
    # 0.1 meV of noise over 81 atoms in 4 ps
    assert 0.0 < drift.ci95 < 1e-3


@pytest.mark.parametrize(("potential", "said"), [(0.0, True), (-1.5, False)])
def test_forces_without_an_energy_are_called_so(tmp_path, potential, said):
    write_run(tmp_path / "run", n_outer=100)
    path = tmp_path / "run/simulation.out"
    head, rows = [], []
    for line in path.read_text().splitlines():
        (head if line.startswith("#") else rows).append(line)
    head.append("# column   6     --> potential{electronvolt} : Help.")
    path.write_text("\n".join(head + [f"{row} {potential}" for row in rows]) + "\n")
    notes = analyse(tmp_path / "run", Options()).notes
    assert any("the forces have no energy" in note for note in notes) == said


def test_drift_against_the_fluctuation_of_the_kinetic_energy(results):
    kinetic_meV = 1e3 * results.temperature_K * 8.617333262e-5 * (3 * 81 - 3) / 2 / 81
    expected = abs(results.drift_conserved.slope) * 4.0 / np.std(kinetic_meV[25:])
    assert results.drift_over_sigma_kinetic == pytest.approx(expected, rel=1e-9)


def test_diffusion_needs_a_long_run_and_atoms_that_stay_have_none(tmp_path, results):
    assert results.diffusion == {}
    assert "no diffusion coefficient: 12 ps of positions needed" in results.notes
    write_run(tmp_path / "run", n_outer=3200, n_molecules=8)
    results_of_long = analyse(tmp_path / "run", Options())
    found = results_of_long.diffusion
    assert set(found) == {"H", "O"}
    moved = results_of_long.displacement
    assert moved.lag_ps[0] == 0.0
    assert moved.lag_ps[-1] == pytest.approx(12.7 / 8, abs=0.03)  # an eighth, frames of 20 fs
    for diffusion in found.values():  # noise of 0.05 A a coordinate, no motion
        assert abs(diffusion.value) < 1e-3
        assert 0 < diffusion.error < 1e-3


def test_temperatures(results):
    # harmonic motion at 300 K; 81 atoms keep their random phases: 300 K within a few per cent
    assert set(results.mean_temperatures) == {"all", "H", "O"}
    for mean in results.mean_temperatures.values():
        assert mean.value == pytest.approx(300.0, rel=0.05)
    assert results.species.time_ps[0] == pytest.approx(0.1)
    assert results.runaway_ps is None


def test_all_atoms_are_the_weighted_mean_of_the_species(results):
    n_o, n_h = 27, 54
    share_o = 3.0 * 15.999 / 18.015
    dof_o, dof_h = 3 * n_o - share_o, 3 * n_h - (3.0 - share_o)
    values_K = results.species.values_K
    whole_K = (dof_o * values_K["O"] + dof_h * values_K["H"]) / (dof_o + dof_h)
    # velocities with 6 digits
    np.testing.assert_allclose(whole_K, results.temperature_K[25:], rtol=2e-6)


def test_peaks(results):
    # noise of 0.05 A a coordinate lengthens the bond by 0.05^2 x 2 / 0.98 and blurs it
    assert main_peak(results.rdfs[("O", "H")]).position == pytest.approx(0.98, abs=0.02)
    # 54 oscillators of 3600 cm^-1 with a spread of 36
    assert hydrogen_peaks(results.spectrum)["stretch"].position == pytest.approx(3600.0, abs=25.0)


def test_spectrum_and_velocities_agree(results):
    spectrum = results.spectrum
    for symbol, density in spectrum.density.items():
        integral_K = np.trapezoid(density, spectrum.wavenumber_per_cm)
        # the blocks leave out a remainder of less than one part in a hundred
        assert integral_K == pytest.approx(results.mean_temperatures[symbol].value, rel=0.01)


def test_masses_that_are_not_the_runs_are_noticed(tmp_path, directory, caplog):
    with caplog.at_level(logging.WARNING):
        analyse(directory, Options())
    assert caplog.text == ""
    write_run(tmp_path / "run", n_outer=100)
    write_record(tmp_path / "run", 81, masses_u={"H": 1.00794, "O": 15.9994})
    with caplog.at_level(logging.WARNING):
        analyse(tmp_path / "run", Options())
    assert "are masses_u in run.json those of the run?" in caplog.text


def test_runaway_ends_the_fits(tmp_path):
    write_run(tmp_path / "run", heating=0.3)  # T grows as exp(0.6 t/ps): 1.5 times at 0.68 ps
    results = analyse(tmp_path / "run", Options())
    assert results.runaway_ps == pytest.approx(np.log(1.5) / 0.6, abs=0.15)
    assert results.drift_temperature.end_ps < results.runaway_ps
    assert results.drift_conserved.end_ps == results.drift_temperature.end_ps
    assert results.drift_temperature.slope == pytest.approx(300.0 * 0.6, rel=0.5)


def test_short_run_says_what_it_is_too_short_for(tmp_path):
    write_run(tmp_path / "run", n_outer=30)
    results = analyse(tmp_path / "run", Options(discard_ps=0.1))
    assert results.drift_temperature is None
    assert results.spectrum is None
    text = " ".join(results.notes)
    assert "no drift of the temperature: 6 samples" in text
    assert "no spectrum: 6 frames of velocities, 64 needed" in text
    assert "g(r) from 2 frames only" in text


def test_run_of_one_row(tmp_path):
    write_run(tmp_path / "run", n_outer=0)
    results = analyse(tmp_path / "run", Options(discard_ps=0.0))
    assert results.drift_conserved is None
    assert np.isnan(results.mean_temperatures["all"].error)


def test_run_without_trajectories_keeps_its_drift(tmp_path):
    write_run(tmp_path / "run")
    for name in ("simulation.pos_0.extxyz", "simulation.vel_0.xyz"):
        (tmp_path / "run" / name).unlink()
    results = analyse(tmp_path / "run", Options())
    assert results.drift_conserved is not None
    assert (results.species, results.spectrum, results.rdfs) == (None, None, {})
    assert len(results.notes) == 2


def test_range_of_g_fits_the_smallest_cell_of_a_barostat(tmp_path):
    write_run(tmp_path / "run", n_outer=100)
    path = tmp_path / "run" / "simulation.pos_0.extxyz"
    lattice = "".join(path.read_text().splitlines(keepends=True)[1]).split('"')[1]
    head, tail = path.read_text().rsplit(lattice, 1)
    path.write_text(head + "8 0 0 0 8 0 0 0 8" + tail)
    rdfs = analyse(tmp_path / "run", Options()).rdfs
    assert rdfs[("O", "O")].r_A[-1] == pytest.approx(3.99)


def test_path_integral_has_centroids_and_the_temperature_of_its_beads(tmp_path, caplog):
    """Beads that move as one: each has P times the momentum's share, 3 N P - 3 in all."""
    write_run(tmp_path / "run", n_outer=200)
    write_record(tmp_path / "run", 81, ensemble={"name": "langevin", "beads": 4})
    for name in ("pos_0.extxyz", "vel_0.xyz"):
        path = tmp_path / "run" / f"simulation.{name}"
        path.rename(path.with_name(path.name.replace("_0", "")))
    with caplog.at_level(logging.WARNING):
        results = analyse(tmp_path / "run", Options())
    assert caplog.text == ""  # kinetic_md isn't that of the centroid's velocities
    assert "path integral of 4 beads" in results.notes[0]
    classical_K = results.mean_temperatures["all"].value * (12 * 81 - 3) / (3 * 81 - 3)
    assert classical_K == pytest.approx(300.0, rel=0.05)
    assert results.mean_temperatures["O"].value == pytest.approx(300.0, rel=0.05)
    assert results.rdfs
    assert results.drift_conserved.slope == pytest.approx(DRIFT_MEV_PER_ATOM_PER_PS, abs=0.01)


def test_files_of_two_runs_are_refused(tmp_path):
    write_run(tmp_path / "run", n_outer=100)
    write_record(tmp_path / "run", 80)
    with pytest.raises(InputError, match=r"has 81 atoms; expected the 80 of run\.json"):
        analyse(tmp_path / "run", Options())


def test_run_that_ends_before_the_discarded_time_is_refused(tmp_path):
    write_run(tmp_path / "run", n_outer=10)
    with pytest.raises(InputError, match=r"ends at 0\.04 ps; expected more than the 0\.1 ps"):
        analyse(tmp_path / "run", Options(discard_ps=0.1))


def test_by_default_a_short_run_loses_a_tenth_and_a_long_one_a_tenth_of_a_picosecond(tmp_path):
    for n_outer, discarded_ps in ((20, 0.008), (400, 0.1)):  # of 4 fs
        write_run(tmp_path / str(n_outer), n_outer=n_outer)
        assert analyse(tmp_path / str(n_outer), Options()).discarded_ps == pytest.approx(
            discarded_ps
        )


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ("{}", "KeyError 'n_atoms'; expected n_atoms, masses_u and temperature_K"),
        ("not json", "JSONDecodeError"),
        ('{"n_atoms": 3, "masses_u": {"H": null}, "temperature_K": 1}', "TypeError"),
    ],
)
def test_broken_record_is_refused(tmp_path, record, message):
    (tmp_path / "run.json").write_text(record)
    with pytest.raises(InputError, match=message):
        analyse(tmp_path, Options())
