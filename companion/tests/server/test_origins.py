"""Host names and origins: the companion's own are accepted, also behind proxies, and no others."""

from collections.abc import Iterator

import httpx
import pytest

from patchlight.server.addresses import parse_address
from patchlight.server.page import Page
from patchlight.server.settings import ServeSettings
from tests.helpers.secured import TOKEN, Server, secured
from tests.helpers.serving import form


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


@pytest.mark.parametrize(
    "host", ["localhost.", "LocalHost.:8642", "[0:0:0:0:0:0:0:1]:8642", "127.0.0.1."], ids=lambda host: host
)
def test_other_spellings_of_a_name_are_accepted(host: str, local_server: Server):
    own = {"Host": host, "Origin": f"http://{host}".upper().replace("HTTP", "http")}
    assert httpx.post(f"{local_server.url}/v1/runs/x/cancel", headers=own).status_code == 404


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("localhost:8642", "https://gpu.example"),
        ("localhost:8642", "https://gpu.example:443"),
        ("localhost:8642", "http://GPU.Example.:9000"),
        ("gpu.example", "https://gpu.example"),
        ("gpu.example:443", "https://gpu.example"),
        ("gpu.example", "http://localhost:9000"),
        ("gpu.example", "http://[::1]:9000"),
        ("127.0.0.1:8642", "http://localhost:8642"),
        ("[2001:db8::7]:80", "http://[2001:0db8:0::7]"),
        ("localhost:8642", "https://[2001:db8::7]:9000"),
    ],
)
def test_behind_a_forwarder_all_own_names_are_origins(host: str, origin: str, forwarded_server: Server):
    headers = {"Host": host, "Origin": origin}
    with httpx.Client(base_url=forwarded_server.url, headers=headers) as client:
        assert client.post("/v1/runs/x/cancel").status_code == 404
        assert client.get("/v1/health").status_code == 200
        # A browser that names the relation of the page to the address must agree.
        assert client.post("/v1/runs/x/cancel", headers={"Sec-Fetch-Site": "same-origin"}).status_code == 404
        assert client.post("/v1/runs/x/cancel", headers={"Sec-Fetch-Site": "same-site"}).status_code == 403


@pytest.mark.parametrize(
    "origin",
    [
        "https://gpu.example.evil.example",
        "https://evil.example",
        "https://gpu.example@evil.example",
        "https://evil.example/gpu.example",
        "null",
        "gpu.example",
        "file://gpu.example",
        "https://10.0.0.9",
        "https://",
    ],
)
def test_behind_a_forwarder_other_origins_are_refused(origin: str, forwarded_server: Server):
    for host in ("localhost", "gpu.example"):
        response = httpx.post(f"{forwarded_server.url}/v1/runs/x/cancel", headers={"Host": host, "Origin": origin})
        assert (response.status_code, response.json()["type"]) == (403, "urn:patchlight:problem:foreign-origin")


@pytest.fixture(scope="module")
def forwarded_server(page: Page) -> Iterator[Server]:
    with secured(page, allowed_hosts=("gpu.example:443", "[2001:db8::7]")) as server:
        yield server


def test_a_forwarder_that_renames_the_host_cannot_be_used_for_dns_rebinding(local_server: Server):
    # evil.example resolves to a forwarder on this machine, which passes requests on as localhost.
    rebound = {"Host": "localhost", "X-Forwarded-Host": "evil.example"}
    response = httpx.get(f"{local_server.url}/v1/model", headers=rebound)
    assert (response.status_code, response.json()["type"]) == (400, "urn:patchlight:problem:unknown-host")
    post = {"Host": "localhost", "Origin": "http://evil.example", "Sec-Fetch-Site": "same-origin"}
    assert httpx.post(f"{local_server.url}/v1/runs/x/cancel", headers=post).status_code == 403
    own = {"Host": "localhost", "X-Forwarded-Host": "localhost:9000, inner.example"}
    assert httpx.get(f"{local_server.url}/v1/model", headers=own).status_code == 200


def test_a_forwarder_to_another_local_port_needs_no_option_if_the_browser_vouches_for_it(local_server: Server):
    headers = {"Host": "localhost:8642", "Origin": "http://localhost:9000"}
    assert httpx.post(f"{local_server.url}/v1/runs/x/cancel", headers=headers).status_code == 403
    vouched = headers | {"Sec-Fetch-Site": "same-origin"}
    assert httpx.post(f"{local_server.url}/v1/runs/x/cancel", headers=vouched).status_code == 404


def test_refusals_of_hosts_and_origins_say_what_was_found_and_what_to_do(local_server: Server):
    unknown = httpx.get(f"{local_server.url}/v1/health", headers={"Host": "gpu.example:80"}).json()["detail"]
    for part in ("'gpu.example:80'", "127.0.0.1, ::1, localhost", "--allow-host gpu.example"):
        assert part in unknown
    headers = {"Origin": "https://gpu.example", "Host": "localhost:8642"}
    foreign = httpx.post(f"{local_server.url}/v1/generate", headers=headers).json()["detail"]
    for part in ("'https://gpu.example'", "localhost:8642", "127.0.0.1, ::1, localhost", "--allow-host gpu.example"):
        assert part in foreign


@pytest.mark.parametrize("name", ["https://gpu.example", "", "a b", "user@gpu.example", "gpu.example/x", "gpu:x"])
def test_an_allowed_host_that_is_not_a_name_is_refused(name: str):
    with pytest.raises(ValueError, match="not a host name"):
        ServeSettings(allowed_hosts=(name,))


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("a.b:80", "a.b"),
        ("[::1]:80", "::1"),
        ("A.", "a"),
        ("user@evil", None),
        ("[", None),
        ("a:b", None),
        ("a/b", None),
        ("", None),
    ],
)
def test_parsing_removes_the_port_and_rejects_invalid_hosts(host: str, name: str | None):
    address = parse_address(host)
    assert (address and address.name) == name
