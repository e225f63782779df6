import re
from typing import Any

import pytest

from models.als import AlsOptions, ExplicitAls, ImplicitAls
from models.item_graph import TIMED, ItemGraph, ItemGraphOptions, ItemGraphParameters
from models.item_knn import ItemKnn, ItemKnnOptions
from models.registry import Candidate
from models.space import Choice, Range, draw

SHARES = [0.0, 0.001, 0.5, 0.999, 1.0]


@pytest.mark.parametrize("one", [Range(0.1, 3), Range(0.03, 0.5, is_log=True), Range(7, 9, is_integer=True)])
def test_a_range_begins_and_ends_where_it_says_and_rises_between(one):
    found = [one.at(share) for share in SHARES]
    assert (found[0], found[-1], sorted(found)) == (one.low, one.high, found)


def test_whole_numbers_are_drawn_as_such():
    assert [Range(16, 256, is_log=True, is_integer=True).at(share) for share in (0, 0.25, 0.5)] == [16, 32, 64]
    assert isinstance(Range(1, 2, is_integer=True).at(0.9), int)


def test_a_choice_gives_each_value_the_same_share():
    assert [Choice(("a", "b", None)).at(share) for share in SHARES] == ["a", "a", "b", None, None]


@pytest.mark.parametrize("ends", [{"low": 1, "high": 1}, {"low": 0, "high": 1, "is_log": True}])
def test_an_empty_range_and_logarithms_of_nothing_are_refused(ends):
    with pytest.raises(ValueError, match="expected low < high"):
        Range(**ends)


def test_a_parameter_whose_option_was_given_is_not_drawn():
    def drawn(kind: Any, options: Any) -> set[str]:
        return set(kind.space(options, has_timestamps=True))

    assert drawn(ItemKnn(), ItemKnnOptions()) == {"knn_neighbours", "knn_shrinkage"}
    assert drawn(ItemKnn(), ItemKnnOptions(knn_neighbours=100)) == {"knn_shrinkage"}
    assert drawn(ImplicitAls(), AlsOptions(als_rank=(16, 32))) == {"reg", "alpha"}
    assert drawn(ImplicitAls(), AlsOptions(als_reg=(5,))) == {"rank", "alpha"}
    assert drawn(ExplicitAls(), AlsOptions(als_reg=(1.0,), als_alpha=(2.0,))) == {"rank"}


def test_draws_around_a_candidate_without_parameters_are_around_those_that_it_is_fitted_with():
    timed = ItemGraph().space(ItemGraphOptions(), has_timestamps=True)
    around = draw(timed, (1,), near={"neighbours": 200, "time": "auto"}, width=1e-9)
    assert around == pytest.approx({**TIMED, "backward": 0.4, "gap_decay": 0.85, "decay": 0.65}, rel=1e-6)
    off = ItemGraphOptions(graph_time="off")
    for options, has_timestamps in ((off, True), (ItemGraphOptions(), False)):
        untimed = ItemGraph().space(options, has_timestamps=has_timestamps)
        usual = ItemGraphParameters().model_dump()
        assert draw(untimed, (1,), near={}, width=1e-9) == pytest.approx({name: usual[name] for name in TIMED})


def test_a_candidate_far_from_the_usual_has_a_short_label_of_its_own():
    usual = dict(next(iter(ItemGraph().candidates(ItemGraphOptions()))))
    few, many = usual | {"power": 1.5}, usual | dict.fromkeys(["power", "user_damping", "source_damping"], 0.7)
    labels = [Candidate(model="item-graph", parameters=one).label for one in (usual, few, many | {"decay": 0.6})]
    assert labels[:2] == ["item-graph", "item-graph, power 1.5"]
    assert re.fullmatch("item-graph, settings [0-9a-f]{6}", labels[2])
    assert Candidate(model="item-graph", parameters=many | {"decay": 0.61}).label not in labels
