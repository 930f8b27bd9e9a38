"""How many GPUs a run has use for."""

import pytest

from ncforce_ipi.cluster.layout import Gpus, lay_out
from ncforce_ipi.errors import InputError
from ncforce_ipi.inputs.service import Service, at_work, idle_drivers

ONE = Service("water")
TWO = Service("water", slow_driver=("ncforce", "driver", "sevennet", "--model", "7net-0"))


@pytest.mark.parametrize(
    ("n", "structures", "one_by_one", "busy"),
    [
        (1, 1, False, 1),
        (4, 1, False, 1),
        (4, 8, False, 4),
        (3, 4, False, 2),  # two requests of two
        (3, 4, True, 3),
        (4, 6, False, 3),  # three of two
        (16, 8, True, 8),
        (16, 8, False, 8),
    ],
)
def test_how_many_drivers_are_busy(n, structures, one_by_one, busy):
    assert at_work(n, structures, one_by_one=one_by_one) == busy


@pytest.mark.parametrize("text", ["4", "a100:4", "h100-80gb:1"])
def test_gpus_as_slurm_writes_them(text):
    gpus = Gpus.parse(text)
    layout, _ = lay_out(ONE, 8, gpus)
    assert layout.gres == f"gpu:{text}"


@pytest.mark.parametrize("text", ["", "0", "a100", "four", "-1", "2:a100", "1.5"])
def test_what_is_no_number_of_gpus_is_refused(text):
    with pytest.raises(InputError, match=r"--gpus: expected \[TYPE:\]N"):
        Gpus.parse(text)


@pytest.mark.parametrize(
    ("service", "structures", "gpus", "nodes", "expected"),
    [  # drivers, nodes, GPUs on each, devices, of the other driver
        (ONE, 1, 1, 1, (1, 1, 1, "cuda:0", None)),
        (ONE, 1, 4, 1, (1, 1, 1, "cuda:0", None)),
        (ONE, 8, 4, 1, (4, 1, 4, "cuda:0,cuda:1,cuda:2,cuda:3", None)),
        (ONE, 4, 3, 1, (2, 1, 2, "cuda:0,cuda:1", None)),
        (ONE, 32, 8, 2, (8, 2, 4, None, None)),
        (ONE, 2, 8, 2, (2, 1, 2, None, None)),
        (TWO, 1, 1, 1, (1, 1, 1, "cuda:0", None)),
        (TWO, 1, 4, 1, (1, 1, 2, "cuda:0", "cuda:1")),
        (TWO, 8, 4, 1, (4, 1, 4, "cuda:0,cuda:1,cuda:2,cuda:3", None)),  # shares the first
        (TWO, 8, 4, 2, (3, 2, 2, None, None)),  # apart: each its own
    ],
)
def test_what_is_asked_for_is_what_is_used(service, structures, gpus, nodes, expected):
    layout, said = lay_out(service, structures, Gpus(gpus), nodes)
    drivers, n_nodes, per_node, devices, other = expected
    assert (layout.drivers, layout.nodes, layout.gpus) == (drivers, n_nodes, per_node)
    if nodes == 1:
        assert (layout.devices, layout.other_device) == (devices, other)
    used = layout.nodes * layout.gpus
    assert bool(said) == (used < gpus)
    for text in said:
        assert f"the script asks for {used};" in text


def test_what_is_idle_is_said():
    _, (said,) = lay_out(ONE, 1, Gpus(4))
    assert said.startswith(
        "4 GPUs, but a classical trajectory has one structure at a time, which 1"
    )
    assert idle_drivers(ONE, 1) is None
    four = Service("water", device="cuda:0,cuda:1,cuda:2,cuda:3")
    assert idle_drivers(four, 4) is None
    assert idle_drivers(four, 1) == (
        "4 drivers, but a classical trajectory has one structure at a time: 3 will only stand by; "
        "beads of a path integral, replicas or several runs side by side would use them"
    )
    assert "beads and replicas are 6 structures at a time: 1 will" in idle_drivers(four, 6)
    assert idle_drivers(Service("water", drivers=4, device="cpu"), 6) is None


def test_cpus_are_for_ipi_and_all_drivers():
    layout, _ = lay_out(Service("water", threads=4, drivers=3), 8)
    assert (layout.cpus, layout.gres, layout.devices) == (13, None, None)
    layout, _ = lay_out(TWO, 1, Gpus(2))
    assert layout.cpus == 3


def test_devices_that_the_run_names_are_what_it_needs():
    named = Service("water", device="cuda:0,cuda:1,cuda:0", drivers=4)
    layout, said = lay_out(named, 1)
    assert (layout.gpus, layout.drivers, said) == (2, 4, [])
    assert lay_out(named, 1, Gpus(2, "a100"))[0].gres == "gpu:a100:2"
    with pytest.raises(InputError, match="--gpus 4, but --device names 2; leave --device out"):
        lay_out(named, 8, Gpus(4))
    with pytest.raises(InputError, match="drivers on other nodes see one GPU each"):
        lay_out(named, 8, Gpus(2), nodes=2)
    assert lay_out(Service("water", device="cpu"), 1, Gpus(1))[0].gpus == 1


@pytest.mark.parametrize(
    ("gpus", "nodes", "apart", "said"),
    [
        (Gpus(3), 2, False, "3 GPUs on 2 nodes: expected as many on each"),
        (Gpus(2), 0, False, "2 GPUs on 0 nodes"),
        (None, 2, False, "drivers on other nodes than i-PI need --gpus"),
        (None, 1, True, "drivers on other nodes than i-PI need --gpus"),
        (Gpus(1), 1, True, "two models on other nodes than i-PI need two GPUs"),
    ],
)
def test_what_can_not_be_is_refused(gpus, nodes, apart, said):
    with pytest.raises(InputError, match=said):
        lay_out(TWO, 8, gpus, nodes, apart)
