"""Tests that docs/protocol.md matches the code: columns, problems, header, and the example client."""

import json
import re
from typing import Any

import pyarrow as pa
import pytest

from patchlight.models.sampling import Sampling
from patchlight.server.schemas import ExplainRequest, GenerateRequest
from patchlight.server.settings import ServeSettings
from patchlight.server.uploads import FULL_UPLOADS, MAX_ASPECT_RATIO, MAX_NAME_CHARS
from patchlight.wire.explanation import EXPLANATION_FIELDS, ExplanationHeader
from patchlight.wire.run import (
    ATTENTION_FIELD,
    FORMAT_VERSION,
    PROMPT_MAP_FIELD,
    RUN_FIELDS,
    UNEMBEDDING_FIELDS,
    parse_run,
    read_run,
)
from tests.helpers.paths import ROOT
from tests.helpers.serving import ask, companion, form, noise_image
from tests.helpers.tiny_models import tiny
from tests.makers.run_fixture import LIVE_FIXTURE

PAGE = (ROOT / "docs" / "protocol.md").read_text()
SERVER = ROOT / "companion" / "src" / "patchlight" / "server"


def block(language: str) -> str:
    """Return the page's only code block in the given language."""
    [code] = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return code


@pytest.mark.parametrize(
    ("heading", "fields"),
    [
        ("Columns", [*RUN_FIELDS, *UNEMBEDDING_FIELDS, PROMPT_MAP_FIELD, ATTENTION_FIELD]),
        ("Columns of an explanation", EXPLANATION_FIELDS),
    ],
)
def test_the_documented_columns_match_the_schemas(heading: str, fields: list[pa.Field]):
    section = PAGE.partition(f"### {heading}\n")[2].partition("###")[0]
    listed = re.findall(r"^\| `(\w+)` \| (\S.*?) \| ", section, re.MULTILINE)
    assert listed == [(field.name, str(field.type)) for field in fields]


def test_the_documented_explanation_header_matches_the_code():
    section = PAGE.partition("## An explanation")[2].partition("###")[0]
    listed = {
        name for line in re.findall(r"^\| (`.*?) \|", section, re.MULTILINE) for name in re.findall(r"`(\w+)`", line)
    }
    assert listed == {"formatVersion", *ExplanationHeader.__annotations__}


def test_the_documented_request_fields_match_the_schemas():
    for heading, request in (("Asking a question", GenerateRequest), ("Explaining tokens", ExplainRequest)):
        section = PAGE.partition(f"### {heading}\n")[2].partition("###")[0]
        listed = re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)
        assert listed == [field.alias for field in request.model_fields.values()]


def test_the_documented_run_header_has_all_fields():
    def shape(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: shape(item) for key, item in value.items()}
        return [shape(value[0])] if isinstance(value, list) else None

    example = json.loads(block("json"))
    assert example.pop("formatVersion") == FORMAT_VERSION
    assert shape(example) == shape(dict(read_run(LIVE_FIXTURE).header))


def test_the_documented_problems_match_the_server():
    section = PAGE.partition("### Refusals")[2].partition("##")[0]
    rows = re.findall(r"^\| (\d{3}) \| (.*?) \|", section, re.MULTILINE)
    listed = {(int(status), kind) for status, kinds in rows for kind in re.findall(r"`([a-z-]+)`", kinds)}
    source = "".join(path.read_text() for path in SERVER.glob("*.py"))
    raised = {(int(status), kind) for status, kind in re.findall(r'Refusal\(\s*(\d{3}),\s*"([a-z-]+)"', source)}
    # The framework raises the first two, and the HTTP parser the others.
    assert listed - raised == {
        (404, "not-found"),
        (405, "method-not-allowed"),
        (431, "headers-too-large"),
        (501, "unsupported-encoding"),
    }
    assert raised <= listed


@pytest.mark.parametrize("path", ["/v1/nothing", "/"])
def test_framework_errors_are_problem_documents(path: str):
    with companion() as served, served.client() as client:
        response = client.get(path)
        assert (response.status_code, response.json()["type"]) == (404, "urn:patchlight:problem:not-found")
        response = client.put("/v1/health")
        assert (response.status_code, response.json()["type"]) == (405, "urn:patchlight:problem:method-not-allowed")


def test_the_documented_client_reads_an_answer():
    names: dict[str, Any] = {}
    exec(block("python"), names)
    with companion() as served:
        answer, reason = names["ask"](served.url, noise_image(), "What is it?")
    assert reason == "length"
    assert answer


def test_the_documented_health_matches_the_server():
    [row] = re.findall(r"^\| `GET /v1/health` \| `(.*?)` \|", PAGE, re.MULTILINE)
    with companion() as served, served.client() as client:
        health = client.get("/v1/health").json()
    version = health.pop("version")
    assert version
    assert row == f'{{status: "{health.pop("status")}", version, {", ".join(f"{k}: {v}" for k, v in health.items())}}}'


def test_the_documented_numbers_match_the_code():
    settings = ServeSettings()
    for sentence in (
        f"the longer side may be at most {MAX_ASPECT_RATIO} times the shorter one",
        f"the {Sampling().alternatives} most likely tokens",
        f"at most {MAX_NAME_CHARS} characters, or `image`",
        f"within {settings.upload_s:g} s, and the headers within {settings.header_s:g} s",
        f"more than {settings.uploads} bodies arrive at once, or together more than {FULL_UPLOADS} bodies may have",
        f"client reads nothing for {settings.stall_s:g} s",
    ):
        assert sentence in PAGE


def test_a_run_s_id_time_media_type_and_alternatives_have_the_documented_forms():
    with companion() as served, served.client() as client:
        # The media type in the request is wrong.
        image = ("C:\\x\\a.png", noise_image(format="WEBP"), "image/gif")
        response = client.post("/v1/generate", data=form(maxNewTokens=2)["data"], files={"image": image})
        run = parse_run(response.content)
    assert re.fullmatch(r"[0-9a-f]{16}", run.header["id"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", run.header["createdAt"])
    assert run.header["image"]["mediaType"] == "image/webp"
    assert run.header["image"]["name"] == "a.png"
    for token in run.tokens:
        log_probs = [alternative.log_prob for alternative in token.alternatives]
        assert len(log_probs) == 5
        assert log_probs == sorted(log_probs, reverse=True)


def test_words_that_a_tokenizer_can_spell_are_not_unknown():
    with companion(made=tiny("llava")) as served, served.client() as client:
        assert ask(client, "A flibbertigibbet?", maxNewTokens=1).end.reason in ("length", "stop")
