"""The VRAM Estimator tab: the options that cost memory on the left, what they cost against a card on the right."""

from collections.abc import Mapping, Sequence
from typing import Any

import gradio as gr

from llm_testing.config.finetune import FinetuneConfig
from llm_testing.config.option import Option, options_of
from llm_testing.config.pretrain import PretrainConfig
from llm_testing.errors import ConfigError
from llm_testing.service.lab import Lab
from llm_testing.ui.draft import problems_shown
from llm_testing.ui.fields import control, depending, is_on, shown, values_of
from llm_testing.ui.messages import tells_user
from llm_testing.ui.parts import QUIET, drawn_by_script

KINDS: dict[str, tuple[str, type[PretrainConfig] | type[FinetuneConfig], tuple[str, ...]]] = {
    "pretraining": (
        "Pretraining",
        PretrainConfig,
        ("config_name", "context_length", "n_layer", "n_head", "n_embd", "tokenizer", "vocab_size", "batch_size",
         "grad_accum_steps", "precision", "optimizer", "attention_impl", "sdpa_kernel", "dropout", "tie_embeddings",
         "qkv_bias", "gradient_checkpointing"),
    ),
    "fine-tuning": (
        "Fine-tuning",
        FinetuneConfig,
        ("model_name", "adapter", "max_seq_length", "lora_r", "batch_size", "gradient_accumulation", "precision",
         "optim", "base_dtype", "lora_dropout", "packing", "use_gradient_checkpointing"),
    ),
}  # fmt: skip
"""Kinds of run: title, options, and those of them that decide what a step takes in memory."""
FIRST_PRESET = "16gb"
"""What the tab begins with: a run for which the question is worth asking."""
WANTED = "(...given) => import('/live/static/main.js').then((m) => [m.wantedChanges(), ...given.slice(1)])"


def estimator_tab(page: gr.Blocks, lab: Lab) -> None:
    """Lay out the tab and wire it; the page's script asks for the figures, so that no control waits for them."""
    with gr.Row(elem_classes="lt-columns"):
        with gr.Column(scale=4, min_width=320, elem_classes="lt-form"):
            choices = [(title, kind) for kind, (title, _, _) in KINDS.items()]
            kind = gr.Radio(choices, value="pretraining", label="Kind of run", elem_id="lt-vram-kind",
                            elem_classes="lt-wide", info="What the memory is wanted for.")  # fmt: skip
            groups, controls = {}, {}
            for name in KINDS:
                with gr.Column(visible=name == "pretraining", elem_classes="lt-vram-options") as groups[name]:
                    controls[name] = _controls(lab, name)
        with gr.Column(scale=7, min_width=320):
            first = [control.value for control in controls["pretraining"].values()]
            asked = drawn_by_script("vram", asked_about("pretraining", first))
            # The script presses it: only Gradio can set its controls.
            apply = gr.Button("Apply", elem_id="lt-vram-apply", elem_classes="lt-unseen")
    _wire(kind, groups, controls, asked, apply)
    # Gradio shows 0 in a number field that begins empty, until a handler empties it.
    empty = [component for members in controls.values() for component in members.values() if component.value is None]
    page.load(lambda: [gr.update(value=None) for _ in empty], None, empty, **QUIET)


def asked_about(kind: str, contents: Sequence[Any]) -> dict[str, Any]:
    """What the script asks the estimator: the kind of run and its options, or what is wrong with them."""
    _, config_type, _ = KINDS[kind]
    options = relevant(kind)
    try:
        config = config_type.build(values_of(options, contents))
    except ConfigError as error:
        return {"kind": kind, "config": None, "problems": problems_shown(options, error.problems)}
    given = config.model_dump(mode="json", include=set(options))
    return {"kind": kind, "config": {k: v for k, v in given.items() if v is not None}, "problems": []}


def relevant(kind: str) -> dict[str, Option]:
    """The options of a kind of run that the tab has controls for."""
    _, config_type, names = KINDS[kind]
    options = options_of(config_type)
    return {name: options[name] for name in names}


def _controls(lab: Lab, kind: str) -> dict[str, gr.components.Component]:
    options = relevant(kind)
    values = lab.preset_values(FIRST_PRESET) if kind == "pretraining" else {}
    contents = {name: shown(option, values.get(name, option.default)) for name, option in options.items()}
    made = {name: control(option, contents[name], form=f"vram-{kind}") for name, option in options.items()}
    for name in depending(made):
        made[name].interactive = is_on(name, contents)
    return made


def _wire(
    kind: gr.Radio,
    groups: Mapping[str, gr.Column],
    controls: Mapping[str, Mapping[str, gr.components.Component]],
    asked: gr.HTML,
    apply: gr.Button,
) -> None:
    every = [component for members in controls.values() for component in members.values()]
    names = [(name, option) for name in KINDS for option in relevant(name)]

    def of_kind(chosen: str, contents: Sequence[Any]) -> list[Any]:
        return [content for (name, _), content in zip(names, contents, strict=True) if name == chosen]

    def on_edit(chosen: str, *contents: Any) -> list[Any]:
        return [asked_about(chosen, of_kind(chosen, contents)), *_switches(chosen, of_kind(chosen, contents))]

    def on_kind(chosen: str, *contents: Any) -> list[Any]:
        shown_now = [gr.update(visible=name == chosen) for name in groups]
        return [asked_about(chosen, of_kind(chosen, contents)), *shown_now]

    @tells_user
    def on_apply(changes: Any, chosen: str, *contents: Any) -> list[Any]:
        options = relevant(chosen)
        wanted = dict(zip(options, of_kind(chosen, contents), strict=True))
        wanted |= {name: shown(options[name], value) for name, value in (changes or {}).items() if name in options}
        updates = [
            gr.update(value=wanted[option]) if name == chosen and option in wanted else gr.update()
            for name, option in names
        ]
        return [asked_about(chosen, list(wanted.values())), *updates]

    switched = [controls[name][option] for name in KINDS for option in depending(controls[name])]
    edits = [component.input for component in every]
    edits += [component.blur for component in every if isinstance(component, gr.Textbox)]
    gr.on(edits, on_edit, [kind, *every], [asked, *switched], trigger_mode="always_last", **QUIET)
    kind.input(on_kind, [kind, *every], [asked, *groups.values()], **QUIET)
    changes = gr.JSON(visible=False)
    apply.click(on_apply, [changes, kind, *every], [asked, *every], js=WANTED, show_progress="hidden",
                api_visibility="private")  # fmt: skip


def _switches(kind: str, contents: Sequence[Any]) -> list[Any]:
    """Which controls mean something beside the others; those of the other kinds stay as they are."""
    by_name = dict(zip(relevant(kind), contents, strict=True))
    return [
        gr.update(interactive=is_on(option, by_name)) if name == kind else gr.update()
        for name in KINDS
        for option in depending(relevant(name))
    ]
