"""What a fine-tuning run leaves beside its checkpoints: the adapter, or the whole model, as a standard folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llm_testing.config.finetune import FinetuneConfig
from llm_testing.jobs.progress import Progress
from llm_testing.service.bases import Base
from llm_testing.store.files import write_bytes
from llm_testing.store.staging import new_staging, remove_tree

if TYPE_CHECKING:
    from llm_testing.model.chat_tokenizer import ChatTokenizer
    from llm_testing.model.open_model import OpenModel
    from llm_testing.service.job import Job

FOLDERS = {"lora": "adapter", "qlora": "adapter", "full": "export"}
_SHOWN = (
    "adapter", "lora_r", "lora_alpha", "lora_dropout", "use_rslora", "use_dora", "max_seq_length", "num_epochs",
    "max_steps", "batch_size", "gradient_accumulation", "learning_rate", "warmup_ratio", "lr_schedule", "optim",
    "precision", "answers_only", "seed",
)  # fmt: skip


def write_outcome(job: Job, model: OpenModel, base: Base, tokenizer: ChatTokenizer) -> None:
    """Write the model as it stands after the last step; an earlier session's folder is replaced."""
    from llm_testing.model.adapters import save_model  # noqa: PLC0415  (imports torch's and peft's savers)

    config: FinetuneConfig = job.config
    if not config.save_adapter:
        return
    job.progress(Progress("writing the adapter" if config.adapter != "full" else "writing the model"))
    target = job.folder.path / FOLDERS[config.adapter]
    staging = new_staging(job.folder.path)
    try:
        save_model(model, staging, base.name)
        tokenizer.save(staging)
        write_bytes(staging / "README.md", model_card(job.folder.record(), job.board.view(), base).encode())
        remove_tree(target)
        staging.rename(target)
    except BaseException:
        remove_tree(staging)
        raise


def model_card(record: dict[str, Any], reached: Any, base: Base) -> str:
    """A model card in the Hub's form: what it was made of, how, and what it reached."""
    config, data = record["config"], record["data"]
    head = ["---", "library_name: peft" if config["adapter"] != "full" else "library_name: transformers"]
    if base.origin == "hub":
        head += [f"base_model: {base.name}"]
    head += ["tags:", "- llm-testing", f"- {config['adapter']}", "---", ""]
    losses = [
        f"| {name} | {value:.4f} |"
        for name, value in (("training loss", reached.train_loss), ("held-out loss", reached.val_loss))
        if value is not None
    ]
    options = [f"| {name} | {config[name]} |" for name in _SHOWN if config.get(name) is not None]
    return "\n".join(
        [
            *head,
            f"# {record['name']}",
            "",
            f"{base.name} tuned on {config['dataset']}: {data['num_rows']:,} rows ({data['data_format']}), "
            f"{data['learned_tokens']:,} tokens learned of {data['train_tokens']:,} an epoch, "
            f"{reached.step:,} steps.",
            "",
            "| loss | nats a token |",
            "| --- | --- |",
            *losses,
            "",
            "| option | value |",
            "| --- | --- |",
            *options,
            "",
            f"Conversations are written by the chat template: {data['template']}.",
            "",
        ]
    )
