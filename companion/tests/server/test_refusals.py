"""What the companion refuses before any work is done for it, each with its status, its name and its two numbers."""

import json
import socket
import struct
import zlib
from collections.abc import Iterator
from typing import Any

import pytest

from patchlight.server.settings import ServeSettings
from tests.helpers.serving import Served, ask, companion, following, form, picture, refusal

SMALL = ServeSettings(image_bytes=80_000, image_pixels=20_000, question_chars=300, prompt_tokens=200, new_tokens=40)


@pytest.fixture(scope="module")
def small() -> Iterator[Served]:
    with companion(SMALL) as served:
        yield served


def png_head(width: int, height: int) -> bytes:
    """A file that says how large its picture is and holds none of it."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"IDAT", b"")]
    content = [
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(content)


IMAGES = {
    "too many bytes": (b"x" * 80_001, (413, "image-too-many-bytes", 80_000, 80_001)),
    "too many pixels": (picture(101, 200), (413, "image-too-many-pixels", 20_000, 20_200)),
    "too many pixels by its head alone": (png_head(9000, 9000), (413, "image-too-many-pixels", 20_000, 81_000_000)),
    "a bomb": (png_head(60_000, 60_000), (413, "image-too-many-pixels", 20_000, None)),
    "a line": (picture(2, 201), (413, "image-too-many-pixels", None, None)),
    "gif": (picture(20, 20, format="GIF"), (415, "image-format", None, None)),
    "bmp": (picture(20, 20, format="BMP"), (415, "image-format", None, None)),
    "tiff": (picture(20, 20, format="TIFF"), (415, "image-format", None, None)),
    "svg": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", (415, "image-format", None, None)),
    "text": (b"https://example.org/a.png", (415, "image-format", None, None)),
    "empty": (b"", (415, "image-format", None, None)),
}


@pytest.mark.parametrize("what", IMAGES)
def test_pictures_that_are_refused(what: str, small: Served):
    image, wanted = IMAGES[what]
    reads = small.session.read_count
    with small.client() as client:
        assert refusal(client.post("/v1/generate", **form(image=image))) == wanted
    assert small.session.read_count == reads


@pytest.mark.parametrize(("format", "share"), [("PNG", 0.5), ("JPEG", 0.5), ("WEBP", 0.8)])
def test_a_picture_cut_short_is_refused_before_the_model_sees_it(format: str, share: float, small: Served):
    whole = picture(60, 60, format=format)
    reads = small.session.read_count
    with small.client() as client:
        status, kind, _, _ = refusal(client.post("/v1/generate", **form(image=whole[: int(share * len(whole))])))
    assert (status, kind) in ((422, "image-damaged"), (415, "image-format"))
    assert small.session.read_count == reads


REQUESTS: dict[str, tuple[Any, tuple[int, str, int | None, int | None]]] = {
    "no question": ({}, (422, "invalid-request", None, None)),
    "an empty question": ({"question": " \n "}, (422, "question-empty", None, None)),
    "too many letters": ({"question": "a" * 301}, (422, "question-too-long", 300, 301)),
    "too long an answer": ({"question": "a", "maxNewTokens": 41}, (422, "too-many-new-tokens", 40, 41)),
    "no answer at all": ({"question": "a", "maxNewTokens": 0}, (422, "invalid-request", None, None)),
    "a field that is unknown": ({"question": "a", "imageUrl": "http://x"}, (422, "invalid-request", None, None)),
    "too hot": ({"question": "a", "temperature": 5.1}, (422, "invalid-request", None, None)),
    "colder than can be drawn with": ({"question": "a", "temperature": 1e-40}, (422, "invalid-request", None, None)),
    "no share": ({"question": "a", "topP": 0}, (422, "invalid-request", None, None)),
    "a list": ([1], (422, "invalid-request", None, None)),
}


@pytest.mark.parametrize("what", REQUESTS)
def test_requests_that_are_refused(what: str, small: Served):
    asked, wanted = REQUESTS[what]
    reads = small.session.read_count
    with small.client() as client:
        sent = {"request": json.dumps(asked)}
        assert refusal(client.post("/v1/generate", data=sent, files=form()["files"])) == wanted
    assert small.session.read_count == reads


def test_an_unknown_field_is_refused_by_its_name(small: Served):
    with small.client() as client:
        assert "imageUrl" in client.post("/v1/generate", **form(imageUrl="http://x")).json()["detail"]


def test_a_prompt_of_too_many_tokens_is_refused_with_both_numbers(small: Served):
    reads = small.session.read_count
    with small.client() as client:
        # A token a byte: too many by itself, before the picture is decoded ...
        assert refusal(client.post("/v1/generate", **form("a" * 250))) == (422, "question-too-long", 200, 250)
        assert small.session.read_count == reads
        # ... or with the template's own.
        found = refusal(client.post("/v1/generate", **form("a" * 199)))
        assert found[:3] == (422, "question-too-long", 200)
        assert found[3] is not None
        assert 200 < found[3] < 240
        assert ask(client, "a" * 150).end.reason == "length"


def test_a_question_that_smuggles_in_a_picture_is_refused(small: Served):
    with small.client() as client:
        assert refusal(client.post("/v1/generate", **form("What is <image>?")))[:2] == (422, "unanswerable")


def test_an_answer_longer_than_the_model_has_positions_for_is_refused_and_by_default_shortened():
    settings = ServeSettings(new_tokens=5000, prompt_tokens=5000)
    with companion(settings) as served, served.client() as client:
        status, kind, limit, found = refusal(client.post("/v1/generate", **form(maxNewTokens=4090)))
        assert (status, kind, limit) == (422, "question-too-long", 4096)
        assert found is not None
        assert found > 4096
        with following(client) as run:
            assert run.header["sampling"]["maxNewTokens"] == 4096 - (found - 4090)


BODIES: dict[str, tuple[dict[str, Any], tuple[int, str]]] = {
    "json": ({"json": {"question": "a"}}, (415, "not-multipart")),
    "nothing": ({}, (415, "not-multipart")),
    "no image": ({"files": {"request": (None, "{}")}}, (422, "missing-part")),
    "no request": ({"files": {"image": ("a.png", b"x")}}, (422, "missing-part")),
    "an image that is no file": (
        {"files": {"request": (None, '{"question":"a"}'), "image": (None, "x")}},
        (422, "missing-part"),
    ),
    "a third part": (
        {"files": {"image": ("a", b"x"), "mask": (None, "x"), "request": (None, "{}")}},
        (422, "unknown-part"),
    ),
    "two images": (
        {"files": [("image", ("a", b"x")), ("image", ("b", b"x")), ("request", (None, "{}"))]},
        (422, "unknown-part"),
    ),
    "a request past its limit": (
        {"files": {"image": ("a", b"x"), "request": (None, "x" * 70_000)}},
        (400, "not-multipart"),
    ),
    "a blob past its limit": (
        {"files": {"image": ("a", b"x"), "request": ("blob", "x" * 70_000)}},
        (413, "request-too-many-bytes"),
    ),
    "no boundary": ({"content": b"x", "headers": {"content-type": "multipart/form-data"}}, (400, "not-multipart")),
}


@pytest.mark.parametrize("what", BODIES)
def test_bodies_that_are_refused(what: str, small: Served):
    sent, wanted = BODIES[what]
    with small.client() as client:
        assert refusal(client.post("/v1/generate", **sent))[:2] == wanted


def raw_request(served: Served, head: str) -> socket.socket:
    """An open connection that has sent `head` and nothing of its body."""
    connection = socket.create_connection((served.host, served.port), timeout=10)
    lines = f"POST /v1/generate HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=x\r\n{head}"
    connection.sendall(lines.encode() + b"\r\n\r\n")
    return connection


def test_a_body_that_says_it_is_too_large_is_refused_before_it_comes(small: Served):
    with raw_request(small, "Content-Length: 10000000000") as connection:
        assert connection.recv(100).startswith(b"HTTP/1.1 413 ")


def test_a_body_that_does_not_say_and_is_too_large_is_refused_on_its_way(small: Served):
    with raw_request(small, "Transfer-Encoding: chunked") as connection:
        sent = 0
        chunk = b"8000\r\n" + b"x" * 0x8000 + b"\r\n"
        connection.settimeout(0.02)
        answer = b""
        while not answer and sent < 50_000_000:
            try:
                connection.sendall(chunk)
                sent += len(chunk)
                answer = connection.recv(100)
            except TimeoutError:
                continue
        assert answer.startswith(b"HTTP/1.1 4")
        assert sent < 5_000_000


def test_a_body_that_never_comes_is_given_up():
    with companion(ServeSettings(upload_s=0.3)) as served, raw_request(served, "Content-Length: 1000") as connection:
        assert connection.recv(100).startswith(b"HTTP/1.1 408 ")
