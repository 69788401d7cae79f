"""Many runs at once in a real browser: tagged, archived, taken along, swept over, backed up and brought back."""

import io
import json
import os
import shutil
import zipfile
from collections.abc import Iterator

import pytest

from tests.app_process import RunningApp, running_app
from tests.browser.acts import STARTED, fill_small
from tests.browser.test_history_tab import ROWS, names, open_history, row, until
from tests.hub.stand_in import HubServer, running
from tests.past_runs import history_of_a_week

pytestmark = pytest.mark.browser
TOKEN = "hf_canary7f3a"
SEEDS = ("seed 1", "seed 2", "seed 3")


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubServer]:
    with running(HubServer(tmp_path_factory.mktemp("hub"), TOKEN)) as server:
        yield server


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory, hub: HubServer) -> Iterator[RunningApp]:
    """The app over a week's runs, with a token for the Hub."""
    root = tmp_path_factory.mktemp("week")
    history_of_a_week(root / "runs")
    env = {"HF_TOKEN": TOKEN, "HF_ENDPOINT": hub.url, "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1"}
    with running_app(root, **env) as running:
        yield running


def tick(page, *which: str) -> None:
    for name in which:
        row(page, name).locator("[data-act=tick]").check()
    page.wait_for_selector(f".lt-bulk:has-text('{len(which)} selected')")


def test_ticked_runs_are_tagged_archived_deleted_and_brought_back(open_page, app):
    page = open_page()
    open_history(page)
    tick(page, "seed 1", "seed 2")
    page.click(".lt-bulk >> text=Tag")
    page.keyboard.type("paper, week 9")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=2 runs tagged paper, week 9.")
    tagged = [run["name"] for run in app.get("/live/runs")["runs"] if "paper" in run.get("tags", ())]
    assert sorted(tagged) == ["seed 1", "seed 2"]

    page.click(".lt-bulk >> text=Archive")
    page.wait_for_selector("text=2 runs archived.")
    until(page, f"!document.querySelector(`{ROWS} .lt-run-name[title='seed 1']`)")
    page.click(".lt-bulk >> text=Unarchive")
    row(page, "seed 1").wait_for()

    page.click(".lt-bulk >> text=Delete")
    question = page.locator("[role=alertdialog]")
    assert "Move 2 runs (" in question.inner_text() and question.locator("button").first.evaluate(
        "(button) => button === document.activeElement"
    )
    page.keyboard.press("Enter")
    page.click("#lt-undo")
    page.wait_for_selector("text=2 runs back in the list.")
    assert {"seed 1", "seed 2"} <= set(names(page))


def test_a_report_opens_without_a_network_and_the_zips_hold_the_runs(open_page, app, chromium, tmp_path):
    page = open_page()
    open_history(page)
    tick(page, *SEEDS)
    page.click(".lt-bulk >> text=Export")
    page.wait_for_selector("[role=dialog][aria-label=Export]")

    def taken(label: str) -> bytes:
        with page.expect_download() as coming:
            page.click(f"[aria-label=Export] >> text={label}")
        return coming.value.path().read_bytes()

    ids = {run["run_id"] for run in app.get("/live/runs")["runs"] if run.get("name") in SEEDS}
    with zipfile.ZipFile(io.BytesIO(taken("Zip without weights"))) as packed:
        assert {name.split("/")[0] for name in packed.namelist()} == ids
    with zipfile.ZipFile(io.BytesIO(taken("TensorBoard"))) as packed:
        assert len([name for name in packed.namelist() if "tfevents" in name]) == 3
    report = tmp_path / "report.html"
    report.write_bytes(taken("Report"))

    context = chromium.new_context(offline=True)
    alone, said = context.new_page(), []
    alone.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    alone.on("pageerror", lambda error: said.append(str(error)))
    local = ("file:", "data:", "blob:")
    alone.on("request", lambda request: None if request.url.startswith(local) else said.append(request.url))
    alone.goto(report.as_uri())
    alone.wait_for_function("() => document.querySelectorAll('.js-plotly-plot .scatterlayer .trace').length > 3")
    text = alone.inner_text("body")
    assert all(name in text for name in SEEDS) and "validation" in text.lower() and not said, said
    context.close()


def test_a_sweep_is_built_from_the_form_and_trains_to_its_summary(open_page, app):
    page = open_page()
    fill_small(page, "swept", steps=6)
    page.wait_for_selector("#lt-summary:has-text('6')")
    open_history(page)
    page.click("#lt-sweep summary")
    values = page.locator(".lt-sweep-axis input").first
    values.fill("1e-3, 3e-3")
    page.click("text=+ another option")
    page.locator(".lt-sweep-axis input").nth(1).fill("1, 2")
    page.fill("[aria-label='Tag of the sweep']", "rates")
    page.wait_for_selector("#lt-sweep-start:has-text('Queue 4 runs'):not([disabled])")
    page.click("#lt-sweep-start")
    page.wait_for_selector("text=4 runs are queued, tagged sweep:rates.")

    def finished() -> list[dict]:
        runs = app.get("/live/runs")["runs"]
        return [run for run in runs if "sweep:rates" in run.get("tags", ()) and run["state"] == "completed"]

    while len(runs := finished()) < 4:
        page.wait_for_timeout(300)
    assert len({(run["learning_rate"], run["seed"]) for run in (configs(app, r["run_id"]) for r in runs)}) == 4
    page.click("#lt-sweep summary")
    page.click("#lt-sweep summary")  # looked at again
    page.wait_for_selector("#lt-sweep table:has-text('4 completed')")
    page.click("#lt-sweep table button[title='Compare its runs']")
    page.wait_for_selector(".lt-differ")
    assert set(page.locator(".lt-differ tr.lt-option th").all_inner_texts()) == {"Learning rate", "Seed"}


def configs(app: RunningApp, run_id: str) -> dict:
    return json.loads((app.runs_dir / run_id / "run.json").read_text())["config"]


def test_runs_are_backed_up_and_brought_back_from_the_page_of_a_space(open_page, app, hub, chromium):
    """The server stands on this machine; only what it says of the place is what a Space's owner gets to hear."""
    context = chromium.new_context(viewport={"width": 1280, "height": 800})

    def as_on_a_space(route) -> None:
        place = route.fetch().json()
        route.fulfill(json={**place, "place": "space", "notices": ["This Space has no storage."]})

    context.route("**/api/place", as_on_a_space)
    page = open_page(context=context)
    page.fill(".lt-place input[type=text]", "ann/my-runs")
    page.click("text=Back up to the Hub")
    page.wait_for_selector(".lt-place-row:has-text('sent to ann/my-runs')", timeout=STARTED)
    kept = sorted(path.stem for path in (hub.root / "ann/my-runs/runs").iterdir())
    assert hub.private["ann/my-runs"] and len(kept) >= 10

    gone = app.runs_dir / kept[0]
    before = {path: path.read_bytes() for path in gone.rglob("*") if path.is_file()}
    shutil.rmtree(gone)
    page.reload()
    page.fill(".lt-place input[type=text]", "ann/my-runs")
    page.click("text=Restore from the Hub")
    page.wait_for_selector(".lt-place-row:has-text('1 brought back from ann/my-runs')", timeout=STARTED)
    assert {path: path.read_bytes() for path in gone.rglob("*") if path.is_file()} == before
    assert TOKEN not in page.content() and TOKEN not in app.said and TOKEN not in os.listdir(app.runs_dir)
    context.close()
