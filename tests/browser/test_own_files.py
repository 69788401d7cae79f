"""Files of a person's own computer in a real browser: chosen or dropped at a field, learned from, removed."""

import json

import pytest

from tests.browser.acts import STARTED, write
from tests.browser.test_tuning_tab import ROWS, content, open_tab, until

pytestmark = pytest.mark.browser
TEXT = "The tide came in, and the tide went out again. " * 200


def upload(page, option: str, file) -> None:
    """Press the button at an option's field, and choose a file."""
    with page.expect_file_chooser() as chooser:
        page.click(f"#lt-{option} .lt-upload button:has-text('Upload a file')")
    chooser.value.set_files(file)


def drop(page, where: str, name: str) -> None:
    """Let a file fall onto an element."""
    page.eval_on_selector(
        where,
        """(field, [name, text]) => { const carried = new DataTransfer(); carried.items.add(new File([text], name));
        for (const kind of ["dragover", "drop"]) field.dispatchEvent(
        new DragEvent(kind, { dataTransfer: carried, bubbles: true, cancelable: true })); }""",
        [name, TEXT],
    )


def test_a_text_is_uploaded_learned_from_and_removed(open_page, app, tmp_path):
    page, file = open_page(), tmp_path / "The tide.txt"
    file.write_text(TEXT)
    write(page, "batch_size", "3")
    upload(page, "option-corpus", file)
    until(page, "document.querySelector('#lt-option-corpus input').value === 'upload:The-tide.txt'")
    page.wait_for_selector("#lt-option-corpus .lt-corpus:has-text('A text of yours, brought here.')")
    assert page.input_value("#lt-option-batch_size input") == "3", "the rest of the draft stays"
    page.click("#lt-corpus-preview")
    page.wait_for_selector("#lt-option-corpus .lt-preview:has-text('The tide came in')")
    draft = "(await import('/live/static/form.js')).draftConfig()"
    page.wait_for_function(f"async () => {draft}?.corpus === 'upload:The-tide.txt' && {draft}.batch_size === 3")
    page.wait_for_timeout(1500)  # the browser keeps the draft a moment after the form has said what it means

    page.reload()
    until(page, "document.querySelector('#lt-option-corpus input')?.value === 'upload:The-tide.txt'")
    page.click("#lt-option-corpus input")
    page.get_by_role("option", name="upload:The-tide.txt").wait_for()
    page.keyboard.press("Escape")
    page.locator("#lt-option-tokenizer label", has_text="char").click()
    write(page, "max_steps", "20")
    page.click("#lt-start")
    page.wait_for_selector("html[data-lt-state=completed]", timeout=STARTED)
    assert app.get("/live/status")["run"]["config"]["corpus"] == "upload:The-tide.txt"

    page.click("#lt-option-corpus button:has-text('Remove it')")
    assert "(9 KiB)" in page.text_content("#lt-option-corpus .lt-upload")
    page.click("#lt-option-corpus button:has-text('Remove') >> nth=0")
    until(page, "document.querySelector('#lt-option-corpus input').value === 'python-docs'")
    assert app.get("/api/uploads")["uploads"] == []


def test_a_dropped_file_fills_the_field_and_one_of_another_kind_is_refused_in_words(open_page, app):
    page = open_page(width=380)
    page.wait_for_selector("#lt-option-corpus .lt-upload button")
    write(page, "corpus", "tiny")
    drop(page, "#lt-option-corpus", "photo.png")
    page.wait_for_selector("#lt-option-corpus .lt-problem:has-text('photo.png is of no kind that is read here')")
    assert page.input_value("#lt-option-corpus input") == "tiny"
    drop(page, "#lt-option-corpus", "dropped.txt")
    until(page, "document.querySelector('#lt-option-corpus input').value === 'upload:dropped.txt'")
    assert {"name": "upload:dropped.txt", "bytes": len(TEXT)} in app.get("/api/uploads")["uploads"]
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 380


def test_rows_are_uploaded_and_seen_as_the_model_sees_them(open_page, app, tmp_path):
    page, file = open_page(), tmp_path / "sums.jsonl"
    file.write_text("\n".join(map(json.dumps, ROWS)))
    open_tab(page)
    page.wait_for_selector("#lt-tune-option-dataset .lt-upload button")
    upload(page, "tune-option-dataset", file)
    until(page, "document.querySelector('#lt-tune-option-dataset input').value === 'upload:sums.jsonl'")
    page.wait_for_selector("#lt-tune-option-dataset .lt-about:has-text('Rows of yours, brought here.')")
    assert content(page, "dataset") == "upload:sums.jsonl"
    upload(page, "tune-option-dataset", {"name": "x.jsonl", "mimeType": "text/plain", "buffer": b""})
    page.wait_for_selector("#lt-tune-option-dataset .lt-problem:has-text('is empty')")
    assert content(page, "dataset") == "upload:sums.jsonl"
