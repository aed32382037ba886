"""Access control for every route: the token, host names, origins and security headers."""

import re
from pathlib import Path

import httpx
import pytest

from patchlight.server.page import load_page
from patchlight.server.security import ISOLATION_HEADERS, OTHER_HEADERS
from tests.helpers.paths import ROOT
from tests.helpers.secured import INDEX, POLICY, Server, every_call

PAGE_HEADERS = ROOT / "scripts" / "page-headers.mjs"


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
    expected = {
        "app-1a2b.js": "text/javascript",
        "ort.mjs": "text/javascript",
        "ort.wasm": "application/wasm",
        "hens.jpg": "image/jpeg",
    }
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
