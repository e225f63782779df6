import numpy as np
import pytest
from rich.console import Console

from evaluation.gate import judge_challenger
from evaluation.selection import judge_metrics, try_metric
from reports.promotion import decision_markdown, decision_record, decision_view, history_view, reason_of
from schema.metric import Metric
from schema.verdicts import Finding

NDCG = Metric("ndcg", 10)
FIT = judge_metrics(NDCG, [try_metric(NDCG, np.zeros(50), np.full(50, 0.5), np.ones(50))])
CHALLENGER, CHAMPION = ({"model_id": name, "label": f"{name}|<b>", "value": 0.6} for name in ("new", "old"))


def record(champion_value=None):
    others = {"popularity": 0.5} | ({} if champion_value is None else {"the champion": champion_value})
    columns = {name: np.full(360, value) for name, value in others.items()}
    verdict = judge_challenger(NDCG, np.full(360, 0.6), columns, FIT, (), 0.05, may_warn=False)
    models = {"challenger": CHALLENGER} | ({} if champion_value is None else {"champion": CHAMPION})
    return decision_record(
        verdict, models, [Finding("same parameters", is_warning=False, figures={"data": "different"})]
    )


def shown(view):
    console = Console(width=400)
    with console.capture() as capture:
        console.print(view)
    return " ".join(capture.get().split())


def test_a_first_champion_has_nothing_to_be_compared_with():
    first = record()
    assert (first["promoted"], first["champion"], first["difference"], first["margin"]) == (True, None, None, None)
    assert first["sentence"].startswith(
        "models/new may be the first champion. NDCG@10 of the challenger is 0.6000, that of popularity 0.5000"
    )
    assert (first["best"], first["n_tries"]) == (True, 1)
    assert reason_of(first) == f"The first champion. {first['conditions'][0]['sentence']}"
    assert "There is no champion yet" in shown(decision_view(first))


def test_a_refusal_holds_its_figures_and_says_which_condition_is_not_met():
    refused = record(champion_value=0.9)
    assert not refused["promoted"]
    assert refused["difference"]["value"] == pytest.approx(-0.3)
    assert refused["margin"]["value"] == pytest.approx(0.045)
    assert refused["margin"]["above"] == pytest.approx(-0.255)
    assert refused["margin"]["n_hits"] == pytest.approx(360)
    assert 0 < refused["margin"]["smallest_loss"] < 0.05
    assert [one["name"] for one in refused["conditions"] if not one["met"]] == ["not worse than the champion"]
    assert refused["findings"][0]["sentence"].startswith("Challenger and champion are fits of the same parameters")


def test_the_page_and_the_terminal_show_the_same_decision():
    refused = record(champion_value=0.9)
    page, terminal = decision_markdown(refused, "1f3a"), shown(decision_view(refused))
    assert page.startswith("## models/new is refused")
    assert "| **not worse than the champion** | no |" in page
    assert "new\\|\\<b\\>" in page
    assert "`promotions/1f3a`" in page
    for text in (page, terminal):
        assert "Challenger - champion: -0.3000, 95 % interval -0.3" in text
        assert ", 360 users; margin" in text
        assert "NDCG@10" in text


def test_the_history_shows_the_newest_terms_and_how_many_are_left_out():
    term = {"model_id": "1f3a", "promoted_at": "2026-11-25T12:00:00+00:00", "promotion": None, "reason": "why"}
    assert "2026-11-25 12:00:00 1f3a none why" in shown(history_view("data/store", [term]))
    assert "… and 2 more; --json has them all" in shown(history_view("data/store", [term] * 102))
    assert shown(history_view("data/store", [])) == "No champion in data/store yet"
