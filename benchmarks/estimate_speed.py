"""How fast the estimator answers once its process is warm.

    python benchmarks/estimate_speed.py [--save]

A new model or option is traced; another batch size, depth or accumulation is repeated from memory. Medians of several.
"""

import statistics
import sys
import time

from record import ForeignLoad, arguments, finish

BASE = {"precision": "bf16", "attention_impl": "sdpa", "dropout": 0.0}
DEEP = {"config_name": "custom", "n_embd": 768, "n_head": 12, "context_length": 1024}
SIZES = ("nano", "small", "medium", "large", "xlarge")
OPEN = ("meta-llama/Llama-3.1-8B-Instruct", "Qwen/Qwen2.5-7B-Instruct", "openai-community/gpt2")
# A context that was not seen yet: a new trace each.
CONTEXTS = (192, 320, 384, 448, 576)


def main() -> None:
    """Time traces, repetitions and the allocator's simulation."""
    args = arguments(__doc__).parse_args()
    from llm_testing.config.finetune import FinetuneConfig
    from llm_testing.config.models import known_config
    from llm_testing.config.pretrain import PretrainConfig
    from llm_testing.config.resolve import resolve
    from llm_testing.estimate.budget import card_of
    from llm_testing.estimate.estimator import Estimator
    from llm_testing.estimate.jobs import finetuning_job, pretraining_job

    def timed(job: object, quick: bool = True) -> float:
        began = time.perf_counter()
        estimator.estimate(job, card_of(16), quick)
        return time.perf_counter() - began

    def ours(quick: bool = True, **values: object) -> float:
        config = PretrainConfig.build(BASE | values)
        return timed(pretraining_job(config, resolve(config), "cuda"), quick)

    def theirs(name: str, **values: object) -> float:
        config = FinetuneConfig.build({"model_name": name, "adapter": "lora", **values})
        return timed(finetuning_job(config, estimator.model(known_config(name)), "cuda"))

    def median(*seconds: float) -> float:
        return round(statistics.median(seconds), 4)

    load, estimator = ForeignLoad(), Estimator()
    estimator.warm_up()
    figures = {"first_s": round(ours(), 2), "first_open_s": round(theirs(OPEN[-1]), 2)}
    figures["allocated_s"] = {
        size: median(*(ours(config_name=size, context_length=n) for n in CONTEXTS)) for size in SIZES
    }
    figures["open_allocated_s"] = {name: median(*(theirs(name, max_seq_length=n) for n in CONTEXTS)) for name in OPEN}
    ours(**DEEP, n_layer=12, grad_accum_steps=2)
    figures["repeated_s"] = {
        "batch_size": median(*(ours(**DEEP, n_layer=12, batch_size=n) for n in (1, 2, 3))),
        "grad_accum_steps": median(*(ours(**DEEP, n_layer=12, batch_size=2, grad_accum_steps=n) for n in range(3, 9))),
        "n_layer": median(*(ours(**DEEP, n_layer=n, batch_size=2) for n in (6, 16, 24, 32, 48))),
    }
    figures["reserved_s"] = {
        size: median(*(ours(quick=False, config_name=size, batch_size=n) for n in (4, 5, 6))) for size in SIZES
    }
    estimator.close()
    figures["foreign_load_cores"] = load.cores()
    sys.stderr.write(f"{figures}\n")
    finish("estimate_speed", BASE, figures, args.save)


if __name__ == "__main__":
    main()
