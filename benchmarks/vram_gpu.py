"""The estimator against a real GPU: estimate, allocated and reserved bytes of one step for a list of cases.

    python benchmarks/vram_gpu.py [--only NAME ...] [--save]

Each case runs in a process of its own: three steps, peaks counted from the second on. Cases that ask for more than the
card has are left out, and named. Without an NVIDIA GPU it says so and stops.
"""

import gc
import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from record import ROOT, arguments, finish

AMP = {"precision": "bf16", "attention_impl": "sdpa", "dropout": 0.0, "tie_embeddings": True}
GPT2 = {**AMP, "config_name": "medium"}
MEDIUM = {**AMP, "config_name": "custom", "n_layer": 24, "n_head": 16, "n_embd": 1024, "context_length": 1024}
XL = {**AMP, "config_name": "custom", "n_layer": 48, "n_head": 25, "n_embd": 1600, "context_length": 1024}
PRETRAINING = {
    "nano-b12": {**AMP, "config_name": "nano", "batch_size": 12},
    "124m-b4": {**GPT2, "batch_size": 4},
    "124m-b16": {**GPT2, "batch_size": 16},
    "124m-b4-checkpointing": {**GPT2, "batch_size": 4, "gradient_checkpointing": True},
    "124m-b16-checkpointing": {**GPT2, "batch_size": 16, "gradient_checkpointing": True},
    "124m-b4-fp32": {**GPT2, "batch_size": 4, "precision": "fp32"},
    "124m-b4-fp16": {**GPT2, "batch_size": 4, "precision": "fp16"},
    "124m-b4-dropout": {**GPT2, "batch_size": 4, "dropout": 0.1},
    "124m-b4-manual": {**GPT2, "batch_size": 4, "attention_impl": "manual"},
    "124m-b4-manual-dropout": {**GPT2, "batch_size": 4, "attention_impl": "manual", "dropout": 0.1},
    "124m-b1-update-bound": {**GPT2, "batch_size": 1, "context_length": 128},
    "355m-b8-checkpointing": {**MEDIUM, "batch_size": 8, "gradient_checkpointing": True},
    "1.5b-b1": {**XL, "batch_size": 1},
    "124m-b4-accumulating-4": {**GPT2, "batch_size": 4, "grad_accum_steps": 4},
    "124m-b4-t1000": {**GPT2, "batch_size": 4, "context_length": 1000},
    "124m-b4-8bit": {**GPT2, "batch_size": 4, "optimizer": "adamw_8bit"},
    "124m-b4-paged-8bit": {**GPT2, "batch_size": 4, "optimizer": "paged_adamw_8bit"},
    "124m-b4-flash": {**GPT2, "batch_size": 4, "sdpa_kernel": "flash"},
    "124m-b4-memory-efficient": {**GPT2, "batch_size": 4, "sdpa_kernel": "memory_efficient"},
    "124m-b4-cudnn": {**GPT2, "batch_size": 4, "sdpa_kernel": "cudnn"},
    "124m-b4-math": {**GPT2, "batch_size": 4, "sdpa_kernel": "math"},
}
LORA = {"adapter": "lora", "lora_r": 16, "max_seq_length": 2048, "batch_size": 1, "gradient_accumulation": 1}
ONE_B = {**LORA, "model_name": "meta-llama/Llama-3.2-1B-Instruct", "batch_size": 4}
EIGHT_B = {**LORA, "model_name": "meta-llama/Llama-3.1-8B-Instruct", "adapter": "qlora"}
KEPT = {"use_gradient_checkpointing": False}
TUNING = {
    "1b-full": {**ONE_B, "adapter": "full", "base_dtype": "bf16", "optim": "adamw_torch"},
    "1b-full-fp32": {**ONE_B, "adapter": "full", "batch_size": 1, "optim": "adamw_torch"},
    "1b-lora": {**ONE_B, **KEPT},
    "1b-lora-checkpointing": ONE_B,
    "1b-lora-packed": {**ONE_B, **KEPT, "fast_mode": True},
    "1b-lora-t1000-packed": {**ONE_B, "max_seq_length": 1000, "fast_mode": True},
    "1b-lora-accumulating-4": {**ONE_B, "gradient_accumulation": 4},
    "1b-full-8bit": {**ONE_B, "adapter": "full", "optim": "adamw_8bit"},
    "1b-full-paged-8bit": {**ONE_B, "adapter": "full", "optim": "paged_adamw_8bit"},
    "8b-qlora-m1024": {**EIGHT_B, "max_seq_length": 1024},
    "8b-qlora-m1024-kept": {**EIGHT_B, **KEPT, "max_seq_length": 1024},
    "8b-qlora-m1537": {**EIGHT_B, "max_seq_length": 1537},
    "8b-qlora-m4096": {**EIGHT_B, "batch_size": 2},
    "8b-qlora-m4096-kept": {**EIGHT_B, **KEPT, "batch_size": 2},
    "8b-lora": {**EIGHT_B, "adapter": "lora"},
    "qwen7b-lora-logits": {**LORA, "model_name": "Qwen/Qwen2.5-7B-Instruct"},
}
CASES = PRETRAINING | TUNING


def main() -> None:
    """Run the cases and report them as one JSON object."""
    import torch

    options = arguments(__doc__)
    options.add_argument("--only", nargs="+", choices=[*CASES, "facts"], default=["facts", *CASES])
    options.add_argument("--case", help="run one case in this process (used by this script itself)")
    args = options.parse_args()
    if not torch.cuda.is_available():
        sys.exit("There is no NVIDIA GPU here: this benchmark compares estimates with a real one, so it stops.")
    if args.case:
        print(json.dumps(facts() if args.case == "facts" else measured(CASES[args.case])))
        return
    figures = {}
    for name in args.only:
        figures[name] = in_a_process(name)
        sys.stderr.write(f"{name}: {figures[name]}\n")
    config = {"gpu": torch.cuda.get_device_name(), "vocabulary": "gpt2", "steps": 3}
    finish("vram_gpu", config, figures, args.save)


def in_a_process(name: str) -> dict[str, Any]:
    """A case's figures; an empty pool and a context of its own belong to it."""
    done = subprocess.run([sys.executable, __file__, "--case", name], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        return {"error": done.stderr.strip().splitlines()[-1] if done.stderr.strip() else f"exit {done.returncode}"}
    return json.loads(done.stdout.splitlines()[-1])


def facts() -> dict[str, Any]:
    """What the budget takes for granted: context, workspaces, which attention kernel really runs."""
    import torch
    from torch.nn import functional as F
    from torch.profiler import ProfilerActivity, profile

    from llm_testing.estimate.budget import CONTEXT_BYTES, WORKSPACE_BYTES, WORKSPACE_BYTES_SM90

    total = torch.cuda.mem_get_info()[1]
    x = torch.ones(256, 256, device="cuda", dtype=torch.bfloat16, requires_grad=True)
    before = torch.cuda.memory_allocated()
    y = x @ x
    after_forward = torch.cuda.memory_allocated() - y.untyped_storage().nbytes()
    y.sum().backward()
    x.grad = None
    torch.cuda.synchronize()
    after_backward = torch.cuda.memory_allocated() - y.untyped_storage().nbytes()
    # What no pool holds of the used memory is this process's context, if nobody else uses the card.
    outside = total - torch.cuda.mem_get_info()[0] - torch.cuda.memory_reserved()
    q = torch.ones(1, 8, 256, 64, device="cuda", dtype=torch.bfloat16)
    with profile(activities=[ProfilerActivity.CUDA]) as seen:
        F.scaled_dot_product_attention(q, q, q, is_causal=True)
        torch.cuda.synchronize()
    return {
        "total_bytes": total,
        "capability": list(torch.cuda.get_device_capability()),
        "context_bytes": outside,
        "context_assumed_bytes": CONTEXT_BYTES,
        "workspace_forward_bytes": after_forward - before,
        "workspace_backward_bytes": after_backward - after_forward,
        "workspace_assumed_bytes": [WORKSPACE_BYTES, WORKSPACE_BYTES_SM90],
        "attention_kernels": sorted({event.key for event in seen.key_averages()}),
    }


def asked(values: dict[str, Any], estimator: Any) -> tuple[Any, Any, Callable[[], Any]]:
    """A case's config, the job of its step, and what makes its model on the card."""
    import torch

    from llm_testing.config.finetune import FinetuneConfig
    from llm_testing.config.models import known_config
    from llm_testing.config.pretrain import PretrainConfig
    from llm_testing.config.resolve import resolve
    from llm_testing.estimate.jobs import finetuning_job, pretraining_job
    from llm_testing.model.open_model import filled_with_zeros, read_config
    from llm_testing.model.weights import to_device
    from llm_testing.train.session import fresh_model

    device = torch.device("cuda:0")
    if "model_name" in values:
        config, found = FinetuneConfig.build(values), known_config(values["model_name"])
        job = finetuning_job(config, estimator.model(found), "cuda")
        return config, job, lambda: filled_with_zeros(read_config(found), config, device)
    config = PretrainConfig.build({"tokenizer": "gpt2", **values})
    resolved = resolve(config)
    return config, pretraining_job(config, resolved, "cuda"), lambda: to_device(fresh_model(config, resolved), device)


def measured(values: dict[str, Any]) -> dict[str, Any]:
    """Estimate and real peaks of a step, and whether it runs with the estimated minimum."""
    import torch

    from llm_testing.estimate.allocator import reserve
    from llm_testing.estimate.budget import card_at_hand
    from llm_testing.estimate.estimator import Estimator

    free, total = torch.cuda.mem_get_info()
    budget = card_at_hand("this card", free, has_context=True, capability=torch.cuda.get_device_capability())
    estimator = Estimator()
    try:
        config, job, make = asked(values, estimator)
        step, _ = estimator.step(job, budget)
    finally:
        estimator.close()
    peak, pool = step.peak, reserve(step)
    estimate = {
        "allocated_bytes": peak.num_bytes,
        "reserved_bytes": pool.reserved_bytes,
        "minimum_bytes": pool.minimum_bytes,
        "terms": peak.terms,
    }
    if pool.minimum_bytes > free:
        return {"estimate": estimate, "left_out": "the card has too little memory"}
    real = real_peaks(config, make, job.window)
    runs = {}
    for share in (1.02, 0.98):
        torch.cuda.set_per_process_memory_fraction(min(1.0, share * pool.minimum_bytes / total))
        runs[str(share)] = runs_at_all(config, make, job.window)
    return {
        "estimate": estimate,
        "real": real,
        "allocated_error": peak.num_bytes / real["allocated_bytes"] - 1,
        "reserved_error": pool.reserved_bytes / real["reserved_bytes"] - 1,
        "runs_at_share_of_minimum": runs,
    }


def real_peaks(config: Any, make: Callable[[], Any], window: int) -> dict[str, int]:
    """Three real steps; peaks of the last two."""
    import torch

    from llm_testing.train.optim import build_optimizer
    from llm_testing.train.probe import made_up
    from llm_testing.train.step import TrainingStep

    device = torch.device("cuda:0")
    model = make().train()
    training = TrainingStep(model, build_optimizer(model, config), config, device)
    for number in range(3):
        training.begin()
        for micro in range(config.grad_accum_steps):
            made = made_up(config.batch_size, window, getattr(config, "packs", False))
            x, y = (torch.from_numpy(part).to(device) for part in made)
            training.micro_step(x, y, y.numel() * config.grad_accum_steps, number, micro)
        training.update(1e-4)
        torch.cuda.synchronize()
        if number == 0:
            torch.cuda.reset_peak_memory_stats()
    free, total = torch.cuda.mem_get_info()
    return {
        "allocated_bytes": torch.cuda.max_memory_allocated(),
        "reserved_bytes": torch.cuda.max_memory_reserved(),
        "used_on_card_bytes": total - free,
    }


def runs_at_all(config: Any, make: Callable[[], Any], window: int) -> bool:
    """Whether the step survives under the limit that was set."""
    import torch

    gc.collect()
    torch.cuda.empty_cache()
    try:
        real_peaks(config, make, window)
    except torch.OutOfMemoryError:
        return False
    finally:
        gc.collect()
        torch.cuda.empty_cache()
    return True


if __name__ == "__main__":
    main()
