"""The site of docs/: it builds without a warning, and its pages load nothing from another host."""

import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.support.program import REPOSITORY

_LOADS = {"script": "src", "link": "href", "img": "src", "iframe": "src", "source": "src", "object": "data"}
_ELSEWHERE = re.compile(r"(?i)^(?:https?:)?//")
_STYLE_LOADS = re.compile(r"""(?i)(?:url\(|@import)\s*["']?((?:https?:)?//[^"')\s]+)""")


class _Loads(HTMLParser):
    """Collects what a page has a browser fetch; links that a reader may follow are not among it."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag == "link" and values.get("rel") in ("canonical", "next", "prev"):
            return
        self.found += filter(None, [values.get(_LOADS.get(tag, "")), values.get("srcset")])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("site")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", out],
        cwd=REPOSITORY,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    return out


def test_pages_load_nothing_from_another_host(site: Path) -> None:
    pages = [page for page in site.rglob("*.html") if "assets" not in page.parts]
    assert len(pages) > 40
    for page in pages:
        text = page.read_text(encoding="utf-8")
        loads = _Loads()
        loads.feed(text)
        assert loads.found
        assert [one for one in loads.found if _ELSEWHERE.match(one)] == [], page
        assert _STYLE_LOADS.findall(text) == [], page
        for one in loads.found:
            if not one.startswith("data:"):
                place = site if one.startswith("/") else page.parent  # 404.html is shown at any address
                assert (place / one.lstrip("/").partition("?")[0]).is_file(), (page, one)
    for sheet in site.rglob("*.css"):
        assert _STYLE_LOADS.findall(sheet.read_text(encoding="utf-8")) == [], sheet


def test_the_page_of_the_api_has_its_document_and_shows_it_to_no_validator(site: Path) -> None:
    document = json.loads((site / "reference" / "openapi.json").read_text())
    assert document["openapi"].startswith("3.1") and "/api/v1/events" in document["paths"]
    (frame,) = (site / "reference").glob("swagger-*.html")
    text = frame.read_text()
    assert "openapi.json" in text
    assert '"validatorUrl": "none"' in text


def test_the_search_finds_a_command(site: Path) -> None:
    index = json.loads((site / "search" / "search_index.json").read_text())
    assert any("campaignctl reconcile" in entry["title"] for entry in index["docs"])
