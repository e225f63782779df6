"""What the form of a deployment shows, and where the rest of a run's settings comes from."""

from typing import Any

import pytest
from prefect.utilities.callables import parameter_schema
from prefect.utilities.schema_tools import is_valid_schema, validate

from flows.form import fill_open, shorten
from flows.settings import Settings
from flows.train import train
from reviews.options import IngestOptions
from tasks.options import RecommendOptions


@pytest.fixture(scope="module")
def form() -> dict[str, Any]:
    return shorten(parameter_schema(train).model_dump_for_openapi())


def shown(form: dict[str, Any], group: str) -> set[str]:
    return set(form["definitions"][group]["properties"])


def test_form_shows_what_people_change_first_and_no_engine_details(form):
    fields = {name for one in form["definitions"].values() for name in one.get("properties", ())}
    assert {"input_reviews", "als_rank", "min_interactions", "split", "top_n"} <= fields
    assert not fields & {"als_blocks", "als_seed", "partition_bytes", "recommend_block_users", "drift_max_psi"}
    assert shown(form, "ModelOptions") == {"als"}
    assert len(fields) <= 21


def test_no_field_of_the_form_is_none(form):
    is_valid_schema(form)
    fields = [field for one in form["definitions"].values() for field in one.get("properties", {}).values()]
    assert [
        field for field in fields if {"type": "null"} in field.get("anyOf", ()) or field.get("default", 0) is None
    ] == []
    defaults = [value for one in form["properties"].values() for value in one["default"].values()]
    assert None not in defaults
    assert form["properties"]["recommend"]["default"]["top_n"] == 10


@pytest.mark.parametrize(
    ("given", "is_taken"),
    [
        ({"models": {"als": {"als_blocks": 8}}}, True),
        ({"split": {"split_gap_days": 2, "split": "time"}}, True),
        ({"models": {"als": {"als_blocks": 0}}}, False),
        ({"drift": {"drift_max_pis": 1}}, False),
    ],
)
def test_what_is_not_on_the_form_is_taken_and_checked_all_the_same(form, given, is_taken):
    assert (validate(given, form, raise_on_error=False, preprocess=True) == []) is is_taken


def test_the_environment_decides_what_nobody_gave_and_is_not_on_the_form():
    environment = {"recommend_block_users": "9", "top_n": "8", "latest_timestamp": "7"}
    assert fill_open(RecommendOptions(), environment) == RecommendOptions(recommend_block_users=9)
    given = RecommendOptions(recommend_block_users=16_384, top_n=3)
    assert fill_open(given, environment) == given
    assert fill_open(IngestOptions(), environment).latest_timestamp == 7
    assert fill_open(Settings(), {"als_seed": "5"}).models.als.als_seed == 5


def test_what_nobody_gave_is_still_known_from_what_was_given():
    filled = fill_open(IngestOptions(min_rating=1.0), {"latest_timestamp": "7"})
    assert filled.model_fields_set == {"min_rating", "latest_timestamp"}
