"""Take the pictures of the README, of what `make demo` made: the API's page for a person, and the report.

    python -m docs.pictures

They are PNG with few colours, of half the size of the window, beside this file in ``images``.
"""

import io
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from flows.child_server import LOOPBACK, Check, ChildServer, free_port

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs" / "images"
RESULT = ROOT / "data" / "sample" / "result.json"
CHROMIUM = Path("/usr/bin/chromium")
CHROMIUM_ARGUMENTS = [
    *("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run", "--disable-sync"),
    "--disable-component-update",
]
WIDTH, HEIGHT, COLOURS = 1120, 1000, 64


def main() -> None:
    """Take both pictures.

    Raises:
        FileNotFoundError: If there has been no `make demo`.
    """
    result = json.loads(RESULT.read_bytes())
    with sync_playwright() as playwright, serving(result["ids"]["model"]) as address:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGUMENTS)
        person = httpx.get(f"{address}/v1/users", params={"most": 1}).json()["user_ids"][0]
        take(browser, f"{address}/user?user_id={person}&n=6", FOLDER / "page.png")
        take(browser, result["uris"]["report"], FOLDER / "report.png")
        browser.close()


@contextmanager
def serving(model_id: str) -> Iterator[str]:
    """Serve a model of the demo's store, and yield the address."""
    port = free_port()
    address = f"http://{LOOPBACK}:{port}"
    flags = ("--port", str(port), "--model", model_id, "--api-events-dir", "none")
    command = [sys.executable, "-m", "serving", *flags]
    server = ChildServer(command, {"HOME": os.environ.get("HOME", "/")}, [Check(f"{address}/readyz", "ready")])
    server.start()
    try:
        yield address
    finally:
        server.stop()


def take(browser: Browser, url: str, path: Path) -> None:
    """Keep what a window shows of a page."""
    page: Page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light")
    page.goto(url)
    shot = Image.open(io.BytesIO(page.screenshot()))
    page.close()
    path.parent.mkdir(exist_ok=True)
    shot.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)


if __name__ == "__main__":
    main()
