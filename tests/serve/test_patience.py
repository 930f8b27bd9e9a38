"""How long an answer is waited for over a connection of which only the bytes are seen."""

import math

from ncforce_ipi.serve.patience import HANG_S, Longest, Patience, Wait, bound_s

WORD, FORCES = 12, 500


class Line:
    """A connection whose clock a test moves, looked at every second."""

    def __init__(self, longest=None, stall_s=math.inf):
        self.now = 1000.0
        self.wait = Wait(longest or Longest(), stall_s, Patience(lambda: self.now))

    def answers(self, seconds, *sizes):
        self.wait.asked()
        assert not self.after(seconds)
        for n_bytes in sizes:
            self.wait.answered(n_bytes)

    def after(self, seconds):
        """How long it is waited for when that is too long; 0 if it isn't within these seconds."""
        for _ in range(math.ceil(seconds)):
            self.now += min(1.0, seconds)
            if found := self.wait.too_long_s():
                return found
        return 0.0


def test_the_bound_grows_with_the_longest_answer_and_stays_below_that_of_the_run():
    assert bound_s(0.0, math.inf) == bound_s(HANG_S / 21, math.inf) == HANG_S
    assert bound_s(100.0, math.inf) == 2000.0
    assert bound_s(100.0, 600.0) == 300.0
    assert bound_s(100.0, 60.0) == HANG_S  # the run is given up before


def test_the_first_answer_takes_its_time():
    """A word isn't one."""
    line = Line()
    line.answers(0.01, WORD)
    line.wait.asked()
    assert line.after(100 * HANG_S) == 0.0


def test_then_who_says_nothing_hangs():
    for seconds, bound in ((0.01, HANG_S), (10.0, 200.0)):
        line = Line()
        line.answers(seconds, WORD, FORCES)
        line.answers(0.01, WORD)
        line.wait.asked()
        assert bound < line.after(10 * HANG_S) <= bound + 1.0


def test_who_is_asked_for_nothing_may_be_silent():
    line = Line()
    line.answers(0.01, WORD + FORCES)
    assert line.after(100 * HANG_S) == 0.0
    line.wait.answered(0)  # it leaves
    assert line.wait.longest.seconds < 1.0


def test_a_request_in_pieces_is_one():
    line = Line()
    line.answers(0.01, FORCES)
    line.wait.asked()
    assert line.after(HANG_S / 2) == 0.0
    line.wait.asked()
    assert line.after(HANG_S / 2 + 2.0) > HANG_S


def test_the_other_role_of_a_slow_driver_may_take_as_long():
    """Its answers from memory say nothing of how long a call takes."""
    both = Longest()
    fast, slow = Line(both), Line(both)
    slow.answers(0.01, FORCES)
    fast.answers(50.0, FORCES)
    slow.wait.asked()
    assert slow.after(900.0) == 0.0
    assert slow.after(200.0) > 1000.0


def test_time_in_which_the_whole_job_was_stopped_does_not_count():
    line = Line()
    line.answers(0.01, FORCES)
    line.wait.asked()
    assert line.after(10.0) == 0.0
    line.now += 3600.0
    assert line.after(100.0) == 0.0
    assert line.after(20.0) > 0.0
