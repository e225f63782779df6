"""Test a model, lists from elsewhere or the original's sweeps on one split."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from loguru import logger

from evaluation.options import SplitOptions
from flows.pipeline import Trials, baselines, make_split, place_of, record_of, split_as_asked
from flows.settings import Environment
from models.original import SPLIT, original_sweeps
from models.registry import Candidate, ModelOptions
from reports.terminal import original_table
from reviews.options import IngestOptions
from schema.errors import InvalidInput
from schema.metric import Metric
from schema.verdicts import Finding
from spark.options import DatasetOptions
from storage import layout
from storage.manifest import Manifest
from tasks.attributes import products_of
from tasks.dataset import split_dataset
from tasks.evidence import find_what_was_taken_out, look_for_leaks
from tasks.fit import candidate_of
from tasks.ingest import keep_file
from tasks.model import Evaluation, Lineage, find_lineage, find_model, find_windows, publish_evaluation
from tasks.options import EvaluationOptions, ModelChoice, PlaceOptions, ReviewsInput, SubjectOptions
from tasks.report import publish_evaluation_report, row_of_original
from tasks.rolling import ROLLING
from tasks.score import PART, Scored, metric_records, score, score_lists

OF_ROLLING = SplitOptions().model_dump(include={"rolling_share", "rolling_refits"})
OF_OTHER_SPLITS = OF_ROLLING | SplitOptions().model_dump(include={"leave_last_n"})


@dataclass(frozen=True)
class Assessment:
    """How an evaluation is made, whatever it is of; each method makes one and returns its result record."""

    environment: Environment
    reviews: ReviewsInput
    ingest: IngestOptions
    dataset: DatasetOptions
    split: SplitOptions
    models: ModelOptions
    evaluation: EvaluationOptions

    def of_subject(self, model: ModelChoice, subject: SubjectOptions) -> dict[str, Any]:
        """Test a published model or lists from elsewhere beside the baselines."""
        if subject.recommendations_file:
            lineage = self._make_split() if self.reviews.input_reviews else self._lineage_of_model(model)[1]
            lineage = split_for_lists(self.environment.places, lineage, self.split)
            tested, findings = self._test_lists(lineage, subject)
        else:
            published, lineage = self._lineage_of_model(model)
            tested, findings = self._test_model(lineage, published, subject)
        windows = self._test_in_windows(lineage, tested, subject) if subject.rolling_windows else []
        return self._publish(Evaluation(lineage, tested[-1], tested, windows), tested, findings)

    def of_original(self) -> dict[str, Any]:
        """Fit and score the original's two sweeps as it did, beside honest figures and a random scorer.

        Raises:
            InvalidInput: If the reviews have no ratings.
        """
        lineage = self._make_split(self.split.model_copy(update=OF_OTHER_SPLITS | SPLIT))
        if not lineage.split.counts["has_ratings"]:
            raise InvalidInput("--protocol original needs ratings, and the input has none.")
        sweeps = original_sweeps(self.models)
        points = [point for sweep in sweeps.values() for point in sweep]
        rivals = baselines(self.models, lineage.split)
        grid = list({candidate.label: candidate for _, candidate in points}.values())
        scored = self._test(lineage.split, [*rivals, *grid])
        found = {one.candidate.label: one for one in scored}
        tested = scored[: len(rivals)]
        beside = [(one.candidate.label, one) for one in tested if one.candidate.kind.role == "chance"]
        places = self.environment.places
        rows: list[tuple[str, Scored]] = []
        for name, sweep in sweeps.items():
            table = [(label, found[candidate.label]) for label, candidate in sweep]
            shown = [row_of_original(places, label, one) for label, one in (*beside, *table)]
            logger.bind(in_short=True).info("The original's sweep of {}, on test\n{}", name, original_table(shown))
            rows += table
        best = min((found[candidate.label] for candidate in grid), key=lambda one: one.value(Metric("rmse")) or 0.0)
        original = [*beside, *dict(rows).items()]
        return self._publish(Evaluation(lineage, best, [*tested, best], original=original), scored)

    def _publish(
        self, evaluation: Evaluation, scored: Sequence[Scored], findings: Sequence[Finding] = ()
    ) -> dict[str, Any]:
        """Publish an evaluation and its report, and return the result record."""
        places, lineage = self.environment.places, evaluation.lineage
        published = publish_evaluation(places, evaluation)
        report = publish_evaluation_report(places, evaluation, published, findings)
        record, page = record_of(vars(lineage)), place_of(places, report, layout.REPORT)
        record["ids"] |= {"evaluation": published.id, "report": report.id}
        logger.info("Report: {}", page)
        return record | {
            "evaluated": published.counts["label"],
            "metrics": metric_records(places, scored),
            "held_out_only": metric_records(places, scored, "held_out_only"),
            "uris": {"report": page},
        }

    def _make_split(self, split: SplitOptions | None = None, products: Manifest | None = None) -> Lineage:
        dataset = self.dataset
        if dataset.new_items == "on" and products is None:
            logger.warning("Without the products of a model's training no item is new: --new-items on adds none here")
            dataset = dataset.model_copy(update={"new_items": "off"})
        return make_split(self.environment, self.reviews, self.ingest, dataset, split or self.split, products=products)

    def _lineage_of_model(self, choice: ModelChoice) -> tuple[Manifest, Lineage]:
        """Return the model, and what it is evaluated on: the reviews that are named, else those it was trained on.

        What models may know of items is what the products of the model's own training say.
        """
        places = self.environment.places
        model, dataset = find_model(places, choice)
        products = products_of(places, model.inputs["split"])
        if self.reviews.input_reviews:
            return model, self._make_split(products=products)
        return model, find_lineage(places, dataset, split_as_asked(places, dataset, self.split, products))

    def _test(self, split: Manifest, competing: Sequence[Candidate]) -> list[Scored]:
        return Trials(self.environment, split, self.evaluation).on_test(competing)

    def _test_model(
        self, lineage: Lineage, model: Manifest, subject: SubjectOptions
    ) -> tuple[list[Scored], list[Finding]]:
        places, candidate, split = self.environment.places, candidate_of(model), lineage.split
        rivals = [one for one in baselines(self.models, split) if one != candidate]
        if not subject.as_is:
            return self._test(split, [*rivals, candidate]), []
        if model.inputs["dataset"] != lineage.dataset.id:
            raise InvalidInput(
                f"--as-is needs the dataset that models/{model.id} was trained on, {model.inputs['dataset']}; the "
                f"input gives {lineage.dataset.id}. Leave --as-is out to fit its parameters to these reviews."
            )
        tested = self._test(split, rivals)
        as_it_is = score.with_options(task_run_name=f"score models/{model.id} as it is on {PART}")
        as_is = as_it_is.submit(places, split, model, candidate, PART, self.evaluation).result()
        return [*tested, Scored(candidate, model, as_is)], [look_for_leaks(places, split, model)]

    def _test_lists(self, lineage: Lineage, subject: SubjectOptions) -> tuple[list[Scored], list[Finding]]:
        places, split, path = self.environment.places, lineage.split, subject.recommendations_file
        assert path is not None  # noqa: S101 - for the type checker
        lists = keep_file(places, path)
        tested = self._test(split, baselines(self.models, split))
        named = Candidate(model=path.name, parameters={})
        scored = score_lists.submit(places, split, lineage.dataset, lists, named, self.evaluation).result()
        return [*tested, scored], [find_what_was_taken_out(scored)]

    def _test_in_windows(
        self, lineage: Lineage, tested: Sequence[Scored], subject: SubjectOptions
    ) -> list[tuple[str, Sequence[Scored]]]:
        """Fit what was fitted here again for each window of time, and test it there."""
        places, competing = self.environment.places, [one.candidate for one in tested]
        if subject.recommendations_file or subject.as_is:
            raise InvalidInput(
                "--windows fits a model again for each window, which --recommendations and --as-is do not."
            )
        products = products_of(places, lineage.split.id)
        scored: list[tuple[str, Sequence[Scored]]] = []
        for first, after in find_windows(places, lineage.dataset, subject.rolling_windows, self.split.test_share):
            chosen = {"split": "time", "split_at": first, "split_until": after}
            options = self.split.model_copy(update=OF_OTHER_SPLITS | chosen)
            split = split_dataset(places, lineage.dataset, options, products=products)
            scored.append((f"from {first:%Y-%m-%d}", self._test(split, competing)))
        return scored


def split_for_lists(places: PlaceOptions, lineage: Lineage, options: SplitOptions) -> Lineage:
    """Return what lists are tested on, one for each user: leave-last where no split is asked for and it was rolling."""
    if options.split or lineage.split.counts["method"] != ROLLING:
        return lineage
    logger.info("Lists that are the same on all days are tested on the split leave-last, for no other is asked for")
    named = options.model_copy(update=OF_ROLLING | {"split": "leave-last"})
    return replace(lineage, split=split_as_asked(places, lineage.dataset, named))
