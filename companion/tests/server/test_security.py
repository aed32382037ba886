"""Who is let in: every route with and without the token, by which names, from which pages, with which headers."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute

from patchlight.server.app import create_app
from patchlight.server.page import Page, load_page
from patchlight.server.security import ISOLATION_HEADERS, OTHER_HEADERS, hostname
from patchlight.server.settings import ServeSettings
from tests.helpers.paths import ROOT
from tests.helpers.serving import form, serving, tiny_session

TOKEN = "correct-horse-battery-staple"
VITE_CONFIG = ROOT / "vite.config.ts"
POLICY = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'"
INDEX = (
    f'<!doctype html><html><head><meta http-equiv="Content-Security-Policy" content="{POLICY}">'
    "<title>Patchlight</title></head><body></body></html>"
)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Page:
    folder = tmp_path_factory.mktemp("page")
    (folder / "assets").mkdir()
    (folder / "index.html").write_text(INDEX)
    for name in ("app-1a2b.js", "ort.mjs", "ort.wasm", "model.onnx"):
        (folder / "assets" / name).write_text(f"// {name}")
    (folder / "favicon.svg").write_text("<svg/>")
    return load_page(folder, has_api=True)


class Guarded(NamedTuple):
    app: FastAPI
    url: str


def guarded(page: Page, **settings: Any) -> Iterator[Guarded]:
    chosen = ServeSettings(**settings)
    app = create_app(chosen, tiny_session(chosen), page=page)
    with serving(app) as port:
        yield Guarded(app, f"http://127.0.0.1:{port}")


@pytest.fixture(scope="module")
def closed(page: Page) -> Iterator[Guarded]:
    """With a token, as if reached over a network."""
    yield from guarded(page, host="0.0.0.0", token=TOKEN, allowed_hosts=("box.example",))


@pytest.fixture(scope="module")
def opened(page: Page) -> Iterator[Guarded]:
    """On loopback, without a token."""
    yield from guarded(page)


def every_call(app: FastAPI) -> list[tuple[str, str]]:
    """Method and path of each route, the page's files and paths that nobody serves."""
    calls = [
        (method, re.sub(r"\{\w+\}", "x", route.path))
        for route in app.routes
        if isinstance(route, APIRoute)
        for method in route.methods or ()
    ]
    files = ["/", "/index.html", "/favicon.svg", "/assets/app-1a2b.js", "/v1/openapi.json", "/v1/nothing", "/nothing"]
    calls += [("GET", path) for path in files]
    calls += [(method, "/v1/generate") for method in ("GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH")]
    return calls


def test_every_route_wants_the_token(closed: Guarded):
    calls = every_call(closed.app)
    assert {("POST", "/v1/generate"), ("POST", "/v1/explain"), ("GET", "/v1/unembedding")} <= set(calls)
    assert ("POST", "/v1/runs/x/cancel") in calls
    assert ("GET", "/v1/head/x") in calls
    assert len(calls) >= 21
    offers: list[dict[str, str]] = [
        {},
        {"Authorization": f"Bearer {TOKEN}x"},
        {"Authorization": f"Bearer {TOKEN[:-1]}"},
        {"Authorization": f"Basic {TOKEN}"},
        {"Authorization": TOKEN},
        {"Cookie": "patchlight-token=wrong"},
        {"Cookie": f"other={TOKEN}"},
        {"X-Token": TOKEN},
    ]
    with httpx.Client(base_url=closed.url) as client:
        for method, path in calls:
            for headers in offers:
                response = client.request(method, path, headers=headers)
                assert response.status_code == 401, (method, path, headers)
                assert response.headers["www-authenticate"] == "Bearer"
                if method != "HEAD":
                    assert response.json()["type"] == "urn:patchlight:problem:token-wanted"
                    assert TOKEN not in response.text


def test_every_route_opens_with_the_token_as_bearer_or_cookie(closed: Guarded):
    with httpx.Client(base_url=closed.url) as client:
        for headers in ({"Authorization": f"Bearer {TOKEN}"}, {"Cookie": f"patchlight-token={TOKEN}"}):
            for method, path in every_call(closed.app):
                assert client.request(method, path, headers=headers).status_code not in (401, 403, 500), (method, path)
            answered = client.post("/v1/generate", headers=headers, **form(maxNewTokens=1))
            assert answered.status_code == 200


def test_the_address_with_the_token_sets_a_cookie_that_scripts_and_other_sites_do_not_get(closed: Guarded):
    with httpx.Client(base_url=closed.url) as client:
        entered = client.get("/", params={"token": TOKEN})
        assert (entered.status_code, entered.headers["location"]) == (303, "/")
        cookie = entered.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert entered.headers["cache-control"] == "no-store"
        assert client.get("/").status_code == 200
        assert client.get("/v1/model").status_code == 200
    with httpx.Client(base_url=closed.url) as client:
        assert client.get("/", params={"token": "wrong"}).status_code == 401
        # Only the page's own address takes it: elsewhere it would stay in logs and histories.
        assert client.get("/v1/model", params={"token": TOKEN}).status_code == 401


@pytest.mark.parametrize("offered", ["\u00e9" * 20, "a" * 10_000], ids=["accents", "long"])
def test_tokens_of_any_letters_are_only_wrong(offered: str, closed: Guarded):
    with httpx.Client(base_url=closed.url) as client:
        assert client.get("/", params={"token": offered}).status_code == 401
        for name, value in ((b"Cookie", f"patchlight-token={offered}"), (b"Authorization", f"Bearer {offered}")):
            for encoding in ("latin-1", "utf-8"):
                assert client.get("/v1/model", headers=[(name, value.encode(encoding))]).status_code in (400, 401)


def test_tokens_are_compared_in_constant_time(closed: Guarded, monkeypatch: pytest.MonkeyPatch):
    import hmac

    compared = []

    def watched(a: bytes, b: bytes) -> bool:
        compared.append(b)
        return a == b

    monkeypatch.setattr(hmac, "compare_digest", watched)
    assert httpx.get(closed.url + "/v1/model", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200
    # Bearer and cookie both, whichever was given.
    assert compared.count(TOKEN.encode()) >= 2


@pytest.mark.parametrize(
    "host",
    ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "", "[::1", "localhost:80:80", "10.0.0.7"],
)
def test_a_name_that_is_not_its_own_is_refused_on_loopback(host: str, opened: Guarded):
    response = httpx.get(opened.url + "/v1/health", headers={"Host": host})
    assert response.status_code == 400
    if response.headers["content-type"] == "application/problem+json":
        assert response.json()["type"] == "urn:patchlight:problem:unknown-host"


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8642", "127.0.0.1:1", "[::1]", "[::1]:8642"])
def test_loopback_s_names_are_its_own_at_any_port(host: str, opened: Guarded):
    # A tunnel's other end has another port.
    assert httpx.get(opened.url + "/v1/health", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("192.168.7.7:8642", 200),
        ("[fe80::1]", 200),
        ("box.example", 200),
        ("BOX.example:443", 200),
        ("evil.example", 400),
    ],
)
def test_on_a_network_addresses_and_allowed_names_are_its_own(host: str, status: int, closed: Guarded):
    headers = {"Host": host, "Authorization": f"Bearer {TOKEN}"}
    assert httpx.get(closed.url + "/v1/health", headers=headers).status_code == status


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "box.example", ""])
def test_what_others_can_reach_wants_a_token(host: str):
    with pytest.raises(ValueError, match="give a token"):
        ServeSettings(host=host)
    assert ServeSettings(host=host, token=TOKEN).host == host


@pytest.mark.parametrize("token", ["", "two words", "semi;colon", 'quo"te', "naïve", "new\nline"])
def test_a_token_that_no_cookie_carries_is_refused(token: str):
    with pytest.raises(ValueError, match="token"):
        ServeSettings(token=token)


@pytest.mark.parametrize(
    ("origin", "is_own"),
    [
        (None, True),
        ("{own}", True),
        ("http://evil.example", False),
        ("http://localhost:1", False),
        ("null", False),
        ("", False),
        ("http://[", False),
        ("{own}.evil.example", False),
    ],
)
def test_only_its_own_page_may_post(origin: str | None, is_own: bool, opened: Guarded):
    headers = {} if origin is None else {"Origin": origin.format(own=opened.url)}
    with httpx.Client(base_url=opened.url) as client:
        asked = client.post("/v1/generate", headers=headers, **form(maxNewTokens=1))
        assert asked.status_code == (200 if is_own else 403)
        sent = form(method="chefer", answerIds=[5, 6], tokenIndices=[1])
        assert client.post("/v1/explain", headers=headers, **sent).status_code == (200 if is_own else 403)
        assert client.post("/v1/runs/x/cancel", headers=headers).status_code == (404 if is_own else 403)


def test_no_answer_has_a_header_for_other_origins(opened: Guarded):
    with httpx.Client(base_url=opened.url) as client:
        for method, path in every_call(opened.app):
            headers = {"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"}
            response = client.request(method, path, headers=headers)
            assert not [name for name in response.headers if name.startswith("access-control-")], (method, path)
            assert response.headers["cross-origin-resource-policy"] == "same-origin"


def test_headers_are_those_of_the_preview_server(opened: Guarded):
    """vite.config.ts is what the page is developed and tested under: a header here and not there would be untested."""
    config = VITE_CONFIG.read_text()
    for name, value in (ISOLATION_HEADERS | OTHER_HEADERS).items():
        assert f"'{name}': '{value}'" in config
    isolation = re.search(r"const isolationHeaders = \{(.*?)\};", config, re.DOTALL)
    assert isolation is not None
    assert set(re.findall(r"'([\w-]+)': '", isolation[1])) == set(ISOLATION_HEADERS)
    preview = re.search(r"preview: \{\s*headers: \{(.*?)\n    \},", config, re.DOTALL)
    assert preview is not None
    assert set(re.findall(r"'([A-Z][\w-]+)':", preview[1])) == {*OTHER_HEADERS, "Content-Security-Policy"}
    assert "[...policy, \"frame-ancestors 'none'\"].join('; ')" in preview[1]
    for path in ("/", "/assets/app-1a2b.js", "/favicon.svg", "/v1/health"):
        headers = httpx.get(opened.url + path).headers
        assert headers["content-security-policy"] == f"{POLICY}; frame-ancestors 'none'"
        for name, value in (ISOLATION_HEADERS | OTHER_HEADERS).items():
            assert headers[name] == value


def test_the_page_is_told_where_the_api_is_and_keeps_its_policy(opened: Guarded):
    with httpx.Client(base_url=opened.url) as client:
        for path in ("/", "/index.html"):
            index = client.get(path)
            assert index.text == INDEX.replace("</head>", '<meta name="patchlight-companion" content="./v1/" /></head>')
            assert index.headers["content-type"] == "text/html; charset=utf-8"
            again = client.get(path, headers={"If-None-Match": index.headers["etag"]})
            assert (again.status_code, again.content) == (304, b"")


def test_files_have_the_types_that_browsers_insist_on(opened: Guarded):
    wanted = {"app-1a2b.js": "text/javascript", "ort.mjs": "text/javascript", "ort.wasm": "application/wasm"}
    with httpx.Client(base_url=opened.url) as client:
        for name, media_type in wanted.items():
            response = client.get(f"/assets/{name}")
            assert response.headers["content-type"].partition(";")[0] == media_type
            assert response.headers["cache-control"] == "private, max-age=31536000, immutable"


def test_part_of_a_file_is_served_by_range(opened: Guarded):
    """The page reads one image of a dataset out of a file of all of them."""
    with httpx.Client(base_url=opened.url) as client:
        part = client.get("/favicon.svg", headers={"Range": "bytes=1-3"})
        assert (part.status_code, part.content) == (206, b"svg")
        assert part.headers["content-range"] == "bytes 1-3/6"
        assert client.get("/favicon.svg", headers={"Range": "bytes=6-9"}).status_code == 416


@pytest.mark.parametrize(
    "path",
    ["/../settings.py", "/%2e%2e/%2e%2e/etc/passwd", "/assets/../../x", "//etc/passwd", "/assets/%00", "/assets"],
)
def test_nothing_outside_of_the_page_s_folder_is_served(path: str, opened: Guarded):
    with httpx.Client(base_url=opened.url) as client:
        response = client.get(httpx.URL(opened.url).copy_with(raw_path=path.encode()))
        assert response.status_code in (400, 404)


def test_a_folder_that_is_no_built_page_is_refused(tmp_path: Path):
    with pytest.raises(OSError, match=r"index\.html"):
        load_page(tmp_path, has_api=True)
    (tmp_path / "index.html").write_text("<html><head></head></html>")
    with pytest.raises(ValueError, match="no content security policy"):
        load_page(tmp_path, has_api=True)


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("a.b:80", "a.b"),
        ("[::1]:80", "::1"),
        ("A", "a"),
        ("user@evil", ""),
        ("[", ""),
        ("a:b", ""),
        ("a/b", ""),
        ("", ""),
    ],
)
def test_a_host_header_is_a_name_and_a_port_or_nothing(host: str, name: str):
    assert hostname(host) == name
