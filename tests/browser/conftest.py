"""Chromium and the real app; a page that must stay without errors."""

import re
import shutil
from collections.abc import Callable, Iterator

import pytest

from tests.app_process import RunningApp, running_app

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
WAIT_MS = 120_000
"""For whatever a test waits for, on a machine that does much else."""
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture(scope="session")
def chromium():
    """A browser; the tests are skipped where there is none."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.skip(f"there is no Chromium here (looked for {', '.join(BROWSERS)})")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=path, args=list(QUIET))
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    """The app with no runs yet."""
    with running_app(tmp_path_factory.mktemp("app")) as running:
        yield running


@pytest.fixture
def open_page(chromium, app: RunningApp) -> Iterator[Callable]:
    """Opens the page as a new visitor; in the end no page may have said an error, or asked another host."""
    contexts, said = [], []

    def opened(width: int = 1280, height: int = 800, context=None):
        if context is None:
            context = chromium.new_context(viewport={"width": width, "height": height})
            contexts.append(context)
        context.set_default_timeout(WAIT_MS)
        page = context.new_page()
        page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("dialog", lambda dialog: (said.append(f"a dialog: {dialog.message}"), dialog.dismiss()))
        page.on("request", lambda request: said.append(request.url) if elsewhere(request.url) else None)
        page.goto(app.url)
        # The live part is drawn by the page's script, so by then everything is in place.
        page.wait_for_selector(".lt-live .lt-plot-box")
        page.wait_for_function("() => document.documentElement.dataset.ltState !== undefined")
        page.wait_for_selector(".lt-summary dt, .lt-problems")
        return page

    yield opened
    for context in contexts:
        context.close()
    app.stop_what_is_on()  # a test that failed in the middle of a run leaves it to nobody
    assert said == []


def elsewhere(url: str) -> bool:
    return not re.match(r"(http://127\.0\.0\.1:\d+/|data:|blob:)", url)
