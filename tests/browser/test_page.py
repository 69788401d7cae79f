"""Pressing the page's buttons in a real browser."""

import time
from collections.abc import Iterator

import pytest

from tests.app_process import RunningApp, running_app
from tests.browser.acts import HOSTILE, STARTED, fill_small, start_small, stop, wait_for_news, write

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    """The app with no runs yet, by an interpreter of its own, as how it ends is looked at."""
    with running_app(tmp_path_factory.mktemp("app"), fresh=True) as running:
        yield running


def test_an_empty_page_says_what_to_do_first(open_page):
    page = open_page()
    assert "No run yet" in page.text_content(".lt-strip") and "Start" in page.text_content(".lt-strip")
    assert "first point" in page.text_content(".lt-live .lt-empty")
    assert page.is_visible("#lt-start") and not page.is_visible("#lt-pause") and not page.is_visible("#lt-resume")


def test_an_idle_page_draws_nothing(open_page, chromium):
    """Gradio's loading screen left a callback a frame behind, which cost a training CPU a tenth of a core."""
    context = chromium.new_context()
    context.add_init_script("""(() => {
      const next = window.requestAnimationFrame.bind(window);
      window.frames_asked = 0;
      window.requestAnimationFrame = (callback) => { window.frames_asked += 1; return next(callback); };
    })()""")
    page = open_page(context=context)
    asked, seconds = page.evaluate("window.frames_asked"), 0
    while True:  # opening the page is an animation too
        page.wait_for_timeout(1000)
        seconds, before, asked = seconds + 1, asked, page.evaluate("window.frames_asked")
        if asked - before < 10:
            break
        assert seconds < 20, f"{asked - before} frames a second are asked for"
    context.close()


def test_start_waits_for_the_draft(open_page, chromium):
    """Pressed while the form still held numbers that nobody chose, it was refused for them."""
    context = chromium.new_context()
    held = []
    context.route("**/gradio_api/run/predict*", lambda route: held.append(route))
    page = open_page(context=context)
    assert page.is_disabled("#lt-start") and page.is_disabled("#lt-enqueue")
    for route in held:
        route.continue_()
    context.unroute("**/gradio_api/run/predict*")
    page.wait_for_function("() => !document.querySelector('#lt-start').disabled")
    assert page.input_value("#lt-option-max_steps input") == "" and not page.is_visible(".lt-problem")
    context.close()


def test_start_draws_points_and_zoom_stays_while_more_come(open_page):
    page = open_page()
    start_small(page)
    page.evaluate("() => Plotly.relayout(document.querySelector('.lt-live .lt-plot'), {'xaxis.range': [1, 4]})")
    for _ in range(4):
        wait_for_news(page)
    shown = page.evaluate("() => document.querySelector('.lt-live .lt-plot').layout.xaxis.range")
    assert shown == [1, 4]
    assert page.evaluate("() => document.querySelector('.lt-live .lt-plot').layout.xaxis2.range") == [1, 4]
    assert page.title().startswith("(") and "loss" in page.title()
    stop(page)


def test_refresh_second_tab_and_a_closed_browser_change_nothing(open_page, app):
    page = open_page()
    start_small(page, "steady")
    write(page, "batch_size", "7")  # the draft of the next run
    page.wait_for_function("() => document.querySelector('.lt-summary').textContent.includes('7 sequences')")
    page.reload()
    page.wait_for_selector("html[data-lt-state=running]")
    page.wait_for_function("() => Number(document.querySelector('.lt-live .lt-plot')?.dataset.points) > 5")
    page.wait_for_function("() => document.querySelector('#lt-option-batch_size input')?.value === '7'")
    assert page.input_value("#lt-option-corpus input") == "tiny"

    other = open_page()
    other.wait_for_function("() => Number(document.querySelector('.lt-live .lt-plot')?.dataset.points) > 5")
    assert "steady" in other.text_content(".lt-strip") and "steady" in page.text_content(".lt-strip")
    first_config = app.get("/live/status")["run"]["config"]["batch_size"]
    page.context.close()
    other.context.close()
    seen = app.get("/live/status")["run"]["step"]
    end = time.monotonic() + 30
    while app.get("/live/status")["run"]["step"] <= seen and time.monotonic() < end:
        time.sleep(0.2)
    now = app.get("/live/status")["run"]
    assert now["step"] > seen and now["state"] == "running" and now["config"]["batch_size"] == first_config
    stop(open_page())


def test_pause_resume_save_stop_and_resume_again(open_page, app):
    page = open_page()
    start_small(page, "commanded")
    page.click("#lt-pause")
    page.wait_for_selector("html[data-lt-state=paused]")
    paused_at = app.get("/live/status")["run"]["step"]
    assert not page.is_visible("#lt-pause") and page.is_visible("#lt-resume")
    time.sleep(1)
    assert app.get("/live/status")["run"]["step"] == paused_at
    page.click("#lt-resume")
    page.wait_for_selector("html[data-lt-state=running]")
    page.click("#lt-save")
    page.wait_for_function("() => document.querySelector('.lt-events').textContent.includes('saved at step')")

    page.click("#lt-stop")
    page.wait_for_selector("#lt-ask-stop")
    page.keyboard.press("Escape")
    page.wait_for_selector("#lt-ask-stop", state="hidden")
    assert app.get("/live/status")["run"]["state"] == "running"
    stop(page)
    stopped_at = app.get("/live/status")["run"]["step"]
    page.click("#lt-resume")
    page.wait_for_selector("html[data-lt-state=running]", timeout=STARTED)
    app.wait_for("running")
    stop(page)
    assert app.get("/live/status")["run"]["step"] >= stopped_at > paused_at


def test_bad_input_is_told_at_its_field_all_at_once_and_starts_nothing(open_page, app):
    page = open_page()
    runs = len(app.get("/live/runs")["runs"])
    write(page, "batch_size", "0")
    write(page, "learning_rate", "-1")
    write(page, "epochs", "")
    page.wait_for_function("() => document.querySelectorAll('.lt-problem').length === 3")
    assert "from 1 to 4,096; received 0" in page.text_content("#lt-option-batch_size .lt-problem")
    assert page.get_attribute("#lt-option-learning_rate input", "aria-invalid") == "true"
    assert "3 options need a change" in page.text_content(".lt-problems")
    page.click("#lt-start")
    page.wait_for_timeout(1000)
    assert len(app.get("/live/runs")["runs"]) == runs
    assert page.input_value("#lt-option-batch_size input") == "0"  # nothing was lost
    write(page, "batch_size", "4")
    write(page, "learning_rate", "0.001")
    write(page, "epochs", "1")
    page.wait_for_function("() => document.querySelectorAll('.lt-problem').length === 0")


def test_a_missing_corpus_is_an_error_in_words(open_page, app):
    page = open_page()
    fill_small(page, "lost")
    write(page, "corpus", "/nowhere/at-all.txt")
    page.click("#lt-start")
    page.wait_for_selector(".lt-error, .lt-problem, .toast-body", timeout=STARTED)
    said = " ".join(page.locator(".lt-error, .lt-problem, .toast-body").all_text_contents())
    assert "/nowhere/at-all.txt" in said and "Traceback" not in page.locator(".lt-error p").all_text_contents()


def test_a_hostile_name_is_a_name(open_page, app):
    page = open_page()
    start_small(page, HOSTILE)
    assert "<img src=x onerror=alert(1)></script>" in page.text_content(".lt-strip .lt-name")
    assert page.locator("img[src=x]").count() == 0
    stop(page)
    page.locator("role=tab[name='Run History']").click()
    page.wait_for_selector(".lt-table .lt-run-name")
    page.locator(".lt-run-name").first.click()
    page.wait_for_selector(".lt-opened .lt-plot[data-points]")
    page.locator(".lt-opened .lt-fold summary").first.click()
    assert page.locator("img[src=x]").count() == 0


def test_the_page_fits_a_phone_and_the_keyboard_reaches_start(open_page):
    page = open_page(width=380)
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 380
    page.focus("#lt-start")
    assert page.evaluate("() => document.activeElement.id") == "lt-start"


def test_sigterm_saves_the_run_that_is_on(open_page, app):
    page = open_page()
    start_small(page, "cut short")
    run_id = app.get("/live/status")["run"]["run_id"]
    page.context.close()
    app.process.terminate()
    assert app.process.wait(120) == 0
    assert list((app.runs_dir / run_id / "checkpoints").glob("step-*"))
