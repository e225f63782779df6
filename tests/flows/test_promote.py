"""The gate as its user passes it: a first champion, a worse challenger, a wide margin, and the way back."""

import gzip
import json
import os
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import httpx
import pytest
from prefect import flow
from sample_artifacts import publish_folder
from workplace import Workplace

from flows import evaluate, promote
from flows.promote import PromotionRefused, end_refused
from schema.arms import arm_of
from schema.errors import InvalidInput
from serving.events import Event, Impression, Journal
from serving.loading import load
from storage import layout
from storage.artifacts import find
from storage.canonical import short_digest
from storage.champion import read_champion, read_history
from storage.inventory import list_artifacts, newest_bundle
from storage.manifest import Manifest
from storage.memory import MemoryStore
from storage.verify import verify_artifact, verify_champion
from tasks.online import list_streams, read_seen
from tasks.options import OnlineOptions

Trained = tuple[Workplace, dict[str, Any]]
WORSE, TWIN = "0f0f0f0f0f0f0f0f", "2222222222222222"


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit code, its record, the pointer afterwards, and kinds and ids that were added."""

    code: int
    record: dict[str, Any]
    pointer: dict[str, Any] | None
    added: set[tuple[str, str]]


@dataclass(frozen=True)
class Story:
    """What happened one after the other in the store of a training."""

    workplace: Workplace
    model_id: str
    first: Ended
    again: Ended
    twin: Ended
    refused: Ended
    refused_again: Ended
    named_again: Ended
    untested: Ended
    reported: dict[str, Any]
    forced: Ended
    trained_beside: tuple[str, set[str]]
    back: Ended
    after: Ended


@pytest.fixture(scope="module")
def story(trained: Trained, sample_flags: list[str]) -> Story:
    workplace, record = trained
    first = run(workplace)
    again = run(workplace, "--model", record["ids"]["model"])
    publish_twin(workplace, record["ids"]["model"])
    twin = run(workplace)
    publish_popularity(workplace, record)
    refused = run(workplace)
    refused_again = run(workplace)
    named_again = run(workplace, "--model", WORSE)
    asked = ("--model", WORSE, "--promotion-margin", "0.9", "--promotion-online", "require")
    untested = run(workplace, *asked)
    ship_test(workplace, record["ids"]["model"], WORSE)
    reported = report_online(workplace)
    forced = run(workplace, *asked, "--reason", "an experiment")
    trained_beside = train_again(workplace, sample_flags)
    back = run(workplace, "--rollback", "--reason", "the experiment is over")
    after = run(workplace)
    ended = (first, again, twin, refused, refused_again, named_again, untested, reported, forced, trained_beside)
    return Story(workplace, record["ids"]["model"], *ended, back, after)


def train_again(workplace: Workplace, flags: list[str]) -> tuple[str, set[str]]:
    """Train as before beside another champion; return the report and the kinds of what was added."""
    before = ids(workplace)
    record = workplace.result("train", *flags)
    page = workplace.store.read(f"{layout.REPORTS}/{record['ids']['report']}/{layout.REPORT}").decode()
    return page, {kind for kind, _ in ids(workplace) - before}


def run(workplace: Workplace, *flags: str) -> Ended:
    before, path = ids(workplace), workplace.folder / "promotion.json"
    path.unlink(missing_ok=True)
    code = promote.main([*workplace.command("promote", *flags)[2:], "--json", str(path)])
    record = json.loads(path.read_text()) if path.exists() else {}
    return Ended(code, record, read_champion(workplace.store)[0], ids(workplace) - before)


def ship_test(workplace: Workplace, champion: str, challenger: str) -> None:
    """Ship an A/B test of two models in which each user clicks on one of two answers."""
    journal, events = Journal(workplace.folder / "events"), []
    for number in range(600):
        user = f"u{number % 300}"
        arm = arm_of("autumn", user, 0.5)
        shown = Impression(
            recommendation_id=f"r{number}",
            user_id=user,
            item_ids=("kettle",),
            model_id=challenger if arm == "challenger" else champion,
            scenario="home" if number % 3 else "basket",
            way="exact",
            arm=arm,
            experiment="autumn",
            share=0.5,
        )
        journal.note(shown.model_dump())
        if number < 300:
            kind = "purchase" if number % 5 == 0 else "view"
            about = {"user_id": user, "item_id": "kettle", "recommendation_id": f"r{number}"}
            events.append(Event(event_id=f"e{number}", type=kind, **about))
    journal.add(events)
    journal.close()
    assert Journal(workplace.folder / "events").ship(workplace.store) == 900


def report_online(workplace: Workplace) -> dict[str, Any]:
    path = workplace.folder / "online.json"
    assert evaluate.main([*workplace.command("evaluate", "--online")[2:], "--json", str(path)]) == 0
    record: dict[str, Any] = json.loads(path.read_text())
    return record


def ids(workplace: Workplace) -> set[tuple[str, str]]:
    return {(manifest.kind, manifest.id) for manifest in workplace.manifests()}


def publish_twin(workplace: Workplace, model_id: str) -> None:
    """Publish the model of the training once more, under another id."""
    model = next(one for one in workplace.manifests() if (one.kind, one.id) == (layout.MODELS, model_id))
    publish_again(workplace, model, TWIN, inputs=dict(model.inputs), parameters=dict(model.parameters))


def publish_popularity(workplace: Workplace, record: dict[str, Any]) -> None:
    """Publish the popularity baseline of the training as a model."""
    fits = [one for one in workplace.manifests() if one.kind == layout.FITS and one.parameters["model"] == "popularity"]
    inputs = {"dataset": record["ids"]["dataset"], "split": record["ids"]["split"], "fit": fits[0].id}
    parameters = {"model": "popularity", "select_by": "ndcg_10"}
    publish_again(workplace, fits[0], WORSE, {layout.METRICS: '{"rows": []}'}, inputs=inputs, parameters=parameters)


def publish_again(
    workplace: Workplace,
    found: Manifest,
    model_id: str,
    others: Mapping[str, str] = MappingProxyType({}),
    **origin: Any,
) -> None:
    """Publish the files of an artifact, and others, as a model."""
    folder = workplace.folder / model_id
    shutil.copytree(workplace.folder / "store" / found.kind / found.id, folder)
    for name, text in others.items():
        (folder / name).write_text(text)
    (folder / layout.MANIFEST).unlink()
    publish_folder(workplace.store, folder, layout.MODELS, model_id, **origin)


def ask(what: str, **having: Any) -> list[dict[str, Any]]:
    """Return what the Prefect API has of a kind."""
    answer = httpx.post(f"{os.environ['PREFECT_API_URL']}/{what}/filter", json={what: having})
    found: list[dict[str, Any]] = answer.raise_for_status().json()
    return found


def unmet(ended: Ended) -> list[str]:
    return [condition["name"] for condition in ended.record["decision"]["conditions"] if not condition["met"]]


def test_the_newest_model_becomes_the_first_champion_without_a_comparison(story):
    first = story.first
    assert (first.code, first.record["outcome"]) == (0, "promoted")
    assert (first.record["decision"]["difference"], first.record["decision"]["champion"]) == (None, None)
    assert unmet(first) == []
    assert first.pointer
    assert first.pointer["model_id"] == first.record["ids"]["challenger"] == story.model_id
    assert first.pointer["promotion"] == first.record["ids"]["promotion"]
    assert "The first champion. NDCG@10 of the challenger is " in first.pointer["reason"]


def test_fits_and_scores_of_the_training_are_found_again(story):
    assert {kind for kind, _ in story.first.added} == {layout.PROMOTIONS}


def test_the_champion_itself_is_nothing_to_do(story):
    assert (story.again.code, story.again.record["outcome"], story.again.added) == (0, "unchanged", set())
    assert story.again.pointer == story.first.pointer


def test_a_challenger_that_gives_every_user_the_lists_of_the_champion_is_nothing_to_promote(story):
    twin = story.twin
    assert (twin.code, twin.record["outcome"], twin.added) == (0, "identical", set())
    assert twin.record["ids"] == {"challenger": TWIN, "champion": story.model_id}
    assert twin.pointer == story.first.pointer


def test_a_worse_challenger_is_refused_with_its_record_and_the_champion_stays(story):
    refused = story.refused
    assert (refused.code, refused.record["outcome"]) == (1, "refused")
    assert refused.record["ids"]["challenger"] == WORSE
    assert unmet(refused) == ["not worse than the champion"]
    assert refused.pointer == story.first.pointer
    decision = refused.record["decision"]
    assert decision["difference"]["low"] <= decision["difference"]["value"] < -decision["margin"]["value"] < 0
    assert decision["margin"]["value"] == pytest.approx(0.05 * decision["champion"]["value"])
    assert decision["margin"]["low"] <= decision["margin"]["above"] <= decision["margin"]["high"] < 0
    published = story.workplace.store.read(f"promotions/{refused.record['ids']['promotion']}/{layout.DECISION}")
    assert json.loads(published) == decision


def test_a_refusal_is_told_once_where_nobody_names_the_model(story):
    again = story.refused_again
    assert (again.code, again.record["outcome"], again.added) == (0, "unchanged", set())
    assert again.record["decision"] == story.refused.record["decision"]
    assert again.pointer == story.first.pointer


def test_who_names_a_model_is_told_of_its_refusal_every_time(story):
    assert (story.named_again.code, story.named_again.record["outcome"]) == (1, "refused")


def test_all_are_compared_on_the_same_users(story):
    rows = [row for row in story.refused.record["metrics"] if (row["metric"], row["k"]) == ("ndcg", 10)]
    assert {row["split"] for row in rows} == {"test"}
    assert {row["model"] for row in rows} == {"random", "popularity", "als-implicit"}
    assert {row["n_users"] for row in rows} == {story.refused.record["decision"]["difference"]["n_users"]}


def test_a_refusal_is_a_state_of_its_own_in_prefect(story):
    runs = ask("flow_runs", name={"any_": [f"promote {WORSE}"]})
    assert {(one["state_name"], one["state_type"]) for one in runs} == {
        ("Refused", "FAILED"),
        ("Completed", "COMPLETED"),
    }
    told = {one["state"]["message"] for one in runs if one["state_name"] == "Refused"}
    assert story.refused.record["decision"]["sentence"] in told
    assert "other lists" in [one["name"] for one in story.refused.record["decision"]["findings"]]


def test_the_report_of_a_training_says_what_users_would_notice_beside_another_champion(story):
    page, added = story.trained_beside
    assert "What people would notice" in page
    assert f"took the place of the champion, <bdi>popularity</bdi> (<code>models/{WORSE}</code>)" in page
    assert re.search(r"lists would differ: of 10 items .* rises for \d+ users, .* falls for", page)
    assert added == {layout.REPORTS}


def test_the_decision_is_a_page_in_prefect(story):
    pages = {page["data"] for page in ask("artifacts", key={"any_": ["promotion"]})}
    refusal = "| **not worse than the champion** | no |"
    [page] = [page for page in pages if f"models/{WORSE} is refused" in page and refusal in page]
    assert f"promotions/{story.refused.record['ids']['promotion']}" in page


def test_a_challenger_without_an_ab_test_is_refused_where_one_is_required(story):
    assert (story.untested.code, unmet(story.untested)) == (1, ["not worse online"])
    assert "There is no A/B test of the two: serve the challenger" in story.untested.record["decision"]["sentence"]
    assert "is shown." in story.forced.record["decision"]["conditions"][1]["sentence"]


def test_what_people_did_is_reported_by_model_and_scenario_with_the_ab_test(story):
    record = story.reported
    assert {(row["model_id"], row["arm"], row["scenario"]) for row in record["rows"]} == {
        (model, arm, scenario)
        for model, arm in ((WORSE, "challenger"), (story.model_id, "champion"))
        for scenario in ("all scenarios", "basket", "home")
    }
    assert sum(row["n_impressions"] for row in record["rows"] if row["scenario"] == "all scenarios") == 600
    (test,) = record["experiments"]
    assert [one["outcome"] for one in test["differences"]] == ["no difference shown"] * 3
    assert test["differences"][0]["champion"]["value"] == pytest.approx(0.25, abs=0.25)
    evaluation = find(story.workplace.store, layout.EVALUATIONS, record["ids"]["evaluation"])
    assert (evaluation.counts["n_impressions"], evaluation.counts["n_experiments"]) == (600, 1)
    tables = {page["key"]: json.loads(page["data"]) for page in ask("artifacts", key={"any_": ["online", "ab-test"]})}
    assert tables["ab-test"][0]["rate"] == "click-through"
    assert len(tables["online"]) == 6


def test_only_the_last_days_count(tmp_path):
    store, journal = MemoryStore("online"), Journal(tmp_path)
    with pytest.raises(InvalidInput, match="no impressions: nobody was served"):
        read_seen(store, list_streams(store), OnlineOptions())
    about = {"item_ids": ["kettle"], "model_id": "1f", "scenario": "home", "way": "exact"}
    for day in (1, 9, 10):
        shown = Impression(recommendation_id=f"r{day}", timestamp=1_750_000_000 + day * 86_400, **about)
        journal.note(shown.model_dump())
    journal.close()
    Journal(tmp_path).ship(store)
    line = b"no impression\n"
    store.create(layout.batch_key(layout.IMPRESSIONS, "other", 0, short_digest(line)), gzip.compress(line))
    seen = {days: read_seen(store, list_streams(store), OnlineOptions(online_days=days)) for days in (1, 28)}
    ids = {days: [one.impression.recommendation_id for one in found] for days, found in seen.items()}
    assert ids == {1: ["r9", "r10"], 28: ["r1", "r9", "r10"]}


def test_a_promotion_margin_lets_a_worse_challenger_through_for_a_reason(story):
    forced = story.forced
    assert (forced.code, forced.record["outcome"], unmet(forced)) == (0, "promoted", [])
    assert forced.record["decision"]["margin"]["share"] == 0.9
    assert forced.pointer
    assert (forced.pointer["model_id"], forced.pointer["reason"]) == (WORSE, "an experiment")
    assert forced.pointer["previous_model_id"] == story.model_id


def test_who_becomes_the_champion_can_be_served_from_then_on(story):
    bundles = [ended.record["ids"]["bundle"] for ended in (story.first, story.forced, story.back)]
    assert bundles[0] == bundles[2] == newest_bundle(story.workplace.store, story.model_id)
    assert story.forced.added - {(layout.BUNDLES, bundles[1])} == {
        (layout.PROMOTIONS, story.forced.record["ids"]["promotion"])
    }
    served = load(story.workplace.store, WORSE, story.workplace.folder / "cache")
    assert served.bundle_id == bundles[1]
    assert served.bundle.titles[0], "the products that the store knows"


def test_a_rollback_goes_back_and_keeps_its_reason(story):
    assert (story.back.code, story.back.record["outcome"]) == (0, "rolled back")
    history, _ = read_history(story.workplace.store)
    assert [(entry.model_id, entry.reason) for entry in history[:2]] == [
        (story.model_id, "the experiment is over"),
        (WORSE, "an experiment"),
    ]
    assert history[0].promotion is None
    assert [run["state_name"] for run in ask("flow_runs", name={"any_": [f"roll back to {story.model_id}"]})] == [
        "Completed"
    ]


def test_a_promotion_after_a_rollback_does_not_undo_it(story):
    assert (story.after.code, story.after.record["outcome"], story.after.added) == (0, "identical", set())
    assert story.after.pointer == story.back.pointer


def test_the_history_is_printed_and_recorded(story, capsys):
    ended = run(story.workplace, "--history")
    assert ended.code == 0
    assert [entry["model_id"] for entry in ended.record["history"]] == [story.model_id, WORSE, story.model_id]
    assert ended.record["champion"] == story.model_id
    assert ended.added == set()
    shown = capsys.readouterr().out
    assert [shown.count(words) for words in (WORSE, "the experiment is over", "an experiment")] == [1, 1, 1]


def test_the_store_is_as_its_manifests_and_its_pointer_say(story):
    store = story.workplace.store
    promotions = list(list_artifacts(store, layout.PROMOTIONS))
    assert len(promotions) == 4
    assert [problem for one in promotions for problem in verify_artifact(store, one)] == []
    assert list(verify_champion(store)) == []


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--rollback"], "--rollback needs --reason TEXT"),
        (["--rollback", "--reason", "why", "--history"], "give one of the two"),
        (["--reason", " "], "--reason: expected a reason"),
        (["--promotion-margin", "1"], "--promotion-margin (or PROMOTION_MARGIN): Input should be less than 1"),
    ],
)
def test_what_cannot_be_meant_is_bad_usage(flags, message, tmp_path, capsys):
    assert promote.main(["--store", str(tmp_path / "store"), *flags]) == 2
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_store_without_a_champion_has_no_history(tmp_path, capsys):
    assert promote.main(["--store", str(tmp_path / "store"), "--history"]) == 0
    assert "No champion in" in capsys.readouterr().out


def test_who_calls_a_flow_that_refuses_gets_the_decision(prefect_api):
    seen: list[tuple[str, object]] = []

    def note(_flow: object, _run: object, state: Any) -> None:
        seen.append((state.name, state.result(raise_on_failure=False)))

    record = {"outcome": "refused", "decision": {"promoted": False}}
    gate: Callable[[], Any] = flow(name="gate", on_failure=[note])(lambda: end_refused("it is worse", record))
    with pytest.raises(PromotionRefused, match="it is worse") as refused:
        gate()
    assert refused.value.record == record
    assert [(name, type(found)) for name, found in seen] == [("Refused", PromotionRefused)]
