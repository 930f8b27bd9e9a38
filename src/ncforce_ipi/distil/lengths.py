"""How long a test of a pair is: by calls of the teacher, and by the time that it takes.

`Choices.test_steps` counts calls of the teacher alone.  Where a call of the student isn't much
cheaper, most of a test is the student's, and so many steps would take the time of other rounds and
of smaller M.  So a test takes no longer than a training, and one at another M no longer than what
is left.
"""

from __future__ import annotations

import math

from ncforce_ipi.distil.choices import FEWEST_HOT, FEWEST_OUTER
from ncforce_ipi.distil.session import Session
from ncforce_ipi.distil.trial import Trial


def asked(session: Session, fast_ms: float) -> int:
    """Outer steps of a test at the M asked for, before any was made.

    Parameters
    ----------
    fast_ms : of a call of the student
    """
    choices = session.choices
    if not choices.train_minutes:
        return choices.test_steps
    outer_s = session.known.seconds + 1e-3 * session.request.mts * fast_ms
    return min(choices.test_steps, max(FEWEST_OUTER, int(60.0 * choices.train_minutes / outer_s)))


def hot(session: Session, fast_ms: float) -> int:
    """Outer steps of a hot run: a fifth of a test at most."""
    fewest = min(FEWEST_HOT, session.choices.hot_steps)
    return min(session.choices.hot_steps, max(fewest, asked(session, fast_ms) // 5))


def outer_s(session: Session, trial: Trial, mts: int) -> float:
    """Seconds of an outer step at M = ``mts``, by what a test at another M took.

    NaN where that wasn't timed.
    """
    slow_ms = trial.reference_ms_per_inner_step
    if not math.isfinite(slow_ms):
        slow_ms = 1e3 * session.known.seconds
    inner_ms = max(trial.ms_per_inner_step - slow_ms / trial.mts, 0.0)
    return 1e-3 * (slow_ms + mts * inner_ms)


def another(session: Session, trial: Trial, fast_ms: float, mts: int, *, all_of_it: bool) -> int:
    """Outer steps of a test at another M, for each system, as far as the budget has room.

    0 where too few are left to tell a drift.

    Parameters
    ----------
    trial : the test at the M asked for
    fast_ms : of a call of the student
    all_of_it : also what is kept for smaller M
    """
    n_systems, step_s = len(session.systems), outer_s(session, trial, mts)
    by_calls = session.left_calls(all_of_it=all_of_it) / n_systems
    by_time = session.left_s(all_of_it=all_of_it) / (n_systems * step_s) if step_s > 0 else math.inf
    steps = int(max(0.0, min(asked(session, fast_ms), by_calls, by_time)))
    return steps if steps >= min(FEWEST_OUTER, session.choices.test_steps) else 0
