"""Runs written, read back, broken off; and a run recorded from a real (random) model against Hugging Face's own calls."""

import hashlib
import io
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pytest
import torch
from PIL import Image
from transformers import AutoProcessor

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
from tests.helpers.generation import generated_ids
from tests.makers.run_fixture import (
    FIXTURE,
    LIVE_FIXTURE,
    LIVE_HEADER,
    QUESTION,
    TOKENS,
    record_tiny_run,
    write_live_run,
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


def test_the_committed_run_reads_as_it_was_written():
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
    # Written as float32, so read back exactly.
    assert first.map.values[0] == np.float32(0.16621030867099762)
    assert first.log_prob == np.float32(-1.324744462966919)
    assert run.states is not None
    assert run.states.shape == (16, 32)
    assert run.states[0, 0] == np.float16(2.30078125)
    assert run.prompt is not None
    assert [token.text for token in run.prompt.tokens[3:6]] == [" What", " color", " is"]
    assert run.prompt.states.shape == (12, 32)
    assert run.end == ("length", 1194.0668039997036, 909.9999890004256, None)


def test_the_committed_live_stream_reads_as_it_was_written():
    run = read_run(LIVE_FIXTURE)
    assert run.header == LIVE_HEADER
    assert run.places == [2, 1, 0]
    assert run.picture is None
    wanted = np.arange(32).reshape(8, 4) / 8
    assert run.states is not None
    assert run.states.dtype == np.float16
    np.testing.assert_array_equal(run.states, wanted)
    assert run.prompt is not None
    assert run.prompt.tokens == [PromptToken(1, "<s>"), PromptToken(9, " Is")]
    assert run.prompt.states.dtype == np.float32
    np.testing.assert_array_equal(run.prompt.states, wanted[:2] + 70000)
    first, second = run.tokens
    assert first.map is None
    assert first.query_state.dtype == np.float16
    np.testing.assert_array_equal(first.query_state, wanted[3])
    assert second.query_state.dtype == np.float32
    np.testing.assert_array_equal(second.query_state, wanted[3] * -65536)
    assert run.end == ("failed", 12.5, 4.25, "the model's hidden states are not finite: 3 of 4 values")


def test_the_committed_live_stream_is_what_is_written_today(tmp_path: Path):
    write_live_run(tmp_path / "live.run")
    assert (tmp_path / "live.run").read_bytes() == LIVE_FIXTURE.read_bytes()


def test_the_recorded_answer_is_what_generate_says(recorded: Recorded):
    processor = AutoProcessor.from_pretrained(recorded.folder / "hf")
    model = load_model(recorded.folder / "hf")
    image = Image.open(recorded.folder / "gradient.png").convert("RGB")
    inputs = model_inputs(processor, image, QUESTION)
    ids = generated_ids(model, inputs, max_new_tokens=TOKENS)
    assert [token.token_id for token in recorded.run.tokens] == ids
    assert recorded.answer == processor.tokenizer.decode(ids) == "".join(t.text for t in recorded.run.tokens)


def test_alternatives_begin_with_the_chosen_token_and_fall(recorded: Recorded):
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
        # States are kept in fp16: 2^-11 relative, logits of a few units, a quarter of that in the probability.
        np.testing.assert_allclose(again, token.map.values, rtol=0, atol=2e-3)


def test_word_pieces_join_to_the_answer_with_their_spaces():
    tokenizer = build_tokenizer()
    ids = tokenizer("The spheres are metallic, not red.", add_special_tokens=False).input_ids
    words = AnswerText(tokenizer)
    added = [words.add(token) for token in ids]
    assert [text for text, _ in added] == ["The", " sphere", "s", " are", " metal", "lic", ",", " not", " red", "."]
    assert [word for _, word in added] == [0, 1, 1, 2, 3, 3, 4, 5, 6, 7]
    assert words.answer == "The spheres are metallic, not red." == tokenizer.decode(ids)


def test_a_colon_stands_close_to_its_word():
    tokenizer = build_tokenizer()
    words = AnswerText(tokenizer)
    ids = tokenizer("There are two objects: a small cube", add_special_tokens=False).input_ids
    assert "".join(words.add(token)[0] for token in ids) == "There are two objects: a small cube"


@pytest.mark.parametrize("share", [0.35, 0.6, 0.85])
def test_a_file_cut_short_keeps_what_came_and_says_truncated(share: float, tmp_path: Path):
    whole = FIXTURE.read_bytes()
    cut = tmp_path / "cut.run"
    cut.write_bytes(whole[: int(share * len(whole))])
    run = read_run(cut)
    assert run.end.reason == "truncated"
    assert len(run.tokens) < 6
    assert [t.text for t in run.tokens] == [t.text for t in read_run(FIXTURE).tokens][: len(run.tokens)]


@pytest.mark.parametrize("version", [1, 3])
def test_another_version_is_refused_by_its_number(version: int, tmp_path: Path):
    path = tmp_path / "later.run"
    schema = pa.schema([pa.field("kind", pa.utf8())], metadata={METADATA_KEY: json.dumps({"formatVersion": version})})
    with pa.ipc.new_stream(path, schema):
        pass
    with pytest.raises(ValueError, match=f"later.run has run format version {version}; this reads version 2"):
        read_run(path)


def test_an_arrow_file_that_is_no_run_is_refused(tmp_path: Path):
    path = tmp_path / "table.run"
    with pa.ipc.new_stream(path, pa.schema([pa.field("kind", pa.utf8())])):
        pass
    with pytest.raises(ValueError, match="not a run"):
        read_run(path)


def test_rows_that_contradict_the_header_are_not_written():
    run = read_run(FIXTURE)
    writer = RunWriter(io.BytesIO(), run.header)
    with pytest.raises(ValueError, match=r"states \(16, 31\), the header says \(16, 32\)"):
        writer.states(np.zeros((16, 31)))
    token: Token = run.tokens[1]
    with pytest.raises(ValueError, match="token 1 comes where 0 is due"):
        writer.token(token)


def test_a_row_out_of_its_order_is_not_written():
    run = read_run(FIXTURE)
    states = np.zeros((16, 32))
    writer = RunWriter(io.BytesIO(), run.header)
    with pytest.raises(ValueError, match="token comes before states"):
        writer.token(run.tokens[0])
    writer.states(states)
    with pytest.raises(ValueError, match="queued comes after states"):
        writer.queued(0)
    with pytest.raises(ValueError, match="states comes after states"):
        writer.states(states)
    writer.end(End("stop", 1, 1))
    with pytest.raises(ValueError, match="token comes after end"):
        writer.token(run.tokens[0])


# The largest fp16 number, the first float32 above it, what would round to infinity.
@pytest.mark.parametrize(
    ("value", "dtype"), [(65504.0, np.float16), (65504.004, np.float32), (-65520.0, np.float32), (1e38, np.float32)]
)
def test_states_that_fp16_does_not_hold_cross_as_float32(value: float, dtype: type):
    header = read_run(FIXTURE).header
    states = np.linspace(-2, 2, 16 * 32, dtype=np.float32).reshape(16, 32)
    states[7, 3] = value
    sink = io.BytesIO()
    with RunWriter(sink, header) as writer:
        writer.states(states)
    found = parse_run(sink.getvalue()).states
    assert found is not None
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, states.astype(dtype))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_states_that_are_not_finite_are_refused_with_their_count(value: float):
    writer = RunWriter(io.BytesIO(), read_run(FIXTURE).header)
    states = np.zeros((16, 32))
    states[2, 5] = states[3, 1] = value
    with pytest.raises(StatesNotFinite, match="not finite: 2 of 512 values"):
        writer.states(states)
