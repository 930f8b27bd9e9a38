"""Runs from their inputs to their ends, side by side: an i-PI for each, drivers for all.

They go in rounds.  A round is one process of i-PI for every run that has steps to do, and one of
each driver (more where one dies).  Mostly there is one.  Where an i-PI can be helped by a new
process, the others stop with a checkpoint, and all of them go on in another round.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from ncforce_ipi.launch.directory import holder
from ncforce_ipi.launch.engine.addresses import private_directory
from ncforce_ipi.launch.engine.command import ipi_command
from ncforce_ipi.launch.jobs import door
from ncforce_ipi.launch.jobs import record as records
from ncforce_ipi.launch.jobs.job import Job
from ncforce_ipi.launch.jobs.staff import Post, Staff, is_ours, report_file
from ncforce_ipi.launch.processes.child import TICK_S, Child, ended
from ncforce_ipi.launch.processes.stops import StopRequest, stop_requests
from ncforce_ipi.launch.processes.timelimit import TimeLimit
from ncforce_ipi.launch.progress.agreement import agreement_of, band_of
from ncforce_ipi.launch.progress.display import Display, Shown, display
from ncforce_ipi.launch.progress.ending import Ending
from ncforce_ipi.launch.progress.follower import Follower
from ncforce_ipi.launch.segments.lane import CUT_SHORT, PAUSE, Lane, Outcome, close, finish
from ncforce_ipi.launch.watching.answers import Demand, Heard
from ncforce_ipi.launch.watching.crew import Crew
from ncforce_ipi.launch.watching.drivers import Driver
from ncforce_ipi.launch.watching.hangs import Watchdog
from ncforce_ipi.launch.watching.supervise import Watch
from ncforce_ipi.rundir import EXIT_FILE, LOGS, PROPERTIES_FILE

ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def run(lanes: Sequence[Lane], staff: Staff, limit: TimeLimit | None = None) -> list[Outcome]:
    """Run all to their ends, and leave a true ``run.json`` of each however that comes.

    Parameters
    ----------
    limit : of wall time, before whose end they stop
    """
    try:
        with stop_requests(limit) as request:
            _rounds(lanes, staff, request)
    except BaseException as err:
        why = Ending("failed", f"{type(err).__name__}: {err}")
        for lane in lanes:
            lane.outcome = lane.outcome or close(lane.job, lane.record, why)
        raise
    return [lane.outcome for lane in lanes if lane.outcome]


def _rounds(lanes: Sequence[Lane], staff: Staff, request: StopRequest) -> None:
    (staff.directory / LOGS).mkdir(exist_ok=True)
    with door.opened(staff.job.remote, staff.directory) as entrance:
        if entrance:
            door.say(entrance, staff.job.recipe, staff.directory)
        _in_turn(lanes, replace(staff, door=entrance), request)


def _in_turn(lanes: Sequence[Lane], staff: Staff, request: StopRequest) -> None:
    todo = list(lanes)
    while todo:
        for lane in todo:
            (lane.job.directory / LOGS).mkdir(exist_ok=True)
            state = {"state": "running", "reason": "", "processes": holder.of_this_launcher()}
            lane.record |= state
            records.save(lane.job.directory, lane.record)
        with private_directory(lanes[0].job.recipe.plan.components) as sockets:
            _Round(todo, staff, sockets, request).go()
        todo = [lane for lane in todo if lane.outcome is None]


@dataclass
class _Round:
    """One process of i-PI for each of these, and the drivers."""

    lanes: Sequence[Lane]
    staff: Staff
    sockets: Path
    request: StopRequest
    stack: ExitStack = field(default_factory=ExitStack)

    def go(self) -> None:
        """From the start of all processes to their ends."""
        with self.stack:
            followers = {lane.place: _follower(lane.job) for lane in self.lanes}
            servers = {lane.place: self._server(lane) for lane in self.lanes}
            drivers = [self._driver(post, followers) for post in self._posts()]
            watches = [
                _watch(lane, servers[lane.place], drivers, followers[lane.place], self.request)
                for lane in self.lanes
            ]
            stall_s = min(lane.job.limits.stall_s for lane in self.lanes)
            crew = Crew(drivers, watches, Watchdog(stall_s, watches[0].patience))
            try:
                shown = [
                    Shown(
                        watch.follower,
                        lane.job.recipe.plan,
                        lane.record["n_atoms"],
                        watch.agreement,
                    )
                    for lane, watch in zip(self.lanes, watches, strict=True)
                ]
                with display(shown, self.staff.job.name, self.request.limit) as screen:
                    self._look_on(crew, screen)
            finally:
                crew.wind_down(self.request, CUT_SHORT)
                for lane in self.lanes:
                    (lane.job.directory / EXIT_FILE).unlink(missing_ok=True)
            for lane, watch in zip(self.lanes, watches, strict=True):
                if lane.outcome is None:
                    finish(lane, watch)

    def _posts(self) -> list[Post]:
        return self.staff.posts([lane.place for lane in self.lanes])

    def _look_on(self, crew: Crew, screen: Display) -> None:
        """Look again and again, until no i-PI is left."""
        while True:
            for watch in crew.watches:
                watch.look()
            screen.show()
            if any(watch.ending and watch.ending.recoverable for watch in crew.watches):
                for watch in crew.watches:
                    if watch.goes_on:
                        watch.end(PAUSE)
            crew.look()
            for lane, watch in zip(self.lanes, crew.watches, strict=True):
                watch.see_off(crew.let_go)
                if lane.outcome is None and watch.gone and _has_reports(watch):
                    finish(lane, watch)
            if all(watch.gone for watch in crew.watches):
                return
            time.sleep(TICK_S)

    def _child(self, name: str, *start: Any, **how: Any) -> Child:
        return self.stack.enter_context(ended(Child(name, *start, **how)))

    def _server(self, lane: Lane) -> Child:
        directory = lane.job.directory
        (directory / EXIT_FILE).unlink(missing_ok=True)  # i-PI would stop at once
        where = self.staff.sockets_of(self.sockets, lane.place)
        where.mkdir(mode=0o700, exist_ok=True)
        both, band = lane.job.recipe.plan.forces == "mts", band_of(lane.record)
        command = ipi_command(lane.input_file, where, both, band)
        log = directory / LOGS / "ipi.log"
        one = self._child("i-PI", command, directory, log, ONE_THREAD, keep=lane.locks)
        records.note_process(directory, lane.record, one.name, one.pid)
        return one

    def _driver(self, post: Post, followers: dict[int, Follower]) -> Driver:
        """A driver, started for all whom it serves."""
        jobs = {lane.place: lane.job for lane in self.lanes if lane.place in post.places}
        ours = is_ours(self.staff.command(post, jobs, self.sockets))
        heard = {
            place: Heard(job.directory / report_file(post.report_name), ours)
            for place, job in jobs.items()
        }
        for one in heard.values():
            one.forget()  # what an earlier run left
        if self.staff.door:
            heard = {place: Heard() for place in jobs}  # drivers elsewhere say nothing here
        start: Callable[[Any], Child] = partial(self._start, post, jobs)
        steps = [followers[place].step for place in jobs]
        step = sum(steps) / len(steps)
        return Driver(start, start(jobs), post.serves, step, heard=heard)

    def _start(self, post: Post, jobs: dict[int, Job], places: Sequence[int]) -> Child:
        """One process of a driver, for those at these places."""
        served = {place: jobs[place] for place in places}
        where, threads = self.staff.directory, {"OMP_NUM_THREADS": str(self.staff.service.threads)}
        command = self.staff.command(post, served, self.sockets)
        one = self._child(post.name, command, where, where / LOGS / f"{post.name}.log", threads)
        if self.staff.record is not None:
            records.note_process(where, self.staff.record, one.name, one.pid)
        for lane in self.lanes:
            if lane.place in served:
                records.note_process(lane.job.directory, lane.record, one.name, one.pid)
        return one


def _follower(job: Job) -> Follower:
    follower = Follower(job.directory / PROPERTIES_FILE)
    follower.skip_old()
    return follower


def _watch(
    lane: Lane,
    server: Child,
    drivers: Sequence[Driver],
    follower: Follower,
    request: StopRequest,
) -> Watch:
    job = lane.job
    plan, beads = job.recipe.plan, job.recipe.ensemble.beads
    agreement = agreement_of(job.directory, lane.record, stops=job.limits.stop_on_disagreement)
    agreement.skip_old()
    # of drivers elsewhere each has shown the secret; nobody counts what they answer
    demand = None if job.remote else Demand.of(plan, beads, job.directory / lane.input_file)
    return Watch(
        server, [driver for driver in drivers if lane.place in driver.heard], follower,
        plan.n_outer, job.recipe.temperature_K, lane.record["n_atoms"], job.limits, request,
        demand=demand,
        from_step=follower.step, place=lane.place, agreement=agreement,
    )  # fmt: skip


def _has_reports(watch: Watch) -> bool:
    """Whether its drivers have written what they did for it."""
    return all(driver.heard[watch.place].end for driver in watch.drivers)
