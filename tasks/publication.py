"""Work that is done once: found by its id, or built in a scratch folder and published."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from loguru import logger

from storage import artifacts
from storage.identity import artifact_id
from storage.manifest import Manifest
from tasks.options import PlaceOptions
from tasks.places import scratch_folder

Counts = Mapping[str, Any]


def publish_once(
    places: PlaceOptions,
    kind: str,
    *,
    inputs: Mapping[str, str],
    parameters: Mapping[str, Any],
    code: str,
    build: Callable[[Path], Counts],
) -> Manifest:
    """Return the artifact that these inputs, parameters and code give, building it if it is not there.

    Args:
        places: The store, and where scratch files go.
        kind: Kind of artifact, as the layout spells it.
        inputs: Role to id of every artifact it is made from.
        parameters: What else decides its content; JSON values.
        code: Version of the code that matters, from ``storage.identity.code_version``.
        build: Writes the files into an empty folder and returns the counts for the manifest.

    Returns:
        The manifest of the published artifact.
    """
    store = places.open_store()
    identity = artifact_id(kind, inputs, parameters, code)
    found = artifacts.find(store, kind, identity)
    if found:
        logger.info("{}/{} is already there: nothing to do", kind, identity)
        return found
    with scratch_folder(places, kind) as folder:
        counts = build(folder)
        published = artifacts.publish(
            store,
            kind,
            identity,
            folder,
            inputs=inputs,
            parameters=parameters,
            code_version=code,
            counts=counts,
        )
    logger.info("{}/{} published", kind, identity)
    return published
