"""The file of keys as it changes, and who has to wait after wrong keys."""

import errno

import pytest

from serving import keys
from serving.keys import Doorman, KeyFile, add_key
from serving.options import ServingOptions
from serving.problems import Problem


def test_a_revoked_key_is_no_longer_good_after_an_error_that_passed(tmp_path, monkeypatch):
    path = tmp_path / "keys.json"
    revoked = add_key(path, "revoked", ["read"])
    file = KeyFile(path)
    path.write_text("[]")

    def fail(_path):
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(keys, "read_keys", fail)
        file.refresh()
    assert file.find(revoked.encode())
    file.refresh()
    assert file.find(revoked.encode()) is None


def test_a_file_that_is_no_list_of_keys_is_read_once_and_not_again_until_it_changes(tmp_path, monkeypatch):
    path = tmp_path / "keys.json"
    add_key(path, "one", ["read"])
    file = KeyFile(path)
    path.write_text("{}")
    file.refresh()
    monkeypatch.setattr(keys, "read_keys", lambda _path: pytest.fail("it was read again"))
    file.refresh()


def test_wrong_keys_from_an_address_do_not_keep_a_good_key_of_it_waiting(tmp_path):
    path = tmp_path / "keys.json"
    good = add_key(path, "good", ["read"])
    doorman = Doorman(ServingOptions(api_keys_file=path, api_failure_limit="2/minute"))

    def status(key):
        try:
            doorman.admit("GET", "/v1/model", {b"x-api-key": key}, "192.0.2.1")
        except Problem as problem:
            return problem.status
        return 200

    assert [status(b"wrong") for _ in range(3)] == [401, 401, 429]
    assert status(good.encode()) == 200
    assert status(b"wrong") == 429
