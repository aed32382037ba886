"""Writes what a companion says of src/contract/fixtures/random-weights.run:
`python -m tests.makers.explanation_fixture`.

chefer, dex-ar and tam.explanation explain tokens 5 and 1 of its answer, vocabulary.rows are the vocabulary rows
of its prompt's and answer's tokens: the very bytes that a companion over the same random model sends. Written again
whenever random-weights.run is.
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
    """Of the committed stream."""
    return FIXTURES / f"{method}.explanation"


def sent_about(run: Run) -> dict[Path, bytes]:
    """Each file's bytes, as they come off the socket now."""
    assert run.prompt is not None
    ids = {token.token_id for token in (*run.prompt.tokens, *run.tokens)}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / run.header["model"]["name"]
        save_tiny_model(folder, Path(temporary) / "head")
        of, settings = load(LoadOptions(model=str(folder), device="cpu")), ServeSettings()
        with serving(create_app(settings, WatchedSession(of, settings))) as port:
            client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60)
            found = {
                explanation_path(method): client.post(
                    "/v1/explain", **explain_form(method, run, TOKEN_INDICES, run.picture)
                )
                for method in METHODS
            }
            found[ROWS] = client.get("/v1/unembedding", params={"ids": ",".join(map(str, sorted(ids)))})
    assert all(response.status_code == 200 for response in found.values()), found
    return {path: response.content for path, response in found.items()}


def main() -> None:
    for path, content in sent_about(read_run(FIXTURE)).items():
        path.write_bytes(content)


if __name__ == "__main__":
    main()
