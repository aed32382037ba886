"""Tests explanations on a real socket: what is streamed, and which requests are refused."""

import io
import json
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest
import torch
from PIL import Image

from patchlight.methods.explain import Check, Cost, MethodMap, explain
from patchlight.methods.names import METHODS
from patchlight.models.loading import LoadOptions, load
from patchlight.models.several_images import read_images
from patchlight.server.app import create_app
from patchlight.server.session import ModelSession
from patchlight.server.settings import ServeSettings
from patchlight.wire.explanation import parse_explanation
from patchlight.wire.run import Run, read_run
from patchlight.wire.run_header import patch_count
from tests.helpers.paths import EMBEDDED, SAMPLES
from tests.helpers.serving import (
    Served,
    ask,
    ask_explanation,
    companion,
    explain_form,
    form,
    loaded,
    noise_image,
    open_explanation,
    refusal,
    serving,
)
from tests.helpers.tiny_models import KINDS, tiny

SMALL = ServeSettings(image_bytes=80_000, image_pixels=20_000, question_chars=300, prompt_tokens=200, new_tokens=40)


@pytest.fixture(scope="module")
def small() -> Iterator[Served]:
    with companion(SMALL) as served:
        yield served


@pytest.fixture(scope="module")
def embedded() -> Iterator[httpx.Client]:
    """A client of a companion with the embedded model."""
    model = load(LoadOptions(model=str(EMBEDDED), device="cpu"))
    settings = ServeSettings()
    session = ModelSession(model, settings, head=None, knows="Scenes.", train_command="patchlight train")
    with serving(create_app(settings, session)) as port:
        yield httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60)


# --- streaming ---


@pytest.mark.parametrize("method", ["chefer", "tam"])
def test_an_answer_about_two_images_is_explained_over_both(method: Any):
    made = tiny("qwen2.5-vl")
    files = [noise_image(120, 60, seed=1), noise_image(70, 150, seed=2)]
    with companion(ServeSettings(new_tokens=4), made) as served, served.client() as client:
        run = ask(client, image=files)
        indices = list(range(len(run.tokens)))
        streamed = ask_explanation(client, method, run, indices, files)
    model = loaded(made)
    images = [Image.open(io.BytesIO(file)) for file in files]
    reading = read_images(model.family, model.model, model.processor, images, run.header["question"])
    ids, log_probs = ([getattr(token, name) for token in run.tokens] for name in ("token_id", "log_prob"))
    steps = list(explain(model, reading, ids, method, indices, log_probs=log_probs))
    maps = [step for step in steps if isinstance(step, MethodMap)]
    assert streamed.header["patches"] == len(reading.patch_columns) == patch_count(run.header["geometry"])
    assert streamed.check is None or streamed.check[0]
    assert len(streamed.maps) == len(maps) == len(indices)
    for actual, expected in zip(streamed.maps, maps, strict=True):
        np.testing.assert_allclose(actual.values, expected.patches.numpy(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_each_method_streams_the_results_of_a_direct_call(method: Any, small: Served, run: Run):
    token_indices = [5, 0, 7]
    with small.client() as client:
        streamed = ask_explanation(client, method, run, token_indices)
    model = loaded(tiny("llava"))
    image = Image.open(io.BytesIO(noise_image())).convert("RGB")
    reading = model.family.read(model.model, model.processor, image, run.header["question"])
    ids, log_probs = ([getattr(token, name) for token in run.tokens] for name in ("token_id", "log_prob"))
    steps = list(explain(model, reading, ids, method, token_indices, log_probs=log_probs))

    assert streamed.places == [0]
    assert streamed.header["method"] == method
    assert streamed.header["model"] == {"name": "tiny", "revision": "0" * 12, "dtype": "float32", "device": "cpu"}
    assert streamed.header["tokenIndices"] == token_indices
    assert (streamed.header["patches"], streamed.header["promptTokens"]) == (16, len(reading.prompt_columns))
    checks = [step for step in steps if isinstance(step, Check)]
    assert (streamed.check is None) == (checks == [])
    if streamed.check is not None:
        # The weights and the computation are the same, but the log-probabilities were sent as float32.
        assert streamed.check[0]
        assert streamed.check[1] < 1e-4
    maps = [step for step in steps if isinstance(step, MethodMap)]
    assert [one.token_index for one in streamed.maps] == [one.token_index for one in maps] == token_indices
    for actual, expected in zip(streamed.maps, maps, strict=True):
        # The order of summation may differ between two passes.
        np.testing.assert_allclose(actual.values, expected.patches.numpy(), rtol=1e-4, atol=1e-6)
        for words, expected_words in ((actual.prompt, expected.prompt), (actual.answer, expected.answer)):
            assert (words is None) == (expected_words is None)
            if words is not None and expected_words is not None:
                np.testing.assert_allclose(words, expected_words.numpy(), rtol=1e-4, atol=1e-6)
        assert actual.ms > 0
    cost = steps[-1]
    assert isinstance(cost, Cost)
    assert streamed.end is not None
    assert (streamed.end.reason, streamed.end.tokens) == ("done", 3)
    assert (streamed.end.forward_passes, streamed.end.backward_passes) == (cost.forward_passes, cost.backward_passes)
    assert streamed.end.ms > 0


@pytest.mark.parametrize("kind", KINDS)
def test_explanations_cover_all_frames_of_every_family(kind: str):
    with companion(ServeSettings(new_tokens=4), tiny(kind)) as served, served.client() as client:
        image = noise_image(300, 130)
        answer = ask(client, image=image)
        facts = client.get("/v1/model").json()
        refused = {entry["method"]: entry["reason"] for entry in facts["refusedMethods"]}
        assert set(facts["methods"]) | set(refused) == set(METHODS)
        assert not set(facts["methods"]) & set(refused)
        assert all(refused.values())
        method = "tam" if "chefer" in refused else "chefer"
        explanation = ask_explanation(client, method, answer, [len(answer.tokens) - 1], image)
        if "chefer" in refused:
            response = client.post("/v1/explain", **explain_form("chefer", answer, [0], image))
            assert response.status_code == 422
            assert refused["chefer"] in response.json()["detail"]
    frames = answer.header["geometry"]["frames"]
    patches = sum(frame["grid"]["rows"] * frame["grid"]["cols"] for frame in frames)
    assert explanation.maps[0].values.shape == (patches,)
    assert explanation.check is not None
    assert explanation.check[0]


@pytest.mark.parametrize("name", ["run-1", "run-3"])
def test_a_recorded_answer_can_be_explained_by_another_companion(name: str, embedded: httpx.Client):
    recorded = read_run(SAMPLES / f"{name}.run")
    explanation = ask_explanation(embedded, "chefer", recorded, range(len(recorded.tokens)), recorded.picture)
    assert explanation.check is not None
    # Computed in float32 like the recorded answer, but perhaps with different kernels.
    assert explanation.check[0]
    assert explanation.check[1] < 1e-3
    assert [one.token_index for one in explanation.maps] == list(range(len(recorded.tokens)))
    # The head imitates these maps, so its maps must be clearly correlated with them.
    pairs = [
        (one.values, token.map.values)
        for one, token in zip(explanation.maps, recorded.tokens, strict=True)
        if token.map
    ]
    assert len(pairs) == len(recorded.tokens)
    assert np.mean([np.corrcoef(exact, head)[0, 1] for exact, head in pairs]) > 0.4


def test_log_probabilities_are_optional(small: Served, run: Run):
    fields = {"method": "chefer", "answerIds": [token.token_id for token in run.tokens], "tokenIndices": [1]}
    with small.client() as client:
        response = client.post("/v1/explain", **form(run.header["question"], **fields))
    explanation = parse_explanation(response.content)
    assert explanation.check is not None
    assert explanation.check[0]
    assert explanation.end is not None
    assert explanation.end.reason == "done"


def test_the_check_fails_for_another_answer(small: Served, run: Run):
    fields = json.loads(explain_form("chefer", run, [2])["data"]["request"])
    fields["answerIds"] = [(number + 1) % 50 for number in fields["answerIds"]]
    with small.client() as client:
        explanation = parse_explanation(client.post("/v1/explain", **form(**fields)).content)
    assert explanation.check is not None
    assert not explanation.check[0]
    assert explanation.check[1] > 0.1


def test_each_map_is_sent_while_the_next_is_computed(small: Served, run: Run):
    gate = threading.Event()
    rows = 0

    def wait() -> None:
        nonlocal rows
        rows += 1
        if rows == 3:  # after the check and two maps
            gate.wait(20)

    small.session.after_row = wait
    try:
        with small.client() as client, open_explanation(client, "chefer", run, range(6)) as explanation:
            assert [explanation.until("map")["tokenIndex"] for _ in range(2)] == [0, 1]
            assert not gate.is_set()
            gate.set()
            assert explanation.until("end")["tokens"] == 6
    finally:
        small.session.after_row = lambda: None


def test_a_truncated_stream_has_its_complete_maps_and_no_end(small: Served, run: Run):
    with small.client() as client:
        content = client.post("/v1/explain", **explain_form("chefer", run, range(4))).content
    assert len(parse_explanation(content).maps) == 4
    truncated = parse_explanation(content[: int(0.7 * len(content))])
    assert 0 < len(truncated.maps) < 4
    assert truncated.end is None


# --- failures ---


def test_a_model_that_returns_nan_ends_the_explanation_as_failed():
    made = tiny("llava")
    with companion(made=made) as served, served.client() as client:
        answer = ask(client, maxNewTokens=3)
        with torch.no_grad():
            made.model.model.language_model.norm.weight[3] = torch.nan
        explanation = ask_explanation(client, "chefer", answer, [0])
    assert explanation.maps == []
    assert explanation.end is not None
    assert explanation.end.reason == "failed"
    assert explanation.end.message is not None
    assert "finite" in explanation.end.message


def test_a_failure_keeps_the_maps_that_were_sent_and_the_next_request_works(small: Served, run: Run):
    rows = 0

    def fail() -> None:
        nonlocal rows
        rows += 1
        if rows == 3:
            raise RuntimeError("CUDA error: something\nwith internal details on a second line")

    small.session.after_row = fail
    try:
        with small.client() as client:
            explanation = ask_explanation(client, "chefer", run, range(8))
            assert explanation.end is not None
            assert (explanation.end.reason, explanation.end.message) == (
                "failed",
                "RuntimeError: CUDA error: something",
            )
            assert [one.token_index for one in explanation.maps] == [0, 1]
            small.session.after_row = lambda: None
            again = ask_explanation(client, "chefer", run, range(8))
            assert len(again.maps) == 8
    finally:
        small.session.after_row = lambda: None


def test_explaining_does_not_change_the_model_s_answers(small: Served, run: Run):
    with small.client() as client:
        for method in small.session.explainer.methods:
            ask_explanation(client, method, run, [3])
        again = ask(client, maxNewTokens=8)
    assert [token.token_id for token in again.tokens] == [token.token_id for token in run.tokens]
    np.testing.assert_allclose([t.log_prob for t in again.tokens], [t.log_prob for t in run.tokens], atol=1e-5)


# --- refused requests ---

REQUEST: dict[str, Any] = {
    "method": "chefer",
    "answerIds": [5, 6, 7],
    "logProbs": [-1.0, -0.5, -2],
    "tokenIndices": [1],
}
REFUSED: dict[str, tuple[dict[str, Any], tuple[int, str, int | None, int | None]]] = {
    "method null": ({"method": None}, (422, "invalid-request", None, None)),
    "an unknown method": ({"method": "lime"}, (422, "method-not-offered", None, None)),
    "a method that runs in the page": ({"method": "fastrm"}, (422, "method-not-offered", None, None)),
    "no answer": ({"answerIds": [], "logProbs": []}, (422, "invalid-request", None, None)),
    "too long an answer": ({"answerIds": [5] * 41, "logProbs": None}, (422, "answer-too-long", 40, 41)),
    "an id outside the vocabulary": ({"answerIds": [5, 6, 100_000]}, (422, "unknown-token-id", None, None)),
    "an id larger than any vocabulary": ({"answerIds": [5, 6, 2**40]}, (422, "invalid-request", None, None)),
    "a negative id": ({"answerIds": [5, -1, 7]}, (422, "invalid-request", None, None)),
    "too few log-probabilities": ({"logProbs": [-1.0]}, (422, "invalid-request", None, None)),
    "no token to explain": ({"tokenIndices": []}, (422, "invalid-request", None, None)),
    "an index after the answer": ({"tokenIndices": [3]}, (422, "invalid-request", None, None)),
    "a negative index": ({"tokenIndices": [-1]}, (422, "invalid-request", None, None)),
    "an index twice": ({"tokenIndices": [1, 1]}, (422, "invalid-request", None, None)),
    "an unknown field": ({"imageUrl": "http://x"}, (422, "invalid-request", None, None)),
    "an empty question": ({"question": " \n"}, (422, "question-empty", None, None)),
    "too many characters": ({"question": "a" * 301}, (422, "question-too-long", 300, 301)),
    "too many tokens": ({"question": "a" * 250}, (422, "question-too-long", 200, 250)),
}


@pytest.mark.parametrize("case", REFUSED)
def test_invalid_explanation_requests_are_refused(case: str, small: Served):
    change, expected = REFUSED[case]
    reads = small.session.read_count
    with small.client() as client:
        assert refusal(client.post("/v1/explain", **form(**(REQUEST | change)))) == expected
    assert small.session.read_count == reads


def test_nan_log_probabilities_are_refused(small: Served):
    body = json.dumps({"question": "a", **REQUEST, "logProbs": [float("nan"), -1, -1]})
    with small.client() as client:
        response = client.post("/v1/explain", data={"request": body}, files=form()["files"])
    assert refusal(response)[:2] == (422, "invalid-request")


def test_an_answer_with_an_image_token_is_refused_with_its_id(small: Served):
    image_id = tiny("llava").model.config.image_token_id
    with small.client() as client:
        fields: dict[str, Any] = REQUEST | {"answerIds": [5, image_id, 7]}
        response = client.post("/v1/explain", **form(**fields))
    assert refusal(response)[:2] == (422, "unknown-token-id")
    assert str(image_id) in response.json()["detail"]


def test_images_and_bodies_are_checked_as_for_a_question(small: Served):
    with small.client() as client:
        for image, expected in ((b"x" * 80_001, (413, "image-too-many-bytes")), (b"GIF89a", (415, "image-format"))):
            assert refusal(client.post("/v1/explain", **form(image=image, **REQUEST)))[:2] == expected
        assert refusal(client.post("/v1/explain", json=REQUEST))[:2] == (415, "not-multipart")


def test_an_answer_beyond_the_model_s_positions_is_refused():
    with companion(ServeSettings(new_tokens=5000)) as served, served.client() as client:
        fields: dict[str, Any] = REQUEST | {"answerIds": [5] * 4090, "logProbs": None}
        status, kind, limit, found = refusal(client.post("/v1/explain", **form(**fields)))
    assert (status, kind, limit) == (422, "question-too-long", 4096)
    assert found is not None
    assert found > 4096


def test_an_explanation_that_needs_too_much_memory_is_refused_before_any_work(run: Run):
    with companion(ServeSettings(explain_bytes=10_000)) as served, served.client() as client:
        assert client.get("/v1/model").json()["limits"]["explainBytes"] == 10_000
        response = client.post("/v1/explain", **explain_form("chefer", run, range(8)))
        status, kind, limit, found = refusal(response)
        assert (status, kind, limit) == (413, "explanation-too-large", 10_000)
        assert found is not None
        assert found > 10_000
        assert "--explain-memory" in response.json()["detail"]
        assert served.session.explain_count == 0
        # The refused request left the queue.
        assert ask(client, maxNewTokens=2).end.reason == "length"


def test_the_default_memory_limit_is_half_of_the_free_memory(small: Served):
    import psutil

    allowed = small.session.facts.limits.explain_bytes
    assert 0 < allowed <= 0.6 * psutil.virtual_memory().total
