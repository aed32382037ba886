"""A companion on a real socket: what it streams, what it says of itself, how it queues and stops."""

import hashlib
import io
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, cast

import httpx
import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image

from patchlight.head.fastrm import FastRM, HeadFacts
from patchlight.models.loading import LoadOptions, load
from patchlight.server.app import create_app
from patchlight.server.head_files import default_head_folder, serve_head
from patchlight.server.session import ModelSession
from patchlight.server.settings import ServeSettings
from patchlight.wire.run import parse_run, read_run
from tests.helpers.paths import EMBEDDED, OPENAPI, SAMPLES
from tests.helpers.serving import (
    Served,
    WatchedSession,
    ask,
    companion,
    following,
    form,
    loaded,
    picture,
    serving,
    wait_until,
)
from tests.helpers.tiny_models import KINDS, tiny


@pytest.fixture(scope="module")
def plain() -> Iterator[Served]:
    """A tiny companion that the tests which change nothing share."""
    with companion() as served:
        yield served


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """The embedded model's own folder with its head."""
    of = load(LoadOptions(model=str(EMBEDDED), device="cpu"))
    folder = default_head_folder(str(EMBEDDED))
    assert folder is not None
    head = serve_head(folder, tmp_path_factory.mktemp("head"), hidden_size=of.hidden_size)
    settings = ServeSettings()
    session = ModelSession(of, settings, head=head.facts, knows="Scenes.", train_command="patchlight train")
    with serving(create_app(settings, session, head_files=head.files)) as port:
        yield httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60)


# --- what is streamed ---


def test_words_that_the_model_has_never_seen_are_named_and_nothing_is_answered(embedded: httpx.Client):
    answer = embedded.post("/v1/generate", **form("What is the giraffe doing on the cube?"))
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:patchlight:problem:unknown-words")
    assert "“giraffe”, “doing”" in answer.json()["detail"]
    assert "cube" not in answer.json()["detail"]


@pytest.mark.parametrize("name", ["run-1", "run-3", "run-4"])
def test_a_streamed_answer_is_the_recorded_one(name: str, embedded: httpx.Client):
    recorded = read_run(SAMPLES / f"{name}.run")
    assert recorded.picture is not None
    run = ask(embedded, recorded.header["question"], recorded.picture, maxNewTokens=96)
    assert [(t.token_id, t.text, t.word) for t in run.tokens] == [(t.token_id, t.text, t.word) for t in recorded.tokens]
    # The same arithmetic in float32, perhaps by other kernels on another machine; then both rounded to fp16.
    np.testing.assert_allclose([t.log_prob for t in run.tokens], [t.log_prob for t in recorded.tokens], atol=1e-3)
    assert run.states is not None
    assert recorded.states is not None
    np.testing.assert_allclose(run.states.astype(float), recorded.states.astype(float), atol=5e-3)
    assert run.prompt is not None
    assert recorded.prompt is not None
    assert run.prompt.tokens == recorded.prompt.tokens
    np.testing.assert_allclose(run.prompt.states.astype(float), recorded.prompt.states.astype(float), atol=5e-3)
    for token, was in zip(run.tokens, recorded.tokens, strict=True):
        np.testing.assert_allclose(token.query_state.astype(float), was.query_state.astype(float), atol=5e-3)
        assert [a.token_id for a in token.alternatives] == [a.token_id for a in was.alternatives]
    assert run.end.reason == recorded.end.reason == "stop"
    assert 0 < run.end.first_token_ms <= run.end.answer_ms
    for fact in ("question", "geometry", "sampling"):
        assert run.header[fact] == recorded.header[fact]
    assert run.header["image"]["sha256"] == recorded.header["image"]["sha256"]
    assert run.places == [0]
    assert run.picture is None
    assert not run.header["recorded"]


def test_the_served_head_makes_the_recorded_maps(embedded: httpx.Client, tmp_path: Path):
    facts = embedded.get("/v1/model").json()
    files = facts["head"]["files"]
    for role, name in (("graph", "fastrm.onnx"), ("normGraph", "fastrm-norm.onnx"), ("weights", "fastrm.bin")):
        response = embedded.get(f"/v1/{files[role]['path']}")
        assert response.headers["cache-control"] == "private, max-age=31536000, immutable"
        assert len(response.content) == files[role]["bytes"]
        assert hashlib.sha256(response.content).hexdigest() == files[role]["sha256"]
        assert response.headers["etag"] == f'"{files[role]["sha256"]}"'
        (tmp_path / name).write_bytes(response.content)
    recorded = read_run(SAMPLES / "run-2.run")
    run = ask(embedded, recorded.header["question"], recorded.picture)
    norm, head = (onnxruntime.InferenceSession(tmp_path / name) for name in ("fastrm-norm.onnx", "fastrm.onnx"))
    assert run.states is not None
    [patches] = norm.run(None, {"patch_states": run.states.astype(np.float32)})
    queries = np.stack([token.query_state for token in run.tokens]).astype(np.float32)
    [maps] = head.run(None, {"query_states": queries, "patch_states": patches})
    wanted = np.stack([token.map.values for token in recorded.tokens if token.map is not None])
    # fp16 states and weights: wire/test_run.py's tolerance, and the folded matrix's own rounding.
    np.testing.assert_allclose(np.asarray(maps), wanted, atol=3e-3)


def test_a_kept_head_file_is_asked_for_but_not_sent_again(embedded: httpx.Client):
    first = embedded.get("/v1/head/fastrm.bin")
    assert first.headers["cache-control"] == "no-cache"
    again = embedded.get("/v1/head/fastrm.bin", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("kind", KINDS)
def test_every_family_streams_frames_that_its_states_fill(kind: str):
    settings = ServeSettings(new_tokens=6)
    with serving(create_app(settings, WatchedSession(loaded(tiny(kind)), settings))) as port:
        run = ask(httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60), image=picture(300, 130))
    geometry = run.header["geometry"]
    assert (geometry["sourceWidthPx"], geometry["sourceHeightPx"]) == (300, 130)
    patches = sum(frame["grid"]["rows"] * frame["grid"]["cols"] for frame in geometry["frames"])
    assert run.states is not None
    assert run.states.shape == (patches, run.header["model"]["hiddenSize"])
    assert run.prompt is not None
    assert "What is it?" in "".join(token.text for token in run.prompt.tokens)
    assert run.end.reason in ("length", "stop")
    assert len(run.tokens) == 6 or run.end.reason == "stop"


def test_sampling_is_told_and_repeats_with_its_seed(plain: Served):
    with plain.client() as client:
        drawn = ask(client, temperature=1.5, topP=0.9, maxNewTokens=12)
        sampling = drawn.header["sampling"]
        assert (sampling["temperature"], sampling["topP"], sampling["maxNewTokens"]) == (1.5, 0.9, 12)
        again = ask(client, temperature=1.5, topP=0.9, maxNewTokens=12, seed=sampling["seed"])
        greedy = ask(client, maxNewTokens=12, topP=0.5, seed=3)
    assert [t.token_id for t in again.tokens] == [t.token_id for t in drawn.tokens]
    assert [t.token_id for t in greedy.tokens] != [t.token_id for t in drawn.tokens]
    # What a greedy answer was not made with is not claimed.
    assert greedy.header["sampling"] == {"maxNewTokens": 12, "temperature": 0.0, "topP": 1.0, "seed": 0}


def test_the_picture_comes_back_where_it_was_asked_for(plain: Served):
    image = picture()
    with plain.client() as client:
        run = ask(client, image=image, sendImage=True, maxNewTokens=1)
    assert run.picture == image
    assert run.header["image"] == {
        "mediaType": "image/png",
        "name": "a.png",
        "sha256": hashlib.sha256(image).hexdigest(),
    }


def test_the_request_may_come_as_a_blob_as_browsers_send_it(plain: Served):
    files = {
        "request": ("blob", json.dumps({"question": "Is it?", "maxNewTokens": 2}), "application/json"),
        "image": ("C:\\fakepath\\é.webp", picture(format="WEBP", lossless=True), "image/webp"),
    }
    with plain.client() as client:
        response = client.post("/v1/generate", files=files)
    assert response.status_code == 200
    assert b"image/webp" in response.content
    assert '"name": "é.webp"'.encode() in response.content


def test_a_camera_s_orientation_is_applied_before_the_model_looks(plain: Served):
    upright = Image.open(io.BytesIO(picture(80, 40)))
    turned, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = 6  # Shown after a quarter turn to the right.
    upright.rotate(90, expand=True).save(turned, "PNG", exif=exif)
    with plain.client() as client:
        wanted, found = (ask(client, image=image, maxNewTokens=3) for image in (picture(80, 40), turned.getvalue()))
    assert found.header["geometry"] == wanted.header["geometry"]
    assert found.states is not None
    assert wanted.states is not None
    np.testing.assert_array_equal(found.states, wanted.states)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_states_that_fp16_does_not_hold_cross_as_float32(dtype: torch.dtype):
    made = tiny("llava")
    cast(Any, made.model).to(dtype)
    settings = ServeSettings()
    session = WatchedSession(loaded(made), settings)
    with serving(create_app(settings, session)) as port:
        client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30)
        plain = ask(client, maxNewTokens=2)
        assert plain.header["model"]["dtype"] == str(dtype).removeprefix("torch.")
        with torch.no_grad():
            made.model.model.language_model.norm.weight *= 2**20
        large = ask(client, maxNewTokens=2)
    for before, after in ((plain.states, large.states), (plain.tokens[0].query_state, large.tokens[0].query_state)):
        assert before is not None
        assert after is not None
        assert before.dtype == np.float16
        assert after.dtype == np.float32
        assert np.abs(after).max() > 65504
        # A power of two, so only fp16's own rounding of the first differs.
        np.testing.assert_allclose(after / 2**20, before.astype(np.float32), rtol=2**-11, atol=1e-6)


# --- what goes wrong while answering ---


def test_a_model_that_gives_no_numbers_ends_the_run_as_failed():
    made = tiny("llava")
    settings = ServeSettings()
    with serving(create_app(settings, WatchedSession(loaded(made), settings))) as port:
        client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30)
        with torch.no_grad():
            made.model.model.language_model.norm.weight[3] = torch.nan
        run = ask(client)
    assert run.end.reason == "failed"
    assert run.end.message is not None
    assert "not finite" in run.end.message
    assert run.tokens == []


def test_a_failure_in_the_middle_ends_the_stream_in_good_order_and_the_next_is_answered(plain: Served):
    rows = 0

    def fail() -> None:
        nonlocal rows
        rows += 1
        if rows == 5:
            raise RuntimeError("CUDA error: something\nwith a second line of the inside")

    plain.session.after_row = fail
    try:
        with plain.client() as client:
            run = ask(client, maxNewTokens=20)
            assert run.end.reason == "failed"
            assert run.end.message == "RuntimeError: CUDA error: something"
            assert len(run.tokens) == 3
            plain.session.after_row = lambda: None
            assert ask(client, maxNewTokens=4).end.reason == "length"
    finally:
        plain.session.after_row = lambda: None


# --- the head, and what the API says of itself ---


def test_without_a_head_the_model_says_so_and_how_to_train_one(plain: Served):
    with plain.client() as client:
        facts = client.get("/v1/model").json()
        assert facts["head"] is None
        assert "fastrm" not in facts["methods"]
        assert facts["trainCommand"].startswith("patchlight train")
        assert ask(client, maxNewTokens=1).header["head"] is None
        for path in ("/v1/head/fastrm.bin", "/v1/calibration"):
            missing = client.get(path)
            assert (missing.status_code, missing.headers["content-type"]) == (404, "application/problem+json")


@pytest.mark.parametrize(
    ("stage", "hidden_size", "named"),
    [("post_norm", 16, r"hidden size 16.*32"), ("pre_norm", 32, r"pre_norm.*post_norm")],
)
def test_a_head_for_other_states_is_refused_with_both_named(stage: Any, hidden_size: int, named: str, tmp_path: Path):
    facts = HeadFacts(hidden_size=hidden_size, stage=stage, teacher="none", model="tiny", model_revision="0")
    FastRM(hidden_size).save_pretrained(tmp_path / "fastrm", facts)
    assert default_head_folder(str(tmp_path)) == tmp_path / "fastrm"
    with pytest.raises(ValueError, match=named):
        serve_head(tmp_path / "fastrm", tmp_path / "out", hidden_size=32)


def test_a_model_s_folder_without_a_head_has_none(tmp_path: Path):
    assert default_head_folder(str(tmp_path)) is None
    assert default_head_folder("org/some-model") is None


def test_the_committed_description_is_the_app_s(plain: Served):
    with plain.client() as client:
        served = client.get("/v1/openapi.json").json()
    assert json.loads(OPENAPI.read_text()) == served, "write it again: python -m patchlight.server.write_openapi"


def test_health_names_the_run_format(plain: Served):
    with plain.client() as client:
        assert client.get("/v1/health").json() == {"status": "ready", "version": "0.1.0", "protocol": 2}


# --- the queue, and stopping ---


def test_those_who_wait_are_told_their_place_and_served_in_order():
    with companion(ServeSettings(queue_length=3)) as served, ExitStack() as stack:
        gate = threading.Event()
        served.session.before_answer = lambda: gate.wait(20)
        runs = []
        for number in range(4):
            client = stack.enter_context(served.client())
            runs.append(stack.enter_context(following(client, question=f"Number {number}?", maxNewTokens=2)))
            assert runs[-1].until("queued")["place"] == number
        full = stack.enter_context(served.client()).post("/v1/generate", **form())
        assert full.status_code == 503
        assert full.json()["type"] == "urn:patchlight:problem:queue-full"
        assert int(full.headers["retry-after"]) >= 1
        gate.set()
        assert runs[0].until("end")["reason"] == "length"
        # The last one has moved up place by place.
        assert [runs[3].until("queued")["place"] for _ in range(3)] == [2, 1, 0]
        assert runs[3].until("end")["reason"] == "length"
        assert served.session.answer_count == 4


def test_a_run_is_cancelled_by_its_name_while_it_runs_and_while_it_waits():
    with companion() as served, ExitStack() as stack:
        served.session.after_row = lambda: time.sleep(0.02)
        first, second = (
            stack.enter_context(following(stack.enter_context(served.client()), maxNewTokens=500)) for _ in range(2)
        )
        client = stack.enter_context(served.client())
        assert second.until("queued")["place"] == 1
        assert client.post(f"/v1/runs/{second.header['id']}/cancel").status_code == 204
        assert second.until("end")["reason"] == "cancelled"
        first.until("token")
        assert client.post(f"/v1/runs/{first.header['id']}/cancel").status_code == 204
        assert first.until("end")["reason"] == "cancelled"
        assert served.session.row_count < 450
        assert served.session.answer_count == 1
        wait_until(lambda: client.post(f"/v1/runs/{first.header['id']}/cancel").status_code == 404, "forgotten")


def test_a_reader_that_leaves_stops_the_answer_within_a_token():
    row_counts: list[int] = []

    def hold_the_eighth_row() -> None:
        if served.session.row_count == 8:
            wait_until(served.session.stops[0], "the answer was told to stop")

    with companion() as served, served.client() as client:
        served.session.after_row = hold_the_eighth_row
        with following(client, maxNewTokens=400) as run:
            for _ in range(4):
                run.until("token")
        served.session.before_answer = lambda: row_counts.append(served.session.row_count)
        assert ask(client, maxNewTokens=1).end.reason == "length"
        assert served.session.stops[0]()
        # The row that was under way, at most, and the end.
        assert 8 <= row_counts[0] <= 10


def test_a_reader_that_leaves_while_it_waits_leaves_the_queue():
    with companion() as served, served.client() as client, served.client() as other:
        gate = threading.Event()
        served.session.before_answer = lambda: gate.wait(20)
        with following(client, maxNewTokens=2):
            with following(other, maxNewTokens=2) as second:
                assert second.until("queued")["place"] == 1
            with served.client() as third, following(third, maxNewTokens=2) as run:
                assert run.until("queued")["place"] in (1, 2)
                gate.set()
                assert run.until("end")["reason"] == "length"
        assert served.session.answer_count == 2


def test_a_reader_that_takes_nothing_is_dropped_and_the_model_is_free_again():
    settings = ServeSettings(stall_s=0.5, buffer_bytes=1000)
    with companion(settings) as served, served.client() as client:
        body = httpx.Request("POST", served.url + "/v1/generate", **form(image=picture(1600, 1600), sendImage=True))
        with socket.socket() as stalled:
            stalled.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            stalled.connect((served.host, served.port))
            head = f"POST /v1/generate HTTP/1.1\r\nHost: {served.host}\r\n"
            head += "".join(f"{name}: {body.headers[name]}\r\n" for name in ("content-type", "content-length"))
            stalled.sendall(head.encode() + b"\r\n" + body.read())
            wait_until(lambda: served.session.read_count == 1, "the question was read")
            # It would wait for ever for a model that is not free.
            assert ask(client, maxNewTokens=3).end.reason == "length"


def test_two_hundred_at_once_each_finish_or_are_refused_and_memory_comes_back():
    check_crowd(crowd=200, rounds=1)


@pytest.mark.slow
def test_two_hundred_at_once_ten_times_leave_no_memory_behind():
    check_crowd(crowd=200, rounds=10)


def check_crowd(*, crowd: int, rounds: int) -> None:
    import psutil

    process = psutil.Process()
    image = picture(200, 120)
    with (
        companion(ServeSettings(queue_length=24)) as served,
        served.client(limits=httpx.Limits(max_keepalive_connections=0)) as client,
    ):

        def one(outcomes: list[str], number: int) -> None:
            response = client.post("/v1/generate", **form(f"Number {number}?", image, maxNewTokens=4))
            if response.status_code == 503 and int(response.headers["retry-after"]) >= 1:
                outcomes.append("refused")
            else:
                outcomes.append(parse_run(response.content).end.reason)

        def all_at_once() -> list[str]:
            outcomes: list[str] = []
            threads = [threading.Thread(target=one, args=(outcomes, number)) for number in range(crowd)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(60)
            assert not any(thread.is_alive() for thread in threads), "somebody hangs"
            return outcomes

        # What libraries keep for good (thread pools, parsers, arenas) is there after the first crowd.
        all_at_once()
        before = process.memory_info().rss
        for _ in range(rounds):
            outcomes = all_at_once()
            assert len(outcomes) == crowd
            assert set(outcomes) <= {"length", "refused"}
            assert outcomes.count("length") >= 25
        grown_mib = (process.memory_info().rss - before) / 2**20
        # 200 pictures and their states are some 30 MB; the allocator keeps a little of what threads had.
        assert grown_mib < 32, f"{grown_mib:.0f} MiB more than before"
