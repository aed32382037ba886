"""Tests writing, reading and truncating runs, and compares a run of a random model with calls to Hugging Face's API."""

import hashlib
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pytest
import torch
from PIL import Image
from transformers import AutoProcessor

from patchlight.embedded.record import record_run
from patchlight.embedded.training.model import load_model, model_inputs
from patchlight.embedded.training.vocabulary import build_tokenizer
from patchlight.head.fastrm import FastRM
from patchlight.models.answer_pieces import AnswerText
from patchlight.wire.run import (
    METADATA_KEY,
    End,
    PromptToken,
    Run,
    RunWriter,
    StatesNotFinite,
    Token,
    parse_run,
    read_run,
)
from patchlight.wire.run_header import Header
from tests.helpers.generation import generated_ids
from tests.makers.run_fixture import (
    FIXTURE,
    LIVE_FIXTURE,
    LIVE_HEADER,
    QUESTION,
    TOKENS,
    TWO_IMAGES_FIXTURE,
    TWO_IMAGES_HEADER,
    record_tiny_run,
    save_image,
    save_tiny_model,
    write_live_run,
    write_two_images_run,
)


class Recorded(NamedTuple):
    folder: Path
    answer: str
    run: Run


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    folder = tmp_path_factory.mktemp("recorded")
    answer = record_tiny_run(folder, folder / "tiny.run")
    return Recorded(folder, answer, read_run(folder / "tiny.run"))


def test_the_committed_run_has_the_expected_content():
    run = read_run(FIXTURE)
    assert run.header["id"] == "a07afe8a2c3f"
    assert run.picture is not None
    assert run.header["image"] == {
        "mediaType": "image/png",
        "name": "gradient.png",
        "sha256": hashlib.sha256(run.picture).hexdigest(),
    }
    assert "".join(token.text for token in run.tokens) == "no sizes six picture next"
    assert [token.word for token in run.tokens] == [0, 1, 1, 2, 3, 4]
    assert [token.token_id for token in run.tokens] == [38, 34, 134, 109, 29, 79]
    first = run.tokens[0]
    assert first.map is not None
    # Stored as float32, so the comparison is exact.
    assert first.map.values[0] == np.float32(0.16621030867099762)
    assert first.log_prob == np.float32(-1.324744462966919)
    assert run.states is not None
    assert run.states.shape == (16, 32)
    assert run.states[0, 0] == np.float16(2.30078125)
    assert run.prompt is not None
    assert [token.text for token in run.prompt.tokens[3:6]] == [" What", " color", " is"]
    assert run.prompt.states.shape == (12, 32)
    assert run.prompt.unembedding is first.unembedding is None
    assert run.end == ("length", 1194.0668039997036, 909.9999890004256, None)


def test_the_committed_live_stream_has_the_expected_content():
    run = read_run(LIVE_FIXTURE)
    assert run.header == LIVE_HEADER
    assert run.places == [2, 1, 0]
    assert run.picture is None
    expected = np.arange(32).reshape(8, 4) / 8
    assert run.states is not None
    assert run.states.dtype == np.float16
    np.testing.assert_array_equal(run.states, expected)
    assert run.prompt is not None
    assert run.prompt.tokens == [PromptToken(1, "<s>"), PromptToken(9, " Is")]
    assert run.prompt.states.dtype == np.float32
    np.testing.assert_array_equal(run.prompt.states, expected[:2] + 70000)
    first, second = run.tokens
    assert first.map is None
    assert first.query_state.dtype == np.float16
    np.testing.assert_array_equal(first.query_state, expected[3])
    assert second.query_state.dtype == np.float32
    np.testing.assert_array_equal(second.query_state, expected[3] * -65536)
    assert run.prompt.unembedding is not None
    assert run.prompt.unembedding.dtype == np.float16
    np.testing.assert_array_equal(run.prompt.unembedding, -expected[4:6])
    assert first.unembedding is not None
    assert first.unembedding.dtype == np.float16
    np.testing.assert_array_equal(first.unembedding, -expected[6])
    assert second.unembedding is not None
    assert second.unembedding.dtype == np.float32
    np.testing.assert_array_equal(second.unembedding, expected[7] * -65536)
    assert run.end == ("failed", 12.5, 4.25, "the model's hidden states are not finite: 3 of 4 values")


def test_the_committed_live_stream_equals_a_newly_written_one(tmp_path: Path):
    write_live_run(tmp_path / "live.run")
    assert (tmp_path / "live.run").read_bytes() == LIVE_FIXTURE.read_bytes()


def test_the_committed_run_of_two_images_has_the_expected_content():
    run = read_run(TWO_IMAGES_FIXTURE)
    assert run.header == TWO_IMAGES_HEADER
    frames = run.header["geometry"]["frames"]
    assert [(frame["name"], frame.get("image", 0)) for frame in frames] == [
        ("image", 0),
        ("detail", 1),
        ("overview", 1),
    ]
    images = run.header.get("images", [])
    digests = [hashlib.sha256(picture).hexdigest() for picture in run.pictures]
    assert digests == [image["sha256"] for image in images]
    sizes = [Image.open(io.BytesIO(picture)).size for picture in run.pictures]
    assert sizes == [(image["widthPx"], image["heightPx"]) for image in images]
    assert run.picture == run.pictures[0]
    assert run.states is not None
    assert run.states.shape == (4 + 2 + 1, 4)
    maps = [token.map.values for token in run.tokens if token.map is not None]
    # The first token's map peaks on the first image, the second one's on the second.
    assert [int(values.argmax()) for values in maps] == [3, 5]
    assert run.end == ("stop", 20.5, 8.25, None)


def test_the_committed_run_of_two_images_equals_a_newly_written_one(tmp_path: Path):
    write_two_images_run(tmp_path / "two.run")
    assert (tmp_path / "two.run").read_bytes() == TWO_IMAGES_FIXTURE.read_bytes()


def test_the_writer_takes_all_images_or_none(tmp_path: Path):
    states = np.zeros((7, 4), np.float32)
    with (tmp_path / "two.run").open("wb") as sink, RunWriter(sink, TWO_IMAGES_HEADER) as run:
        run.image(b"one")
        with pytest.raises(ValueError, match="has 2 images, 1 of which have been written"):
            run.states(states)
        run.image(b"two")
        with pytest.raises(ValueError, match="has 2 images, all of which have been written"):
            run.image(b"three")
        run.states(states)
    with (tmp_path / "none.run").open("wb") as sink, RunWriter(sink, TWO_IMAGES_HEADER) as run:
        run.states(states)
    assert read_run(tmp_path / "two.run").pictures == [b"one", b"two"]
    assert read_run(tmp_path / "none.run").pictures == []


def test_the_recorded_answer_equals_that_of_generate(recorded: Recorded):
    processor = AutoProcessor.from_pretrained(recorded.folder / "hf")
    model = load_model(recorded.folder / "hf")
    image = Image.open(recorded.folder / "gradient.png").convert("RGB")
    inputs = model_inputs(processor, image, QUESTION)
    ids = generated_ids(model, inputs, max_new_tokens=TOKENS)
    assert [token.token_id for token in recorded.run.tokens] == ids
    assert recorded.answer == processor.tokenizer.decode(ids) == "".join(t.text for t in recorded.run.tokens)


def test_alternatives_are_sorted_and_start_with_the_chosen_token(recorded: Recorded):
    for token in recorded.run.tokens:
        scores = [alternative.log_prob for alternative in token.alternatives]
        assert len(scores) == 5
        assert scores == sorted(scores, reverse=True)
        assert token.alternatives[0][:2] == (token.token_id, token.text)
        assert token.alternatives[0].log_prob == token.log_prob


def test_maps_follow_from_the_states_in_the_file(recorded: Recorded):
    head = FastRM.from_pretrained(recorded.folder / "head")
    assert recorded.run.states is not None
    patches = torch.from_numpy(recorded.run.states).float()
    for token in recorded.run.tokens:
        assert token.map is not None
        with torch.no_grad():
            again = head(torch.from_numpy(token.query_state).float()[None], patches)[0].numpy()
        # States are stored in fp16 (2^-11 relative error), logits are a few units large, and a probability changes by
        # at most a quarter of its logit's change.
        np.testing.assert_allclose(again, token.map.values, rtol=0, atol=2e-3)


def test_word_pieces_join_to_the_answer_with_their_spaces():
    tokenizer = build_tokenizer()
    ids = tokenizer("The spheres are metallic, not red.", add_special_tokens=False).input_ids
    words = AnswerText(tokenizer)
    added = [words.add(token) for token in ids]
    assert [text for text, _ in added] == ["The", " sphere", "s", " are", " metal", "lic", ",", " not", " red", "."]
    assert [word for _, word in added] == [0, 1, 1, 2, 3, 3, 4, 5, 6, 7]
    assert words.answer == "The spheres are metallic, not red." == tokenizer.decode(ids)


def test_there_is_no_space_before_a_colon():
    tokenizer = build_tokenizer()
    words = AnswerText(tokenizer)
    ids = tokenizer("There are two objects: a small cube", add_special_tokens=False).input_ids
    assert "".join(words.add(token)[0] for token in ids) == "There are two objects: a small cube"


@pytest.mark.parametrize("share", [0.35, 0.6, 0.85])
def test_a_truncated_file_keeps_its_complete_rows_and_is_marked_truncated(share: float, tmp_path: Path):
    content = FIXTURE.read_bytes()
    cut = tmp_path / "cut.run"
    cut.write_bytes(content[: int(share * len(content))])
    run = read_run(cut)
    assert run.end.reason == "truncated"
    assert len(run.tokens) < 6
    assert [t.text for t in run.tokens] == [t.text for t in read_run(FIXTURE).tokens][: len(run.tokens)]


@pytest.mark.parametrize("version", [1, 3])
def test_another_format_version_is_rejected_by_its_number(version: int, tmp_path: Path):
    path = tmp_path / "later.run"
    schema = pa.schema([pa.field("kind", pa.utf8())], metadata={METADATA_KEY: json.dumps({"formatVersion": version})})
    with pa.ipc.new_stream(path, schema):
        pass
    with pytest.raises(ValueError, match=f"later.run has run format version {version}, expected version 2"):
        read_run(path)


def test_an_arrow_file_that_is_not_a_run_is_rejected(tmp_path: Path):
    path = tmp_path / "table.run"
    with pa.ipc.new_stream(path, pa.schema([pa.field("kind", pa.utf8())])):
        pass
    with pytest.raises(ValueError, match="not a run"):
        read_run(path)


def test_rows_that_contradict_the_header_are_not_written():
    run = read_run(FIXTURE)
    writer = RunWriter(io.BytesIO(), run.header)
    with pytest.raises(ValueError, match=r"expected states of shape \(16, 32\), got \(16, 31\)"):
        writer.states(np.zeros((16, 31)))
    token: Token = run.tokens[1]
    with pytest.raises(ValueError, match="expected token 0, got token 1"):
        writer.token(token)


def test_unembedding_rows_are_written_only_to_a_run_that_has_them():
    run = read_run(FIXTURE)
    states, row = np.zeros((16, 32)), np.zeros(32)
    without = RunWriter(io.BytesIO(), run.header)
    without.states(states)
    with pytest.raises(ValueError, match=r"expected unembedding rows of shape None, got \(32,\)"):
        without.token(replace(run.tokens[0], unembedding=row))
    with_rows = RunWriter(io.BytesIO(), run.header, has_unembedding=True)
    with_rows.states(states)
    with pytest.raises(ValueError, match=r"expected unembedding rows of shape \(1, 32\), got None"):
        with_rows.prompt([PromptToken(1, "a")], states[:1])
    with pytest.raises(StatesNotFinite, match="unembedding rows are not finite: 32 of 32 values"):
        with_rows.token(replace(run.tokens[0], unembedding=row + np.nan))


def test_maps_of_the_prompt_are_kept_by_a_run_that_has_them():
    run = read_run(FIXTURE)
    token = run.tokens[0]
    assert token.map is not None
    assert token.map.prompt is None
    states, values = np.zeros((16, 32)), np.array([0.25, 1, 0], np.float32)
    words = [PromptToken(k, text) for k, text in enumerate("abc")]
    with_words = replace(token, map=token.map._replace(prompt=values))
    sink = io.BytesIO()
    with RunWriter(sink, run.header, has_prompt_maps=True) as writer:
        writer.states(states)
        writer.prompt(words, states[:3])
        with pytest.raises(ValueError, match=r"expected a map of the prompt of shape \(3,\), got None"):
            writer.token(token)
        with pytest.raises(ValueError, match=r"of shape \(3,\), got \(2,\)"):
            writer.token(replace(token, map=token.map._replace(prompt=values[:2])))
        writer.token(with_words)
        writer.token(replace(token, index=1, map=None))
        writer.end(End("stop", 1, 1))
    first, second = parse_run(sink.getvalue()).tokens
    assert first.map is not None
    np.testing.assert_array_equal(first.map.prompt, values)
    np.testing.assert_array_equal(first.map.values, token.map.values)
    assert second.map is None
    without = RunWriter(io.BytesIO(), run.header)
    without.states(states)
    with pytest.raises(ValueError, match="this run has no column for maps of the prompt"):
        without.token(with_words)


def test_attention_logits_are_kept_by_a_run_whose_header_names_their_head():
    run = read_run(FIXTURE)
    token = run.tokens[0]
    assert token.attention_logits is None
    states, logits = np.zeros((16, 32)), np.linspace(-40, 3, 16)
    header: Header = {**run.header, "attentionLogitsOf": {"name": "fastrm-plus", "revision": "ab"}}
    sink = io.BytesIO()
    with RunWriter(sink, header) as writer:
        writer.states(states)
        with pytest.raises(ValueError, match=r"expected attention logits of shape \(16,\), got None"):
            writer.token(token)
        with pytest.raises(ValueError, match=r"of shape \(16,\), got \(15,\)"):
            writer.token(replace(token, attention_logits=logits[:15]))
        writer.token(replace(token, attention_logits=logits))
        writer.end(End("stop", 1, 1))
    kept = parse_run(sink.getvalue())
    assert kept.header == header
    np.testing.assert_array_equal(kept.tokens[0].attention_logits, logits.astype(np.float32))
    without = RunWriter(io.BytesIO(), run.header)
    without.states(states)
    with pytest.raises(ValueError, match=r"expected attention logits of shape None, got \(16,\)"):
        without.token(replace(token, attention_logits=logits))


def test_a_recorded_run_has_the_attention_logits_of_the_model_s_fastrm_plus_head(tmp_path: Path):
    save_tiny_model(tmp_path / "hf", tmp_path / "head")
    weights = torch.tensor([0.5, -1.0, 0.25, 2.0])  # 2 layers of 2 attention heads
    plus = tmp_path / "hf" / "fastrm-plus"
    head = FastRM(32, attention_rows=4)
    head.load_state_dict({**head.state_dict(), "attention.weight": weights})
    head.save_pretrained(plus, FastRM.from_pretrained(tmp_path / "head").facts)
    save_image(tmp_path / "gradient.png")
    folders = tmp_path / "hf", tmp_path / "head"
    record_run(*folders, tmp_path / "gradient.png", QUESTION, tmp_path / "plus.run", max_new_tokens=3)
    run = read_run(tmp_path / "plus.run")
    of_head = hashlib.sha256((plus / "head.safetensors").read_bytes()).hexdigest()[:12]
    assert run.header.get("attentionLogitsOf") == {"name": "random-weights-head", "revision": of_head}

    processor = AutoProcessor.from_pretrained(tmp_path / "hf")
    model = load_model(tmp_path / "hf", attention="eager")
    inputs = model_inputs(processor, Image.open(tmp_path / "gradient.png").convert("RGB"), QUESTION)
    answer = torch.tensor([[token.token_id for token in run.tokens[:-1]]])
    length = inputs["input_ids"].shape[1]
    is_patch = inputs["input_ids"][0] == model.config.image_token_id
    inputs["input_ids"] = torch.cat([inputs["input_ids"], answer], dim=1)
    inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
    with torch.no_grad():
        attentions = torch.stack(model(**inputs, output_attentions=True).attentions)[:, 0].double()
    columns = is_patch.nonzero()[:, 0]
    for token in run.tokens:
        rows = attentions[:, :, length - 1 + token.index][..., columns].reshape(4, 16)
        expected = (weights.double()[:, None] * (rows + 1e-6).log()).sum(0).numpy()
        # float32, in one pass instead of one per token; the smallest attention is about 1e-3.
        assert token.attention_logits is not None
        np.testing.assert_allclose(token.attention_logits, expected, rtol=0, atol=1e-4)


def test_a_row_out_of_order_is_not_written():
    run = read_run(FIXTURE)
    states = np.zeros((16, 32))
    writer = RunWriter(io.BytesIO(), run.header)
    with pytest.raises(ValueError, match="token cannot precede the states"):
        writer.token(run.tokens[0])
    writer.states(states)
    with pytest.raises(ValueError, match="queued cannot follow one of kind states"):
        writer.queued(0)
    with pytest.raises(ValueError, match="states cannot follow one of kind states"):
        writer.states(states)
    writer.end(End("stop", 1, 1))
    with pytest.raises(ValueError, match="token cannot follow one of kind end"):
        writer.token(run.tokens[0])


# The largest fp16 number, the next float32 number, and two numbers that fp16 would round to infinity.
@pytest.mark.parametrize(
    ("value", "dtype"), [(65504.0, np.float16), (65504.004, np.float32), (-65520.0, np.float32), (1e38, np.float32)]
)
def test_states_outside_the_range_of_fp16_are_stored_as_float32(value: float, dtype: type):
    header = read_run(FIXTURE).header
    states = np.linspace(-2, 2, 16 * 32, dtype=np.float32).reshape(16, 32)
    states[7, 3] = value
    sink = io.BytesIO()
    with RunWriter(sink, header) as writer:
        writer.states(states)
    actual = parse_run(sink.getvalue()).states
    assert actual is not None
    assert actual.dtype == dtype
    np.testing.assert_array_equal(actual, states.astype(dtype))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_non_finite_states_are_rejected_with_their_count(value: float):
    writer = RunWriter(io.BytesIO(), read_run(FIXTURE).header)
    states = np.zeros((16, 32))
    states[2, 5] = states[3, 1] = value
    with pytest.raises(StatesNotFinite, match="not finite: 2 of 512 values"):
        writer.states(states)
