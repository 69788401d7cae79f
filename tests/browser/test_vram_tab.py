"""The VRAM Estimator in a real browser."""

import pytest

pytestmark = pytest.mark.browser
TRACED = 60_000


def open_tab(page) -> None:
    page.get_by_role("tab", name="VRAM Estimator").click()
    page.wait_for_selector(".lt-vram .lt-memory", timeout=TRACED)
    settled(page)


def settled(page) -> None:
    """Until the exact figure of the newest question is there."""
    page.wait_for_function(
        "() => !document.querySelector('.lt-vram .lt-stale') && /Reserved by torch\\s*[0-9]/"
        ".test(document.querySelector('.lt-vram .lt-figures')?.innerText ?? '')",
        timeout=TRACED,
    )


def reserved(page) -> str:
    return page.locator(".lt-vram .lt-figures div", has_text="Reserved by torch").locator("dd").inner_text()


def test_controls_move_the_figure_and_a_proposal_is_taken_over(open_page):
    page = open_page()
    open_tab(page)
    before = reserved(page)
    page.click("text=Keep to compare")
    page.locator("#lt-vram-pretraining-grad_accum_steps input").fill("1")
    page.locator("#lt-vram-pretraining-batch_size input").fill("32")
    page.wait_for_function(f"() => !document.querySelector('.lt-vram .lt-figures').innerText.includes('{before}')")
    settled(page)
    assert "Does not fit" in page.inner_text(".lt-vram .lt-verdict >> nth=0")
    kept = page.inner_text(".lt-vram-kept")
    assert "batch_size" in kept and "32" in kept and "Fits" in kept
    page.click("text=Find what fits")
    page.wait_for_selector(".lt-way", timeout=TRACED)
    page.locator(".lt-way .lt-link").first.click()
    page.wait_for_function("() => document.querySelector('#lt-vram-pretraining-batch_size input').value !== '32'")
    settled(page)
    assert "Fits" in page.inner_text(".lt-vram .lt-verdict >> nth=0")


def test_bad_input_is_a_sentence_and_fine_tuning_has_its_own_options(open_page):
    page = open_page()
    open_tab(page)
    page.locator("#lt-vram-pretraining-context_length input").fill("0")
    page.wait_for_function("() => /Context length takes/.test(document.querySelector('.lt-vram').innerText)")
    page.locator("#lt-vram-kind label", has_text="Fine-tuning").click()
    page.wait_for_selector("#lt-vram-fine-tuning-lora_r input")
    settled(page)
    assert "Trained" in page.inner_text(".lt-vram .lt-figures")
    assert not page.is_visible("#lt-vram-pretraining-batch_size")


def test_the_form_says_whether_the_draft_fits_and_the_tab_measures_and_fits_a_phone(open_page):
    page = open_page()
    page.wait_for_selector(".lt-fit .lt-memory", timeout=TRACED)
    assert "this machine" in page.inner_text(".lt-fit")
    open_tab(page)
    medium = page.text_content(".lt-vram .lt-figures")
    choices = page.locator("#lt-vram-pretraining-config_name input")
    choices.click()
    page.get_by_role("option", name="nano").click()
    # Until then three real steps would be those of the model before, which may not fit here.
    page.wait_for_function(
        "(before) => document.querySelector('.lt-vram .lt-figures')?.textContent !== before", arg=medium
    )
    settled(page)
    page.click("#lt-vram-probe")
    page.wait_for_function(
        "() => /over 1 measurement/.test(document.querySelector('.lt-vram').innerText)", timeout=TRACED
    )
    page.set_viewport_size({"width": 380, "height": 800})
    page.wait_for_function("() => document.documentElement.scrollWidth <= window.innerWidth")
