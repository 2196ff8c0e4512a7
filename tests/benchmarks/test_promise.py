from __future__ import annotations

import numpy as np
import pytest

from benchmarks import promise, rules, worlds
from benchmarks.rules import RULES, Outcome
from benchmarks.worlds import Images, Plant, World

MEAN, _, _, NEXT, CAPPED, _, LOT, _, _ = RULES


def images(scores: list[float], fails: list[bool], nights: list[int]) -> Images:
    return Images(
        score=np.array(scores, dtype=np.float32),
        is_fail=np.array(fails),
        night=np.array(nights),
        lot=np.array(nights),
    )


def small_world(coming: list[float], fails: list[bool], nights: list[int]) -> World:
    """Of 200 defects in the past the lowest has .5; so have 100 good images, half of them below."""
    past = images(
        [0.5, *([0.75] * 199), *([0.25] * 50), *([0.875] * 50)],
        [True] * 200 + [False] * 100,
        [0] * 300,
    )
    return World(past=past, coming=images(coming, fails, nights))


def test_a_rule_is_judged_on_what_comes() -> None:
    # Of four defects one slips, of two good images one is cleared.
    world = small_world([0.25, 0.75, 0.75, 0.75, 0.25, 0.75], [True] * 4 + [False] * 2, [1] * 6)
    assert rules.judge(world, NEXT, 0.02) == Outcome(
        rule="next", rate=0.02, next_held=True, fold_held=False, cleared=0.5
    )


def test_five_slips_of_the_next_200_break_the_promise_however_few_follow() -> None:
    world = small_world([0.25] * 5 + [0.75] * 395, [True] * 400, [1] * 400)
    later = small_world([0.75] * 196 + [0.25] * 5 + [0.75] * 199, [True] * 400, [1] * 400)
    held = [rules.judge(each, NEXT, 0.02) for each in (world, later)]
    assert [(each.next_held, each.fold_held) for each in held] == [(False, True), (True, True)]


def test_the_cap_follows_the_night_before() -> None:
    # A sixth of the past's images lies below .5. Night 1 is judged by the past's last night, which
    # leaves .5; night 2 by night 1, of whose six images one lies below .25.
    coming = [0.125, 0.25, 0.25, 0.375, 0.375, 0.75, 0.1875, 0.3125]
    world = small_world(coming, [False] * 8, [1] * 6 + [2] * 2)
    assert rules.judge(world, NEXT, 0.02).cleared == 7 / 8
    assert rules.judge(world, CAPPED, 0.02).cleared == 6 / 8
    # Three standard errors of a sixth of six images are .46: three of them lie below .375.
    assert np.count_nonzero(rules.decide(world, 0.5, 0.0)) == 6
    assert np.count_nonzero(rules.decide(world, 0.5, 3.0)) == 7


def test_rules_refuse_too_few_defects() -> None:
    few = images([0.5] * 66, [True] * 66, list(range(66)))
    assert [rule.choose(few, 0.02) for rule in RULES] == [0.0] * 9
    # The mean's bound asks for 59 at 5 %, next for 64, lot for 67.
    assert [rule.choose(few, 0.05) for rule in (MEAN, NEXT, LOT)] == [0.5, 0.5, 0.0]
    assert LOT.choose(images([0.5] * 200, [True] * 200, [0] * 200), 0.05) == 0.0


@pytest.mark.parametrize("plant", worlds.PLANTS, ids=lambda plant: plant.name)
def test_a_world_has_four_folds_behind_it_and_defects_enough_to_come(plant: Plant) -> None:
    drawn = worlds.world(np.random.default_rng(3), plant)
    assert set(drawn.past.night) == set(range(20))
    assert drawn.coming.night[0] == 20
    assert np.count_nonzero(drawn.coming.is_fail) >= 200
    assert len(set(drawn.coming.night)) >= 5
    assert (np.diff(drawn.past.night) >= 0).all()


def mean_dispersion(*, drift: bool, lots: bool) -> float:
    plant = Plant(drift=drift, lots=lots, unseen=False)
    pasts = [worlds.world(np.random.default_rng([9, index]), plant).past for index in range(150)]
    large = [past for past in pasts if np.count_nonzero(past.is_fail) > 300]
    assert len(large) > 50
    return float(np.mean([promise.dispersion(past, 0.05) for past in large]))


def test_folds_differ_by_chance_unless_something_drifts() -> None:
    assert mean_dispersion(drift=False, lots=False) == pytest.approx(1.0, abs=0.25)
    assert mean_dispersion(drift=True, lots=False) > 2


def test_dispersion_compares_slips_of_folds_with_chance() -> None:
    # Four folds of 20 defects, 16 of 80 below their lowest fifth, all in the first fold:
    # expected 4 each, 4 x .8 squared deviations of chance; (12^2 + 3 x 4^2) / 3.2 / 3.
    scores = [0.1 + row / 1000 for row in range(16)] + [0.9] * 64
    past = images(scores, [True] * 80, [row // 4 for row in range(80)])
    assert promise.dispersion(past, 0.2) == pytest.approx(20.0)


def test_the_next_defects_rule_with_the_share_cap_holds_where_the_mean_does_not() -> None:
    found = rules.simulate(320, seed=1, rules=(MEAN, CAPPED), rates=(0.05,))
    known = [each for plant in found if not plant.unseen for each in found[plant]]
    held = {
        rule.name: np.mean([each.next_held for each in known if each.rule == rule.name])
        for rule in (MEAN, CAPPED)
    }
    assert len(known) == 2 * 160
    assert held[CAPPED.name] >= 0.95
    assert held[MEAN.name] < 0.92
    # No rule knows of kinds that nobody has seen.
    new = [each for plant in found if plant.unseen for each in found[plant]]
    assert np.mean([each.next_held for each in new if each.rule == CAPPED.name]) < 0.9


def test_the_tables_tell_each_rule_and_what_changes(capsys: pytest.CaptureFixture[str]) -> None:
    assert promise.main(["--worlds", "8", "--seed", "4"]) == 0
    printed = capsys.readouterr().out
    assert "| no unseen kind, n = 4 | next 4 / rate, 2% |" in printed
    assert "| an unseen kind, n = 4 |" in printed
    assert printed.count("\n| next, share cap |") == 2
    assert "| drift and lots | " in printed
    assert "dispersion of slips between folds: " in printed


def test_fewer_worlds_than_plants_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match=r"^2$"):
        promise.main(["--worlds", "7"])
    assert "8 at least" in capsys.readouterr().err
