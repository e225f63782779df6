import fcntl
import gzip
import hashlib
import json
import os
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from pydantic import ValidationError

from reviews.download import Download, download, is_url, use_local
from reviews.options import DownloadOptions
from schema.errors import InvalidInput, OutOfSpace, Unavailable

REVIEWS = gzip.compress(random.Random(1).randbytes(300_000), mtime=0)  # noqa: S311 (data, not a secret)
OTHER_REVIEWS = gzip.compress(random.Random(2).randbytes(300_000), mtime=0)  # noqa: S311 (data, not a secret)
NAME = "reviews.json.gz"


@dataclass
class Site:
    """What the server serves, and how badly it behaves."""

    body: bytes = REVIEWS
    etag: str | None = '"v1"'
    last_modified: str | None = None
    status: int = 200
    cuts: list[int] = field(default_factory=list)  # bytes to send before hanging up, one entry a request
    announces_size: bool = True
    announced_size: int | None = None  # a lie about the size
    honours_range: bool = True
    honours_if_range: bool = True
    sends_etag_with_ranges: bool = True
    range_cap: int | None = None  # sends no more than this many bytes of a range
    range_shift: int = 0  # sends this many bytes further on than asked
    hangs: bool = False
    requests: list[dict[str, str]] = field(default_factory=list)
    url: str = ""
    is_over: Event = field(default_factory=Event)


class Handler(BaseHTTPRequestHandler):
    site: Site

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class's name)
        """Keep quiet."""

    def do_GET(self) -> None:
        site = self.site
        site.requests.append({name.lower(): value for name, value in self.headers.items()})
        if self.path == "/moved.gz":
            self._answer(302, b"", Location=f"{site.url}")
        elif self.path == "/circle.gz":
            self._answer(302, b"", Location="/circle.gz")
        elif site.hangs:
            site.is_over.wait(30)
        elif site.status != 200:
            self._answer(site.status, b"<html>sorry</html>")
        else:
            self._serve(self._first_byte())

    def _first_byte(self) -> int | None:
        site = self.site
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if wanted is None or not site.honours_range:
            return None
        is_current = self.headers.get("If-Range") in (site.etag, site.last_modified)
        return int(wanted[1]) + site.range_shift if is_current or not site.honours_if_range else None

    def _serve(self, first: int | None) -> None:
        site = self.site
        size = len(site.body)
        if first is None:
            self._answer(200, site.body, **self._version())
        elif first >= size:
            self._answer(416, b"", **{"Content-Range": f"bytes */{size}"})
        else:
            end = min(size, first + (site.range_cap or size))
            headers = {"Content-Range": f"bytes {first}-{end - 1}/{size}"}
            headers |= self._version() if site.sends_etag_with_ranges else {}
            self._answer(206, site.body[first:end], **headers)

    def _version(self) -> dict[str, str]:
        pairs = {"ETag": self.site.etag, "Last-Modified": self.site.last_modified}
        return {name: value for name, value in pairs.items() if value}

    def _answer(self, status: int, body: bytes, **headers: str) -> None:
        site = self.site
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if site.announces_size:
            self.send_header("Content-Length", str(site.announced_size or len(body)))
        self.end_headers()
        self.wfile.write(body[: site.cuts.pop(0)] if site.cuts else body)
        self.close_connection = True


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """Serve a Site on a free port of this machine."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    site = Site()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("SiteHandler", (Handler,), {"site": site}))
    server.daemon_threads = True
    site.url = f"http://127.0.0.1:{server.server_port}/{NAME}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield site
    site.is_over.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "raw" / NAME


def fetch(site: Site, target: Path, url: str | None = None, **options: Any) -> Download:
    return download(url or site.url, target, progress=lambda *_: None, **{"sha256": None, **options})


def fetch_half(site: Site, target: Path) -> int:
    """Leave a part file behind, cut by the server at 200,000 bytes; return how much of it was kept."""
    site.cuts = [200_000]
    with pytest.raises(Unavailable):
        fetch(site, target)
    return part_of(target).stat().st_size


def part_of(target: Path) -> Path:
    return target.with_name(f"{target.name}.part")


def sha256_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def visible_files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if not path.name.startswith(".")}


def through_proxy(monkeypatch: pytest.MonkeyPatch, url: str) -> str:
    """Set a proxy, and return the address of a file that only it can reach."""
    monkeypatch.setenv("http_proxy", url.replace("//", "//ada:hunter22@"))
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")
    return f"http://reviews.example/{NAME}"


def test_file_comes_through_the_proxy_that_the_environment_names(site, target, monkeypatch):
    fetch(site, target, through_proxy(monkeypatch, site.url.removesuffix(f"/{NAME}")))
    assert [request["host"] for request in site.requests] == ["reviews.example"]


def test_refusal_names_the_proxy_that_may_have_been_the_one_to_refuse(site, target, monkeypatch):
    site.status = 403
    said = (
        r"answered 403 .* through the proxy http://127.0.0.1:\d+ \(HTTP_PROXY\); NO_PROXY does not name reviews.example"
    )
    with pytest.raises(InvalidInput, match=said) as error:
        fetch(site, target, through_proxy(monkeypatch, site.url.removesuffix(f"/{NAME}")))
    assert "hunter22" not in str(error.value)


def test_download_fetches_the_file_and_records_where_it_came_from(site, target):
    seen: list[tuple[int, int | None]] = []
    got = download(site.url, target, sha256=None, progress=lambda done, total: seen.append((done, total)))
    assert got == Download(target, sha256_of(REVIEWS), len(REVIEWS), was_present=False)
    assert target.read_bytes() == REVIEWS
    record = json.loads(target.with_name(f"{NAME}.download.json").read_text())
    assert record == {"url": site.url, "etag": '"v1"', "sha256": got.sha256, "size_bytes": got.size_bytes}
    assert visible_files(target.parent) == {NAME, f"{NAME}.download.json"}
    assert (seen[0], seen[-1]) == ((0, len(REVIEWS)), (len(REVIEWS), len(REVIEWS)))
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})


def test_download_asks_nothing_of_the_server_when_the_file_is_there(site, target):
    first = fetch(site, target)
    again = fetch(site, target)
    assert again == Download(target, first.sha256, first.size_bytes, was_present=True)
    assert len(site.requests) == 1


def test_download_accepts_the_pinned_digest_in_upper_case_also_when_present(site, target):
    pin = sha256_of(REVIEWS).upper()
    assert [fetch(site, target, sha256=pin).was_present for _ in range(2)] == [False, True]


@pytest.mark.parametrize(("name", "content"), [(NAME, REVIEWS[:-1] + b"x"), (f"{NAME}.download.json", b'{"url":')])
def test_download_fetches_again_when_the_fetched_file_or_its_record_is_damaged(site, target, name, content):
    fetch(site, target)
    target.with_name(name).write_bytes(content)
    assert not fetch(site, target).was_present
    assert target.read_bytes() == REVIEWS


def test_download_fetches_again_when_the_url_is_another(site, target):
    fetch(site, target)
    site.body = OTHER_REVIEWS
    assert not fetch(site, target, url=f"{site.url}?version=2").was_present
    assert target.read_bytes() == OTHER_REVIEWS


def test_download_uses_a_file_that_was_put_there_by_hand(site, target):
    target.parent.mkdir()
    target.write_bytes(b"user,item\nada,1\n")
    assert fetch(site, target).was_present
    assert site.requests == []


def test_download_never_replaces_a_file_put_there_by_hand(site, target):
    target.parent.mkdir()
    target.write_bytes(b"mine")
    with pytest.raises(InvalidInput, match=f"{sha256_of(b'mine')}; expected {sha256_of(REVIEWS)}"):
        fetch(site, target, sha256=sha256_of(REVIEWS))
    assert target.read_bytes() == b"mine"


def test_download_continues_a_cut_transfer_where_it_stopped(site, target):
    kept = fetch_half(site, target)
    assert 0 < kept <= 200_000
    assert not target.exists()
    assert fetch(site, target).sha256 == sha256_of(REVIEWS)
    assert (site.requests[1]["range"], site.requests[1]["if-range"]) == (f"bytes={kept}-", '"v1"')


def test_download_continues_after_a_server_that_sends_less_than_asked(site, target):
    kept = fetch_half(site, target)
    site.range_cap = 1000
    with pytest.raises(Unavailable, match=f"came with {kept + 1000:,} bytes; its server announced {len(REVIEWS):,}"):
        fetch(site, target)
    site.range_cap = None
    assert fetch(site, target).sha256 == sha256_of(REVIEWS)
    assert site.requests[2]["range"] == f"bytes={kept + 1000}-"


def test_download_survives_a_server_that_cuts_every_connection(site, target):
    site.cuts = [70_000] * 4
    for _ in range(4):
        with pytest.raises(Unavailable, match=r"failed after [\d,]+ bytes"):
            fetch(site, target)
    assert fetch(site, target).sha256 == sha256_of(REVIEWS)
    firsts = [int(request["range"][6:-1]) for request in site.requests[1:]]
    assert firsts == sorted(set(firsts))


def test_download_continues_by_last_modified_when_the_etag_is_weak(site, target):
    site.etag, site.last_modified = 'W/"v1"', "Wed, 23 Jul 2014 00:00:00 GMT"
    fetch_half(site, target)
    assert fetch(site, target).sha256 == sha256_of(REVIEWS)
    assert site.requests[1]["if-range"] == site.last_modified


def test_download_starts_over_when_nothing_identifies_the_version(site, target):
    site.etag = None
    fetch_half(site, target)
    assert fetch(site, target).sha256 == sha256_of(REVIEWS)
    assert "range" not in site.requests[1]


@pytest.mark.parametrize(
    ("changes", "n_requests"),
    [
        pytest.param({"honours_range": False}, 2, id="ranges are ignored"),
        pytest.param({"body": OTHER_REVIEWS, "etag": '"v2"'}, 2, id="the file changed"),
        pytest.param({"range_shift": 10}, 3, id="the range begins elsewhere"),
        pytest.param({"body": gzip.compress(b"short"), "honours_if_range": False}, 3, id="the file became shorter"),
        pytest.param(  # found out by the gzip's own checksum
            {"body": OTHER_REVIEWS, "honours_if_range": False, "sends_etag_with_ranges": False},
            3,
            id="the pieces do not fit together",
        ),
    ],
)
def test_download_starts_over_when_the_server_does_not_continue_the_same_file(site, target, changes, n_requests):
    fetch_half(site, target)
    for name, value in changes.items():
        setattr(site, name, value)
    assert fetch(site, target).sha256 == sha256_of(site.body)
    assert len(site.requests) == n_requests


@pytest.mark.parametrize("change", ["version", "size"])
def test_download_starts_over_when_a_range_is_of_another_file(site, target, change):
    """Plain text has no checksum by which it would show later."""
    plain = target.with_suffix("")
    site.body = b"user,item\n" * 30_000
    fetch_half(site, plain)
    site.body, site.honours_if_range = b"item,user\n" * (30_000 + (change == "size")), False
    site.etag, site.sends_etag_with_ranges = '"v2"', change == "version"
    assert fetch(site, plain).sha256 == sha256_of(site.body)
    assert len(site.requests) == 3


@pytest.mark.parametrize("query", ["", "?version=2"], ids=["state is lost", "another URL"])
def test_download_starts_over_when_the_part_may_be_of_another_file(site, target, query):
    fetch_half(site, target)
    if not query:
        part_of(target).with_name(f"{NAME}.part.json").write_text('{"url"')
    assert fetch(site, target, url=f"{site.url}{query}").sha256 == sha256_of(REVIEWS)
    assert "range" not in site.requests[1]


def test_download_finishes_a_complete_part_without_another_request(site, target):
    """So it is after a kill between the last byte and the rename."""
    kept = fetch_half(site, target)
    with part_of(target).open("ab") as part:
        part.write(REVIEWS[kept:])
    assert fetch(site, target).sha256 == sha256_of(REVIEWS)
    assert len(site.requests) == 1


def test_download_keeps_the_part_when_the_server_fails_in_between(site, target):
    kept = fetch_half(site, target)
    site.status = 503
    with pytest.raises(Unavailable, match="answered 503"):
        fetch(site, target)
    site.status = 200
    fetch(site, target)
    assert site.requests[2]["range"] == f"bytes={kept}-"


@pytest.mark.parametrize(
    ("status", "error", "message"),
    [
        *((status, InvalidInput, "RAW_REVIEWS_URL") for status in (400, 401, 403, 404, 410)),
        *((status, Unavailable, "") for status in (429, 500, 502, 503)),
    ],
)
def test_download_tells_what_the_server_refuses_from_what_may_pass(site, target, status, error, message):
    site.status = status
    with pytest.raises(error, match=f"answered {status}.*{message}"):
        fetch(site, target)
    assert visible_files(target.parent) == set()


def test_download_gives_up_on_a_silent_server_and_a_closed_port(site, target):
    with pytest.raises(Unavailable, match="ConnectError"):
        fetch(site, target, url="http://127.0.0.1:9/reviews.json.gz")
    site.hangs = True
    with pytest.raises(Unavailable, match="ReadTimeout"):
        fetch(site, target, timeout_seconds=0.2)


@pytest.mark.parametrize(
    ("name", "body", "message"),
    [
        (NAME, REVIEWS[:-1000], "broken gzip"),
        (NAME, REVIEWS[:5000] + b"\x00" * 64 + REVIEWS[5064:], "broken gzip"),
        (NAME, b"service is busy", "is no gzip: it begins b'service is busy'"),
        (NAME, b"", "is empty"),
        ("reviews.json", b"<!DOCTYPE html><p>Log in", "web page or XML that begins"),
        ("reviews.json", b"\xef\xbb\xbf\n <html>", "web page or XML that begins"),
        ("reviews.json", b"<?xml version='1.0'?>", "web page or XML that begins"),
    ],
)
def test_download_refuses_what_is_no_whole_file_of_data(site, target, name, body, message):
    site.body = body
    with pytest.raises(InvalidInput, match=message):
        fetch(site, target.with_name(name))
    assert visible_files(target.parent) == set()


def test_download_keeps_the_part_when_a_page_comes_in_its_place(site, target):
    kept = fetch_half(site, target)
    site.body, site.etag = b"<html>captive portal</html>", None
    with pytest.raises(InvalidInput, match="web page"):
        fetch(site, target)
    assert part_of(target).stat().st_size == kept


def test_download_retries_a_broken_gzip_whose_size_was_not_announced(site, target):
    site.announces_size, site.cuts = False, [200_000]
    with pytest.raises(Unavailable, match="its size was not announced"):
        fetch(site, target)
    assert fetch(site, target).sha256 == sha256_of(REVIEWS)


def test_download_takes_plain_data_under_a_plain_name(site, target):
    site.body = b"user,item\nada,1\n"
    assert fetch(site, target.with_suffix("")).size_bytes == len(site.body)


def test_download_refuses_another_digest_than_pinned(site, target):
    with pytest.raises(InvalidInput, match=f"{sha256_of(REVIEWS)}; expected {'0' * 64}"):
        fetch(site, target, sha256="0" * 64)
    assert visible_files(target.parent) == set()


def test_download_follows_a_redirect_and_refuses_a_circle(site, target):
    root = site.url.removesuffix(NAME)
    assert fetch(site, target, url=f"{root}moved.gz").sha256 == sha256_of(REVIEWS)
    with pytest.raises(InvalidInput, match="redirects in a circle"):
        fetch(site, target, url=f"{root}circle.gz")


def test_download_refuses_at_once_what_the_disk_cannot_hold(site, target):
    site.announced_size = 10**15
    with pytest.raises(OutOfSpace, match=f"{target.parent} is full: {10**15:,} more bytes are needed"):
        fetch(site, target)


def test_download_says_so_when_the_disk_fills_up_on_the_way(site, target, monkeypatch):
    """The part is a device that is always full, so that the write itself fails as on a full disk."""
    monkeypatch.setattr("reviews.transfer.discard", lambda _part: None)
    target.parent.mkdir()
    part_of(target).symlink_to("/dev/full")
    with pytest.raises(OutOfSpace, match=f"{target.parent} is full: writing the next bytes failed"):
        fetch(site, target)
    assert not target.exists()


def test_download_stands_back_from_another_process_at_work(site, target):
    target.parent.mkdir()
    with target.with_name(f".{NAME}.lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(Unavailable, match="Another process is fetching"):
            fetch(site, target)
    assert not fetch(site, target).was_present


def test_download_keeps_credentials_and_signatures_out_of_messages_and_records(site, target):
    url = site.url.replace("http://", "http://ada:hunter2@") + "?signature=abc123"
    site.status = 404
    with pytest.raises(InvalidInput) as caught:
        fetch(site, target, url=url)
    assert "hunter2" not in str(caught.value)
    assert "abc123" not in str(caught.value)
    site.status = 200
    fetch(site, target, url=url)
    assert all(b"hunter2" not in path.read_bytes() for path in target.parent.iterdir())


@pytest.mark.parametrize("url", ["ftp://example.org/a.gz", "reviews.json.gz", "http://", "http://[::1"])
def test_download_refuses_what_is_no_web_address(site, target, url):
    with pytest.raises(InvalidInput, match=r"expected http://… or https://…"):
        fetch(site, target, url=url)


def test_use_local_digests_the_file_and_refuses_another_digest_than_pinned(tmp_path):
    path = tmp_path / NAME
    path.write_bytes(REVIEWS)
    expected = Download(path, sha256_of(REVIEWS), len(REVIEWS), was_present=True)
    assert use_local(path, sha256=sha256_of(REVIEWS)) == expected
    with pytest.raises(InvalidInput, match=f"expected {'0' * 64}"):
        use_local(path, sha256="0" * 64)


def test_options_refuse_a_pin_that_is_no_digest():
    with pytest.raises(ValidationError, match="raw_reviews_sha256"):
        DownloadOptions(raw_reviews_sha256="af3e")


@pytest.mark.parametrize(
    ("name", "reason"),
    [("missing", "No file at"), (".", "is a directory"), ("empty", "is empty"), ("pipe", "no regular file")],
)
def test_use_local_refuses_what_is_no_file_with_data(tmp_path, name, reason):
    (tmp_path / "empty").write_bytes(b"")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InvalidInput, match=reason):
        use_local(tmp_path / name)


def test_is_url_tells_addresses_from_paths():
    assert [is_url(text) for text in ("HTTPS://a.b/c", "http://a", "a/http", Path("a"))] == [True, True, False, False]
