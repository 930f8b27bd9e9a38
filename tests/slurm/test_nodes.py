"""i-PI on one node, drivers on GPUs of others: a heterogeneous job, and a job of two nodes."""

from .conftest import N_OUTER


def test_drivers_on_another_node_than_ipi(jobs, submitted, plain):
    """One of them is killed, later the wall time is near: the trajectory is the same."""
    job = submitted["apart"]
    assert jobs.ends(job, "apart") == {"COMPLETED"}, jobs.log("apart")
    assert "stopped by SIGUSR1" in jobs.log("apart")
    jobs.same("apart", plain)
    drivers = jobs.seen(job)
    assert len(drivers) == 3  # the first, the one after it was killed, that of the second job
    assert all(gpu.isdecimal() for _, gpu in drivers)  # each sees one, whichever it is
    assert all(node.startswith("gpu") for node, _ in drivers)


def test_drivers_on_two_nodes(jobs, submitted):
    """As many as GPUs, each on its own; i-PI is on the first node."""
    job = submitted["two"]
    assert jobs.ends(job, "two") == {"COMPLETED"}, jobs.log("two")
    assert jobs.steps("two") == list(range(N_OUTER + 1))
    drivers = jobs.seen(job)
    assert len({node for node, _ in drivers}) == len(drivers) == 2
