"""Names by which a page may be asked, and a hundred that a lenient reader would take for one of them."""

import pytest

from llm_testing.api.gate import judge
from llm_testing.service.places import Place, Setting

PORT = 7860
ODD = [
    # Nothing, or nothing but punctuation.
    "", " ", ":", f":{PORT}", ".", "..", f".:{PORT}", f"..:{PORT}", "-", f"[]:{PORT}", "[", "]", "@", f"@:{PORT}",
    "/",
    # User information, which is no part of a Host.
    f"evil.example@127.0.0.1:{PORT}", f"@127.0.0.1:{PORT}", f"a:b@127.0.0.1:{PORT}",
    f"127.0.0.1:{PORT}@127.0.0.1:{PORT}", f"evil.example:80@localhost:{PORT}", f"localhost@[::1]:{PORT}",
    f"a@b@127.0.0.1:{PORT}", f"%40127.0.0.1:{PORT}",
    # A path, a query, a fragment, a scheme, several hosts.
    f"127.0.0.1:{PORT}/", f"127.0.0.1/:{PORT}", f"127.0.0.1:{PORT}/evil.example", f"127.0.0.1:{PORT}?a",
    f"127.0.0.1:{PORT}#a", f"http://127.0.0.1:{PORT}", f"//127.0.0.1:{PORT}", f"\\\\127.0.0.1:{PORT}",
    f"127.0.0.1:{PORT}\\", f"127.0.0.1\\:{PORT}", f"127.0.0.1:{PORT},evil.example", f"127.0.0.1:{PORT};a",
    f"evil.example,127.0.0.1:{PORT}", f"127.0.0.1:{PORT} evil.example",
    # Ports.
    "127.0.0.1", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:80", f"127.0.0.1:0{PORT}", f"127.0.0.1:+{PORT}",
    f"127.0.0.1:-{PORT}", f"127.0.0.1: {PORT}", f"127.0.0.1:{PORT} ", f"127.0.0.1:{PORT}.0", "127.0.0.1:0x1eb4",
    f"127.0.0.1:{PORT + 65_536}", f"127.0.0.1:{PORT}:{PORT}", f"127.0.0.1::{PORT}", "127.0.0.1:\u00b2",
    "127.0.0.1:7_860", "127.0.0.1:7860\u0000", "127.0.0.1:x",
    # Brackets.
    f"[::1]evil.example:{PORT}", f"[::1].evil.example:{PORT}", f"[::1]:{PORT}evil", "[::1]", f"[::1:{PORT}",
    f"::1]:{PORT}", f"::1:{PORT}", f"[[::1]]:{PORT}", f"[::1]]:{PORT}", f"[127.0.0.1]:{PORT}", f"[localhost]:{PORT}",
    f"[::1%25lo]:{PORT}", f"[::1%lo]:{PORT}", f"[v1.a]:{PORT}", f"[::1]@evil.example:{PORT}", f"[:::1]:{PORT}",
    f"[::g]:{PORT}", f"[ ::1]:{PORT}", f"[0:0:0:0:0:0:0:0:1]:{PORT}", f"a[::1]:{PORT}", f"[::1][::1]:{PORT}",
    # Addresses in other forms; a browser turns them into the plain one before it asks.
    f"127.1:{PORT}", f"2130706433:{PORT}", f"0x7f.0.0.1:{PORT}", f"0x7f000001:{PORT}", f"0177.0.0.1:{PORT}",
    f"127.0.0.01:{PORT}", f"127.0.0.1.:{PORT}", f"127.000.000.001:{PORT}", f"127.0.0.1.1:{PORT}",
    f"127.0.0.256:{PORT}", f"0:{PORT}", f"127.0.0.:{PORT}",
    # Names beside ours.
    f"localhost.:{PORT}", f".localhost:{PORT}", f"localhost.evil.example:{PORT}", f"evil.localhost:{PORT}",
    f"localhost..:{PORT}", f"127.0.0.1.evil.example:{PORT}", f"127-0-0-1.evil.example:{PORT}",
    f"loca\u00adlhost:{PORT}", f"localhos\u0165:{PORT}", f"local%68ost:{PORT}", f"%6cocalhost:{PORT}",
    f"local\thost:{PORT}", f" localhost:{PORT}", f"localhost :{PORT}", f"*:{PORT}", f"localhost\r\n:{PORT}",
    f"'localhost':{PORT}", f'"localhost":{PORT}', f"{'a' * 64}.{'b' * 300}:{PORT}", f"xn--lcalhost-4of:{PORT}",
    f"_:{PORT}", f"local_host:{PORT}", f"evil.example:{PORT}", f"evil.example.:{PORT}",
    f"127.0.0.1%00.evil.example:{PORT}", f"$(id):{PORT}", f"<script>:{PORT}", f"{{host}}:{PORT}",
    f"0.0.0.0.evil.example:{PORT}", f"\uff11\uff12\uff17.0.0.1:{PORT}",
]  # fmt: skip
SETTINGS = {
    Place.LOCAL: Setting(Place.LOCAL),
    Place.LAN: Setting(Place.LAN, "192.168.1.5", hosts=("192.168.1.5", "lab", "lab.local")),
    Place.SHARE: Setting(Place.SHARE),
    Place.SPACE: Setting(Place.SPACE, "0.0.0.0", hosts=("ann-lab.hf.space",)),
}


def status(host: str, place: Place) -> int | None:
    refusal = judge("GET", "/live/status", {"host": host}, PORT, SETTINGS[place])
    return refusal and refusal.status


def test_there_are_a_hundred_odd_hosts_and_none_twice():
    assert len(ODD) >= 100 and len(set(ODD)) == len(ODD)


@pytest.mark.parametrize("place", SETTINGS)
def test_an_odd_host_is_refused_in_every_place(place):
    assert {host for host in ODD if status(host, place) != 421} == set()


@pytest.mark.parametrize("place", [Place.SHARE, Place.SPACE])
@pytest.mark.parametrize(
    "dress", ["x@{}", "{}.", "{}:443", "{}:", "{}/", "{} ", "{}.evil.example", "[{}]", "x.{}", "{}\x00"]
)
def test_a_public_name_counts_only_as_it_is(place, dress):
    name = {Place.SHARE: "0a1b2c.gradio.live", Place.SPACE: "ann-lab.hf.space"}[place]
    assert status(name, place) is None
    assert status(dress.format(name), place) == 421


@pytest.mark.parametrize(
    ("place", "host"),
    [
        *((place, f"{name}:{PORT}") for place in SETTINGS for name in ("127.0.0.1", "localhost", "LocalHost", "[::1]")),
        *((Place.LAN, f"{name}:{PORT}") for name in ("lab", "LAB.local", "192.168.1.5", "10.0.0.7", "[FE80::a]")),
    ],
)
def test_what_a_browser_sends_comes_in(place, host):
    assert status(host, place) is None


@pytest.mark.parametrize("path", ["*", "http://127.0.0.1:7860/live/status", "", "live/status"])
def test_a_request_for_no_path_is_refused(path):
    assert judge("GET", path, {"host": f"127.0.0.1:{PORT}"}, PORT).status == 400
