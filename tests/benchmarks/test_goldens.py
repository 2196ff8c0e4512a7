from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from benchmarks import golden_nights, golden_pairs, golden_tables, goldens
from tests.goldens import decoded


def row(day: int, name: str, verdict: str = "pass") -> dict[str, str]:
    return {
        "image": name, "board_id": name, "line": "L1", "position": "U1", "verdict": verdict,
        "captured_at": f"2026-01-{day:02}T06:00:00Z", "defects": "",
    }  # fmt: skip


def test_an_image_is_compared_with_what_earlier_days_made() -> None:
    rows = [row(5, "a"), row(5, "b"), row(5, "c"), row(5, "d", "fail"), row(6, "e"), row(6, "f")]
    pixels = {each["image"]: decoded(1, number) for number, each in enumerate(rows)}
    pixels["f"] = decoded(2)
    made, found = golden_pairs.compared(rows, pixels)
    assert found == {"e": 0}
    assert len(made) == 2  # one for day 6, and one for day 7 that has seen e


def test_one_of_seven_images_is_wrong_where_that_is_asked_for() -> None:
    names = "abcdefghij"
    rows = [row(5, name) for name in names[:6]]
    rows += [row(5, name, "fail") for name in names[6:9]] + [row(6, names[9])]
    pixels = {each["image"]: decoded(1, number) for number, each in enumerate(rows)}
    right, wrong = (golden_pairs.compared(rows, pixels, wrong=each)[0] for each in (False, True))
    of_seven = golden_pairs.compared([row(5, name) for name in names[:7]], pixels)[0]
    assert not np.array_equal(right[0], wrong[0])
    assert np.array_equal(wrong[0], of_seven[0])


@pytest.mark.parametrize("weight", [[1, 1, 1, 1, 1], [2, 0, 1, 3, 1]])
def test_the_area_counts_ties_half_and_images_by_their_weight(weight: list[float]) -> None:
    fails = np.array([True, False, True, False, False])
    scores, times = np.array([0.9, 0.2, 0.4, 0.4, 0.1]), np.array(weight, dtype=float)
    expected = roc_auc_score(fails, scores, sample_weight=times)
    assert golden_tables.weighed_areas(fails, scores, times[None]) == pytest.approx(expected)


def test_classifiers_apart_are_weighed_by_their_log_odds() -> None:
    both = np.array([True, True])
    judged = {
        golden_pairs.OWN: (both, [np.array([0.5, 0.9])]),
        golden_pairs.NONE: (np.array([True, False]), [np.array([0.5, 0.1])]),
    }
    there, (scores,) = goldens.apart(judged)["own and the image itself, apart"]
    assert there.tolist() == [True, False]
    assert scores == pytest.approx([0.5, 0.75])


def drop(days: int = 10, images: int = 40) -> golden_tables.Drop:
    rows = [
        row(1 + day, f"{day} {number}", "fail" if number % 2 else "pass")
        for day in range(days)
        for number in range(images)
    ]
    return golden_tables.Drop.of(rows)


def test_scores_come_from_earlier_days_and_only_where_there_is_something_to_compare_with() -> None:
    known = drop()
    rng = np.random.default_rng(0)
    values = known.fails[:, None] + rng.normal(0, 0.1, (400, 1))
    there = np.arange(400) % 5 > 0
    seen = golden_pairs.Seen(there, values.astype(np.float32))
    scores = goldens.scores_forward(known, seen, True, 0)
    assert np.array_equal(np.isfinite(scores), there & (known.fold > 0))
    judged = np.isfinite(scores)
    assert roc_auc_score(known.fails[judged], scores[judged]) > 0.99


def test_a_line_begins_without_golden_images_and_clears_once_it_knows_enough(
    capsys: pytest.CaptureFixture[str],
) -> None:
    start, rows, fails = date(2026, 1, 1), [], []
    for number in range(1200):
        day = start + timedelta(days=number // 200)
        fails.append(number % 2 == 0)
        rows.append(row(day.day, str(number), "fail" if fails[-1] else "pass"))
    values = np.where(fails, 1.0, 0.0)[:, None] + np.random.default_rng(0).normal(0, 0.1, (1200, 1))
    days = np.array([golden_pairs.day_of(each) for each in rows], dtype="datetime64[D]")
    there = days > np.datetime64("2026-01-01")
    seen = golden_pairs.Seen(there, values.astype(np.float32))
    golden_nights.say_nights(rows, seen, np.array(fails), days, 2)
    table = [line.split(" | ") for line in capsys.readouterr().out.splitlines()[2:]]
    assert [line[1] for line in table] == ["50%", "0%", "0%"]
    assert [line[2] for line in table] == ["none", "1.000", "1.000"]
    assert [line[3] for line in table][:2] == ["0%", "0%"]
    assert float(table[2][3].rstrip("%")) > 80
