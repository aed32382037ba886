"""Tests the rows of the unembedding matrix that a companion serves for token activation maps."""

import json
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import pytest
import torch

from patchlight.wire.run import Run
from tests.helpers.serving import Served, ask, companion, refusal
from tests.helpers.tiny_models import tiny


def rows_of(response: httpx.Response) -> tuple[dict[str, Any], list[int], np.ndarray]:
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/vnd.apache.arrow.stream"
    with pa.ipc.open_stream(response.content) as stream:
        table = stream.read_all()
    header = json.loads((table.schema.metadata or {})[b"patchlight.unembedding"])
    return header, table["tokenId"].to_pylist(), np.stack(table["row"].to_numpy(zero_copy_only=False))


def test_unembedding_rows_times_a_state_give_the_logits(plain: Served, run: Run):
    weight = tiny("llava").model.lm_head.weight.detach().numpy()
    with plain.client() as client:
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
    with companion(made=made) as served, served.client() as client:
        with torch.no_grad():
            made.model.lm_head.weight[5] *= 2**30
        _, _, rows = rows_of(client.get("/v1/unembedding", params={"ids": "5,4"}))
    assert rows.dtype == np.float32
    np.testing.assert_array_equal(rows, made.model.lm_head.weight.detach().numpy()[[5, 4]])


def test_the_rows_of_all_text_tokens_are_streamed_on_request(plain: Served, run: Run):
    weight = tiny("llava").model.lm_head.weight.detach().numpy().astype(np.float16)
    with plain.client() as client:
        assert client.get("/v1/model").json()["streamsUnembedding"]
        streamed = ask(client, maxNewTokens=8, sendUnembedding=True)
    assert streamed.prompt is not None
    assert streamed.prompt.unembedding is not None
    ids = [token.token_id for token in streamed.prompt.tokens]
    np.testing.assert_array_equal(streamed.prompt.unembedding, weight[ids])
    assert len(streamed.tokens) == 8
    for token in streamed.tokens:
        np.testing.assert_array_equal(token.unembedding, weight[token.token_id])
    # Without the request, the stream is as it was.
    assert [token.unembedding for token in run.tokens] == [None] * 8
    assert [token.token_id for token in run.tokens] == [token.token_id for token in streamed.tokens]


def test_an_output_layer_with_a_bias_has_no_unembedding_rows():
    made = tiny("llava")
    made.model.lm_head.bias = torch.nn.Parameter(torch.ones(made.model.lm_head.weight.shape[0]))
    with companion(made=made) as served, served.client() as client:
        facts = client.get("/v1/model").json()
        assert not facts["unembedding"]
        assert not facts["streamsUnembedding"]
        assert ask(client, maxNewTokens=1, sendUnembedding=True).tokens[0].unembedding is None
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
def test_invalid_ids_are_refused(ids: str | None, expected: tuple[int, str, int | None, int | None], plain: Served):
    with plain.client() as client:
        response = client.get("/v1/unembedding", params={} if ids is None else {"ids": ids})
    assert refusal(response) == expected
