"""Malformed bodies by the thousand: ``python tests/serving/malformed.py ADDRESS [NUMBER [SEED]]``."""

import json
import random
import sys
from collections import Counter

import httpx

VALID = {
    "/v1/recommendations": {"items": [{"item_id": "item-01", "rating": 5, "timestamp": 1}], "n": 3, "explain": True},
    "/v1/recommendations/batch": {"user_ids": ["user-01", "user-02"], "n": 2, "exclude": ["item-01"]},
    "/v1/rank": {"user_id": "user-01", "candidates": ["item-01", "item-02"], "items": []},
    "/v1/events": {"events": [{"event_id": "e", "type": "rating", "user_id": "u", "item_id": "i", "rating": 1}]},
    "/v1/scenarios/tried": {"deny": ["item-01"], "pinned": [{"item_id": "item-02", "place": 1}], "diversity": 0.5},
}
ODD = (
    *(None, True, -1, 0, 1e308, 10**400, "", " ", "x" * 10_000, "\x00", "\u202e", "نص", "漢字", "\U0001f600", "\\"),
    *([], {}, [[]], {"": {}}, float("nan"), float("inf"), -0.0, "item-01", ["item-01"] * 2000, [None], "\ud800"),
)
RAW = (
    b"",
    b"\xff\xfe",
    b"{",
    b"[" * 100_000,
    b'{"a":' * 50_000,
    b"nul",
    b'"',
    b"\x00" * 100,
    b"[1e999]",
    b"{}{}",
    b" ",
)
TYPES = ("application/json", "text/plain", "application/x-www-form-urlencoded", "", "application/json; charset=utf-7")


def mutated(value: object, random_: random.Random) -> object:
    """Return a JSON value of which one part is something odd."""
    if isinstance(value, dict) and value and random_.random() < 0.8:
        name = random_.choice(list(value))
        changed = {**value, name: mutated(value[name], random_)}
        if random_.random() < 0.2:
            changed[random_.choice(["extra", "", "\ud800", "__proto__", name.upper()])] = random_.choice(ODD)
        if random_.random() < 0.1:
            del changed[name]
        return changed
    if isinstance(value, list) and value and random_.random() < 0.7:
        return [*value[:-1], mutated(value[-1], random_)] * random_.choice([1, 1, 1, 700])
    return random_.choice(ODD)


def body_of(value: object, random_: random.Random) -> bytes:
    """Return the text of a value, or of part of it, or bytes that are no text."""
    if random_.random() < 0.1:
        return random_.choice(RAW)
    body = json.dumps(mutated(value, random_)).encode()
    if random_.random() < 0.2:
        cut = random_.randrange(len(body) + 1)
        body = body[:cut] + random_.choice([b"", b"\xff", b"}", b",", b"\x00"]) + body[cut + random_.randrange(3) :]
    return body


def send(address: str, number: int, seed: int = 1) -> Counter[int]:
    """Send malformed bodies, and return how often each status came back.

    Raises:
        AssertionError: If an answer is a 500, or a refusal that is no problem with something to do.
    """
    random_, statuses = random.Random(seed), Counter[int]()  # noqa: S311 - nothing is secret
    with httpx.Client(base_url=address, timeout=30) as client:
        for _ in range(number):
            path, valid = random_.choice(list(VALID.items()))
            body, kind = body_of(valid, random_), random_.choices(TYPES, (20, 1, 1, 1, 1))[0]
            method = "PUT" if "scenarios" in path else "POST"
            answer = client.request(method, path, content=body, headers={"content-type": kind})
            statuses[answer.status_code] += 1
            assert answer.status_code < 500, (path, body[:500], answer.text)
            if answer.status_code >= 400:
                assert answer.headers["content-type"] == "application/problem+json", (path, body[:500], answer.text)
                assert answer.json()["detail"], (path, body[:500])
    return statuses


if __name__ == "__main__":
    print(dict(send(sys.argv[1], *map(int, sys.argv[2:]))))  # noqa: T201
