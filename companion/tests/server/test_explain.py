"""Explanations on a real socket: what is streamed, what is refused before any work, how they queue and stop."""

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

from patchlight.methods.explain import METHODS, Check, Cost, MethodMap, explain
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
    companion,
    explain_form,
    explained,
    following,
    following_explanation,
    form,
    loaded,
    picture,
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
    """The embedded model's own folder."""
    of = load(LoadOptions(model=str(EMBEDDED), device="cpu"))
    settings = ServeSettings()
    session = ModelSession(of, settings, head=None, knows="Scenes.", train_command="patchlight train")
    with serving(create_app(settings, session)) as port:
        yield httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60)


# --- what is streamed ---


@pytest.mark.parametrize("method", METHODS)
def test_each_method_streams_what_it_gives_when_it_is_called(method: Any, small: Served, run: Run):
    wanted_indices = [5, 0, 7]
    with small.client() as client:
        found = explained(client, method, run, wanted_indices)
    of = loaded(tiny("llava"))
    image = Image.open(io.BytesIO(picture())).convert("RGB")
    reading = of.family.read(of.model, of.processor, image, run.header["question"])
    ids, log_probs = ([getattr(token, name) for token in run.tokens] for name in ("token_id", "log_prob"))
    steps = list(explain(of, reading, ids, method, wanted_indices, log_probs=log_probs))

    assert found.places == [0]
    assert found.header["method"] == method
    assert found.header["model"] == {"name": "tiny", "revision": "0" * 12, "dtype": "float32", "device": "cpu"}
    assert found.header["tokenIndices"] == wanted_indices
    assert (found.header["patches"], found.header["promptTokens"]) == (16, len(reading.prompt_columns))
    checks = [step for step in steps if isinstance(step, Check)]
    assert (found.check is None) == (checks == [])
    if found.check is not None:
        # The same weights in the same arithmetic: the log-probabilities were rounded to float32 on their way.
        assert found.check[0]
        assert found.check[1] < 1e-4
    maps = [step for step in steps if isinstance(step, MethodMap)]
    assert [one.token_index for one in found.maps] == [one.token_index for one in maps] == wanted_indices
    for one, wanted in zip(found.maps, maps, strict=True):
        # Two passes of the same weights, whose products may be summed by other threads.
        np.testing.assert_allclose(one.values, wanted.patches.numpy(), rtol=1e-4, atol=1e-6)
        for part, own in ((one.prompt, wanted.prompt), (one.answer, wanted.answer)):
            assert (part is None) == (own is None)
            if part is not None and own is not None:
                np.testing.assert_allclose(part, own.numpy(), rtol=1e-4, atol=1e-6)
        assert one.ms > 0
    cost = steps[-1]
    assert isinstance(cost, Cost)
    assert found.end is not None
    assert (found.end.reason, found.end.tokens) == ("done", 3)
    assert (found.end.forward_passes, found.end.backward_passes) == (cost.forward_passes, cost.backward_passes)
    assert found.end.ms > 0


@pytest.mark.parametrize("kind", KINDS)
def test_every_family_is_explained_over_all_of_its_frames(kind: str):
    settings = ServeSettings(new_tokens=4)
    with serving(create_app(settings, WatchedSession(loaded(tiny(kind)), settings))) as port:
        client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60)
        image = picture(300, 130)
        answer = ask(client, image=image)
        found = explained(client, "chefer", answer, [len(answer.tokens) - 1], image)
    frames = answer.header["geometry"]["frames"]
    patches = sum(frame["grid"]["rows"] * frame["grid"]["cols"] for frame in frames)
    assert found.maps[0].values.shape == (patches,)
    assert found.check is not None
    assert found.check[0]


@pytest.mark.parametrize("name", ["run-1", "run-3"])
def test_a_recorded_answer_is_explained_by_a_companion_that_never_gave_it(name: str, embedded: httpx.Client):
    recorded = read_run(SAMPLES / f"{name}.run")
    found = explained(embedded, "chefer", recorded, range(len(recorded.tokens)), recorded.picture)
    assert found.check is not None
    # The same arithmetic in float32, perhaps by other kernels than where it was recorded.
    assert found.check[0]
    assert found.check[1] < 1e-3
    assert [one.token_index for one in found.maps] == list(range(len(recorded.tokens)))
    # The head imitates these maps: it must be nearer to its token's own than to noise.
    pairs = [
        (one.values, token.map.values) for one, token in zip(found.maps, recorded.tokens, strict=True) if token.map
    ]
    assert len(pairs) == len(recorded.tokens)
    assert np.mean([np.corrcoef(exact, head)[0, 1] for exact, head in pairs]) > 0.4


def test_log_probabilities_may_be_left_out(small: Served, run: Run):
    asked = {"method": "chefer", "answerIds": [token.token_id for token in run.tokens], "tokenIndices": [1]}
    with small.client() as client:
        response = client.post("/v1/explain", **form(run.header["question"], **asked))
    found = parse_explanation(response.content)
    assert found.check is not None
    assert found.check[0]
    assert found.end is not None
    assert found.end.reason == "done"


def test_an_answer_that_was_not_streamed_so_is_not_the_same(small: Served, run: Run):
    sent = explain_form("chefer", run, [2])
    asked = json.loads(sent["data"]["request"])
    asked["answerIds"] = [(number + 1) % 50 for number in asked["answerIds"]]
    with small.client() as client:
        found = parse_explanation(client.post("/v1/explain", **form(**asked)).content)
    assert found.check is not None
    assert not found.check[0]
    assert found.check[1] > 0.1


def test_a_map_comes_while_the_next_is_being_made(small: Served, run: Run):
    gate = threading.Event()
    rows = 0

    def wait() -> None:
        nonlocal rows
        rows += 1
        if rows == 3:  # The check, a map, another.
            gate.wait(20)

    small.session.after_row = wait
    try:
        with small.client() as client, following_explanation(client, "chefer", run, range(6)) as explanation:
            assert [explanation.until("map")["tokenIndex"] for _ in range(2)] == [0, 1]
            assert not gate.is_set()
            gate.set()
            assert explanation.until("end")["tokens"] == 6
    finally:
        small.session.after_row = lambda: None


# --- what goes wrong ---


def test_a_model_that_gives_no_numbers_ends_the_explanation_as_failed():
    made = tiny("llava")
    settings = ServeSettings()
    with serving(create_app(settings, WatchedSession(loaded(made), settings))) as port:
        client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30)
        answer = ask(client, maxNewTokens=3)
        with torch.no_grad():
            made.model.model.language_model.norm.weight[3] = torch.nan
        found = explained(client, "chefer", answer, [0])
    assert found.maps == []
    assert found.end is not None
    assert found.end.reason == "failed"
    assert found.end.message is not None
    assert "finite" in found.end.message


def test_a_failure_in_the_middle_keeps_the_maps_that_came_and_the_next_request_is_served(small: Served, run: Run):
    rows = 0

    def fail() -> None:
        nonlocal rows
        rows += 1
        if rows == 3:
            raise RuntimeError("CUDA error: something\nwith a second line of the inside")

    small.session.after_row = fail
    try:
        with small.client() as client:
            found = explained(client, "chefer", run, range(8))
            assert found.end is not None
            assert (found.end.reason, found.end.message) == ("failed", "RuntimeError: CUDA error: something")
            assert [one.token_index for one in found.maps] == [0, 1]
            small.session.after_row = lambda: None
            again = explained(client, "chefer", run, range(8))
            assert len(again.maps) == 8
    finally:
        small.session.after_row = lambda: None


def test_the_model_answers_as_before_once_it_was_explained(small: Served, run: Run):
    with small.client() as client:
        for method in small.session.explainer.methods:
            explained(client, method, run, [3])
        again = ask(client, maxNewTokens=8)
    assert [token.token_id for token in again.tokens] == [token.token_id for token in run.tokens]
    np.testing.assert_allclose([t.log_prob for t in again.tokens], [t.log_prob for t in run.tokens], atol=1e-5)


# --- what is refused, before any work for the model ---

ASKED: dict[str, Any] = {"method": "chefer", "answerIds": [5, 6, 7], "logProbs": [-1.0, -0.5, -2], "tokenIndices": [1]}
REFUSED: dict[str, tuple[dict[str, Any], tuple[int, str, int | None, int | None]]] = {
    "no method": ({"method": None}, (422, "invalid-request", None, None)),
    "an unknown method": ({"method": "lime"}, (422, "method-not-offered", None, None)),
    "a method of the page": ({"method": "fastrm"}, (422, "method-not-offered", None, None)),
    "no answer": ({"answerIds": [], "logProbs": []}, (422, "invalid-request", None, None)),
    "too long an answer": ({"answerIds": [5] * 41, "logProbs": None}, (422, "answer-too-long", 40, 41)),
    "an id past the vocabulary": ({"answerIds": [5, 6, 100_000]}, (422, "unknown-token-id", None, None)),
    "an id past any vocabulary": ({"answerIds": [5, 6, 2**40]}, (422, "invalid-request", None, None)),
    "a negative id": ({"answerIds": [5, -1, 7]}, (422, "invalid-request", None, None)),
    "too few log-probabilities": ({"logProbs": [-1.0]}, (422, "invalid-request", None, None)),
    "no token wanted": ({"tokenIndices": []}, (422, "invalid-request", None, None)),
    "a token past the answer": ({"tokenIndices": [3]}, (422, "invalid-request", None, None)),
    "a token before the answer": ({"tokenIndices": [-1]}, (422, "invalid-request", None, None)),
    "a token twice": ({"tokenIndices": [1, 1]}, (422, "invalid-request", None, None)),
    "an unknown field": ({"imageUrl": "http://x"}, (422, "invalid-request", None, None)),
    "an empty question": ({"question": " \n"}, (422, "question-empty", None, None)),
    "too many letters": ({"question": "a" * 301}, (422, "question-too-long", 300, 301)),
    "too many tokens": ({"question": "a" * 250}, (422, "question-too-long", 200, 250)),
}


@pytest.mark.parametrize("what", REFUSED)
def test_explanations_that_are_refused(what: str, small: Served):
    change, wanted = REFUSED[what]
    reads = small.session.read_count
    with small.client() as client:
        assert refusal(client.post("/v1/explain", **form(**(ASKED | change)))) == wanted
    assert small.session.read_count == reads


def test_numbers_that_are_none_are_refused(small: Served):
    body = json.dumps({"question": "a", **ASKED, "logProbs": [float("nan"), -1, -1]})
    with small.client() as client:
        found = client.post("/v1/explain", data={"request": body}, files=form()["files"])
    assert refusal(found)[:2] == (422, "invalid-request")


def test_an_answer_that_holds_the_picture_s_token_is_refused_by_its_number(small: Served):
    picture_id = tiny("llava").model.config.image_token_id
    with small.client() as client:
        asked: dict[str, Any] = ASKED | {"answerIds": [5, picture_id, 7]}
        response = client.post("/v1/explain", **form(**asked))
    assert refusal(response)[:2] == (422, "unknown-token-id")
    assert str(picture_id) in response.json()["detail"]


def test_pictures_and_bodies_are_refused_as_for_a_question(small: Served):
    with small.client() as client:
        for image, wanted in ((b"x" * 80_001, (413, "image-too-many-bytes")), (b"GIF89a", (415, "image-format"))):
            assert refusal(client.post("/v1/explain", **form(image=image, **ASKED)))[:2] == wanted
        assert refusal(client.post("/v1/explain", json=ASKED))[:2] == (415, "not-multipart")


def test_an_answer_longer_than_the_model_has_positions_for_is_refused_with_both_numbers():
    with companion(ServeSettings(new_tokens=5000)) as served, served.client() as client:
        asked: dict[str, Any] = ASKED | {"answerIds": [5] * 4090, "logProbs": None}
        status, kind, limit, found = refusal(client.post("/v1/explain", **form(**asked)))
    assert (status, kind, limit) == (422, "question-too-long", 4096)
    assert found is not None
    assert found > 4096


def test_more_memory_than_may_be_taken_is_refused_with_both_numbers_before_any_work(run: Run):
    with companion(ServeSettings(explain_bytes=10_000)) as served, served.client() as client:
        assert client.get("/v1/model").json()["limits"]["explainBytes"] == 10_000
        response = client.post("/v1/explain", **explain_form("chefer", run, range(8)))
        status, kind, limit, found = refusal(response)
        assert (status, kind, limit) == (413, "explanation-too-large", 10_000)
        assert found is not None
        assert found > 10_000
        assert "--explain-memory" in response.json()["detail"]
        assert served.session.explain_count == 0
        # The line is free again.
        assert ask(client, maxNewTokens=2).end.reason == "length"


def test_where_nothing_is_said_half_of_what_is_free_may_be_taken(small: Served):
    import psutil

    allowed = small.session.facts.limits.explain_bytes
    assert 0 < allowed <= 0.6 * psutil.virtual_memory().total


# --- the queue, and stopping ---


def test_explanations_and_answers_stand_in_one_line(run: Run):
    with companion() as served, ExitStack() as stack:
        gate = threading.Event()
        served.session.before_answer = lambda: gate.wait(20)
        clients = [stack.enter_context(served.client()) for _ in range(3)]
        first = stack.enter_context(following(clients[0], maxNewTokens=2))
        assert first.until("queued")["place"] == 0
        second = stack.enter_context(following_explanation(clients[1], "chefer", run, [0]))
        assert second.until("queued")["place"] == 1
        third = stack.enter_context(following(clients[2], maxNewTokens=2))
        assert third.until("queued")["place"] == 2
        gate.set()
        assert first.until("end")["reason"] == "length"
        assert second.until("end")["reason"] == "done"
        assert third.until("end")["reason"] == "length"


def test_past_the_line_an_explanation_is_refused(run: Run):
    with companion(ServeSettings(queue_length=0)) as served, ExitStack() as stack:
        gate = threading.Event()
        served.session.before_answer = lambda: gate.wait(20)
        first = stack.enter_context(following(stack.enter_context(served.client()), maxNewTokens=2))
        assert first.until("queued")["place"] == 0
        full = stack.enter_context(served.client()).post("/v1/explain", **explain_form("chefer", run, [0]))
        gate.set()
        assert full.status_code == 503
        assert int(full.headers["retry-after"]) >= 1


def test_an_explanation_is_cancelled_by_its_name_while_it_runs_and_while_it_waits(run: Run):
    def hold_the_first_map() -> None:
        if served.session.row_count == 2:
            wait_until(served.session.stops[0], "the first was told to stop")

    with companion() as served, ExitStack() as stack:
        served.session.after_row = hold_the_first_map
        first, second = (
            stack.enter_context(following_explanation(stack.enter_context(served.client()), "chefer", run, range(8)))
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
        # Within a token: the one that was being made, at most, and what it had cost until then.
        assert len(rows) <= 3
        assert rows[-1]["reason"] == "cancelled"
        assert rows[-1]["tokens"] == len(rows)
        assert rows[-1]["backwardPasses"] == len(rows)
        assert served.session.explain_count == 1
        wait_until(lambda: client.post(f"/v1/runs/{first.header['id']}/cancel").status_code == 404, "forgotten")


def test_a_reader_that_leaves_stops_the_explanation_within_a_token(run: Run):
    row_counts: list[int] = []

    def hold_the_first_map() -> None:
        if served.session.row_count == 2:
            wait_until(served.session.stops[0], "the explanation was told to stop")

    with companion() as served, served.client() as client:
        served.session.after_row = hold_the_first_map
        with following_explanation(client, "chefer", run, range(8)) as explanation:
            explanation.until("map")
        served.session.before_answer = lambda: row_counts.append(served.session.row_count)
        assert ask(client, maxNewTokens=2).end.reason == "length"
        assert served.session.stops[0]()
        # Within a token: the one that was being made, at most, and the end.
        assert 2 <= row_counts[0] <= 4


# --- rows of the vocabulary layer ---


def rows_of(response: httpx.Response) -> tuple[dict[str, Any], list[int], np.ndarray]:
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/vnd.apache.arrow.stream"
    with pa.ipc.open_stream(response.content) as stream:
        table = stream.read_all()
    header = json.loads((table.schema.metadata or {})[b"patchlight.unembedding"])
    return header, table["tokenId"].to_pylist(), np.stack(table["row"].to_numpy(zero_copy_only=False))


def test_the_vocabulary_layer_s_rows_times_a_state_are_its_logits(small: Served, run: Run):
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
            # fp16 of rows and state, about 1e-3 of logits of a few units.
            assert abs((logits[0] - logits[1]) - (chosen.log_prob - other.log_prob)) < 0.02


def test_rows_that_fp16_does_not_hold_cross_as_float32():
    made = tiny("llava")
    settings = ServeSettings()
    with serving(create_app(settings, WatchedSession(loaded(made), settings))) as port:
        client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30)
        with torch.no_grad():
            made.model.lm_head.weight[5] *= 2**30
        _, _, rows = rows_of(client.get("/v1/unembedding", params={"ids": "5,4"}))
    assert rows.dtype == np.float32
    np.testing.assert_array_equal(rows, made.model.lm_head.weight.detach().numpy()[[5, 4]])


def test_a_vocabulary_layer_with_a_bias_is_not_given_out():
    made = tiny("llava")
    made.model.lm_head.bias = torch.nn.Parameter(torch.ones(made.model.lm_head.weight.shape[0]))
    settings = ServeSettings()
    with serving(create_app(settings, WatchedSession(loaded(made), settings))) as port:
        client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30)
        assert not client.get("/v1/model").json()["unembedding"]
        assert refusal(client.get("/v1/unembedding", params={"ids": "3"}))[:2] == (404, "no-unembedding")


@pytest.mark.parametrize(
    ("ids", "wanted"),
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
def test_rows_that_are_not_given_out(ids: str | None, wanted: tuple[int, str, int | None, int | None], small: Served):
    with small.client() as client:
        response = client.get("/v1/unembedding", params={} if ids is None else {"ids": ids})
    assert refusal(response) == wanted


# --- the stream's own rules ---


MODEL: Any = {"name": "m", "revision": "0", "dtype": "float32", "device": "cpu"}


@pytest.mark.parametrize(
    ("token_index", "values", "reason"),
    [
        (0, [0, 0], "the map of token 0 comes where token 1 is due"),
        (1, [0, 0, 0], r"values of token 1 has the shape \(3,\), want \(2,\)"),
        (1, [np.nan, 0], "the map of token 1 is not finite: 1 of 2 values"),
    ],
)
def test_a_map_that_contradicts_the_header_or_is_no_number_is_not_written(
    token_index: int, values: list[float], reason: str
):
    writer = ExplanationWriter(
        io.BytesIO(),
        {"id": "a", "method": "chefer", "model": MODEL, "tokenIndices": [1, 0], "patches": 2, "promptTokens": 1},
    )
    with pytest.raises(ValueError, match=reason):
        writer.map(TokenMap(token_index, np.array(values, np.float32), None, None, None, 1))


def test_a_stream_that_breaks_off_has_its_maps_and_no_end(small: Served, run: Run):
    with small.client() as client:
        content = client.post("/v1/explain", **explain_form("chefer", run, range(4))).content
    assert len(parse_explanation(content).maps) == 4
    cut = parse_explanation(content[: int(0.7 * len(content))])
    assert 0 < len(cut.maps) < 4
    assert cut.end is None


def test_the_committed_explanations_are_what_a_companion_says():
    for path, content in sent_about(read_run(FIXTURE)).items():
        if path == ROWS:
            assert path.read_bytes() == content
            continue
        committed, now = parse_explanation(path.read_bytes()), parse_explanation(content)
        assert now.header["model"] == committed.header["model"]
        assert now.header["tokenIndices"] == committed.header["tokenIndices"]
        for was, found in zip(committed.maps, now.maps, strict=True):
            # float32 sums in another order on another machine.
            np.testing.assert_allclose(found.values, was.values, rtol=1e-3, atol=1e-5)
            assert (found.prompt is None) == (was.prompt is None)
