"""How fast the estimator answers once its process is warm.

    python benchmarks/estimate_speed.py [--save]

A new model or option is traced; another batch size, depth or accumulation is repeated from memory. Medians of several:
seconds by the clock, and seconds of CPU of this process and the tracer's, which hold beside other work too.
"""

import statistics
import sys
import time

import psutil
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

    def cpu_s() -> float:
        both = [psutil.Process(), *psutil.Process().children()]
        return sum(sum(process.cpu_times()[:2]) for process in both)

    def timed(job: object, quick: bool = True) -> tuple[float, float]:
        began, cpu = time.perf_counter(), cpu_s()
        estimator.estimate(job, card_of(16), quick)
        return time.perf_counter() - began, cpu_s() - cpu

    def ours(quick: bool = True, **values: object) -> tuple[float, float]:
        config = PretrainConfig.build(BASE | values)
        return timed(pretraining_job(config, resolve(config), "cuda"), quick)

    def theirs(name: str, **values: object) -> tuple[float, float]:
        config = FinetuneConfig.build({"model_name": name, "adapter": "lora", **values})
        return timed(finetuning_job(config, estimator.model(known_config(name)), "cuda"))

    def median(*times: tuple[float, float]) -> dict[str, float]:
        clock, cpu = zip(*times, strict=True)
        return {"clock_s": round(statistics.median(clock), 4), "cpu_s": round(statistics.median(cpu), 3)}

    load, estimator = ForeignLoad(), Estimator()
    estimator.warm_up()
    figures = {"first": median(ours()), "first_open": median(theirs(OPEN[-1]))}
    figures["allocated"] = {
        size: median(*(ours(config_name=size, context_length=n) for n in CONTEXTS)) for size in SIZES
    }
    figures["open_allocated"] = {name: median(*(theirs(name, max_seq_length=n) for n in CONTEXTS)) for name in OPEN}
    ours(**DEEP, n_layer=12, grad_accum_steps=2)
    figures["repeated"] = {
        "batch_size": median(*(ours(**DEEP, n_layer=12, batch_size=n) for n in (1, 2, 3))),
        "grad_accum_steps": median(*(ours(**DEEP, n_layer=12, batch_size=2, grad_accum_steps=n) for n in range(3, 9))),
        "n_layer": median(*(ours(**DEEP, n_layer=n, batch_size=2) for n in (6, 16, 24, 32, 48))),
    }
    figures["reserved"] = {
        size: median(*(ours(quick=False, config_name=size, batch_size=n) for n in (4, 5, 6))) for size in SIZES
    }
    estimator.close()
    figures["foreign_load_cores"] = load.cores()
    sys.stderr.write(f"{figures}\n")
    finish("estimate_speed", BASE, figures, args.save)


if __name__ == "__main__":
    main()
