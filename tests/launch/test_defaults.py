"""What i-PI leaves out of a checkpoint because it has its default, written by i-PI's own writer."""

import itertools
from xml.etree import ElementTree

import pytest

from ncforce_ipi.launch.directory import resume
from ncforce_ipi.launch.engine import continuation
from ncforce_ipi.reading.metadata import read_metadata

pytest.importorskip("ipi")

OUTPUT = """<output prefix='{prefix}'>
<properties filename='{out}' stride='{stride}'> [ step, time{{picosecond}} ] </properties>
<trajectory filename='{name}' format='{kind}' stride='{stride}'> {quantity} </trajectory>
<checkpoint filename='chk' stride='{stride}'/></output>"""
CHOICES = {
    "prefix": ("i-pi", "simulation"),
    "out": ("out", "props"),
    "name": ("traj", "vel"),
    "kind": ("xyz", "ase", "pdb"),
    "stride": ("1", "7"),
    "quantity": ("positions", "x_centroid{angstrom}", "velocities"),
}
OUTPUTS = [dict(zip(CHOICES, one, strict=True)) for one in itertools.product(*CHOICES.values())]
STATE = """<simulation floatformat='%.17e'>{output}
<step> {step} </step> <total_steps> {total} </total_steps>
<prng> <seed> {seed} </seed> </prng>
<ffsocket name='slow' mode='unix'> <address> slow </address> </ffsocket>
<system> <forces> <force forcefield='slow'/> </forces>
<ensemble> <temperature> 0.001 </temperature> </ensemble>
<motion mode='dynamics'> <fixcom> {fixcom} </fixcom>
<dynamics mode='{mode}'> <timestep> {timestep} </timestep> <nmts> {nmts} </nmts> </dynamics>
</motion>
<beads natoms='2' nbeads='{beads}'> <q shape='({beads}, 6)'> {q} </q>
<p shape='({beads}, 6)'> {q} </p>
<m shape='(2)'> [ 1837.4, 29156.9 ] </m> <names shape='(2)'> [ H, O ] </names> </beads>
<cell shape='(3, 3)'> [ 20, 0, 0, 0, 20, 0, 0, 0, 20 ] </cell> </system> </simulation>"""
DEFAULTS = {
    "step": 0, "total": 1000, "seed": 123456, "fixcom": "True", "mode": "nve", "timestep": 1.0,
    "nmts": "[]", "beads": 1, "q": "[ 1, 2, 3, 4, 5, 6 ]", "output": OUTPUT.format(**OUTPUTS[0]),
}  # fmt: skip
OTHERS = {
    "step": 5, "total": 1001, "seed": 7, "fixcom": "False", "mode": "nvt", "timestep": 20.5,
    "nmts": "[ 4 ]", "beads": 2, "q": "[ 1, 2, 3, 4, 5, 6, 1, 2, 3, 4, 5, 6 ]",
    "output": OUTPUT.format(**OUTPUTS[-1]),
}  # fmt: skip


def written_by_ipi(text):
    """The same state as i-PI writes it: without what has its default."""
    from ipi.inputs.simulation import InputSimulation
    from ipi.utils.io.inputs.io_xml import xml_parse_string

    (node,) = (node for name, node in xml_parse_string(text).fields if name == "simulation")
    simulation = InputSimulation()
    simulation.parse(node)
    return simulation.write("simulation")


def test_names_and_strides_of_outputs(tmp_path):
    """All combinations; most lose several attributes."""
    lost = 0
    for words in OUTPUTS:
        text = STATE.format(**(DEFAULTS | {"output": OUTPUT.format(**words)}))
        written = written_by_ipi(text)
        lost += "stride" not in written
        found = [
            resume.outputs_of(ElementTree.fromstring(one), tmp_path) for one in (text, written)
        ]
        assert found[0] == found[1], words
        assert [output.stride for output in found[1]] == [int(words["stride"])] * 2
        assert found[1][0].path.name == f"{words['prefix']}.{words['out']}"
    assert lost == len(OUTPUTS) // 2


def test_names_are_those_of_i_pi(tmp_path):
    """Its own names of files: one of each bead for positions and velocities, one for centroids."""
    from ipi.engine.outputs import TrajectoryOutput

    for words in OUTPUTS:
        text = STATE.format(**(DEFAULTS | {"output": OUTPUT.format(**words)}))
        _, trajectory = resume.outputs_of(ElementTree.fromstring(text), tmp_path)
        output = TrajectoryOutput(
            f"{words['prefix']}.{words['name']}", what=words["quantity"], format=words["kind"]
        )
        suffix = {"ase": "extxyz"}.get(output.format, output.format)
        bead = "_0" if words["quantity"] in ("positions", "velocities") else ""
        assert trajectory.path.name == f"{output.filename}{bead}.{suffix}"


@pytest.mark.parametrize("other", [None, *sorted(set(OTHERS) - {"q"})])
def test_a_checkpoint_says_the_same_with_and_without_its_defaults(tmp_path, other):
    """One value after the other isn't the default; all of them, and none."""
    chosen = {} if other is None else {other: OTHERS[other]}
    if other == "beads":
        chosen["q"] = OTHERS["q"]
    text = STATE.format(**(DEFAULTS | chosen))
    written = written_by_ipi(text)
    found = []
    for name, one in (("full", text), ("written", written)):
        directory = tmp_path / name
        directory.mkdir()
        (directory / "RESTART").write_text(one)
        checkpoint = resume.read(directory / "RESTART")
        momenta = continuation.read_momenta(directory / "RESTART")
        total = ElementTree.fromstring(resume.with_total_steps(one, 77)).findtext("total_steps")
        outputs = [(output.path.name, output.stride) for output in checkpoint.outputs]
        found.append((checkpoint.step, outputs, total, momenta[0].tolist()))
    assert found[0] == found[1]
    assert found[0][0] == (DEFAULTS | chosen)["step"]
    assert found[0][2] == "77"
    known = [read_metadata(tmp_path / name) for name in ("full", "written")]
    assert known[0] == known[1]
    assert known[1].step_fs == pytest.approx(0.024188843265857 * (DEFAULTS | chosen)["timestep"])
    assert known[1].n_beads == (DEFAULTS | chosen)["beads"]
    assert known[1].isolated == ((DEFAULTS | chosen)["mode"] == "nve")
    assert known[1].temperature_K == pytest.approx(315.775, rel=1e-5)  # 0.001 hartree


def test_defaults_are_really_left_out():
    written = written_by_ipi(STATE.format(**DEFAULTS))
    others = written_by_ipi(STATE.format(**OTHERS))
    tags = ("<total_steps", "<step", "<dynamics", "<timestep", "<nmts", "<fixcom", "prefix=")
    for tag in tags:
        assert tag not in written
        assert tag in others
