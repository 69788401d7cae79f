"""NVIDIA cards as their driver sees them: load, memory, temperature and power, whatever torch was built for.

Read from the driver's own library by ctypes, so nothing needs to be installed.
Source: https://docs.nvidia.com/deploy/nvml-api
"""

import ctypes
import sys
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

_LIBRARIES = {"win32": ("nvml.dll",)}.get(sys.platform, ("libnvidia-ml.so.1", "/usr/lib/wsl/lib/libnvidia-ml.so.1"))
_CORE_TEMPERATURE = 0
_NAME_BYTES = 96


@dataclass(frozen=True)
class GpuFacts:
    """One card now; what its driver does not tell is None.

    Args:
        load: share of the last moment in which it computed, 0 to 1.
    """

    name: str
    memory_total_bytes: int | None
    memory_used_bytes: int | None
    load: float | None
    temperature_c: int | None
    power_w: float | None
    power_limit_w: float | None


class _Memory(ctypes.Structure):
    _fields_ = [("total", ctypes.c_ulonglong), ("free", ctypes.c_ulonglong), ("used", ctypes.c_ulonglong)]


class _Rates(ctypes.Structure):
    _fields_ = [("gpu", ctypes.c_uint), ("memory", ctypes.c_uint)]


class Gpus:
    """The cards of this machine; none where there is no driver.

    Args:
        library: NVML, or a stand-in for it; None looks for the driver's.
    """

    def __init__(self, library: Any = None):
        self._nvml = library if library is not None else _library()
        if self._nvml is not None and self._nvml.nvmlInit_v2() != 0:
            self._nvml = None

    def driver(self) -> str | None:
        """The driver's version."""
        return self._text("nvmlSystemGetDriverVersion")

    def now(self) -> list[GpuFacts]:
        """Every card as it is now."""
        count = self._filled(ctypes.c_uint(), "nvmlDeviceGetCount_v2")
        found = []
        for i in range(count.value if count is not None else 0):
            handle = ctypes.c_void_p()
            if self._nvml.nvmlDeviceGetHandleByIndex_v2(i, ctypes.byref(handle)) == 0:
                found.append(self._card(handle))
        return found

    def _card(self, handle: Any) -> GpuFacts:
        memory = self._filled(_Memory(), "nvmlDeviceGetMemoryInfo", handle)
        rates = self._filled(_Rates(), "nvmlDeviceGetUtilizationRates", handle)
        heat = self._filled(ctypes.c_uint(), "nvmlDeviceGetTemperature", handle, _CORE_TEMPERATURE)
        power = self._filled(ctypes.c_uint(), "nvmlDeviceGetPowerUsage", handle)
        limit = self._filled(ctypes.c_uint(), "nvmlDeviceGetEnforcedPowerLimit", handle)
        return GpuFacts(
            name=self._text("nvmlDeviceGetName", handle) or "NVIDIA GPU",
            memory_total_bytes=memory.total if memory else None,
            memory_used_bytes=memory.used if memory else None,
            load=rates.gpu / 100 if rates is not None else None,
            temperature_c=heat.value if heat is not None else None,
            power_w=power.value / 1000 if power is not None else None,  # it counts milliwatts
            power_limit_w=limit.value / 1000 if limit is not None else None,
        )

    def _filled(self, place: Any, name: str, *given: Any) -> Any:
        """What a function of the library writes into a place, or None where it cannot."""
        with suppress(AttributeError, OSError):  # an old driver lacks the newer functions
            if self._nvml is not None and getattr(self._nvml, name)(*given, ctypes.byref(place)) == 0:
                return place
        return None

    def _text(self, name: str, *given: Any) -> str | None:
        text = ctypes.create_string_buffer(_NAME_BYTES)
        with suppress(AttributeError, OSError):
            if self._nvml is not None and getattr(self._nvml, name)(*given, text, ctypes.c_uint(_NAME_BYTES)) == 0:
                return text.value.decode("utf-8", "replace")
        return None


def _library() -> Any:
    for name in _LIBRARIES:
        with suppress(OSError):
            return ctypes.CDLL(name)
    return None
