"""Figures: the house style, what they show, and that they leave no trace in matplotlib."""

import subprocess
import sys

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.image import imread

from ncforce_ipi import plots
from ncforce_ipi.analysis.drift import fit_drift
from ncforce_ipi.observables import figures
from ncforce_ipi.observables.analyse import analyse
from ncforce_ipi.observables.dataset import open_dataset
from tests.synthetic_run import write_run


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    directory = tmp_path_factory.mktemp("figures") / "run"
    write_run(directory)
    return analyse(open_dataset([directory])).results


def test_style_holds_inside_its_block_only():
    before = mpl.rcParams["font.size"]
    with plots.style():
        assert mpl.rcParams["font.size"] == 13.0
    assert mpl.rcParams["font.size"] == before


def test_figures_need_no_pyplot_and_no_model_library():
    code = (
        "import sys, ncforce_ipi.observables.figures; "
        "sys.exit(bool({'matplotlib.pyplot', 'torch'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_saved_figure_has_its_size_and_provenance(tmp_path):
    with plots.style():
        figure, (panel,) = plots.figure(1)
        panel.plot([0.0, 1.0], [0.0, 1.0], color=plots.colour("mts"))
        path = plots.save(figure, tmp_path / "new" / "figure.png", ["version: 1", "command: x"])
    height, width, _ = imread(path).shape
    assert (width, height) == (1440, 580)
    assert b"version: 1\ncommand: x" in path.read_bytes()


def test_colours_are_fixed_by_meaning_and_told_apart():
    assert plots.colour("H") != plots.colour("O")
    assert len({plots.colour(kind) for kind in ("slow", "fast", "mts")}) == 3
    assert plots.colour("C", 1) == plots.PALETTE[1]


def test_trend_says_slope_and_interval():
    time_ps = 0.01 * np.arange(500)
    noise = np.random.default_rng(1).normal(size=500)
    _, (panel, other) = plots.figure(2)
    drift = fit_drift(time_ps, 5.0 * time_ps + noise)
    plots.trend(panel, drift, "K/ps")
    assert panel.get_title("left").startswith("drift 5.")
    assert panel.get_title("left").endswith("K/ps (95 %)")
    plots.trend(other, fit_drift(time_ps, np.exp(time_ps)), "K/ps")
    assert other.get_title("left").endswith("too short for an interval")


def test_every_axis_has_a_label_with_its_unit(results):
    drawn = [
        figures.drifts(results["drift"].runs),
        figures.radial_distributions(results["rdf"].pairs),
        figures.velocity_spectra(results["vdos"].spectrum),
    ]
    labels = [panel.get_ylabel() for figure in drawn for panel in figure.axes]
    assert labels[:2] == ["conserved, from start\n(meV/atom)", "temperature (K)"]
    assert len(labels) == 2 + 3 + 3  # the third spectrum is that of all
    assert all(labels)
    last = [figure.axes[-1].get_xlabel() for figure in drawn]
    assert last == ["time (ps)", "distance $r$ (Å)", "wavenumber (cm$^{-1}$)"]


def test_spectrum_names_its_limits(results):
    title = figures.velocity_spectra(results["vdos"].spectrum).axes[-1].get_title("right")
    assert "Nyquist 4170" in title
    assert "ALIASED" not in title


def test_peak_out_of_the_panel_is_marked_at_its_edge(results):
    figure = figures.radial_distributions(results["rdf"].pairs)
    texts = {panel.get_ylabel(): panel.texts[0] for panel in figure.axes}
    bond = texts["$g_\\mathrm{OH}(r)$"]
    assert bond.get_text() == "0.98 Å ↑"
    assert bond.xy[1] < bond.axes.get_ylim()[1]


def test_long_series_are_thinned():
    series = np.arange(25_001.0)
    time_ps, values = plots.thin(0.1 * series, series)
    assert 3500 <= len(values) <= 4000
    np.testing.assert_array_equal(time_ps, 0.1 * values)
    assert len(plots.thin(series[:4000])[0]) == 4000
