"""The scenarios of the store: read again when they change, checked, and replaced only as a whole."""

import threading
from dataclasses import dataclass
from typing import Final

from loguru import logger
from pydantic import ValidationError

from schema.errors import CorruptObject, ObjectNotFound, VersionConflict
from serving.problems import Problem
from serving.rules import Scenario
from storage import canonical, layout
from storage.protocol import Store

MOST_BYTES: Final = 1 << 20
BUILT_IN: Final = {
    "home": Scenario(description="Home page: the best items that a person does not have."),
    "basket": Scenario(description="Beside a basket: at most two items of a brand.", n=6, max_per_brand=2),
    "email": Scenario(description="E-mail: a few unlike items.", n=5, diversity=0.3),
}


@dataclass(frozen=True)
class Named:
    """A scenario under its name.

    Attributes:
        version: Digest of its content.
        problem: Why a newer file is not in use.
    """

    name: str
    version: str
    scenario: Scenario
    problem: str | None = None


class Scenarios:
    """The scenarios that there are; those of the store win over those that are built in.

    Attributes:
        current: By name; replaced as a whole.
        problems: What is wrong with each file that is not in use, by name.
    """

    def __init__(self) -> None:
        self.current = {name: Named(name, _version(one), one) for name, one in BUILT_IN.items()}
        self.problems: dict[str, str] = {}
        self._versions: dict[str, str] = {}
        self._changing = threading.RLock()

    def __getitem__(self, name: str) -> Named:
        found = self.current.get(name)
        if found is None:
            raise Problem(404, "No such scenario", f"scenario {name!r} is unknown; there are {sorted(self.current)}.")
        return found

    def refresh(self, store: Store) -> None:
        """Read the files that changed; a bad one is refused, and what it was before is kept.

        Raises:
            RecommenderError: If the store does not answer.
        """
        with self._changing:
            seen = {
                info.key.removeprefix(f"{layout.SCENARIOS}/").removesuffix(".json"): info
                for info in store.list(f"{layout.SCENARIOS}/")
                if info.key.endswith(".json")
            }
            for name, info in seen.items():
                if self._versions.get(name) != info.version:
                    self._take(store, name)
                    self._versions[name] = info.version
            for name in set(self._versions) - set(seen):
                del self._versions[name]
                self._put(name, BUILT_IN.get(name))

    def _take(self, store: Store, name: str) -> None:
        try:
            self._put(name, _parse(store.read(key_of(name), MOST_BYTES), name))
        except ObjectNotFound:
            return
        except CorruptObject as error:
            if self.problems.get(name) != str(error):
                logger.warning("Scenario {} is refused, and what it was before is kept: {}", name, error)
            self.problems = {**self.problems, name: str(error)}

    def _put(self, name: str, scenario: Scenario | None) -> None:
        self.problems = {other: problem for other, problem in self.problems.items() if other != name}
        rest = {other: one for other, one in self.current.items() if other != name}
        self.current = rest | ({name: Named(name, _version(scenario), scenario)} if scenario else {})

    def replace(self, store: Store, name: str, scenario: Scenario, expected: str | None) -> Named:
        """Write a scenario to the store, if it still has the version that was expected.

        Args:
            store: Where it goes.
            name: Its name.
            scenario: The new one.
            expected: Version of the one that is replaced; None for a new one.

        Raises:
            Problem: 412 if it has another version, 413 if its file would be too large, 428 if there is one and no
                version was expected.
            RecommenderError: If the store does not answer.
        """
        written, data = Named(name, _version(scenario), scenario), _encode(scenario, name)
        with self._changing:
            info = store.head(key_of(name))
            self.refresh(store)
            _check(self.current.get(name), name, expected)
            try:
                stored = store.replace(key_of(name), data, info.version if info else None)
            except VersionConflict:
                self.refresh(store)
                raise _changed(name, self.current.get(name)) from None
            self._put(name, scenario)
            self._versions[name] = stored.version
        return written


def key_of(name: str) -> str:
    """Return the key of a scenario's file."""
    return f"{layout.SCENARIOS}/{name}.json"


def _encode(scenario: Scenario, name: str) -> bytes:
    data = canonical.encode(scenario.model_dump(mode="json"), indent=2)
    if len(data) > MOST_BYTES:
        found = f"the file of scenario {name!r} would have {len(data)} bytes; at most {MOST_BYTES} are taken."
        raise Problem(413, "The scenario is too large", f"{found} Name fewer items, or categories instead of items.")
    return data


def _check(found: Named | None, name: str, expected: str | None) -> None:
    if found and expected is None:
        raise Problem(428, "If-Match is missing", f'there is a scenario {name!r}; send If-Match: "{found.version}".')
    if expected is not None and (found is None or found.version != expected):
        raise _changed(name, found)


def _changed(name: str, found: Named | None) -> Problem:
    now = f"has version {found.version}" if found else "is not there"
    return Problem(412, "It has changed", f"scenario {name!r} {now}; read it again and decide anew.")


def _version(scenario: Scenario) -> str:
    return canonical.short_digest(canonical.encode(scenario.model_dump(mode="json")))


def _parse(data: bytes, name: str) -> Scenario:
    try:
        return Scenario.model_validate(canonical.decode_object(data, key_of(name)))
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        place = ".".join(map(str, problem["loc"]))
        raise CorruptObject(
            f"{key_of(name)}: {place}: {problem['msg']}; found {str(problem['input'])[:80]!r}. Correct the file."
        ) from error
