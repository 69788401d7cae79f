"""The Fine-tuning tab in a real browser: what comes before Start, and from a model pretrained here to tuned answers."""

import json

import pytest

from tests.browser.acts import STARTED, stop, stop_by_keys, tab_to, write
from tests.browser.test_history_tab import row
from tests.data.tiny_model import tiny_model, write_rows

pytestmark = pytest.mark.browser
ROWS = [{"prompt": f"What is {i}?", "completion": f"It is number {i}."} for i in range(12)]


def open_tab(page) -> None:
    page.keyboard.press("Alt+2")
    page.wait_for_selector("#lt-tune-summary .lt-figures, #lt-tune-summary .lt-problems")
    page.wait_for_function("() => !document.querySelector('#lt-tune-start').disabled")


def view(page, name: str) -> None:
    page.click(f"#lt-tune-tab-{name}")
    page.wait_for_selector(f"#lt-tune-{name}", state="visible")


def fill(page, option: str, text: str) -> None:
    write(page, option, text, form="tune-option")


def content(page, option: str) -> str:
    return page.locator(f"#lt-tune-option-{option}").locator("input:not([type=range]), textarea").first.input_value()


def until(page, condition: str) -> None:
    page.wait_for_function(f"() => {condition}", timeout=STARTED)


def begin(page, track: str, **body) -> None:
    """Start a run without the form."""
    page.evaluate(
        """async ([track, body]) => { const reply = await fetch(`/api/${track}/start`, { method: 'POST',
        headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });
        if (!reply.ok) throw new Error(await reply.text()); (await import('/live/static/main.js')).wake(); }""",
        [track, body],
    )


def answered(page) -> None:
    """Until nothing is written any more, and something was."""
    until(page, "document.querySelectorAll('#lt-tune-chat .lt-answer').length")
    until(page, "document.querySelector('#lt-tune-halt').hidden")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tiny model of another family, as a folder of this machine."""
    return tiny_model(tmp_path_factory.mktemp("model") / "tiny")


def test_a_model_pretrained_here_is_tuned_and_talked_to_beside_its_base(open_page, app):
    size = {"corpus": "tiny", "tokenizer": "bpe", "vocab_size": 300, "context_length": 256, "max_steps": 30}
    begin(open_page(), "pretraining", preset="fast", name="my own base", **size)
    app.wait_for("completed")
    base = app.get("/live/status")["run"]["run_id"]

    page = open_page()
    open_tab(page)
    fill(page, "name", "tuned at home")
    page.click("#lt-tune-option-model_name input")
    page.get_by_role("option", name="my own base").click()
    until(page, "document.querySelector('#lt-tune-option-max_seq_length input').value === '256'")
    page.wait_for_selector("#lt-tune-option-model_name .lt-about:has-text('Your own run')")
    for option, text in (("max_steps", "8"), ("n_examples", "60"), ("batch_size", "4")):
        fill(page, option, text)
    page.wait_for_selector("#lt-tune-summary .lt-fit-model")
    page.click("#lt-tune-start")
    view(page, "live")
    until(page, "document.querySelector('.lt-strip').textContent.includes('tuned at home')")
    app.wait_for("completed")
    run = app.get("/live/status")["run"]
    assert run["kind"] == "finetune" and run["config"]["model_name"] == base and run["step"] == 8
    until(page, "Number(document.querySelector('#lt-tune-live .lt-plot')?.dataset.points) >= 8")
    titles = page.locator("#lt-tune-live .lt-answer h3").all_text_contents
    until(page, "[...document.querySelectorAll('#lt-tune-live .lt-answer h3')].some((h) => h.textContent === 'Step 8')")
    assert titles()[0] == "Base model", titles()
    assert "tuned at home" in page.text_content(".lt-strip") and "my own base" not in page.text_content(".lt-strip")

    view(page, "chat")
    page.fill("#lt-tune-play-max_tokens", "12")
    page.click("#lt-tune-ask")
    answered(page)
    sides = page.locator("#lt-tune-chat .lt-answer").evaluate_all("(all) => all.map((one) => one.dataset.side)")
    assert sides == ["base", "adapter"] and "tuned at home, step 8" in page.text_content("#lt-tune-chat .lt-turn")
    said = page.locator("#lt-tune-chat .lt-answer .lt-hint").all_text_contents()
    assert all("tokens" in words for words in said)

    view(page, "shelf")
    page.locator(f".lt-card[data-run='{run['run_id']}'] button:has-text('Export')").first.click()
    page.wait_for_selector(".lt-export [data-form=adapter] a")
    with page.expect_download() as coming:
        page.click(".lt-export [data-form=adapter] a")
    assert coming.value.suggested_filename.endswith("adapter.zip")
    assert "HF_TOKEN" in page.text_content(".lt-export [data-form=push]")
    view(page, "live")
    page.keyboard.press("Alt+1")
    until(page, "Number(document.querySelector('#lt-live .lt-plot')?.dataset.points) >= 30")

    page.keyboard.press("Alt+4")
    for name in ("my own base", "tuned at home"):
        row(page, name).locator("[data-act=tick]").check()
    page.wait_for_selector(
        ".lt-opened .lt-hint:has-text('bits a byte')"
    )  # their tokens may differ, so bytes are compared
    until(page, "new Set(document.querySelector('.lt-part .lt-plot')?.data?.map((t) => t.legendgroup)).size === 2")
    assert page.locator(".lt-differ tr.lt-option").count() > 3


def test_a_list_does_not_open_again_over_the_form_once_its_field_is_left(open_page):
    page = open_page()
    open_tab(page)
    page.eval_on_selector(
        "#lt-tune-option-model_name input",
        """async (field) => { field.focus(); await new Promise((next) => setTimeout(next, 500));
        field.dispatchEvent(new KeyboardEvent("keydown", { key: "a", bubbles: true })); field.blur();
        await new Promise((next) => setTimeout(next, 500)); }""",
    )
    assert page.get_attribute("#lt-tune-option-model_name input", "aria-expanded") == "false"
    fill(page, "dataset", "persona")


def test_rows_are_seen_as_the_model_sees_them_and_bad_ones_are_refused_at_their_field(open_page, app, folder, tmp_path):
    page, rows = open_page(), write_rows(tmp_path / "rows.jsonl", ROWS)
    runs = len(app.get("/live/runs")["runs"])
    open_tab(page)
    for option, text in (("model_name", str(folder)), ("dataset", str(rows)), ("max_seq_length", "64")):
        fill(page, option, text)
    page.click("#lt-tune-look-at-rows")
    page.wait_for_selector(".lt-seen")
    first = page.locator(".lt-seen").first
    learned = "".join(first.locator(".lt-learned").all_text_contents())
    masked = "".join(first.locator(".lt-masked").all_text_contents())
    assert learned.startswith("It is number 0.") and "What is 0?" in masked and "number" not in masked
    underlined = first.locator(".lt-learned").first.evaluate("(e) => getComputedStyle(e).textDecorationLine")
    assert underlined == "underline", "what is learned is told by more than its colour"
    facts = page.text_content("#lt-tune-examples .lt-figures")
    assert "Rows12" in facts and "prompt completion" in facts and "Truncated0 %" in facts
    assert page.locator(".lt-histogram i").count() > 1

    rows.write_text(json.dumps(ROWS[0]) + "\n{broken\n" + json.dumps({"prompt": "x", "completion": ""}) + "\n")
    page.click("#lt-tune-preview")
    page.wait_for_selector("#lt-tune-examples .lt-problems")
    problems = page.text_content("#lt-tune-examples .lt-problems")
    assert "2 of 3 rows" in problems and "ine 2 of rows.jsonl" in problems and "ine 3 of rows.jsonl" in problems
    page.click("#lt-tune-start")
    page.wait_for_selector("#lt-tune-option-dataset .lt-problem")
    assert "ine 2" in page.text_content("#lt-tune-option-dataset .lt-problem")
    fill(page, "learning_rate", "-1")
    page.wait_for_selector("#lt-tune-option-learning_rate .lt-problem")
    assert len(app.get("/live/runs")["runs"]) == runs


def test_a_picked_model_fills_in_what_suits_it_but_never_over_the_users_hand(open_page):
    page = open_page()
    open_tab(page)
    fill(page, "lora_r", "5")
    page.locator("#lt-tune-option-model_name input").fill("Qwen2.5-7B")
    page.get_by_role("option", name="Qwen2.5-7B-Instruct").first.click()
    until(page, "document.querySelector('#lt-tune-option-max_seq_length input').value === '1024'")
    assert content(page, "lora_r") == "5"
    page.locator("#lt-tune-option-adapter label", has_text="full").click()
    until(page, "document.querySelector('#lt-tune-option-lora_r input').disabled")
    page.click("[data-copy=cli] >> visible=true")
    until(page, "document.querySelector('#lt-tune-summary pre').textContent.includes('finetune --preset none')")
    fill(page, "name", "kept for later")
    page.wait_for_timeout(500)
    page.reload()
    open_tab(page)
    until(page, "document.querySelector('#lt-tune-option-name :is(input, textarea)')?.value === 'kept for later'")
    assert content(page, "lora_r") == "5" and content(page, "max_seq_length") == "1024"
    page.locator("#lt-tune-preset label", has_text="Recommended").click()
    until(page, "document.querySelector('#lt-tune-option-lora_r input').value !== '5'")
    assert "Qwen2.5-7B-Instruct" in content(page, "model_name") and content(page, "name") == "kept for later"


def test_from_start_to_stop_by_the_keyboard_alone(open_page, app, folder):
    page = open_page()
    page.keyboard.press("Alt+2")
    until(page, "document.querySelector('#lt-tune-start')?.disabled === false")
    small = {"max_seq_length": "128", "max_steps": "5000"}
    for option, text in {"name": "tuned by keys", "model_name": str(folder), **small}.items():
        tab_to(page, f"#lt-tune-option-{option} input, #lt-tune-option-{option} textarea")
        page.keyboard.press("Control+A")
        page.keyboard.type(text)
    tab_to(page, "#lt-tune-start")
    page.keyboard.press("Enter")
    page.wait_for_selector("html[data-lt-state=running]", timeout=STARTED)
    page.evaluate("() => document.activeElement.blur()")
    tab_to(page, ".lt-tabs [id^=lt-tune-tab-][aria-selected=true]")
    chosen = page.evaluate("() => document.activeElement.id")
    page.keyboard.press("ArrowRight")
    until(page, f"document.activeElement.id !== '{chosen}' && document.activeElement.ariaSelected === 'true'")
    stop_by_keys(page)
    assert app.get("/live/status")["run"]["name"] == "tuned by keys"


def test_a_run_is_paused_and_stopped_and_the_tab_fits_a_phone(open_page, app, folder):
    page = open_page(width=380)
    size = {"max_seq_length": 128, "max_steps": 2000, "sample_tokens": 4}
    begin(page, "fine-tuning", preset="persona", name="on a phone", model_name=str(folder), **size)
    app.wait_for("running")
    open_tab(page)
    view(page, "live")
    until(page, "Number(document.querySelector('#lt-tune-live .lt-plot')?.dataset.points) > 3")
    page.click("#lt-pause")
    page.wait_for_selector("html[data-lt-state=paused]")
    view(page, "chat")
    until(page, "document.querySelector('#lt-tune-model-chat').value === 'live'")
    page.fill("#lt-tune-play-max_tokens", "8")
    page.click("#lt-tune-ask")
    answered(page)
    assert "live model at step" in page.text_content("#lt-tune-chat .lt-turn")
    for name in ("examples", "live", "chat", "shelf"):
        view(page, name)
        page.wait_for_timeout(200)
        assert page.evaluate("() => document.documentElement.scrollWidth") <= 380, name
    page.click("#lt-resume")
    page.wait_for_selector("html[data-lt-state=running]")
    stop(page)
