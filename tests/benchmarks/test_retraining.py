from __future__ import annotations

import numpy as np
import pytest

from benchmarks import retraining

pytestmark = pytest.mark.slow


def test_control_boards_keep_the_promise_and_tell_the_truth_through_ten_retrainings() -> None:
    line = retraining.simulate(0, retraining.CONTROLLED, weighed=True)

    assert all(period.slip_rate <= retraining.PROMISE.max_slip_rate for period in line)
    within = [period.told.lower <= period.slip_rate <= period.told.upper for period in line]
    assert np.count_nonzero(within) >= 9
    assert min(period.cleared for period in line) > 0.2


def test_an_audit_alone_taken_as_it_comes_hides_what_slips() -> None:
    line = retraining.simulate(0, retraining.AUDITED, weighed=False)

    first, last = line[0], line[-1]
    assert last.slip_rate > max(2 * first.slip_rate, retraining.PROMISE.max_slip_rate)
    assert last.slip_rate > last.told.upper
