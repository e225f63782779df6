import pytest

from schema.errors import InvalidKey
from storage.memory import MemoryStore, shared_memory_store


def test_shared_store_is_one_per_name() -> None:
    shared_memory_store("test-memory-one").create("a", b"")
    assert shared_memory_store("test-memory-one").head("a") is not None
    assert shared_memory_store("test-memory-two").head("a") is None


@pytest.mark.parametrize(("first", "second"), [("a", "a/b"), ("a/b", "a"), ("a", "a/b/c")])
def test_a_key_is_not_both_object_and_folder(first: str, second: str) -> None:
    store = MemoryStore("mine")
    store.create(first, b"")
    with pytest.raises(InvalidKey, match="both an object and a folder"):
        store.create(second, b"")
