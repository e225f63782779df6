"""The data of a training as MLflow shows them: datasets with digests, and the figures measured on them."""

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from storage import layout
from storage.artifacts import entry
from storage.manifest import Manifest
from storage.s3_options import S3_SCHEME
from tasks.model import Lineage
from tasks.options import PlaceOptions
from tasks.store import PART_FILES

WHOLE: Final = ""
VALIDATION: Final = "validation"
TEST: Final = "test"
CONTEXT_TAG: Final = "mlflow.data.context"
COLUMN_TYPES: Final = {"int32": "integer", "int64": "long", "float": "float"}


def datasets_of(places: PlaceOptions, lineage: Lineage) -> dict[str, Any]:
    """Return MLflow's datasets: the whole under "", and the parts of the split under their names."""
    from mlflow.entities import Dataset

    store, schema, split = places.open_store(), _schema(lineage.split), lineage.split
    files = {WHOLE: (lineage.dataset, layout.INTERACTIONS)} | {part: (split, name) for part, name in PART_FILES.items()}
    sizes = {name: split.counts[name] for name in ("n_users", "n_items")}
    found = {}
    for part, (artifact, file) in files.items():
        uri = store.locate(f"{artifact.name}/{entry(artifact, file).path}")
        rows = split.counts[f"{part}_n_rows"] if part else artifact.counts["n_interactions"]
        found[part] = Dataset(
            name=lineage.raw.files[0].path + (f" ({part})" if part else ""),
            digest=artifact.id,
            source_type="s3" if uri.startswith(S3_SCHEME) else "local",
            source=json.dumps({"uri": uri}),
            schema=schema,
            profile=json.dumps({"num_rows": rows, **sizes}),
        )
    return found


def _schema(split: Manifest) -> str:
    from spark.dataset import INTERACTIONS

    has = {name.removesuffix("s"): split.counts[f"has_{name}"] for name in ("ratings", "timestamps")}
    columns = [
        {"name": one.name, "type": COLUMN_TYPES[str(one.type)], "required": bool(has.get(one.name, True))}
        for one in INTERACTIONS
    ]
    return json.dumps({"mlflow_colspec": columns})


def log_data(client: Any, run: str, data: Mapping[str, Any], parts: Iterable[str]) -> None:
    """Say what a run read: parts of the split, or for "" the whole dataset."""
    from mlflow.entities import DatasetInput, InputTag

    contexts = {WHOLE: "training", "train": "training"}
    client.log_inputs(
        run,
        [DatasetInput(data[part], [InputTag(CONTEXT_TAG, contexts.get(part, part))]) for part in parts],
    )


def metrics_of(
    moment: int, data: Mapping[str, Any], part: str, scores: Manifest, logged_model: str | None = None
) -> list[Any]:
    """Return figures as MLflow's metrics, such as ``test/ndcg_10``: its charts are grouped by what is before the /."""
    from mlflow.entities import Metric

    about = {"model_id": logged_model, "dataset_name": data[part].name, "dataset_digest": data[part].digest}
    counts = scores.counts.items()
    return [
        Metric(f"{part}/{name}", float(value), moment, 0, **about)
        for name, value in counts
        if isinstance(value, int | float)
    ]
