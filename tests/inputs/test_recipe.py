"""Generated input: what it means, that i-PI takes it, and what is refused."""

import subprocess
import sys
import sysconfig
from dataclasses import fields
from pathlib import Path
from xml.etree import ElementTree

import ase.io
import numpy as np
import pytest
from ase import Atoms

from ncforce_ipi import cli
from ncforce_ipi.errors import InputError
from ncforce_ipi.inputs.commands import Transport
from ncforce_ipi.inputs.ensembles import Ensemble
from ncforce_ipi.inputs.outputs import Strides
from ncforce_ipi.inputs.plan import Plan
from ncforce_ipi.inputs.ready_made import ready
from ncforce_ipi.inputs.recipe import Recipe, input_xml, write_input
from ncforce_ipi.inputs.service import Service
from ncforce_ipi.inputs.structure import read_structure
from ncforce_ipi.models import identity, model_path
from ncforce_ipi.provenance import sha256
from ncforce_ipi.serve.protocol import parse_init
from tests.inputs.test_preflight import model_file

ATOMS = Atoms("OH2", positions=np.eye(3), cell=[[10, 0, 0], [1, 10, 0], [0, 2, 10]], pbc=True)

SERVICE = {field.name for field in fields(Service)}


def recipe(forces="mts", mts=8, **changes):
    plan = Plan.from_time(forces, mts if forces == "mts" else 1, 0.5, 1.0)
    words = {key: changes.pop(key) for key in SERVICE & changes.keys()}
    service = Service(**{"model": "water"} | words)
    ensemble = changes.pop("ensemble", Ensemble())
    return Recipe(plan, ensemble, 300.0, 7, service, **changes)


def parsed(*forces, **changes):
    return ElementTree.fromstring(input_xml(recipe(*forces, **changes), ATOMS))


def text(root, path):
    found = root.findtext(path)
    assert found is not None, path
    return found.strip()


def numbers(root, path):
    return [float(word) for word in text(root, path).strip("[] ").split(",")]


def test_mts_means_the_paper_s_split():
    root = parsed()
    forces = root.findall("system/forces/force")
    assert [force.get("forcefield") for force in forces] == ["slow", "fast"]
    assert [text(force, "mts_weights") for force in forces] == ["[1, 0]", "[-1, 1]"]
    dynamics = root.find("system/motion/dynamics")
    assert dynamics.get("mode") == "nve"
    assert text(dynamics, "nmts") == "[1, 8]"
    assert dynamics.find("timestep").get("units") == "femtosecond"
    assert numbers(dynamics, "timestep") == [4.0]  # i-PI's timestep is the outer step
    assert text(root, "system/motion/fixcom") == "True"
    assert numbers(root, "total_steps") == [250]


@pytest.mark.parametrize("forces", ["slow", "fast"])
def test_one_force(forces):
    root = parsed(forces=forces)
    (force,) = root.findall("system/forces/force")
    assert force.get("forcefield") == forces
    assert text(force, "mts_weights") == "[1]"
    assert text(root, "system/motion/dynamics/nmts") == "[1]"
    assert numbers(root, "system/motion/dynamics/timestep") == [0.5]
    assert numbers(root, "total_steps") == [2000]
    assert [socket.get("name") for socket in root.findall("ffsocket")] == [forces]


def test_checkpoints_carry_all_digits():
    root = parsed()
    written = root.get("floatformat") % 0.1
    assert float(written) == 0.1
    files = [check.get("filename") for check in root.findall("output/checkpoint")]
    assert files == ["checkpoint", "checkpoint_older"]


def test_start_velocities_and_temperature():
    root = parsed()
    velocities = root.find("system/initialize/velocities")
    assert (velocities.get("mode"), velocities.get("units")) == ("thermal", "kelvin")
    assert float(velocities.text) == 300.0
    assert numbers(root, "system/ensemble/temperature") == [300.0]
    assert numbers(root, "prng/seed") == [7]


def test_every_property_states_its_unit():
    words = text(parsed(), "output/properties").strip("[]").split(",")
    names = [word.strip() for word in words]
    assert names == [
        "step", "time{picosecond}", "conserved{electronvolt}", "temperature{kelvin}",
        "temperature(H){kelvin}", "temperature(O){kelvin}", "kinetic_md{electronvolt}",
        "potential{electronvolt}", "pot_component(0){electronvolt}",
        "pot_component(1){electronvolt}",
    ]  # fmt: skip
    trajectories = [item.text.strip() for item in parsed().findall("output/trajectory")]
    assert trajectories == ["positions{ase}", "velocities{m/s}"]


def forces_of(root):
    """File, quantity, stride and format of each force that is written."""
    return [
        (item.get("filename"), item.text.strip(), int(item.get("stride")), item.get("format"))
        for item in root.findall("output/trajectory")
        if item.get("filename") not in ("pos", "vel")
    ]


def test_force_components_are_written_where_asked_for():
    assert forces_of(parsed()) == []
    assert forces_of(parsed(force_stride=3)) == [
        ("forces_slow", "forces_component(0){ev/ang}", 3, "xyz"),
        ("forces_fast", "forces_component(1){ev/ang}", 3, "xyz"),
    ]
    assert forces_of(parsed(forces="fast", force_stride=40)) == [
        ("forces_fast", "forces_component(0){ev/ang}", 40, "xyz")
    ]


@pytest.mark.parametrize(("words", "stride"), [([], 5), (["7"], 7)])  # 5: that of positions
def test_the_program_writes_forces_as_often_as_asked(tmp_path, words, stride, capsys):
    arguments = ["input", "water", "--out", str(tmp_path), "--write-forces", *words]
    assert cli.main(arguments) == 0
    root = ElementTree.parse(tmp_path / "input.xml").getroot()
    assert [one[2] for one in forces_of(root)] == [stride, stride]
    position = root.find("output/trajectory[@filename='pos']")
    assert position.get("stride") == str(stride)


def test_forces_cannot_be_written_every_no_step(tmp_path, capsys):
    assert cli.main(["input", "water", "--out", str(tmp_path), "--write-forces", "0"]) == 2
    assert "forces are written every 1 or more steps, got 0" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("plan", "strides"),
    [
        (Plan("slow", 1, 0.5, 1), (40, 8, 400)),
        (Plan("mts", 3, 0.5, 1), (13, 2, 133)),
        (Plan("mts", 8, 0.5, 1), (5, 1, 50)),
        (Plan("mts", 16, 0.5, 1), (2, 1, 25)),
        (Plan("slow", 1, 50.0, 1), (1, 1, 4)),
    ],
)
def test_strides(plan, strides):
    found = Strides.of(plan)
    assert (found.position, found.velocity, found.checkpoint) == strides


@pytest.mark.parametrize(
    ("forces", "positions"),
    [(None, 40), (5, 5), (40, 40), (50, 50), (60, 30), (80, 40), (1000, 40), (1009, 1)],
)
def test_forces_are_never_written_without_positions(forces, positions):
    """Frequent forces make positions frequent, rare ones don't make them rare."""
    root = parsed("slow", force_stride=forces)
    strides = {t.get("filename"): int(t.get("stride")) for t in root.iter("trajectory")}
    assert strides["pos"] == positions
    assert strides.get("forces_slow") == forces


def test_transports():
    unix = parsed().findall("ffsocket")
    assert [(s.get("mode"), text(s, "address")) for s in unix] == [
        ("unix", "slow"),
        ("unix", "fast"),
    ]
    inet = parsed(transport=Transport(31415)).findall("ffsocket")
    assert [(s.get("mode"), text(s, "address")) for s in inet] == [("inet", "127.0.0.1")] * 2
    assert [text(s, "port") for s in inet] == ["31415", "31416"]


@pytest.mark.parametrize(
    ("changes", "needs"),
    [
        ({}, ""),
        ({"forces": "fast"}, "direct-energy"),
        ({"ensemble": Ensemble("npt")}, "direct-virial"),
        ({"forces": "fast", "ensemble": Ensemble("npt")}, "direct-energy+direct-virial"),
    ],
)
def test_what_the_input_says_to_drivers(changes, needs):
    """Read as i-PI reads it, written as it sends it."""
    read_dict = pytest.importorskip("ipi.utils.io.inputs.io_xml").read_dict
    found = {}
    for socket in parsed(**changes).findall("ffsocket"):
        pairs = read_dict(text(socket, "parameters"))
        found[socket.get("name")] = {name: str(value) for name, value in pairs.items()}
    same = {
        "ncforce_model": f"sha256-{sha256(model_path('water'))[:12]}",
        "ncforce_atoms": identity.of_atoms(ATOMS.numbers),
    }
    expected = {"slow": {"ncforce_role": "slow"} | same, "fast": {"ncforce_role": "fast"} | same}
    if needs:
        expected["fast"]["ncforce_needs"] = needs
    if "virial" in needs:  # both forces send theirs
        expected["slow"]["ncforce_needs"] = "virial"
    assert found == {name: expected[name] for name in found}
    assert "fast" in found
    for pairs in found.values():
        said = " " + "".join(f"{name} : {value} , " for name, value in pairs.items())
        assert parse_init(said) == pairs


def test_the_model_of_a_name_that_i_pi_would_take_apart():
    """A comma, a colon, a brace or a blank in a family's own name."""
    service = Service("a, b: {1e5}", "mace", slow_driver=("x", "driver", "orb", "--model", "1e5"))
    assert service.identity("fast") == "mace/a%2C%20b%3A%20%7B1e5%7D"
    assert service.identity("slow") == "orb/1e5"
    assert Service("gone.pt").identity("fast") is None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "--role both --structure init.xyz --socket-dir . --mts 8"),
        ({"forces": "slow"}, "--role slow --structure init.xyz --socket-dir ."),
        ({"forces": "fast"}, "--role fast --structure init.xyz --socket-dir . --direct-energy"),
        (
            {"transport": Transport(31415)},
            "--role both --structure init.xyz --host 127.0.0.1 --slow-port 31415 "
            "--fast-port 31416 --mts 8",
        ),
    ],
)
def test_the_commands_by_hand(changes, words):
    assert commands_of(input_xml(recipe(**changes), ATOMS)) == [
        "<?first  i-pi input.xml ?>",
        f"<?second ncforce driver metatomic --model water {words} ?>",
    ]


def test_the_commands_by_hand_have_every_device():
    found = commands_of(input_xml(recipe(device="cuda:0,cuda:1,cuda:2,cpu"), ATOMS))
    assert [line.split()[0] for line in found[1:]] == [
        "<?second",
        "<?third",
        "<?fourth",
        "<?another",
    ]
    assert [line.split()[-2] for line in found[1:]] == ["cuda:0", "cuda:1", "cuda:2", "cpu"]
    slow = ("x", "driver", "orb", "--model", "y")
    found = commands_of(input_xml(recipe(device="cpu,cpu", slow_driver=slow), ATOMS))
    roles = [line.split("--role ")[1].split()[0] for line in found[1:]]
    assert roles == ["fast", "fast", "slow"]


def commands_of(xml):
    return [line for line in xml.splitlines() if line.startswith("<?")]


@pytest.mark.parametrize(
    ("forces", "drivers"),
    [
        ("slow", ["second {slow} --role slow {where}"]),
        ("fast", ["second {fast} --role fast {where} --direct-energy --threads 2"]),
        (
            "mts",
            ["second {fast} --role fast {where} --threads 2", "third {slow} --role slow {where}"],
        ),
    ],
)
def test_the_commands_of_two_programs_by_hand(forces, drivers, tmp_path, monkeypatch):
    """``ncforce input`` says what ``ncforce run`` would start."""
    monkeypatch.chdir(tmp_path)
    program = tmp_path / "other env" / "ncforce"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    Path("fast.model").touch()
    words = ["input", "water", "--forces", forces, "--out", "x", "--threads", "2"]
    words += ["--family", "orb", "--model", "fast.model", "--program", str(program)]
    words += ["--slow-driver", f"'{program}' driver mace --model small"]
    assert cli.main(words) == 0
    known = {
        "fast": f"'{program}' driver orb --model {tmp_path}/fast.model",
        "slow": f"'{program}' driver mace --model small",
        "where": "--structure init.xyz --socket-dir .",
    }
    found = commands_of(Path("x", "input.xml").read_text())
    assert found[1:] == [f"<?{command.format(**known)} ?>" for command in drivers]


def test_a_model_for_each_force(tmp_path, monkeypatch):
    """Two models by two words: each has a driver of its own."""
    monkeypatch.chdir(tmp_path)
    for name in ("fast.pt", "slow.pt"):
        model_file(Path(name), ["energy", "non_conservative_force"])
    words = ["input", "water", "--forces", "mts"]
    assert cli.main([*words, "--fast", "fast.pt", "--slow", "slow.pt", "--out", "x"]) == 0
    assert cli.main([*words, "--fast", "fast.pt", "--slow", "sevennet:7net-0", "--out", "y"]) == 0
    words += ["--fast-model", "fast.pt", "--slow-model", "7net-0", "--slow-family", "sevennet"]
    assert cli.main([*words, "--out", "z"]) == 0  # as it was spelt in 0.1
    assert Path("z/input.xml").read_text() == Path("y/input.xml").read_text()
    program = Path(sysconfig.get_path("scripts")) / "ncforce"
    rest = "--role slow --structure init.xyz --socket-dir . ?>"
    for directory, slow in (
        ("x", f"metatomic --model {tmp_path}/slow.pt"), ("y", "sevennet --model 7net-0"),
    ):  # fmt: skip
        found = commands_of(Path(directory, "input.xml").read_text())
        assert f"--model {tmp_path}/fast.pt --role fast" in found[1]
        assert found[2] == f"<?third {program} driver {slow} {rest}"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--slow-family", "mace"], "--slow-family needs --slow-model"),
        (["--slow-model", "x", "--slow-driver", "y"], "--slow-driver names model and family"),
    ],
)
def test_words_of_the_slow_model_that_do_not_go_together(words, message, tmp_path, capsys):
    assert cli.main(["input", "water", "--out", str(tmp_path / "x"), *words]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("forces", ["slow", "fast", "mts"])
def test_ipi_takes_it(forces, tmp_path):
    atoms = read_structure("water")
    write_input(tmp_path, recipe(forces), atoms)
    code = (
        "from ipi.engine.simulation import Simulation as S\n"
        "s = S.load_from_xml(open('input.xml'), custom_verbosity='quiet', read_only=True)\n"
        "d, b = s.syslist[0].motion, s.syslist[0].beads\n"
        "n = [int(n) for n in d.nmts]\n"
        "print('=', b.natoms, d.fixcom, d.dt * 0.02418884, n, s.tsteps, b.q[0, 0])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    said = done.stdout.split("= ")[-1]
    n_atoms, fixcom, rest = said.split(maxsplit=2)
    assert (n_atoms, fixcom) == ("192", "True")
    outer_fs, rest = rest.split(maxsplit=1)
    assert float(outer_fs) == pytest.approx(4.0 if forces == "mts" else 0.5, rel=1e-6)  # i-PI's fs
    assert rest.startswith("[1, 8]" if forces == "mts" else "[1]")
    x_A = float(said.split()[-1]) * 0.529177210903
    assert x_A == pytest.approx(atoms.positions[0, 0], rel=1e-6)  # i-PI's unit table


def test_water_is_64_molecules():
    atoms = read_structure("water")
    assert atoms.symbols.formula.count() == {"O": 64, "H": 128}
    bonds = np.sort(atoms.get_all_distances(mic=True)[atoms.numbers == 8][:, atoms.numbers == 1])
    assert bonds[:, :2].max() < 1.25 < 1.3 < bonds[:, 2].min()  # two own H, then a gap


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: recipe(transport=Transport(0)), "port must lie between 1 and 65534, got 0"),
        (lambda: Ensemble("nvx"), "ensemble is nve, langevin, gle, svr, npt, got 'nvx'"),
        (lambda: Ensemble("langevin", tau_fs=0.0), "tau_fs must be positive, got 0"),
        (lambda: Ensemble("nve", tau_fs=1.0), "nve has no tau_fs, got 1.0; leave it out"),
        (lambda: Ensemble("gle", tau_fs=1.0), "gle has no tau_fs"),
        (lambda: Ensemble("svr", gle="smart"), "svr has no gle"),
        (lambda: Ensemble("svr", pressure_MPa=1.0), "svr has no pressure_MPa"),
        (lambda: Ensemble("gle", gle="best"), "gle is optimal or smart, got 'best'"),
        (lambda: Ensemble("npt", barostat="rigid"), "barostat is isotropic, flexible"),
        (lambda: Ensemble("gle", beads=4), "gle is for classical runs"),
        (lambda: Ensemble("nve", beads=0), "beads must lie between 1 and 1024, got 0"),
        (lambda: Recipe(Plan("slow", 1, 0.5, 1), Ensemble(), 0.0, 1), "positive, got 0.0 K"),
        (lambda: Recipe(Plan("slow", 1, 0.5, 1), Ensemble(), 300.0, -1), "seed must lie between 0"),
        (lambda: read_structure("ice"), "'ice' is neither a file nor a shipped system"),
    ],
)
def test_refusals(make, message):
    with pytest.raises(InputError, match=message):
        make()


@pytest.mark.parametrize(
    ("atoms", "message"),
    [
        (Atoms("OH2", [[0, 0, 0], [1, 0, 0], [0, 1, 0]]), "has no periodic cell"),
        (
            Atoms("OH2", [[0, 0, 0], [0.096, 0, 0], [0, 0.096, 0]], cell=[1.2] * 3, pbc=True),
            "0.096 A apart; expected more than 0.5 A: is the file in another unit than A",
        ),
    ],
)
def test_odd_structures(atoms, message, tmp_path):
    ase.io.write(tmp_path / "odd.xyz", atoms, format="extxyz")
    with pytest.raises(InputError, match=message):
        read_structure(str(tmp_path / "odd.xyz"))


def test_a_file_that_is_no_structure(tmp_path):
    (tmp_path / "x.xyz").write_text("hello\n")
    with pytest.raises(
        InputError, match=r"x\.xyz can't be read by ASE: ase.io.extxyz: Expected xyz header"
    ):
        read_structure(str(tmp_path / "x.xyz"))


def test_ncforce_input(tmp_path, capsys):
    words = ["input", "water", "--mts", "4", "--out", str(tmp_path / "new")]
    assert cli.main(words) == 0
    names = capsys.readouterr().out.split()
    assert [Path(name).name for name in names] == [
        "input.xml", "init.xyz", "init_velocities.xyz",  # water has velocities of its own
    ]  # fmt: skip
    assert text(ElementTree.parse(names[0]).getroot(), "system/motion/dynamics/nmts") == "[1, 4]"
    assert cli.main(words) == 2
    assert "exist; choose another --out or use --force" in capsys.readouterr().err
    assert cli.main([*words, "--force"]) == 0


def test_ready_made_inputs_are_what_the_program_writes():
    folder = Path(__file__).parents[2] / "xml_inputs" / "ready"
    written = {path.name: path.read_text() for path in folder.glob("*.xml")}
    assert written == dict(ready()), "run `make inputs`"
    assert len(written) == 36


@pytest.mark.parametrize("forces", ["slow", "fast", "mts"])
@pytest.mark.parametrize(
    ("ensemble", "mode", "thermostat", "tau_fs"),
    [
        (Ensemble(), "nve", None, None),
        (Ensemble("langevin"), "nvt", "langevin", 100.0),
        (Ensemble("langevin", tau_fs=7.0), "nvt", "langevin", 7.0),
        (Ensemble("svr"), "nvt", "svr", 10.0),
        (Ensemble("gle"), "nvt", "gle", None),
        (Ensemble("npt"), "npt", "svr", 100.0),
        (Ensemble("langevin", beads=4), "nvt", "pile_l", 100.0),
        (Ensemble("svr", beads=4), "nvt", "pile_g", 10.0),
    ],
)
def test_ensembles(ensemble, mode, thermostat, tau_fs, forces):
    plan = Plan.from_time(forces, 8 if forces == "mts" else 1, 0.5, 1.0)
    root = ElementTree.fromstring(input_xml(Recipe(plan, ensemble, 310.0, 7), ATOMS))
    dynamics = root.find("system/motion/dynamics")
    assert (dynamics.get("mode"), dynamics.get("splitting")) == (mode, "obabo")
    assert numbers(root, "system/ensemble/temperature") == [310.0]
    assert root.find("system/initialize").get("nbeads") == str(ensemble.beads)
    found = dynamics.find("thermostat")
    assert (None if found is None else found.get("mode")) == thermostat
    if tau_fs is not None:
        assert found.find("tau").get("units") == "femtosecond"
        assert numbers(dynamics, "thermostat/tau") == [tau_fs]
    assert (dynamics.find("barostat") is not None) == (mode == "npt")


OTHER = ("ncforce", "driver", "sevennet", "--model", "7net-0")


@pytest.mark.parametrize("port", [None, 31415])
@pytest.mark.parametrize(
    ("beads", "service", "sizes"),
    [
        (1, Service("water"), {"slow": None, "fast": None}),
        (8, Service("water"), {"slow": "8", "fast": "8"}),
        (8, Service("water", drivers=3), {"slow": None, "fast": None}),
        (8, Service("water", drivers=3, device="cpu"), {"slow": None, "fast": None}),
        (8, Service("water", drivers=3, device="cuda"), {"slow": "3", "fast": "3"}),
        (2, Service("water", device="cuda:0,cuda:1"), {"slow": None, "fast": None}),
        (4, Service("water", device="cuda:0,cuda:1"), {"slow": "2", "fast": "2"}),
        (4, Service("water", drivers=2, slow_driver=OTHER), {"slow": "4", "fast": None}),
    ],
)
def test_beads_come_in_batches(beads, service, sizes, port):
    """Those of a role in one, or in as many as it has GPUs; not for several drivers on a CPU."""
    ensemble = Ensemble("langevin", beads=beads)
    plan = Plan("mts", 4, 0.5, 10)
    recipe_ = Recipe(plan, ensemble, 300.0, 1, service=service, transport=Transport(port))
    root = ElementTree.fromstring(input_xml(recipe_, ATOMS))
    found = {s.get("name"): s.findtext("batch_size") for s in root.findall("ffsocket")}
    assert {name: text and text.strip() for name, text in found.items()} == sizes


def test_gle_matrix_in_atomic_units():
    recipe_ = Recipe(Plan("slow", 1, 0.5, 1), Ensemble("gle", gle="optimal"), 300.0, 1)
    root = ElementTree.fromstring(input_xml(recipe_, ATOMS))
    matrix = root.find("system/motion/dynamics/thermostat/A")
    assert (matrix.get("shape"), matrix.get("units")) == ("(5, 5)", "atomic_unit")
    values = np.array(numbers(root, "system/motion/dynamics/thermostat/A")).reshape(5, 5)
    # A_pp of the published set is 24.68046481; 40 cm^-1 is 40 / 219474.6314 Hartree / hbar
    assert values[0, 0] == pytest.approx(24.68046481 * 40 / 219474.6314, rel=1e-7)


@pytest.mark.parametrize(
    ("barostat", "mode", "baro"),
    [
        (None, "npt", "isotropic"),
        ("flexible", "npt", "flexible"),
        ("anisotropic", "nst", "anisotropic"),
        ("in-plane", "npt", "flexible"),
    ],
)
def test_barostats(barostat, mode, baro):
    ensemble = Ensemble("npt", barostat=barostat, pressure_MPa=2.0, barostat_tau_fs=300.0)
    plan = Plan.from_time("mts", 8, 0.5, 1.0)
    text_ = input_xml(Recipe(plan, ensemble, 300.0, 1), ATOMS)
    root = ElementTree.fromstring(text_)
    dynamics = root.find("system/motion/dynamics")
    found = dynamics.find("barostat")
    assert (dynamics.get("mode"), found.get("mode")) == (mode, baro)
    assert numbers(found, "tau") == [300.0]
    assert numbers(found, "thermostat/tau") == [150.0]
    if mode == "nst":
        stress = root.find("system/ensemble/stress")
        assert stress.get("units") == "megapascal"
        assert numbers(root, "system/ensemble/stress") == [2.0, 0, 0, 0, 2.0, 0, 0, 0, 2.0]
        h0 = np.array(numbers(found, "h0")).reshape(3, 3)
        np.testing.assert_array_equal(h0, ATOMS.cell.array.T)  # columns are the lattice vectors
    else:
        assert root.find("system/ensemble/pressure").get("units") == "megapascal"
        assert numbers(root, "system/ensemble/pressure") == [2.0]
    fixed = found.findtext("hfix")
    assert (fixed is not None) == (barostat == "in-plane")
    assert "--direct-virial" in text_  # both components push the cell


ODD_NAMES = ("a?>b", "a--b", "--> <x", "]]>&amp;<", "a&b'\"", "x?'>", "-?>-?>-", "?>", "å?>水")


@pytest.mark.parametrize("name", ODD_NAMES)
def test_any_name_of_a_model_makes_xml_whose_commands_a_shell_reads(name):
    xml = input_xml(recipe(model=name, family="mace"), ATOMS)
    parser = ElementTree.XMLPullParser(events=("pi",))
    parser.feed(xml)
    said = [found.text.split(maxsplit=1) for _, found in parser.read_events()]
    (words,) = [words for target, words in said if target == "second"]
    read = subprocess.run(
        ["bash", "-c", f"printf '%s\\n' {words}"], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert read[read.index("--model") + 1] == name


@pytest.mark.parametrize("text", ["a--b", "a-----b", "-", "ends-", "--> <evil/> <!--", "plain"])
def test_no_text_ends_a_comment(text):
    from ncforce_ipi.inputs.templates import fill

    xml = fill("thermostat_gle", {"text": text, "n": 1, "matrix": "1"})
    root = ElementTree.fromstring(f"<all>{xml}</all>")
    assert [child.tag for child in root] == ["thermostat"]


def test_a_control_character_is_refused():
    with pytest.raises(InputError, match=r"would not be XML .*: is there a control character"):
        input_xml(recipe(model="a\x1bb", family="mace"), ATOMS)
