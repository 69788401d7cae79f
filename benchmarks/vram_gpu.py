"""The estimator against a real GPU: estimate, allocated and reserved bytes of one step for a list of cases.

    python benchmarks/vram_gpu.py [--only NAME ...] [--save]

Each case runs in a process of its own: three steps, peaks counted from the second on. Cases that ask for more than the
card has are left out, and named. Without an NVIDIA GPU it says so and stops.
"""

import gc
import json
import subprocess
import sys
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
MIB = 2**20


def main() -> None:
    """Run the cases and report them as one JSON object."""
    import torch

    options = arguments(__doc__)
    options.add_argument("--only", nargs="+", choices=[*PRETRAINING, "facts"], default=["facts", *PRETRAINING])
    options.add_argument("--case", help="run one case in this process (used by this script itself)")
    args = options.parse_args()
    if not torch.cuda.is_available():
        sys.exit("There is no NVIDIA GPU here: this benchmark compares estimates with a real one, so it stops.")
    if args.case:
        print(json.dumps(facts() if args.case == "facts" else measured(PRETRAINING[args.case])))
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


def measured(values: dict[str, Any]) -> dict[str, Any]:
    """Estimate and real peaks of a pretraining step, and whether it runs with the estimated minimum."""
    import torch

    from llm_testing.config.pretrain import PretrainConfig
    from llm_testing.config.resolve import resolve
    from llm_testing.estimate.allocator import reserve
    from llm_testing.estimate.budget import card_at_hand
    from llm_testing.estimate.estimator import Estimator
    from llm_testing.estimate.jobs import pretraining_job

    config = PretrainConfig.build({"tokenizer": "gpt2", **values})
    shape = resolve(config).shape
    free, total = torch.cuda.mem_get_info()
    budget = card_at_hand("this card", free, has_context=True, capability=torch.cuda.get_device_capability())
    estimator = Estimator()
    try:
        step, _ = estimator.step(pretraining_job(config, resolve(config), "cuda"), budget)
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
    real = real_peaks(config, shape)
    runs = {}
    for share in (1.02, 0.98):
        torch.cuda.set_per_process_memory_fraction(min(1.0, share * pool.minimum_bytes / total))
        runs[str(share)] = runs_at_all(config, shape)
    return {
        "estimate": estimate,
        "real": real,
        "allocated_error": peak.num_bytes / real["allocated_bytes"] - 1,
        "reserved_error": pool.reserved_bytes / real["reserved_bytes"] - 1,
        "runs_at_share_of_minimum": runs,
    }


def real_peaks(config: Any, shape: Any) -> dict[str, int]:
    """Three real steps; peaks of the last two."""
    import torch

    from llm_testing.model.gpt import build_gpt
    from llm_testing.train.optim import build_optimizer
    from llm_testing.train.step import TrainingStep

    device = torch.device("cuda:0")
    model = build_gpt(
        shape,
        config.seed,
        dropout=config.dropout,
        attention_impl=config.attention_impl,
        sdpa_kernel=config.sdpa_kernel,
        gradient_checkpointing=config.gradient_checkpointing,
    )
    model = model.to(device).train()
    if shape.tie_embeddings:
        model.head.weight = model.token_embedding.weight
    training = TrainingStep(model, build_optimizer(model, config), config, device)
    size = (config.batch_size, shape.context_length)
    for number in range(3):
        training.begin()
        for micro in range(config.grad_accum_steps):
            x, y = (torch.randint(0, shape.vocab_size, size).to(device) for _ in range(2))
            training.micro_step(x, y, x.numel() * config.grad_accum_steps, number, micro)
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


def runs_at_all(config: Any, shape: Any) -> bool:
    """Whether the step survives under the limit that was set."""
    import torch

    gc.collect()
    torch.cuda.empty_cache()
    try:
        real_peaks(config, shape)
    except torch.OutOfMemoryError:
        return False
    finally:
        gc.collect()
        torch.cuda.empty_cache()
    return True


if __name__ == "__main__":
    main()
