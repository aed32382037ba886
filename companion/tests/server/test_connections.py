"""Connections of clients that send or read nothing, too slowly, too much, or no valid HTTP."""

import logging
import re
import select
import socket
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import httpx
import pytest

from patchlight.server.settings import ServeSettings
from tests.helpers.serving import Served, ask, companion, form, noise_image, open_run, wait_until

QUICK = ServeSettings(header_s=0.3, keep_alive_s=0.3, upload_s=0.3, stall_s=0.3)
HEALTH = b"GET /v1/health HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture(scope="module")
def quick() -> Iterator[Served]:
    with companion(QUICK) as served:
        yield served


@contextmanager
def connected(
    served: Served, sent: bytes = b"", *, receive_buffer: int | None = None, address: str | None = None
) -> Iterator[socket.socket]:
    """Open a connection, from an address of this machine, and send some bytes."""
    with socket.socket() as client:
        client.settimeout(30)
        if address is not None:
            client.bind((address, 0))
        if receive_buffer is not None:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        client.connect((served.host, served.port))
        client.sendall(sent)
        yield client


def received(client: socket.socket) -> bytes:
    """Return what arrives until the server closes the connection."""
    content = b""
    try:
        while data := client.recv(65536):
            content += data
    except ConnectionResetError:
        pass
    return content


def readable(clients: Sequence[socket.socket]) -> list[socket.socket]:
    """Return the connections on which something has arrived, or that the server has closed."""
    return select.select(clients, [], [], 0)[0]


def statuses(response: bytes) -> list[int]:
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d+) ", response)]


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (b"", []),
        (b"GET /v1/health HT", [408]),
        (b"GET /v1/health HTTP/1.1\r\nHost: localhost\r\nX-A: b", [408]),
        (HEALTH, [200]),
        (HEALTH + b"GET /v1/he", [200, 408]),
        (HEALTH + HEALTH, [200, 200]),
        (b"POST /v1/health HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nx", [405]),
        (b"GET /v1/health HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nx", [200]),
        (b"GET /v1/health HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", [200]),
    ],
    ids=["nothing", "a request line", "headers", "idle", "part of a second", "pipelined", "405", "a body", "a chunk"],
)
def test_a_client_that_stops_sending_is_disconnected(sent: bytes, expected: list[int], quick: Served):
    with connected(quick, sent) as client:
        assert statuses(received(client)) == expected


def test_headers_that_drip_have_one_deadline(quick: Served):
    with connected(quick, b"GET /v1/health HTTP/1.1\r\nHost: localhost\r\n") as client:
        client.settimeout(0.02)
        response, sent = b"", 0
        while not response:
            try:
                client.sendall(b"X")
                sent += 1
                response = client.recv(65536)
            except TimeoutError:
                continue
        assert sent < 1000
        client.settimeout(30)
        response += received(client)
        assert statuses(response) == [408]
        assert b"urn:patchlight:problem:headers-too-slow" in response


def test_a_body_that_drips_is_refused_and_takes_no_place_in_the_queue():
    settings = ServeSettings(queue_length=0, upload_s=2)
    head = b"POST /v1/generate HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n"
    head += b"Content-Type: multipart/form-data; boundary=x\r\n\r\n--x"
    with companion(settings) as served, ExitStack() as stack, served.client() as client:
        slow = [stack.enter_context(connected(served, head)) for _ in range(50)]
        # Nobody waits for the slow ones.
        assert ask(client, maxNewTokens=1).end.reason == "length"
        for each in slow:
            response = received(each)
            assert statuses(response) == [408]
            assert b"within 2 s" in response


def test_if_too_many_bodies_arrive_the_slowest_of_the_busiest_client_is_refused():
    head = b"POST /v1/generate HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n"
    head += b"Content-Type: multipart/form-data; boundary=x\r\n%b\r\n--x"
    with companion(ServeSettings(uploads=3)) as served, ExitStack() as stack, served.client() as client:

        def open_slow(header: bytes = b"") -> socket.socket:
            return stack.enter_context(connected(served, head % header))

        # A proxy on this machine names its clients.
        other = open_slow(b"X-Forwarded-For: 192.0.2.7\r\n")
        slow = [open_slow() for _ in range(5)]
        assert ask(client, maxNewTokens=1).end.reason == "length"
        wait_until(lambda: len(readable(slow)) >= 3, "slow bodies were refused")
        for each in readable(slow):
            response = received(each)
            assert statuses(response) == [503]
            assert b"retry-after: 1" in response.lower()
            assert b"urn:patchlight:problem:too-many-uploads" in response
        assert readable([other]) == []


def test_a_client_that_reads_nothing_is_disconnected_and_its_run_is_stopped():
    settings = ServeSettings(stall_s=0.3, buffer_bytes=1000)
    request = httpx.Request(
        "POST", "http://localhost/v1/generate", **form(image=noise_image(1600, 1600), sendImage=True)
    )
    head = "POST /v1/generate HTTP/1.1\r\nHost: localhost\r\n"
    head += "".join(f"{name}: {request.headers[name]}\r\n" for name in ("content-type", "content-length"))
    with (
        companion(settings) as served,
        served.client() as client,
        connected(served, head.encode() + b"\r\n" + request.read(), receive_buffer=4096) as stalled,
    ):
        wait_until(lambda: served.session.answer_count == 1, "the answer has begun")
        wait_until(served.session.stops[0], "the run was told to stop")
        assert ask(client, maxNewTokens=1).end.reason == "length"
        assert not received(stalled).endswith(b"\r\n0\r\n\r\n")


INVALID = {
    "no HTTP": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400, "invalid-http"),
    "a blank first line": (b"\r\n" + HEALTH, 400, "invalid-http"),
    "no Host": (b"GET /v1/health HTTP/1.1\r\n\r\n", 400, "invalid-http"),
    "two Hosts": (b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n", 400, "invalid-http"),
    "two lengths": (
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        400,
        "invalid-http",
    ),
    "a length and chunks": (
        b"POST /v1/generate HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"0\r\n\r\n" + HEALTH,
        400,
        "invalid-http",
    ),
    "an unknown encoding": (
        b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: xchunked\r\n\r\n",
        501,
        "unsupported-encoding",
    ),
    "a space before the colon": (b"GET / HTTP/1.1\r\nHost : localhost\r\n\r\n", 400, "invalid-http"),
    "a bad chunk": (
        b"POST /v1/generate HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n"
        b"Content-Type: multipart/form-data; boundary=x\r\n\r\nzz\r\n",
        400,
        "invalid-http",
    ),
    "huge headers": (
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX-A: " + b"x" * 200_000 + b"\r\n\r\n",
        431,
        "headers-too-large",
    ),
    "a negative length": (b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n", 400, "invalid-http"),
}


@pytest.mark.parametrize("case", INVALID)
def test_what_is_not_a_valid_request_gets_one_problem_document(case: str, plain: Served):
    sent, status, kind = INVALID[case]
    with connected(plain, sent) as client:
        client.shutdown(socket.SHUT_WR)
        response = received(client)
    # Nothing after an invalid request is taken for another request.
    assert statuses(response) == [status]
    head, _, body = response.partition(b"\r\n\r\n")
    assert f"urn:patchlight:problem:{kind}".encode() in body
    assert b"application/problem+json" in head
    assert b"x-content-type-options: nosniff" in head.lower()


@pytest.mark.parametrize(
    "headers",
    [
        b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
        b"Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA",
        b"Connection: close",
        b"Expect: 100-continue\r\nConnection: close",
    ],
)
def test_upgrades_are_not_offered(headers: bytes, plain: Served, caplog: pytest.LogCaptureFixture):
    sent = b"GET /v1/health HTTP/1.1\r\nHost: localhost\r\n" + headers + b"\r\n\r\n"
    with connected(plain, sent + HEALTH.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")) as client:
        assert set(statuses(received(client))) == {200}
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_http_1_0_is_answered_and_closed(plain: Served):
    with connected(plain, b"GET /v1/health HTTP/1.0\r\nHost: localhost\r\n\r\n") as client:
        response = received(client)
    assert response.endswith(b"}")
    assert b"200 OK" in response
    with connected(plain, b"GET /v1/health HTTP/1.0\r\n\r\n") as client:
        assert b"the request has no Host header: send one of" in received(client)


def test_pipelined_requests_are_answered_in_order(plain: Served):
    sent = b"".join(f"GET /v1/{path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode() for path in ["health", "x"] * 20)
    closing = b"GET /v1/model HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    with connected(plain, sent + closing) as client:
        assert statuses(received(client)) == [200, 404] * 20 + [200]


@pytest.mark.parametrize("path", ["/v1/health", "/v1/model", "/v1/openapi.json", "/v1/unembedding?ids=1,2"])
def test_head_has_the_headers_of_get(path: str, plain: Served):
    with plain.client() as client:
        head, get = client.head(path), client.get(path)
    assert (head.status_code, head.content) == (200, b"")
    for name in ("content-length", "content-type", "x-content-type-options"):
        assert head.headers[name] == get.headers[name]


def test_head_of_a_route_without_get_is_refused(plain: Served):
    with plain.client() as client:
        assert client.head("/v1/generate").status_code == 405
        assert client.head("/v1/nothing").status_code == 404


def test_with_too_many_connections_idle_ones_are_closed_and_runs_continue():
    settings = ServeSettings(connections=6, grace_s=0.05, header_s=60, keep_alive_s=60)
    with companion(settings) as served, ExitStack() as stack:
        run = stack.enter_context(open_run(stack.enter_context(served.client()), maxNewTokens=40))
        run.until("token")
        idle = [stack.enter_context(connected(served)) for _ in range(40)]
        with served.client() as client:
            assert client.get("/v1/health").status_code == 200
        assert run.until("end")["reason"] == "length"
        # The oldest were closed.
        assert received(idle[0]) == received(idle[20]) == b""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no second loopback address")
def test_with_too_many_connections_those_of_the_busiest_client_are_closed_whatever_they_wait_for():
    settings = ServeSettings(connections=6, grace_s=0.05, header_s=60, keep_alive_s=60, upload_s=60)
    body = b"POST /v1/generate HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n"
    body += b"Content-Type: multipart/form-data; boundary=x\r\n\r\n--x"
    with companion(settings) as served, ExitStack() as stack:
        user = stack.enter_context(connected(served, HEALTH[:20], address="127.0.0.2"))
        crowd = [stack.enter_context(connected(served, body)) for _ in range(20)]
        wait_until(lambda: len(readable(crowd)) >= 15, "connections of the crowd were closed")
        user.sendall(HEALTH[20:])
        assert user.recv(65536).startswith(b"HTTP/1.1 200 ")


def test_if_all_connections_are_in_use_another_one_is_refused_with_words():
    gate = threading.Event()
    with companion(ServeSettings(connections=2)) as served, ExitStack() as stack:
        served.session.before_answer = lambda: gate.wait(20)
        stack.callback(gate.set)
        # Kept, because a run that is no longer read is closed.
        runs = [stack.enter_context(open_run(stack.enter_context(served.client()), maxNewTokens=1)) for _ in range(2)]
        for run in runs:
            run.until("queued")
        with served.client() as client:
            refused = client.get("/v1/health")
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
        problem = refused.json()
        assert problem["type"] == "urn:patchlight:problem:too-many-connections"
        assert problem["detail"].startswith("2 requests are being answered")
