import pytest

from llm_testing.estimate.budget import CARDS, GIB, card_at_hand, card_named, card_of, main_memory, verdict_of


def test_a_card_by_size_has_97_percent_of_its_name():
    assert card_of(16).free_bytes == int(16 * GIB * 0.97)


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.name)
def test_a_card_of_the_list_has_what_its_driver_reports(card):
    budget = card_named(card.name)
    assert budget.free_bytes == int(card.reported_gib * GIB)
    assert 0.9 * card.num_gb < card.reported_gib < card.num_gb


def test_the_context_is_subtracted_once():
    free = 10 * GIB
    fresh, running = (card_at_hand("card", free, has_context=has, capability=(8, 0)) for has in (False, True))
    need = free - fresh.context_bytes
    assert verdict_of(fresh, need, need) == "fits"
    assert verdict_of(fresh, need + 1, need + 1) == "exceeds"
    assert verdict_of(running, free, free) == "fits"
    assert running.context_bytes == 0


def test_tight_is_when_only_the_minimum_fits():
    budget = card_of(8)
    room = budget.free_bytes - budget.context_bytes
    assert verdict_of(budget, room, room) == "fits"
    assert verdict_of(budget, room + 1, room) == "tight"
    assert verdict_of(budget, room + 2, room + 1) == "exceeds"


def test_on_the_cpu_a_tenth_stays_free():
    assert verdict_of(main_memory(1000), 900, 900) == "fits"
    assert verdict_of(main_memory(1000), 901, 901) == "exceeds"
