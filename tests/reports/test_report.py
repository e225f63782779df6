import os
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sample_report import SHOWN_OF_FILE, make_file, with_data, with_evidence

from reports import report_input as report
from reports.data_summary import Distributions, FunnelStep, funnel_steps
from reports.display import COVERAGE_OF_SAMPLE
from reports.findings import (
    answer_headings,
    compare_windows,
    gather_warnings,
    join_equal,
    judge,
    metric_columns,
    say_popularity,
    say_random,
)
from reports.reading import FileSummary
from reports.report import render_report
from reports.report_input import ReportInput, SearchedKind
from reports.verdicts import say_finding, say_guard
from schema.dataset import DatasetCounts, QuarantinedRow, QuarantineReason, ReviewCounts
from schema.metric import Metric, MetricRow
from schema.understood import Loss, Part, Reading, Understood
from schema.verdicts import Comparison, Guard


class Page(HTMLParser):
    """The elements, attributes and visible text of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.text += data


DIGEST = """
import hashlib, sample_report, sys
from reports.reading import FileSummary
from reports.report import render_report
sys.stdout.write(hashlib.sha256(render_report(sample_report.make_report()).encode()).hexdigest())
"""


@pytest.mark.parametrize("seed", ["1", "2"])
def test_same_input_gives_same_bytes_in_a_process_with_another_hash_seed(html, seed):
    environment = {**os.environ, "PYTHONHASHSEED": seed}
    command = [sys.executable, "-c", DIGEST]
    done = subprocess.run(
        command, cwd=Path(__file__).parent, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout == sha256(html.encode()).hexdigest()


def test_text_from_the_data_makes_no_elements(html, full_html):
    for page in (Page(html), Page(full_html)):
        assert not {"script", "img", "knn", "iframe"} & set(page.tags)
        assert not [name for name, _ in page.attributes if name.startswith("on")]
        assert "<script>document.title='owned'</script>" in page.text
        assert "{{ 7 * 7 }}" in page.text


def test_direction_overrides_and_escape_codes_are_spelt_out(html):
    assert not {"\u202e", "\x1b"} & set(html)
    assert "\\u202e" in html
    assert "\\x1b[31m" in html


def test_report_shows_how_the_file_was_understood_and_what_is_gone():
    page = Page(render_report(with_data(_small_report(), file=make_file())))
    assert [text for text in SHOWN_OF_FILE if text not in page.text] == []
    assert "How the file was understood" not in Page(render_report(_small_report())).text


@settings(max_examples=12)
@given(st.text(st.characters(), min_size=1, max_size=80))
def test_any_text_leaves_the_structure_of_the_page_as_it_is(text):
    plain, odd = (Page(render_report(_with_text(value))) for value in ("plain", text))
    assert odd.tags == plain.tags
    assert [name for name, _ in odd.attributes] == [name for name, _ in plain.attributes]


def _reading_of(text: str) -> Reading:
    part, loss = Part(text, text, text, text), Loss("item", 1, (text,), 1, text)
    return Reading(Understood((part,), (text,), [{"user": text}]), (loss,))


def _with_text(text: str) -> ReportInput:
    base = _small_report()
    return replace(
        base,
        title=text,
        data=replace(
            base.data,
            source=replace(base.data.source, name=text),
            file=FileSummary(
                1, _reading_of(text), [QuarantineReason(text, 1, 1, text)], [QuarantinedRow(1, text, text)]
            ),
            notes=[text],
            split=report.SplitSummary(text, [report.SplitPart(text, 1, 1, 1)]),
        ),
        candidates=[replace(base.candidates[0], label=text, parameters={text: text})],
        test=[replace(base.test[0], label=text)],
        examples=[
            report.ExampleUser(
                text, [report.HistoryEntry(text)], [text], [report.RecommendedItem(1, text, 0.5, is_hit=True)]
            )
        ],
    )


def _small_report() -> ReportInput:
    chosen = report.ScoredModel("ALS", {}, [], is_chosen=True)
    data = report.DataSummary(
        is_sample_data=False,
        source=report.Source("s", "0", 1),
        reviews=ReviewCounts(1, 0, 0, 1, has_ratings=False, has_timestamps=False, n_distinct_ratings=0),
        dataset=DatasetCounts(0, 0, 0, 0, 0, 0),
        min_interactions=5,
        file=FileSummary(),
        split=report.SplitSummary("d", []),
        distributions=Distributions(),
    )
    return ReportInput("t", {"Model": "e"}, data, test=[chosen], candidates=[chosen])


def test_page_names_nothing_outside_itself(html):
    names = {"src", "href", "xlink:href", "srcset", "action"}
    links = [value for name, value in Page(html).attributes if name in names]
    assert links
    assert all(link == "data:," or link.startswith("#") for link in links)
    assert "@import" not in html
    assert {part[0] for part in html.split("url(")[1:]} <= {"#"}


@pytest.mark.parametrize("page", ["html", "full_html"])
def test_ids_are_unique_and_every_reference_has_its_target(page, request):
    attributes = Page(request.getfixturevalue(page)).attributes
    ids = Counter(value for name, value in attributes if name == "id")
    assert [value for value, count in ids.items() if count > 1] == []
    wanted = {value.removeprefix("#") for name, value in attributes if name == "xlink:href"}
    wanted |= {value.removeprefix("url(#").removesuffix(")") for name, value in attributes if name == "clip-path"}
    wanted |= {value.removeprefix("#") for name, value in attributes if name == "href" and value[0] == "#"}
    assert wanted
    assert wanted <= set(ids)


def test_counts_metrics_and_ids_are_those_of_the_input(html):
    text = Page(html).text.replace("\u202f", "")
    shown = ["70140", "70000", "69299", "61204", "8095", "0.1009", "0.0967\u20130.1051", "0.9820", "9f" * 32, "d4" * 8]
    assert [one for one in shown if one not in text] == []


def test_best_value_is_bold_the_lowest_of_an_error_and_none_of_what_describes_lists(html, full_html):
    assert 'class="number best">0.9820' in html
    assert 'class="number">1.1820' in html
    row = full_html.split("Coverage@10")[1].split("</tr>")[0]
    assert "best" not in row
    assert "is better" not in row


def test_a_metric_that_is_not_a_number_is_shown_as_a_dash_and_never_as_best(report_input):
    broken = [replace(row, value=float("nan")) for row in report_input.candidates[0].metrics]
    candidates = [replace(report_input.candidates[0], metrics=broken), *report_input.candidates[1:]]
    html = render_report(replace(report_input, candidates=candidates))
    assert " nan " not in f" {' '.join(Page(html).text.lower().split())} "
    assert '<td class="number">\u2013' in html


def test_other_data_is_not_called_sample_data_and_has_no_charts_of_what_it_lacks(report_input, html):
    assert "Sample data." in html
    bare = replace(report_input.data.distributions, ratings=(), months=())
    text = Page(render_report(with_data(report_input, distributions=bare, is_sample_data=False))).text
    assert "How active users are" in text
    assert [one for one in ("Sample data.", "Through time", "Ratings") if one in text] == []


def test_report_of_a_run_with_next_to_nothing_renders():
    page = Page(render_report(_small_report()))
    assert "No line was put aside." in page.text
    assert "was not measured" in page.text


def steps_of(report: ReportInput) -> list[FunnelStep]:
    return funnel_steps(report.data.reviews, report.data.dataset, report.data.min_interactions)


def test_funnel_names_what_each_step_took_away(report_input):
    steps = {step.label: (step.count, step.removed) for step in steps_of(report_input)}
    assert steps == {
        "Lines of the raw file": (70_140, 0),
        "Not blank": (70_137, 3),
        "Valid reviews": (70_000, 137),
        "One per user and item": (69_299, 701),
        "5-core": (61_204, 8_095),
    }


def test_sampling_and_blank_lines_are_steps_only_where_they_took_something(report_input):
    sampled = with_data(
        report_input,
        reviews=replace(report_input.data.reviews, n_blank=0, n_lines=70_137),
        dataset=replace(report_input.data.dataset, n_sampled=69_905),
    )
    steps = {step.label: (step.count, step.removed) for step in steps_of(sampled)}
    assert "Not blank" not in steps
    assert steps["Reviews of sampled users"] == (69_905, 95)
    assert steps["One per user and item"] == (69_204, 701)


def test_funnel_that_does_not_add_up_is_refused(report_input):
    with pytest.raises(ValueError, match=r"70140 lines, but 4 blank \+ 137 quarantined \+ 70000 reviews = 70141"):
        steps_of(with_data(report_input, reviews=replace(report_input.data.reviews, n_blank=4)))
    with pytest.raises(ValueError, match="widens"):
        steps_of(with_data(report_input, dataset=replace(report_input.data.dataset, n_interactions=69_300)))


def test_report_with_two_chosen_models_is_refused(report_input):
    chosen = [replace(model, is_chosen=True) for model in report_input.test[:2]]
    with pytest.raises(ValueError, match="test table marks 2 models as chosen"):
        replace(report_input, test=chosen)


def _judge_with_chosen_at(report_input: ReportInput, value: float) -> tuple[str, str]:
    row = report_input.test[0].find(Metric("ndcg", 10))
    assert row is not None
    moved = replace(row, value=value, low=value - 0.004, high=value + 0.004)
    chosen = replace(report_input.test[0], metrics=[moved])
    verdict = judge(replace(report_input, test=[chosen, *report_input.test[1:]]))
    return verdict.tone, verdict.sentence


def test_verdict_is_good_only_above_the_strongest_baselines_interval(report_input):
    tone, sentence = _judge_with_chosen_at(report_input, 0.09)
    assert tone == "good"
    assert "beats the strongest baseline, Recent popularity (NDCG@10 0.0454), 2.0 times its score" in sentence
    assert _judge_with_chosen_at(report_input, 0.05)[0] == "even"
    assert _judge_with_chosen_at(report_input, 0.03)[0] == "bad"


def test_verdict_says_when_a_baseline_was_chosen(report_input):
    test = [replace(model, is_chosen=model.label == "Popularity") for model in report_input.test]
    verdict = judge(replace(report_input, test=test))
    assert verdict.tone == "bad"
    assert "the choice is Popularity" in verdict.sentence


def test_paired_comparison_with_the_strongest_baseline_decides_the_verdict(full_input):
    verdict = judge(full_input)
    assert verdict.tone == "even"
    assert verdict.sentence.startswith("No difference shown between ALS implicit, rank 64, reg 1 and Item-item <kNN>")
    assert "the difference is +0.0016" in verdict.sentence
    assert "adjusted p\u00a0=\u00a00.384" in verdict.sentence
    for low, high, tone in ((0.001, 0.004, "good"), (-0.004, -0.001, "bad")):
        shown = replace(
            full_input.evidence.comparisons[-1], difference=(low + high) / 2, low=low, high=high, p_adjusted=0.0004
        )
        verdict = judge(with_evidence(full_input, comparisons=[shown]))
        assert verdict.tone == tone
        assert "adjusted p\u00a0<\u00a00.001" in verdict.sentence


def test_without_a_comparison_with_the_strongest_baseline_intervals_decide(full_input):
    verdict = judge(with_evidence(full_input, comparisons=full_input.evidence.comparisons[:2]))
    assert "No clear difference" in verdict.sentence


def test_popularity_is_said_unless_it_was_not_measured_or_was_chosen(report_input):
    assert "NDCG@10 0.0397 (95\u00a0% interval 0.0355\u20130.0439), 39.4\u00a0% of" in say_popularity(report_input.test)
    assert say_popularity([model for model in report_input.test if model.label != "Popularity"]) == ""


def test_warnings_are_the_findings_that_warn_and_an_unfit_metric_once(full_input):
    assert gather_warnings(full_input) == [say_finding(full_input.evidence.findings[1])]
    assert full_input.guard is not None
    unfit = Guard(full_input.guard.others[0], ())
    assert gather_warnings(replace(full_input, guard=unfit))[0] == say_guard(unfit)
    assert gather_warnings(with_evidence(replace(full_input, guard=unfit), findings=[])) == [say_guard(unfit)]


def test_random_scorer_is_held_against_the_best_of_the_others(full_input):
    said = say_random(full_input.original)
    assert len(said) == 3
    assert "all items ranked: a random scorer gets 2.9\u00a0% of the best" in said[2]
    assert "held-out items only: a random scorer gets about the same as the best of the others, 0.9712" in said[0]
    assert say_random([model for model in full_input.original if model.label != "Random"]) == []


def test_windows_have_mean_and_sample_standard_deviation(full_input):
    two = [replace(window, models=window.models[:1]) for window in full_input.windows[:2]]
    (row,) = compare_windows(two)
    assert (row.mean, row.spread) == (pytest.approx(0.0821), pytest.approx(0.0040 / 2**0.5))
    assert compare_windows(two[:1])[0].spread is None
    missing = [two[0], replace(two[1], models=[])]
    assert compare_windows(missing)[0].scores[1] is None


def test_every_table_of_metrics_says_that_it_is_a_sample(full_html, html):
    said = "On a sample of {} users."
    assert full_html.count(said.format("2\u202f871")) == 6
    assert full_html.count(said.format("2\u202f754")) == 1
    assert full_html.count(f"users. {COVERAGE_OF_SAMPLE}</caption>") == 3, (
        "where coverage is: twice on test, and on validation"
    )
    assert said[:15] not in html


def test_the_split_says_which_core_it_was(html):
    assert "The 5-core is of the rows before the test part and leaves out 219 of them" in html


def test_what_a_search_drew_is_told_by_kind(report_input, html):
    best = MetricRow("any", {}, "validation", "ndcg", 10, 0.0841, 0.0801, 0.0881, n_users=2871)
    searched = [SearchedKind("als", 9, 4, best, {"rank": 0.612}), SearchedKind("knn", 3, 0, best, {})]
    text = " ".join(Page(render_report(replace(report_input, searched=searched))).text.split())
    assert "the search tried others of 2 kinds." in text
    assert "als 9 4 0.0841" in text
    assert "rank 61.2 % knn 3 0 0.0841" in text
    assert "the search tried" not in html


def test_what_each_part_of_a_model_adds_is_told_beside_what_is_left_without_it(report_input, html):
    figures = 0.0031, 0.0012, 0.0051, 0.001, 0.002, 2871
    against = Comparison("graph 1 + ials 3", "graph", report.PRIMARY, *figures)
    less = replace(against, against="ials", difference=0.0001, low=-0.001, high=0.0012, p_adjusted=0.8)
    additions = {"ials": against, "graph": less}
    text = "".join(Page(render_report(replace(report_input, additions=additions))).text.split())
    assert "ialsgraph+0.0031+0.0012to+0.00510.002▲better" in text
    assert "graphials+0.0001\N{MINUS SIGN}0.0010to+0.00120.800≈nodifferenceshown" in text
    assert "What each part adds" not in html


def test_headings_answer_in_a_few_words_and_rows_that_say_the_same_are_one(full_input, report_input, html):
    answers = answer_headings(full_input)
    assert answers["proof"] == "shown for 4 of 5 others"
    assert answers["segments"].startswith("best: new (")
    assert "proof" not in answer_headings(report_input)
    rows = join_equal(full_input.test, metric_columns(full_input.test, 10))
    assert [[metric.name for metric in row] for row in rows][:2] == [["ndcg"], ["recall", "hit_rate"]]
    first, *others = full_input.test
    changed = [replace(first, metrics=[row for row in first.metrics if row.key.name != "hit_rate"]), *others]
    assert all(len(row) == 1 for row in join_equal(changed, [Metric("recall", 10), Metric("hit_rate", 10)]))
    assert "Recall@10 =<br>Hit rate@10" in html


def test_page_has_the_evidence_that_there_is_and_no_sections_without_it(full_html, html):
    text = " ".join(Page(full_html).text.split())
    shown = [
        f"champion, als, rank 32 <b> (models/{'a1' * 8}), with both",
        "lists would differ",
        "no difference shown",
        "unfit to choose",
        "Scores of validation",
        "e5" * 8,
        "bar cut",
        "time travel",
    ]
    assert [one for one in shown if one not in text] == []
    sections = [f'id="{name}"' for name in ("proof", "guard", "closer", "change", "segments", "lists", "checks")]
    assert [one for one in sections if one in html or one not in full_html] == []


def test_report_on_one_model_speaks_of_no_choice(full_input):
    page = render_report(replace(full_input, candidates=()))
    assert "How good the evaluated model is" in page
    assert "which had no part in choosing" not in page
    assert "#search" not in page
    assert "What it was chosen from" not in page


def test_metric_that_decides_is_the_one_the_guard_was_asked_about(full_input):
    assert full_input.guard is not None
    wanted = replace(full_input.guard.wanted, metric=Metric("recall", 10))
    page = render_report(replace(full_input, guard=replace(full_input.guard, wanted=wanted)))
    assert "Recall@10 over the full catalogue decides." in page
