"""What only a store on S3 can get wrong: lost answers, parts, pages, addresses, credentials."""

import json
import os
import socket
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSPreparedRequest
from botocore.exceptions import ConnectionClosedError
from botocore.httpsession import URLLib3Session
from sample_artifacts import publish_folder
from servers import need_program, open_custom_minio, open_versitygw, set_variables

import storage.s3
import storage.s3_client
import storage.s3_transfer
from deployments.s3_server import S3Server
from schema.errors import InvalidInput, ObjectExists, Unavailable, VersionConflict
from storage import artifacts
from storage.champion import replace_champion
from storage.opening import open_store
from storage.s3 import S3Store
from storage.s3_client import open_client, parse_uri
from storage.s3_options import S3Options
from storage.s3_transfer import S3Stream

MEBIBYTE = 1024**2
FUTURE = datetime.now(UTC) + timedelta(days=1)


@pytest.fixture
def on_minio(minio: S3Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Store]:
    """An empty store on MinIO, with a client of its own that a test may tamper with."""
    set_variables(monkeypatch, minio)
    storage.s3_client._client.cache_clear()
    yield S3Store(f"s3://{minio.bucket}/{uuid.uuid4().hex}", S3Options(s3_endpoint_url=minio.endpoint_url))
    storage.s3_client._client.cache_clear()
    storage.s3_transfer.race_flaw.cache_clear()


@pytest.fixture
def one_attempt(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Clients that do not try again, so that a test of what they say does not wait."""
    monkeypatch.setattr(storage.s3_client, "ATTEMPTS", 1)
    storage.s3_client._client.cache_clear()
    yield
    storage.s3_client._client.cache_clear()


def events(store: S3Store) -> Any:
    return store._client.meta.events


def lose_answers(store: S3Store, operation: str, n_answers: int = 1) -> list[int]:
    """Let a server carry out requests whose answers never come back, as when a connection dies in between."""
    statuses: list[int] = []

    def carry_out_and_lose(request: AWSPreparedRequest, **_: object) -> None:
        if len(statuses) < n_answers:
            statuses.append(URLLib3Session().send(request).status_code)
            raise ConnectionClosedError(endpoint_url=request.url)

    events(store).register(f"before-send.s3.{operation}", carry_out_and_lose)
    return statuses


def ignore_conditions(store: S3Store, *headers: str) -> None:
    """Make the server one that does not know of conditional writes: it never hears of the conditions."""

    def drop(params: dict[str, Any], **_: object) -> None:
        for header in headers:
            params["headers"].pop(header, None)

    events(store).register("before-call.s3.PutObject", drop)


def file_of(folder: Path, n_mebibytes: int) -> Path:
    path = folder / "large"
    path.write_bytes(os.urandom(MEBIBYTE) * n_mebibytes)
    return path


def uploads(store: S3Store) -> list[str]:
    return [upload["Key"] for upload in store._unfinished_uploads()]


# --- Writes whose answer is lost ---


def test_create_whose_answer_was_lost_is_known_for_its_own(on_minio):
    statuses = lose_answers(on_minio, "PutObject")
    info = on_minio.create("a", b"content")
    assert statuses == [200]
    assert info == on_minio.head("a")


def test_create_in_parts_whose_last_answer_was_lost_is_known_for_its_own(on_minio, tmp_path):
    source = file_of(tmp_path, 33)
    statuses = lose_answers(on_minio, "CompleteMultipartUpload")
    assert on_minio.create("a", source) == on_minio.head("a")
    assert statuses == [200]
    assert on_minio.read("a") == source.read_bytes()


def test_replace_whose_answer_was_lost_is_known_for_its_own(on_minio):
    version = on_minio.replace("pointer", b"1", None).version
    on_minio.race_flaw()
    lose_answers(on_minio, "PutObject")
    assert on_minio.replace("pointer", b"2", version) == on_minio.head("pointer")
    assert on_minio.read("pointer") == b"2"


def test_create_that_another_writer_overtook_is_no_success(on_minio):
    other = S3Store(on_minio.uri, on_minio._options)
    events(on_minio).register_first(
        "before-send.s3.PutObject", overtake := once(lambda: other.create("a", b"the other's"))
    )
    with pytest.raises(ObjectExists):
        on_minio.create("a", b"mine")
    assert overtake.calls == 1
    assert on_minio.read("a") == b"the other's"


class once:  # noqa: N801 - reads as a word where it stands
    """A handler of one event that does its work the first time; requests in the work do not set it off again."""

    def __init__(self, work: Callable[[], object]) -> None:
        self.work, self.calls = work, 0

    def __call__(self, **_: object) -> None:
        self.calls += 1
        if self.calls == 1:
            self.work()
            self.calls = 1


# --- Parts ---


def test_file_in_parts_comes_back_as_it_was(on_minio, tmp_path):
    source = file_of(tmp_path, 65)
    info = on_minio.create("raw/1/large", source)
    assert info.size_bytes == 65 * MEBIBYTE
    on_minio.fetch("raw/1/large", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == source.read_bytes()
    assert info.version.strip('"').endswith("-5"), "it was not sent in parts of 16 MiB"
    assert uploads(on_minio) == []


def test_upload_that_fails_leaves_no_parts_and_no_object(on_minio, tmp_path):
    source = file_of(tmp_path, 33)

    def shorten() -> None:
        os.truncate(source, 20 * MEBIBYTE)

    events(on_minio).register("before-call.s3.CreateMultipartUpload", once(shorten))
    with pytest.raises(InvalidInput, match=r"large became shorter than .* try again"):
        on_minio.create("a", source)
    assert on_minio.head("a") is None
    assert uploads(on_minio) == []


def test_loser_of_a_race_in_parts_leaves_none(on_minio, tmp_path):
    source = file_of(tmp_path, 17)
    events(on_minio).register("before-call.s3.CompleteMultipartUpload", once(lambda: on_minio.create("a", b"quicker")))
    with pytest.raises(ObjectExists):
        on_minio.create("a", source)
    assert on_minio.read("a") == b"quicker"
    assert uploads(on_minio) == []


@pytest.mark.parametrize("renewed", ["yesterday", "2124-01-01T00:00:00"])
def test_a_moment_of_renewal_that_is_none_counts_for_nothing(on_minio, renewed):
    on_minio._client.put_object(**on_minio._at("a"), Body=b"", Metadata={"renewed": renewed})
    assert on_minio.written_at("a") == on_minio._head("a")["LastModified"]


def test_sweep_takes_unfinished_uploads_and_scratch_of_this_store_only(on_minio):
    client, bucket = on_minio._client, on_minio._bucket
    foreign = f"{uuid.uuid4().hex}/a"
    ids = {
        key: client.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]
        for key in (on_minio._full("a"), foreign)
    }
    client.put_object(Bucket=bucket, Key=on_minio._full(".spark/x/part-0"), Body=b"")
    on_minio.create("models/1/a", b"")
    expected = [f"unfinished upload of {on_minio.locate('a')}", f"scratch object {on_minio.uri}/.spark/x/part-0"]
    assert list(on_minio.sweep(datetime(2020, 1, 1, tzinfo=UTC), remove=True)) == []
    assert list(on_minio.sweep(FUTURE, remove=False)) == expected
    assert list(on_minio.sweep(FUTURE, remove=True)) == expected
    assert list(on_minio.sweep(FUTURE, remove=True)) == []
    assert [info.key for info in on_minio.list("")] == ["models/1/a"]
    client.abort_multipart_upload(Bucket=bucket, Key=foreign, UploadId=ids[foreign])


# --- Pages and strangers ---


def test_stream_that_could_not_be_opened_can_be_closed():
    stream = S3Stream.__new__(S3Stream)
    stream.close()
    assert stream.closed


def test_list_goes_on_over_all_pages(on_minio, monkeypatch):
    monkeypatch.setattr(storage.s3, "PAGE_OBJECTS", 7)
    keys = [f"a/{number:03d}" for number in range(50)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda key: on_minio.create(key, b""), keys))
    assert [info.key for info in on_minio.list("a/")] == keys


def test_objects_of_others_are_not_listed(on_minio):
    for name in ("mit leer zeichen", "ümlaut", ".hidden/a", "a/.b/c"):
        on_minio._client.put_object(Bucket=on_minio._bucket, Key=on_minio._full(name), Body=b"")
    on_minio.create("a/b", b"")
    assert [info.key for info in on_minio.list("")] == ["a/b"]


# --- Servers that do not hold to conditions ---


def test_minio_has_no_race_flaw_and_nothing_is_left_of_the_probe(on_minio):
    assert on_minio.race_flaw() is None
    assert list(on_minio._objects(".probe/")) == []


@pytest.mark.parametrize(
    ("headers", "named"),
    [
        (["If-None-Match"], "If-None-Match: *"),
        (["If-Match"], "If-Match"),
        (["If-None-Match", "If-Match"], "If-None-Match: * and If-Match"),
    ],
)
def test_pointer_is_refused_on_a_server_that_ignores_conditions(on_minio, headers, named):
    ignore_conditions(on_minio, *headers)
    with pytest.raises(InvalidInput, match=r"champion\.json is not written") as refused:
        replace_champion(on_minio, {"model": "1"}, None)
    assert f"{on_minio._client.meta.endpoint_url} ignores {named}: it overwrote" in str(refused.value)
    assert list(on_minio.list("")) == []


@pytest.fixture
def racy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Store]:
    """A store on versitygw as it comes, which looks at a condition first and writes later."""
    need_program("versitygw")
    with open_versitygw(tmp_path / "versitygw", bucket="racy", one_at_a_time=False) as server:
        set_variables(monkeypatch, server)
        yield S3Store("s3://racy", S3Options(s3_endpoint_url=server.endpoint_url))


def test_pointer_is_refused_on_a_server_that_looks_first_and_writes_later(racy):
    with pytest.raises(InvalidInput, match=r"let \d of 4 conditional writes win that excluded each other"):
        racy.replace("champion.json", b"{}", None)
    assert racy.head("champion.json") is None


def test_artifacts_of_racing_writers_are_whole_even_on_such_a_server(racy, tmp_path):
    def publish(number: int) -> None:
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "factors").write_bytes(bytes([number]) * MEBIBYTE)
        publish_folder(racy, folder, counts={"writer": number})

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(publish, range(6)))
    manifest = artifacts.find(racy, "models", "1f3a")
    assert manifest is not None
    held = artifacts.checkout(racy, manifest, "factors", tmp_path / "cache").read_bytes()
    assert held == bytes([manifest.count("writer")]) * MEBIBYTE


# --- Addresses, certificates, credentials ---


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("s3://bucket", ("bucket", "")),
        ("s3://bucket/", ("bucket", "")),
        ("s3://my.bucket-1/a/b/", ("my.bucket-1", "a/b")),
    ],
)
def test_uri_names_bucket_and_prefix(uri, expected):
    assert parse_uri(uri) == expected


@pytest.mark.parametrize(
    "uri", ["s3://", "s3:///a", "s3://B_cket/a", "s3://ab", "s3://bucket/a//b", "s3://bucket/../a", "s3://bucket/?a"]
)
def test_uri_that_names_none_is_refused(uri):
    with pytest.raises(InvalidInput, match=r"expected s3://bucket/prefix"):
        parse_uri(uri)


def test_longest_prefix_leaves_room_for_the_longest_key():
    assert parse_uri(f"s3://bucket/{'a' * 100}")[1] == "a" * 100
    with pytest.raises(InvalidInput, match="at most 100"):
        parse_uri(f"s3://bucket/{'a' * 101}")


@pytest.mark.parametrize("address", ["127.0.0.1:9000", "ftp://host", "http://", "http://host/?x=1"])
def test_endpoint_that_is_no_address_is_refused(address):
    with pytest.raises(InvalidInput, match=r"S3_ENDPOINT_URL is .*expected an address such as"):
        open_store("s3://bucket", S3Options(s3_endpoint_url=address))


def test_password_in_an_address_is_refused_and_not_repeated():
    with pytest.raises(InvalidInput, match="take them out of the address") as in_endpoint:
        open_store("s3://bucket", S3Options(s3_endpoint_url="http://me:hunter2@host"))
    with pytest.raises(InvalidInput, match="take them out of the URI") as in_uri:
        open_store("s3://me:hunter2@bucket/prefix")
    assert "hunter2" not in str(in_endpoint.value) + str(in_uri.value)


@pytest.mark.parametrize(
    ("addressing", "expected"), [("path", "http://server:9000/bucket/a"), ("virtual", "http://bucket.server:9000/a")]
)
def test_bucket_goes_where_the_addressing_says(addressing, expected, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "key")
    client = open_client(S3Options(s3_endpoint_url="http://server:9000", s3_addressing=addressing))
    url = client.generate_presigned_url("get_object", Params={"Bucket": "bucket", "Key": "a"})
    assert url.split("?")[0] == expected


def test_bucket_in_the_host_name_reaches_a_server_that_is_told_its_domain(tmp_path, monkeypatch):
    need_program("minio")
    with open_custom_minio(tmp_path / "minio", bucket="virtual", domain="s3.test") as server:
        set_variables(monkeypatch, server)
        resolve = socket.getaddrinfo
        monkeypatch.setattr(
            socket,
            "getaddrinfo",
            lambda host, *rest, **named: resolve(
                "127.0.0.1" if str(host).endswith("s3.test") else host, *rest, **named
            ),
        )
        port = server.endpoint_url.rpartition(":")[2]
        options = S3Options(s3_endpoint_url=f"http://s3.test:{port}", s3_addressing="virtual")
        store = open_store("s3://virtual/p", options)
        store.create("a", b"content")
        assert store.read("a") == b"content"
        assert server.bucket == "virtual"


def test_region_is_the_one_set_else_that_of_aws_else_the_usual(monkeypatch):
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    assert open_client(S3Options()).meta.region_name == "us-east-1"
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-north-1")
    assert open_client(S3Options()).meta.region_name == "eu-north-1"
    assert open_client(S3Options(s3_region="eu-west-3")).meta.region_name == "eu-west-3"


def test_profile_gives_credentials(minio, tmp_path, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    known = tmp_path / "credentials"
    known.write_text(
        f"[laboratory]\naws_access_key_id = {minio.credentials.access_key}\n"
        f"aws_secret_access_key = {minio.credentials.secret_key}\n"
    )
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(known))
    monkeypatch.setenv("AWS_PROFILE", "laboratory")
    store = S3Store(f"s3://{minio.bucket}/{uuid.uuid4().hex}", S3Options(s3_endpoint_url=minio.endpoint_url))
    store.create("a", b"content")
    assert store.read("a") == b"content"
    assert store.access().secret_key == minio.credentials.secret_key
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(InvalidInput, match=r"no whole credentials .*nobody.*AWS_PROFILE"):
        S3Store("s3://bucket", S3Options(s3_endpoint_url=minio.endpoint_url))


def test_access_hides_what_is_secret(on_minio, minio):
    access = on_minio.access()
    assert access.secret_key == minio.credentials.secret_key
    assert minio.credentials.secret_key not in repr(access)
    assert minio.credentials.access_key not in repr(access)


VERBS: dict[str, Callable[[S3Store, Path], object]] = {
    "create": lambda store, _: store.create("a", b""),
    "read": lambda store, _: store.read("a"),
    "list": lambda store, _: list(store.list("")),
    "fetch": lambda store, folder: store.fetch("a", folder / "a"),
    "replace": lambda store, _: store.replace("a", b"", None),
    "head": lambda store, _: store.head("a"),
    "delete": lambda store, _: store.delete("a"),
    "renew": lambda store, _: store.renew("a"),
    "sweep": lambda store, _: list(store.sweep(FUTURE, remove=False)),
    "try": lambda store, _: store.try_writing(),
}


@pytest.mark.parametrize("verb", VERBS)
def test_missing_bucket_is_named(on_minio, verb, tmp_path):
    store = S3Store("s3://no-such-bucket/p", on_minio._options)
    with pytest.raises(InvalidInput, match=r"s3://no-such-bucket/p.*bucket that http.* does not have.*Make the bucket"):
        VERBS[verb](store, tmp_path)


@pytest.mark.parametrize("verb", VERBS)
def test_wrong_secret_is_told_and_not_shown(minio, verb, tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", minio.credentials.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-the-secret")
    store = S3Store(f"s3://{minio.bucket}/p", S3Options(s3_endpoint_url=minio.endpoint_url))
    with pytest.raises(InvalidInput, match=r"does not accept the credentials.*SignatureDoesNotMatch") as refused:
        VERBS[verb](store, tmp_path)
    assert "not-the-secret" not in str(refused.value)
    assert "rights" not in str(refused.value)


@pytest.mark.parametrize("verb", VERBS)
def test_wrong_clock_is_told(on_minio, verb, tmp_path):
    def send_late(request: AWSPreparedRequest, **_: object) -> None:
        request.headers["X-Amz-Date"] = "20200101T000000Z"

    events(on_minio).register("before-send.s3", send_late)
    with pytest.raises(InvalidInput, match=r"the clock of this machine is not that of http.*RequestTimeTooSkewed"):
        VERBS[verb](on_minio, tmp_path)


@pytest.mark.parametrize("verb", ["head", "create", "renew"])
def test_credentials_that_are_refused_in_the_middle_are_told_though_an_answer_to_head_has_no_words(
    on_minio, verb, tmp_path
):
    def forge(request: AWSPreparedRequest, **_: object) -> None:
        request.headers["Authorization"] = request.headers["Authorization"][:-4] + b"0000"

    on_minio.head("a")
    events(on_minio).register("before-send.s3", forge)
    with pytest.raises(InvalidInput, match=r"does not accept the credentials.*SignatureDoesNotMatch"):
        VERBS[verb](on_minio, tmp_path)


def test_credentials_that_may_only_read_are_told_before_the_first_write(on_minio, minio, monkeypatch):
    on_minio.create("a", b"content")
    allowed = {"Effect": "Allow", "Action": ["s3:Get*", "s3:List*"], "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    sts = boto3.client("sts", endpoint_url=minio.endpoint_url, region_name="us-east-1")
    found = sts.assume_role(RoleArn="arn:aws:iam::1:role/any", RoleSessionName="reader", Policy=policy)["Credentials"]
    names = {"ACCESS_KEY_ID": "AccessKeyId", "SECRET_ACCESS_KEY": "SecretAccessKey", "SESSION_TOKEN": "SessionToken"}
    for name, key in names.items():
        monkeypatch.setenv(f"AWS_{name}", found[key])
    reader = S3Store(on_minio.uri, on_minio._options)
    assert reader.read("a") == b"content"
    with pytest.raises(InvalidInput, match=r"the credentials may not do that.*AccessDenied.*Ask for the rights"):
        reader.try_writing()


def test_trying_leaves_nothing(on_minio):
    on_minio.try_writing()
    assert not list(on_minio._objects(""))
    assert not list(on_minio._unfinished_uploads())


def test_no_credentials_at_all_says_where_to_put_them(minio, monkeypatch):
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    store = S3Store(f"s3://{minio.bucket}/p", S3Options(s3_endpoint_url=minio.endpoint_url))
    with pytest.raises(InvalidInput, match="AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"):
        store.read("a")
    with pytest.raises(InvalidInput, match="AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"):
        store.access()


@pytest.mark.usefixtures("one_attempt")
def test_server_that_is_not_there_is_unavailable(on_minio):
    store = S3Store("s3://bucket/p", S3Options(s3_endpoint_url="http://127.0.0.1:9"))
    with pytest.raises(Unavailable, match=r"http://127.0.0.1:9 does not answer for s3://bucket/p/a \(Endpoint"):
        store.read("a")


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("status", ["200 OK", "403 Forbidden", "404 Not Found", "405 Method Not Allowed"])
def test_server_that_speaks_no_s3_is_told_so(on_minio, status, verb, tmp_path):
    listener = socket.create_server(("127.0.0.1", 0))

    def answer() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            connection.recv(65536)
            head = f"HTTP/1.1 {status}\r\nContent-Type: text/html\r\nContent-Length: 13\r\nConnection: close\r\n\r\n"
            connection.sendall(head.encode() + b"<html></html>")
            connection.close()

    threading.Thread(target=answer, daemon=True).start()
    store = S3Store("s3://bucket/p", S3Options(s3_endpoint_url=f"http://127.0.0.1:{listener.getsockname()[1]}"))
    with pytest.raises(InvalidInput, match=r"not as S3 does\. Expected the address of a server that speaks S3"):
        VERBS[verb](store, tmp_path)
    listener.close()


def test_replace_of_a_pointer_that_another_swapped_meanwhile_is_a_conflict(on_minio):
    version = on_minio.replace("pointer", b"1", None).version
    on_minio.race_flaw()
    other = S3Store(on_minio.uri, on_minio._options)
    events(on_minio).register_first("before-send.s3.PutObject", once(lambda: other.replace("pointer", b"2", version)))
    with pytest.raises(VersionConflict):
        on_minio.replace("pointer", b"3", version)
    assert on_minio.read("pointer") == b"2"
