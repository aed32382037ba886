"""The log: one line per request with what an operator needs, nothing private, and no floods."""

import logging
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from patchlight.cli.http_server import configure_logging
from patchlight.server.log_limit import LogLimit
from patchlight.server.settings import ServeSettings
from tests.helpers.secured import TOKEN, Server
from tests.helpers.serving import companion, form, open_run, serving, wait_until


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Iterator[list[str]]:
    """The lines of the access log."""
    caplog.set_level(logging.INFO, "patchlight.access")
    collected: list[str] = []

    class Collect(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            collected.append(f"{record.levelname} {record.getMessage()}")

    handler = Collect()
    logging.getLogger("patchlight.access").addHandler(handler)
    yield collected
    logging.getLogger("patchlight.access").removeHandler(handler)


def test_each_request_has_one_line_without_the_question_or_the_token(lines: list[str], network_server: Server):
    own = {"Authorization": f"Bearer {TOKEN}"}
    calls: list[tuple[str, str, dict[str, Any]]] = [
        ("GET", f"/?token={TOKEN}", {"headers": own}),
        ("GET", "/assets/app-1a2b.js?secret=1", {"headers": own}),
        ("HEAD", "/v1/health", {"headers": own}),
        ("POST", "/v1/generate", {"headers": own, **form("Is it private?", maxNewTokens=1)}),
        ("GET", "/v1/nothing/%0Aforged", {"headers": own}),
        ("GET", "/v1/model?token=guess", {}),
        ("GET", "/", {"headers": {"Accept": "text/html"}}),
        ("POST", "/v1/generate", {"headers": {"Origin": "https://evil.example"}, **form()}),
        ("GET", "/", {"headers": {"Host": "evil.example"}}),
    ]
    sizes: list[int] = []
    for method, path, arguments in calls:
        sizes.append(len(httpx.request(method, network_server.url + path, **arguments).content))
        wait_until(lambda: len(lines) == len(sizes), "the request is logged")
    patterns = [
        r"INFO GET / 303 \d+ ms 0 B",
        r"INFO GET /assets/app-1a2b.js 200 \d+ ms 14 B",
        r"INFO HEAD /v1/health 200 \d+ ms 0 B",
        rf"INFO POST /v1/generate 200 \d+ ms {sizes[3]} B, \d+ ms in the queue",
        r"WARNING GET /v1/nothing/%0Aforged 404 \d+ ms \d+ B, not-found",
        r"WARNING GET /v1/model 401 \d+ ms \d+ B, token-wanted",
        r"WARNING GET / 401 \d+ ms \d+ B, token-wanted",
        r"WARNING POST /v1/generate 403 \d+ ms \d+ B, foreign-origin \(.*'https://evil.example'.*\)",
        r"WARNING GET / 400 \d+ ms \d+ B, unknown-host \(.*'evil.example'.*\)",
    ]
    for line, pattern in zip(lines, patterns, strict=True):
        assert re.fullmatch(pattern, line), (line, pattern)


def test_refusals_are_logged_with_their_reason_and_numbers(lines: list[str]):
    settings = ServeSettings(queue_length=0, question_chars=10, upload_s=0.2)
    with companion(settings) as served, served.client() as client:
        client.post("/v1/generate", **form("A question that is too long"))
        client.post("/v1/generate", content=b"x", headers={"Content-Type": "text/plain"})

        with socket.create_connection((served.host, served.port)) as slow:
            slow.sendall(
                b"POST /v1/generate HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n"
                b"Content-Type: multipart/form-data; boundary=x\r\n\r\n--x"
            )
            wait_until(lambda: len(lines) == 3, "the slow body was refused")
    assert [re.sub(r"\d+ ms \d+ B", "-", line) for line in lines] == [
        "WARNING POST /v1/generate 422 -, question-too-long (27, the limit is 10)",
        "WARNING POST /v1/generate 415 -, not-multipart",
        "WARNING POST /v1/generate 408 -, upload-too-slow",
    ]


def test_a_full_queue_and_a_client_that_leaves_are_logged(lines: list[str], caplog: pytest.LogCaptureFixture):
    with companion(ServeSettings(queue_length=0)) as served, served.client() as client:
        with open_run(client, maxNewTokens=400) as run, served.client() as other:
            run.until("token")
            assert other.post("/v1/generate", **form()).status_code == 503
        wait_until(lambda: len(lines) == 2, "both are logged")
    assert re.fullmatch(r"WARNING POST /v1/generate 503 \d+ ms \d+ B, queue-full \(1, the limit is 0\)", lines[0])
    assert re.fullmatch(r"INFO POST /v1/generate 200 \d+ ms \d+ B, \d+ ms in the queue, disconnected", lines[1])
    # A client that leaves is not a fault of the app.
    assert not [record for record in caplog.records if "ASGI" in record.getMessage()]


def test_stopping_the_server_during_an_answer_reports_no_fault(caplog: pytest.LogCaptureFixture):
    gate = threading.Event()
    with ExitStack() as clients:
        with companion() as served:
            served.session.before_answer = lambda: gate.wait(20)
            # Two answers: one that does not stop in time, and one that waits.
            runs = [clients.enter_context(open_run(clients.enter_context(served.client()))) for _ in range(2)]
            for run in runs:
                run.until("queued")
        gate.set()
        assert runs[1].until("end")["reason"] == "cancelled"
    assert not [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]


def test_an_unexpected_error_is_logged_with_its_status(lines: list[str]):
    app = FastAPI()

    @app.get("/fails")
    async def fails() -> None:
        raise RuntimeError("a fault")

    with serving(app) as port:
        assert httpx.get(f"http://127.0.0.1:{port}/fails").status_code == 500
    assert re.fullmatch(r"ERROR GET /fails 500 \d+ ms 21 B", lines[0])


class Recorder(logging.Handler):
    """Collects formatted lines."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(f"{record.levelname} {record.getMessage()}")


def record(level: int, message: str, similar: tuple[object, ...] | None = None) -> logging.LogRecord:
    made = logging.LogRecord("patchlight.test", level, __file__, 1, message, None, None)
    if similar is not None:
        made.__dict__["similar"] = similar
    return made


def test_similar_lines_beyond_a_limit_are_counted():
    target, now = Recorder(), 0.0
    limit = LogLimit(target, max_lines=3, window_s=10, clock=lambda: now)
    for number in range(8):
        limit.handle(record(logging.WARNING, f"GET /{number} 404", ("GET", "page", 404, "")))
    limit.handle(record(logging.INFO, "another kind"))
    assert target.lines == [*(f"WARNING GET /{number} 404" for number in range(3)), "INFO another kind"]
    now = 9.9
    limit.report()
    assert len(target.lines) == 4
    now = 10.0
    limit.report()
    assert target.lines[4:] == ["WARNING 5 similar lines suppressed: GET page 404"]
    limit.handle(record(logging.WARNING, "GET /8 404", ("GET", "page", 404, "")))
    assert target.lines[5:] == ["WARNING GET /8 404"]


def test_a_flood_of_different_lines_is_limited_too():
    target = Recorder()
    limit = LogLimit(target, max_lines=10, window_s=10, clock=lambda: 0.0)
    for number in range(10_000):
        limit.handle(record(logging.WARNING, f"strange {number}"))
    assert len(target.lines) < 300
    limit.report(everything=True)
    assert target.lines[-1] == f"WARNING {10_000 - len(target.lines) + 1} similar lines suppressed: others"


def test_the_level_hides_lines(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    root, access = logging.getLogger(), logging.getLogger("patchlight.access")
    monkeypatch.setattr(root, "handlers", [])
    try:
        configure_logging("warning")
        access.info("GET / 200")
        access.warning("GET / 404")
    finally:
        logging.getLogger("patchlight").setLevel(logging.NOTSET)
    assert "GET / 200" not in (error := capsys.readouterr().err)
    assert re.search(r"^\d{4}-\d\d-\d\d .* WARNING GET / 404$", error, re.MULTILINE)
