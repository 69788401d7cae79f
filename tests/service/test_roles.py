"""The table of places and roles: what is not allowed by it is refused, whoever asks and however."""

from types import SimpleNamespace

import pytest

from llm_testing.config.pretrain import PretrainConfig
from llm_testing.errors import ConfigError, NotAllowed
from llm_testing.service.copies import copies
from llm_testing.service.discreet import discreet
from llm_testing.service.doors import TokenDoor
from llm_testing.service.names import check_names
from llm_testing.service.places import Place, Setting, setting_of
from llm_testing.service.roles import ACTIONS, DOOR, RIGHTS, Role, check, check_corpora, may, needs, rights, role_of

SPACE = {"SYSTEM": "spaces", "SPACE_ID": "ann/lab", "SPACE_HOST": "Ann-Lab.hf.space", "SPACE_AUTHOR_NAME": "ann"}
SIGNED = {**SPACE, "OAUTH_CLIENT_ID": "id", "OAUTH_CLIENT_SECRET": "secret", "OAUTH_SCOPES": "openid profile",
          "OPENID_PROVIDER_URL": "https://huggingface.co"}  # fmt: skip


BOBS_ID = "6032802e1f993496bc14d9e3"


def request(door, session=None, **headers: str):
    """A request that came in by a door."""
    pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
    scope = {DOOR: door, "headers": pairs, "server": ("127.0.0.1", 7860)}
    return SimpleNamespace(scope=scope if session is None else {**scope, "session": session})


def signed_in(name="someone", sub="1", until=4e9):
    return {"oauth_info": {"userinfo": {"preferred_username": name, "sub": sub}, "expires_at": until}}


@pytest.mark.parametrize(
    ("environ", "asked", "place"),
    [
        ({}, {}, Place.LOCAL),
        ({}, {"server_name": "127.0.0.1"}, Place.LOCAL),
        ({}, {"server_name": "0.0.0.0"}, Place.LAN),
        ({"GRADIO_SERVER_NAME": "0.0.0.0"}, {}, Place.LAN),
        ({}, {"share": True}, Place.SHARE),
        ({}, {"share": True, "server_name": "0.0.0.0"}, Place.UNKNOWN),
        ({"GRADIO_SHARE": "1"}, {}, Place.SHARE),
        (SPACE, {}, Place.SPACE),
        ({**SPACE, "GRADIO_SHARE": "1"}, {"share": True}, Place.SPACE),
        ({"SYSTEM": "spaces"}, {}, Place.SPACE),
        ({**SPACE, "LLM_TESTING_PROFILE": "public-demo"}, {}, Place.DEMO),
        ({**SPACE, "LLM_TESTING_PROFILE": "public"}, {}, Place.UNKNOWN),
        ({"LLM_TESTING_PROFILE": "public-demo"}, {"server_name": "0.0.0.0"}, Place.UNKNOWN),
    ],
)
def test_the_place_is_known_by_what_was_asked_and_the_environment(environ, asked, place):
    assert setting_of(environ, **asked).place == place


def test_every_place_has_rules_and_only_owners_act():
    assert set(RIGHTS) == set(Place)
    for place in Place:
        assert rights(place, Role.NOBODY) == frozenset()
        assert rights(place, Role.VIEWER) <= {"look"} and rights(place, Role.GUEST) <= {"look", "try"}
        assert rights(place, Role.OWNER) <= set(ACTIONS)
    assert RIGHTS[Place.UNKNOWN] == {}
    assert {place for place in Place if "paths" in rights(place, Role.OWNER)} == {Place.LOCAL}
    assert {place for place in Place if "fetch" in rights(place, Role.OWNER)} == {Place.LOCAL, Place.LAN}
    # A stranger with the link of a share must not write to the Hub with this machine's token.
    assert {place for place in Place if "push" in rights(place, Role.OWNER)} == {Place.LOCAL, Place.LAN, Place.SPACE}


def test_a_request_that_came_in_by_no_door_may_nothing():
    for stranger in (None, SimpleNamespace(), SimpleNamespace(scope={}), SimpleNamespace(request=None), object()):
        assert role_of(stranger) == Role.NOBODY
        assert not any(may(stranger, action) for action in ACTIONS)


def test_on_this_machine_whoever_passed_the_gate_is_the_owner():
    assert role_of(request(TokenDoor(Setting(Place.LOCAL)))) == Role.OWNER
    assert role_of(request(TokenDoor(Setting(Place.LOCAL, require_token=True)))) == Role.NOBODY
    assert role_of(request(TokenDoor(Setting(Place.UNKNOWN)))) == Role.NOBODY


@pytest.mark.parametrize("place", [Place.LAN, Place.SHARE])
def test_tokens_make_the_owner_and_the_viewer_by_header_and_by_cookie(place):
    door, other = TokenDoor(Setting(place)), TokenDoor(Setting(place))
    for token, role in ((door.owner_token, Role.OWNER), (door.viewer_token, Role.VIEWER)):
        assert role_of(request(door, authorization=f"Bearer {token}")) == role
        assert role_of(request(door, cookie=f"a=b; llm_testing_7860={token}")) == role
        assert role_of(request(door, cookie=f"llm_testing_7861={token}")) == Role.NOBODY
        assert role_of(request(other, authorization=f"Bearer {token}")) == Role.NOBODY
        assert role_of(request(door, authorization=token)) == Role.NOBODY
    for junk in ("", "Bearer ", "Bearer x", "bearer \xff", f"Bearer {door.owner_token}x"):
        assert role_of(request(door, authorization=junk)) == Role.NOBODY
    assert role_of(request(door, cookie="\x00;;=;llm_testing_7860")) == Role.NOBODY
    assert door.owner_token not in repr(door) and door.viewer_token not in repr(door)


@pytest.mark.parametrize(
    ("environ", "session", "role"),
    [
        (SIGNED, None, Role.VIEWER),
        (SIGNED, {}, Role.VIEWER),
        (SIGNED, signed_in("ann"), Role.OWNER),
        (SIGNED, signed_in("bob"), Role.VIEWER),
        (SIGNED, signed_in("ann", until=1e9), Role.VIEWER),
        (SIGNED, signed_in("ann", until=None), Role.VIEWER),
        (SIGNED, {"oauth_info": "ann"}, Role.VIEWER),
        (SPACE, signed_in("ann"), Role.VIEWER),  # sign-in is not set up: its signature proves nothing
        ({**SIGNED, "LLM_TESTING_OWNERS": f"cid, {BOBS_ID}"}, signed_in("bob", BOBS_ID), Role.OWNER),
        ({**SIGNED, "LLM_TESTING_OWNERS": f"cid, {BOBS_ID}"}, signed_in("cid", "1"), Role.OWNER),
        ({**SIGNED, "LLM_TESTING_OWNERS": ","}, signed_in("", ""), Role.VIEWER),
        # An account's name is chosen by whoever has it, its id is not: neither passes for the other.
        ({**SIGNED, "LLM_TESTING_OWNERS": BOBS_ID}, signed_in(BOBS_ID, "1"), Role.VIEWER),
        (SIGNED, signed_in("bob", "ann"), Role.VIEWER),
        (SIGNED, {"oauth_info": {**signed_in("x")["oauth_info"], "userinfo": {"name": "ann"}}}, Role.VIEWER),
        (SIGNED, signed_in("Ann"), Role.VIEWER),
        (SIGNED, signed_in("ann "), Role.VIEWER),
        (SIGNED, signed_in(["ann"], ["ann"]), Role.VIEWER),
        (SIGNED, signed_in("ann", until=float("nan")), Role.VIEWER),
        (SIGNED, signed_in("ann", until="4000000000"), Role.VIEWER),
        (SIGNED, {"oauth_info": {"userinfo": ["ann"], "expires_at": 4e9}}, Role.VIEWER),
        # Outside of a Space Gradio's sign-in signs everybody in as the account of this machine's token.
        ({**SIGNED, "SYSTEM": ""}, signed_in("ann"), Role.VIEWER),
        ({**SIGNED, "SPACE_ID": ""}, signed_in("ann"), Role.VIEWER),
        ({**SIGNED, "OAUTH_CLIENT_SECRET": ""}, signed_in("ann"), Role.VIEWER),
        ({**SIGNED, "LLM_TESTING_PROFILE": "public-demo"}, signed_in("bob"), Role.GUEST),
        ({**SIGNED, "LLM_TESTING_PROFILE": "public-demo"}, signed_in("ann"), Role.OWNER),
        ({**SIGNED, "LLM_TESTING_PROFILE": "other"}, signed_in("ann"), Role.NOBODY),
    ],
)
def test_on_a_space_the_sign_in_says_who_it_is(environ, session, role):
    assert role_of(request(TokenDoor(setting_of(environ)), session)) == role


def test_a_handler_is_guarded_whoever_calls_it():
    acted = []

    @needs("start")
    def on_start(request, *values):
        acted.append(values)
        return "begun"

    door = TokenDoor(Setting(Place.SHARE))
    owner = request(door, authorization=f"Bearer {door.owner_token}")
    viewer = request(door, authorization=f"Bearer {door.viewer_token}")
    assert on_start(owner, 1, 2) == "begun" and acted == [(1, 2)]
    with pytest.raises(NotAllowed, match="You may not start, resume and queue runs here; its owner may") as refused:
        on_start(viewer, 1)
    assert not refused.value.unknown
    for stranger in (None, request(door)):
        with pytest.raises(NotAllowed, match="open the link that the program printed") as refused:
            on_start(stranger, 1)
        assert refused.value.unknown
    assert len(acted) == 1
    with pytest.raises(ValueError, match="no-such is not one of"):
        needs("no-such")
    with pytest.raises(KeyError):
        check(owner, "no-such")


def test_texts_that_may_not_be_named_in_a_place_are_refused_all_at_once(tmp_path):
    own = tmp_path / "text.txt"
    own.write_text("some text")
    asked = {"corpus": str(own), "val_corpus": "https://example.org/x.txt"}
    check_corpora(request(TokenDoor(Setting(Place.LOCAL))), asked)
    door = TokenDoor(Setting(Place.SHARE))
    owner = request(door, authorization=f"Bearer {door.owner_token}")
    with pytest.raises(ConfigError) as refused:
        check_corpora(owner, asked)
    assert [problem.field for problem in refused.value.problems] == ["corpus", "val_corpus"]
    for wrong in ("/etc/passwd", "..", "app.py", "runs", "hf:a/b", "HTTP://x"):
        with pytest.raises(ConfigError):
            check_corpora(owner, {"corpus": wrong})
    check_corpora(owner, {"corpus": "tiny", "val_corpus": None})


def test_models_and_datasets_that_may_not_be_named_in_a_place_are_refused_all_at_once(tmp_path):
    asked = {"model_name": str(tmp_path), "dataset": "somebody/rows"}
    check_names(request(TokenDoor(Setting(Place.LOCAL))), asked)
    door = TokenDoor(Setting(Place.SHARE))
    owner = request(door, authorization=f"Bearer {door.owner_token}")
    with pytest.raises(ConfigError) as refused:
        check_names(owner, asked)
    assert [problem.field for problem in refused.value.problems] == ["model_name", "dataset"]
    for wrong in ("/etc", "..", "x.gguf", "~/model", "somebody/model", "runs", "C:\\models"):
        with pytest.raises(ConfigError, match="model_name"):
            check_names(owner, {"model_name": wrong})
    run_id = "20261123-101500-k3f9"
    for known in ("SmolLM2-135M-Instruct", "unsloth/Qwen2.5-7B-Instruct", "Qwen/Qwen2.5-7B-Instruct", run_id, None):
        check_names(owner, {"model_name": known, "dataset": "persona"})
    check_names(owner, {"model_name": f"{run_id}/step-00000100", "dataset": "yahma/alpaca-cleaned"})
    lan = TokenDoor(Setting(Place.LAN))
    check_names(request(lan, authorization=f"Bearer {lan.owner_token}"), {"model_name": "some/model", "dataset": "a/b"})


def test_an_answer_for_others_has_the_names_of_files_and_no_path(tmp_path):
    rows = str(tmp_path / "my-rows.jsonl")
    answer = {
        "config": {"model_name": str(tmp_path / "my-model"), "dataset": rows, "corpus": "tiny"},
        "error": f"2 rows of {rows} cannot be learned from.",
        "copies": {"cli": f"finetune --dataset={rows}"},
        "rows": [{"id": "a/b", "path": str(tmp_path / "runs" / "a")}],
        "traceback": "File /x",
    }
    shown = discreet(answer, [tmp_path / "runs"])
    assert shown["config"] == {"model_name": "my-model", "dataset": "my-rows.jsonl", "corpus": "tiny"}
    assert shown["error"] == "2 rows of my-rows.jsonl cannot be learned from."
    assert shown["copies"]["cli"] == "finetune --dataset=my-rows.jsonl" and shown["rows"][0]["path"] == "a/b"
    assert str(tmp_path) not in repr(shown) and "traceback" not in shown


@pytest.mark.parametrize("folder", ['o\'neil "x" 😀', "naïve \x1b[0m \u202e", "back\\slash", "a b " * 40])
def test_a_path_is_hidden_however_a_copy_spells_it(folder, tmp_path):
    own = f"{tmp_path}/{folder}/text.txt"
    config = PretrainConfig.build({"corpus": own})
    shown = discreet({"config": {"corpus": own}, **copies(config)}, [])
    assert shown["config"] == {"corpus": "text.txt"}
    for form in ("cli", "yaml", "python"):
        assert tmp_path.name not in shown[form] and "text.txt" in shown[form], shown[form]
