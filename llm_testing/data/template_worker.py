"""The process that renders chat templates: reads requests and writes answers as JSON lines.

It is started as a script by `templates.TemplateProcess` and imports nothing of the program.
"""

import contextlib
import json
import sys
from datetime import datetime
from types import ModuleType

from jinja2 import Environment, TemplateError, nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

try:
    import resource
except ImportError:
    resource = None

MEMORY_BYTES = 1 << 30
SECONDS = 5
MAX_CHARS = 20_000_000


class _Generation(Extension):
    """Marks answers in some templates: {% generation %} ... {% endgeneration %}; here only what is inside counts."""

    tags = {"generation"}

    def parse(self, parser) -> nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.Scope(body).set_lineno(line)


def _environment() -> Environment:
    """The environment that transformers gives templates."""
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, loopcontrols]
    )
    environment.filters["tojson"] = lambda value, **settings: json.dumps(value, ensure_ascii=False, **settings)

    def refuse(message: str) -> None:
        raise TemplateError(message)

    environment.globals["raise_exception"] = refuse
    environment.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
    return environment


def _limits() -> ModuleType | None:
    """The system's limits, with the one on memory set; None where there are none, as on Windows."""
    if resource is None:
        return None
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    return resource


def main() -> None:
    """Answer requests until there are no more."""
    sys.stdin.reconfigure(encoding="utf-8")
    sys.stdout.reconfigure(encoding="utf-8")
    limits, environment, template, tokens = _limits(), _environment(), None, {}
    for line in sys.stdin:
        if limits:
            used = limits.getrusage(limits.RUSAGE_SELF)
            # Beyond this the kernel ends the process, which whoever asked understands.
            soft = int(used.ru_utime + used.ru_stime) + SECONDS
            limits.setrlimit(limits.RLIMIT_CPU, (soft, limits.RLIM_INFINITY))
        request = json.loads(line)
        try:
            if "template" in request:
                template, tokens = environment.from_string(request["template"]), request["tokens"]
                answer = {"texts": []}
            else:
                answer = {"texts": [_rendered(template, tokens, *asked) for asked in request["conversations"]]}
        except MemoryError:
            return
        except Exception as error:  # noqa: BLE001 a template may raise anything
            answer = {"problem": f"{error or type(error).__name__}"[:500]}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def _rendered(template, tokens: dict, messages: list, more: bool) -> str:
    text = template.render(messages=messages, add_generation_prompt=more, tools=None, documents=None, **tokens)
    if len(text) > MAX_CHARS:
        raise ValueError(f"it makes {len(text):,} characters of one conversation")
    text.encode()  # half of a surrogate pair is no character, and no tokenizer reads it
    return text


if __name__ == "__main__":
    main()
