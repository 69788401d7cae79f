"""app.py as a process where it will stand: on a Space, in a network, behind a share link, and where none can be had."""

import json
import os
import platform
import re
import subprocess
import sys
import time
from base64 import b64encode
from hashlib import sha256
from pathlib import Path

import httpx
import itsdangerous
import psutil
import pytest

from llm_testing.api.rest import TABLE
from tests.api.served import AT, BODY, LONG
from tests.app_process import APP, running_app
from tests.service.parts import until

pytestmark = pytest.mark.proof
HOST = "ann-lab.hf.space"
SPACE = {
    "SYSTEM": "spaces", "SPACE_ID": "ann/lab", "SPACE_HOST": HOST, "SPACE_AUTHOR_NAME": "ann",
    "GRADIO_SERVER_NAME": "0.0.0.0", "GRADIO_SSR_MODE": "true", "GRADIO_MCP_SERVER": "true", "GRADIO_SHARE": "true",
    "OAUTH_CLIENT_ID": "id", "OAUTH_CLIENT_SECRET": "secret", "OAUTH_SCOPES": "openid profile",
    "OPENID_PROVIDER_URL": "https://huggingface.co",
}  # fmt: skip


def signed_in(name: str, secret: str = "secret", **more: object) -> dict[str, str]:
    """The session cookie that signing in as somebody leaves, as Gradio signs it."""
    info = {"userinfo": {"sub": "1", "preferred_username": name}, "expires_at": time.time() + 3600}
    return session_cookie({"oauth_info": info, **more}, secret)


def session_cookie(session: dict, secret: str, signed_s: float | None = None) -> dict[str, str]:
    """A session as Gradio signs it, now or at another time."""
    signer = itsdangerous.TimestampSigner(sha256(f"{secret}-v4".encode()).hexdigest())
    signer.get_timestamp = lambda: int(signed_s or time.time())
    return {"cookie": f"session={signer.sign(b64encode(json.dumps(session).encode())).decode()}"}


def forged() -> dict[str, dict[str, str]]:
    """Cookies that make nobody the owner, by what is wrong with each."""
    body, time_signed, signature = signed_in("ann")["cookie"].removeprefix("session=").split(".")
    bobs = signed_in("bob")["cookie"].removeprefix("session=").split(".")
    info = {"userinfo": {"sub": "1", "preferred_username": "ann"}}
    forever, over = {**info, "expires_at": time.time() + 10**8}, {**info, "expires_at": time.time() - 1}
    return {
        "no signature": {"cookie": f"session={body}"},
        "an empty signature": {"cookie": f"session={body}.{time_signed}."},
        "another's signature": {"cookie": f"session={body}.{bobs[1]}.{bobs[2]}"},
        "a later time": {"cookie": f"session={body}.z{time_signed[1:]}.{signature}"},
        "a guessed secret": signed_in("ann", "guessed"),
        "no secret": signed_in("ann", ""),
        "signed 15 days ago": session_cookie({"oauth_info": forever}, "secret", time.time() - 15 * 86_400),
        "signed in too long ago": session_cookie({"oauth_info": over}, "secret"),
        "no end": session_cookie({"oauth_info": info}, "secret"),
        "a second cookie": {"cookie": f"{signed_in('ann')['cookie']}; {signed_in('bob')['cookie']}"},
        "a bearer": {"authorization": f"Bearer {body}.{time_signed}.{signature}"},
    }


@pytest.fixture(scope="module")
def space(tmp_path_factory):
    """The app on a Space that has no storage, and a client that asks as its visitors do."""
    with running_app(tmp_path_factory.mktemp("space"), **SPACE) as app:
        with httpx.Client(base_url=app.url, headers={"host": HOST, "x-forwarded-for": "1.2.3.4"}, timeout=60) as client:
            yield app, client


def test_on_a_space_every_call_answers_json_whatever_gradio_would_do_by_itself(space):
    _, client = space
    for call in TABLE:
        if call.method == "GET" and call.media_type == "application/json":
            path = call.address.replace("{run_id}", "20260101-000000-aaaa").replace("{checkpoint_id:path}", "nano_5")
            reply = client.get(path)
            assert reply.headers["content-type"] == "application/json", path
            assert reply.status_code in (200, 403, 404, 422), path
            json.loads(reply.content)
    page = client.get("/", headers={"sec-fetch-site": "cross-site", "sec-fetch-dest": "iframe"})
    assert page.status_code == 200 and "x-frame-options" not in page.headers
    assert "https://huggingface.co" in page.headers["content-security-policy"]


def test_on_a_space_an_anonymous_visitor_changes_nothing(space):
    app, client = space
    for call in TABLE:
        if call.needs not in ("look", "anything"):
            path = call.address.replace("{run_id}", "20260101-000000-aaaa").replace("{checkpoint_id:path}", "nano_5")
            assert client.request(call.method, path, json={} if call.method != "GET" else None).status_code == 403, path
    assert client.post(f"{AT}/start", json=BODY).status_code == 403
    assert client.post("/gradio_api/upload").status_code == 403
    assert client.get("/gradio_api/mcp/").status_code == 403
    for cookie in (signed_in("bob"), signed_in("ann", secret="guessed"), {"cookie": "session=ann"}):
        assert client.post(f"{AT}/start", json=BODY, headers=cookie).status_code == 403
    assert not list(app.runs_dir.glob("*/run.json")) and client.get(f"{AT}/runs").json() == []


def test_on_a_space_no_session_but_the_owners_own_is_the_owners(space):
    _, client = space
    for wrong, headers in forged().items():
        assert client.get("/api/place", headers=headers).json()["role"] == "viewer", wrong
    assert client.get("/api/place", headers=signed_in("ann")).json()["role"] == "owner"


def test_on_a_space_another_sites_page_does_nothing_with_the_owners_session(space):
    """The cookie travels with what any site asks of the Space, so the Origin alone tells whose page it was."""
    app, client = space
    owner, body = signed_in("ann"), {"json": BODY}
    elsewhere = [{"origin": origin} for origin in (
        "https://huggingface.co", "https://evil.hf.space", "null", f"https://{HOST}.evil.example", f"http://{HOST}",
        f"https://{HOST}:444", f"https://user@{HOST}",
    )]  # fmt: skip
    elsewhere += [{"sec-fetch-site": site, "sec-fetch-dest": dest}
                  for site in ("cross-site", "same-site") for dest in ("empty", "document", "iframe")]  # fmt: skip
    changing = [(call.method, call.address) for call in TABLE if call.method != "GET"]
    changing += [("POST", f"/gradio_api/{path}") for path in ("queue/join", "run/predict", "upload", "reset")]
    changing += [("GET", "/logout"), ("GET", "/gradio_api/queue/data"), ("POST", "/login/huggingface")]
    assert len(changing) > 30
    for method, address in changing:
        path = address.replace("{run_id}", "20260101-000000-aaaa").replace("{checkpoint_id:path}", "nano_5")
        for headers in elsewhere:
            if method == "GET" and "origin" in headers:
                continue  # a browser sends none with a GET that a page may make by itself
            reply = client.request(method, path, headers={**owner, **headers}, **(body if method == "POST" else {}))
            assert reply.status_code == 403 and "set-cookie" not in reply.headers, (method, path, headers)
    assert not list(app.runs_dir.glob("*/run.json"))


def test_on_a_space_signing_out_takes_the_cookie_away_which_no_script_reads(space):
    _, client = space
    out = client.get("/logout", headers=signed_in("ann"))
    assert (
        out.status_code == 307 and "session=null" in out.headers["set-cookie"] and "1970" in out.headers["set-cookie"]
    )
    half_way = client.get("/logout", headers=signed_in("ann", _state_huggingface_x={"data": {}}))
    cookie = half_way.headers["set-cookie"]
    assert client.get("/api/place", headers={"cookie": cookie.partition(";")[0]}).json()["role"] == "viewer"
    assert {"httponly", "samesite=none", "secure", "path=/"} <= set(
        cookie.lower().split("; ")
    ) and "domain" not in cookie
    assert client.get("/logout?_target_url=https://evil.example//x").headers["location"].startswith("/")
    client.cookies.clear()


def test_on_a_space_its_owner_trains_and_everybody_sees_it(space):
    app, client = space
    told = client.get("/api/place").json()
    assert (told["place"], told["role"], told["may"]) == ("space", "viewer", ["look"])
    assert "vanish" in told["notices"][0] and told["notices"][0] in app.said
    owner = signed_in("ann")
    assert client.get("/api/place", headers=owner).json()["role"] == "owner"
    brought = client.post("/api/uploads?name=mine.txt", content=b"Some words of mine. " * 200, headers=owner).json()
    assert brought == {"name": "upload:mine.txt", "bytes": 4000}
    started = client.post(f"{AT}/start", json={**BODY, "corpus": brought["name"]}, headers=owner)
    run_id = started.json()["run_id"]
    until(lambda: client.get(f"{AT}/status").json()["state"] == "completed", 60)
    seen = client.get(f"{AT}/runs/{run_id}").json()
    assert seen["state"] == "completed" and len(seen["metrics"]) == 7
    assert str(app.runs_dir) not in json.dumps(seen)
    whole = client.get(f"{AT}/archive", headers=owner)
    assert whole.content[:2] == b"PK"
    client.delete(f"{AT}/runs/{run_id}", headers=owner)
    client.delete(f"{AT}/trash", headers=owner)
    back = client.post(f"{AT}/archive", content=whole.content, headers={**owner, "content-type": "application/zip"})
    assert back.json()["restored"] == [run_id]
    evil = {**owner, "origin": "https://evil.example"}
    assert client.post(f"{AT}/start", json=LONG, headers=evil).status_code == 403


def fake_tunnel(home: Path, line: str) -> dict[str, str]:
    """The environment in which Gradio's tunnel program is a script that says a line and goes on."""
    machine = {"x86_64": "amd64", "aarch64": "arm64"}
    name = f"frpc_{sys.platform}_{machine.get(platform.machine(), 'amd64')}_v0.3"
    program = home / "gradio" / "frpc" / name
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/bin/sh\necho '{line}'\nexec sleep 600\n")
    program.chmod(0o755)
    return {"HF_HOME": str(home), "GRADIO_SHARE_SERVER_ADDRESS": "127.0.0.1:9"}


@pytest.mark.skipif(sys.platform == "win32", reason="the stand-in for the tunnel is a shell script")
def test_a_share_link_has_an_owner_and_a_viewer_and_says_how_long_it_lasts(tmp_path):
    env = fake_tunnel(tmp_path / "hf", "start proxy success: http://0a1b2c.gradio.live")
    with running_app(tmp_path, "--share", **env) as app:
        links = re.findall(r"https://0a1b2c\.gradio\.live(/enter\?token=\S+)", app.said)
        assert len(links) == 2 and "a week" in app.said and "viewer" in app.said
        tunnelled = {"host": "0a1b2c.gradio.live", "x-forwarded-for": "1.2.3.4"}
        for link, role, status in ((links[0], "owner", 200), (links[1], "viewer", 403)):
            with httpx.Client(base_url=app.url, headers=tunnelled, timeout=60) as client:
                assert client.get(f"{AT}/status").status_code == 401 and client.get("/").status_code == 401
                token = link.partition("=")[2]
                assert client.get(link).status_code == 200
                bearer = {"authorization": f"Bearer {token}"}  # the cookie is for https alone
                assert client.get("/api/place", headers=bearer).json()["role"] == role
                assert client.post(f"{AT}/checkpoint/save-now", headers=bearer).status_code in (409, status)
                assert client.get("/", headers=bearer).status_code == 200
        program = next(child for child in psutil.Process(app.process.pid).children())
    assert not program.is_running()


def test_without_a_network_a_share_link_is_not_had_and_the_page_stays_here(tmp_path):
    nowhere = {"HTTPS_PROXY": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9", "NO_PROXY": "127.0.0.1"}
    with running_app(tmp_path, GRADIO_SHARE="1", **nowhere) as app:
        assert "There is no share link: the share server could not be reached" in app.said
        link = re.search(r"(http://127\.0\.0\.1:\d+)(/enter\?token=\S+)", app.said)
        with httpx.Client(base_url=link[1], timeout=60) as client:
            assert client.get("/").status_code == 401
            assert client.get(link[2]).status_code == 200
            assert client.get("/api/place").json()["role"] == "owner"
            assert client.get("/", headers={"host": "evil.gradio.live.example"}).status_code == 421


def test_where_the_rules_cannot_be_kept_it_ends_with_one_sentence(tmp_path):
    given = [sys.executable, str(APP), "--runs-dir", str(tmp_path), "--share"]
    env = {**os.environ, "GRADIO_SERVER_NAME": "0.0.0.0"}
    ended = subprocess.run(given, env=env, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 2 and "two places" in ended.stderr
    assert ended.stderr.count("\n") == 1 and "Traceback" not in ended.stderr
