"""Writes a companion's responses to requests about src/contract/fixtures/random-weights.run.

The files have exactly the bytes that a companion with the same random model sends. chefer.explanation,
dex-ar.explanation and tam.explanation explain tokens 5 and 1 of the run's answer; vocabulary.rows holds the unembedding
rows of the run's prompt and answer tokens. Run `python -m tests.makers.explanation_fixture` again whenever
random-weights.run is rewritten.
"""

import tempfile
from pathlib import Path

import httpx

from patchlight.models.loading import LoadOptions, load
from patchlight.server.app import create_app
from patchlight.server.settings import ServeSettings
from patchlight.wire.run import Run, read_run
from tests.helpers.serving import WatchedSession, explain_form, serving
from tests.makers.run_fixture import FIXTURE, FIXTURES, save_tiny_model

METHODS = ("chefer", "dex-ar", "tam")
TOKEN_INDICES = [5, 1]
ROWS = FIXTURES / "vocabulary.rows"


def explanation_path(method: str) -> Path:
    """Return the path of a method's committed stream."""
    return FIXTURES / f"{method}.explanation"


def sent_about(run: Run) -> dict[Path, bytes]:
    """Request the content of every file from a new companion."""
    assert run.prompt is not None
    ids = {token.token_id for token in (*run.prompt.tokens, *run.tokens)}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / run.header["model"]["name"]
        save_tiny_model(folder, Path(temporary) / "head")
        loaded, settings = load(LoadOptions(model=str(folder), device="cpu")), ServeSettings()
        with serving(create_app(settings, WatchedSession(loaded, settings))) as port:
            client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60)
            responses = {
                explanation_path(method): client.post(
                    "/v1/explain", **explain_form(method, run, TOKEN_INDICES, run.picture)
                )
                for method in METHODS
            }
            responses[ROWS] = client.get("/v1/unembedding", params={"ids": ",".join(map(str, sorted(ids)))})
    assert all(response.status_code == 200 for response in responses.values()), responses
    return {path: response.content for path, response in responses.items()}


def main() -> None:
    for path, content in sent_about(read_run(FIXTURE)).items():
        path.write_bytes(content)


if __name__ == "__main__":
    main()
