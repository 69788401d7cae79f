"""A form's controls, made from the declared options, and the way between what they show and what an option takes."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import gradio as gr

from llm_testing.config.option import Option

_WITH_ADAPTER = ("adapter", ("lora", "qlora"))
ONLY_WITH: dict[str, tuple[str, tuple[str, ...]]] = {
    "n_layer": ("config_name", ("custom",)),
    "n_head": ("config_name", ("custom",)),
    "n_embd": ("config_name", ("custom",)),
    "sdpa_kernel": ("attention_impl", ("sdpa",)),
    "vocab_size": ("tokenizer", ("bpe",)),
    "lora_r": _WITH_ADAPTER,
    "lora_alpha": _WITH_ADAPTER,
    "lora_dropout": _WITH_ADAPTER,
    "use_rslora": _WITH_ADAPTER,
    "use_dora": _WITH_ADAPTER,
    "target_modules": _WITH_ADAPTER,
}
"""Options that mean something only beside some values of another one; their controls are off otherwise."""
AUTOMATIC = "automatic"
YES_NO = {"yes": True, "no": False}
_FINEST = 0.01


def control(option: Option, content: Any, form: str = "option") -> gr.components.Component:
    """The control of an option with a content, as `shown` makes it from a value.

    Args:
        form: which form it stands in; part of its id in the document.
    """
    unit = f" ({option.show.unit})" if option.show.unit else ""
    shared = {
        "label": option.show.title + unit,
        "info": option.help,
        "value": content,
        "elem_id": f"lt-{form}-{option.name}",
        "elem_classes": ["lt-option", "lt-wide"] if needs_room(option) else ["lt-option"],
        "interactive": True,
    }
    if option.kind == "bool":
        return gr.Radio([AUTOMATIC, *YES_NO], **shared) if option.nullable else gr.Checkbox(**shared)
    if option.kind == "choice":
        choices = list(option.choices)
        return gr.Radio(choices, **shared) if len(choices) <= 3 else gr.Dropdown(choices, **shared)
    if option.kind in ("int", "float"):
        # The range is checked by the service, which says so at the field; Gradio's own check would be a bare toast.
        if slides(option):
            return gr.Slider(option.minimum, option.maximum, step=_FINEST, **shared)
        return gr.Number(placeholder=AUTOMATIC if option.nullable else None, **shared)
    if option.kind == "texts":
        return gr.Textbox(lines=2, max_lines=8, **shared)
    if option.show.suggestions:
        return gr.Dropdown(list(option.show.suggestions), allow_custom_value=True, **shared)
    return gr.Textbox(max_lines=1, max_length=4096, **shared)


def needs_room(option: Option) -> bool:
    """Whether a control takes the form's whole width; two of the others share a line."""
    return option.kind in ("text", "texts") or slides(option)


def slides(option: Option) -> bool:
    """Whether a slider can reach every sensible value: a share between two bounds that all lie on its marks."""
    marks = (option.minimum, option.maximum, option.default)
    if option.kind != "float" or option.nullable or None in marks or option.maximum - option.minimum > 1:
        return False
    return all(abs(mark / _FINEST - round(mark / _FINEST)) < 1e-9 for mark in marks)


def shown(option: Option, value: Any) -> Any:
    """An option's value as its control shows it."""
    if option.kind == "texts":
        return "\n".join(value or ())
    if option.kind == "text":
        return value or ""
    if option.kind == "bool" and option.nullable:
        return next((word for word, meaning in YES_NO.items() if meaning is value), AUTOMATIC)
    return value


def meant(option: Option, on_control: Any) -> Any:
    """What a control's content means as an option's value; checked by nobody yet."""
    if option.kind == "texts":
        return tuple(line.strip() for line in str(on_control or "").splitlines() if line.strip())
    if option.kind == "text":
        text = str(on_control or "").strip()
        return None if option.nullable and not text else text
    if option.kind == "bool" and option.nullable:
        return YES_NO.get(on_control)
    if option.kind == "int" and isinstance(on_control, float) and on_control.is_integer():
        return int(on_control)
    return on_control


def is_on(name: str, on_controls: Mapping[str, Any]) -> bool:
    """Whether an option's control means something beside the other ones."""
    other, needed = ONLY_WITH.get(name, ("", ()))
    return not needed or on_controls.get(other) in needed


def depending(names: Iterable[str]) -> list[str]:
    """Those of some options whose controls are off beside certain values of others."""
    return [name for name in names if name in ONLY_WITH]


def values_of(options: Mapping[str, Option], on_controls: Sequence[Any]) -> dict[str, Any]:
    """Option values by name from all controls in their order; what is off or left to choose is not among them."""
    by_name = dict(zip(options, on_controls, strict=True))
    values = {name: meant(options[name], content) for name, content in by_name.items() if is_on(name, by_name)}
    return {name: value for name, value in values.items() if value is not None}


def empty_but_needed(options: Mapping[str, Option], on_controls: Sequence[Any]) -> list[str]:
    """Options whose number was cleared although they have no "choose for me"."""
    by_name = dict(zip(options, on_controls, strict=True))
    return [
        name
        for name, content in by_name.items()
        if content is None and not options[name].nullable and is_on(name, by_name)
    ]
