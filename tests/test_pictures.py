"""The pictures of the README are of what a demo made."""

import json

import pytest
from PIL import Image
from sample_bundle import write_store

from docs import pictures

MODEL_ID = "1f3a5b7c"


def test_page_and_report_are_taken_small_and_with_few_colours(tmp_path, monkeypatch):
    if not pictures.CHROMIUM.exists():
        pytest.skip(f"no Chromium at {pictures.CHROMIUM}; apt-get install chromium")
    write_store(tmp_path / "data" / "store", model_id=MODEL_ID)
    report = tmp_path / "report.html"
    report.write_text("<h1 style='background: #123456'>Report</h1>")
    (tmp_path / "result.json").write_text(json.dumps({"ids": {"model": MODEL_ID}, "uris": {"report": report.as_uri()}}))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(pictures, "RESULT", tmp_path / "result.json")
    monkeypatch.setattr(pictures, "FOLDER", tmp_path / "images")
    pictures.main()
    for name, colour in (("page.png", (255, 255, 255)), ("report.png", (0x12, 0x34, 0x56))):
        with Image.open(tmp_path / "images" / name) as picture:
            assert picture.size == (pictures.WIDTH, pictures.HEIGHT)
            assert len(picture.getcolors()) <= pictures.COLOURS
            assert picture.convert("RGB").getpixel((pictures.WIDTH // 2, 25)) == colour
