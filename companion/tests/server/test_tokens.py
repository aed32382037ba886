"""The token: which requests need it, the cookie that carries it, and what a browser shows without it."""

import html

import httpx
import pytest

from patchlight.server.page import Page
from patchlight.server.settings import ServeSettings
from tests.helpers.paths import ROOT
from tests.helpers.prefix_proxy import prefix_proxy
from tests.helpers.secured import TOKEN, Server, every_call, secured
from tests.helpers.serving import form


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
        {"Cookie": f"{network_server.cookie}=wrong"},
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
        for headers in ({"Authorization": f"Bearer {TOKEN}"}, {"Cookie": f"{network_server.cookie}={TOKEN}"}):
            for method, path in every_call(network_server.app):
                assert client.request(method, path, headers=headers).status_code not in (401, 403, 500), (method, path)
            response = client.post("/v1/generate", headers=headers, **form(maxNewTokens=1))
            assert response.status_code == 200


def test_opening_the_page_with_the_token_sets_a_protected_cookie(network_server: Server):
    with httpx.Client(base_url=network_server.url) as client:
        response = client.get("/", params={"token": TOKEN})
        assert (response.status_code, response.headers["location"]) == (303, "./")
        cookie = response.headers.get_list("set-cookie")[0].lower()
        assert "httponly" in cookie
        assert "samesite=lax" in cookie
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
        for name, value in ((b"Cookie", f"{network_server.cookie}={token}"), (b"Authorization", f"Bearer {token}")):
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


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "box.example", ""])
def test_a_host_that_others_can_reach_requires_a_token(host: str):
    with pytest.raises(ValueError, match="set a token"):
        ServeSettings(host=host)
    assert ServeSettings(host=host, token=TOKEN).host == host


@pytest.mark.parametrize("token", ["", "two words", "semi;colon", 'quo"te', "naïve", "new\nline"])
def test_a_token_that_does_not_fit_in_a_cookie_is_refused(token: str):
    with pytest.raises(ValueError, match="token"):
        ServeSettings(token=token)


def test_two_companions_on_one_host_keep_both_sessions(page: Page, network_server: Server):
    with secured(page, host="0.0.0.0", token="another-token-of-16") as other, httpx.Client() as browser:
        # Cookies belong to a host, whatever the port.
        for server, token in ((network_server, TOKEN), (other, "another-token-of-16")):
            assert browser.get(server.url, params={"token": token}, follow_redirects=True).text.startswith("<!doctype")
        for server in (network_server, other):
            assert browser.get(f"{server.url}/v1/model").status_code == 200


def test_logging_in_removes_the_cookie_of_earlier_versions(network_server: Server):
    with httpx.Client(base_url=network_server.url, cookies={"patchlight-token": TOKEN}) as client:
        assert client.get("/v1/model").status_code == 401
        cookies = client.get("/", params={"token": TOKEN}).headers.get_list("set-cookie")
    assert [cookie.partition("=")[0] for cookie in cookies] == [network_server.cookie, "patchlight-token"]
    assert "max-age=0" in cookies[1].lower()


def test_the_cookie_is_bound_to_the_host_if_the_address_is_https(network_server: Server):
    # A proxy on this machine says that the browser uses https.
    https = {"X-Forwarded-Proto": "https", "Host": "box.example"}
    with httpx.Client(base_url=network_server.url, headers=https) as client:
        cookie = client.get("/", params={"token": TOKEN}).headers.get_list("set-cookie")[0]
        assert cookie.startswith(f"__Host-patchlight-token-443={TOKEN};")
        assert {"secure", "path=/"} <= {part.strip().lower() for part in cookie.split(";")}
        response = client.get("/v1/model", headers={"Cookie": cookie.partition(";")[0]})
        assert response.status_code == 200


OPENED = {"Accept": "text/html,*/*;q=0.8", "Sec-Fetch-Dest": "document", "Sec-Fetch-Mode": "navigate"}
LINKED = OPENED | {"Sec-Fetch-Site": "cross-site"}


def test_a_link_with_the_token_on_another_site_opens_the_page(network_server: Server):
    with httpx.Client(base_url=network_server.url, headers=LINKED) as client:
        redirect = client.get("/", params={"token": TOKEN})
        assert redirect.status_code == 303
        # A browser sends a Lax cookie after such a link, but not a Strict one.
        assert "samesite=lax" in redirect.headers.get_list("set-cookie")[0].lower()
        assert client.get("/").text.startswith("<!doctype html>")


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
@pytest.mark.parametrize("mode", ["cors", "no-cors"])
def test_other_sites_cannot_use_the_cookie(site: str, mode: str, network_server: Server):
    headers = {"Cookie": f"{network_server.cookie}={TOKEN}", "Sec-Fetch-Site": site, "Sec-Fetch-Mode": mode}
    with httpx.Client(base_url=network_server.url, headers=headers) as client:
        for path in ("/v1/model", "/v1/unembedding?ids=1", "/", "/assets/app-1a2b.js"):
            assert client.get(path).status_code == 403, path
        for extra in ({}, {"Origin": "https://evil.example"}, {"Origin": "null"}):
            assert client.post("/v1/generate", headers=extra, **form(maxNewTokens=1)).status_code == 403
        # A form that is sent to a new tab is a navigation, but not one to a page.
        assert client.post("/v1/runs/x/cancel", headers={"Sec-Fetch-Dest": "document"}).status_code == 403


@pytest.mark.parametrize(
    ("query", "cookie", "words"),
    [
        ("?token=wrong", "", "The token in this address is not the one"),
        ("", "wrong", "no longer valid"),
        ("", "", "The request has no token."),
    ],
)
def test_a_browser_without_the_token_shows_what_to_do(query: str, cookie: str, words: str, network_server: Server):
    headers = OPENED | ({"Cookie": f"{network_server.cookie}={cookie}"} if cookie else {})
    with httpx.Client(base_url=network_server.url, headers=headers) as client:
        response = client.get(f"/{query}")
        assert (response.status_code, response.headers["content-type"]) == (401, "text/html; charset=utf-8")
        assert words in html.unescape(response.text)
        assert "Open the address that <code>patchlight</code> printed" in response.text
        assert TOKEN not in response.text
        policy = response.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'")
        assert "frame-ancestors 'none'" in policy
        # Programs and the page itself get a problem document, whatever they accept.
        problem = client.get(f"/v1/model{query}").json()
        assert problem["type"] == "urn:patchlight:problem:token-wanted"
        assert "Authorization: Bearer" in problem["detail"]
    api = httpx.get(f"{network_server.url}/{query}", headers={"Accept": "application/json"})
    assert api.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("removes_prefix", [True, False])
def test_a_link_with_the_token_works_behind_a_path_prefix(removes_prefix: bool, page: Page):
    with (
        secured(page, token=TOKEN, root_path="/lab/vision") as server,
        prefix_proxy(server.port, "/lab/vision", removes_prefix=removes_prefix) as proxy,
        httpx.Client(base_url=proxy) as browser,
    ):
        for address in ("/lab/vision/", "/lab/vision"):
            browser.cookies.clear()
            response = browser.get(address, params={"token": TOKEN}, follow_redirects=True)
            assert (response.url.raw_path, response.status_code) == (b"/lab/vision/", 200)
            assert "./v1/" in response.text
            assert [(cookie.path, cookie.name) for cookie in browser.cookies.jar] == [
                ("/lab/vision", f"patchlight-token-{httpx.URL(proxy).port}")
            ]
            for path in ("v1/model", "assets/app-1a2b.js", "favicon.svg"):
                assert browser.get(f"/lab/vision/{path}").status_code == 200
            assert browser.post("/lab/vision/v1/generate", headers={"Origin": proxy}, **form(maxNewTokens=1)).is_success
        # The cookie is not sent to what else the proxy serves.
        assert "cookie" not in browser.get("/elsewhere").request.headers


def test_a_link_with_the_token_works_behind_a_prefix_that_the_companion_does_not_know(page: Page):
    with (
        secured(page, token=TOKEN) as server,
        prefix_proxy(server.port, "/a") as proxy,
        httpx.Client(base_url=proxy, follow_redirects=True) as browser,
    ):
        response = browser.get("/a/", params={"token": TOKEN})
        assert (response.url.raw_path, response.status_code) == (b"/a/", 200)
        assert browser.get("/a/v1/model").status_code == 200
        assert [cookie.path for cookie in browser.cookies.jar] == ["/a"]


def test_a_companion_with_a_root_path_can_also_be_reached_directly(page: Page):
    with secured(page, token=TOKEN, root_path="/lab") as server, httpx.Client(base_url=server.url) as browser:
        response = browser.get("/", params={"token": TOKEN}, follow_redirects=True)
        assert (response.url.raw_path, response.status_code) == (b"/lab/", 200)
        assert browser.get("/lab/v1/health").status_code == 200


@pytest.mark.parametrize(
    "path", ["lab", "/lab/", "/", "//", "/a b", "/../x", "/v1", "/assets/x", "/a?b", "https://x/y"]
)
def test_an_invalid_root_path_is_refused(path: str):
    with pytest.raises(ValueError, match="root path"):
        ServeSettings(root_path=path)


def test_no_folder_of_the_page_is_a_root_path():
    for folder in (ROOT / "public").iterdir():
        if folder.is_dir():
            with pytest.raises(ValueError, match="which is a path of the companion"):
                ServeSettings(root_path=f"/{folder.name}")
