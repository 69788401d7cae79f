"""Playground, attention, checkpoints, queue and the form's helpers, in a real browser over one app."""

import re

import pytest

from tests.browser.acts import HOSTILE, STARTED, start_by_call, stop, write

pytestmark = pytest.mark.browser


def until(page, condition: str) -> None:
    """Wait for something to be true in the page."""
    page.wait_for_function(f"() => {condition}")


def view(page, name: str) -> None:
    """Open a tab of the right half."""
    page.click(f"#lt-tab-{name}")
    page.wait_for_selector(f"#lt-{name}", state="visible")


def test_the_first_visit_leads_to_a_first_run(open_page, app):
    page = open_page()
    page.wait_for_selector(".lt-welcome #lt-first-run")
    assert "Train your first GPT" in page.text_content(".lt-welcome")
    page.click("#lt-first-run")
    page.wait_for_selector("html[data-lt-state=running]", timeout=STARTED)
    assert not page.is_visible(".lt-welcome")
    until(page, "Number(document.querySelector('.lt-live .lt-plot')?.dataset.points) > 3")
    assert app.get("/live/status")["run"]["name"] == "My first run"
    stop(page)


def test_the_live_model_writes_while_it_trains_and_while_it_is_paused(open_page, app):
    page = open_page()
    start_by_call(page, "live one")
    view(page, "playground")
    page.wait_for_selector("#lt-model-playground option[value=live]", state="attached")
    assert page.input_value("#lt-model-playground") == "live"
    page.fill("#lt-prompt", "The <b>cat</b>")
    page.fill("#lt-play-max_tokens", "20")
    page.click("#lt-generate")
    until(page, "/live model at step \\d.* 20 tokens/.test(document.querySelector('.lt-text')?.textContent)")
    assert page.text_content(".lt-text blockquote b") == "The <b>cat</b>" and page.locator(".lt-text b b").count() == 0
    page.click("#lt-pause")
    page.wait_for_selector("html[data-lt-state=paused]")
    for _ in range(2):
        page.click("#lt-generate")
        until(page, "document.querySelector('#lt-halt').hidden && !document.querySelector('#lt-generate').disabled")
    first, second = page.locator(".lt-text blockquote").all_text_contents()[:2]
    assert first == second, "the same weights, prompt and seed write the same"
    page.click("#lt-another")
    until(page, "document.querySelector('#lt-halt').hidden && document.querySelectorAll('.lt-text').length === 4")
    assert page.locator(".lt-text blockquote").first.text_content() != first
    page.fill("#lt-play-max_tokens", "2048")
    page.click("#lt-generate")
    page.click("#lt-halt")
    until(page, "document.querySelector('.lt-text').textContent.includes('stopped')")
    stop(page)


def test_a_wrong_number_is_told_in_words_and_nothing_is_lost(open_page):
    page = open_page()
    view(page, "playground")
    until(page, "!document.querySelector('#lt-generate').disabled")
    page.fill("#lt-play-max_tokens", "99999")
    page.click("#lt-generate")
    page.wait_for_selector(".lt-playground .lt-warning")
    assert "from 1 to 2,048; received 99999" in page.text_content(".lt-playground .lt-warning")
    page.fill("#lt-play-max_tokens", "8")
    page.reload()
    page.wait_for_selector("#lt-playground .lt-numbers", state="visible")
    assert page.input_value("#lt-play-max_tokens") == "8", "the view and its numbers survive a refresh"


def test_attention_shows_heads_tokens_and_the_map_of_a_checkpoint(open_page):
    page = open_page()
    start_by_call(page, "looked into")
    stop(page)
    view(page, "attention")
    page.wait_for_selector(".lt-token")
    page.fill("#lt-attention-text", "<i>abc</i>")
    until(page, "document.querySelectorAll('.lt-token').length === 10")
    heads = page.locator(".lt-head-choice").count()
    assert heads >= 2 and page.locator("#lt-attention i").count() == 0
    page.locator(".lt-head-choice").nth(1).click()
    assert page.locator(".lt-head-choice").nth(1).get_attribute("aria-pressed") == "true"
    page.locator(".lt-token").nth(4).click()
    said = page.text_content(".lt-attention .lt-hint[aria-live]")
    assert re.search(r"“b” looks most at “[^”]+” \d+(\.\d)? %", said)
    drawn = "c.getContext('2d').getImageData(0, 0, c.width, c.height).data"
    inked = page.evaluate(f"() => {{ const c = document.querySelector('.lt-map'); return new Set({drawn}).size; }}")
    assert inked > 8
    page.select_option("#lt-layer", index=1)
    until(page, "document.querySelector('#lt-layer').value === '1'")


def test_checkpoints_are_filtered_forked_resumed_generated_from_and_deleted(open_page, app):
    page = open_page()
    start_by_call(page, HOSTILE)
    page.click("#lt-save")
    until(page, "document.querySelector('.lt-events').textContent.includes('saved at step')")
    page.wait_for_timeout(300)
    stop(page)
    run_id = app.get("/live/status")["run"]["run_id"]
    view(page, "shelf")
    card = page.locator(f".lt-card[data-run='{run_id}']")
    card.wait_for()
    assert "<img src=x" in card.locator(".lt-name").text_content() and page.locator("img[src=x]").count() == 0
    page.select_option(".lt-shelf select[aria-label=Corpus]", "tiny")
    until(page, "[...document.querySelectorAll('.lt-card')].every((c) => c.textContent.includes('tiny'))")

    newest = card.locator("tr[data-checkpoint]").first
    assert "newest" in newest.text_content()
    assert newest.locator("button:has-text('Delete')").is_disabled(), "best and newest are kept"
    newest.locator("button:has-text('Generate')").click()
    assert page.input_value("#lt-model-playground") == newest.get_attribute("data-checkpoint")
    view(page, "shelf")

    newest.locator("button:has-text('Fork')").click()
    until(page, "document.querySelector('#lt-option-name input, #lt-option-name textarea').value.endsWith(', forked')")
    page.click("#lt-advanced > button")
    page.wait_for_selector("#lt-option-resume_from input, #lt-option-resume_from textarea")
    shown = page.locator("#lt-option-resume_from").locator("input, textarea").first.input_value()
    assert shown == newest.get_attribute("data-checkpoint")
    write(page, "batch_size", "3")
    until(page, "document.querySelector('.lt-summary').textContent.includes('3 sequences')")

    card.locator("button:has-text('Resume')").click()
    page.click(".lt-resume summary:has-text('fork the checkpoint instead')")
    page.wait_for_selector(".lt-resume .lt-differs")
    page.wait_for_selector(".lt-resume .lt-hint:has-text('Goes on at step')")
    asked = page.text_content(".lt-resume")
    assert "Batch size" in asked and "Goes on at step" in asked and "fork the checkpoint instead" in asked
    page.fill("#lt-resume-steps", "1")
    page.wait_for_selector(".lt-resume .lt-warning, .lt-resume .lt-hint")
    page.fill("#lt-resume-steps", "")
    page.click(".lt-resume .lt-primary")
    page.wait_for_selector("html[data-lt-state=running]", timeout=STARTED)
    assert app.get("/live/status")["run"]["run_id"] == run_id
    stop(page)


def test_an_answer_that_comes_late_does_not_undo_a_newer_one(open_page, app):
    page, held = open_page(), []
    start_by_call(page, "seen too late")
    run_id = app.get("/live/status")["run"]["run_id"]
    view(page, "shelf")
    view(page, "live")

    def hold_the_first(route) -> None:
        if held:
            route.continue_()
        else:
            held.append((route, route.fetch()))

    page.route("**/live/runs*", hold_the_first)
    view(page, "shelf")
    while not held:
        page.wait_for_timeout(50)
    stop(page)
    resume = page.locator(f".lt-card[data-run='{run_id}'] button:has-text('Resume'):not([disabled])")
    resume.wait_for()
    route, reply = held[0]
    route.fulfill(response=reply)
    page.wait_for_timeout(500)
    assert resume.count() == 1, "the list went back to a run that is active"


def test_the_queue_is_shown_ordered_and_emptied(open_page, app):
    page = open_page()
    start_by_call(page, "holds the trainer")
    for name in ("second", "third"):
        write(page, "name", name)
        page.click("#lt-enqueue")
        page.wait_for_selector(f".lt-queue li:has-text('{name}')")
    page.locator(".lt-queue li:has-text('third') button:has-text('Up')").click()
    until(page, "document.querySelector('.lt-queue li').textContent.includes('third')")
    for name in ("second", "third"):
        page.locator(f".lt-queue li:has-text('{name}') button:has-text('Take out')").click()
        page.wait_for_selector(f".lt-queue li:has-text('{name}')", state="detached")
    assert app.get("/live/status")["queued"] == []
    stop(page)


def test_the_form_copies_previews_and_foretells(open_page):
    page = open_page()
    page.wait_for_selector(".lt-copies")
    facts = page.text_content(".lt-summary .lt-figures")
    assert "Time" in facts and "A checkpoint" in facts and "Tokens" in facts
    for name, word in (("cli", "--corpus="), ("yaml", "corpus: "), ("python", "lab.run_here(")):
        page.click(f"[data-copy={name}]")
        until(page, f"document.querySelector('.lt-copies pre').textContent.includes({word!r})")
    page.click("#lt-corpus-preview")
    page.wait_for_selector(".lt-corpus .lt-preview")
    assert len(page.text_content(".lt-corpus .lt-preview")) > 200 and "documents" in page.text_content(".lt-corpus")
    write(page, "corpus", "verdict")
    page.wait_for_selector("#lt-corpus-download")
    assert "A download of about 20 KiB" in page.text_content(".lt-corpus")


def test_earlier_runs_lie_under_the_live_curves_and_samples_show_what_changed(open_page, app):
    page = open_page()
    start_by_call(page, "with company")
    page.click(".lt-live .lt-overlay summary")
    page.wait_for_selector(".lt-live .lt-menu input")
    page.locator(".lt-live .lt-menu input").first.check()
    until(page, "new Set(document.querySelector('.lt-live .lt-plot').data.map((t) => t.legendgroup)).size === 2")
    page.locator(".lt-live .lt-menu input").first.uncheck()
    page.wait_for_selector(".lt-samples input[type=range]", timeout=STARTED)
    page.locator(".lt-samples input[type=checkbox]").check()
    page.wait_for_selector(".lt-samples ins, .lt-samples del", timeout=STARTED)
    page.click("#lt-pause")
    page.wait_for_selector("html[data-lt-state=paused]")
    page.fill(".lt-sample-now input", "once")
    page.click(".lt-sample-now button")
    until(page, "[...document.querySelectorAll('.lt-samples blockquote b')].some((b) => b.textContent === 'once')")
    page.click(".lt-machine-button")
    page.wait_for_selector("#lt-system dt:has-text('CPU load')")
    assert "torch" in page.text_content("#lt-system")
    page.click(".lt-machine-button")
    stop(page)


def test_deleted_runs_come_back_from_the_trash_and_it_can_be_emptied(open_page, app):
    page = open_page()
    page.locator("role=tab[name='Run History']").click()
    rows = ".lt-runs tr[data-run]"
    page.wait_for_selector(rows)
    for _ in range(2):
        count = page.locator(rows).count()
        page.locator(".lt-runs .lt-run-name").first.click()
        page.click("[data-action=delete]")
        page.click(".lt-action-place .lt-danger")
        until(page, f"document.querySelectorAll('{rows}').length === {count - 1}")
    page.click("#lt-undo")
    until(page, f"document.querySelectorAll('{rows}').length === {count}")
    page.locator(".lt-runs [data-act=tick]").first.check()
    page.click(".lt-bulk button:has-text('Delete')")
    assert "1 run" in page.text_content(".lt-question") and "KiB" in page.text_content(".lt-question")
    page.click(".lt-question .lt-danger")
    until(page, f"document.querySelectorAll('{rows}').length === {count - 1}")
    page.click("#lt-trash summary")
    page.locator("#lt-trash button:has-text('Restore')").first.click()
    until(page, f"document.querySelectorAll('{rows}').length === {count}")
    page.click("#lt-empty-trash")
    page.click("#lt-trash .lt-question .lt-danger")
    until(page, "document.querySelector('#lt-trash').textContent.includes('free again')")
    assert len(app.get("/live/runs")["runs"]) == count
