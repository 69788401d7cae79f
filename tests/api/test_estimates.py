"""Both estimate routes: the old queries with the old keys, new options, the warning, and what is refused."""

import pytest

from tests.api.served import served

PRETRAINING = "/api/pretraining/estimate-vram"
FINE_TUNING = "/api/fine-tuning/estimate-vram"
OLD = "config_name=nano&batch_size=4&context_length=256"
NEW = "config_name=nano&batch_size=4&precision=bf16&attention_impl=sdpa&optimizer=adamw_8bit&tie_embeddings=false"
TUNING = "model_name=gpt2&max_seq_length=128&batch_size=2&lora_r=16&optim=paged_adamw_8bit&adapter=lora"
PRETRAINING_KEYS = {
    *("model_mb", "optimizer_mb", "gradients_mb", "activations_mb", "total_mb", "total_gb"),
    *("params", "batch_size", "context_length", "warning"),
}
FINE_TUNING_KEYS = {
    *("model_mb", "lora_mb", "optimizer_mb", "activations_mb", "overhead_mb", "total_mb", "total_gb", "warning"),
}


@pytest.fixture
def client(lab):
    with served(lab) as client:
        yield client


def test_old_queries_are_answered_with_the_old_keys_which_add_up(client):
    told = client.get(f"{PRETRAINING}?{OLD}").json()
    assert told.keys() >= PRETRAINING_KEYS
    assert (told["batch_size"], told["context_length"], told["params"]) == (4, 256, told["num_parameters"])
    parts = ("model_mb", "optimizer_mb", "gradients_mb", "activations_mb")
    assert sum(told[part] for part in parts) == pytest.approx(told["total_mb"], abs=0.05)
    assert told["total_mb"] * 2**20 == pytest.approx(told["allocated_bytes"], rel=1e-4)
    assert told["warning"] is None and told["verdict"] == "fits"


def test_the_newer_query_takes_less(client):
    old, new = (client.get(f"{PRETRAINING}?{query}").json()["total_mb"] for query in (OLD, NEW))
    assert new < old


def test_fine_tuning_is_answered_with_its_old_keys(client):
    told = client.get(f"{FINE_TUNING}?{TUNING}").json()
    assert told.keys() >= FINE_TUNING_KEYS
    parts = ("model_mb", "lora_mb", "optimizer_mb", "activations_mb", "overhead_mb")
    assert sum(told[part] for part in parts) == pytest.approx(told["total_mb"], abs=0.06)
    # GPT-2's weights in bf16.
    assert told["model_mb"] == pytest.approx(124_439_808 * 2 / 2**20, rel=0.02)


def test_the_warning_is_about_the_card_asked_about(client):
    query = f"{PRETRAINING}?config_name=medium&batch_size=64&gpu_memory_gb="
    small, large = (client.get(f"{query}{size}").json() for size in (8, 1000))
    assert small["verdict"] == "exceeds" and "Does not fit" in small["warning"] and "a card of 8 GB" in small["warning"]
    assert large["verdict"] == "fits" and large["warning"] is None


@pytest.mark.parametrize(
    ("address", "field"),
    [
        (f"{PRETRAINING}?config_name=huge", "config_name"),
        (f"{PRETRAINING}?batch_size=0", "batch_size"),
        (f"{PRETRAINING}?n_embd=20", "n_embd"),
        (f"{PRETRAINING}?card=RTX", "card"),
        (f"{PRETRAINING}?gpu_memory_gb=-1", "gpu_memory_gb"),
        (f"{FINE_TUNING}?lora_r=0", "lora_r"),
        (f"{FINE_TUNING}?model_name=gpt2&adapter=qlora", "adapter"),
        (f"{FINE_TUNING}?nothing=1", "nothing"),
    ],
)
def test_wrong_values_are_refused_by_name(client, address, field):
    reply = client.get(address)
    assert reply.status_code == 422
    assert [error["field"] for error in reply.json()["errors"]] == [field]
