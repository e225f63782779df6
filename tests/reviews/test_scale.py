"""The scale of ratings is that of the whole file, and what is impossible on it does not change it."""

from math import inf

import numpy as np
import pyarrow as pa
import pytest

from reviews.scale import RatingCounts, Scale, count_ratings, find_scale, say_far, say_zeros

DRAWN = np.random.default_rng(1)
STARS = {1: 50, 2: 60, 3: 90, 4: 200, 5: 300}
TEN = {1: 2, 2: 3, 3: 6, 4: 9, 5: 51, 6: 37, 7: 76, 8: 103, 9: 67, 10: 78}


def counted(rows: dict[float, int] | np.ndarray) -> RatingCounts:
    if isinstance(rows, dict):
        rows = np.repeat(sorted(rows), [rows[value] for value in sorted(rows)])
    return count_ratings(pa.chunked_array([pa.array(rows, pa.float64())]))


SCALES: dict[str, tuple[dict[float, int] | np.ndarray, str]] = {
    "stars": (STARS, "1 to 5"),
    "stars and a few impossible values": (STARS | {7: 1, 99: 3}, "1 to 5"),
    "stars and one that is far off in 1 of 10 rows": (STARS | {99: 70}, "1 to 5"),
    "stars and a few zeros": (STARS | {0: 3}, "1 to 5"),
    "48 stars and one that is impossible": ({1: 5, 2: 6, 3: 9, 4: 18, 5: 9, 6: 1}, "1 to 5"),
    "48 stars and a zero": ({1: 5, 2: 6, 3: 9, 4: 18, 5: 9, 0: 1}, "1 to 5"),
    "stars from 0": (STARS | {0: 40}, "0 to 5"),
    "mean ratings": (DRAWN.uniform(1, 5, 500).round(2), "1 to 5"),
    "half stars of 48 reviews": ({0.5: 2, 1: 4, 1.5: 3, 2: 4, 3.5: 10, 4: 15, 5: 10}, "0.5 to 5"),
    "half stars": ({0.5: 24, 1: 68, 1.5: 28, 2: 143, 2.5: 88, 3: 429, 3.5: 220, 4: 556, 4.5: 153, 5: 290}, "0.5 to 5"),
    "half stars and a zero": ({0: 1, 0.5: 30, 1: 500, 2: 900, 2.5: 700, 3: 2500, 3.5: 2000, 4: 4000}, "0.5 to 5"),
    "six, the best rare": ({1: 100, 2: 100, 3: 200, 4: 300, 5: 400, 6: 40}, "0 to 10"),
    "ten, of 3 reviews": ({2: 1, 5: 1, 8: 1}, "1 to 10"),
    "ten, of 6 reviews": ({4: 2, 5: 2, 8: 1, 10: 1}, "1 to 10"),
    "ten": (TEN, "1 to 10"),
    "ten, and -1 for watched": (TEN | {-1: 100}, "1 to 10"),
    "ten, most of them zero": (TEN | {0: 700}, "0 to 10"),
    "percent": (DRAWN.normal(75, 10, 500).round().clip(0, 100), "0 to 100"),
    "Jester": (DRAWN.uniform(-10, 10, 500).round(2), "-10 to 10"),
    "likes": ({0: 30, 1: 70}, "0 to 1"),
    "thumbs and a fault": ({-1: 300, 1: 700, 2: 1}, "-10 to 10"),
    "thumbs": ({-1: 30, 1: 70}, "-1 to 1"),
    "one value": ({5: 9}, "1 to 5"),
    "plays": (np.floor(DRAWN.pareto(1, 500) * 10) + 1, "0 or more"),
    "small counts with a tail": (DRAWN.geometric(0.7, 20_000), "0 or more"),
    "purchases, fewer the more": ({1: 600, 2: 200, 3: 80, 4: 30, 5: 12, 6: 4, 7: 2}, "0 or more"),
    "purchases, some of them many": ({1: 250, 2: 80, 3: 40, 4: 15, 5: 8, 11: 1, 14: 1, 20: 1}, "0 or more"),
    "purchases with gaps": ({1: 900, 2: 80, 3: 10, 6: 2, 8: 1, 12: 1, 20: 1}, "0 or more"),
    "purchases, mostly one": ({1: 90, 2: 8, 7: 1, 12: 1}, "0 or more"),
    "purchases by the ten": ({1: 9000, 2: 500, 3: 80, 4: 90, 5: 20, 6: 2, 10: 15, 12: 10}, "0 or more"),
    "hours": (DRAWN.lognormal(1, 2, 500).round(1), "0 or more"),
    "sums of money, some paid back": (DRAWN.normal(50, 200, 500), "any number"),
    "no number": ({}, "1 to 5"),
}


@pytest.mark.parametrize("case", SCALES)
def test_smallest_known_scale_that_holds_the_ratings_is_taken(case):
    rows, expected = SCALES[case]
    assert find_scale(counted(rows)).describe() == expected


@pytest.mark.parametrize("share", [0.001, 0.004, 0.009])
def test_few_rows_of_any_value_do_not_change_the_scale_of_stars(share):
    rng = np.random.default_rng(3)
    stars = rng.choice([1, 2, 3, 4, 5], 2_000, p=[0.1, 0.1, 0.2, 0.3, 0.3])
    wrong = rng.choice([-5, 11, 20, 42, 55, 99, 1000], int(share * 2_000))
    assert find_scale(counted(np.concatenate([stars, wrong]))).describe() == "1 to 5"


def whole(low: int, high: int, rng: np.random.Generator, n: int) -> np.ndarray:
    weights = rng.uniform(0.3, 1.3, high - low + 1)
    return rng.choice(np.arange(low, high + 1), n, p=weights / weights.sum())


DRAWS = {
    "stars": lambda rng, n: whole(1, 5, rng, n),
    "half stars": lambda rng, n: whole(1, 10, rng, n) / 2,
    "0 to 10": lambda rng, n: whole(0, 10, rng, n),
    "1 to 10": lambda rng, n: whole(1, 10, rng, n),
    "1 to 6": lambda rng, n: whole(1, 6, rng, n),
    "percent": lambda rng, n: whole(0, 100, rng, n),
    "purchases": lambda rng, n: rng.geometric(rng.uniform(0.1, 0.9), n),
    "plays": lambda rng, n: rng.zipf(rng.uniform(1.3, 3), n),
    "Jester": lambda rng, n: rng.uniform(-10, 10, n).round(2),
}


@pytest.mark.parametrize("kind", DRAWS)
def test_no_row_of_a_sample_is_put_aside_but_a_fault_that_is_far_off_is(kind):
    for seed in range(200):
        rng = np.random.default_rng(seed)
        n = int(np.exp(rng.uniform(np.log(5), np.log(5_000))))
        sample = DRAWS[kind](rng, n)
        scale = find_scale(counted(sample))
        assert scale.low <= sample.min() <= sample.max() <= scale.high, (seed, n, scale)
        if "stars" in kind and n >= 200:
            scale = find_scale(counted(np.append(sample, rng.choice([55, 500, -999]))))
            assert scale.high == 5, (seed, n, scale)


def test_a_column_that_is_named_as_counts_are_has_no_upper_end():
    scale = find_scale(counted(STARS | {7: 1}), column="play_count:float")
    assert scale.describe() == "0 or more"
    assert scale.evidence.startswith("'play_count:float' names counts; all 701 ratings are within")


def test_ends_that_are_given_are_kept_and_the_other_is_found():
    assert find_scale(counted(TEN), high=8.0) == Scale(1, 8, find_scale(counted(TEN), high=8.0).evidence)
    assert find_scale(counted(STARS), low=3.0).high == 5
    assert find_scale(counted(STARS), low=6.0).high == inf
    assert find_scale(counted(STARS), low=2.0, high=4.0).is_set
    assert find_scale(counted(STARS), low=1.0).evidence.startswith("--min-rating sets one end, the other is found; all")


def test_evidence_says_how_many_are_within_and_what_is_outside():
    part = find_scale(counted(STARS | {7: 1, 99: 3, 1000: 1, -4: 1})).to_part()
    assert part.value == "1 to 5"
    assert part.evidence == "700 of 706 ratings are within; outside: 99 (3 rows), -4 (1 row), 7 (1 row) and 1 more"
    assert part.flag == "--min-rating, --max-rating"


def test_zeros_that_may_mean_not_rated_are_warned_of():
    ten = counted(TEN | {0: 700})
    (sentence,) = say_zeros(ten, find_scale(ten))
    assert "700 of 1,132 ratings are 0" in sentence
    for fine in (STARS, STARS | {0: 40}, {0: 70, 1: 30}):
        assert say_zeros(counted(fine), find_scale(counted(fine))) == []


@pytest.mark.parametrize(
    ("rows", "flag"),
    [({1: 3, 3: 9, 5: 9, 55: 1}, "--max-rating 5"), ({1: 3, 4: 9, 5: 9, -99: 2}, "--min-rating 1")],
)
def test_one_value_far_off_few_ratings_is_taken_and_warned_of(rows, flag):
    few, many = counted(rows), counted({value: 5 * n if 0 < value < 6 else n for value, n in rows.items()})
    (sentence,) = say_far(few, find_scale(few))
    assert "far off the other 21" in sentence
    assert flag in sentence
    assert say_far(many, find_scale(many)) == []


@pytest.mark.parametrize("case", [one for one in SCALES if "far off" not in one])
def test_no_rating_of_a_scale_is_far_off_it(case):
    rows = counted(SCALES[case][0])
    assert say_far(rows, find_scale(rows)) == []
    assert say_far(counted({1: 9, 2: 3, 30: 1}), find_scale(counted({1: 9, 30: 1}), column="plays"), "plays") == []


def test_counts_of_stretches_add_up_to_those_of_the_whole():
    values = DRAWN.uniform(0, 9, 400).round(1)
    whole, parts = counted(values), counted(values[:150]) + counted(values[150:])
    assert (parts.values.tolist(), parts.counts.tolist()) == (whole.values.tolist(), whole.counts.tolist())
    assert (count_ratings() + whole).n == 400


def test_continuous_ratings_take_bounded_memory_and_keep_their_ends():
    counts = counted(DRAWN.uniform(1, 5, 200_000))
    assert len(counts.values) < 1_000
    assert counts.n == 200_000
    assert find_scale(counts).describe() == "1 to 5"
    beyond = counted(np.append(DRAWN.uniform(1, 5, 200_000), [5.002] * 9))
    assert beyond.n_from(5, 5) == 0
    assert beyond.n_from(5, 6) == 9
