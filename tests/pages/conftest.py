"""A real browser, where one is installed."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

Open = Callable[..., Page]

# The callback of a frame comes before its painting: at the second one the first is painted.
PAINTED = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
NAMES = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        missing = "no Chromium is installed: apt-get install chromium"
        # Only a developer may do without.
        (pytest.fail if os.environ.get("CI") else pytest.skip)(missing)
    with sync_playwright() as playwright:
        # A container has neither a sandbox for root nor much shared memory.
        flags = ["--no-sandbox", "--disable-dev-shm-usage"]
        browser = playwright.chromium.launch(executable_path=path, args=flags)
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Open]:
    """Open a file; at the end, that it asked for nothing else, and that no script failed."""
    asked: list[str] = []
    wrong: list[str] = []
    opened: list[BrowserContext] = []

    def open_file(path: Path, *, width: int = 1200, dark: bool = False) -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme="dark" if dark else "light"
        )
        opened.append(context)
        page = context.new_page()
        page.on("request", lambda request: asked.append(request.url[:80]))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
        page.goto(path.as_uri())
        page.evaluate(PAINTED)
        return page

    yield open_file
    for context in opened:
        context.close()
    assert {url.partition(":")[0] for url in asked} <= {"file", "data"}
    assert sum(url.startswith("file:") for url in asked) == len(opened)
    assert wrong == []
