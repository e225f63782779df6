"""MLflow's registry: a version for each published model, and the alias of the champion, which the store names."""

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from loguru import logger
from prefect import task

from schema.errors import RecommenderError
from storage import canonical, layout
from storage.artifacts import entry
from storage.champion import champion_id
from storage.inventory import find_report
from storage.manifest import Manifest
from tasks.addresses import lasting_run_page, store_page
from tasks.fit import candidate_of
from tasks.options import PlaceOptions, TrackingOptions
from tasks.store import find_again, local_file
from tasks.tracking_client import explained, has_runs, is_served, open_client, open_experiment

CHAMPION: Final = "champion"
MODEL_TAG: Final = "model_id"
LOGGED_MODEL_TAG: Final = "logged_model_id"
VERSIONS_TAG: Final = "mlflow.modelVersions"
EXTERNAL_TAG: Final = "mlflow.model.isExternal"
TAKEN: Final = "RESOURCE_ALREADY_EXISTS"


def registered_name(options: TrackingOptions) -> str:
    """Return the name of the registered model: that of the experiment, in characters that MLflow takes.

    Example:
        >>> registered_name(TrackingOptions(mlflow_experiment="shop/books"))
        'shop-books'
    """
    return re.sub(r"[/:'\"%]", "-", options.mlflow_experiment)


@task(name="follow the champion")
def follow_champion(options: TrackingOptions, places: PlaceOptions) -> None:
    """Let the alias ``champion`` name the model that the store's pointer names, registering it if it is missing.

    The pointer alone decides. Where MLflow or the store does not answer, that is logged, and nothing fails: the next
    training, promotion or recommendation catches up.
    """
    try:
        champion = champion_id(places.open_store())
        if champion and has_runs(options):
            _follow(options, places, champion)
    except RecommenderError as error:
        logger.warning("MLflow may show another champion until the next run sets it right: {}", error)


def _follow(options: TrackingOptions, places: PlaceOptions, champion: str) -> None:
    client, name = open_client(options), registered_name(options)
    with explained():
        version = find_version(client, name, champion)
        if version and client.get_registered_model(name).aliases.get(CHAMPION) == version.version:
            return
        experiment = open_experiment(client, options)
        if version is None:
            advice = "It is the champion: put another model in its place."
            model = find_again(places.open_store(), layout.MODELS, champion, advice)
            runs = client.search_runs([experiment], f"tags.{MODEL_TAG} = '{champion}'", max_results=1)
            version = register(client, options, places, model, run=runs[0].info.run_id if runs else None)
        client.set_registered_model_alias(name, CHAMPION, version.version)
        for run in client.search_runs([experiment], f"tags.{CHAMPION} = 'true'"):
            client.set_tag(run.info.run_id, CHAMPION, "false")
        if version.run_id:
            client.set_tag(version.run_id, CHAMPION, "true")
    logger.info("MLflow: the champion is version {} of {}, models/{}", version.version, name, champion)


def find_version(client: Any, name: str, model_id: str) -> Any:
    """Return the version of a published model, or None."""
    found = client.search_model_versions(f"name = '{name}' and tags.{MODEL_TAG} = '{model_id}'", max_results=1)
    return found[0] if found else None


def register(
    client: Any,
    options: TrackingOptions,
    places: PlaceOptions,
    model: Manifest,
    report: Manifest | None = None,
    run: str | None = None,
) -> Any:
    """Return the version of a published model, made with its logged model where it is not there.

    Nothing is copied: the files stay in the store, and the version names their folder. A tracking server refuses
    folders of a file system, so that with one the version of such a store names the logged model instead.

    Args:
        client: MLflow's.
        options: Where that is.
        places: The store.
        model: The published model.
        report: The report on it; by default, where it has to be made, the newest that the store has.
        run: Id of the MLflow run that it came from.
    """
    name = registered_name(options)
    found = find_version(client, name, model.id)
    if found is not None:
        return found
    report = report or find_report(places.open_store(), model)
    tags = _tags(places, model, report)
    logged = _log_model(client, open_experiment(client, options), model, tags, run)
    folder, served = _uri(places, model), is_served(options)
    _make_registered_model(client, name, places.open_store().uri)
    version = client.create_model_version(
        name,
        f"models:/{logged}" if served and folder.startswith("file:") else folder,
        run_id=run,
        tags=tags | {LOGGED_MODEL_TAG: logged},
        description=describe(places, model, report),
        model_id=logged if served else None,  # a database would look for it in another one
        await_creation_for=0,
    )
    named = [{"name": name, "version": int(version.version)}]
    client.set_logged_model_tags(logged, {VERSIONS_TAG: json.dumps(named)})
    logger.info("MLflow: models/{} is version {} of {}", model.id, version.version, name)
    return version


def describe(places: PlaceOptions, model: Manifest, report: Manifest | None) -> str:
    """Return what a published model is, in Markdown, with its report, its files and the flow run that made it."""
    figures = [f"{name} {model.counts[name]:.4f}" for name in ("ndcg_10", "recall_10") if name in model.counts]
    lines = [f"**{candidate_of(model).label}**, fitted to all of {_metadata(places, model)['raw']['name']}"]
    lines += [f"On test: {', '.join(figures)}"] if figures else []
    lines += [_link("Report", places, report, layout.REPORT)] if report else []
    lines.append(_link("Model", places, model))
    page = lasting_run_page()
    return "\n\n".join([*lines, *([f"[Flow run in Prefect]({page})"] if page else [])])


def _link(title: str, places: PlaceOptions, artifact: Manifest, name: str | None = None) -> str:
    path = entry(artifact, name).path if name else ""
    page = store_page(places.store_uri, places.s3, f"{artifact.name}/{path}")
    uri = _uri(places, artifact, path)
    return f"{title}: [{uri}]({page})" if page else f"{title}: `{uri}`"


def _uri(places: PlaceOptions, artifact: Manifest, path: str = "") -> str:
    return places.open_store().locate(f"{artifact.name}/{path}".rstrip("/"))


def _metadata(places: PlaceOptions, model: Manifest) -> Mapping[str, Any]:
    path = local_file(places, model, layout.METADATA)
    return canonical.decode_object(path.read_bytes(), str(path))


def _tags(places: PlaceOptions, model: Manifest, report: Manifest | None) -> dict[str, str]:
    """Return what a model was made from, by the names that the tags of runs have."""
    made_from = _metadata(places, model)
    return {
        MODEL_TAG: model.id,
        "dataset_id": made_from["dataset"],
        "split_id": made_from["split"],
        "reviews_id": made_from["reviews"],
        "raw_id": made_from["raw"]["id"],
        "input": made_from["raw"]["name"],
        "code_version": model.code_version,
        "model_uri": _uri(places, model),
        **({"report_uri": _uri(places, report, entry(report, layout.REPORT).path)} if report else {}),
    }


def _log_model(client: Any, experiment: str, model: Manifest, tags: Mapping[str, str], run: str | None) -> str:
    """Return the id of the logged model, made if it is not there."""
    candidate = candidate_of(model)
    name = f"{candidate.model}-{model.id}"
    found = client.search_logged_models([experiment], f"name = '{name}'", max_results=1)
    if found:
        return str(found[0].model_id)
    parameters = {name: str(value) for name, value in {"model": candidate.model, **candidate.parameters}.items()}
    made = client.create_logged_model(
        experiment, name, run, {**tags, EXTERNAL_TAG: "true"}, parameters, model_type=candidate.model
    )
    client.finalize_logged_model(made.model_id, "READY")
    return str(made.model_id)


def _make_registered_model(client: Any, name: str, store: str) -> None:
    from mlflow.exceptions import MlflowException

    about = f"Models published in {store}. The alias `{CHAMPION}` names the one that serves; the store decides which."
    try:
        client.create_registered_model(name, description=about)
    except MlflowException as error:
        if error.error_code != TAKEN:
            raise
