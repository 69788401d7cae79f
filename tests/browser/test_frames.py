"""Who may show the page inside a page of theirs, by Chromium: a click in the frame is one of who is signed in."""

import pytest

from llm_testing.api.gate import headers_for
from llm_testing.service.places import Place

pytestmark = pytest.mark.browser
OURS = "https://ann-lab.hf.space/"
HUB = "https://huggingface.co/spaces/ann/lab"
OWNERS = {"name": "session", "value": "owner", "domain": "ann-lab.hf.space", "path": "/", "secure": True,
          "httpOnly": True, "sameSite": "None"}  # fmt: skip


@pytest.mark.parametrize(
    ("place", "outer", "inside"),
    [
        (Place.SPACE, [HUB], True),
        (Place.SPACE, [OURS + "own"], True),
        (Place.SPACE, ["https://evil.example/"], False),
        (Place.SPACE, ["https://huggingface.co.evil.example/"], False),
        (Place.SPACE, [HUB, "https://evil.example/"], False),
        (Place.LOCAL, ["https://evil.example/"], False),
        (Place.LOCAL, [HUB], False),
        (Place.SHARE, ["https://evil.gradio.live/"], False),
        (Place.LAN, [HUB], False),
        (Place.SPACE, ["https://evil.hf.space/"], False),
        (Place.SPACE, ["https://evil.static.hf.space/"], False),
        (Place.SPACE, [HUB, "https://evil.hf.space/"], False),
    ],
)
def test_the_page_stands_in_frames_of_the_hub_alone(chromium, place, outer, inside):
    """Each of the outer pages frames the next, the last of them ours; the owner's cookie travels into all of them."""
    ours = {name.decode(): value.decode() for name, value in headers_for(place)} | {"content-type": "text/html"}
    framed = dict(zip(outer, [*outer[1:], OURS], strict=True))
    cookies = []

    def answer(route) -> None:
        if route.request.url == OURS:
            cookies.append(route.request.all_headers().get("cookie"))
            route.fulfill(status=200, headers=ours, body="<body>the lab</body>")
        else:
            body = f'<iframe src="{framed[route.request.url]}"></iframe>'
            route.fulfill(status=200, content_type="text/html", body=body)

    context = chromium.new_context()
    try:
        context.add_cookies([OWNERS])
        context.route("**/*", answer)
        page = context.new_page()
        page.goto(outer[0], wait_until="load")
        texts = [frame.evaluate("document.body.innerText") for frame in page.frames if frame.url.startswith(OURS)]
    finally:
        context.close()
    assert cookies == ["session=owner"], "nothing but the header keeps the frame from being the owner's"
    assert ("the lab" in texts) == inside
