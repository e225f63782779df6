"""Several writers against a model of what a store may hold."""

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from schema.errors import ObjectExists, ObjectNotFound, VersionConflict
from storage.opening import open_store
from storage.protocol import ObjectInfo

N_WRITERS = 3
KEYS = ["champion.json", "a", "a-b/c", "a-b/d", "models/1/x", "models/10/x"]

writers = st.integers(0, N_WRITERS - 1)
keys = st.sampled_from(KEYS)
paddings = st.integers(0, 3).map(lambda length: b"." * length)


class Writers(RuleBasedStateMachine):
    """Writers that each remember the last version they saw of a key, and what the store must hold."""

    def __init__(self, uri: str) -> None:
        super().__init__()
        self.stores = [open_store(uri) for _ in range(N_WRITERS)]
        self.seen: list[dict[str, ObjectInfo | None]] = [dict.fromkeys(KEYS) for _ in range(N_WRITERS)]
        self.held: dict[str, tuple[bytes, ObjectInfo]] = {}
        self.n_writes = 0

    def fresh(self, padding: bytes) -> bytes:
        self.n_writes += 1
        return b"%d" % self.n_writes + padding

    def current(self, key: str) -> ObjectInfo | None:
        return self.held[key][1] if key in self.held else None

    @rule(writer=writers, key=keys, padding=paddings)
    def create(self, writer: int, key: str, padding: bytes) -> None:
        data = self.fresh(padding)
        if key in self.held:
            with pytest.raises(ObjectExists):
                self.stores[writer].create(key, data)
        else:
            self.seen[writer][key] = self.stores[writer].create(key, data)
            self.keep(writer, key, data)

    @rule(writer=writers, key=keys, padding=paddings)
    def replace_what_was_seen(self, writer: int, key: str, padding: bytes) -> None:
        data = self.fresh(padding)
        seen = self.seen[writer][key]
        expected = seen.version if seen else None
        if seen == self.current(key):
            self.seen[writer][key] = self.stores[writer].replace(key, data, expected)
            self.keep(writer, key, data)
        else:
            with pytest.raises(VersionConflict):
                self.stores[writer].replace(key, data, expected)

    def keep(self, writer: int, key: str, data: bytes) -> None:
        info = self.seen[writer][key]
        assert info is not None
        assert (info.key, info.size_bytes) == (key, len(data))
        self.held[key] = (data, info)

    @rule(writer=writers, key=keys)
    def look(self, writer: int, key: str) -> None:
        self.seen[writer][key] = self.stores[writer].head(key)
        assert self.seen[writer][key] == self.current(key)

    @rule(writer=writers, key=keys)
    def read(self, writer: int, key: str) -> None:
        if key in self.held:
            assert self.stores[writer].read(key) == self.held[key][0]
        else:
            with pytest.raises(ObjectNotFound):
                self.stores[writer].read(key)

    @rule(writer=writers, key=keys)
    def delete(self, writer: int, key: str) -> None:
        self.stores[writer].delete(key)
        self.held.pop(key, None)

    @invariant()
    def every_writer_lists_what_is_held(self) -> None:
        expected = [self.held[key][1] for key in sorted(self.held)]
        for store in self.stores:
            assert list(store.list("")) == expected


def test_any_interleaving_of_writers_agrees_with_the_model(new_store_uri):
    class WritersOfNewStore(Writers):
        def __init__(self) -> None:
            super().__init__(new_store_uri())

    run_state_machine_as_test(
        WritersOfNewStore,
        settings=settings(max_examples=25, stateful_step_count=25, suppress_health_check=[HealthCheck.too_slow]),
    )
