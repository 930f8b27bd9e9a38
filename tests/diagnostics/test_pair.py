"""The linear theory of multiple time stepping against the steps themselves; the page on a pair."""

import json
import shlex

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.constraints import FixAtoms
from scipy.linalg import logm

from ncforce_ipi.backend import Structure
from ncforce_ipi.cli import main
from ncforce_ipi.diagnostics import resonance
from ncforce_ipi.diagnostics.bonds import bonds, stretches
from ncforce_ipi.diagnostics.pair import inspect_pair
from ncforce_ipi.diagnostics.sides import Side
from ncforce_ipi.errors import InputError
from ncforce_ipi.reading import structures
from ncforce_ipi.reading.metadata import RunMetadata
from ncforce_ipi.reading.structures import read_frames
from ncforce_ipi.units import PER_FS_PER_CM, U_A2_PER_FS2_EV
from tests.drivers import load
from tests.synthetic_run import write_record

STEP_FS = 0.5
K_FAST, DELTA = 45.0, 0.1  # eV/A^2: a hydrogen atom at 3480 cm^-1


def omega(wavenumber_per_cm):
    return np.asarray(wavenumber_per_cm, float) / PER_FS_PER_CM * 2 * np.pi


def step_matrix(slow, fast, mts):
    """The map of (x, v) over one outer step, multiplied out."""
    n = len(fast)
    one, zero = np.eye(n), np.zeros((n, n))
    kick = np.block([[one, zero], [-0.5 * STEP_FS * fast, one]])
    drift = np.block([[one, STEP_FS * one], [zero, one]])
    outer = np.block([[one, zero], [-0.5 * mts * STEP_FS * (slow - fast), one]])
    return outer @ np.linalg.matrix_power(kick @ drift @ kick, mts) @ outer


@pytest.mark.parametrize("mts", [1, 2, 7, 16])
def test_eigenvalues_are_those_of_the_steps(mts):
    """Coupled modes, an asymmetric fast force: both halves of mu + 1/mu = 2 a."""
    random = np.random.default_rng(0)
    q, _ = np.linalg.qr(random.normal(size=(5, 5)))
    slow = q @ np.diag(omega([300.0, 900.0, 1700.0, 3400.0, 3600.0]) ** 2) @ q.T
    fast = slow + 0.02 * random.normal(size=(5, 5))
    mu = np.linalg.eigvals(step_matrix(slow, fast, mts))
    a = resonance.maps(slow, fast, mts, STEP_FS)[-1]
    expected = np.sort_complex(np.round((mu + 1 / mu) / 2, 8))
    np.testing.assert_allclose(np.sort_complex(np.round(np.repeat(a, 2), 8)), expected, atol=1e-6)
    rate = resonance.growth(a, mts, STEP_FS).max()
    assert rate == pytest.approx(1e3 * np.log(np.abs(mu).max()) / (mts * STEP_FS), abs=1e-5)


@pytest.mark.parametrize("mts", [1, 3, 8, 9, 16])
def test_half_trace_of_one_mode(mts):
    k = omega([1600.0, 3600.0])
    delta = np.array([0.2, -0.05])
    for one in range(2):
        fast = np.array([[k[one] ** 2]])
        matrix = step_matrix(fast * (1 + delta[one]), fast, mts)
        found = resonance.half_trace(k, delta, mts, STEP_FS)[one]
        assert found == pytest.approx(np.trace(matrix) / 2, abs=1e-12)


def test_half_trace_for_short_inner_steps():
    """cos(theta) - delta (theta/2) sin(theta)."""
    k, delta, h = omega([3000.0]), np.array([0.1]), 1e-3
    theta = k * 4000 * h
    expected = np.cos(theta) - delta * theta / 2 * np.sin(theta)
    np.testing.assert_allclose(resonance.half_trace(k, delta, 4000, h), expected, atol=1e-6)


@pytest.mark.parametrize("mts", [4, 8, 12])
def test_allowed_is_where_the_half_trace_leaves_one(mts):
    k, h = omega([500.0, 1650.0, 3400.0]), 1e-3
    low, high = resonance.allowed(k, 500 * mts, h)
    for bound, inwards in ((low, 1), (high, -1)):
        inside = resonance.half_trace(k, bound + 1e-3 * inwards, 500 * mts, h)
        outside = resonance.half_trace(k, bound - 1e-3 * inwards, 500 * mts, h)
        assert (np.abs(inside) < 1).all()
        assert (np.abs(outside) > 1).all()


def test_the_limits_of_the_water_models_card():
    """0.23, 0.16 and 0.11 for 3400, 3600 and 3750 cm^-1 with M dt = 4 fs."""
    _, high = resonance.allowed(omega([3400.0, 3600.0, 3750.0]), 8, STEP_FS)
    np.testing.assert_allclose(high, [0.23, 0.16, 0.11], atol=0.005)


@pytest.mark.parametrize("mts", [1, 4, 8])
@pytest.mark.parametrize("delta", [-0.05, 0.0, 0.05])
def test_kinetic_temperature_is_that_of_the_steps_own_hamiltonian(mts, delta):
    """The quadratic H' whose flow over an outer step is the step: from the map's logarithm."""
    k, h = omega([300.0, 1650.0, 3400.0, 3700.0]), STEP_FS
    expected = []
    for w in k:
        outer = np.array([[1, 0], [-0.5 * mts * h * delta * w**2, 1]])
        inner = np.array([[1, 0], [-0.5 * h * w**2, 1]])
        drift = np.array([[1, h], [0, 1]])
        step = outer @ np.linalg.matrix_power(inner @ drift @ inner, mts) @ outer
        hessian = np.array([[0, -1], [1, 0]]) @ logm(step).real / (mts * h)
        expected.append(np.linalg.inv(hessian)[1, 1])
    found = resonance.kinetic_ratio(k, np.full(4, delta), mts, h)
    np.testing.assert_allclose(found, expected, rtol=1e-8)  # rounding of the logarithm


def test_kinetic_temperature_of_velocity_verlet():
    """sin(mu) / mu, nearly 1 - (omega h)^2 / 6; any M of one force is the same; else NaN."""
    k = omega([3700.0])
    mu = 2 * np.arcsin(0.5 * k * STEP_FS)
    for mts in (1, 7, 16):  # beyond theta = pi and 2 pi too
        found = resonance.kinetic_ratio(k, np.zeros(1), mts, STEP_FS)
        np.testing.assert_allclose(found, np.sin(mu) / mu, rtol=1e-10)  # rounding of cosines
    # the next term, -(omega h)^4 / 180, is 8e-5
    np.testing.assert_allclose(found, 1 - (k * STEP_FS) ** 2 / 6, atol=1e-4)
    assert np.isnan(resonance.kinetic_ratio(k, np.array([0.3]), 8, STEP_FS)).all()


def test_modes_of_known_stiffness():
    fast = -K_FAST * np.eye(6)
    slow = fast.copy()
    slow[3, 3] *= 1 + DELTA
    masses = np.array([1.008, 15.999])
    matrices = [resonance.stiffness(j, masses) for j in (slow, fast)]
    found = resonance.modes(*matrices)
    expected = np.sqrt(K_FAST / (1.008 * U_A2_PER_FS2_EV)) * PER_FS_PER_CM / (2 * np.pi)
    np.testing.assert_allclose(found.wavenumber_per_cm[3:], expected, rtol=1e-12)
    assert found.n_soft == 0
    np.testing.assert_allclose(np.sort(found.delta), [0, 0, 0, 0, 0, DELTA], atol=1e-12)
    soft = resonance.modes(*(m - 1e-9 * np.eye(6) for m in np.zeros((2, 6, 6))))
    assert soft.n_soft == 6


def test_masses_and_steps_that_cant_be():
    with pytest.raises(InputError, match="expected 2 positive masses, got 2, the smallest 0"):
        resonance.stiffness(np.eye(6), np.array([1.0, 0.0]))
    with pytest.raises(InputError, match="can't integrate"):
        resonance.half_trace(omega([3600.0]), np.zeros(1), 1, 4.0)


@pytest.fixture
def molecule(tmp_path):
    """Two hydrogen atoms near wells."""
    path = tmp_path / "h2.xyz"
    path.write_text("2\n\nH 0.01 0 0\nH 0 0.02 0.01\n")
    return path


def harmonic(k, swirl=0.0):
    arguments = json.dumps({"k_eV_per_A2": k, "swirl_eV_per_A2": swirl})
    return f"analytic --model harmonic --arguments '{arguments}'"


def largest_amplitude(mts, k_slow, k_fast, n_outer=400, step_fs=STEP_FS):
    """Of one hydrogen atom in wells of these stiffnesses, integrated step by step."""
    x, v = 0.01, 0.0
    mass, biggest = 1.008 * U_A2_PER_FS2_EV, 0.0
    for _ in range(n_outer):
        v -= 0.5 * mts * step_fs * (k_slow - k_fast) * x / mass
        for _ in range(mts):
            v -= 0.5 * step_fs * k_fast * x / mass
            x += step_fs * v
            v -= 0.5 * step_fs * k_fast * x / mass
        v -= 0.5 * mts * step_fs * (k_slow - k_fast) * x / mass
        biggest = max(biggest, abs(x))
    return biggest


def test_the_page_says_which_m_blow_up(tmp_path, molecule, capsys):
    """Every M from 1 to 16: growing in the page if and only if it blows up in steps."""
    out = [word for k in ("json", "csv", "png") for word in
           (f"--{'plot' if k == 'png' else k}", str(tmp_path / f"p.{k}"))]  # fmt: skip
    words = [
        "inspect-pair",
        str(molecule),
        "--slow",
        harmonic((1 + DELTA) * K_FAST),
        "--fast",
        harmonic(K_FAST),
    ]
    assert main([*words, "--fast-kind", "conservative", *out]) == 0
    page = json.loads((tmp_path / "p.json").read_text())["results"]
    blown = [m for m in range(1, 17) if largest_amplitude(m, (1 + DELTA) * K_FAST, K_FAST) > 1.0]
    growing = [row["M"] for row in page["scan"] if row["n_growing"]]
    assert growing == blown != []
    assert page["largest_M_without_growth"] == blown[0] - 1
    assert [row["M"] for row in page["scan"] if (row["margin"] or 0) < 0] == blown
    assert page["lambda_fast"] == [pytest.approx(0, abs=1e-9)]
    np.testing.assert_allclose(page["modes"][0]["delta"], DELTA, atol=1e-9)
    # forces differ by delta k x
    expected = 1e3 * DELTA * K_FAST * np.sqrt((0.01**2 + 0.02**2 + 0.01**2) / 6)
    assert page["rmse_meV_per_A"]["H"] == pytest.approx(expected)
    assert f"No mode grows up to M = {blown[0] - 1}" in capsys.readouterr().out
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "p.csv").read_text().count("\n") >= 17


def test_an_asymmetric_fast_force_has_its_lambda(tmp_path, molecule, capsys):
    words = [
        "inspect-pair",
        str(molecule),
        "--slow",
        harmonic(K_FAST),
        "--fast",
        harmonic(K_FAST, 2.0),
    ]
    words += ["--keep-net-force", "--most-mts", "4", "--json", str(tmp_path / "p.json")]
    assert main(words) == 0
    page = json.loads((tmp_path / "p.json").read_text())["results"]
    expected = np.sqrt(2) * 2.0 / np.sqrt(3 * K_FAST**2 + 2 * 2.0**2)
    assert page["lambda_fast"] == [pytest.approx(expected, rel=1e-6)]
    assert page["cost"]["both_ms"] is None
    assert "lambda of fast force" in capsys.readouterr().out


@pytest.mark.parametrize(("delta", "grows"), [(0.1, True), (-0.1, False)])
def test_resonance_near_two_pi_isnt_taken_for_a_saddle(tmp_path, molecule, delta, grows):
    """A period just above M h = 16 fs, a > 1 if slow is the stiffer; as the steps say."""
    period_fs = 16.4
    k = 1.008 * U_A2_PER_FS2_EV * (2 * np.pi / period_fs) ** 2
    blown = largest_amplitude(16, (1 + delta) * k, k, step_fs=1.0) > 1.0
    out = tmp_path / "p.json"
    words = [
        "inspect-pair",
        str(molecule),
        "--slow",
        harmonic((1 + delta) * k),
        "--fast",
        harmonic(k),
    ]
    words += ["--fast-kind", "conservative", "--timestep-fs", "1", "--json", str(out)]
    assert main(words) == 0
    last = json.loads(out.read_text())["results"]["scan"][-1]
    assert (last["n_growing"] > 0, last["margin"] < 0) == (grows, grows) == (blown, blown)


def test_a_saddle_isnt_taken_for_resonance():
    """Negative curvature grows with any integrator; a stiff mode beside it is still seen."""
    fast = np.diag([-(omega(300.0) ** 2), omega(3480.0) ** 2])
    slow = np.diag([1.0, 1.1]) * fast
    found = resonance.maps(slow, fast, 16, STEP_FS)
    assert [len(a) for a in found] == [1] * 16
    a = resonance.half_trace(omega([3480.0]), np.array([0.1]), 8, STEP_FS)
    np.testing.assert_allclose(found[7], a, rtol=1e-12)


def test_heavy_hydrogen_takes_longer_steps(tmp_path, molecule):
    best = []
    for mass in ((), ("--mass", "H=3.024")):
        out = tmp_path / f"{len(mass)}.json"
        words = [
            "inspect-pair",
            str(molecule),
            "--slow",
            harmonic(1.1 * K_FAST),
            "--fast",
            harmonic(K_FAST),
            *mass,
        ]
        assert main([*words, "--fast-kind", "conservative", "--json", str(out)]) == 0
        best.append(json.loads(out.read_text())["results"]["largest_M_without_growth"])
    assert best[1] > best[0]


@pytest.mark.parametrize("mode_frames", [1, 2])
def test_a_crystal_without_a_stiff_mode(tmp_path, capsys, mode_frames):
    """Argon of 400 u: 64 cm^-1 of its highest mode become 20; its second frame has 40 u."""
    argon = bulk("Ar", "fcc", a=5.3, cubic=True)
    argon.set_masses([400.0] * 4)
    frames = [argon, argon.copy()]
    frames[1].set_masses([40.0] * 4)
    ase.io.write(tmp_path / "ar.traj", frames)
    words = ["inspect-pair", str(tmp_path / "ar.traj"), "--model", "analytic:lennard-jones"]
    words += ["--mode-frames", str(mode_frames), "--most-mts", "3"]
    files = [tmp_path / "pair.json", tmp_path / "pair.png"]
    assert main([*words, "--json", str(files[0]), "--plot", str(files[1])]) == 0
    none = "stiffness difference   not known: no mode is above 50 cm^-1\n"
    assert (none in capsys.readouterr().out) == (mode_frames == 1)
    results = json.loads(files[0].read_text())["results"]
    assert results["largest_M_without_growth"] == 3
    assert results["modes"][0]["wavenumber_per_cm"] == []
    assert files[1].is_file()


@pytest.mark.parametrize("verb", ["inspect-pair", "optimize"])
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--slow", harmonic(1.1), "--fast", harmonic(1.0)), True),
        (("--slow", harmonic(1.1)), False),
        (("--slow", harmonic(1.1), "--fast", "analytic:lennard-jones"), False),
    ],
)
def test_a_model_for_both_that_gives_neither_is_said(tmp_path, capsys, verb, words, said):
    """It ends before anything is computed: there is no such structure."""
    main([verb, str(tmp_path / "none.xyz"), "--model", "analytic:lennard-jones", *words])
    text = "--model analytic:lennard-jones isn't used: --slow and --fast name a model for each"
    assert (text in capsys.readouterr().err) == said


def heavy(path, masses_u=(4.0, 9.0), held=(), step=None):
    """Two hydrogen atoms near wells, with masses, u, where they are given."""
    atoms = Atoms("H2", [[0.01, 0, 0], [0, 0.02, 0.01]])
    if masses_u:
        atoms.set_masses(masses_u)
    if held:
        atoms.set_constraint(FixAtoms(held))
    if step is not None:
        atoms.info["ipi_comment"] = f"Step: {step} Bead: 0 positions{{ase}} cell{{ase}}"
    atoms.write(path)
    return path


def wavenumbers(masses_u):
    """Of atoms in wells, three times each, 1/cm."""
    each = np.sqrt(K_FAST / (np.array(masses_u) * U_A2_PER_FS2_EV)) * PER_FS_PER_CM / (2 * np.pi)
    return np.sort(np.repeat(each, 3))


def found_wavenumbers(path, *more):
    out = path.parent / "p.json"
    words = ["inspect-pair", str(path), "--slow", harmonic(1.1 * K_FAST), "--fast"]
    words += [harmonic(K_FAST), "--fast-kind", "conservative", "--most-mts", "2", "--force"]
    assert main([*words, "--json", str(out), *more]) == 0
    return np.sort(json.loads(out.read_text())["results"]["modes"][0]["wavenumber_per_cm"])


@pytest.mark.parametrize("name", ["h2.extxyz", "h2.traj"])
def test_masses_of_the_structure(tmp_path, name):
    """Of each atom, as the file has them; what the user says of an element counts more."""
    path = heavy(tmp_path / name)
    np.testing.assert_allclose(found_wavenumbers(path), wavenumbers([4.0, 9.0]), rtol=1e-6)
    given = found_wavenumbers(path, "--mass", "H=2")
    np.testing.assert_allclose(given, wavenumbers([2.0, 2.0]), rtol=1e-6)  # finite differences
    side = (Side(load(*shlex.split(harmonic(k))), "conservative") for k in (1.1 * K_FAST, K_FAST))
    found = inspect_pair(*side, [ase.io.read(path)], most_mts=2).modes[0].wavenumber_per_cm
    np.testing.assert_allclose(np.sort(found), wavenumbers([4.0, 9.0]), rtol=1e-6)


def test_masses_of_the_run_that_wrote_the_structure(tmp_path, capsys):
    path = heavy(tmp_path / "simulation.pos_0.extxyz", masses_u=(), step=20)
    np.testing.assert_allclose(found_wavenumbers(path), wavenumbers([1.008] * 2), rtol=1e-6)
    write_record(tmp_path, 2, masses_u={"H": 4.0})
    np.testing.assert_allclose(found_wavenumbers(path), wavenumbers([4.0] * 2), rtol=1e-6)
    assert "held" not in capsys.readouterr().err


def test_held_atoms_are_said_to_be_taken_as_free(tmp_path, capsys):
    path = heavy(tmp_path / "h2.traj", held=[0])
    assert len(found_wavenumbers(path)) == 6
    said = "h2.traj@0 has atoms that are held; its modes here are those of free atoms"
    assert capsys.readouterr().err.count(said) == 1


def test_atoms_that_the_run_held_are_held(tmp_path, monkeypatch):
    path = heavy(tmp_path / "simulation.pos_0.extxyz", masses_u=(), step=20)
    run = RunMetadata(n_atoms=2, fixed=(3, 4, 5), atom_masses_u=(2.0, 4.0))
    monkeypatch.setattr(structures, "run_of", lambda path: run)
    (plain,), (frame,) = (read_frames([str(path)], of_runs=of_runs) for of_runs in (False, True))
    assert (plain.held, plain.masses_u) == (False, None)
    assert (frame.held, frame.masses_u.tolist()) == (True, [2.0, 4.0])
    assert not structures.held_in(run, 3)  # of another system


def test_stretches_of_bonds(tmp_path):
    """Lennard-Jones dimers: k = 57.146 epsilon / sigma^2 at the minimum, in reduced masses."""
    k = 57.146 * 2.0  # of a potential without a cutoff; 1e-3 of it at 8 sigma
    arguments = [
        json.dumps({"epsilon_eV": e, "sigma_A": 1.0, "cutoff_A": 8.0, "swirl_eV_per_A2": 0.0})
        for e in (2.2, 2.0)
    ]
    slow, fast = (f"analytic --model lennard-jones --arguments '{a}'" for a in arguments)
    places = [(x, symbol, z) for x in (0, 40, 80) for symbol, z in (("H", 0), ("O", 1.12246))]
    path = tmp_path / "oh.xyz"
    path.write_text("6\n\n" + "".join(f"{symbol} {x} 0 {z}\n" for x, symbol, z in places))
    words = ["inspect-pair", slow, fast, str(path), "--fast-kind", "conservative"]
    found = {}
    for modes in ("bonds", "normal"):
        out = tmp_path / f"{modes}.json"
        assert main([*words, "--modes", modes, "--json", str(out)]) == 0
        found[modes] = json.loads(out.read_text())["results"]
    for page in found.values():
        stretch = page["modes"][0]["wavenumber_per_cm"][-3:]
        reduced = 1.008 * 15.999 / (1.008 + 15.999)
        expected = np.sqrt(k / (reduced * U_A2_PER_FS2_EV)) * PER_FS_PER_CM / (2 * np.pi)
        # steps of 0.01 A: h^2/6 = 2e-5 times the fourth over the second derivative, 371; half
        np.testing.assert_allclose(stretch, expected, rtol=6e-3)
        np.testing.assert_allclose(page["modes"][0]["delta"][-3:], 0.1, atol=1e-6)
    assert len(found["bonds"]["modes"][0]["delta"]) == 3
    limits = [page["largest_M_without_growth"] for page in found.values()]
    assert limits[0] == limits[1] < 16


def test_stretches_in_other_vectors_of_the_same_lattice():
    """A dimer in a cube of 9 A, cut by its boundaries, and the cube's lattice by skew vectors."""
    k, sigma_A, reduced = 57.146, 2.5, 208.98 * 127.6 / (208.98 + 127.6)
    arguments = {"epsilon_eV": 1.0, "sigma_A": sigma_A, "cutoff_A": 6.0, "swirl_eV_per_A2": 0.0}
    backend = load("analytic", "--model", "lennard-jones", "--arguments", json.dumps(arguments))
    masses = np.array([208.98, 127.6])
    random = np.random.default_rng(4)
    found = []
    for skew in (np.eye(3), [[1, 0, 0], [3, 1, 0], [2, -3, 1]]):
        for _ in range(4):
            direction = random.normal(size=3)
            place = random.uniform(0, 9, 3)
            bond = 2 ** (1 / 6) * sigma_A * direction / np.linalg.norm(direction)
            atoms = Atoms("BiTe", [place, place + bond], cell=9.0 * np.array(skew), pbc=True)
            atoms.wrap()
            structure = structures.to_structure(atoms)
            forces = Side(backend, "conservative").at(structure)
            pairs = bonds(structure, masses, 9)
            found += list(stretches(forces, forces, structure, masses, pairs).wavenumber_per_cm)
    expected = np.sqrt(k / sigma_A**2 / (reduced * U_A2_PER_FS2_EV)) * PER_FS_PER_CM / (2 * np.pi)
    # the shift of the force at the cutoff and neighbours at 6.2 A and more: a few thousandths
    np.testing.assert_allclose(found, np.full(8, expected), rtol=0.01)


def test_bonds_are_the_lightest_ones(water):
    masses = np.where(water.numbers == 1, 1.008, 15.999)
    pairs = bonds(water, masses, 10)
    assert pairs.shape == (10, 2)
    np.testing.assert_array_equal(np.sort(water.numbers[pairs], axis=1), [[1, 8]] * 10)
    assert len(bonds(water, masses, 1000)) == 128
    apart = Structure(water.numbers[:2], np.array([[0.0, 0, 0], [0, 0, 9]]), np.zeros((3, 3)))
    with pytest.raises(InputError, match="no two atoms are within"):
        bonds(apart, np.ones(2), 3)


def test_one_model_for_both(tmp_path, random_model):
    """One evaluation for both forces is timed too; the net force is that of a driver."""
    import ase.build

    path, model = tmp_path / "h2o.xyz", str(random_model("float64"))
    ase.build.molecule("H2O").write(path)
    words = ["inspect-pair", str(path), "--model", model, "--json", str(tmp_path / "p.json")]
    assert main([*words, "--most-mts", "2"]) == 0
    page = json.loads((tmp_path / "p.json").read_text())["results"]
    assert page["cost"]["both_ms"] > 0
    assert "direct forces" in page["fast"]
    assert 0 < page["lambda_fast"][0] < 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--fast-kind", "conservative"], "expected two different forces"),
        (["--mass", "H"], "expected SYMBOL=X"),
        (["--mass", "He=4"], "a mass of He, which no structure has"),
        (["--mode-frames", "0"], "expected modes of 1 structure or more, got 0"),
        (["--timestep-fs", "0"], "inner time step must be positive"),
        (["--timestep-fs", "20"], "can't integrate"),
    ],
)
def test_mistakes_are_one_line(molecule, capsys, words, message):
    model = harmonic(K_FAST, 1.0)
    assert main(["inspect-pair", model, model, str(molecule), *words]) == 2
    assert message in capsys.readouterr().err.splitlines()[-1]
