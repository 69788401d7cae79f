"""What a person does on the page, for the tests that press its buttons."""

HOSTILE = "<img src=x onerror=alert(1)></script>\u202egnp"
STARTED = 120_000


def write(page, option: str, text: str, form: str = "option") -> None:
    """Type into an option's field as a person does, and leave it."""
    field = page.locator(f"#lt-{form}-{option}").locator("input:not([type=range]), textarea").first
    field.click()
    page.keyboard.press("Control+A")
    page.keyboard.press("Delete")
    page.keyboard.type(text)
    page.keyboard.press("Tab")


def fill_small(page, name: str, steps: int = 100_000) -> None:
    """A run that gives points within a second and goes on until it is stopped."""
    page.locator("#lt-preset label", has_text="Fast").click()
    page.wait_for_function(
        "() => document.querySelector('#lt-option-n_embd, #lt-option-max_steps input').value === '500'"
    )
    write(page, "name", name)
    write(page, "corpus", "tiny")
    page.locator("#lt-option-tokenizer label", has_text="char").click()
    write(page, "max_steps", str(steps))


def start_small(page, name: str = "small", steps: int = 100_000) -> None:
    fill_small(page, name, steps)
    page.click("#lt-start")
    page.wait_for_selector("html[data-lt-state=running]", timeout=STARTED)
    page.wait_for_function(
        "() => Number(document.querySelector('.lt-live .lt-plot')?.dataset.points) > 5", timeout=STARTED
    )


def stop(page) -> None:
    page.click("#lt-stop")
    page.click("#lt-stop-save")
    page.wait_for_selector("html[data-lt-state=stopped]", timeout=STARTED)


def tab_to(page, selector: str) -> None:
    """Press Tab until an element has the focus, which must be seen there."""
    for _ in range(160):
        page.keyboard.press("Tab")
        if page.evaluate(f"() => document.activeElement?.matches({selector!r})"):
            outline = page.evaluate("() => getComputedStyle(document.activeElement).outlineStyle")
            assert outline != "none", f"the focus on {selector} cannot be seen"
            return
    raise AssertionError(f"{selector} cannot be reached with Tab")


def stop_by_keys(page) -> None:
    """Stop and save, from the top of the page."""
    page.evaluate("() => { document.activeElement.blur(); window.scrollTo(0, 0); }")
    tab_to(page, "#lt-stop")
    page.keyboard.press("Enter")
    page.wait_for_function("() => document.activeElement.id === 'lt-stop-save'")
    page.keyboard.press("Enter")
    page.wait_for_selector("html[data-lt-state=stopped]", timeout=STARTED)


def step_drawn(page) -> int:
    """How far the live charts are."""
    return int(page.get_attribute(".lt-live .lt-plot", "data-step") or 0)


def wait_for_news(page, step: int | None = None) -> None:
    """Until the live charts have drawn a later step; they may hold fewer points then, where they were thinned.

    Args:
        step: later than this; without it, later than what is drawn now.
    """
    step = step_drawn(page) if step is None else step
    page.wait_for_function(
        f"() => Number(document.querySelector('.lt-live .lt-plot')?.dataset.step) > {step}", timeout=STARTED
    )


def start_by_call(page, name: str, **options) -> None:
    """A small run that goes on until it is stopped, begun without the form: for tests of what comes after Start."""
    body = {
        "preset": "fast", "name": name, "corpus": "tiny", "tokenizer": "char", "max_steps": 100_000,
        "intermediate_val_freq_steps": 100, "sample_tokens": 16, **options,
    }  # fmt: skip
    said = page.evaluate(
        """async (body) => { const reply = await fetch('/api/pretraining/start', { method: 'POST',
        headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });
        (await import('/live/static/main.js')).wake(); return [reply.status, await reply.text()]; }""",
        body,
    )
    assert said[0] == 200, said
    page.wait_for_selector("html[data-lt-state=running]", timeout=STARTED)
    page.wait_for_function(
        "() => Number(document.querySelector('.lt-live .lt-plot')?.dataset.points) > 2", timeout=STARTED
    )
