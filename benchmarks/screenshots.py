"""Pictures of the page: python benchmarks/screenshots.py DIR starts the app, trains for a while and writes PNGs.

Needs Chromium and the test tools (tests/requirements.txt). Two short runs are trained, so that Run History has
something to compare, and one of them is tuned, or with --base another model; nothing outside DIR is touched.
"""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

sys.path.insert(0, str(Path(__file__).parent.parent))
from tests.app_process import RunningApp, running_app  # noqa: E402
from tests.browser.acts import write  # noqa: E402
from tests.browser.conftest import BROWSERS, QUIET  # noqa: E402

DESKTOP, PHONE = (1280, 800), (380, 800)
POINTS = "() => Number(document.querySelector('{}')?.dataset.points) >= {}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--points", type=int, default=150, help="points of the recommended run before the pictures")
    parser.add_argument(
        "--base", help="base model of the fine-tuning pictures (default: the run of the other pictures)"
    )
    parser.add_argument("--tuning-steps", type=int, default=60, help="steps of the fine-tuning run (default 60)")
    parser.add_argument("--only-tuning", action="store_true", help="take the fine-tuning pictures alone; needs --base")
    parser.add_argument("--only-history", action="store_true", help="a few short runs, and Run History alone")
    given = parser.parse_args()
    browser_path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser_path is None:
        print(f"There is no Chromium here (looked for {', '.join(BROWSERS)}).", file=sys.stderr)
        return 2
    given.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as root, running_app(Path(root)) as app, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=list(QUIET))
        page = opened(browser, app, DESKTOP)
        if given.only_history:
            week(app, page)
            for name, shown in {"light": page, **other_windows(browser, app)}.items():
                history(shown, given.folder, name)
        elif not given.only_tuning:
            take(browser, app, page, given.folder, given.points)
        if not given.only_history:
            tuning(browser, app, page, given.folder, given.base, given.tuning_steps)
        browser.close()
    return 0


def take(browser: Browser, app: RunningApp, page: Page, folder: Path, num_points: int) -> None:
    """All pictures, in the order in which a first user would see them."""
    shoot(page, folder / "empty.png")
    week(app, page)
    train(page)
    page.locator("#lt-preset label", has_text="Recommended").click()
    page.wait_for_function("() => document.querySelector('#lt-option-max_steps input').value === ''")
    page.click("#lt-start")
    page.wait_for_selector("html[data-lt-state=running]", timeout=300_000)
    page.wait_for_function(POINTS.format(".lt-live .lt-plot", num_points), timeout=900_000)
    page.wait_for_selector("body:not(:has(.toast-body))", timeout=60_000)
    views(page, folder, "light")
    ask_to_stop(page, folder)  # before the run has ended by itself
    others = other_windows(browser, app)
    for name, shown in others.items():
        views(shown, folder, name)
    for name, shown in {"light": page, **others}.items():
        history(shown, folder, name)
        estimator(shown, folder, name)


def other_windows(browser: Browser, app: RunningApp) -> dict[str, Page]:
    """The page as it is looked at by night, and on a phone."""
    return {"dark": opened(browser, app, DESKTOP, dark=True), "phone": opened(browser, app, PHONE)}


def train(page: Page) -> None:
    """A short run from beginning to end, so that there is something to compare with."""
    page.locator("#lt-preset label", has_text="Fast").click()
    page.wait_for_function("() => document.querySelector('#lt-option-max_steps input').value === '500'")
    page.click("#lt-start")
    page.wait_for_selector("html[data-lt-active=true]", timeout=60_000)
    page.wait_for_selector("html[data-lt-state=completed]", timeout=600_000)


def views(page: Page, folder: Path, name: str) -> None:
    """Every view of the Pretraining tab while a run goes on."""
    shoot(page, folder / f"{name}.png", "#lt-live")
    page.click(".lt-machine-button")
    page.click("#lt-tab-playground")
    page.fill("#lt-prompt", "Return the ")
    page.click("#lt-generate")
    page.wait_for_function(
        "() => document.querySelector('.lt-text')?.textContent.includes('tokens/s')", timeout=120_000
    )
    shoot(page, folder / f"playground-{name}.png", "#lt-playground")
    page.click(".lt-machine-button")
    page.click("#lt-tab-attention")
    page.wait_for_selector(".lt-token", timeout=60_000)
    page.locator(".lt-head-choice").nth(1).click()
    shoot(page, folder / f"attention-{name}.png", "#lt-attention")
    page.click("#lt-tab-shelf")
    page.wait_for_selector(".lt-card")
    page.locator(".lt-card button:has-text('Resume'):enabled").first.click()
    page.wait_for_selector(".lt-resume .lt-primary")
    shoot(page, folder / f"checkpoints-{name}.png", "#lt-shelf")
    page.click("#lt-tab-live")


def ask_to_stop(page: Page, folder: Path) -> None:
    """The question before a stop, the corpus at its field, and the form's own end."""
    page.click("#lt-stop")
    shoot(page, folder / "stop.png")
    page.click("#lt-stop-cancel")
    page.click("#lt-corpus-preview")
    page.wait_for_selector(".lt-corpus .lt-preview")
    page.click("[data-copy=cli]")
    shoot(page, folder / "form.png", ".lt-copies")


def week(app: RunningApp, page: Page) -> None:
    """A few short runs with one thing changed each, queued and trained, so that there is something to compare."""
    base = {"preset": "none", "corpus": "tiny", "tokenizer": "char", "config_name": "custom", "n_layer": 2, "n_head": 4,
            "n_embd": 64, "context_length": 64, "batch_size": 8, "max_steps": 600, "intermediate_val_freq_steps": 60,
            "sample_tokens": 60, "attention_impl": "sdpa", "dropout": 0.0, "queue": True}  # fmt: skip
    changes = [{"learning_rate": rate, "name": f"learning rate {rate:g}"} for rate in (3e-4, 1e-3, 1e-2)]
    changes += [{"learning_rate": 3e-3, "seed": seed, "name": f"3e-3, seed {seed}"} for seed in (1, 2, 3)]
    for change in changes:
        reply = page.request.post(f"{app.url}/api/pretraining/start", data=base | change)
        if not reply.ok:
            raise RuntimeError(reply.text())
    app.wait_for("completed", within_s=60)
    page.wait_for_function(
        """async () => { const { run, queued } = await (await fetch("/live/status")).json();
        return run.state === "completed" && !queued.length; }""",
        timeout=600_000,
        polling=1000,
    )
    page.wait_for_selector("html[data-lt-state=completed]", timeout=60_000)  # the page knows too: Start is there again


def history(page: Page, folder: Path, name: str) -> None:
    """Run History: the list, one run opened, then several laid over one another."""
    page.goto(page.url.split("?")[0] + "?tab=history")
    page.wait_for_selector(".lt-run-table tr[data-run]")
    shoot(page, folder / f"history-list-{name}.png")
    page.locator(".lt-run-name", has_text="learning rate 0.01").first.click()
    page.wait_for_selector(".lt-opened .lt-plot[data-points]")
    shoot(page, folder / f"history-{name}.png", "#lt-actions")
    if page.viewport_size["width"] < DESKTOP[0]:
        page.click(".lt-to-list")
    for run in ("learning rate 0.001", "learning rate 0.01", "3e-3, seed 1", "3e-3, seed 2", "3e-3, seed 3"):
        ticked = page.locator(".lt-run-table tr[data-run]", has=page.locator(f".lt-run-name[title='{run}']"))
        ticked.locator("[data-act=tick]").check()
    page.wait_for_selector(".lt-differ")
    page.wait_for_selector(".lt-part .lt-plot[data-points]")
    shoot(page, folder / f"compare-{name}.png", ".lt-opened")


def estimator(page: Page, folder: Path, name: str) -> None:
    """The VRAM Estimator with what would fit."""
    page.evaluate("document.documentElement.scrollTo(0, 0)")
    to_tab(page, "VRAM Estimator")
    page.locator(".lt-vram").first.scroll_into_view_if_needed()  # it computes once it is looked at
    page.wait_for_selector(".lt-vram-curves .js-plotly-plot", timeout=120_000)
    page.click("text=Find what fits")
    page.wait_for_selector(".lt-way", timeout=180_000)
    shoot(page, folder / f"estimator-{name}.png", ".lt-vram")


def tuning(browser: Browser, app: RunningApp, page: Page, folder: Path, base: str | None, num_steps: int) -> None:
    """The Fine-tuning tab before, while and after the built-in persona is learned."""
    if page.is_visible("#lt-stop"):
        page.click("#lt-stop")
        page.click("#lt-stop-save")
        page.wait_for_selector("html[data-lt-state=stopped]", timeout=120_000)
    page.evaluate("document.documentElement.scrollTo(0, 0)")
    to_tab(page, "Fine-tuning")
    page.wait_for_selector("#lt-tune-summary .lt-figures")
    write(page, "model_name", base or app.get("/live/status")["run"]["run_id"], form="tune-option")
    write(page, "max_steps", str(num_steps), form="tune-option")
    write(page, "max_seq_length", "128", form="tune-option")
    page.click("#lt-tune-look-at-rows")
    page.wait_for_selector(".lt-seen", timeout=120_000)
    page.wait_for_selector("#lt-tune-summary .lt-memory", timeout=120_000)
    page.evaluate("document.documentElement.scrollTo(0, 0)")
    shoot(page, folder / "tuning-preview-light.png")
    page.click("#lt-tune-start")
    page.click("#lt-tune-tab-live")
    page.wait_for_function(POINTS.format("#lt-tune-live .lt-plot", max(2, num_steps // 2)), timeout=1_800_000)
    page.wait_for_selector("body:not(:has(.toast-body))", timeout=60_000)
    page.evaluate("document.documentElement.scrollTo(0, 0)")
    shoot(page, folder / "tuning-light.png")
    page.wait_for_selector("html[data-lt-state=completed]", timeout=1_800_000)
    for name, shown in {"light": page, **other_windows(browser, app)}.items():
        to_tab(shown, "Fine-tuning")
        shown.wait_for_selector("#lt-tune-summary .lt-figures")
        shown.click("#lt-tune-tab-live")
        shown.wait_for_function(POINTS.format("#lt-tune-live .lt-plot", num_steps), timeout=60_000)
        shoot(shown, folder / f"tuned-{name}.png", "#lt-tune-live")
        shown.click("#lt-tune-tab-chat")
        for question in ("What is your name?", "What is the capital of Italy?"):
            shown.fill("#lt-tune-prompt", question)
            shown.click("#lt-tune-ask")
            shown.wait_for_selector(f"#lt-tune-chat .lt-turn:has-text('{question}') .lt-answer", timeout=120_000)
            shown.wait_for_function("() => document.querySelector('#lt-tune-halt').hidden", timeout=300_000)
        shoot(shown, folder / f"tuning-playground-{name}.png", "#lt-tune-chat")
        shown.click("#lt-tune-tab-shelf")
        shown.locator(".lt-card button:has-text('Export'):visible").first.click()
        shown.wait_for_selector(".lt-export [data-form=push]", timeout=60_000)
        shoot(shown, folder / f"adapters-{name}.png", "#lt-tune-shelf")


def to_tab(page: Page, name: str) -> None:
    """Open a tab of the page; on a narrow window Gradio may keep it in a menu."""
    page.get_by_role("tab", name=name).or_(page.get_by_role("button", name=name)).last.click()


def opened(browser: Browser, app: RunningApp, size: tuple[int, int], dark: bool = False) -> Page:
    """The page in a window of that size, with its curves drawn if there are any."""
    scheme = "dark" if dark else "light"
    context = browser.new_context(viewport={"width": size[0], "height": size[1]}, color_scheme=scheme)
    page = context.new_page()
    page.goto(app.url)
    page.wait_for_selector(".lt-live .lt-plot-box")
    if (app.get("/live/status")["run"] or {}).get("kind") == "pretrain":
        page.wait_for_function(POINTS.format(".lt-live .lt-plot", 1), timeout=60_000)
    return page


def shoot(page: Page, path: Path, at: str = "") -> None:
    """A picture once nothing moves any more; on a small window scrolled to what it is about."""
    if at and page.viewport_size["width"] < DESKTOP[0] or at == ".lt-copies":
        page.locator(at).first.evaluate("(element) => window.scrollBy(0, element.getBoundingClientRect().top - 150)")
    page.wait_for_timeout(1500)
    page.screenshot(path=path)
    print(path)


if __name__ == "__main__":
    sys.exit(main())
