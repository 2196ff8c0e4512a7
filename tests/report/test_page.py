from __future__ import annotations

import dataclasses
import re
from datetime import date
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pcb_spark.core import names
from pcb_spark.lake.scopes import Scope
from pcb_spark.learning import promotion
from pcb_spark.learning.rates import Rate
from pcb_spark.report import Contest, charts, render, words
from tests import models
from tests.report import evidence


class Page(HTMLParser):
    """What a reader of the page gets: its text, its pictures, its headings and its links."""

    VOID = ("meta", "img", "source", "br", "link")

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.words: list[str] = []
        self.images: list[dict[str, str]] = []
        self.headings: list[int] = []
        self.addresses: list[str] = []
        self.cells: list[str] = []
        self.feed(html)
        assert self.open == []
        self.text = re.sub(r"\s+", " ", " ".join(self.words))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.addresses += [found[name] for name in ("src", "srcset", "href") if name in found]
        if tag == "img":
            self.images.append(found)
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in ("td", "th"):
            self.cells.append(data)
        if "style" not in self.open:
            self.words.append(data)


@pytest.fixture(scope="module")
def html() -> str:
    return render(evidence.full())


@pytest.fixture(scope="module")
def page(html: str) -> Page:
    return Page(html)


def headline(**changes: Any) -> words.Headline:
    return words.headline(evidence.full(**changes))


HELD: dict[str, Any] = {"slip_rate": 0.01, "defects": 400, "next_slips": 4}
PROMISED = (
    "Of the next 200 defects at most 4 slip (95 % confidence), if they resemble the 300 defects of "
    "27 January to 27 February"
)
SEEN = (
    "Trained on 12 images of 4 boards, 2026-01-05 to 2026-02-27; judged on 12 of them by "
    "classifiers that saw only earlier days."
)


def test_headline_is_the_promise_and_then_what_happened_forward() -> None:
    assert headline(metrics=evidence.metrics(**HELD)) == words.Headline(
        "Training run",
        PROMISED,
        "Forward in time, by thresholds chosen on the folds before, 4 of 400 defects slipped and "
        f"90.0\u00a0% of false calls were cleared. {SEEN}",
    )


@pytest.mark.parametrize(
    ("outcome", "said"),
    [
        (
            {"slip_rate": 0.04, "defects": 50, "next_slips": 2},
            "2 of 50 defects slipped in fold 2, where 2\u00a0% may",
        ),
        (
            {"slip_rate": 0.015, "defects": 400, "next_slips": 5},
            "6 of 400 defects slipped in fold 2, 5 of the first 200, where 4 of 200 may",
        ),
        (
            {"slip_rate": 0.03, "defects": 400, "next_slips": 4},
            "12 of 400 defects slipped in fold 2, where 2\u00a0% may",
        ),
    ],
)
def test_a_promise_that_was_broken_forward_is_the_headline(
    outcome: dict[str, Any], said: str
) -> None:
    found = headline(metrics=evidence.metrics(**outcome))

    assert found.sentence == f"The promise was broken forward in time: {said}"
    assert found.detail.startswith(f"{PROMISED}. Forward in time, by thresholds")


def test_without_a_second_fold_the_promise_stands_alone() -> None:
    one_fold = evidence.metrics()
    one_fold = one_fold[one_fold["scope_kind"] != "forward"]
    assert headline(metrics=one_fold) == words.Headline("Training run", PROMISED, SEEN)


def test_a_model_of_an_earlier_version_tells_what_it_has() -> None:
    earlier = evidence.model(threshold=models.EARLIER_THRESHOLD)
    held = evidence.metrics(**HELD)
    held = held[held["metric"] != "next_slips"]
    page = Page(render(evidence.full(model=earlier, metrics=held)))

    assert "At most 2 % of defects slip (95 % confidence), on the mean of the past" in page.text
    row = page.cells.index("pooled")
    assert page.cells[row : row + 7] == [
        "pooled", "0.25", "1.90\u00a0% on the mean", "4", "n/a", "1 of 4", "3 of 6",
    ]  # fmt: skip
    assert "bound is that of an earlier version and isn't drawn" in page.text
    broken = Page(render(evidence.full(model=earlier)))
    assert "The promise was broken forward in time: 2 of 50 defects slipped" in broken.text


def test_the_evidence_for_the_threshold_is_told(page: Page) -> None:
    row = page.cells.index("pooled")
    assert page.cells[row : row + 7] == [
        "pooled", "0.25", "4 of the next 200", "300, 163 needed", "4.00\u00a0%", "1 of 300",
        "3 of 6",
    ]  # fmt: skip


def test_page_needs_nothing_else(html: str, page: Page) -> None:
    assert page.addresses
    assert {address.partition(",")[0] for address in page.addresses} == {
        "data:image/svg+xml;base64", "data:image/jpeg;base64",
    }  # fmt: skip
    assert "<script" not in html
    assert "default-src 'none'" in html
    assert "url(" not in html
    assert "@import" not in html


def test_every_picture_says_in_words_what_it_shows(page: Page) -> None:
    assert len(page.images) > 10
    assert [image for image in page.images if len(image.get("alt", "")) < 15] == []


def test_headings_leave_no_level_out(page: Page) -> None:
    assert page.headings[0] == 1
    assert page.headings.count(1) == 1
    steps = zip(page.headings, page.headings[1:], strict=False)
    assert [(upper, lower) for upper, lower in steps if lower > upper + 1] == []


def test_forward_in_time_is_counted(page: Page) -> None:
    row = page.cells.index("2 of 50")
    assert page.cells[row - 1 : row + 5] == [
        "2", "2 of 50", "4.0\u00a0%, too high", "90.0\u00a0%", "50.0\u00a0%", "110",
    ]  # fmt: skip
    assert "more defects slipped than promised, 2 %, in 1 of 1 folds." in page.text


def test_pixel_difference_stands_beside_the_model(page: Page) -> None:
    assert "0.988 [0.970, 0.995]" in page.cells
    assert "0.750 [0.700, 0.800]" in page.cells


def test_worst_slip_comes_with_image_reference_and_heat_map(page: Page) -> None:
    alts = [image["alt"] for image in page.images]
    assert "Component image of b1 · R4" in alts
    assert "Golden reference of b1 · R4" in alts
    assert any(alt.startswith("Heat map of b1 · R4: ") for alt in alts)
    assert "verdict: fail (open)" in page.text


def test_image_that_is_gone_is_said_to_be(page: Page) -> None:
    assert "The image can't be shown" in page.text


def test_books_and_rejects_are_accounted_for(page: Page) -> None:
    assert page.cells[page.cells.index("104") :][:3] == ["104", "101", "3"]
    assert "truncated_image" in page.cells


def test_rows_that_are_missing_are_not_overlooked() -> None:
    lost = evidence.runs().assign(rows_out=90)
    assert "rows are missing" in Page(render(evidence.full(runs=lost))).cells


def test_untrained_backbone_is_named() -> None:
    untrained = evidence.model(trained_backbone=False)
    assert "The backbone is untrained" in Page(render(evidence.full(model=untrained))).text


def test_threshold_that_clears_nothing_says_why() -> None:
    known = evidence.model().manifest.threshold
    reason = "clears nothing yet: 163 verified defects are needed, 78 are there"
    few = evidence.model(threshold={**known, "value": 0.0, "rank": 0, "reason": reason})
    none = evidence.metrics(slip_rate=0.0, next_slips=0)
    page = Page(render(evidence.full(model=few, metrics=none)))
    assert "Nothing is cleared yet" in page.text
    assert f"C{reason[1:]}. Meanwhile review flags in the order of their scores" in page.text
    assert "of the first 1 of 12 out-of-fold flags 1 were defects" in page.text
    assert "Forward in time" in page.text
    assert "No defect of the out-of-fold scores would have been cleared." in page.text


def test_segments_with_thresholds_of_their_own_are_shown_and_used() -> None:
    known = evidence.model().manifest.threshold
    split = {**known, "segment_by": "lot", "by_segment": {"A": {**known, "value": 0.0}}}
    page = Page(render(evidence.full(model=evidence.model(threshold=split))))
    assert "0" in page.cells[page.cells.index("A") :][:2]
    # Of all 12 images B's at 0.02 and 0.24 are cleared.
    chart = next(each for each in page.images if each["alt"].startswith("Share of defects slipped"))
    assert "clears 16.7% of 12 flags and lets 0 of 5 defects slip" in chart["alt"]


def test_where_only_a_line_clears_something_not_nothing_is_cleared() -> None:
    known = evidence.model().manifest.threshold
    split = {**known, "value": 0.0, "segment_by": "lot", "by_segment": {"A": known}}
    model = evidence.model(threshold=split)
    assert headline(model=model, metrics=evidence.metrics(**HELD)).sentence == PROMISED


def test_curve_is_drawn_by_the_rule_that_the_threshold_was_chosen_by() -> None:
    known = evidence.model().manifest.threshold
    by_lot = {
        **known, "bound": "lot", "next_slips": 2, "next_defects": 100,
        "spread": {"lots": 2, "correlation": 0.2, "companions": 1.5},
    }  # fmt: skip
    drawn = [
        charts.slip_against_review(evidence.full(model=evidence.model(threshold=each)))
        for each in (known, by_lot, models.EARLIER_THRESHOLD)
    ]
    assert len({chart.light if chart else "" for chart in drawn}) == 3
    captions = [chart.caption if chart else "" for chart in drawn]
    assert "how many of the next 200 defects slip at most, with 95% confidence" in captions[0]
    assert "how many of the next 100 defects" in captions[1]


def test_without_a_model_each_section_says_what_is_missing() -> None:
    page = Page(render(evidence.empty()))
    for sentence in (
        "No model has been trained yet",
        "There are no out-of-fold scores yet: train a model first.",
        "There are no metrics of a training run yet.",
        "Nothing has been scored yet.",
        "These runs rejected nothing.",
    ):
        assert sentence in page.text


def test_night_comes_first_when_it_is_the_newest() -> None:
    page = Page(render(evidence.full(night=evidence.night())))
    assert "60 % of 100 flags need no operator" in page.text
    assert "31 by their scores, 3 unscorable, 4 of control boards" in page.text
    assert "and 2 as an audit of what is cleared" in page.text
    assert page.text.index("Decisions of the newest") < page.text.index("What is promised")
    assert page.cells[page.cells.index("truncated_image") + 1] == "3"
    assert "decision: pass" in page.text


def test_night_of_the_training_run_itself_stands_behind() -> None:
    night = dataclasses.replace(evidence.night(), run_id="20260301T000000Z-00ff00")
    page = Page(render(evidence.full(night=night)))
    assert "Of the next 200 defects at most 4 slip" in page.text
    assert page.text.index("Decisions of the newest") > page.text.index("What is promised")


def test_night_without_images_says_so() -> None:
    night = evidence.night()
    idle = dataclasses.replace(night, counts=night.counts.head(0), nearest=night.nearest.head(0))
    page = Page(render(evidence.full(night=idle)))
    assert "No image was scored" in page.text
    assert "This run scored no image." in page.text


def test_scores_by_another_model_are_said_to_be() -> None:
    other = dataclasses.replace(evidence.night(), model_version="2025-12-31-ffff")
    page = Page(render(evidence.full(night=other)))
    assert "The newest scores are by model 2025-12-31-ffff" in page.text


def test_suspected_verdicts_are_listed() -> None:
    rows = evidence.out_of_fold().head(2)
    rows = rows.assign(
        reason=["score_contradicts", "duplicate_contradicts"], probability=[0.98, None]
    )
    page = Page(render(evidence.full(suspects=rows)))
    row = page.cells.index("b0 R0")
    assert page.cells[row : row + 6] == [
        "b0 R0", "A", "2026-02-01", "pass", "0.980", "score contradicts",
    ]  # fmt: skip
    assert page.cells[row + 6 : row + 12] == [
        "b0 R1", "B", "2026-02-02", "pass", "n/a", "duplicate contradicts",
    ]  # fmt: skip


def test_names_from_the_line_are_text_and_not_markup() -> None:
    rows = evidence.out_of_fold().assign(**{names.BOARD_ID: "<script>alert(1)</script>"})
    html = render(evidence.full(out_of_fold=rows))
    assert "<script>" not in html
    assert "&lt;script&gt;" in html


def test_gallery_of_none_shows_no_photographs() -> None:
    html = render(evidence.full(gallery=0, pairs={}))
    assert "image/jpeg" not in html


def test_one_model_is_told_by_its_spec(page: Page) -> None:
    assert "layer1, max, difference to the reference, fp32; 512 numbers" in page.text


def test_nulls_of_parquet_are_no_figures() -> None:
    found = evidence.full()
    assert found.figure(Scope("lot", "B"), "roc_auc") is None
    assert found.figure(Scope("lot", "C"), "roc_auc") is None
    bounds = found.figure(Scope("defect", "open"), "roc_auc")
    assert bounds is not None
    assert (bounds.value, bounds.lower, bounds.upper, bounds.n) == (0.9, None, None, 9)
    assert isinstance(found.metrics, pd.DataFrame)


def test_nights_are_shown_one_after_the_other_with_what_they_rest_on() -> None:
    counts = {"images": [2_000, 1], "verified": [30, 0]}
    ppm = {"false_calls_ppm": [1_234.4, np.nan], "defects_ppm": [9.0, np.nan]}
    nights = pd.DataFrame({
        "capture_date": [date(2026, 3, 2), date(2026, 3, 3)], **counts, **ppm,
        "slips_ppm": [2.0, np.nan],
    })  # fmt: skip
    parts = nights.drop(columns="capture_date").assign(part_number=["R0402", "C0201"], share=[1, 0])

    html = render(evidence.full(trend=nights, pareto={"part_number": parts, "line": parts.head(0)}))
    shown = Page(html)

    assert "2026-03-03 1 0 n/a n/a n/a 2026-03-02 2,000 30 1,234 9 2" in shown.text
    assert "Most defects by part number" in shown.text
    assert "R0402 100 % 2,000 30 1,234 9 2" in shown.text
    assert "Most defects by line" not in shown.text
    assert "night by night" not in Page(render(evidence.full())).text


def side(slips: float, cleared: float) -> promotion.Side:
    return promotion.Side(
        slip_rate=Rate(slips, 0.0, slips + 0.02, 90),
        false_call_reduction=Rate(cleared, cleared - 0.1, cleared + 0.1, 210),
        review_reduction=Rate(cleared / 2, 0.2, 0.6, 300),
    )


def contest(*refusals: str) -> Contest:
    return Contest(
        challenger="3",
        champion="2",
        found=promotion.Comparison(
            images=300, defects=90, boards=30, challenger=side(0.01, 0.8), champion=side(0.02, 0.7),
            difference=0.05, interval=(-0.01, 0.11), refusals=refusals,
        ),
    )  # fmt: skip


def test_a_challenger_stands_beside_the_champion() -> None:
    shown = Page(render(evidence.full(contest=contest()))).text

    assert (
        "On the same 300 verified images of 30 boards, 90 of them defects, by classifiers that "
        "hadn't seen them. The challenger saves 5.0 % of all reviews more [-1.0 %, 11.0 %]. "
        "The gate lets it pass; nothing is promoted by that."
    ) in shown
    assert "challenger, version 3 1.0 % [0.0 %, 3.0 %] 80.0 % [70.0 %, 90.0 %]" in shown
    assert "champion, version 2 2.0 % [0.0 %, 4.0 %] 70.0 % [60.0 %, 80.0 %]" in shown


def test_what_the_gate_refuses_is_said_to_be() -> None:
    shown = Page(render(evidence.full(contest=contest("it clears less", "more slip")))).text

    assert "The gate refuses it: it clears less; more slip." in shown
    assert "Champion and challenger" not in Page(render(evidence.full())).text
