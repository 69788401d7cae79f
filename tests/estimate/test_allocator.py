import pytest

from llm_testing.estimate.allocator import MIB, CachingAllocator, OutOfMemory


def test_small_requests_share_segments_of_two_mebibytes():
    allocator = CachingAllocator()
    for name in range(4):
        allocator.malloc(name, 600)
    assert allocator.reserved == 2 * MIB
    assert allocator.allocated == 4 * 1024


def test_middling_requests_share_segments_of_twenty_and_large_ones_get_their_own():
    allocator = CachingAllocator()
    allocator.malloc(0, 3 * MIB)
    allocator.malloc(1, 3 * MIB)
    assert allocator.reserved == 20 * MIB
    allocator.malloc(2, 15 * MIB + 1)
    assert allocator.reserved == 36 * MIB


def test_a_rest_of_up_to_a_mebibyte_is_not_split_off():
    allocator = CachingAllocator()
    allocator.malloc(0, 19 * MIB + 512)
    assert allocator.allocated == 20 * MIB


def test_neighbours_that_are_free_become_one_block():
    allocator = CachingAllocator()
    for name in range(5):
        allocator.malloc(name, 4 * MIB)
    for name in (1, 3, 2):
        allocator.free(name)
    allocator.malloc(9, 12 * MIB)
    assert allocator.reserved == 20 * MIB


def test_the_smallest_block_that_is_large_enough_is_taken():
    allocator = CachingAllocator()
    allocator.malloc(0, 40 * MIB)
    allocator.malloc(1, 30 * MIB)
    allocator.free(0)
    allocator.free(1)
    allocator.malloc(2, 30 * MIB)
    allocator.malloc(3, 40 * MIB)
    assert allocator.reserved == 70 * MIB


def test_what_is_cached_is_given_back_before_memory_is_said_to_be_out():
    allocator = CachingAllocator(limit_bytes=50 * MIB)
    allocator.malloc(0, 30 * MIB)
    allocator.free(0)
    allocator.malloc(1, 40 * MIB)
    assert allocator.reserved == 40 * MIB
    with pytest.raises(OutOfMemory):
        allocator.malloc(2, 11 * MIB)


def test_a_segment_of_which_a_part_is_in_use_is_not_given_back():
    allocator = CachingAllocator(limit_bytes=45 * MIB)
    allocator.malloc(0, 4 * MIB)
    allocator.malloc(1, 4 * MIB)
    allocator.free(0)
    with pytest.raises(OutOfMemory):
        allocator.malloc(2, 26 * MIB)


def test_all_freed_leaves_nothing_allocated_and_everything_reserved():
    allocator = CachingAllocator()
    sizes = [(n * 7919) % (9 * MIB) + 1 for n in range(200)]
    for name, size in enumerate(sizes):
        allocator.malloc(name, size)
        if name % 3 == 2:
            allocator.free(name - 1)
    for name in range(200):
        allocator.free(name)
    assert allocator.allocated == 0
    assert allocator.reserved == allocator.peak_reserved >= allocator.peak_allocated
