"""Every kind of model is loaded as it was published, without the engines that made it; what is broken is refused."""

import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sample_artifacts import replace_object
from sample_bundle import Sample, candidate, factorise, interactions, publish_bundle, publish_model, write_store

from models.factors import FactorModel
from models.registry import Candidate, ModelOptions, candidates
from schema.errors import CorruptObject, InvalidInput, InvalidKey
from serving.loading import load
from storage import layout
from storage.inventory import newest_bundle

HAS = {"has_ratings": True, "has_timestamps": True}
KINDS = list(dict.fromkeys(one.model for one in candidates(ModelOptions(), **HAS, names=["graph", "als"])))
ENGINES = ("pyarrow", "scipy", "pandas", "pyspark", "prefect", "dask", "distributed", "mlflow", "torch", "boto3")
IN_A_PROCESS = """
import json, sys
from pathlib import Path
from serving.following import Follower
from storage.opening import open_store
lists = {}
for folder in sys.argv[2:]:
    follower = Follower(lambda: open_store(folder), Path(folder) / "cache")
    follower.poll()
    served = follower.current
    histories = served.histories_of(slice(None))
    users = list(range(served.bundle.n_users))
    import numpy as np
    items, scores = served.model.rank(np.array(users), histories.items, 5)
    if hasattr(served.model, "rank_histories"):
        served.model.rank_histories(histories, histories.items, 5)
    lists[served.kind.name] = [items.tolist(), scores.astype(float).tolist()]
print(json.dumps([lists, sorted({name.split(".")[0] for name in sys.modules} & set(sys.argv[1].split(",")))]))
"""


def test_every_kind_answers_as_it_was_fitted_without_any_engine_in_the_process(tmp_path: Path) -> None:
    expected = {}
    for kind in KINDS:
        sample = write_store(tmp_path / kind, kind)
        one = candidate(kind)
        fitted = one.kind.fit(interactions(), one.parameters)
        items, scores = fitted.rank(np.arange(fitted.n_users), sample.bundle.histories, 5)
        expected[kind] = [items.tolist(), scores.astype(float).tolist()]
    command = [sys.executable, "-c", IN_A_PROCESS, ",".join(ENGINES), *(str(tmp_path / kind) for kind in KINDS)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    lists, engines = json.loads(done.stdout)
    assert engines == []
    assert lists == expected


@pytest.fixture
def sample(tmp_path: Path) -> Sample:
    return write_store(tmp_path / "store")


def refused(sample: Sample, tmp_path: Path, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        load(sample.store, sample.model_id, tmp_path / "cache")


def as_npy(array: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=True)
    return buffer.getvalue()


def test_bytes_that_are_not_those_of_the_manifest_are_refused_in_a_local_store_too(
    sample: Sample, tmp_path: Path
) -> None:
    key = f"models/{sample.model_id}/factors/item_factors.npy"
    data = bytearray(sample.store.read(key))
    data[-1] ^= 1
    replace_object(sample.store, key, bytes(data))
    refused(sample, tmp_path, CorruptObject, r"item_factors\.npy has the SHA-256")


@pytest.mark.parametrize("name", ["bundle.json", "titles_data.npy", "lists_scores.npy"])
def test_a_bundle_with_another_byte_or_without_a_file_is_refused(sample: Sample, tmp_path: Path, name: str) -> None:
    key = f"bundles/{sample.bundle_id}/served/{name}"
    data = bytearray(sample.store.read(key))
    data[-1] ^= 1
    replace_object(sample.store, key, bytes(data))
    refused(sample, tmp_path, CorruptObject, f"{name} has the SHA-256")
    sample.store.delete(key)
    refused(sample, tmp_path, CorruptObject, f"{name} does not exist")


def test_a_file_beside_those_of_the_manifest_is_not_read(tmp_path: Path) -> None:
    sample = write_store(tmp_path / "store", has_lists=False)
    for name in ("lists_items", "lists_scores"):
        sample.store.create(f"bundles/{sample.bundle_id}/served/{name}.npy", as_npy(np.zeros((40, 3), np.int32)))
    assert load(sample.store, sample.model_id, tmp_path / "cache").bundle.lists is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda factors: np.where(factors > 0, np.nan, factors), "row 0 holds NaN"),
        (lambda factors: factors.astype(np.float64), "expected float32 of 2 dimension"),
        (lambda factors: factors.astype(object), "Python objects in dtype"),
        (lambda factors: factors[:-1], r"it is for \(40, 29\) users and items; its bundle has \(40, 30\)"),
        (lambda factors: factors[:, :-1], "factors differ in rank"),
        (lambda factors: factors.ravel(), "expected float32 of 2 dimension"),
        (lambda factors: np.full_like(factors, 3e38), "models/bad cannot be served"),
    ],
    ids=["NaN", "wide", "objects", "an item less", "a factor less", "flat", "too large to multiply"],
)
def test_a_model_with_the_right_digests_that_cannot_answer_is_refused(
    tmp_path: Path, change: Callable[[Any], Any], message: str
) -> None:
    sample = write_store(tmp_path / "store", model_id="good")
    publish_bundle(sample.store, bundle_of(sample, "bad"))

    class Bad(FactorModel):
        def __post_init__(self) -> None:
            """Do not check."""

        def save(self, folder: Path) -> None:
            folder.mkdir(parents=True)
            (folder / "user_factors.npy").write_bytes(as_npy(self.user_factors))
            (folder / "item_factors.npy").write_bytes(as_npy(change(self.item_factors)))

    one = candidate()
    publish_model(sample.store, "bad", one, Bad(*factorise({**one.parameters, "implicit": True}, "")))
    refused(sample._replace(model_id="bad"), tmp_path, CorruptObject, message)


def bundle_of(sample: Sample, model_id: str, **about: Any) -> Any:
    """Return the bundle of a sample as that of another model."""
    return type(sample.bundle)(
        **{**vars(sample.bundle), "about": {**sample.bundle.about, "model_id": model_id, **about}}
    )


def test_a_model_of_an_unknown_kind_is_refused(sample: Sample, tmp_path: Path) -> None:
    fitted = FactorModel(*factorise({**candidate().parameters, "implicit": True}, ""))
    publish_model(sample.store, "new", Candidate(model="from-tomorrow", parameters={}), fitted)
    publish_bundle(sample.store, bundle_of(sample, "new", model="from-tomorrow", parameters={}))
    refused(sample._replace(model_id="new"), tmp_path, InvalidInput, "'from-tomorrow', which this version")


def test_a_bundle_that_is_for_another_model_is_refused(sample: Sample, tmp_path: Path) -> None:
    one = candidate("popularity")
    publish_model(sample.store, "other", one, one.kind.fit(interactions(), {}))
    publish_bundle(sample.store, bundle_of(sample, "other"))
    refused(sample._replace(model_id="other"), tmp_path, CorruptObject, "'als-implicit'.*expected.*'popularity'")


def test_what_is_not_there_is_named_with_what_to_do(sample: Sample, tmp_path: Path) -> None:
    refused(sample._replace(model_id="none"), tmp_path, InvalidInput, "has no model 'none'")
    refused(sample._replace(model_id="../x"), tmp_path, InvalidKey, "contains '/'")
    publish_model(sample.store, "bare", one := candidate("popularity"), one.kind.fit(interactions(), {}))
    refused(sample._replace(model_id="bare"), tmp_path, InvalidInput, r"recommend\.py --model bare'")


def test_the_bundle_that_was_published_or_renewed_last_is_served(sample: Sample) -> None:
    newer = publish_bundle(sample.store, sample.bundle, salt="another").id
    publish_bundle(sample.store, bundle_of(sample, f"{sample.model_id}a"))
    assert newest_bundle(sample.store, sample.model_id) == newer
    sample.store.renew(layout.manifest_key(layout.BUNDLES, sample.bundle_id))
    assert newest_bundle(sample.store, sample.model_id) == sample.bundle_id
