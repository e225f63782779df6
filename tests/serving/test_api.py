"""The API as a client meets it: a real server, bad input of every kind, and what it says of itself."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from api_server import open_api
from malformed import send
from sample_bundle import write_store

from serving.answers import Answer
from serving.command import main
from serving.options import ServingOptions
from storage.opening import open_store

NEVER = {"prefect", "mlflow", "dask", "distributed", "pyspark", "pandas", "torch", "pyarrow", "scipy"}
LONG = "x" * 10_000
EVERY_ROUTE = [
    *(
        "/",
        "/docs",
        "/static/docs.js",
        "/openapi.json",
        "/healthz",
        "/readyz",
        "/metrics",
        "/v1/model",
        "/v1/scenarios",
    ),
    *("/v1/users?prefix=u", "/v1/users/user-01", "/v1/users/user-01/recommendations?explain=true&scenario=email"),
    *("/v1/items?query=product", "/v1/items/item-01", "/v1/items/item-01/similar", "/v1/popular?category=Audio"),
]
BASKET = {"items": [{"item_id": "item-01", "rating": 5}], "explain": True}
EVERY_BODY = {
    "/v1/recommendations": BASKET,
    "/v1/recommendations/batch": {"user_ids": ["user-01", "nobody"]},
    "/v1/rank": {"user_id": "user-01", "candidates": ["item-01", "item-02"]},
    "/v1/events": {"events": [{"event_id": "e-1", "type": "view", "user_id": "someone", "item_id": "item-01"}]},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("api")
    write_store(folder / "store", "item-knn")
    return folder


@pytest.fixture(scope="module")
def api(folder):
    """A server without keys, that tells what it imports, reads bodies for half a second, and takes 100 kB."""
    settings = {"API_READ_SECONDS": "0.5", "API_BODY_BYTES": "100000", "API_POLL_SECONDS": "0.1"}
    with open_api(folder, PYTHONPROFILEIMPORTTIME="1", **settings) as opened:
        yield opened


@pytest.fixture
def client(api):
    with httpx.Client(base_url=api.url, timeout=30) as opened:
        yield opened


def refused(answer, status):
    """Return a problem, after seeing that it is one."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == status
    assert problem["instance"] == answer.headers["x-request-id"]
    assert len(problem["detail"]) > 20
    assert "Traceback" not in answer.text
    return problem


def test_every_route_answers_without_a_library_that_has_no_place_here(api, client):
    for path in EVERY_ROUTE:
        assert client.get(path).status_code == 200, path
    for path, body in EVERY_BODY.items():
        assert client.post(path, json=body).status_code in (200, 202), path
    lines = [line for line in api.log().splitlines() if line.startswith("import time:")]
    imported = {line.rpartition("|")[2].strip().split(".")[0] for line in lines}
    assert "numpy" in imported
    assert imported & NEVER == set()


def test_an_answer_is_as_documented(client):
    answer = Answer.model_validate(client.post("/v1/recommendations", json=BASKET).json())
    assert answer.way == "fold-in"
    assert [item.rank for item in answer.items] == [1, 2, 3, 4, 5, 6]
    assert answer.items[0].reasons[0].item_id == "item-01"


def test_the_shortcut_answers_and_counts_as_the_routes_do(client):
    kinds = ("application/json", "application/json; charset=utf-8")  # of which FastAPI alone takes the second
    short, long = (
        client.post("/v1/recommendations", content=json.dumps(BASKET), headers={"Content-Type": kind}) for kind in kinds
    )
    assert short.json()["items"] == long.json()["items"]
    assert short.headers.keys() == long.headers.keys()
    client.get("/v1/users/user-01/recommendations")
    counted = client.get("/metrics").text
    for route in ("/v1/recommendations", "/v1/users/{user_id:path}/recommendations"):
        assert re.search(rf'api_requests_total{{method="[A-Z]+",route="{re.escape(route)}",status="200"}}', counted)


def test_what_the_shortcut_refuses_counts_as_where_it_goes(client):
    def count() -> list[str]:
        return re.findall(
            r'api_requests_total{method="GET",route="other",status="404"} ([0-9.]+)', client.get("/metrics").text
        )

    before = count()
    assert client.get("/v1/users/a%0Ab/recommendations").status_code == 404
    assert count() != before


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"/v1/users/{LONG}/recommendations", 422),
        ("/v1/users/%00/recommendations", 422),
        ("/v1/users/a%0Ab", 404),
        (f"/v1/users/{quote('漢字 كتاب ' + chr(0x1F600))}/recommendations", 200),
        ("/v1/users/%ED%A0%80/recommendations", 200),
        ("/v1/users//recommendations", 422),
        ("/v1/users/nobody", 404),
        ("/v1/users/..%2F..%2Fetc%2Fpasswd", 404),
        (f"/v1/items/{LONG}", 422),
        ("/v1/items/nothing", 404),
        ("/v1/items/nothing/similar", 404),
        ("/v1/items/item-01/similar?n=1000000", 422),
        ("/v1/users/user-01/recommendations?n=1e9", 422),
        ("/v1/users/user-01/recommendations?n=-1", 422),
        ("/v1/users/user-01/recommendations?scenario=no-such", 404),
        ("/v1/users/user-01/recommendations?scenario=..%2Fchampion", 422),
        ("/v1/users/user-01/recommendations?unknown=1", 422),
        ("/v1/users/user-01/recommendations?arm=challenger", 404),
        ("/v1/users/user-01/recommendations?" + "&".join(["exclude=a"] * 1001), 422),
        ("/v1/popular?kind=no-such", 404),
        ("/v1/popular?n=0", 422),
        ("/v1/items", 422),
        ("/nowhere", 404),
        ("/static/../web.py", 404),
    ],
)
def test_bad_addresses_are_refused_with_what_to_do(client, path, status):
    answer = client.get(path)
    if status == 200:
        assert answer.status_code == 200
    else:
        refused(answer, status)


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/v1/recommendations", b'{"items": [{"item_id": "a", "rating": NaN}]}', 422),
        ("/v1/recommendations", b'{"items": [{"item_id": "a", "rating": 1e999}]}', 422),
        ("/v1/recommendations", b'{"items": [{"item_id": "a", "timestamp": -1}]}', 422),
        ("/v1/recommendations", b'{"items": [{"item_id": "\\ud800"}]}', 422),
        ("/v1/recommendations", b'{"items": [{"item_id": "a", "\\ud800": 1}]}', 422),
        ("/v1/recommendations", json.dumps({"items": [{"item_id": "a"}] * 501}).encode(), 422),
        ("/v1/recommendations", json.dumps({"items": [{"item_id": "a"}] * 500}).encode(), 200),
        ("/v1/recommendations", b'{"items": "a"}', 422),
        ("/v1/recommendations", b'{"items": [], "n": "5"}', 422),
        ("/v1/recommendations", b'{"items": [], "explain": 1}', 422),
        ("/v1/recommendations", b"[" * 50_000, 400),
        ("/v1/recommendations", b'{"items": []', 422),
        ("/v1/recommendations", b"", 422),
        ("/v1/recommendations", b"\xff", 400),
        ("/v1/recommendations", b"0" * 100_001, 413),
        ("/v1/recommendations/batch", json.dumps({"user_ids": ["a"] * 101}).encode(), 422),
        ("/v1/recommendations/batch", b'{"user_ids": []}', 422),
        ("/v1/rank", json.dumps({"candidates": ["a"] * 1001}).encode(), 422),
        ("/v1/rank", b'{"candidates": []}', 422),
        ("/v1/events", b'{"events": [{"event_id": "a", "type": "buy", "user_id": "a", "item_id": "a"}]}', 422),
        (
            "/v1/events",
            b'{"events": [{"event_id": "a", "type": "view", "user_id": "a", "item_id": "a", "timestamp": 1e11}]}',
            422,
        ),
        ("/v1/nowhere", b"{}", 404),
        ("/v1/model", b"{}", 405),
    ],
)
def test_bad_bodies_are_refused_with_what_to_do(client, path, body, status):
    answer = client.post(path, content=body, headers={"content-type": "application/json"})
    if status == 200:
        assert answer.status_code == 200
    else:
        refused(answer, status)


def test_a_large_body_in_parts_is_refused_before_it_has_come(client):
    def parts():
        for _ in range(1000):
            yield b" " * 10_000

    answer = client.post("/v1/events", content=parts(), headers={"content-type": "application/json"})
    refused(answer, 413)


def raw(api, sent, *, then_wait=True):
    """Send bytes on a connection of their own, and return what comes back before it is closed."""
    host, port = api.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(sent)
        return connection.makefile("rb").read() if then_wait else b""


def test_a_body_that_does_not_come_is_not_waited_for(api):
    head = b"POST /v1/events HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 10\r\n\r\n{"
    answer = raw(api, head)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"did not come within 0.5 s" in answer


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nhost: a\r\nslow"])
def test_a_head_that_does_not_come_is_not_waited_for(api, sent):
    started = time.monotonic()
    assert raw(api, sent) == b""
    assert time.monotonic() - started < 10


@pytest.mark.parametrize("sent", [b"\x16\x03\x01 no http\r\n\r\n", b"GET / HTTP/1.1\r\na: " + b"x" * 200_000])
def test_what_is_no_request_gets_a_problem(api, sent):
    answer = raw(api, sent)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"application/problem+json" in answer


def test_request_ids_are_passed_on_and_odd_ones_replaced(client):
    assert client.get("/healthz", headers={"x-request-id": "a-1"}).headers["x-request-id"] == "a-1"
    for odd in ("a b", "x" * 65, "<script>"):
        assert len(client.get("/healthz", headers={"x-request-id": odd}).headers["x-request-id"]) == 32


def test_answers_have_the_headers_of_safety_and_nothing_of_cross_origin(client):
    headers = client.get("/v1/model", headers={"origin": "https://elsewhere.example"}).headers
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"
    assert not [name for name in headers if name.startswith("access-control") or name == "server"]


def test_figures_are_by_route_and_not_by_address(client):
    client.get("/v1/users/somebody-in-particular/recommendations")
    figures = client.get("/metrics").text
    assert 'route="/v1/users/{user_id:path}/recommendations",status="200"' in figures
    assert "somebody" not in figures
    assert re.search(r"^api_journal_backlog [0-9.]+$", figures, re.MULTILINE)
    assert 'api_model{arm="champion"' in figures
    assert 'api_recommendations_total{arm="champion",way="popular"}' in figures


def test_scenarios_are_replaced_only_by_who_knows_the_version(client):
    refused(client.put("/v1/scenarios/home", json={"n": 3}), 428)
    refused(client.put("/v1/scenarios/home", json={"n": 3}, headers={"if-match": '"0"'}), 412)
    refused(client.put("/v1/scenarios/new", json={"n": 3}, headers={"if-match": '"0"'}), 412)
    before = {one["name"]: one["version"] for one in client.get("/v1/scenarios").json()["scenarios"]}
    answer = client.put("/v1/scenarios/home", json={"n": 3}, headers={"if-match": f'"{before["home"]}"'})
    assert answer.status_code == 200
    assert answer.headers["etag"] == f'"{answer.json()["version"]}"'
    found = client.get("/v1/users/user-01/recommendations").json()
    assert (len(found["items"]), found["scenario"]["version"]) == (3, answer.json()["version"])
    refused(client.put("/v1/scenarios/home", json={"n": 0}, headers={"if-match": answer.headers["etag"]}), 422)


def test_a_bad_scenario_is_refused_and_the_one_before_kept(api, client, folder):
    store = open_store(str(folder / "store"))
    store.create("scenarios/mail.json", b'{"n": 4}')
    api.until(lambda: client.get("/v1/users/user-01/recommendations?scenario=mail").status_code == 200)
    store.replace("scenarios/mail.json", b'{"n": "many"}', store.head("scenarios/mail.json").version)
    ready = api.until(lambda: client.get("/readyz").json().get("problems"))
    assert "scenarios/mail.json: n: " in ready["scenario mail"]
    assert len(client.get("/v1/users/user-01/recommendations?scenario=mail").json()["items"]) == 4
    assert api.until(lambda: 'api_problem{kind="scenario"} 1.0' in client.get("/metrics").text)
    assert api.log().count("Scenario mail is refused") == 1
    store.delete("scenarios/mail.json")
    refused(
        api.until(lambda: (a := client.get("/v1/users/u/recommendations?scenario=mail")).status_code == 404 and a), 404
    )


def test_malformed_bodies_are_never_a_500(api):
    statuses = send(api.url, 300)
    assert sum(statuses.values()) == 300
    assert set(statuses) <= {200, 202, 400, 408, 412, 413, 415, 422, 428}


def test_the_description_holds_for_generated_requests(api, tmp_path):
    # Not `positive_data_acceptance`: a schema cannot say that a place is pinned once, or a moment is past.
    command = [str(Path(sys.executable).with_name("schemathesis")), "run", f"{api.url}/openapi.json", "--checks=all"]
    options = [
        "--exclude-checks=positive_data_acceptance",
        "--phases=examples,fuzzing",
        "--max-examples=2",
        "--no-color",
    ]
    done = subprocess.run(
        [*command, *options, "--generation-deterministic", "--warnings=off"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_known_answers_go_on_when_the_store_goes_away(tmp_path):
    write_store(tmp_path / "store", "popularity")
    with open_api(tmp_path, API_POLL_SECONDS="0.1") as api:
        (tmp_path / "store").rename(tmp_path / "away")
        (tmp_path / "store").write_text("no folder")
        ready = api.until(lambda: (a := httpx.get(f"{api.url}/readyz")).json()["status"] == "degraded" and a)
        assert ready.status_code == 200
        assert httpx.get(f"{api.url}/v1/users/user-01/recommendations").json()["way"] == "lists"
        refused(httpx.put(f"{api.url}/v1/scenarios/new", json={}), 503)
        (tmp_path / "store").unlink()
        (tmp_path / "away").rename(tmp_path / "store")
        api.until(lambda: httpx.get(f"{api.url}/readyz").json()["status"] == "ready")


def test_without_a_model_everything_says_so_and_nothing_waits(tmp_path):
    (tmp_path / "store").mkdir()
    with open_api(tmp_path, ready="/healthz", API_EVENTS_DIR="none") as api:
        for path in ("/readyz", "/v1/users/user-01/recommendations", "/v1/model"):
            problem = refused(httpx.get(api.url + path), 503)
        assert "promote.py" in problem["detail"] or "loaded" in problem["detail"]
        assert httpx.get(f"{api.url}/v1/model").headers["retry-after"] == "5"
        events = {"events": [{"event_id": "e", "type": "view", "user_id": "u", "item_id": "i"}]}
        refused(httpx.post(f"{api.url}/v1/events", json=events), 501)


def test_keys_scopes_limits_and_rotation(tmp_path, make_key):
    write_store(tmp_path / "store", "popularity")
    keys = {name: make_key(name, scopes) for name, scopes in (("shop", "read,events"), ("boss", "admin"))}
    settings = {"API_KEYS_FILE": "keys.json", "API_POLL_SECONDS": "0.1", "API_WORKERS": "2"}
    with open_api(tmp_path, API_FAILURE_LIMIT="5/minute", API_ORIGINS="https://shop.example", **settings) as api:

        def ask(key=None, method="GET", path="/v1/model", **more):
            headers = {"authorization": f"Bearer {key}"} if key else {}
            return httpx.request(method, api.url + path, headers=headers, **more)

        assert "Bearer" in ask().headers["www-authenticate"]
        refused(ask(), 401)
        assert ask(path="/").headers["www-authenticate"].startswith("Basic")
        assert ask(keys["shop"]).status_code == 200
        assert httpx.get(f"{api.url}/v1/model", headers={"x-api-key": keys["shop"]}).status_code == 200
        assert httpx.get(f"{api.url}/", auth=("any", keys["shop"])).status_code == 200
        assert "securitySchemes" in ask(keys["shop"], path="/openapi.json").json()["components"]
        refused(ask(keys["shop"], "PUT", "/v1/scenarios/new", json={}), 403)
        assert ask(keys["boss"], "PUT", "/v1/scenarios/new", json={}).status_code == 200
        refused(ask(keys["boss"]), 403)
        asks = {"origin": "https://shop.example", "access-control-request-method": "GET"}
        allowed = httpx.options(f"{api.url}/v1/model", headers=asks).headers
        assert allowed["access-control-allow-origin"] == "https://shop.example"
        other = httpx.options(f"{api.url}/v1/model", headers={**asks, "origin": "https://other.example"}).headers
        assert "access-control-allow-origin" not in other
        new = make_key("new", "read")
        api.until(lambda: all(ask(new).status_code == 200 for _ in range(4)))
        limited = next(answer for _ in range(100) if (answer := ask("wrong")).status_code == 429)
        assert int(refused(limited, 429)["detail"].split()[-2]) <= 61
        assert 1 <= int(limited.headers["retry-after"]) <= 61
        assert not [key for key in keys.values() if key in api.log() + (tmp_path / "keys.json").read_text()]
        assert (tmp_path / "keys.json").stat().st_mode & 0o777 == 0o600


def test_what_a_query_may_ask_is_in_the_documentation_and_what_does_not_fit_is_named(client):
    path = client.get("/openapi.json").json()["paths"]["/v1/users/{user_id}/recommendations"]
    said = {one["name"]: one for one in path["get"]["parameters"] if one["in"] == "query"}
    assert said.keys() == {"n", "scenario", "exclude", "category", "brand", "explain", "arm"}
    assert said["category"]["schema"]["type"] == "array"
    refused = client.get("/v1/users/user-01/recommendations", params={"n": "many", "brand": ["a", ""]}).json()
    assert {one["at"] for one in refused["errors"]} == {"query.n", "query.brand.1"}


@pytest.fixture
def make_key(tmp_path, capsys):
    def make(name, scopes):
        assert main(["key", name, "--scopes", scopes, "--file", str(tmp_path / "keys.json")]) == 0
        return capsys.readouterr().out.strip()

    return make


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"API_HOST": "0.0.0.0"}, "python -m serving key NAME"),  # noqa: S104 - that it is refused is tested
        ({"API_PORT": "x"}, "--api-port (or API_PORT)"),
        ({"API_KEY_LIMIT": "often"}, "such as 600/minute"),
        ({"API_KEYS_FILE": "none.json"}, "none.json is not there"),
        ({"API_TLS_CERTIFICATE": "none.pem", "API_TLS_KEY": "none.pem"}, "none.pem cannot be used (No such file"),
        ({"API_TLS_KEY": "key.pem"}, "API_TLS_CERTIFICATE and API_TLS_KEY go together"),
        ({"API_CHALLENGER_SHARE": "0.5"}, "needs API_CHALLENGER"),
    ],
)
def test_settings_that_do_not_fit_end_it_with_what_to_do(tmp_path, monkeypatch, capsys, settings, said):
    monkeypatch.chdir(tmp_path)
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    assert main([]) == 2
    assert said in capsys.readouterr().err


def test_a_port_that_is_taken_is_named_with_another(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["--port", str(port)]) == 2
    assert f"127.0.0.1:{port} cannot be listened on (Address already in use)" in capsys.readouterr().err


def test_a_name_in_the_file_that_is_no_setting_is_refused_and_those_of_flows_are_not(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("MIN_INTERACTIONS=5\nAPI_POTR=8000\n")
    assert main([]) == 2
    assert capsys.readouterr().err.startswith("API_POTR: unknown setting")


def test_help_has_every_setting(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    shown = capsys.readouterr().out
    for name, field in ServingOptions.model_fields.items():
        assert f"--{name.replace('_', '-')}" in shown
        assert field.description, name


def test_it_ends_in_order_on_sigterm(tmp_path):
    write_store(tmp_path / "store", "popularity")
    with open_api(tmp_path, LOG_FORMAT="json") as api:
        api.until(lambda: "Ready: http://127.0.0.1:" in api.log())
        os.kill(api.process.pid, signal.SIGTERM)
        assert api.process.wait(30) in (0, -signal.SIGTERM)
        lines = [json.loads(line) for line in api.log().splitlines()]
    assert all({"time", "level", "source", "message"} <= set(line) for line in lines)
