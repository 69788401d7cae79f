"""Pictures of the page: python benchmarks/screenshots.py DIR starts the app, trains for a while and writes PNGs.

Needs Chromium and the test tools (tests/requirements.txt). Two short runs are trained, so that Run History has
something to compare; nothing outside DIR is touched.
"""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

sys.path.insert(0, str(Path(__file__).parent.parent))
from tests.app_process import RunningApp, running_app  # noqa: E402
from tests.browser.conftest import BROWSERS, QUIET  # noqa: E402

DESKTOP, PHONE = (1280, 800), (380, 800)
POINTS = "() => Number(document.querySelector('{}')?.dataset.points) >= {}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--points", type=int, default=150, help="points of the recommended run before the pictures")
    given = parser.parse_args()
    browser_path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser_path is None:
        print(f"There is no Chromium here (looked for {', '.join(BROWSERS)}).", file=sys.stderr)
        return 2
    given.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as root, running_app(Path(root)) as app, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=list(QUIET))
        take(browser, app, given.folder, given.points)
        browser.close()
    return 0


def take(browser: Browser, app: RunningApp, folder: Path, num_points: int) -> None:
    """All pictures, in the order in which a first user would see them."""
    page = opened(browser, app, DESKTOP)
    shoot(page, folder / "empty.png")
    page.locator("#lt-preset label", has_text="Fast").click()
    page.wait_for_function("() => document.querySelector('#lt-option-max_steps input').value === '500'")
    page.click("#lt-start")
    page.wait_for_selector("html[data-lt-state=completed]", timeout=600_000)
    page.locator("#lt-preset label", has_text="Recommended").click()
    page.wait_for_function("() => document.querySelector('#lt-option-max_steps input').value === ''")
    page.click("#lt-start")
    page.wait_for_selector("html[data-lt-state=running]", timeout=300_000)
    page.wait_for_function(POINTS.format(".lt-live .lt-plot", num_points), timeout=900_000)
    page.wait_for_selector("body:not(:has(.toast-body))", timeout=60_000)
    shoot(page, folder / "light.png")
    dark = opened(browser, app, DESKTOP, dark=True)
    shoot(dark, folder / "dark.png")
    phone = opened(browser, app, PHONE)
    shoot(phone, folder / "phone.png")
    phone.context.close()
    for name, shown in (("light", page), ("dark", dark)):
        shown.locator("role=tab[name='Run History']").click()
        shown.wait_for_selector(".lt-runs tbody tr")
        shown.locator(".lt-runs .lt-run-name").first.click()
        shown.wait_for_selector(".lt-opened .lt-plot[data-points]")
        shoot(shown, folder / f"history-{name}.png")
        for i in range(2):
            shown.locator(".lt-runs tbody input[type=checkbox]").nth(i).check()
        shown.wait_for_selector(".lt-opened th:has-text('Validation loss')")
        shoot(shown, folder / f"compare-{name}.png")


def opened(browser: Browser, app: RunningApp, size: tuple[int, int], dark: bool = False) -> Page:
    """The page in a window of that size, with its curves drawn if there are any."""
    scheme = "dark" if dark else "light"
    context = browser.new_context(viewport={"width": size[0], "height": size[1]}, color_scheme=scheme)
    page = context.new_page()
    page.goto(app.url)
    page.wait_for_selector(".lt-live .lt-plot-box")
    if app.get("/live/status")["run"]:
        page.wait_for_function(POINTS.format(".lt-live .lt-plot", 1), timeout=60_000)
    return page


def shoot(page: Page, path: Path) -> None:
    """A picture of what is in view, once nothing moves any more."""
    page.wait_for_timeout(1500)
    page.screenshot(path=path)
    print(path)


if __name__ == "__main__":
    sys.exit(main())
