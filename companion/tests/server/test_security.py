"""Access control for every route: the token, host names, origins and security headers."""

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
PAGE_HEADERS = ROOT / "scripts" / "page-headers.mjs"
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


class Server(NamedTuple):
    """A running app and its address."""

    app: FastAPI
    url: str


def serve(page: Page, **options: Any) -> Iterator[Server]:
    settings = ServeSettings(**options)
    app = create_app(settings, tiny_session(settings), page=page)
    with serving(app) as port:
        yield Server(app, f"http://127.0.0.1:{port}")


@pytest.fixture(scope="module")
def network_server(page: Page) -> Iterator[Server]:
    """A server open to the network, with a token."""
    yield from serve(page, host="0.0.0.0", token=TOKEN, allowed_hosts=("box.example",))


@pytest.fixture(scope="module")
def local_server(page: Page) -> Iterator[Server]:
    """A server on loopback, without a token."""
    yield from serve(page)


def every_call(app: FastAPI) -> list[tuple[str, str]]:
    """Return the method and path of each route, each file of the page, and some unknown paths."""
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


def test_every_route_requires_the_token(network_server: Server):
    calls = every_call(network_server.app)
    assert {("POST", "/v1/generate"), ("POST", "/v1/explain"), ("GET", "/v1/unembedding")} <= set(calls)
    assert ("POST", "/v1/runs/x/cancel") in calls
    assert ("GET", "/v1/head/x") in calls
    assert len(calls) >= 21
    wrong_headers: list[dict[str, str]] = [
        {},
        {"Authorization": f"Bearer {TOKEN}x"},
        {"Authorization": f"Bearer {TOKEN[:-1]}"},
        {"Authorization": f"Basic {TOKEN}"},
        {"Authorization": TOKEN},
        {"Cookie": "patchlight-token=wrong"},
        {"Cookie": f"other={TOKEN}"},
        {"X-Token": TOKEN},
    ]
    with httpx.Client(base_url=network_server.url) as client:
        for method, path in calls:
            for headers in wrong_headers:
                response = client.request(method, path, headers=headers)
                assert response.status_code == 401, (method, path, headers)
                assert response.headers["www-authenticate"] == "Bearer"
                if method != "HEAD":
                    assert response.json()["type"] == "urn:patchlight:problem:token-wanted"
                    assert TOKEN not in response.text


def test_every_route_accepts_the_token_as_bearer_or_cookie(network_server: Server):
    with httpx.Client(base_url=network_server.url) as client:
        for headers in ({"Authorization": f"Bearer {TOKEN}"}, {"Cookie": f"patchlight-token={TOKEN}"}):
            for method, path in every_call(network_server.app):
                assert client.request(method, path, headers=headers).status_code not in (401, 403, 500), (method, path)
            response = client.post("/v1/generate", headers=headers, **form(maxNewTokens=1))
            assert response.status_code == 200


def test_opening_the_page_with_the_token_sets_a_protected_cookie(network_server: Server):
    with httpx.Client(base_url=network_server.url) as client:
        response = client.get("/", params={"token": TOKEN})
        assert (response.status_code, response.headers["location"]) == (303, "/")
        cookie = response.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert response.headers["cache-control"] == "no-store"
        assert client.get("/").status_code == 200
        assert client.get("/v1/model").status_code == 200
    with httpx.Client(base_url=network_server.url) as client:
        assert client.get("/", params={"token": "wrong"}).status_code == 401
        # Only the page's URL accepts a token parameter; in other URLs, it would stay in logs and browser history.
        assert client.get("/v1/model", params={"token": TOKEN}).status_code == 401


@pytest.mark.parametrize("token", ["\u00e9" * 20, "a" * 10_000], ids=["accents", "long"])
def test_unusual_tokens_are_refused_without_an_error(token: str, network_server: Server):
    with httpx.Client(base_url=network_server.url) as client:
        assert client.get("/", params={"token": token}).status_code == 401
        for name, value in ((b"Cookie", f"patchlight-token={token}"), (b"Authorization", f"Bearer {token}")):
            for encoding in ("latin-1", "utf-8"):
                assert client.get("/v1/model", headers=[(name, value.encode(encoding))]).status_code in (400, 401)


def test_tokens_are_compared_in_constant_time(network_server: Server, monkeypatch: pytest.MonkeyPatch):
    import hmac

    compared = []

    def record(a: bytes, b: bytes) -> bool:
        compared.append(b)
        return a == b

    monkeypatch.setattr(hmac, "compare_digest", record)
    assert httpx.get(network_server.url + "/v1/model", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200
    # The bearer token and the cookie are both compared, no matter which was sent.
    assert compared.count(TOKEN.encode()) >= 2


@pytest.mark.parametrize(
    "host",
    ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "", "[::1", "localhost:80:80", "10.0.0.7"],
)
def test_unknown_host_names_are_refused_on_loopback(host: str, local_server: Server):
    response = httpx.get(local_server.url + "/v1/health", headers={"Host": host})
    assert response.status_code == 400
    if response.headers["content-type"] == "application/problem+json":
        assert response.json()["type"] == "urn:patchlight:problem:unknown-host"


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8642", "127.0.0.1:1", "[::1]", "[::1]:8642"])
def test_loopback_names_are_accepted_with_any_port(host: str, local_server: Server):
    # The other end of a tunnel may use a different port.
    assert httpx.get(local_server.url + "/v1/health", headers={"Host": host}).status_code == 200


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
def test_ip_addresses_and_allowed_names_are_accepted_on_a_network(host: str, status: int, network_server: Server):
    headers = {"Host": host, "Authorization": f"Bearer {TOKEN}"}
    assert httpx.get(network_server.url + "/v1/health", headers=headers).status_code == status


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "box.example", ""])
def test_a_host_that_others_can_reach_requires_a_token(host: str):
    with pytest.raises(ValueError, match="set a token"):
        ServeSettings(host=host)
    assert ServeSettings(host=host, token=TOKEN).host == host


@pytest.mark.parametrize("token", ["", "two words", "semi;colon", 'quo"te', "naïve", "new\nline"])
def test_a_token_that_does_not_fit_in_a_cookie_is_refused(token: str):
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
def test_only_pages_of_the_same_origin_may_post(origin: str | None, is_own: bool, local_server: Server):
    headers = {} if origin is None else {"Origin": origin.format(own=local_server.url)}
    with httpx.Client(base_url=local_server.url) as client:
        response = client.post("/v1/generate", headers=headers, **form(maxNewTokens=1))
        assert response.status_code == (200 if is_own else 403)
        request = form(method="chefer", answerIds=[5, 6], tokenIndices=[1])
        assert client.post("/v1/explain", headers=headers, **request).status_code == (200 if is_own else 403)
        assert client.post("/v1/runs/x/cancel", headers=headers).status_code == (404 if is_own else 403)


def test_no_response_has_cors_headers(local_server: Server):
    with httpx.Client(base_url=local_server.url) as client:
        for method, path in every_call(local_server.app):
            headers = {"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"}
            response = client.request(method, path, headers=headers)
            assert not [name for name in response.headers if name.startswith("access-control-")], (method, path)
            assert response.headers["cross-origin-resource-policy"] == "same-origin"


def test_headers_match_the_preview_server(local_server: Server):
    """The page is developed and tested with these headers, so one that is missing there would be untested."""
    source = PAGE_HEADERS.read_text()
    for name, value in (ISOLATION_HEADERS | OTHER_HEADERS).items():
        assert f"'{name}': '{value}'" in source
    isolation = re.search(r"const isolationHeaders = \{(.*?)\};", source, re.DOTALL)
    assert isolation is not None
    assert set(re.findall(r"'([\w-]+)': '", isolation[1])) == set(ISOLATION_HEADERS)
    preview = re.search(r"const previewHeaders = \{\s*\.\.\.isolationHeaders,(.*?)\};", source, re.DOTALL)
    assert preview is not None
    assert set(re.findall(r"'([A-Z][\w-]+)':", preview[1])) == {*OTHER_HEADERS, "Content-Security-Policy"}
    assert "[...policy, \"frame-ancestors 'none'\"].join('; ')" in preview[1]
    for path in ("/", "/assets/app-1a2b.js", "/favicon.svg", "/v1/health"):
        assert_has_page_headers(httpx.get(local_server.url + path))


def test_an_unmodified_file_has_all_headers_too(local_server: Server):
    """WebKit takes a cached worker's policy from the 304, and starts no worker without it."""
    with httpx.Client(base_url=local_server.url) as client:
        for path in ("/", "/assets/app-1a2b.js", "/favicon.svg"):
            first = client.get(path)
            again = client.get(path, headers={"If-None-Match": first.headers["etag"]})
            assert again.status_code == 304
            assert_has_page_headers(again)
            assert again.headers["cache-control"] == first.headers["cache-control"]


def assert_has_page_headers(response: httpx.Response) -> None:
    assert response.headers["content-security-policy"] == f"{POLICY}; frame-ancestors 'none'"
    for name, value in (ISOLATION_HEADERS | OTHER_HEADERS).items():
        assert response.headers[name] == value


def test_the_index_has_the_api_s_address_and_can_be_revalidated(local_server: Server):
    with httpx.Client(base_url=local_server.url) as client:
        for path in ("/", "/index.html"):
            index = client.get(path)
            assert index.text == INDEX.replace("</head>", '<meta name="patchlight-companion" content="./v1/" /></head>')
            assert index.headers["content-type"] == "text/html; charset=utf-8"
            again = client.get(path, headers={"If-None-Match": index.headers["etag"]})
            assert (again.status_code, again.content) == (304, b"")


def test_files_have_the_media_types_that_browsers_require(local_server: Server):
    expected = {"app-1a2b.js": "text/javascript", "ort.mjs": "text/javascript", "ort.wasm": "application/wasm"}
    with httpx.Client(base_url=local_server.url) as client:
        for name, media_type in expected.items():
            response = client.get(f"/assets/{name}")
            assert response.headers["content-type"].partition(";")[0] == media_type
            assert response.headers["cache-control"] == "private, max-age=31536000, immutable"


def test_part_of_a_file_is_served_by_range(local_server: Server):
    """The page uses range requests to read single images from a dataset's packed file."""
    with httpx.Client(base_url=local_server.url) as client:
        part = client.get("/favicon.svg", headers={"Range": "bytes=1-3"})
        assert (part.status_code, part.content) == (206, b"svg")
        assert part.headers["content-range"] == "bytes 1-3/6"
        assert client.get("/favicon.svg", headers={"Range": "bytes=6-9"}).status_code == 416


@pytest.mark.parametrize(
    "path",
    ["/../settings.py", "/%2e%2e/%2e%2e/etc/passwd", "/assets/../../x", "//etc/passwd", "/assets/%00", "/assets"],
)
def test_files_outside_the_page_s_folder_are_not_served(path: str, local_server: Server):
    with httpx.Client(base_url=local_server.url) as client:
        response = client.get(httpx.URL(local_server.url).copy_with(raw_path=path.encode()))
        assert response.status_code in (400, 404)


def test_a_folder_without_a_built_page_is_refused(tmp_path: Path):
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
def test_hostname_removes_the_port_and_rejects_invalid_hosts(host: str, name: str):
    assert hostname(host) == name
