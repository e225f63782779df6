import pytest

from reports.verdicts import metric_over, say_finding
from schema.metric import Metric
from schema.verdicts import Finding


@pytest.mark.parametrize(
    ("name", "figures", "words"),
    [
        ("mixed parts", {"n_found": 0}, "Each pair of user and item is in one part of the split only."),
        ("mixed parts", {"n_found": 1200}, "1,200 pairs of user and item were named for more than one part"),
        (
            "lists from elsewhere",
            {"n_unknown_items": 3, "n_seen": 1000, "n_users_without_list": 2, "n_users": 90},
            "3 items that the dataset does not know and 1,000 that the user already had were taken out; 2 of 90",
        ),
        (
            "served before",
            {"successor": "1f3a", "promoted_at": None, "reason": None},
            "until models/1f3a took its place (at an unknown time: no reason given).",
        ),
        ("older data", {"last_day": "2014-05-01", "champions_last_day": "2014-07-01"}, "the champion's of 2014-07-01."),
        ("same parameters", {"data": "different"}, "fits of the same parameters to different data"),
    ],
)
def test_a_finding_is_said_with_its_figures(name, figures, words):
    assert words in say_finding(Finding(name, is_warning=True, figures=figures))


def test_a_finding_without_a_sentence_is_an_error():
    with pytest.raises(KeyError, match="unheard of"):
        say_finding(Finding("unheard of", is_warning=True, figures={}))


def test_a_metric_is_named_with_what_it_ranks():
    assert metric_over(Metric("ndcg", 10)) == "NDCG@10 over the full catalogue"
    assert metric_over(Metric("held_out_only_ndcg", 10)) == "NDCG@10 over held-out rows"
