"""What a fine-tuning run leaves beside its checkpoints: the adapter, or the whole model, as a standard folder."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from llm_testing.config.finetune import FinetuneConfig
from llm_testing.data.templates import OWN
from llm_testing.jobs.progress import Progress
from llm_testing.service.bases import Base
from llm_testing.service.cards import model_card
from llm_testing.store.files import write_bytes
from llm_testing.store.staging import filling, remove_tree

if TYPE_CHECKING:
    from llm_testing.model.chat_tokenizer import ChatTokenizer
    from llm_testing.model.open_model import OpenModel
    from llm_testing.service.job import Job

FOLDERS = {"lora": "adapter", "qlora": "adapter", "full": "export"}


def write_outcome(job: Job, model: OpenModel, base: Base, tokenizer: ChatTokenizer) -> None:
    """Write the model as it stands after the last step; an earlier session's folder is replaced."""
    from llm_testing.model.adapters import save_model  # noqa: PLC0415  (imports torch's and peft's savers)

    config: FinetuneConfig = job.config
    if not config.save_adapter:
        return
    job.progress(Progress("writing the adapter" if config.adapter != "full" else "writing the model"))
    target = job.folder.path / FOLDERS[config.adapter]
    with filling(job.folder.path) as staging:
        save_model(model, staging, base.name)
        record = job.folder.record()
        tokenizer.save(staging, OWN.get(record["data"]["template"]))
        form = "merged" if config.adapter == "full" else "adapter"
        write_bytes(staging / "README.md", model_card(record, asdict(job.board.view()), base, form).encode())
        remove_tree(target)
        staging.rename(target)
