"""``make audit``: real pip-audit asks a database, here of two packages, and what it cannot ask is no clean result."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from deployments import audit
from flows.child_server import free_port

FLAW = {
    "id": "PYSEC-1",
    "affected": [
        {
            "package": {"name": "leaky", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "1.1"}]}],
        }
    ],
}


class Database(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        answer = json.dumps({"vulns": [FLAW]} if asked["package"]["name"] == "leaky" else {}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Database) as server:
        Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(autouse=True)
def locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two locks: one of a package that nothing is known of, one of a vulnerable one."""
    paths = []
    for name in ("sound", "leaky"):
        paths.append(tmp_path / f"{name}.txt")
        paths[-1].write_text(f"{name}==1.0 --hash=sha256:{'0' * 64}\n")
    monkeypatch.setattr(audit, "LOCKS", tuple(paths))


def test_a_known_vulnerability_is_named_with_the_version_that_has_it_no_more(database, capsys):
    assert audit.main(["-s", "osv", "--osv-url", database]) == audit.VULNERABLE
    said = capsys.readouterr().out
    assert "sound.txt: 1 packages, 0 known to be vulnerable, 0 not looked up" in said
    assert "1 known to be vulnerable, 0 not looked up\n  leaky 1.0: PYSEC-1, fixed in 1.1" in said


def test_nothing_known_ends_with_zero(database, monkeypatch):
    monkeypatch.setattr(audit, "LOCKS", audit.LOCKS[:1])
    assert audit.main(["-s", "osv", "--osv-url", database]) == audit.CLEAN


def test_a_database_that_does_not_answer_is_said_and_is_no_clean_result(capsys):
    assert audit.main(["-s", "osv", "--osv-url", f"http://127.0.0.1:{free_port()}"]) == audit.UNKNOWN
    assert "nothing could be looked up: " in capsys.readouterr().out


def test_packages_that_pip_audit_skips_are_no_clean_result(tmp_path, monkeypatch, capsys):
    skipped = tmp_path / "python"
    skipped.write_text('#!/bin/sh\necho \'{"dependencies": [{"name": "a", "skip_reason": "not found"}]}\'\n')
    skipped.chmod(0o755)
    monkeypatch.setattr(audit.sys, "executable", str(skipped))
    assert audit.main([]) == audit.UNKNOWN
    assert "1 not looked up\n  the first that was not: not found" in capsys.readouterr().out
