import os
from collections.abc import Iterator

import botocore.utils
import httpx
import pytest
from servers import open_refusing_proxy

from schema.proxies import NO_PROXY, keep_loopback_direct, proxy_before


@pytest.fixture(autouse=True)
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What a proxy, to which everything goes, is asked for."""
    with open_refusing_proxy() as proxy:
        for name, value in proxy.variables.items():
            monkeypatch.setenv(name, value)
        yield proxy.requests


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]", "10.1.2.3"])
def test_each_client_asks_loopback_and_the_hosts_given_directly(host, asked):
    keep_loopback_direct("10.1.2.3")
    url = f"http://{host}:9"
    assert botocore.utils.get_environ_proxies(url) == {} or host == "[::1]"  # storage.s3_client does without
    with httpx.Client() as client:
        if host != "10.1.2.3":
            with pytest.raises(httpx.ConnectError):
                client.get(url)
        assert client.get("http://elsewhere.example").status_code == 403
    assert asked == ["GET http://elsewhere.example/ HTTP/1.1"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "localhost,127.0.0.1,::1"),
        ("corp.example, 127.0.0.1", "corp.example,127.0.0.1,localhost,::1"),
        ("*", "*"),
    ],
)
def test_what_is_listed_stays_listed_in_each_spelling(monkeypatch, before, after):
    for name in NO_PROXY:
        monkeypatch.setenv(name, before)
    keep_loopback_direct()
    keep_loopback_direct()
    assert [os.environ[name] for name in NO_PROXY] == [after, after]


def test_proxy_is_named_without_its_password_and_only_where_requests_go_through_it(monkeypatch):
    assert "http://127.0.0.1:" in proxy_before("https://mlflow.example/x")
    assert "NO_PROXY does not name mlflow.example" in proxy_before("https://mlflow.example/x")
    assert "hunter22" not in proxy_before("https://mlflow.example/x")
    monkeypatch.setenv("no_proxy", "mlflow.example")
    assert proxy_before("https://mlflow.example/x") == ""
