"""Tests that invalid requests are refused before any work is done, with the right status, problem kind and numbers."""

import hashlib
import io
import json
import socket
import struct
import zlib
from collections.abc import Iterator
from typing import Any

import pytest
from PIL import Image

from patchlight.server.settings import ServeSettings
from tests.helpers.serving import Served, ask, companion, form, noise_image, open_run, refusal
from tests.helpers.tiny_models import tiny

SMALL = ServeSettings(image_bytes=80_000, image_pixels=20_000, question_chars=300, prompt_tokens=200, new_tokens=40)


@pytest.fixture(scope="module")
def small() -> Iterator[Served]:
    with companion(SMALL) as served:
        yield served


def png_header(width: int, height: int) -> bytes:
    """Return a PNG file with a header but no pixels."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", b"")]
    content = [
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(content)


IMAGES = {
    "too many bytes": (b"x" * 80_001, (413, "image-too-many-bytes", 80_000, 80_001)),
    "too many pixels": (noise_image(101, 200), (413, "image-too-many-pixels", 20_000, 20_200)),
    "too many pixels in its header": (png_header(9000, 9000), (413, "image-too-many-pixels", 20_000, 81_000_000)),
    "a decompression bomb": (png_header(60_000, 60_000), (413, "image-too-many-pixels", 20_000, 3_600_000_000)),
    "extremely narrow": (noise_image(2, 201), (413, "image-too-many-pixels", None, None)),
    "gif": (noise_image(20, 20, format="GIF"), (415, "image-format", None, None)),
    "bmp": (noise_image(20, 20, format="BMP"), (415, "image-format", None, None)),
    "tiff": (noise_image(20, 20, format="TIFF"), (415, "image-format", None, None)),
    "svg": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", (415, "image-format", None, None)),
    "text": (b"https://example.org/a.png", (415, "image-format", None, None)),
    "empty": (b"", (415, "image-format", None, None)),
}


@pytest.mark.parametrize("case", IMAGES)
def test_invalid_images_are_refused(case: str, small: Served):
    image, expected = IMAGES[case]
    reads = small.session.read_count
    with small.client() as client:
        assert refusal(client.post("/v1/generate", **form(image=image))) == expected
    assert small.session.read_count == reads


@pytest.mark.parametrize(("format", "share"), [("PNG", 0.5), ("JPEG", 0.5), ("WEBP", 0.8)])
def test_a_truncated_image_is_refused_before_the_model_runs(format: str, share: float, small: Served):
    image = noise_image(60, 60, format=format)
    reads = small.session.read_count
    with small.client() as client:
        status, kind, _, _ = refusal(client.post("/v1/generate", **form(image=image[: int(share * len(image))])))
    assert (status, kind) == (422, "image-damaged")
    assert small.session.read_count == reads


def test_an_image_with_other_pixels_than_the_request_says_is_refused(small: Served):
    image = Image.new("RGB", (40, 30), "red")
    pixels = {"widthPx": 40, "heightPx": 30, "sha256": hashlib.sha256(image.tobytes()).hexdigest()}
    file = io.BytesIO()
    image.save(file, "PNG")
    reads = small.session.read_count
    with small.client() as client:
        for wrong, reason in (
            ({"widthPx": 30, "heightPx": 40}, "40 x 30 pixels, the request says 30 x 40"),
            ({"sha256": "0" * 64}, f"the SHA-256 {pixels['sha256']}, the request says {'0' * 64}"),
        ):
            response = client.post("/v1/generate", **form(image=file.getvalue(), pixels=pixels | wrong))
            assert refusal(response)[:2] == (422, "image-differs")
            assert reason in response.json()["detail"]
        assert small.session.read_count == reads
        assert ask(client, image=file.getvalue(), pixels=pixels, maxNewTokens=1).end.reason == "length"


SEVERAL = {
    # Counted before any of them is read.
    "too many": ([b"x"] * 9, (413, "too-many-images", 8, 9), "9 images"),
    "too many bytes together": ([b"x" * 50_000] * 2, (413, "image-too-many-bytes", 80_000, 100_000), "2 images"),
    "too many pixels together": (
        [noise_image(100, 100), noise_image(101, 100)],
        (413, "image-too-many-pixels", 20_000, 20_100),
        "image 2 and those before it",
    ),
    "another format": ([noise_image(), noise_image(format="GIF")], (415, "image-format", None, None), "image 2"),
    "cut off": ([noise_image(), noise_image()[:-40]], (422, "image-damaged", None, None), "image 2"),
}


@pytest.mark.parametrize("path", ["/v1/generate", "/v1/explain"])
@pytest.mark.parametrize("case", SEVERAL)
def test_invalid_images_of_several_are_refused(case: str, path: str, small: Served):
    images, expected, named = SEVERAL[case]
    fields = {} if path == "/v1/generate" else {"method": "attention", "answerIds": [9], "tokenIndices": [0]}
    reads = small.session.read_count
    with small.client() as client:
        response = client.post(path, **form(image=images, **fields))
    assert refusal(response) == expected
    assert named in response.json()["detail"]
    assert small.session.read_count == reads


def pixels_of(image: bytes) -> dict[str, Any]:
    decoded = Image.open(io.BytesIO(image))
    return {
        "widthPx": decoded.width,
        "heightPx": decoded.height,
        "sha256": hashlib.sha256(decoded.tobytes()).hexdigest(),
    }


def test_pixels_are_compared_image_by_image(small: Served):
    images = [noise_image(40, 30, seed=1), noise_image(30, 40, seed=2)]
    first, second = map(pixels_of, images)
    reads = small.session.read_count
    with small.client() as client:
        for pixels, kind, reason in (
            (first, "invalid-request", "`pixels` is for 1 images, the request has 2"),
            ([first, second, first], "invalid-request", "`pixels` is for 3 images, the request has 2"),
            ([], "invalid-request", "`pixels` is for 0 images, the request has 2"),
            ([second, first], "image-differs", "image 1 decodes to 40 x 30 pixels"),
            ([first, second | {"sha256": "0" * 64}], "image-differs", "image 2 decodes to pixels with the SHA-256"),
        ):
            response = client.post("/v1/generate", **form(image=images, pixels=pixels))
            assert refusal(response)[:2] == (422, kind)
            assert reason in response.json()["detail"]
        assert small.session.read_count == reads
        assert ask(client, image=images, pixels=[first, second], maxNewTokens=1).end.reason == "length"
        assert ask(client, image=images[:1], pixels=[first], maxNewTokens=1).end.reason == "length"


def test_a_model_that_reads_one_image_is_asked_about_one():
    with companion(ServeSettings(new_tokens=1), tiny("paligemma")) as served, served.client() as client:
        assert client.get("/v1/model").json()["limits"]["images"] == 1
        response = client.post("/v1/generate", **form(image=[noise_image()] * 2))
        assert refusal(response) == (413, "too-many-images", 1, 2)
        assert ask(client).end.reason in ("length", "stop")


def test_the_number_of_images_is_a_setting():
    with companion(ServeSettings(images=2)) as served, served.client() as client:
        assert client.get("/v1/model").json()["limits"]["images"] == 2
        response = client.post("/v1/generate", **form(image=[noise_image()] * 3))
        assert refusal(response) == (413, "too-many-images", 2, 3)


REQUESTS: dict[str, tuple[Any, tuple[int, str, int | None, int | None]]] = {
    "no question": ({}, (422, "invalid-request", None, None)),
    "an empty question": ({"question": " \n "}, (422, "question-empty", None, None)),
    "too many characters": ({"question": "a" * 301}, (422, "question-too-long", 300, 301)),
    "too long an answer": ({"question": "a", "maxNewTokens": 41}, (422, "too-many-new-tokens", 40, 41)),
    "an answer of no tokens": ({"question": "a", "maxNewTokens": 0}, (422, "invalid-request", None, None)),
    "an unknown field": ({"question": "a", "imageUrl": "http://x"}, (422, "invalid-request", None, None)),
    "too high a temperature": ({"question": "a", "temperature": 5.1}, (422, "invalid-request", None, None)),
    "too low a temperature": ({"question": "a", "temperature": 1e-40}, (422, "invalid-request", None, None)),
    "zero topP": ({"question": "a", "topP": 0}, (422, "invalid-request", None, None)),
    "a list": ([1], (422, "invalid-request", None, None)),
}


@pytest.mark.parametrize("case", REQUESTS)
def test_invalid_requests_are_refused(case: str, small: Served):
    request, expected = REQUESTS[case]
    reads = small.session.read_count
    with small.client() as client:
        data = {"request": json.dumps(request)}
        assert refusal(client.post("/v1/generate", data=data, files=form()["files"])) == expected
    assert small.session.read_count == reads


def test_the_refusal_of_an_unknown_field_names_it(small: Served):
    with small.client() as client:
        assert "imageUrl" in client.post("/v1/generate", **form(imageUrl="http://x")).json()["detail"]


def test_a_prompt_with_too_many_tokens_is_refused(small: Served):
    reads = small.session.read_count
    with small.client() as client:
        # One token per byte: the question alone has too many tokens, which is checked before the image is decoded.
        assert refusal(client.post("/v1/generate", **form("a" * 250))) == (422, "question-too-long", 200, 250)
        assert small.session.read_count == reads
        # The question and the chat template together have too many tokens.
        status, kind, limit, found = refusal(client.post("/v1/generate", **form("a" * 199)))
        assert (status, kind, limit) == (422, "question-too-long", 200)
        assert found is not None
        assert 200 < found < 240
        assert ask(client, "a" * 150).end.reason == "length"


def test_a_question_with_an_image_token_is_refused(small: Served):
    with small.client() as client:
        assert refusal(client.post("/v1/generate", **form("What is <image>?")))[:2] == (422, "unanswerable")


def test_answers_beyond_the_model_s_positions_are_refused_and_the_default_length_fits():
    settings = ServeSettings(new_tokens=5000, prompt_tokens=5000)
    with companion(settings) as served, served.client() as client:
        status, kind, limit, found = refusal(client.post("/v1/generate", **form(maxNewTokens=4090)))
        assert (status, kind, limit) == (422, "question-too-long", 4096)
        assert found is not None
        assert found > 4096
        with open_run(client) as run:
            assert run.header["sampling"]["maxNewTokens"] == 4096 - (found - 4090)


BODIES: dict[str, tuple[dict[str, Any], tuple[int, str]]] = {
    "json": ({"json": {"question": "a"}}, (415, "not-multipart")),
    "nothing": ({}, (415, "not-multipart")),
    "no image": ({"files": {"request": (None, "{}")}}, (422, "missing-part")),
    "no request": ({"files": {"image": ("a.png", b"x")}}, (422, "missing-part")),
    "an image without a filename": (
        {"files": {"request": (None, '{"question":"a"}'), "image": (None, "x")}},
        (422, "missing-part"),
    ),
    "a third part": (
        {"files": {"image": ("a", b"x"), "mask": (None, "x"), "request": (None, "{}")}},
        (422, "unknown-part"),
    ),
    "two requests": (
        {"files": [("image", ("a", b"x")), ("request", (None, "{}")), ("request", (None, "{}"))]},
        (422, "unknown-part"),
    ),
    "a second image without a filename": (
        {"files": [("request", (None, '{"question":"a"}')), ("image", ("a", noise_image())), ("image", (None, "x"))]},
        (422, "missing-part"),
    ),
    "too large a request": (
        {"files": {"image": ("a", b"x"), "request": (None, "x" * 70_000)}},
        (400, "not-multipart"),
    ),
    "too large a request as a blob": (
        {"files": {"image": ("a", b"x"), "request": ("blob", "x" * 70_000)}},
        (413, "request-too-many-bytes"),
    ),
    "no boundary": ({"content": b"x", "headers": {"content-type": "multipart/form-data"}}, (400, "not-multipart")),
}


@pytest.mark.parametrize("case", BODIES)
def test_invalid_bodies_are_refused(case: str, small: Served):
    arguments, expected = BODIES[case]
    with small.client() as client:
        assert refusal(client.post("/v1/generate", **arguments))[:2] == expected


def raw_request(served: Served, header: str) -> socket.socket:
    """Open a connection and send the headers, ending with `header`, but no body."""
    connection = socket.create_connection((served.host, served.port), timeout=10)
    lines = (
        f"POST /v1/generate HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=x\r\n{header}"
    )
    connection.sendall(lines.encode() + b"\r\n\r\n")
    return connection


def test_an_excessive_content_length_is_refused_before_the_body_arrives(small: Served):
    with raw_request(small, "Content-Length: 10000000000") as connection:
        assert connection.recv(100).startswith(b"HTTP/1.1 413 ")


def test_an_oversized_chunked_body_is_refused_while_it_arrives(small: Served):
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


def test_a_body_that_never_arrives_times_out():
    with companion(ServeSettings(upload_s=0.3)) as served, raw_request(served, "Content-Length: 1000") as connection:
        assert connection.recv(100).startswith(b"HTTP/1.1 408 ")
