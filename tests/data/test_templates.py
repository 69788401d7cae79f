"""Chat templates are programs of strangers: they run in a process that they cannot leave, outgrow or hold up."""

import sys

import pytest

from llm_testing.data.templates import OWN, TemplateProcess
from llm_testing.errors import DataError

TALK = [{"role": "user", "content": "one"}]
LIMITED = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limits for a process of this kind")


def rendered(template, more=False):
    with TemplateProcess(template, {"eos_token": "</s>", "bos_token": ""}) as process:
        return process.render([(TALK, more)])[0]


def test_a_template_sees_messages_tokens_and_what_is_asked_for():
    template = "{{ messages[0].content }}{{ eos_token }}{% if add_generation_prompt %}!{% endif %}"
    assert rendered(template) == "one</s>" and rendered(template, more=True) == "one</s>!"


def test_marks_of_answers_and_loop_controls_are_known():
    template = (
        "{% generation %}{{ messages[0].content }}{% endgeneration %}{% for i in [1, 2] %}{% break %}{% endfor %}"
    )
    assert rendered(template) == "one"


@pytest.mark.parametrize("name", OWN)
def test_a_template_of_our_own_ends_each_answer_and_begins_the_next(name):
    with TemplateProcess(OWN[name], {"eos_token": "</s>", "bos_token": ""}) as process:
        talk = [*TALK, {"role": "assistant", "content": "two"}]
        asked, whole = process.render([(TALK, True), (talk, False)])
    assert whole.startswith(asked) and whole[len(asked) :].strip().endswith("</s>")


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{% for %}", "refuses a conversation"),
        ("{{ raise_exception('only pairs') }}", "only pairs"),
        ("{{ messages.__class__.__mro__[1].__subclasses__() }}", "unsafe"),
        ("{{ messages.append(1) }}", "unsafe"),
    ],
)
def test_a_template_that_is_wrong_or_reaches_out_is_refused_in_words(template, message):
    with pytest.raises(DataError, match=message):
        rendered(template)


@LIMITED
@pytest.mark.proof
@pytest.mark.parametrize(
    "template",
    [
        "{% for a in range(99999) %}{% for b in range(99999) %}{% for c in range(99999) %}{% endfor %}"
        "{% endfor %}{% endfor %}",
        "{% set x = 'x' * 10**9 %}{% set y = x * 9 %}{{ y | length }}",
    ],
)
def test_a_template_that_takes_too_much_is_ended(template):
    with pytest.raises(DataError, match="took too long or too much memory"):
        rendered(template)
