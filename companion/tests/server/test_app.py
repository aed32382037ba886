"""Tests answers and descriptions of a companion on a real socket."""

import hashlib
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import httpx
import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image

from patchlight.head.fastrm import FastRM, HeadFacts
from patchlight.models.decoding import Prefill, decode
from patchlight.models.loading import LoadOptions, load
from patchlight.models.sampling import Sampling
from patchlight.models.several_images import read_images
from patchlight.server.app import create_app
from patchlight.server.head_files import default_head_folder, serve_head
from patchlight.server.session import ModelSession
from patchlight.server.settings import ServeSettings
from patchlight.wire.explanation import EXPLANATION_VERSION
from patchlight.wire.run import FORMAT_VERSION, read_run
from tests.helpers.paths import EMBEDDED, OPENAPI, SAMPLES
from tests.helpers.serving import (
    Served,
    ask,
    companion,
    form,
    loaded,
    noise_image,
    serving,
)
from tests.helpers.tiny_models import KINDS, tiny


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A client of a companion with the embedded model and its head."""
    model = load(LoadOptions(model=str(EMBEDDED), device="cpu"))
    folder = default_head_folder(str(EMBEDDED))
    assert folder is not None
    head = serve_head(folder, tmp_path_factory.mktemp("head"), model)
    settings = ServeSettings()
    session = ModelSession(model, settings, head=head.facts, knows="Scenes.", train_command="patchlight train")
    with serving(create_app(settings, session, head_files=head.files)) as port:
        yield httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60)


# --- streaming ---


def test_a_question_with_unknown_words_is_refused_with_those_words(embedded: httpx.Client):
    response = embedded.post("/v1/generate", **form("What is the giraffe doing on the cube?"))
    assert (response.status_code, response.json()["type"]) == (422, "urn:patchlight:problem:unknown-words")
    assert "“giraffe”, “doing”" in response.json()["detail"]
    assert "cube" not in response.json()["detail"]
    explanation = form("What is the giraffe doing?", method="random", answerIds=[5, 6], tokenIndices=[1])
    assert embedded.post("/v1/explain", **explanation).status_code == 200


def test_a_synonym_is_asked_with_the_model_s_word_and_the_header_says_so(embedded: httpx.Client):
    image = noise_image()
    typed = ask(embedded, "What COLOUR is the\u200b grey cube?", image)
    asked = ask(embedded, "What color is the gray cube?", image)
    assert typed.header["question"] == "What COLOUR is the\u200b grey cube?"
    assert typed.header.get("askedAs") == "What Color is the gray cube?"
    assert "askedAs" not in asked.header
    assert typed.prompt is not None
    assert asked.prompt is not None
    assert typed.prompt.tokens == asked.prompt.tokens
    assert [t.token_id for t in typed.tokens] == [t.token_id for t in asked.tokens]


def test_a_question_of_invisible_characters_is_empty(embedded: httpx.Client):
    response = embedded.post("/v1/generate", **form("\u200b\ufeff"))
    assert (response.status_code, response.json()["type"]) == (422, "urn:patchlight:problem:question-empty")


@pytest.mark.parametrize("name", ["run-1", "run-3", "run-4"])
def test_a_streamed_answer_equals_the_recorded_one(name: str, embedded: httpx.Client):
    recorded = read_run(SAMPLES / f"{name}.run")
    assert recorded.picture is not None
    run = ask(embedded, recorded.header["question"], recorded.picture, maxNewTokens=96)
    assert [(t.token_id, t.text, t.word) for t in run.tokens] == [(t.token_id, t.text, t.word) for t in recorded.tokens]
    # Both were computed in float32, perhaps with different kernels on different machines, then rounded to fp16.
    np.testing.assert_allclose([t.log_prob for t in run.tokens], [t.log_prob for t in recorded.tokens], atol=1e-3)
    assert run.states is not None
    assert recorded.states is not None
    np.testing.assert_allclose(run.states.astype(float), recorded.states.astype(float), atol=5e-3)
    assert run.prompt is not None
    assert recorded.prompt is not None
    assert run.prompt.tokens == recorded.prompt.tokens
    np.testing.assert_allclose(run.prompt.states.astype(float), recorded.prompt.states.astype(float), atol=5e-3)
    for token, expected in zip(run.tokens, recorded.tokens, strict=True):
        np.testing.assert_allclose(token.query_state.astype(float), expected.query_state.astype(float), atol=5e-3)
        assert [a.token_id for a in token.alternatives] == [a.token_id for a in expected.alternatives]
    assert run.end.reason == recorded.end.reason == "stop"
    assert 0 < run.end.first_token_ms <= run.end.answer_ms
    for fact in ("question", "geometry", "sampling"):
        assert run.header[fact] == recorded.header[fact]
    assert run.header["image"]["sha256"] == recorded.header["image"]["sha256"]
    assert run.places == [0]
    assert run.picture is None
    assert not run.header["recorded"]


def test_the_served_head_reproduces_the_recorded_maps(embedded: httpx.Client, tmp_path: Path):
    facts = embedded.get("/v1/model").json()
    files = facts["head"]["files"]
    for role, name in (
        ("graph", "fastrm.onnx"),
        ("normGraph", "fastrm-norm.onnx"),
        ("weights", "fastrm.bin"),
        ("textWeights", "fastrm-text.bin"),
    ):
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
    expected = np.stack([token.map.values for token in recorded.tokens if token.map is not None])
    # States and weights are fp16: the tolerance of wire/test_run.py plus the rounding of the folded matrix.
    np.testing.assert_allclose(np.asarray(maps), expected, atol=3e-3)
    # The graph of the text output is the same; it reads other weights, and the words' states in place of the patches'.
    assert run.prompt is not None
    [words] = norm.run(None, {"patch_states": run.prompt.states.astype(np.float32)})
    weights, options = (tmp_path / "fastrm-text.bin").read_bytes(), onnxruntime.SessionOptions()
    options.add_external_initializers_from_files_in_memory(["fastrm.bin"], [weights], [len(weights)])
    text = onnxruntime.InferenceSession((tmp_path / "fastrm.onnx").read_bytes(), options)
    [maps] = text.run(None, {"query_states": queries, "patch_states": words})
    expected = np.stack([t.map.prompt for t in recorded.tokens if t.map is not None and t.map.prompt is not None])
    np.testing.assert_allclose(np.asarray(maps), expected, atol=3e-3)


def test_a_cached_head_file_is_revalidated_but_not_sent_again(embedded: httpx.Client):
    first = embedded.get("/v1/head/fastrm.bin")
    assert first.headers["cache-control"] == "no-cache"
    again = embedded.get("/v1/head/fastrm.bin", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("kind", KINDS)
def test_every_family_streams_one_state_per_patch_of_its_frames(kind: str):
    with companion(ServeSettings(new_tokens=6), tiny(kind)) as served, served.client() as client:
        run = ask(client, image=noise_image(300, 130))
    geometry = run.header["geometry"]
    assert (geometry["sourceWidthPx"], geometry["sourceHeightPx"]) == (300, 130)
    patches = sum(frame["grid"]["rows"] * frame["grid"]["cols"] for frame in geometry["frames"])
    assert run.states is not None
    assert run.states.shape == (patches, run.header["model"]["hiddenSize"])
    assert run.prompt is not None
    assert "What is it?" in "".join(token.text for token in run.prompt.tokens)
    assert run.end.reason in ("length", "stop")
    assert len(run.tokens) == 6 or run.end.reason == "stop"


def test_the_header_has_the_sampling_options_and_the_seed_repeats_the_answer(plain: Served):
    with plain.client() as client:
        sampled = ask(client, temperature=1.5, topP=0.9, maxNewTokens=12)
        sampling = sampled.header["sampling"]
        assert (sampling["temperature"], sampling["topP"], sampling["maxNewTokens"]) == (1.5, 0.9, 12)
        again = ask(client, temperature=1.5, topP=0.9, maxNewTokens=12, seed=sampling["seed"])
        greedy = ask(client, maxNewTokens=12, topP=0.5, seed=3)
    assert [t.token_id for t in again.tokens] == [t.token_id for t in sampled.tokens]
    assert [t.token_id for t in greedy.tokens] != [t.token_id for t in sampled.tokens]
    # Greedy decoding ignores topP and seed, so the header has their defaults.
    assert greedy.header["sampling"] == {"maxNewTokens": 12, "temperature": 0.0, "topP": 1.0, "seed": 0}


def test_the_image_is_sent_back_on_request(plain: Served):
    image = noise_image()
    with plain.client() as client:
        run = ask(client, image=image, sendImage=True, maxNewTokens=1)
    assert run.picture == image
    assert run.header["image"] == {
        "mediaType": "image/png",
        "name": "a.png",
        "sha256": hashlib.sha256(image).hexdigest(),
    }


@pytest.mark.parametrize("kind", ["qwen2.5-vl", "smolvlm"])
def test_several_images_are_read_in_order(kind: str):
    made = tiny(kind)
    files = [noise_image(120, 60, seed=1), noise_image(70, 150, seed=2)]
    with companion(ServeSettings(new_tokens=3), made) as served, served.client() as client:
        assert client.get("/v1/model").json()["limits"]["images"] == 8
        run = ask(client, image=files, sendImage=True)
        swapped = ask(client, image=files[::-1])
    header = run.header
    facts = [
        {"mediaType": "image/png", "name": name, "sha256": hashlib.sha256(file).hexdigest()}
        for name, file in zip(("a.png", "b.png"), files, strict=True)
    ]
    assert header["image"] == facts[0]
    sizes = [{"widthPx": 120, "heightPx": 60}, {"widthPx": 70, "heightPx": 150}]
    assert header.get("images") == [fact | size for fact, size in zip(facts, sizes, strict=True)]
    assert (header["geometry"]["sourceWidthPx"], header["geometry"]["sourceHeightPx"]) == (120, 60)
    assert run.pictures == files
    images = [Image.open(io.BytesIO(file)) for file in files]
    reading = read_images(made.family, made.model, made.processor, images, "What is it?")
    frames = header["geometry"]["frames"]
    assert [(frame["name"], frame.get("image", 0)) for frame in frames] == [
        (frame.name, frame.image) for frame in reading.frames
    ]
    crops = [(*frame["crop"].values(), *frame["grid"].values()) for frame in frames]
    assert crops == [(*frame.crop, frame.rows, frame.cols) for frame in reading.frames]
    prefill = next(decode(made.model, reading, Sampling(max_new_tokens=1)))
    assert isinstance(prefill, Prefill)
    assert run.states is not None
    np.testing.assert_allclose(run.states.astype(float), prefill.patch_states.numpy(), atol=5e-3)
    digests = [image["sha256"] for image in swapped.header.get("images", [])]
    assert digests == [fact["sha256"] for fact in facts[::-1]]
    assert swapped.states is not None
    assert not np.allclose(run.states, swapped.states)


def test_one_image_has_no_list_of_images(plain: Served):
    with plain.client() as client:
        header = ask(client, maxNewTokens=1).header
    assert "images" not in header
    assert all("image" not in frame for frame in header["geometry"]["frames"])


def test_the_request_part_may_be_a_blob_as_sent_by_browsers(plain: Served):
    files = {
        "request": ("blob", json.dumps({"question": "Is it?", "maxNewTokens": 2}), "application/json"),
        "image": ("C:\\fakepath\\é.webp", noise_image(format="WEBP", lossless=True), "image/webp"),
    }
    with plain.client() as client:
        response = client.post("/v1/generate", files=files)
    assert response.status_code == 200
    assert b"image/webp" in response.content
    assert '"name": "é.webp"'.encode() in response.content


def test_exif_orientation_is_applied_before_the_model_reads_the_image(plain: Served):
    upright = Image.open(io.BytesIO(noise_image(80, 40)))
    rotated, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = 6  # To display, rotate by 90 degrees clockwise.
    upright.rotate(90, expand=True).save(rotated, "PNG", exif=exif)
    with plain.client() as client:
        expected = ask(client, image=noise_image(80, 40), maxNewTokens=3)
        actual = ask(client, image=rotated.getvalue(), maxNewTokens=3)
    assert actual.header["geometry"] == expected.header["geometry"]
    assert actual.states is not None
    assert expected.states is not None
    np.testing.assert_array_equal(actual.states, expected.states)


def test_a_transparent_image_is_answered_as_it_looks_on_white(plain: Served):
    hidden, white = Image.open(io.BytesIO(noise_image(80, 40))).convert("RGBA"), Image.new("RGB", (80, 40), "white")
    hidden.putalpha(0)
    files = [io.BytesIO(), io.BytesIO()]
    hidden.save(files[0], "PNG")
    white.save(files[1], "PNG")
    with plain.client() as client:
        actual, expected = [ask(client, image=file.getvalue(), maxNewTokens=2) for file in files]
    assert actual.states is not None
    assert expected.states is not None
    np.testing.assert_array_equal(actual.states, expected.states)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_states_that_overflow_fp16_are_sent_as_float32(dtype: torch.dtype):
    made = tiny("llava")
    cast(Any, made.model).to(dtype)
    with companion(made=made) as served, served.client() as client:
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
        # The factor is a power of two, so the only difference is the fp16 rounding of the smaller states.
        np.testing.assert_allclose(after / 2**20, before.astype(np.float32), rtol=2**-11, atol=1e-6)


# --- failures while answering ---


def test_a_model_that_returns_nan_ends_the_run_as_failed():
    made = tiny("llava")
    with companion(made=made) as served, served.client() as client:
        with torch.no_grad():
            made.model.model.language_model.norm.weight[3] = torch.nan
        run = ask(client)
    assert run.end.reason == "failed"
    assert run.end.message is not None
    assert "not finite" in run.end.message
    assert run.tokens == []


def test_a_failure_during_an_answer_ends_the_stream_properly_and_the_next_question_works(plain: Served):
    rows = 0

    def fail() -> None:
        nonlocal rows
        rows += 1
        if rows == 5:
            raise RuntimeError("CUDA error: something\nwith internal details on a second line")

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


# --- the head, and the API's description ---


def test_without_a_head_the_model_facts_give_the_command_to_train_one(plain: Served):
    with plain.client() as client:
        facts = client.get("/v1/model").json()
        assert facts["head"] is None
        assert "fastrm" not in facts["methods"]
        assert facts["trainCommand"].startswith("patchlight train")
        assert ask(client, maxNewTokens=1).header["head"] is None
        for path in ("/v1/head/fastrm.bin", "/v1/calibration"):
            missing = client.get(path)
            assert (missing.status_code, missing.headers["content-type"]) == (404, "application/problem+json")


def test_the_embedded_model_s_own_head_matches(embedded: httpx.Client):
    assert embedded.get("/v1/model").json()["head"]["match"] == "same"
    recorded = read_run(SAMPLES / "run-1.run")
    header = ask(embedded, recorded.header["question"], recorded.picture, maxNewTokens=1).header
    head: Any = header["head"]
    assert head["match"] == "same"
    assert head["trainedOn"]["name"] == header["model"]["name"] == "patchlight-scenes"


@pytest.mark.parametrize(("trained_on", "match"), [("tiny", "unverified"), ("another", "other")])
def test_a_forced_head_says_so_in_the_model_facts_and_in_every_run(trained_on: str, match: str, tmp_path: Path):
    """Neither the head's description nor the model has a revision to compare."""
    facts = HeadFacts(hidden_size=32, stage="post_norm", teacher="none", model=trained_on, model_revision="r1")
    FastRM(32).save_pretrained(tmp_path / "fastrm", facts)
    model = loaded(tiny("llava"))
    if match == "other":
        with pytest.raises(ValueError, match=r"trained on another \(r1\), not on tiny \(0+\).*--force-head"):
            serve_head(tmp_path / "fastrm", tmp_path / "out", model)
    head = serve_head(tmp_path / "fastrm", tmp_path / "out", model, force=match == "other")
    assert f"trained on {trained_on} (r1)" in head.training
    session = ModelSession(model, ServeSettings(), head=head.facts, knows="", train_command="")
    with (
        serving(create_app(ServeSettings(), session, head_files=head.files)) as port,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client,
    ):
        heads: list[Any] = [client.get("/v1/model").json()["head"], ask(client, maxNewTokens=1).header["head"]]
        for described in heads:
            assert described["match"] == match
            assert described["trainedOn"] == {"name": trained_on, "revision": "r1"}


def test_the_committed_api_description_is_up_to_date(plain: Served):
    with plain.client() as client:
        served = client.get("/v1/openapi.json").json()
    assert json.loads(OPENAPI.read_text()) == served, "regenerate it: python -m patchlight.server.write_openapi"


def test_health_has_the_versions_of_both_formats(plain: Served):
    with plain.client() as client:
        health = client.get("/v1/health").json()
    assert health == {
        "status": "ready",
        "version": "0.1.0",
        "protocol": FORMAT_VERSION,
        "explanationFormat": EXPLANATION_VERSION,
    }
