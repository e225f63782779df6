"""Advice is of the population that it names, and counts what it says."""

from dataclasses import replace

from sample_exploration import make_exploration, make_outlook, suspects

from reports.advice import Advice, advise
from schema.exploration import Exploration
from schema.outlook import Outlook


def line_on(topic: str, found: Exploration, outlook: Outlook) -> Advice:
    return next(line for line in advise(found, outlook) if line.topic == topic)


def test_shared_seconds_are_those_of_the_interactions_that_the_core_leaves():
    found, outlook = make_exploration(), make_outlook()
    file_shares = replace(found, moments=replace(found.moments, share_of_shared_second=0.556))
    line = line_on("Timestamps", file_shares, outlook)
    assert not line.is_warning
    assert "55.6" not in line.sentence
    order = replace(outlook.time_order, figures={**outlook.time_order.figures, "share_simultaneous": 0.44})
    line = line_on("Timestamps", found, replace(outlook, time_order=order))
    assert line.is_warning
    assert line.sentence.startswith("In the 5-core, 70.0\u00a0% of all")
    assert "44.0\u00a0% share their second" in line.sentence
    assert "But nobody knows what came first among those" in line.sentence


def test_hits_of_popularity_are_those_of_its_lists_however_many_rows_of_each_are_held_out():
    said = line_on("How small a difference", make_exploration(), make_outlook()).sentence
    assert "popularity has about 175 among" in said  # 515 events, a list each: 515 x 10 x 0.034
    outlook = replace(make_outlook(), method="random")
    said = line_on("How small a difference", make_exploration(), outlook).sentence
    assert "popularity has about 136 among" in said  # 400 users, a list each: 400 x 10 x 0.034


def test_what_could_not_be_tested_is_not_explained_by_chance():
    found = replace(make_exploration(), suspects=(suspects("items", 0),))
    users, items = (line_on(f"{side} to look at", found, make_outlook()) for side in ("Users", "Items"))
    assert users.sentence.startswith("No user could be tested")
    assert items.sentence == "Chance explains what was tested of the items: burst."


def test_ids_that_are_alike_are_warned_of_in_one_sentence():
    assert "  " not in line_on("Ids", make_exploration(), make_outlook()).sentence
