import pytest

from schema.errors import InvalidInput
from storage.opening import open_store


def test_path_and_file_uri_open_the_same_folder(tmp_path, monkeypatch):
    folder = tmp_path / "with space"
    open_store(str(folder)).create("a", b"content")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for uri in (folder.as_uri(), f"file://localhost{folder}", "with space", "./with space", "~/with space"):
        assert open_store(uri).read("a") == b"content"
        assert open_store(uri).uri == folder.as_uri()


def test_memory_uri_opens_the_store_of_that_name():
    open_store("memory://test-opening").create("a", b"content")
    assert open_store("memory://test-opening").read("a") == b"content"
    assert open_store("memory://test-another").head("a") is None


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "  ",
        "a\0b",
        "gs://bucket",
        "s3:/bucket",
        "https://example.org/store",
        "file://",
        "file://elsewhere/store",
        "file:///store?x=1",
        "file:///store%00",
        "memory://",
        "memory://a/b",
        "memory:/a",
        "~no-such-user/store",
    ],
)
def test_what_is_no_store_is_refused_by_its_name(uri):
    with pytest.raises(InvalidInput) as refused:
        open_store(uri)
    assert repr(uri) in str(refused.value)
