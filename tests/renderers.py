"""Processes that render chat templates, used again by the next who wants the same: each run starts two of them."""

import json

from llm_testing.data.templates import TemplateProcess


class KeptRenderer(TemplateProcess):
    """A process that goes back among the idle ones instead of ending, unless it has failed."""

    def __init__(self, template: str, tokens: dict[str, str], idle: list["KeptRenderer"]):
        self._idle, self._failed = idle, False
        super().__init__(template, tokens)

    def _ask(self, request: dict) -> list[str]:
        try:
            return super()._ask(request)
        except BaseException:
            self._failed = True
            raise

    def close(self) -> None:
        """Be done with it."""
        if self._failed:
            self.end()
        else:
            self._idle.append(self)

    def end(self) -> None:
        """End the process."""
        super().close()


class Renderers:
    """Stands in for TemplateProcess; all processes end with `close`."""

    def __init__(self) -> None:
        self._idle: dict[str, list[KeptRenderer]] = {}

    def __call__(self, template: str, tokens: dict[str, str]) -> KeptRenderer:
        idle = self._idle.setdefault(json.dumps([template, tokens], sort_keys=True), [])
        return idle.pop() if idle else KeptRenderer(template, tokens, idle)

    def close(self) -> None:
        """End those that are idle, which are all when nothing is rendered."""
        for idle in self._idle.values():
            for renderer in idle:
                renderer.end()
