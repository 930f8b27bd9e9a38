"""A synthetic run directory whose every number is known."""

import logging

import numpy as np
import pytest

from ncforce_ipi.analysis.peaks import highest_peak
from ncforce_ipi.analysis.rdf import main_peak
from ncforce_ipi.analysis.vdos import hydrogen_peaks
from ncforce_ipi.errors import InputError
from ncforce_ipi.observables.analyse import HEADINGS, analyse
from ncforce_ipi.observables.dataset import open_dataset
from ncforce_ipi.observables.options import Options
from ncforce_ipi.result import Result, Unavailable
from tests.synthetic_run import (
    DRIFT_MEV_PER_ATOM_PER_PS,
    replace_value,
    write_record,
    write_run,
)


def analysed(directory, **options):
    """All observables of a directory, by name."""
    return analyse(open_dataset([directory], Options(**options))).results


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    path = tmp_path_factory.mktemp("results") / "run"
    write_run(path)
    return path


@pytest.fixture(scope="module")
def results(directory):
    return analysed(directory)


def test_every_observable_is_a_result_or_says_why_not(results):
    assert list(results) == list(HEADINGS)
    for one in results.values():
        assert isinstance(one, Result) != isinstance(one, Unavailable)


def test_drift_of_the_conserved_quantity(results):
    drift = results["drift"].conserved
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
    lines = analysed(tmp_path / "run")["drift"].lines()
    assert any("the forces have no energy" in words for _, words in lines) == said


def test_drift_against_the_fluctuation_of_the_kinetic_energy(results):
    (run,) = results["drift"].runs
    kinetic_meV = 1e3 * run.whole.temperature_K * 8.617333262e-5 * (3 * 81 - 3) / 2 / 81
    # the first 0.1 ps, 25 steps, are left out
    expected = abs(run.conserved.slope) * (4.0 - 0.1) / np.std(kinetic_meV[25:])
    assert run.tolerances.ratio == pytest.approx(expected, rel=1e-9)


def test_displacements_need_a_long_run_and_atoms_that_stay_have_no_diffusion(tmp_path, results):
    short = results["diffusion"]
    assert "an eighth of the run, and the line begins at 1 ps" in short.reason
    assert "a quarter of the run, and the velocities' memory may be 1 ps" in short.reason
    write_run(tmp_path / "run", n_outer=3200, n_molecules=8)
    found = analysed(tmp_path / "run")["diffusion"]
    assert set(found.by_displacement) == {"H", "O"}
    moved = found.displacement
    assert moved.lag_ps[0] == 0.0
    assert moved.lag_ps[-1] == pytest.approx(12.7 / 8, abs=0.03)  # an eighth, frames of 20 fs
    for diffusion in found.by_displacement.values():  # noise of 0.05 A a coordinate, no motion
        assert abs(diffusion.value) < 1e-3
        assert not diffusion.error >= 1e-3  # NaN where the blocks are too few for one


def test_temperatures(results):
    # harmonic motion at 300 K; 81 atoms keep their random phases: 300 K within a few per cent
    found = results["temperature"]
    assert set(found.means) == {"all", "H", "O"}
    for mean in found.means.values():
        assert mean.value == pytest.approx(300.0, rel=0.05)
    (run,) = found.runs
    assert run.replica.time_ps[0] == pytest.approx(0.1)
    assert results["drift"].runs[0].window.runaway_ps is None


def test_all_atoms_are_the_weighted_mean_of_the_species(results):
    n_o, n_h = 27, 54
    share_o = 3.0 * 15.999 / 18.015
    dof_o, dof_h = 3 * n_o - share_o, 3 * n_h - (3.0 - share_o)
    values_K = results["temperature"].runs[0].values_K
    whole_K = (dof_o * values_K["O"] + dof_h * values_K["H"]) / (dof_o + dof_h)
    # velocities with 6 digits
    np.testing.assert_allclose(values_K["all"], whole_K, rtol=2e-6)
    np.testing.assert_allclose(whole_K, results["drift"].runs[0].part.temperature_K, rtol=2e-6)


def test_mean_temperature_is_that_of_drift(results):
    assert results["temperature"]["all"] == results["drift"].runs[0].mean_temperature


def test_peaks(results):
    # noise of 0.05 A a coordinate lengthens the bond by 0.05^2 x 2 / 0.98 and blurs it
    assert main_peak(results["rdf"][("O", "H")]).position == pytest.approx(0.98, abs=0.02)
    spectrum = results["vdos"].spectrum
    # 54 oscillators of 3600 cm^-1 with a spread of 36
    assert hydrogen_peaks(spectrum)["stretch"].position == pytest.approx(3600.0, abs=25.0)
    axis = spectrum.wavenumber_per_cm
    # 27 of 200 cm^-1 with a spread of 2, in a line of 33 cm^-1
    assert highest_peak(axis, spectrum.density["O"], 0.0, axis[-1]).position == pytest.approx(
        200.0, abs=10.0
    )


def test_spectrum_and_velocities_agree(results):
    spectrum = results["vdos"].spectrum
    for symbol, density in spectrum.density.items():
        integral_K = np.trapezoid(density, spectrum.wavenumber_per_cm)
        # the blocks leave out a remainder of less than one part in a hundred
        assert integral_K == pytest.approx(results["temperature"][symbol].value, rel=0.01)


def test_masses_that_are_not_the_runs_are_noticed(tmp_path, directory, caplog):
    with caplog.at_level(logging.WARNING):
        calm = analysed(directory)["temperature"]
    assert caplog.text == ""
    assert "warning" not in dict(calm.lines())
    write_run(tmp_path / "run", n_outer=100)
    write_record(tmp_path / "run", 81, masses_u={"H": 1.00794, "O": 15.9994})
    with caplog.at_level(logging.WARNING):
        wrong = analysed(tmp_path / "run")["temperature"]
    assert "give i-PI's temperature only to" in caplog.text
    assert "are the masses those of the run" in dict(wrong.lines())["warning"]


def test_runaway_ends_everything(tmp_path):
    """T grows as exp(0.6 t/ps) by the forces' work: 1.5 times at 0.68 ps."""
    write_run(tmp_path / "run", heating=0.3, by_forces=True)
    results = analysed(tmp_path / "run")
    (run,) = results["drift"].runs
    lost_ps = run.window.runaway_ps
    assert lost_ps == pytest.approx(np.log(1.5) / 0.6, abs=0.15)
    assert run.temperature.end_ps < lost_ps
    assert run.conserved.end_ps == run.temperature.end_ps
    assert run.temperature.slope == pytest.approx(300.0 * 0.6, rel=0.5)
    assert run.mean_temperature.value < 1.5 * 300.0
    (kinetics,) = results["temperature"].runs
    assert kinetics.replica.time_ps[-1] < lost_ps
    before = round(lost_ps / 0.004) - 25  # steps of 4 fs, 25 of them are the discarded start
    assert len(kinetics.replica.steps) == before
    assert results["rdf"].any.n_frames == len(range(25, 25 + before, 5))  # every fifth step
    assert results["power"].runs[0].power.rate.end_ps == run.temperature.end_ps


def test_a_start_out_of_equilibrium_is_no_runaway(tmp_path):
    """300 to 600 K in 4 ps by the potential energy of the start: nothing is lost."""
    write_run(tmp_path / "run", heating=0.5 * np.log(2.0) / 4.0)
    results = analysed(tmp_path / "run")
    (run,) = results["drift"].runs
    assert run.part.temperature_K.max() > 1.5 * 300.0
    assert run.window.runaway_ps is None
    assert run.temperature.end_ps == pytest.approx(4.0)
    assert run.conserved.slope == pytest.approx(
        DRIFT_MEV_PER_ATOM_PER_PS, abs=2.0 * run.conserved.ci95
    )
    assert results["power"].runs[0].power.rate.slope == run.conserved.slope
    assert len(results["temperature"].runs[0].replica.steps) == 1001 - 25


def test_a_row_that_is_not_finite_is_a_runaway(tmp_path):
    """Forces of NaN, which i-PI integrates to the end without a word."""
    write_run(tmp_path / "run", n_outer=400)
    replace_value(tmp_path / "run", row=300, column=2, word="nan")
    (run,) = analysed(tmp_path / "run")["drift"].runs
    assert run.window.runaway_ps == pytest.approx(1.2)
    assert run.conserved.end_ps == pytest.approx(1.2 - 0.004)


def test_short_run_says_what_it_is_too_short_for(tmp_path):
    write_run(tmp_path / "run", n_outer=30)
    results = analysed(tmp_path / "run", discard_ps=0.1)
    assert "6 samples; expected at least 10" in results["drift"].reason
    assert "6 frames of velocities" in results["vdos"].reason
    assert "expected at least 64 frames" in results["vdos"].reason
    assert "snapshot" in dict(results["rdf"].lines())["note"]
    assert results["rdf"].any.n_frames == 2


def test_run_of_one_row(tmp_path):
    write_run(tmp_path / "run", n_outer=0)
    results = analysed(tmp_path / "run", discard_ps=0.0)
    assert isinstance(results["drift"], Unavailable)
    assert np.isnan(results["temperature"]["all"].error)


def test_run_without_trajectories_keeps_its_drift(tmp_path):
    write_run(tmp_path / "run")
    for name in ("simulation.pos_0.extxyz", "simulation.vel_0.xyz"):
        (tmp_path / "run" / name).unlink()
    results = analysed(tmp_path / "run")
    assert results["drift"].conserved is not None
    for name in ("temperature", "rdf", "vdos", "diffusion"):
        assert "holds no trajectory of" in results[name].reason


def test_a_directory_of_another_launcher_has_the_same_numbers(tmp_path, directory):
    """Without run.json the number of atoms is counted; only masses and temperature are given."""
    write_run(tmp_path / "run")
    (tmp_path / "run/run.json").unlink()
    theirs = analysed(tmp_path / "run", masses_u={"H": 1.008, "O": 15.999}, temperature_K=300.0)
    for name, one in analysed(directory).items():
        if isinstance(one, Unavailable):  # diffusion of a short run
            assert isinstance(theirs[name], Unavailable)
        else:
            assert theirs[name].to_dict() == one.to_dict()


def test_range_of_g_fits_the_smallest_cell_of_a_barostat(tmp_path):
    write_run(tmp_path / "run", n_outer=100)
    path = tmp_path / "run" / "simulation.pos_0.extxyz"
    lattice = "".join(path.read_text().splitlines(keepends=True)[1]).split('"')[1]
    head, tail = path.read_text().rsplit(lattice, 1)
    path.write_text(head + "8 0 0 0 8 0 0 0 8" + tail)
    rdfs = analysed(tmp_path / "run")["rdf"]
    assert rdfs[("O", "O")].r_A[-1] == pytest.approx(3.99)


def test_path_integral_has_centroids_and_the_temperature_of_its_beads(tmp_path, caplog):
    """Beads that move as one: each has P times the momentum's share, 3 N P - 3 in all."""
    write_run(tmp_path / "run", n_outer=200)
    write_record(tmp_path / "run", 81, ensemble={"name": "langevin", "beads": 4})
    for name in ("pos_0.extxyz", "vel_0.xyz"):
        path = tmp_path / "run" / f"simulation.{name}"
        path.rename(path.with_name(path.name.replace("_0", "")))
    with caplog.at_level(logging.WARNING):
        results = analysed(tmp_path / "run")
    assert caplog.text == ""  # kinetic_md isn't that of the centroid's velocities
    drifts, temperatures = results["drift"], results["temperature"]
    assert "path integral of 4 beads" in drifts.runs[0].whole.notes[0]
    classical_K = temperatures["all"].value * (12 * 81 - 3) / (3 * 81 - 3)
    assert classical_K == pytest.approx(300.0, rel=0.05)
    assert temperatures["O"].value == pytest.approx(300.0, rel=0.05)
    assert len(results["rdf"]) == 3
    assert drifts.conserved.slope == pytest.approx(DRIFT_MEV_PER_ATOM_PER_PS, abs=0.01)


def test_files_of_two_runs_are_refused(tmp_path):
    write_run(tmp_path / "run", n_outer=100)
    write_record(tmp_path / "run", 80)
    results = analysed(tmp_path / "run")
    for name in ("temperature", "rdf", "vdos"):
        assert "has 81 atoms; expected the 80 that the run's" in results[name].reason


def test_run_that_ends_before_the_discarded_time_is_refused(tmp_path):
    write_run(tmp_path / "run", n_outer=10)
    with pytest.raises(InputError, match=r"ends before the 0\.1 ps to discard"):
        analysed(tmp_path / "run", discard_ps=0.1)


def test_by_default_a_short_run_loses_a_tenth_and_a_long_one_a_tenth_of_a_picosecond(tmp_path):
    for n_outer, discarded_ps in ((20, 0.008), (400, 0.1)):  # of 4 fs
        write_run(tmp_path / str(n_outer), n_outer=n_outer)
        window = open_dataset([tmp_path / str(n_outer)]).first.window
        assert window.discarded_ps == pytest.approx(discarded_ps)
        assert window.from_step == round(discarded_ps / 0.004)


def test_an_empty_directory_is_refused(tmp_path):
    with pytest.raises(InputError, match="no properties file of i-PI there"):
        analysed(tmp_path)


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ('{"plan": {}}', "KeyError 'masses_u'; expected n_atoms, masses_u, temperature_K"),
        ("not json", "is no record of a run"),
        ('{"plan": {}, "n_atoms": 3, "masses_u": {"H": null}, "temperature_K": 1}', "TypeError"),
    ],
)
def test_broken_record_is_refused(tmp_path, record, message):
    write_run(tmp_path / "run", n_outer=20)
    (tmp_path / "run/run.json").write_text(record)
    with pytest.raises(InputError, match=message):
        analysed(tmp_path / "run")
