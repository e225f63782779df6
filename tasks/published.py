"""Find published models: the one that is named, the champion or the newest, and what a model came from."""

from collections.abc import Sequence

from loguru import logger
from prefect import task

from schema.errors import InvalidInput
from storage import artifacts, layout
from storage.champion import ChampionTerm, champion_id
from storage.inventory import list_artifacts
from storage.manifest import Manifest
from storage.protocol import Store
from tasks.model import Lineage
from tasks.options import ModelChoice, PlaceOptions


@task(name="find model")
def find_model(places: PlaceOptions, choice: ModelChoice) -> tuple[Manifest, Manifest]:
    """Return a published model and the dataset it was trained on.

    Raises:
        InvalidInput: If no such model is published, or none is named and there is no champion.
    """
    store = places.open_store()
    return require_model(store, choice.model_id or _champion_id(store))


def require_model(store: Store, model_id: str) -> tuple[Manifest, Manifest]:
    """Return a published model and the dataset it was trained on.

    Raises:
        InvalidInput: If no such model is published.
    """
    model = artifacts.find(store, layout.MODELS, model_id)
    dataset = artifacts.find(store, layout.DATASETS, model.inputs["dataset"]) if model else None
    if model is None or dataset is None:
        keys = (info.key for info in store.list(f"{layout.MODELS}/"))
        known = sorted({key.split("/")[1] for key in keys if key.endswith(layout.MANIFEST)})
        raise InvalidInput(
            f"{store.uri} has no model {model_id!r}; it has {known or 'none'}. Name one of them with --model, or "
            "train one with 'python flows/train.py'."
        )
    return model, dataset


def newest_model(store: Store, history: Sequence[ChampionTerm]) -> str:
    """Return the id of the model that was published last, less those that gave way to the champion.

    One that served comes back by its name or by a rollback only: else the next comparison would undo a rollback.

    Args:
        store: Where models are.
        history: The champions, the one that serves first.

    Raises:
        InvalidInput: If there is none.
    """
    gone = {term.model_id for term in history} - {term.model_id for term in history[:1]}
    models = {one.id for one in list_artifacts(store, layout.MODELS) if isinstance(one.manifest, Manifest)}
    moments = {one: store.written_at(layout.manifest_key(layout.MODELS, one)) for one in models - gone}
    published = [(moment, one) for one, moment in moments.items() if moment is not None]
    if not published:
        served = f" that did not serve before; {len(models & gone)} did" if models & gone else ""
        raise InvalidInput(
            f"{store.uri} has no model to promote{served}. Train one with 'python flows/train.py', or name one with "
            "--model."
        )
    moment, newest = max(published)
    logger.info(
        "No --model is named: the challenger is the newest, models/{}, of {:%Y-%m-%d %H:%M} UTC", newest, moment
    )
    return newest


@task(name="find lineage")
def find_lineage(places: PlaceOptions, dataset: Manifest, split: Manifest) -> Lineage:
    """Return what a published dataset came from, with a split of it.

    Raises:
        InvalidInput: If the store no longer has it.
    """
    store = places.open_store()
    reviews = artifacts.find(store, layout.REVIEWS_KIND, dataset.inputs["reviews"])
    raw = artifacts.find(store, layout.RAW, reviews.inputs["raw"]) if reviews else None
    if reviews is None or raw is None:
        raise InvalidInput(
            f"{store.uri} no longer has what datasets/{dataset.id} came from. Name the reviews with --input."
        )
    return Lineage(raw, reviews, dataset, split)


def _champion_id(store: Store) -> str:
    found = champion_id(store)
    if found is None:
        raise InvalidInput(f"{store.uri} has no champion yet. Name a published model with --model ID.")
    return found
