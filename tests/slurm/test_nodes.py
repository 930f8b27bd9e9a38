"""i-PI on one node, drivers on GPUs of others: a heterogeneous job, and a job of two nodes."""

from .conftest import N_OUTER, call, happen


def test_drivers_on_another_node_than_ipi(jobs, plain):
    """One of them is killed, later the wall time is near: the trajectory is the same."""
    jobs.write(
        "apart", "--ipi-partition", "cpu", "--partition", "gpu", "--gpus", "1", fault="kill 300"
    )
    job = jobs.submit("apart")
    warn = ("scancel", "--batch", "--signal=USR1", job)
    happen(jobs, {"apart": (110, lambda: call(*warn))})
    assert jobs.ends(job, "apart") == {"COMPLETED"}, jobs.log("apart")
    assert "stopped by SIGUSR1" in jobs.log("apart")
    jobs.same("apart", plain)
    drivers = jobs.seen(job)
    assert len(drivers) == 3  # the first, the one after it was killed, that of the second job
    assert {gpu for _, gpu in drivers} == {"0"}
    assert all(node.startswith("gpu") for node, _ in drivers)


def test_drivers_on_two_nodes(jobs):
    """As many as GPUs, each on its own; i-PI is on the first node."""
    words = ("--ensemble", "langevin", "--beads", "2", "--gpus", "2", "--nodes", "2")
    jobs.write("two", *words, sleep_s=0)
    job = jobs.submit("two")
    assert jobs.ends(job, "two") == {"COMPLETED"}, jobs.log("two")
    assert jobs.steps("two") == list(range(N_OUTER + 1))
    drivers = jobs.seen(job)
    assert len({node for node, _ in drivers}) == len(drivers) == 2
