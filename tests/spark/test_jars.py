"""The jars for S3: listed, fetched whole with the right digest, and otherwise missed in words."""

import hashlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from pyspark import __file__ as pyspark_file

import spark.jars
from schema.digests import file_sha256
from schema.errors import Unavailable
from spark.jars import listed_jars, s3_jars

CONTENTS = {"org/one/1.0/one-1.0.jar": b"one", "org/two/2.0/two-2.0.jar": b"two" * 1000}


@dataclass
class Mirror:
    """A server of jars: what it has, the statuses that it answers before it does, and what it was asked for."""

    contents: dict[str, bytes]
    statuses: list[int] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mirror]:
    """Serve a mirror on loopback, which MAVEN_URL names, with a list of two jars."""
    served = Mirror(dict(CONTENTS))

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.removeprefix("/maven/")
            served.asked.append(path)
            content = served.contents.get(path, b"")
            self.send_response(served.statuses.pop(0) if served.statuses else 200 if content else 404)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    lines = [f"jar {path} {len(content)} {hashlib.sha256(content).hexdigest()}" for path, content in CONTENTS.items()]
    downloads = tmp_path / "downloads.txt"
    downloads.write_text("\n".join(["# a comment", "deb java openjdk 1", *lines]), "utf-8")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=lambda: server.serve_forever(0.01), daemon=True).start()
    monkeypatch.setattr(spark.jars, "DOWNLOADS", downloads)
    monkeypatch.setattr(spark.jars, "PAUSE_SECONDS", 0)
    monkeypatch.setenv("MAVEN_URL", f"http://127.0.0.1:{server.server_port}/maven/")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    yield served
    server.shutdown()
    server.server_close()


def test_jars_are_fetched_once_and_what_is_fetched_is_said_before(mirror, tmp_path):
    said: list[str] = []
    files = s3_jars(tmp_path / "jars", said.append)
    assert {file.name: file.read_bytes() for file in files} == {"one-1.0.jar": b"one", "two-2.0.jar": b"two" * 1000}
    assert said[0].startswith("fetching 2 jars (0.0 MB) from http://127.0.0.1:")
    assert s3_jars(tmp_path / "jars", said.append) == files
    assert (len(said), len(mirror.asked)) == (1, 2)
    assert sorted((tmp_path / "jars").iterdir()) == sorted(files)


def test_jar_that_was_cut_off_is_fetched_again_alone(mirror, tmp_path):
    _, cut = s3_jars(tmp_path)
    cut.write_bytes(b"tw")
    s3_jars(tmp_path)
    assert cut.read_bytes() == b"two" * 1000
    assert mirror.asked[2:] == ["org/two/2.0/two-2.0.jar"]


def test_server_that_fails_is_asked_again_and_one_that_refuses_is_not(mirror, tmp_path):
    mirror.statuses[:] = [503, 502]
    assert len(s3_jars(tmp_path / "first")) == 2
    mirror.asked.clear()
    mirror.contents.clear()
    with pytest.raises(Unavailable, match=r"(?s)404 Not Found.*MAVEN_URL"):
        s3_jars(tmp_path / "second")
    assert len(mirror.asked) == len(set(mirror.asked))


def test_other_bytes_are_refused_and_left_nowhere(mirror, tmp_path):
    mirror.contents["org/two/2.0/two-2.0.jar"] = b"hello"
    with pytest.raises(Unavailable, match=r"org/two/2\.0/two-2\.0\.jar has 5 bytes with SHA-256 2cf24d.*; expected "):
        s3_jars(tmp_path / "jars")
    assert [path.name for path in (tmp_path / "jars").iterdir() if "two" in path.name] == []


def test_where_nothing_answers_the_message_says_what_from_where_why_and_what_to_type(mirror, tmp_path, monkeypatch):
    monkeypatch.setenv("MAVEN_URL", "http://127.0.0.1:9")
    with pytest.raises(Unavailable) as caught:
        s3_jars(tmp_path)
    said = str(caught.value)
    expected = (
        "Spark needs 2 jars (0.0 MB)",
        "fetched from http://127.0.0.1:9",
        "refused",
        "-m spark.jars",
        "MAVEN_URL",
    )
    assert [part for part in expected if part not in said] == []
    assert "Java" not in said


def test_list_is_of_the_hadoop_that_pyspark_brings_and_the_files_are_as_listed():
    hadoop = next(Path(pyspark_file).parent.glob("jars/hadoop-client-api-*.jar")).stem.rpartition("-")[2]
    files = s3_jars()
    assert [file.name for file in files if "hadoop" in file.name] == [f"hadoop-aws-{hadoop}.jar"]
    assert [file_sha256(file) for file in files] == [jar.sha256 for jar in listed_jars()]
    assert len(set(files)) == len(files) == 36
