"""docs/protocol.md says what the code does: its columns, its problems, its header, its reader."""

import json
import re
from typing import Any

import pyarrow as pa
import pytest

from patchlight.server.schemas import ExplainRequest, GenerateRequest
from patchlight.wire.explanation import EXPLANATION_FIELDS, ExplanationHeader
from patchlight.wire.run import FORMAT_VERSION, RUN_FIELDS, read_run
from tests.helpers.paths import ROOT
from tests.helpers.serving import companion, picture
from tests.makers.run_fixture import LIVE_FIXTURE

PAGE = (ROOT / "docs" / "protocol.md").read_text()
SERVER = ROOT / "companion" / "src" / "patchlight" / "server"


def block(language: str) -> str:
    """The only code block of a language."""
    [found] = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return found


@pytest.mark.parametrize(
    ("heading", "fields"), [("Columns", RUN_FIELDS), ("Columns of an explanation", EXPLANATION_FIELDS)]
)
def test_the_columns_are_those_that_are_written(heading: str, fields: list[pa.Field]):
    section = PAGE.partition(f"### {heading}\n")[2].partition("###")[0]
    listed = re.findall(r"^\| `(\w+)` \| (\S.*?) \| ", section, re.MULTILINE)
    assert listed == [(field.name, str(field.type)) for field in fields]


def test_what_is_said_before_an_explanation_s_rows_is_what_is_written():
    section = PAGE.partition("## An explanation")[2].partition("###")[0]
    listed = {
        name for line in re.findall(r"^\| (`.*?) \|", section, re.MULTILINE) for name in re.findall(r"`(\w+)`", line)
    }
    assert listed == {"formatVersion", *ExplanationHeader.__annotations__}


def test_what_may_be_asked_is_what_the_requests_take():
    for heading, request in (("Asking a question", GenerateRequest), ("Explaining tokens", ExplainRequest)):
        section = PAGE.partition(f"### {heading}\n")[2].partition("###")[0]
        listed = re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)
        assert listed == [field.alias for field in request.model_fields.values()]


def test_the_header_has_the_fields_that_are_written():
    def shape(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: shape(item) for key, item in value.items()}
        return [shape(value[0])] if isinstance(value, list) else None

    example = json.loads(block("json"))
    assert example.pop("formatVersion") == FORMAT_VERSION
    assert shape(example) == shape(dict(read_run(LIVE_FIXTURE).header))


def test_the_problems_are_those_that_the_server_has():
    section = PAGE.partition("### Refusals")[2].partition("##")[0]
    rows = re.findall(r"^\| (\d{3}) \| (.*?) \|", section, re.MULTILINE)
    listed = {(int(status), kind) for status, kinds in rows for kind in re.findall(r"`([a-z-]+)`", kinds)}
    source = "".join(path.read_text() for path in SERVER.glob("*.py"))
    raised = {(int(status), kind) for status, kind in re.findall(r'Refusal\(\s*(\d{3}),\s*"([a-z-]+)"', source)}
    # Those are the framework's own.
    assert listed - raised == {(404, "not-found"), (405, "method-not-allowed")}
    assert raised <= listed


@pytest.mark.parametrize("path", ["/v1/nothing", "/"])
def test_what_the_framework_refuses_is_a_problem_too(path: str):
    with companion() as served, served.client() as client:
        found = client.get(path)
        assert (found.status_code, found.json()["type"]) == (404, "urn:patchlight:problem:not-found")
        found = client.put("/v1/health")
        assert (found.status_code, found.json()["type"]) == (405, "urn:patchlight:problem:method-not-allowed")


def test_the_reader_on_the_page_reads_an_answer():
    names: dict[str, Any] = {}
    exec(block("python"), names)
    with companion() as served:
        answer, reason = names["ask"](served.url, picture(), "What is it?")
    assert reason == "length"
    assert answer
