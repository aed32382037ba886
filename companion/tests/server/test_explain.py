"""Tests explanations on a real socket: what is streamed, which requests are refused, how work is queued and stopped."""

import io
import json
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import pytest
import torch
from PIL import Image

from patchlight.methods.explain import Check, Cost, MethodMap, explain
from patchlight.methods.names import METHODS
from patchlight.models.loading import LoadOptions, load
from patchlight.server.app import create_app
from patchlight.server.session import ModelSession
from patchlight.server.settings import ServeSettings
from patchlight.wire.explanation import ExplanationWriter, TokenMap, parse_explanation
from patchlight.wire.run import Run, read_run
from tests.helpers.paths import EMBEDDED, SAMPLES
from tests.helpers.serving import (
    Served,
    WatchedSession,
    ask,
    ask_explanation,
    companion,
    explain_form,
    form,
    loaded,
    noise_image,
    open_explanation,
    open_run,
    refusal,
    serving,
    wait_until,
)
from tests.helpers.tiny_models import KINDS, tiny
from tests.makers.explanation_fixture import ROWS, sent_about
from tests.makers.run_fixture import FIXTURE

SMALL = ServeSettings(image_bytes=80_000, image_pixels=20_000, question_chars=300, prompt_tokens=200, new_tokens=40)


@pytest.fixture(scope="module")
def small() -> Iterator[Served]:
    with companion(SMALL) as served:
        yield served


@pytest.fixture(scope="module")
def run(small: Served) -> Run:
    """An answer of eight tokens."""
    with small.client() as client:
        return ask(client, maxNewTokens=8)


@pytest.fixture(scope="module")
def embedded() -> Iterator[httpx.Client]:
    """A client of a companion with the embedded model."""
    model = load(LoadOptions(model=str(EMBEDDED), device="cpu"))
    settings = ServeSettings()
    session = ModelSession(model, settings, head=None, knows="Scenes.", train_command="patchlight train")
    with serving(create_app(settings, session)) as port:
        yield httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60)


# --- streaming ---


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
    settings = ServeSettings(new_tokens=4)
    with serving(create_app(settings, WatchedSession(loaded(tiny(kind)), settings))) as port:
        client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60)
        image = noise_image(300, 130)
        answer = ask(client, image=image)
        explanation = ask_explanation(client, "chefer", answer, [len(answer.tokens) - 1], image)
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


# --- failures ---


def test_a_model_that_returns_nan_ends_the_explanation_as_failed():
    made = tiny("llava")
    settings = ServeSettings()
    with serving(create_app(settings, WatchedSession(loaded(made), settings))) as port:
        client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30)
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


# --- queueing and stopping ---


def test_explanations_and_answers_share_one_queue(run: Run):
    with companion() as served, ExitStack() as stack:
        gate = threading.Event()
        served.session.before_answer = lambda: gate.wait(20)
        clients = [stack.enter_context(served.client()) for _ in range(3)]
        first = stack.enter_context(open_run(clients[0], maxNewTokens=2))
        assert first.until("queued")["place"] == 0
        second = stack.enter_context(open_explanation(clients[1], "chefer", run, [0]))
        assert second.until("queued")["place"] == 1
        third = stack.enter_context(open_run(clients[2], maxNewTokens=2))
        assert third.until("queued")["place"] == 2
        gate.set()
        assert first.until("end")["reason"] == "length"
        assert second.until("end")["reason"] == "done"
        assert third.until("end")["reason"] == "length"


def test_an_explanation_is_refused_if_the_queue_is_full(run: Run):
    with companion(ServeSettings(queue_length=0)) as served, ExitStack() as stack:
        gate = threading.Event()
        served.session.before_answer = lambda: gate.wait(20)
        first = stack.enter_context(open_run(stack.enter_context(served.client()), maxNewTokens=2))
        assert first.until("queued")["place"] == 0
        full = stack.enter_context(served.client()).post("/v1/explain", **explain_form("chefer", run, [0]))
        gate.set()
        assert full.status_code == 503
        assert int(full.headers["retry-after"]) >= 1


def test_running_and_waiting_explanations_can_be_cancelled_by_id(run: Run):
    def hold_the_first_map() -> None:
        if served.session.row_count == 2:
            wait_until(served.session.stops[0], "the first was told to stop")

    with companion() as served, ExitStack() as stack:
        served.session.after_row = hold_the_first_map
        first, second = (
            stack.enter_context(open_explanation(stack.enter_context(served.client()), "chefer", run, range(8)))
            for _ in range(2)
        )
        client = stack.enter_context(served.client())
        assert second.until("queued")["place"] == 1
        assert client.post(f"/v1/runs/{second.header['id']}/cancel").status_code == 204
        assert second.until("end")["reason"] == "cancelled"
        assert first.until("map")["tokenIndex"] == 0
        assert client.post(f"/v1/runs/{first.header['id']}/cancel").status_code == 204
        rows = [first.next()]
        while rows[-1]["kind"] != "end":
            rows.append(first.next())
        # The explanation stops within one token: at most the map in progress arrives before the end row.
        assert len(rows) <= 3
        assert rows[-1]["reason"] == "cancelled"
        assert rows[-1]["tokens"] == len(rows)
        assert rows[-1]["backwardPasses"] == len(rows)
        assert served.session.explain_count == 1
        wait_until(lambda: client.post(f"/v1/runs/{first.header['id']}/cancel").status_code == 404, "run removed")


def test_disconnecting_stops_the_explanation_within_one_token(run: Run):
    row_counts: list[int] = []
    was_stopped = threading.Event()

    def hold_the_first_map() -> None:
        if served.session.row_count == 2:
            wait_until(served.session.stops[0], "the explanation was told to stop")
            was_stopped.set()

    with companion() as served, served.client() as client:
        served.session.after_row = hold_the_first_map
        with open_explanation(client, "chefer", run, range(8)) as explanation:
            explanation.until("map")
        served.session.before_answer = lambda: row_counts.append(served.session.row_count)
        assert ask(client, maxNewTokens=2).end.reason == "length"
        assert was_stopped.is_set() or row_counts[0] < 2
        # At most the map in progress and the end row.
        assert row_counts[0] <= 4


# --- unembedding rows ---


def rows_of(response: httpx.Response) -> tuple[dict[str, Any], list[int], np.ndarray]:
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/vnd.apache.arrow.stream"
    with pa.ipc.open_stream(response.content) as stream:
        table = stream.read_all()
    header = json.loads((table.schema.metadata or {})[b"patchlight.unembedding"])
    return header, table["tokenId"].to_pylist(), np.stack(table["row"].to_numpy(zero_copy_only=False))


def test_unembedding_rows_times_a_state_give_the_logits(small: Served, run: Run):
    weight = tiny("llava").model.lm_head.weight.detach().numpy()
    with small.client() as client:
        header, ids, rows = rows_of(client.get("/v1/unembedding", params={"ids": "7,0,41"}))
        assert header == {"formatVersion": 1, "model": {"name": "tiny", "revision": "0" * 12}, "hiddenSize": 32}
        assert ids == [7, 0, 41]
        assert rows.dtype == np.float16
        np.testing.assert_array_equal(rows, weight[[7, 0, 41]].astype(np.float16))
        for token in run.tokens[:3]:
            chosen, other = token.alternatives[:2]
            _, _, pair = rows_of(client.get("/v1/unembedding", params={"ids": f"{chosen.token_id},{other.token_id}"}))
            logits = pair.astype(np.float64) @ token.query_state.astype(np.float64)
            # Rows and state are fp16: a relative error of about 1e-3 on logits of a few units.
            assert abs((logits[0] - logits[1]) - (chosen.log_prob - other.log_prob)) < 0.02


def test_rows_that_overflow_fp16_are_sent_as_float32():
    made = tiny("llava")
    settings = ServeSettings()
    with serving(create_app(settings, WatchedSession(loaded(made), settings))) as port:
        client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30)
        with torch.no_grad():
            made.model.lm_head.weight[5] *= 2**30
        _, _, rows = rows_of(client.get("/v1/unembedding", params={"ids": "5,4"}))
    assert rows.dtype == np.float32
    np.testing.assert_array_equal(rows, made.model.lm_head.weight.detach().numpy()[[5, 4]])


def test_an_output_layer_with_a_bias_has_no_unembedding_rows():
    made = tiny("llava")
    made.model.lm_head.bias = torch.nn.Parameter(torch.ones(made.model.lm_head.weight.shape[0]))
    settings = ServeSettings()
    with serving(create_app(settings, WatchedSession(loaded(made), settings))) as port:
        client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30)
        assert not client.get("/v1/model").json()["unembedding"]
        assert refusal(client.get("/v1/unembedding", params={"ids": "3"}))[:2] == (404, "no-unembedding")


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        (None, (422, "invalid-request", None, None)),
        ("", (422, "invalid-request", None, None)),
        ("1,", (422, "invalid-request", None, None)),
        ("-1", (422, "invalid-request", None, None)),
        ("1;2", (422, "invalid-request", None, None)),
        ("9" * 30, (422, "invalid-request", None, None)),
        ("999999999", (404, "no-such-token", None, None)),
        (",".join(["1"] * 513), (422, "too-many-ids", 512, 513)),
    ],
)
def test_invalid_ids_are_refused(ids: str | None, expected: tuple[int, str, int | None, int | None], small: Served):
    with small.client() as client:
        response = client.get("/v1/unembedding", params={} if ids is None else {"ids": ids})
    assert refusal(response) == expected


# --- the stream format ---


MODEL: Any = {"name": "m", "revision": "0", "dtype": "float32", "device": "cpu"}


@pytest.mark.parametrize(
    ("token_index", "values", "reason"),
    [
        (0, [0, 0], "expected the map of token 1, got the map of token 0"),
        (1, [0, 0, 0], r"expected values of token 1 of shape \(2,\), got \(3,\)"),
        (1, [np.nan, 0], "the map of token 1 is not finite: 1 of 2 values"),
    ],
)
def test_invalid_maps_are_not_written(token_index: int, values: list[float], reason: str):
    writer = ExplanationWriter(
        io.BytesIO(),
        {"id": "a", "method": "chefer", "model": MODEL, "tokenIndices": [1, 0], "patches": 2, "promptTokens": 1},
    )
    with pytest.raises(ValueError, match=reason):
        writer.map(TokenMap(token_index, np.array(values, np.float32), None, None, None, 1))


def test_a_truncated_stream_has_its_complete_maps_and_no_end(small: Served, run: Run):
    with small.client() as client:
        content = client.post("/v1/explain", **explain_form("chefer", run, range(4))).content
    assert len(parse_explanation(content).maps) == 4
    truncated = parse_explanation(content[: int(0.7 * len(content))])
    assert 0 < len(truncated.maps) < 4
    assert truncated.end is None


def test_the_committed_explanations_are_up_to_date():
    for path, content in sent_about(read_run(FIXTURE)).items():
        if path == ROWS:
            assert path.read_bytes() == content
            continue
        committed, current = parse_explanation(path.read_bytes()), parse_explanation(content)
        assert current.header["model"] == committed.header["model"]
        assert current.header["tokenIndices"] == committed.header["tokenIndices"]
        for expected, actual in zip(committed.maps, current.maps, strict=True):
            # The order of float32 sums may differ on another machine.
            np.testing.assert_allclose(actual.values, expected.values, rtol=1e-3, atol=1e-5)
            assert (actual.prompt is None) == (expected.prompt is None)
