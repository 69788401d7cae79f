"""`Lab.finetuning`: what fine-tuning can do besides what all runs can; commands and looks are those of the lab."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from llm_testing.config.finetune import FinetuneConfig
from llm_testing.config.models import KnownModel, known_models
from llm_testing.config.presets import Machine
from llm_testing.config.presets_finetune import finetune_values
from llm_testing.config.resolve_finetune import length_problems
from llm_testing.data.example_view import ExampleView, view_of
from llm_testing.errors import ConfigError, Problem, UserError
from llm_testing.jobs.control import Control
from llm_testing.jobs.progress import Check, Report, never_cancel, report_nothing
from llm_testing.jobs.threads import Crew
from llm_testing.service.adapters import Adapters
from llm_testing.service.bases import is_path, is_run, model_of_package, packages_here
from llm_testing.service.chats import Chats
from llm_testing.service.estimates import Estimates, NoEstimate
from llm_testing.service.exports import Exports
from llm_testing.service.first_look import look, refuse_what_is_seen
from llm_testing.service.launch import Launcher, Watcher
from llm_testing.service.pushes import Pushes
from llm_testing.service.records import whole_config
from llm_testing.service.tuning_preview import TuningPreview, preview_tuning, recommended
from llm_testing.service.views import Started
from llm_testing.store.runs import RunStore
from llm_testing.train.events import Event


class FineTuning:
    """Starts fine-tuning runs, and looks at models and examples before one.

    Args:
        probe: the machine that a preset suits.
    """

    def __init__(
        self,
        launcher: Launcher,
        store: RunStore,
        cache_dir: Path,
        probe: Callable[[], Machine],
        estimates: Estimates,
        crew: Crew,
    ):
        self._launcher, self._store, self._cache_dir, self._probe = launcher, store, cache_dir, probe
        self._estimates = estimates
        self.adapters = Adapters(store)
        self.chats = Chats(store, self.adapters, cache_dir, launcher.reader, launcher.active)
        launcher.make_room = self.chats.leave_card
        self.exports = Exports(store, self.adapters, cache_dir, launcher.reader)
        self.pushes = Pushes(self.exports.push, crew)

    def models(self) -> tuple[KnownModel, ...]:
        """The open models that are offered by name."""
        return known_models()

    def packages(self) -> dict[str, str]:
        """The models that installed packages carry, at hand without a download: Hub ids by the name of the package."""
        return {name: model_of_package(name) or name for name in packages_here()}

    def config(self, values: dict[str, Any], preset: str | None = None) -> FinetuneConfig:
        """The whole config of given values on top of a preset, or of a parent's options where resume_from names one.

        Raises:
            ConfigError: naming every option that was refused.
        """
        given = {name: value for name, value in values.items() if value is not None}
        if isinstance(given.get("resume_from"), str):
            run_id, _ = self._launcher.find_checkpoint(given["resume_from"], "resume_from")
            record = self._store.open(run_id).record()
            if record["kind"] == "finetune":
                return FinetuneConfig.build({**whole_config(record), **given})
        return FinetuneConfig.build(finetune_values(preset, given, self._probe()))

    def preset_values(self, preset: str, given: dict[str, Any]) -> dict[str, Any]:
        """What a preset sets on this machine, for the model that is given or its own."""
        return finetune_values(preset, given, self._probe())

    def recommended(self, model_name: str) -> dict[str, Any]:
        """The options that picking a model fills in: of one of the list or a run here; a form may ask with each key."""
        try:
            named = model_of_package(model_name) or model_name
            return recommended(named) or (self._estimates.recommended(model_name) if is_run(model_name) else {})
        except UserError:
            return {}

    def preview(
        self, values: dict[str, Any], preset: str | None = None, count_parameters: bool = True
    ) -> TuningPreview:
        """What a draft means, without reading its model or rows; problems are part of the answer, not raised.

        Args:
            count_parameters: False leaves them open: the process that counts them may be busy with a trace, and a form
                must not wait for it.
        """
        try:
            config = self.config(values, preset)
        except ConfigError as error:
            name = values.get("model_name")
            return TuningPreview(tuple(error.problems), recommended=recommended(name) if isinstance(name, str) else {})
        # A path is opened by Start alone, which asks who may: whoever types one may go on typing.
        if not is_path(config.model_name) and (problems := self._length_problems(config)):
            return TuningPreview(tuple(problems), recommended=recommended(config.model_name))
        try:
            counts = self._estimates.counts(config) if count_parameters else None
        except NoEstimate:
            counts = None
        except ConfigError as error:
            counts, wrong = None, [problem for problem in error.problems if problem.field != "model_name"]
            if wrong:
                return TuningPreview(tuple(wrong), recommended=recommended(config.model_name))
        return preview_tuning(config, self._store, counts)

    def view_examples(
        self,
        values: dict[str, Any],
        preset: str | None = None,
        num_shown: int = 5,
        report: Report = report_nothing,
        check: Check = never_cancel,
    ) -> ExampleView:
        """The rows of a draft as its model would see them; bad rows are part of the answer, not raised.

        A Hub model's tokenizer and a Hub dataset's rows are downloaded for it.

        Raises:
            ConfigError, DataError, DownloadError: there is nothing to show.
        """
        config = self.config(values, preset)
        found, tokenizer = look(config, self._cache_dir, self._launcher.reader, report, check)
        return view_of(found, tokenizer.shown, num_shown)

    def start(
        self,
        values: dict[str, Any],
        *,
        preset: str | None = None,
        queue: bool = False,
        request_id: str | None = None,
        force: bool = False,
    ) -> Started:
        """Start a fine-tuning run in the background; arguments and errors as `Lab.start`.

        Raises:
            ConfigError, NotEnoughMemory: also where what is at hand already shows that it cannot be trained.
        """
        if request_id and (known := self._launcher.with_request(request_id)):
            return known
        return self._launcher.start(self.checked(values, preset), queue, request_id, force)

    def run_here(
        self,
        values: dict[str, Any],
        *,
        preset: str | None = None,
        queue: bool = False,
        force: bool = False,
        control: Control,
        report: Report = report_nothing,
        on_event: Callable[[Event], None] = lambda event: None,
    ) -> str:
        """Run in the calling thread until the run has ended; as `Lab.run_here`. Gives its id."""
        return self._launcher.run_here(self.checked(values, preset), queue, Watcher(control, report, on_event), force)

    def checked(self, values: dict[str, Any], preset: str | None = None) -> FinetuneConfig:
        """The config of a run that may start.

        Raises:
            ConfigError, DataError, NotEnoughMemory: what is at hand already shows that it cannot be trained.
        """
        config = self.config(values, preset)
        self._launcher.check(config)
        if problems := self._length_problems(config):
            raise ConfigError(problems)
        refuse_what_is_seen(config, self._cache_dir, self._launcher.reader)
        return config

    def _length_problems(self, config: FinetuneConfig) -> list[Problem]:
        try:
            return length_problems(config, self._estimates.context_of(config.model_name))
        except UserError:  # what is wrong with the model itself is told at its own field
            return []
