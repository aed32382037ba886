"""Fuzzed requests: the server answers each one quickly with a 4xx problem or a complete run, and never crashes."""

import asyncio
import json
import os
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import schemathesis
import schemathesis.openapi
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from patchlight.methods.names import METHODS
from patchlight.server.app import create_app
from patchlight.server.settings import ServeSettings
from patchlight.wire.explanation import parse_explanation
from patchlight.wire.run import parse_run
from tests.helpers.paths import OPENAPI
from tests.helpers.serving import companion, noise_image, tiny_session

LIMITS = ServeSettings(image_bytes=40_000, image_pixels=40_000, question_chars=400, prompt_tokens=200, new_tokens=2)
# Multiplies the number of mutated requests that each test sends.
TIMES = int(os.environ.get("PATCHLIGHT_FUZZ", "1"))
MAX_RESPONSE_S = 10.0
VALID_IMAGES = (noise_image(24, 16), noise_image(24, 16, format="JPEG"), noise_image(24, 16, format="WEBP"))

quick = settings(
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
    database=None,
    derandomize=TIMES == 1,
)


class Caller:
    """Calls the app on its own event loop, without sockets, so that exceptions in the app are raised here."""

    def __init__(self, app: FastAPI):
        self._app, self._loop = app, asyncio.new_event_loop()
        self._lifespan = app.router.lifespan_context(app)
        self._loop.run_until_complete(self._lifespan.__aenter__())
        transport = httpx.ASGITransport(app=app)
        self._client = httpx.AsyncClient(transport=transport, base_url="http://localhost")

    def request(self, method: str, path: str, **more: Any) -> httpx.Response:
        async def bounded() -> httpx.Response:
            async with asyncio.timeout(MAX_RESPONSE_S):
                return await self._client.request(method, path, **more)

        return self._loop.run_until_complete(bounded())

    def close(self) -> None:
        self._loop.run_until_complete(self._client.aclose())
        self._loop.run_until_complete(self._lifespan.__aexit__(None, None, None))
        self._loop.close()


@pytest.fixture(scope="module")
def caller() -> Iterator[Caller]:
    caller = Caller(create_app(LIMITS, tiny_session(LIMITS)))
    yield caller
    caller.close()


def check(response: httpx.Response) -> str:
    """Check a response; return the end reason of the run or explanation, or the problem type."""
    if response.status_code == 200 and b"patchlight.explain" in response.content[:4096]:
        explanation = parse_explanation(response.content)
        assert explanation.end is not None
        assert explanation.end.reason == "done"
        assert len(explanation.maps) == len(explanation.header["tokenIndices"])
        return "done"
    if response.status_code == 200:
        run = parse_run(response.content)
        assert run.end.reason in ("stop", "length")
        assert run.tokens
        assert run.states is not None
        return run.end.reason
    assert 400 <= response.status_code < 500, (response.status_code, response.text)
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert problem["status"] == response.status_code
    assert problem["detail"]
    return problem["type"]


def multipart(request: bytes, image: bytes, boundary: bytes = b"xYz", name: bytes = b'filename="a.png"') -> bytes:
    parts = [
        b'--%b\r\nContent-Disposition: form-data; name="request"\r\n\r\n%b\r\n' % (boundary, request),
        b'--%b\r\nContent-Disposition: form-data; name="image"; %b\r\n' % (boundary, name),
        b"Content-Type: image/png\r\n\r\n%b\r\n--%b--\r\n" % (image, boundary),
    ]
    return b"".join(parts)


def mutated(content: bytes) -> st.SearchStrategy[bytes]:
    """Generate variants with one to four mutations: bytes changed, cut, repeated or inserted."""

    @st.composite
    def mutate(draw: st.DrawFn) -> bytes:
        bytes_ = bytearray(content)
        for _ in range(draw(st.integers(1, 4))):
            at = draw(st.integers(0, max(len(bytes_) - 1, 0)))
            size = draw(st.integers(1, 40))
            match draw(st.sampled_from(["flip", "cut", "double", "insert", "end"])):
                case "flip":
                    bytes_[at : at + 1] = bytes([draw(st.integers(0, 255))])
                case "cut":
                    del bytes_[at : at + size]
                case "double":
                    bytes_[at:at] = bytes_[at : at + size]
                case "insert":
                    bytes_[at:at] = draw(st.binary(min_size=1, max_size=12))
                case _:
                    del bytes_[at:]
        return bytes(bytes_)

    return mutate()


def post(
    caller: Caller, body: bytes, content_type: bytes = b"multipart/form-data; boundary=xYz", path: str = "/v1/generate"
) -> str:
    headers = [(b"content-type", content_type)]
    return check(caller.request("POST", path, content=body, headers=headers))


def explain(caller: Caller, request: bytes, image: bytes = VALID_IMAGES[1]) -> str:
    return post(caller, multipart(request, image), path="/v1/explain")


VALID_REQUEST = json.dumps({"question": "What is it?", "maxNewTokens": 1}).encode()
# The image is small, so most mutations hit the framing and the JSON.
VALID_BODY = multipart(VALID_REQUEST, VALID_IMAGES[1])


def test_the_valid_request_is_answered(caller: Caller):
    assert post(caller, VALID_BODY) == "length"
    for image in VALID_IMAGES:
        assert post(caller, multipart(VALID_REQUEST, image)) == "length"


@settings(quick, max_examples=1200 * TIMES)
@given(body=mutated(multipart(VALID_REQUEST, b"not an image")))
def test_mutated_bodies(body: bytes, caller: Caller):
    assert post(caller, body).startswith("urn:patchlight:problem:")


@settings(quick, max_examples=400 * TIMES)
@given(image=st.sampled_from(VALID_IMAGES).flatmap(mutated))
def test_mutated_images(image: bytes, caller: Caller):
    post(caller, multipart(VALID_REQUEST, image))


@settings(quick, max_examples=400 * TIMES)
@given(request_part=mutated(VALID_REQUEST))
def test_mutated_requests(request_part: bytes, caller: Caller):
    post(caller, multipart(request_part, VALID_IMAGES[1]))


TWO_IMAGES = VALID_BODY.replace(
    b"--xYz--\r\n",
    VALID_BODY[VALID_BODY.index(b"--xYz\r\n", 1) :],  # the image's part once more
)


def test_two_images_are_answered(caller: Caller):
    assert TWO_IMAGES.count(b'name="image"') == 2
    assert post(caller, TWO_IMAGES) == "length"


@settings(quick, max_examples=200 * TIMES)
@given(body=mutated(TWO_IMAGES))
def test_mutated_bodies_of_two_images(body: bytes, caller: Caller):
    post(caller, body)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
fields = {
    "question": st.text("abc <>\n\u00e9\U0001f600", min_size=1, max_size=20),
    "maxNewTokens": st.integers(1, 2),
    "temperature": st.floats(0, 5),
    "topP": st.floats(0.001, 1),
    "seed": st.integers(0, 2**32 - 1),
    "sendImage": st.booleans(),
    "sendUnembedding": st.booleans(),
    "pixels": st.lists(
        st.fixed_dictionaries(
            {"widthPx": st.integers(0, 30), "heightPx": st.just(16), "sha256": st.sampled_from(["0" * 64, "x"])}
        ),
        max_size=3,
    ),
}
# Mostly valid requests; a third of the optional fields have arbitrary values.
known = st.fixed_dictionaries(
    {"question": fields["question"]},
    optional={name: values | values | json_values for name, values in fields.items() if name != "question"},
)


@settings(quick, max_examples=400 * TIMES)
@given(value=json_values | known | known)
def test_requests_with_arbitrary_json(value: Any, caller: Caller):
    post(caller, multipart(json.dumps(value).encode("utf-8", "surrogatepass"), VALID_IMAGES[1]))


@settings(quick, max_examples=150 * TIMES)
@given(question=st.text(min_size=1, max_size=60))
def test_questions_with_arbitrary_characters_are_answered_or_refused(question: str, caller: Caller):
    request_part = json.dumps({"question": question, "maxNewTokens": 1}).encode()
    result = post(caller, multipart(request_part, VALID_IMAGES[1]))
    if question.isprintable() and question.strip() and "<" not in question:
        assert result == "length"


@settings(quick, max_examples=300 * TIMES)
@given(
    content_type=mutated(b"multipart/form-data; boundary=xYz; charset=utf-8").filter(
        lambda text: not {0, 10, 13} & set(text)
    )
)
def test_mutated_content_types(content_type: bytes, caller: Caller):
    post(caller, VALID_BODY, content_type)


@settings(quick, max_examples=200 * TIMES)
@given(
    name=mutated(b"filename=\"a.png\"; filename*=utf-8''%e2%82%ac.png").filter(lambda text: not {10, 13} & set(text)),
)
def test_mutated_filenames(name: bytes, caller: Caller):
    post(caller, multipart(VALID_REQUEST, VALID_IMAGES[1], name=name))


EXPLANATION = {
    "question": "What is it?",
    "method": "attention",
    "answerIds": [9, 12],
    "logProbs": [-0.5, -1.25],
    "tokenIndices": [1, 0],
}


def test_the_valid_explanation_request_is_answered(caller: Caller):
    for method in METHODS:
        assert explain(caller, json.dumps(EXPLANATION | {"method": method}).encode()) == "done"


@settings(quick, max_examples=600 * TIMES)
@given(request_part=mutated(json.dumps(EXPLANATION).encode()))
def test_mutated_explanation_requests(request_part: bytes, caller: Caller):
    explain(caller, request_part)


explanation_fields = {
    "question": st.just("What is it?") | st.text(max_size=20),
    "method": st.sampled_from(METHODS) | st.text(max_size=50),
    "answerIds": st.lists(st.integers(0, 60), min_size=1, max_size=3) | st.lists(st.integers(), max_size=4),
    "tokenIndices": st.lists(st.integers(0, 2), min_size=1, max_size=3, unique=True) | st.lists(st.integers()),
}
explanations = st.fixed_dictionaries(
    {name: values | values | json_values for name, values in explanation_fields.items()},
    optional={"logProbs": st.lists(st.floats(-30, 0), max_size=3) | st.lists(st.floats()) | json_values},
)


@settings(quick, max_examples=400 * TIMES)
@given(value=json_values | explanations | explanations | explanations)
def test_explanation_requests_with_arbitrary_json(value: Any, caller: Caller):
    explain(caller, json.dumps(value).encode("utf-8", "surrogatepass"))


@settings(quick, max_examples=100 * TIMES)
@given(image=st.sampled_from(VALID_IMAGES).flatmap(mutated))
def test_mutated_images_in_explanation_requests(image: bytes, caller: Caller):
    explain(caller, json.dumps(EXPLANATION).encode(), image)


described = schemathesis.openapi.from_path(OPENAPI).exclude(operation_id=["generate", "explain"])


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with companion(LIMITS) as served:
        yield served.url


@described.parametrize()
@settings(quick, max_examples=40 * TIMES)
def test_routes_match_their_description(case: schemathesis.Case, url: str):
    case.call_and_validate(base_url=url)
