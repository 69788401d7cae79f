"""Cards as the driver tells of them, by a stand-in for its library."""

import ctypes

from llm_testing.jobs.gpus import Gpus

OK, NOT_SUPPORTED = 0, 3


def put(place, value):
    place._obj.value = value
    return OK


class Driver:
    """A driver with one card; without a power meter where it is an old laptop's."""

    def __init__(self, power=True):
        self._power = power

    def nvmlInit_v2(self):
        return OK

    def nvmlSystemGetDriverVersion(self, text, size):
        text.value = b"580.95"
        return OK

    def nvmlDeviceGetCount_v2(self, place):
        return put(place, 1)

    def nvmlDeviceGetHandleByIndex_v2(self, index, place):
        return put(place, 7) if index == 0 else NOT_SUPPORTED

    def nvmlDeviceGetName(self, handle, text, size):
        text.value = b"NVIDIA GeForce RTX 5060 Ti"
        return OK

    def nvmlDeviceGetMemoryInfo(self, handle, place):
        place._obj.total, place._obj.free, place._obj.used = 16 << 30, 9 << 30, 7 << 30
        return OK

    def nvmlDeviceGetUtilizationRates(self, handle, place):
        place._obj.gpu = 93
        return OK

    def nvmlDeviceGetTemperature(self, handle, sensor, place):
        assert isinstance(handle, ctypes.c_void_p) and handle.value == 7 and sensor == 0
        return put(place, 71)

    def nvmlDeviceGetPowerUsage(self, handle, place):
        return put(place, 154_321) if self._power else NOT_SUPPORTED


def test_a_card_is_told_in_bytes_shares_degrees_and_watts():
    (card,) = Gpus(Driver()).now()
    assert card.name == "NVIDIA GeForce RTX 5060 Ti" and Gpus(Driver()).driver() == "580.95"
    assert (card.memory_total_bytes, card.memory_used_bytes) == (16 << 30, 7 << 30)
    assert (card.load, card.temperature_c, card.power_w) == (0.93, 71, 154.321)


def test_what_the_driver_does_not_tell_is_none_and_the_rest_is_there():
    (card,) = Gpus(Driver(power=False)).now()
    assert card.power_w is None and card.temperature_c == 71
    assert card.power_limit_w is None, "this driver lacks the function altogether"


def test_without_a_driver_there_are_no_cards():
    class Broken(Driver):
        def nvmlInit_v2(self):
            return 9

    assert Gpus(Broken()).now() == [] and Gpus(Broken()).driver() is None
