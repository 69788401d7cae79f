"""Run History in a real browser, over run folders as a week of training leaves them."""

from collections.abc import Iterator

import pytest

from llm_testing.store.runs import RunStore
from tests.app_process import RunningApp, running_app
from tests.browser.acts import start_by_call, stop
from tests.browser.test_lasting import CONTRAST
from tests.damaged_runs import new_run, with_every_wrong_row
from tests.past_runs import add_run, history_of_a_week

pytestmark = pytest.mark.browser
ROWS = ".lt-run-table tr[data-run]"
COMPARED = "document.querySelector('.lt-part .lt-plot')"


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


def test_ticked_runs_are_compared_zoom_stays_and_a_live_one_costs_only_its_new_points(open_page, app):
    page = open_page()
    start_by_call(page, "live among them")
    open_history(page)
    for name in ("learning rate low", "learning rate too high"):
        row(page, name).locator("[data-act=tick]").check()
    page.wait_for_selector(".lt-differ")
    differing = page.locator(".lt-differ tr.lt-option th").all_inner_texts()
    assert differing == ["Learning rate"], "only what differs is listed"
    until(page, f"new Set({COMPARED}?.data?.map((t) => t.legendgroup)).size === 2")
    assert page.locator(".lt-badge b").first.inner_text() == "A"  # never colour alone

    row(page, "seed 1").locator("[data-act=tick]").click()
    row(page, "seed 3").locator("[data-act=tick]").click()
    until(page, f"{COMPARED}.data.some((t) => t.fill === 'tonexty')")  # a mean with its band
    page.wait_for_selector(".lt-scatter .scatterlayer .point")
    row(page, "other tokenizer").locator("[data-act=tick]").click()
    page.wait_for_selector(".lt-opened .lt-hint:has-text('bits a byte')")
    until(page, f"{COMPARED}.layout.annotations[0].text === 'loss, bits a byte'")
    page.locator(".lt-side figcaption").nth(4).wait_for()
    assert "compare=" in page.url

    row(page, "live among them").locator("[data-act=tick]").click()
    until(page, f"new Set({COMPARED}.data.map((t) => t.legendgroup)).size >= 5")
    page.evaluate(f"() => Plotly.relayout({COMPARED}, {{'xaxis.range': [2, 90]}})")
    asked, live_id = [], app.get("/live/status")["run"]["run_id"]
    page.on("request", lambda request: asked.append(request.url))
    for _ in range(2):
        drawn = page.evaluate(f"() => Number({COMPARED}.dataset.step)")
        until(page, f"Number({COMPARED}.dataset.step) > {drawn}")
    assert page.evaluate(f"() => {COMPARED}.layout.xaxis.range") == [2, 90]
    followed = [url for url in asked if "/live/status" in url]
    assert followed and all(f"run={live_id}&points=" in url and "points=-1" not in url for url in followed)
    news = [url for url in asked if "/live/points" in url or "/live/texts" in url]
    # What the zoom asked for, in all its detail, may come late.
    assert not [url for url in news if "from_x=" not in url], "its news come with the status"
    again = [url for url in asked if "/live/compare" in url]
    assert all(len(url.split("known=")[1].split("%2C")) == 6 for url in again), "no curve is asked for twice"
    stop(page)


def test_a_live_run_is_followed_where_a_narrow_window_shows_it_alone(open_page, app):
    page = open_page(width=380)
    start_by_call(page, "looked at on a phone")
    run_id = app.get("/live/status")["run"]["run_id"]
    page.goto(f"{app.url}/?tab=history&run={run_id}")
    page.wait_for_selector(".lt-opened .lt-plot[data-step]")
    assert not page.is_visible(ROWS)
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    for _ in range(2):
        drawn = page.get_attribute(".lt-opened .lt-plot", "data-step")
        until(page, f"Number(document.querySelector('.lt-opened .lt-plot').dataset.step) > {drawn}")
    assert not [url for url in asked if "/live/points" in url or "/live/texts" in url], "its news come with the status"
    stop(page)


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (1280, "dark"), (380, "light")])
def test_the_tab_is_used_by_keyboard_alone_and_can_be_read(open_page, chromium, width, scheme):
    context = chromium.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    page = open_page(context=context)
    page.keyboard.press("Alt+4")
    page.wait_for_selector(ROWS)
    page.focus("#lt-history-search")
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("() => document.activeElement.dataset.act === 'open'"):
            break
    first = page.evaluate("() => document.activeElement.title")
    assert page.evaluate("() => getComputedStyle(document.activeElement).outlineStyle") != "none"
    page.keyboard.press("ArrowDown")
    assert page.evaluate("() => document.activeElement.title") != first
    page.keyboard.press("End")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    page.wait_for_selector(".lt-opened .lt-plot[data-points]")
    page.wait_for_selector(".lt-run-facts .lt-fold")
    assert page.evaluate("() => document.documentElement.scrollWidth") <= width
    found = page.evaluate(
        CONTRAST, ".lt-opened :is(dt, dd, h2, .lt-hint, .lt-link, .lt-button, summary), .lt-run-box td"
    )
    assert found and min(found) >= 4.5, min(found)
    if width < 700:
        assert not page.is_visible(".lt-run-box")
        page.click(".lt-to-list")
    for name in ("seed 1", "seed 3"):
        row(page, name).locator("[data-act=tick]").focus()
        page.keyboard.press("Space")
    page.wait_for_selector(".lt-differ")
    assert page.evaluate("() => document.documentElement.scrollWidth") <= width
    context.close()


@pytest.mark.parametrize(("axis", "scale"), [("step", 1.0), ("elapsed_s", None)])
def test_between_two_points_of_a_thinned_curve_a_zoom_finds_every_step(open_page, app, axis, scale):
    """The nearest points that are drawn say nothing of what lies between them."""
    folder = add_run(RunStore(app.runs_dir), f"six thousand steps by {axis}", steps=6000, points=6000)
    page = open_page()
    page.goto(f"{app.url}/?tab=history&run={folder.run_id}")
    plot = "document.querySelector('.lt-opened .lt-live .lt-plot')"
    page.wait_for_selector(".lt-opened .lt-plot[data-step='6000']")
    page.locator(".lt-opened .lt-live [aria-label='horizontal axis']").select_option(axis)
    until(page, f"{plot}.layout.xaxis.title.text === '{'step' if scale else 'minutes'}'")
    thin = page.evaluate(f"() => [...{plot}.data[0].x]")
    # The widest gap: the page knows nothing of what is in it.
    low, high = max(zip(thin, thin[1:], strict=False), key=lambda pair: pair[1] - pair[0])
    low, high = low + (high - low) * 0.55, low + (high - low) * 0.95
    by_step = {row["step"]: row["elapsed_s"] / 60 for row in folder.read("metrics").rows}
    inside = [x for x in (by_step if scale else by_step.values()) if low <= x <= high]
    assert len(inside) > 3, "the curve was not thinned"
    page.evaluate(f"() => Plotly.relayout({plot}, {{'xaxis.range': [{low}, {high}]}})")
    until(page, f"{plot}.data[0].x.filter((x) => x >= {low} && x <= {high}).length === {len(inside)}")


def test_a_run_with_damaged_values_is_shown_with_the_rest_of_it_and_says_where(open_page, app):
    folder = with_every_wrong_row(new_run(app.runs_dir, 1, name="half of it is damaged"), ("metrics",))
    page = open_page()
    page.goto(f"{app.url}/?tab=history&run={folder.name}")
    page.wait_for_selector(".lt-opened .lt-plot[data-points]")
    page.wait_for_selector(".lt-opened [role=status] >> text=metrics.jsonl, line")
    page.click(".lt-run-facts summary:has-text('Damaged values')")
    assert page.locator(".lt-run-facts td:has-text('train_loss')").count() == 1
    assert row(page, "half of it is damaged").locator(".lt-is-damaged").count() == 1
    for name in ("half of it is damaged", "seed 1"):
        row(page, name).locator("[data-act=tick]").click()
    page.wait_for_selector(".lt-part .lt-warning >> text=is damaged: ")
