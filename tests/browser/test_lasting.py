"""What must hold for long and for everybody: zoom, refreshes, a restarted server, keyboard, small windows, contrast."""

import random

import pytest

from tests.app_process import running_app
from tests.browser.acts import STARTED, start_small, step_drawn, stop, stop_by_keys, tab_to, wait_for_news

pytestmark = pytest.mark.browser

PLOT = "document.querySelector('.lt-live .lt-plot')"
CONTRAST = """(selector) => {
  const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((c) => c / 255).map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const opaque = (colours) => { canvas.clearRect(0, 0, 1, 1); for (const c of colours) { canvas.fillStyle = c; canvas.fillRect(0, 0, 1, 1); } return [...canvas.getImageData(0, 0, 1, 1).data]; };
  return [...document.querySelectorAll(selector)].filter((e) => e.offsetParent && e.textContent.trim()).map((e) => {
    const under = [];
    for (let p = e; p; p = p.parentElement) under.unshift(getComputedStyle(p).backgroundColor);
    const back = light(opaque(['#fff', ...under])), front = light(opaque(['#fff', ...under, getComputedStyle(e).color]));
    return (Math.max(back, front) + 0.05) / (Math.min(back, front) + 0.05);
  });
}"""  # noqa: E501 a script for the browser


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_zoom_stays_over_a_hundred_updates(open_page):
    page = open_page()
    start_small(page, "zoomed")
    page.evaluate(f"() => Plotly.relayout({PLOT}, {{'xaxis.range': [1, 4]}})")
    page.evaluate(f"() => {{ window.drawn = 0; {PLOT}.on('plotly_afterplot', () => window.drawn++); }}")
    page.evaluate("() => { setInterval(() => import('/live/static/main.js').then((m) => m.wake()), 100); }")
    page.wait_for_function("() => window.drawn >= 100", timeout=1_700_000)
    assert page.evaluate(f"() => {PLOT}.layout.xaxis.range") == [1, 4]
    stop(page)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_hundred_refreshes_at_random_lose_no_point(open_page, app):
    page, rng = open_page(), random.Random(7)
    page.evaluate("""() => fetch('/api/pretraining/start', { method: 'POST', headers: { 'content-type':
        'application/json' }, body: JSON.stringify({ preset: 'fast', max_steps: 1000 }) })""")
    app.wait_for("running")
    seen = []
    for _ in range(100):
        page.reload(wait_until="commit")
        page.wait_for_timeout(rng.uniform(0, 1500))
    page.reload()
    app.wait_for("completed", within_s=600)
    page.wait_for_function(f"() => Number({PLOT}?.dataset.points) >= 1000", timeout=STARTED)
    seen = page.evaluate(f"() => [...new Set({PLOT}.data.flatMap((t) => t.yaxis === 'y' ? [...t.x] : []))]")
    assert sorted(seen) == list(range(1001))
    texts = app.get(f"/live/texts?run={app.get('/live/status')['run']['run_id']}")
    steps = page.evaluate("() => document.querySelector('.lt-scrub input[type=range]').max")
    assert int(steps) + 1 == len({row["step"] for row in texts["samples"]["rows"]})


def test_an_open_page_goes_on_when_the_server_is_started_again(chromium, tmp_path):
    context = chromium.new_context()
    with running_app(tmp_path) as first:
        page = context.new_page()
        page.goto(first.url)
        page.wait_for_selector(".lt-summary dt")
        start_small(page, "outlives the server")
        page.fill("#lt-option-batch_size input", "6")
        page.keyboard.press("Tab")
        page.wait_for_function("() => document.querySelector('.lt-summary').textContent.includes('6 sequences')")
        drawn = step_drawn(page)
    page.wait_for_selector(".lt-lost")
    with running_app(tmp_path, "--port", str(first.port)) as again:
        page.wait_for_selector(".lt-lost", state="detached", timeout=STARTED)
        page.wait_for_selector("html[data-lt-state=interrupted]", timeout=STARTED)
        assert step_drawn(page) >= drawn
        assert page.input_value("#lt-option-batch_size input") == "6"
        page.click("#lt-resume")  # by Gradio, whose session began with the other process
        again.wait_for("running")
        wait_for_news(page, drawn)
        stop(page)
        assert again.get("/live/status")["run"]["name"] == "outlives the server"
    context.close()


def test_from_start_to_stop_by_the_keyboard_alone(open_page, app):
    page = open_page()
    page.wait_for_function("() => !document.querySelector('#lt-start').disabled")
    tab_to(page, "#lt-option-name input, #lt-option-name textarea")
    page.keyboard.type("typed")
    tab_to(page, "#lt-start")
    page.keyboard.press("Enter")
    page.wait_for_selector("html[data-lt-state=running]", timeout=STARTED)
    page.evaluate("() => document.activeElement.blur()")
    tab_to(page, "#lt-tab-live")
    page.keyboard.press("ArrowRight")
    assert page.get_attribute("#lt-tab-playground", "aria-selected") == "true" and page.is_visible("#lt-playground")
    page.keyboard.press("ArrowLeft")
    stop_by_keys(page)
    assert app.get("/live/status")["run"]["name"] == "typed"


@pytest.mark.parametrize("width", [380, 640, 1280], ids=["phone", "zoomed to 200 %", "desktop"])
def test_every_view_fits_its_window_and_no_button_is_covered(open_page, width):
    page = open_page(width=width, height=width if width < 700 else 800)
    for name in ("playground", "attention", "shelf", "live"):
        page.click(f"#lt-tab-{name}")
        page.wait_for_timeout(300)
        assert page.evaluate("() => document.documentElement.scrollWidth") <= width, name
    page.locator("role=tab[name='Run History']").click()
    page.wait_for_selector(".lt-runs .lt-history-tools:visible, .lt-runs .lt-welcome:visible")
    assert page.evaluate("() => document.documentElement.scrollWidth") <= width
    page.locator("role=tab[name='Pretraining']").click()
    page.locator("#lt-start").scroll_into_view_if_needed()
    box = page.locator("#lt-start").bounding_box()
    middle = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
    assert page.evaluate("(p) => document.elementFromPoint(p.x, p.y).closest('#lt-start') !== null", middle)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_can_be_read_in_both_schemes(open_page, chromium, scheme):
    context = chromium.new_context(color_scheme=scheme)
    page = open_page(context=context)
    texts = (
        ".lt-fact, .lt-state, .lt-hint, .lt-link:enabled, .lt-figures dt, .lt-figures dd, .lt-log li, .lt-tabs button"
    )
    for name in ("live", "playground", "shelf"):
        page.click(f"#lt-tab-{name}")
        page.wait_for_timeout(500)
        found = page.evaluate(CONTRAST, texts)
        assert found and min(found) >= 4.5, f"{name}: {min(found):.2f}"
    page.wait_for_selector(".lt-state")
    assert page.text_content(".lt-state").strip("■✓▶‖✕⚡… "), "a state is never told by its colour alone"
    context.close()
