"""Places where the page may not be opened yet are refused with the reason."""

import pytest

from llm_testing.service.places import why_refused


@pytest.mark.parametrize(
    ("environ", "given", "named"),
    [
        ({"SYSTEM": "spaces"}, {}, "Space"),
        ({"SPACE_ID": "someone/space"}, {}, "Space"),
        ({"GRADIO_SHARE": "True"}, {}, "GRADIO_SHARE"),
        ({"GRADIO_SHARE": "1"}, {}, "GRADIO_SHARE"),
        ({}, {"share": True}, "--share"),
        ({"GRADIO_SERVER_NAME": "0.0.0.0"}, {}, "GRADIO_SERVER_NAME"),
        ({}, {"server_name": "192.168.1.5"}, "192.168.1.5"),
        ({}, {"server_name": "0.0.0.0"}, "0.0.0.0"),
    ],
)
def test_a_place_that_others_can_reach_is_refused_by_name_and_with_the_reason(environ, given, named):
    reason = why_refused(environ, **given)
    assert named in reason and "no owner's login yet" in reason and "127.0.0.1" in reason
    assert "\n" not in reason


@pytest.mark.parametrize("environ", [{}, {"GRADIO_SHARE": "false"}, {"GRADIO_SERVER_NAME": "127.0.0.1"}])
def test_this_machine_is_allowed(environ):
    assert why_refused(environ) is None
