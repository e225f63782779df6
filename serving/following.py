"""Follow the champion: look for another model or a newer bundle, load it beside the one that serves, and swap."""

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread

from loguru import logger

from schema.errors import CorruptObject
from serving.loading import Served, load
from storage import layout
from storage.champion import champion_id
from storage.inventory import newest_bundle
from storage.protocol import Store

POLLS_PER_RETRY = 30
"""What was refused is tried again after so many polls: it may have been repaired under its own id."""

STOP_SECONDS = 3.0
NOT_YET = "no model is loaded yet: the first is being looked for."


class Follower:
    """Keeps one model ready to answer, and puts the next in its place once that is ready too.

    A reader takes `current` once per request and has a snapshot that never changes. Whatever is wrong with the store or
    with a model, what serves is kept, and `problem` says what is the matter.

    Args:
        open_store: Opens the store; called until it succeeds.
        cache: Folder for copies of what is not in local files. They are in its folder ``served``, which the workers of
            a machine share, and from which copies that this one no longer needs are removed.
        model_id: The model to serve; without it the champion, whoever that is.
        poll_seconds: Seconds between two looks at the store.

    Attributes:
        current: What serves; None until something does.
        problem: What keeps something else from serving; None when all is well.
        since: When what serves began to, in Unix seconds; None until something does.
        n_swaps: Models, or bundles of one, that began to serve.
        n_refusals: Looks at which the model to be served was refused.
        n_store_errors: Looks at which the store did not answer as it should.
    """

    def __init__(
        self,
        open_store: Callable[[], Store],
        cache: Path,
        *,
        model_id: str | None = None,
        poll_seconds: float = 10.0,
    ) -> None:
        self.current: Served | None = None
        self.problem: str | None = NOT_YET
        self.since: float | None = None
        self.n_swaps = self.n_refusals = self.n_store_errors = 0
        self._open_store, self._cache = open_store, cache / layout.SERVED
        self._model_id, self._poll_seconds = model_id, poll_seconds
        self._store: Store | None = None
        self._pointer: tuple[str | None, str | None] = None, None
        self._refused: tuple[tuple[str, str | None], str] | None = None
        self._polls_to_retry = 0
        self._told: object = None
        self._stopping = Event()
        self._thread = Thread(target=self._run, name="follower", daemon=True)

    def start(self) -> None:
        """Begin to follow, in a thread of its own; returns at once."""
        self._thread.start()

    def stop(self) -> None:
        """Stop following, after the present look where that is soon over; what serves goes on serving."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(STOP_SECONDS)

    def poll(self) -> None:
        """Look once, and swap if something else is to be served and can be; never raises."""
        try:
            self._look()
        except OSError as error:  # of the store, of the network or of the disk
            self.n_store_errors += 1
            self._tell(f"the store cannot be read: {error}", about=type(error))
        except Exception as error:  # noqa: BLE001 - nothing that is in a store may end the thread
            self.n_refusals += 1
            self._tell(str(error) or type(error).__name__, about=str(error))

    def _run(self) -> None:
        self.poll()
        while not self._stopping.wait(self._poll_seconds):
            self.poll()

    def _look(self) -> None:
        self._store = store = self._store or self._open_store()
        model_id = self._model_id or self._champion(store)
        if model_id is None:
            advice = "Make one with 'python flows/promote.py', or serve a model by its id with --model."
            self._tell(f"{store.uri} has no champion. {advice}", about="champion")
            return
        found = model_id, newest_bundle(store, model_id)
        if self.current is None or found != (self.current.model_id, self.current.bundle_id):
            self._load(store, *found)
        if self._told:
            logger.info("The trouble is over: {}", self.problem)
        self.problem = self._told = self._refused = None

    def _champion(self, store: Store) -> str | None:
        """Return the champion's id, read again only where the pointer has another version."""
        info = store.head(layout.CHAMPION)
        if info is None:
            return None
        if self._pointer[0] != info.version:
            self._pointer = info.version, champion_id(store)
        return self._pointer[1]

    def _load(self, store: Store, model_id: str, bundle_id: str | None) -> None:
        found = model_id, bundle_id
        if self._refused and found == self._refused[0] and self._polls_to_retry:
            self._polls_to_retry -= 1
            raise CorruptObject(self._refused[1])
        try:
            served = load(store, model_id, self._cache)
        except ValueError as error:
            self._refused, self._polls_to_retry = (found, str(error)), POLLS_PER_RETRY
            raise
        before, self.current = self.current, served
        self.since = time.time()
        self.n_swaps += 1
        logger.info("models/{} serves, with bundles/{}", served.model_id, served.bundle_id)
        self._tidy(served, before)

    def _tidy(self, *kept: Served | None) -> None:
        """Remove the copies of all but some; a worker that still has one of them mapped keeps what it has."""
        names = {name for one in kept if one for name in (one.model_id, one.bundle_id)}
        for folder in self._cache.glob("*/*"):
            if folder.name not in names:
                shutil.rmtree(folder, ignore_errors=True)

    def _tell(self, problem: str, about: object) -> None:
        """Remember a problem, and log it once for as long as it is the same."""
        if about != self._told:
            kept = f"models/{self.current.model_id} goes on serving" if self.current else "Nothing serves yet"
            logger.warning("{}: {}", kept, problem)
        self.problem, self._told = problem, about
