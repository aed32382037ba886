"""Tests that docs/protocol.md matches the code: columns, problems, header, and the example client."""

import json
import re
from typing import Any

import pyarrow as pa
import pytest

from patchlight.server.schemas import ExplainRequest, GenerateRequest
from patchlight.wire.explanation import EXPLANATION_FIELDS, ExplanationHeader
from patchlight.wire.run import FORMAT_VERSION, RUN_FIELDS, read_run
from tests.helpers.paths import ROOT
from tests.helpers.serving import companion, noise_image
from tests.makers.run_fixture import LIVE_FIXTURE

PAGE = (ROOT / "docs" / "protocol.md").read_text()
SERVER = ROOT / "companion" / "src" / "patchlight" / "server"


def block(language: str) -> str:
    """Return the page's only code block in the given language."""
    [code] = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return code


@pytest.mark.parametrize(
    ("heading", "fields"), [("Columns", RUN_FIELDS), ("Columns of an explanation", EXPLANATION_FIELDS)]
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
    # The framework raises these two.
    assert listed - raised == {(404, "not-found"), (405, "method-not-allowed")}
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
