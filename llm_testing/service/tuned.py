"""Fine-tuned models opened again: base, adapter and chat template of a run's checkpoint."""

import json
from pathlib import Path

from llm_testing.config.finetune import FinetuneConfig
from llm_testing.config.foreign import read_object
from llm_testing.data.chats import Chat
from llm_testing.data.templates import OWN
from llm_testing.errors import UserError
from llm_testing.jobs.progress import never_cancel, report_nothing
from llm_testing.model.device import find_device
from llm_testing.service.bases import Base, Converter, bring_base, model_of_package
from llm_testing.service.names import last_part
from llm_testing.service.records import whole_config
from llm_testing.store.files import MAX_JSON_BYTES, write_bytes


def base_of_record(record: dict, cache_dir: Path, converter: Converter) -> Base:
    """The base model that a run was trained on.

    Raises:
        UserError: it cannot be brought here any more.
    """
    model = record.get("model")
    if not model:
        raise UserError(f"Run {record['run_id']} does not say which model it was trained on, so it cannot be opened.")
    name = whole_config(record)["model_name"]
    return bring_base(name, model.get("revision"), cache_dir, converter, report_nothing, never_cancel)


def open_tuned(record: dict, checkpoint: Path, base: Base):
    """A checkpoint's model in evaluation mode, on the CPU, and the chat that it was trained in.

    Raises:
        DataError, DamagedRun: for files that cannot be used.
    """
    # transformers takes seconds to import.
    from llm_testing.model.adapters import read_trained  # noqa: PLC0415
    from llm_testing.model.base_model import load_tuned  # noqa: PLC0415

    config = FinetuneConfig.build(whole_config(record))
    model = load_tuned(base.folder, config, find_device("cpu"))
    read_trained(model, checkpoint / "model.safetensors")
    return model.eval(), chat_of(record, base)


def write_adapter(record: dict, checkpoint: Path, base: Base, folder: Path, finished: Path) -> None:
    """Write a checkpoint's adapter in PEFT's form.

    Args:
        finished: the adapter folder of the run's end; where it is there, its settings serve and no model is loaded.
    """
    from llm_testing.model.adapters import peft_tensors, read_trained, save_model, trained_in  # noqa: PLC0415
    from llm_testing.model.base_model import load_tuned  # noqa: PLC0415
    from llm_testing.model.chat_tokenizer import ChatTokenizer  # noqa: PLC0415

    weights = checkpoint / "model.safetensors"
    if (finished / "adapter_config.json").is_file():
        peft_tensors(trained_in(weights), folder / "adapter_model.safetensors")
        settings = read_object(finished / "adapter_config.json", MAX_JSON_BYTES)
    else:
        model = load_tuned(base.folder, FinetuneConfig.build(whole_config(record)), find_device("cpu"))
        read_trained(model, weights)
        save_model(model, folder, base.name)
        settings = json.loads((folder / "adapter_config.json").read_bytes())
    settings["base_model_name_or_path"] = public_name(base)
    write_bytes(folder / "adapter_config.json", json.dumps(settings, indent=2, sort_keys=True).encode())
    ChatTokenizer(base.folder).save(folder, OWN.get(record["data"].get("template")))


def public_name(base: Base) -> str:
    """What others know a base model by: its Hub id, or the end of its path."""
    if base.origin == "hub":
        return base.name
    return model_of_package(base.name) or last_part(base.name)


def write_merged(record: dict, checkpoint: Path, base: Base, folder: Path) -> None:
    """Write a checkpoint's whole model, the adapter's changes in its weights, as a folder that transformers loads.

    The adapter of a run in 4 bits is merged into the weights as they were before they were rounded.
    """
    from llm_testing.model.adapters import merge, read_trained  # noqa: PLC0415
    from llm_testing.model.base_model import load_tuned  # noqa: PLC0415
    from llm_testing.model.chat_tokenizer import ChatTokenizer  # noqa: PLC0415

    config = FinetuneConfig.build(whole_config(record))
    if config.adapter == "qlora":
        config = config.model_copy(update={"adapter": "lora"})
    model = load_tuned(base.folder, config, find_device("cpu"))
    read_trained(model, checkpoint / "model.safetensors")
    merge(model).save_pretrained(str(folder))
    ChatTokenizer(base.folder).save(folder, OWN.get(record["data"].get("template")))


def chat_of(record: dict, base: Base) -> Chat:
    """How a run's model is spoken to."""
    from llm_testing.model.chat_tokenizer import ChatTokenizer  # noqa: PLC0415

    data = record["data"]
    template = "text" if data.get("data_format") == "text" else data.get("template") or "model"
    return Chat(ChatTokenizer(base.folder), template, record["config"].get("system_prompt") or "")
