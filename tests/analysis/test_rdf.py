"""g(r): the ideal gas, a crystal's shells, freud on the same frames."""

import freud
import numpy as np
import pytest

from ncforce_ipi.analysis import pairs
from ncforce_ipi.analysis.pairs import pair_counts
from ncforce_ipi.analysis.rdf import (
    Rdf,
    largest_r,
    main_peak,
    peak_error,
    radial_distributions,
)
from ncforce_ipi.errors import InputError

TRICLINIC_A = np.array([[12.0, 0.0, 0.0], [3.0, 11.0, 0.0], [-2.0, 4.0, 13.0]])


def gas(n_frames: int, n_atoms: int, cell: np.ndarray, seed: int) -> np.ndarray:
    """Uniform positions, (n_frames, n_atoms, 3), partly outside the cell."""
    fractions = np.random.default_rng(seed).uniform(-1.0, 2.0, size=(n_frames, n_atoms, 3))
    return (fractions @ cell).astype(np.float32).astype(float)  # what freud's float32 can hold


def in_blocks(positions: np.ndarray, cell: np.ndarray, size: int):
    for start in range(0, len(positions), size):
        block = positions[start : start + size]
        yield block, np.broadcast_to(cell, (len(block), 3, 3))


def test_ideal_gas_is_one_even_for_few_atoms_in_a_triclinic_cell():
    species = np.array(["O"] * 4 + ["H"] * 6)
    r_max_A = largest_r(TRICLINIC_A)
    positions = gas(4000, 10, TRICLINIC_A, seed=1)
    found = radial_distributions(in_blocks(positions, TRICLINIC_A, 40), species, r_max_A, 8)
    assert list(found) == [("O", "O"), ("O", "H"), ("H", "H")]
    for rdf in found.values():
        # from the second bin on there are > 500 pairs a bin; 4.5 errors for 21 bins at once
        assert np.all(np.abs(rdf.g[1:] - 1.0) < 4.5 * rdf.error[1:])
        # r^3 weighs the bins as their volumes: the mean over all pairs, good to 1 %
        volumes = np.diff(np.linspace(0.0, r_max_A, 9) ** 3)
        assert np.average(rdf.g, weights=volumes) == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize("pair", [("O", "O"), ("O", "H")])
def test_equals_freud(pair):
    species = np.array(["O"] * 60 + ["H"] * 90)
    r_max_A, n_bins = 5.0, 40  # bins of 1/8: exact in freud's float32
    positions = gas(3, 150, TRICLINIC_A, seed=2)
    found = radial_distributions(in_blocks(positions, TRICLINIC_A, 1), species, r_max_A, n_bins)
    like = pair[0] == pair[1]
    theirs = freud.density.RDF(n_bins, r_max_A, normalization_mode="exact")
    box = freud.box.Box.from_matrix(TRICLINIC_A.T)
    for frame in positions:
        first, second = (box.wrap(frame[species == symbol]) for symbol in pair)
        neighbours = {"mode": "ball", "r_max": r_max_A, "exclude_ii": like}
        theirs.compute((box, second), query_points=first, neighbors=neighbours, reset=False)
    # freud's 'exact' divides like pairs by N^2 where we divide by N (N - 1)
    expected = theirs.rdf * (60.0 / 59.0 if like else 1.0)
    # freud computes in float32; the same pairs are in the same bins, or it would be off by 1e-3
    np.testing.assert_allclose(found[pair].g, expected, rtol=1e-6)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("pair", [("O", "O"), ("O", "H")])
def test_equals_mdanalysis(pair):
    """Its N_a N_b less excluded pairs is our N_a N_b'; its coordinates are float32 too."""
    import MDAnalysis
    from MDAnalysis.analysis.rdf import InterRDF

    species = np.array(["O"] * 60 + ["H"] * 90)
    cell, r_max_A, n_bins = np.diag([12.0, 11.0, 13.0]), 5.0, 40
    positions = gas(4, 150, cell, seed=3)
    found = radial_distributions(in_blocks(positions, cell, 1), species, r_max_A, n_bins)
    universe = MDAnalysis.Universe.empty(150, trajectory=True)
    universe.add_TopologyAttr("names", species)
    universe.load_new(
        positions.astype(np.float32), dimensions=np.array([12.0, 11.0, 13.0, 90.0, 90.0, 90.0])
    )
    groups = [universe.select_atoms(f"name {symbol}") for symbol in pair]
    like = pair[0] == pair[1]
    theirs = InterRDF(
        *groups, nbins=n_bins, range=(0.0, r_max_A), exclusion_block=(1, 1) if like else None
    ).run()
    np.testing.assert_allclose(found[pair].g, theirs.results.rdf, rtol=1e-6)


def test_shells_of_a_crystal_are_counted_through_all_faces():
    spacing_A = 2.0
    points = np.arange(5) * spacing_A
    positions = np.stack(np.meshgrid(points, points, points), axis=-1).reshape(1, 125, 3)
    cell = np.eye(3) * 5 * spacing_A
    counts = pair_counts(
        positions, cell[None], np.zeros(125, dtype=np.int64), np.linspace(0.0, 5.0, 51)
    )[0, 0, 0]
    # simple cubic: 6 at a, 12 at sqrt(2) a, 8 at sqrt(3) a, 6 at 2a, 24 at sqrt(5) a
    shells = {20: 6, 28: 12, 34: 8, 40: 6, 44: 24}
    # a distance on a bin's edge may fall on either side of it
    for index, neighbours in shells.items():
        assert counts[index - 1 : index + 1].sum() == neighbours * 125
    assert counts.sum() == sum(shells.values()) * 125 + 24 * 125  # and 24 at sqrt(6) a = 4.899 A


@pytest.mark.parametrize("n_atoms", [1, 2, 7, 60])
@pytest.mark.parametrize("cell", [np.eye(3) * 11.0, TRICLINIC_A])
def test_all_pairs_and_those_of_blocks_count_the_same(monkeypatch, n_atoms, cell):
    kinds = np.arange(n_atoms) % 3
    positions = gas(5, n_atoms, cell, seed=n_atoms)
    edges = np.linspace(0.0, largest_r(cell), 41)
    cells = np.broadcast_to(cell, (5, 3, 3))
    counts = []
    monkeypatch.setattr(pairs, "FEWEST_IN_BLOCK", 1)
    for share in (0.0, 1.0):  # of all pairs, at most: which way is taken
        monkeypatch.setattr(pairs, "MOST_IN_BLOCKS", share)
        counts.append(pair_counts(positions, cells, kinds, edges))
    np.testing.assert_array_equal(*counts)


def test_coordination_is_counted_and_agrees_with_the_integral():
    species = np.array(["O"] * 20 + ["H"] * 30)
    positions = gas(50, 50, TRICLINIC_A, seed=9)
    found = radial_distributions(in_blocks(positions, TRICLINIC_A, 10), species, 5.0, 50)
    edges = np.linspace(0.0, 5.0, 51)
    shells = 4.0 / 3.0 * np.pi * np.diff(edges**3) / abs(np.linalg.det(TRICLINIC_A))
    for (a, b), rdf in found.items():
        others = np.count_nonzero(species == b) - (a == b)
        np.testing.assert_allclose(rdf.coordination, np.cumsum(rdf.g * shells) * others, rtol=1e-9)


def test_volume_is_that_of_each_frame():
    species = np.array(["O"] * 20)
    small, large = np.eye(3) * 10.0, np.eye(3) * 12.0
    positions = np.concatenate([gas(2000, 20, small, seed=3), gas(2000, 20, large, seed=4)])
    cells = np.concatenate([np.broadcast_to(c, (2000, 3, 3)) for c in (small, large)])
    blocks = ((positions[i::40], cells[i::40]) for i in range(40))
    rdf = radial_distributions(blocks, species, 5.0, 5)[("O", "O")]
    assert rdf.g[-1] == pytest.approx(1.0, abs=4.5 * rdf.error[-1])
    assert rdf.error[-1] < 0.01


def test_few_blocks_have_no_error_and_remainders_count():
    species = np.array(["O"] * 20)
    positions = gas(7, 20, TRICLINIC_A, seed=5)
    whole = radial_distributions(in_blocks(positions, TRICLINIC_A, 7), species, 5.0, 10)
    parts = radial_distributions(in_blocks(positions, TRICLINIC_A, 3), species, 5.0, 10)
    np.testing.assert_allclose(whole[("O", "O")].g, parts[("O", "O")].g, rtol=1e-12)
    assert parts[("O", "O")].n_frames == 7
    assert np.isnan(parts[("O", "O")].error).all()


def test_single_atom_has_no_like_pairs():
    positions = gas(2, 3, TRICLINIC_A, seed=6)
    species = np.array(["O", "H", "H"])
    found = radial_distributions(in_blocks(positions, TRICLINIC_A, 1), species, 5.0, 10)
    assert list(found) == [("O", "H"), ("H", "H")]


def test_peak_is_the_distance_of_a_dimer():
    rng = np.random.default_rng(8)
    separation_A = rng.normal(1.234, 0.05, size=400)
    positions = np.zeros((400, 2, 3))
    positions[:, 1, 0] = separation_A
    blocks = in_blocks(positions, np.eye(3) * 10.0, 100)
    rdf = radial_distributions(blocks, np.array(["O", "H"]), 5.0, 250)[("O", "H")]
    # 400 samples of width 0.05: 0.0025 for the mean, some times more for a histogram's top
    assert main_peak(rdf).position == pytest.approx(1.234, abs=0.02)


def test_half_the_smallest_height():
    assert largest_r(np.diag([10.0, 12.0, 14.0])) == pytest.approx(5.0)
    volume = np.linalg.det(TRICLINIC_A)
    a, b, c = TRICLINIC_A
    heights = [volume / np.linalg.norm(np.cross(*rows)) for rows in ((b, c), (c, a), (a, b))]
    assert largest_r(TRICLINIC_A) == pytest.approx(0.5 * min(heights), rel=1e-12)


def test_too_large_a_distance_is_refused():
    blocks = in_blocks(gas(1, 3, np.eye(3) * 10.0, seed=9), np.eye(3) * 10.0, 1)
    with pytest.raises(InputError, match=r"up to 5\.1 A; expected at most .* 5\.0000 A"):
        radial_distributions(blocks, np.array(["O"] * 3), 5.1, 10)


def test_frames_without_a_cell_are_refused():
    with pytest.raises(InputError, match="frames without a cell; expected periodic"):
        radial_distributions(
            [(np.zeros((1, 3, 3)), np.zeros((1, 3, 3)))], np.array(["O"] * 3), 5, 9
        )


def test_no_frames_are_refused():
    with pytest.raises(InputError, match="no frames"):
        radial_distributions(iter(()), np.array(["O"] * 3), 5.0, 10)


def test_the_peak_of_a_noisy_curve_is_found():
    """As of one picosecond of 64 molecules: 10 % of noise in bins of 0.02 A."""
    r = np.arange(0.01, 6.2, 0.02)
    shape = 1.0 / (1.0 + np.exp(-(r - 2.5) / 0.03)) + 1.6 * np.exp(-0.5 * ((r - 2.8) / 0.12) ** 2)
    for seed in range(20):
        noisy = shape * (1.0 + 0.1 * np.random.default_rng(seed).normal(size=len(r)))
        found = main_peak(Rdf(r, noisy, np.full_like(r, np.nan), r, 50))
        # 14 bins of 10 % noise on a parabola of curvature 2.6 / 0.12^2: 0.02 A; 3 sigma
        assert found.position == pytest.approx(2.8, abs=0.06)


def test_a_peak_of_few_pairs_has_an_error():
    """Of 8 atoms and 40 frames the bin under the peak may be empty, all others of it aren't."""
    positions = gas(40, 8, np.diag([10.0] * 3), seed=0)
    blocks = in_blocks(positions, np.diag([10.0] * 3), 1)
    rdf = radial_distributions(blocks, np.array(["Ar"] * 8), 5.0, 250)["Ar", "Ar"]
    peak = main_peak(rdf)
    under = int(np.abs(rdf.r_A - peak.position).argmin())
    assert (rdf.g[under], rdf.error[under]) == (0.0, 0.0)
    # the gas has 1 everywhere: a peak of noise, at most some errors above it
    assert (peak.height - 1.0) / peak_error(rdf, peak) < 4.0


def slab_gas(
    n_frames: int, n_atoms: int, thickness_A: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Uniform in a slab across the third vector of a sheared cell with 30 A of vacuum and more."""
    cell = np.array([[14.0, 0.0, 0.0], [4.0, 15.0, 0.0], [1.0, 2.0, 40.0]])
    rng = np.random.default_rng(seed)
    fractions = rng.uniform(size=(n_frames, n_atoms, 3))
    fractions[..., 2] = 0.9 + (fractions[..., 2] - 0.5) * thickness_A / 40.0  # across the face
    return fractions @ cell, cell


@pytest.mark.parametrize("thickness_A", [0.0, 2.0, 8.0])
def test_gas_in_a_slab_is_one(thickness_A):
    """From two dimensions to nearly three; by the volume with its vacuum it would be 5 to 40."""
    species = np.array(["O"] * 8 + ["H"] * 12)
    positions, cell = slab_gas(6000, 20, thickness_A, seed=5)
    found = radial_distributions(in_blocks(positions, cell, 60), species, 6.0, 12)
    for rdf in found.values():
        assert "vacuum" in rdf.note
        # 100 blocks: t-distributed with 25 degrees; 36 bins at once
        assert np.all(np.abs(rdf.g[1:] - 1.0) < 4.5 * rdf.error[1:])
        # thousands of pairs a bin from the fourth on
        assert rdf.g[4:] == pytest.approx(1.0, abs=0.05)


def test_neighbours_in_a_sheet_are_counted_as_ever():
    """A square lattice of 2 A with 20 A of vacuum: 4 neighbours; g in two dimensions."""
    points = 2.0 * np.arange(6)
    sheet = np.stack(np.meshgrid(points, points, [10.0]), axis=-1).reshape(1, 36, 3)
    cell = np.diag([12.0, 12.0, 20.0])
    (rdf,) = radial_distributions(
        [(sheet, cell[None])], np.array(["C"] * 36), r_max_A=5.0, n_bins=100
    ).values()
    at = int(np.argmin(np.abs(rdf.r_A - 2.4)))
    assert rdf.coordination[at] == 4.0
    # sum of g over the bins of a shell times its area, over the area for each partner
    inside = rdf.r_A < 2.4
    area_A2 = np.sum(rdf.g[inside] * 2.0 * np.pi * rdf.r_A[inside] * 0.05)
    # the rings' areas are those of eight points a bin
    assert area_A2 == pytest.approx(4.0 * 144.0 / 35.0, rel=1e-3)


@pytest.mark.parametrize(("axes", "word"), [((0,), "in the plane"), ((0, 2), "several directions")])
def test_vacuum_is_found_along_any_vector(axes, word):
    rng = np.random.default_rng(6)
    lengths_A = np.full(3, 12.0)
    positions = rng.uniform(size=(100, 40, 3)) * lengths_A
    lengths_A[list(axes)] += 15.0
    frames = [(positions, np.broadcast_to(np.diag(lengths_A), (100, 3, 3)))]
    for rdf in radial_distributions(frames, np.array(["O"] * 40), 5.0, 10).values():
        assert word in rdf.note


def test_a_thin_gas_and_a_crystal_have_no_vacuum():
    cell = 12.0 * np.eye(3)
    positions = gas(20, 4, cell, seed=7)  # gaps of 4 A, mean distance 7.6 A
    found = radial_distributions(in_blocks(positions, cell, 5), np.array(["O"] * 4), 5.0, 10)
    assert all(rdf.note == "" for rdf in found.values())


def layers(lows_A, highs_A, numbers, height_A: float, seed: int, n_frames: int = 2000):
    """An ideal gas of each kind between two heights; frames (n_frames, n_atoms, 3) and the cell."""
    rng = np.random.default_rng(seed)
    cell = np.array([[12.0, 0.0, 0.0], [3.0, 13.0, 0.0], [1.0, 2.0, height_A]])
    fractions = rng.uniform(size=(n_frames, sum(numbers), 3))
    lows, highs = np.repeat(lows_A, numbers), np.repeat(highs_A, numbers)
    fractions[..., 2] = (lows + fractions[..., 2] * (highs - lows)) / height_A
    return fractions @ cell, cell


def by_the_whole_cell(positions, cell, species, pair, r_max_A: float, n_bins: int) -> np.ndarray:
    """g(r) of a pair of unlike species, V n / (N_a N_b shell)."""
    kinds, edges = (species == pair[1]).astype(np.int64), np.linspace(0.0, r_max_A, n_bins + 1)
    ours = np.isin(species, pair)
    cells = np.broadcast_to(cell, (len(positions), 3, 3))
    counts = pair_counts(positions[:, ours], cells, kinds[ours], edges)[:, 0, 1]
    shells = 4.0 / 3.0 * np.pi * np.diff(edges**3)
    n_pairs = np.count_nonzero(species == pair[0]) * np.count_nonzero(species == pair[1])
    return np.linalg.det(cell) * counts.mean(axis=0) / n_pairs / shells


def test_a_molecule_in_the_vacuum_of_a_slab_changes_nothing_in_the_slab():
    """The gap between all atoms is filled, but that of the slab's own is there."""
    positions, cell = layers([0.0, 0.0], [14.0, 40.0], [30, 2], 40.0, seed=8)
    species = np.array(["Pt"] * 30 + ["O"] * 2)
    alone = radial_distributions(in_blocks(positions[:, :30], cell, 60), species[:30], 5.0, 10)
    found = radial_distributions(in_blocks(positions, cell, 60), species, 5.0, 10)
    slab, before = found["Pt", "Pt"], alone["Pt", "Pt"]
    np.testing.assert_allclose(slab.g, before.g, rtol=1e-12)
    assert "part of the cell" in slab.note
    assert "vacuum" in before.note
    # two atoms anywhere in the cell are an ideal gas of all of it
    assert found["O", "O"].note == found["O", "Pt"].note == ""
    for rdf in found.values():
        # 34 blocks; 27 bins at once
        assert np.all(np.abs(rdf.g[1:] - 1.0) < 5.0 * rdf.error[1:])


def test_two_slabs_that_fill_the_cell_together():
    """Each is 1 in its own slab; by the whole cell it would be 2.  Unlike pairs have a note."""
    positions, cell = layers([0.0, 14.5], [14.0, 27.5], [30, 30], 28.0, seed=9)
    species = np.array(["Pt"] * 30 + ["O"] * 30)
    found = radial_distributions(in_blocks(positions, cell, 60), species, 5.0, 10)
    for pair in (("O", "O"), ("Pt", "Pt")):
        assert "only a part of the cell" in found[pair].note
        assert np.all(np.abs(found[pair].g[1:] - 1.0) < 5.0 * found[pair].error[1:])
        # thousands of pairs a bin
        assert found[pair].g[4:] == pytest.approx(1.0, abs=0.05)
    assert "its height means nothing" in found["O", "Pt"].note
    expected = by_the_whole_cell(positions, cell, species, ("O", "Pt"), 5.0, 10)
    np.testing.assert_allclose(found["O", "Pt"].g, expected, rtol=1e-12)


def test_partners_beyond_a_narrow_gap_count():
    """Two slabs of 14 and 8 A; pairs in the first are counted to 10 A, beyond its gap of 8 A."""
    rng = np.random.default_rng(10)
    cell = np.array([[21.0, 0.0, 0.0], [3.0, 21.0, 0.0], [1.0, 2.0, 22.0]])
    fractions = rng.uniform(size=(150, 300, 3))
    fractions[:, :200, 2] *= 14.0 / 22.0
    fractions[:, 200:, 2] = (14.0 + 8.0 * fractions[:, 200:, 2]) / 22.0
    species = np.array(["O"] * 200 + ["Pt"] * 100)
    found = radial_distributions(in_blocks(fractions @ cell, cell, 3), species, 10.0, 20)
    for pair in (("O", "O"), ("Pt", "Pt")):
        assert "only a part of the cell" in found[pair].note
        # from 2 A on more than 10^4 pairs a bin
        assert found[pair].g[4:] == pytest.approx(1.0, abs=0.03)
    # 10^6 pairs a bin; 1.018 in the last one without images across the gap
    assert found["O", "O"].g[-4:] == pytest.approx(1.0, abs=0.005)


def test_a_few_ions_at_rest_in_a_long_cell_are_no_slab():
    """They leave gaps of 22 A and more by chance; the liquid fills the cell: as ever, no note."""
    positions, cell = layers([0.0, 0.0], [40.0, 9.0], [60, 5], 40.0, seed=11, n_frames=200)
    positions[:, 60:] = positions[:1, 60:]
    species = np.array(["O"] * 60 + ["Na"] * 5)
    found = radial_distributions(in_blocks(positions, cell, 4), species, 5.0, 10)
    assert {rdf.note for rdf in found.values()} == {""}
    expected = by_the_whole_cell(positions, cell, species, ("Na", "O"), 5.0, 10)
    np.testing.assert_allclose(found["Na", "O"].g, expected, rtol=1e-12)


def test_a_large_solute_says_that_its_height_means_nothing():
    """It leaves gaps in several directions; g(r) is relative to the whole cell."""
    rng = np.random.default_rng(12)
    cell = 24.0 * np.eye(3)
    positions = rng.uniform(size=(50, 240, 3)) * np.where(np.arange(240) < 200, 24.0, 6.0)[:, None]
    species = np.array(["O"] * 200 + ["C"] * 40)
    found = radial_distributions(in_blocks(positions, cell, 1), species, 5.0, 10)
    assert "its height means nothing" in found["C", "C"].note
    assert found["C", "O"].note == found["O", "O"].note == ""
    # 40 atoms in 6 A: 64 times the density of the cell
    assert found["C", "C"].g[1] > 30.0
