import subprocess
import sys

import pytest
from pydantic import create_model

from models.als import AlsOptions
from models.item_knn import ItemKnnOptions
from models.popularity import Popularity
from models.registry import (
    AUTO,
    KINDS,
    Candidate,
    ModelOptions,
    candidates,
    impersonal_kinds,
    learning_curve,
    option_groups,
    register,
    yardsticks,
)
from schema.errors import InvalidInput


def tried(has_ratings=True, has_timestamps=True, names=(AUTO,), **als):
    options = ModelOptions(als=AlsOptions(**als))
    return candidates(options, has_ratings=has_ratings, has_timestamps=has_timestamps, names=names)


def test_baselines_come_first_and_then_the_grid():
    labels = [one.label for one in tried(names=["als", "graph"], als_rank=(8, 16), als_reg=(0.5,))]
    assert labels == [
        "random",
        "popularity",
        "item-knn",
        "recent-popularity",
        "global-mean",
        "bias",
        "item-graph",
        "als-implicit, rank 8, reg 0.5, alpha 10",
        "als-implicit, rank 16, reg 0.5, alpha 10",
        "als-explicit, rank 8, reg 0.5",
        "als-explicit, rank 16, reg 0.5",
    ]


def test_a_label_names_what_was_drawn_and_differs_from_the_usual():
    usual = ItemKnnOptions().model_dump()
    labels = [
        Candidate(model="item-knn", parameters={**usual, **drawn}).label for drawn in ({}, {"knn_shrinkage": 3.5})
    ]
    assert labels == ["item-knn", "item-knn, knn_shrinkage 3.5"]


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["als-implicit"], {"als-implicit"}),
        (["als"], {"als-implicit", "als-explicit"}),
        (["popularity", "item-knn"], set()),
        (["graph", "item-knn"], {"item-graph"}),
        (["ease"], {"ease"}),
        (["blend"], {"item-graph", "ease", "ials"}),
        ([AUTO], {"item-graph", "als-implicit", "ials"}),
        ([AUTO, "als-explicit"], {"item-graph", "als-implicit", "als-explicit", "ials"}),
    ],
)
def test_kinds_that_are_named_are_tried_beside_the_baselines(names, found):
    everything = {one.model: one for one in tried(names=names)}
    assert {name for name, one in everything.items() if not one.kind.is_baseline} == found
    assert set(everything) > {"random", "popularity", "item-knn", "bias"}


@pytest.mark.parametrize("names", [["graph"], ["popularity"], ["blend"]])
def test_a_blend_that_options_ask_for_is_tried_whichever_kinds_are_named(names):
    found = candidates(ModelOptions(blend={"blend": "ials=3"}), has_ratings=True, has_timestamps=True, names=names)
    assert [one.label for one in found if one.model == "blend"] == ["blend, ials 3"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("sla", "no kind of model has the name sla; expected some of auto, random, popularity, item-knn,"),
        ("als-explicit", "asks for als-explicit, of which there is no candidate: it needs ratings or timestamps"),
    ],
)
def test_a_name_without_a_kind_or_a_candidate_is_refused(name, message):
    with pytest.raises(InvalidInput, match=message):
        tried(has_ratings=False, names=[name, AUTO])


def test_kinds_that_need_what_the_data_lack_are_left_out():
    found = {one.model for one in tried(has_ratings=False, has_timestamps=False)}
    assert found == {"random", "popularity", "item-knn", "item-graph", "als-implicit", "ials"}


def test_yardsticks_are_chance_and_popularity():
    assert [one.kind.role for one in yardsticks()] == ["chance", "popular"]
    assert all(one in tried() for one in yardsticks())


@pytest.mark.parametrize(
    ("has_timestamps", "names"), [(True, ["popularity", "recent-popularity"]), (False, ["popularity"])]
)
def test_kinds_for_users_of_whom_nothing_is_known_need_no_more_than_the_data_have(has_timestamps, names):
    found = impersonal_kinds(has_timestamps=has_timestamps)
    assert [kind.name for kind in found] == names


def test_options_of_kinds_are_fields_of_one_model_without_a_name_twice_those_of_baselines_last():
    assert {"als", "blend", "item_knn"} <= set(option_groups())
    baselines = {kind.options for kind in KINDS.values() if kind.is_baseline}
    are_baselines = [group in baselines for group in option_groups().values()]
    assert are_baselines == sorted(are_baselines)
    names = [name for group in option_groups().values() for name in group.model_fields]
    assert len(names) == len(set(names))
    assert ModelOptions(als={"als_rank": "8,16"}).als.als_rank == (8, 16)


def test_a_learning_curve_has_the_candidate_itself_among_its_points():
    options = ModelOptions(als=AlsOptions(curve_iterations=(20, 1)))
    trained = tried(names=["als-implicit"])[-1]
    assert [one.parameters["maxiter"] for one in learning_curve(trained, options)] == [1, 16, 20]
    assert learning_curve(trained, ModelOptions()) == ()
    assert learning_curve(tried()[0], options) == ()


def test_a_name_that_no_kind_has_can_be_shown_but_not_fitted():
    other = Candidate(model="lists.csv", parameters={})
    assert (other.label, other.kind.is_baseline, other.kind.ranks) == ("lists.csv", False, True)
    with pytest.raises(InvalidInput, match="expected one of random, popularity"):
        other.kind.fit(None, {})


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"name": "popularity"}, "'popularity' is registered already"),
        ({"name": "toy", "options": create_model("ToyOptions", als_rank=(int, 1))}, r"another group: \['als_rank'\]"),
    ],
)
def test_kinds_that_would_hide_others_are_refused(attributes, message):
    with pytest.raises(ValueError, match=message):
        register(type("Toy", (Popularity,), attributes)())


def test_the_registry_is_imported_without_engines_and_numerical_libraries():
    heavy = "{'scipy', 'pandas', 'pyarrow', 'pyspark', 'torch', 'dask', 'prefect', 'mlflow'}"
    program = f"import sys, models.registry; print(sorted({heavy} & set(sys.modules)))"
    assert subprocess.check_output([sys.executable, "-c", program], text=True).strip() == "[]"
