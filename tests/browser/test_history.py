"""Run History in a real browser, over run folders as a week of training leaves them."""

from collections.abc import Iterator

import pytest

from tests.app_process import RunningApp, running_app
from tests.browser.acts import start_by_call, stop
from tests.browser.test_lasting import CONTRAST
from tests.past_runs import history_of_a_week

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]
ROWS = ".lt-run-table tr[data-run]"


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    """The app over a week's runs."""
    root = tmp_path_factory.mktemp("week")
    history_of_a_week(root / "runs")
    with running_app(root) as running:
        yield running


def until(page, condition: str) -> None:
    """Wait for something to be true in the page."""
    page.wait_for_function(f"() => {condition}")


def open_history(page) -> None:
    page.locator("role=tab[name='Run History']").click()
    page.wait_for_selector(ROWS)


def row(page, name: str):
    return page.locator(ROWS, has=page.locator(f".lt-run-name[title='{name}']"))


def names(page) -> list[str]:
    return [name.get_attribute("title") for name in page.locator(f"{ROWS} .lt-run-name").all()]


def group_of(page, box: str) -> set[str]:
    """The runs whose curves a chart draws."""
    return set(page.evaluate(f"() => document.querySelector('{box} .lt-plot').data.map((t) => t.legendgroup)"))


def test_a_run_is_found_marked_and_opened_and_a_refresh_shows_it_again(open_page, app):
    page = open_page()
    open_history(page)
    assert page.locator(".lt-damaged:has-text('damaged')").count() == 1
    page.fill("#lt-history-search", "seed")
    assert sorted(names(page)) == ["seed 1", "seed 2", "seed 3"]
    page.fill("#lt-history-search", "")
    page.select_option("select[aria-label=State]", "failed")
    assert names(page) == ["failed at night"]
    page.click("text=Show all")
    page.click(".lt-run-table th button:has-text('Val loss')")
    known = [run for run in app.get("/live/runs")["runs"] if run.get("val_loss") is not None]
    assert names(page)[0] == min(known, key=lambda run: run["val_loss"])["name"]
    page.click(".lt-history-tools summary:has-text('Columns')")
    page.locator(".lt-history-tools .lt-menu label:has-text('Notes') input").check()
    page.keyboard.press("Escape")

    row(page, "seed 2").locator("[data-act=star]").click()
    row(page, "seed 2").locator("[data-act=notes]").click()
    page.keyboard.type("the best so far")
    page.keyboard.press("Enter")
    row(page, "seed 2").locator(".lt-run-name").focus()
    page.keyboard.press("F2")
    page.keyboard.press("Control+A")
    page.keyboard.type("seed two")
    page.keyboard.press("Enter")
    row(page, "seed two").locator(".lt-run-name").click()
    page.wait_for_selector(".lt-opened .lt-plot[data-points]")
    assert "run=" in page.url and "tab=history" in page.url
    page.reload()
    page.wait_for_selector(".lt-opened h2:has-text('seed two')")
    page.wait_for_selector("th button:has-text('Notes')")  # the chosen columns are this browser's
    kept = next(run for run in app.get("/live/runs")["runs"] if run["name"] == "seed two")
    assert kept["starred"] and kept["notes"] == "the best so far"
    settings = page.locator(".lt-run-facts .lt-fold", has_text="Settings")
    settings.locator("summary").click()
    assert "0.003" in settings.inner_text()
