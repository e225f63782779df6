from dataclasses import replace

import numpy as np
import pytest
from sample_bundle import N_ITEMS, candidate, make_bundle

from schema.bundle import Bundle, Labels
from schema.items_by_user import ItemsByUser
from schema.string_table import StringTable
from serving.page_figures import commonest, examples, measured, n_items, tastes
from serving.rendering import render, say_verdicts

GUARD = {"wanted": {"metric": "ndcg_10", "flaw": None}}
LEAD = {"winner": "a", "runner_up": "b", "lead": 0.02, "rival": "b", "p_value": 0.001, "n_models": 3}


@pytest.fixture
def bundle() -> Bundle:
    """Users 0 and 1 have item 0; user 0 has item 1 too, and user 2 the items 1 and 2."""
    made = make_bundle("6666aaaa", candidate())
    pairs = np.array([(0, 0), (0, 1), (1, 0), (2, 1), (2, 2)])
    labels = ItemsByUser.from_pairs(np.array([0, 1, 1, 2]), np.array([0, 1, 2, 2]), N_ITEMS)
    return replace(
        made,
        histories=ItemsByUser.from_pairs(pairs[:, 0], pairs[:, 1], made.n_users),
        rating=made.rating[: len(pairs)],
        timestamp=made.timestamp[: len(pairs)],
        categories=Labels(StringTable.of(["Audio", "Cameras", "Lenses", "Nothing has it"]), labels),
    )


def test_tastes_are_shares_of_the_owners_in_categories_that_the_item_has_not(bundle):
    assert tastes(bundle, 0) == (2, [("Cameras", 0.5), ("Lenses", 0.5)])
    assert tastes(bundle, 1) == (2, [("Audio", 0.5)])
    assert tastes(bundle, 5) == (0, [])


def test_commonest_labels_come_by_name_without_rare_and_unused_ones(bundle):
    assert commonest(bundle.categories, 1) == ["Lenses"]
    assert commonest(bundle.categories, 9) == ["Audio", "Cameras", "Lenses"]


def test_examples_go_from_few_items_to_many(bundle):
    counts = [n_items(bundle, user_id) for user_id in examples(bundle)]
    assert counts == sorted(counts)
    assert counts[-1] == 2


def test_metrics_stand_beside_each_other_and_what_describes_lists_apart():
    row = {"parameters": {}, "split": "test", "k": 10, "low": None, "high": None, "n_users": 9}
    values = [("random", "ndcg", 0.1), ("popularity", "ndcg", 0.3), ("popularity", "gini", 0.9)]
    rows = [row | {"model": model, "metric": metric, "value": value} for model, metric, value in values]
    hidden = [row | {"model": "random", "metric": "held_out_only_ndcg", "value": 1.0}, rows[0] | {"k": 5}]
    good, like = measured({"label": "popularity", "metrics": [*rows, *hidden]})
    assert good["metrics"] == ["NDCG@10"]
    assert [(one["label"], one["is_ours"]) for one in good["rows"]] == [("popularity", True), ("random", False)]
    assert good["top"] == 0.3
    assert (like["metrics"], like["rows"][0]["cells"][0]["value"]) == (["Gini@10"], 0.9)


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ({"guard": None, "lead": None}, []),
        ({"guard": GUARD, "lead": None}, [(True, "NDCG@10 tells good models from chance on this data.")]),
        (
            {"guard": {"wanted": GUARD["wanted"] | {"flaw": "chance gets too much"}}},
            [(False, "NDCG@10 cannot choose between models on this data: chance gets too much.")],
        ),
        (
            {"lead": LEAD},
            [(True, "a led b by 0.0200 when it was chosen, and was shown to be better than each of the 2 others.")],
        ),
        ({"lead": LEAD | {"runner_up": None}}, [(False, "Only a was tried, so there was no choice to judge.")]),
    ],
)
def test_verdicts_are_said_in_plain_words(found, said):
    assert say_verdicts(found) == said


def test_lead_within_chance_speaks_against_the_figures():
    [(is_good, sentence)] = say_verdicts({"lead": LEAD | {"p_value": 0.05}})
    assert not is_good
    assert sentence.endswith("but was not shown to be better than b: both may be as good.")


def test_whatever_a_problem_says_is_escaped():
    html = render("error", here="/", status_code=404, heading="<b>", detail="<script>", request_id='"', again=None)
    assert "<script>" not in html.replace('<script src="/static/htmx.min.js" defer></script>', "")
    assert "<h1>&lt;b&gt;</h1>" in html
