"""The companion's routes. Each parses, asks the session or the queue, and answers; docs/protocol.md says what they mean.

POST /v1/generate, /v1/explain -> read_upload -> a place in the queue -> session.read -> a Job -> RunStream
"""

import asyncio
import hashlib
import warnings
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request
from PIL import Image
from starlette.responses import FileResponse, Response
from starlette.staticfiles import NotModifiedResponse

from ..methods.explain import BudgetExceeded
from ..models.pictures import UnreadableImage, open_upright
from ..wire.explanation import ExplanationWriter
from ..wire.run import RunWriter
from ..wire.run_header import ImageFacts
from .asked import parse_explain, parse_generate
from .description import (
    describe,
    explanation_response,
    file_response,
    picture_body,
    problems,
    run_response,
    unembedding_response,
)
from .explaining import UNEMBEDDING_IDS
from .live_run import Job, LiveRun, RunStream
from .page import CHECKED, FOREVER, Page, PageFiles, is_fresh
from .problems import Refusal, add_problem_handlers
from .queue import QueueFull, RunQueue
from .schemas import ARROW_STREAM, ExplainRequest, GenerateRequest, Health, ModelFacts
from .security import NOTHING_POLICY, Gate
from .session import ModelSession, PromptTooLong, UnknownWords
from .settings import ServeSettings
from .uploads import Asked, Parse, Upload, discard_upload, read_upload

# So many bodies may be on their way beyond those that there is a place for: slow ones keep nobody out of the queue,
# and a crowd's pictures do not fill the memory.
UPLOADS_BESIDE = 16
# Of `unembedding`: ids with commas between them.
TOKEN_IDS = r"^[0-9]{1,9}(,[0-9]{1,9})*$"


def create_app(
    settings: ServeSettings,
    session: ModelSession,
    *,
    head_files: Mapping[str, tuple[Path, str]] | None = None,
    calibration: tuple[Path, str] | None = None,
    page: Page | None = None,
) -> FastAPI:
    """head_files: path and SHA-256 by name; calibration: the same of its file. Without a page the API stands alone, and `/` is not found."""
    # A picture that Pillow only warns of is refused; the limit in uploads.py comes before.
    warnings.simplefilter("error", Image.DecompressionBombWarning)
    desk = _Desk(settings, session)
    app = FastAPI(
        title="Patchlight companion",
        version=version("patchlight"),
        # The framework's pages about the API load scripts from elsewhere.
        docs_url=None,
        redoc_url=None,
        openapi_url="/v1/openapi.json",
        lifespan=desk.open,
        redirect_slashes=False,
    )
    # Called before a server waits for its connections to end: each open answer ends as cancelled.
    app.state.stop_runs = desk.stop_runs
    _add_routes(app, desk, session, head_files or {})
    _add_calibration(app, calibration)
    add_problem_handlers(app)
    app.add_middleware(Gate, settings=settings, policy=NOTHING_POLICY if page is None else page.policy)
    app.openapi = partial(describe, app)
    if page is not None:
        app.mount("/", PageFiles(page))
    return app


def _add_routes(app: FastAPI, desk: "_Desk", session: ModelSession, head_files: Mapping[str, tuple[Path, str]]) -> None:
    @app.get("/v1/health", operation_id="health", responses=problems())
    async def health() -> Health:
        """That the model is loaded and questions are taken."""
        return Health(version=app.version)

    @app.get("/v1/model", operation_id="model", responses=problems())
    async def model() -> ModelFacts:
        """The model that answers, and what may be asked of it."""
        return session.facts

    @app.post(
        "/v1/generate",
        operation_id="generate",
        response_class=Response,
        openapi_extra=picture_body("GenerateRequest"),
        responses=run_response() | problems(403, 408, 413, 415, 422, 503),
    )
    async def generate(request: Request) -> Response:
        """Answers one question about one picture, as a stream of rows. Closing the connection ends the answer."""
        return await desk.generate(request)

    @app.post(
        "/v1/explain",
        operation_id="explain",
        response_class=Response,
        openapi_extra=picture_body("ExplainRequest"),
        responses=explanation_response() | problems(403, 408, 413, 415, 422, 503),
    )
    async def explain(request: Request) -> Response:
        """Relevancy maps of tokens of an answer, each as it is done. Closing the connection ends it."""
        return await desk.explain(request)

    @app.get(
        "/v1/unembedding",
        operation_id="unembedding",
        response_class=Response,
        responses=unembedding_response() | problems(404, 422),
    )
    async def unembedding(ids: Annotated[str, Query(pattern=TOKEN_IDS)]) -> Response:
        """Rows of the vocabulary layer: what a hidden state is multiplied with for the logits of these tokens."""
        return Response(await desk.unembedding([int(number) for number in ids.split(",")]), media_type=ARROW_STREAM)

    @app.post(
        "/v1/runs/{runId}/cancel",
        operation_id="cancel",
        status_code=204,
        response_class=Response,
        responses=problems(403, 404, 422),
    )
    async def cancel(runId: str) -> Response:
        """Ends a run, running or waiting: its stream closes with an `end` row whose reason is `cancelled`."""
        desk.cancel(runId)
        return Response(status_code=204)

    @app.get(
        "/v1/head/{file}",
        operation_id="headFile",
        response_class=Response,
        responses=file_response() | problems(404, 422),
    )
    async def head_file(request: Request, file: str, sha256: str = "") -> Response:
        """A file of the exported head, by the path that `model` gives."""
        if file not in head_files:
            raise Refusal(404, "no-such-file", f"the head has no file {file!r}: {', '.join(head_files) or 'no head'}")
        return _send_file(request, *head_files[file], asked=sha256)


def _add_calibration(app: FastAPI, calibration: tuple[Path, str] | None) -> None:
    @app.get(
        "/v1/calibration",
        operation_id="calibration",
        response_class=Response,
        responses=file_response() | problems(404, 422),
    )
    async def calibration_file(request: Request, sha256: str = "") -> Response:
        """How the entropy of maps goes with right answers, once that has been measured for this model."""
        if calibration is None:
            raise Refusal(404, "no-calibration", "nobody has calibrated this model yet: patchlight serve --calibration")
        return _send_file(request, *calibration, asked=sha256)


def _send_file(request: Request, path: Path, digest: str, *, asked: str) -> Response:
    """To be kept for ever where it was asked for by its digest."""
    headers = {"ETag": f'"{digest}"', "Cache-Control": FOREVER if asked == digest else CHECKED}
    if is_fresh(request.headers, headers["ETag"]):
        return NotModifiedResponse(Response(headers=headers).headers)
    return FileResponse(path, headers=headers, media_type="application/octet-stream")


class _Desk:
    """Takes questions, stands them in line, and knows the runs that are open."""

    def __init__(self, settings: ServeSettings, session: ModelSession):
        self._settings, self._session = settings, session
        self._queue = RunQueue(settings.queue_length)
        self._runs: dict[str, LiveRun] = {}
        self._uploading = 0

    @asynccontextmanager
    async def open(self, _: FastAPI) -> AsyncIterator[None]:
        """The two threads: one reads pictures and prompts, one has the model."""
        self._model_thread, self._reading_thread = ThreadPoolExecutor(1, "model"), ThreadPoolExecutor(1, "reading")
        try:
            yield
        finally:
            self.stop_runs()
            for thread in (self._model_thread, self._reading_thread):
                thread.shutdown(wait=False, cancel_futures=True)

    async def generate(self, request: Request) -> Response:
        return await self._stream(request, parse_generate, self._answer_job)

    async def explain(self, request: Request) -> Response:
        return await self._stream(request, parse_explain, self._explain_job)

    async def _stream(
        self, request: Request, parse: Parse[Asked], job_of: Callable[[Upload[Asked], LiveRun], Job[Any]]
    ) -> Response:
        try:
            upload = await self._upload(request, parse)
            run = LiveRun(self._queue, self._settings)
        except QueueFull as full:
            headers = {"Retry-After": str(full.retry_after_s)}
            raise Refusal(503, "queue-full", str(full), limit=self._settings.queue_length, headers=headers) from None
        try:
            job = await asyncio.get_running_loop().run_in_executor(self._reading_thread, job_of, upload, run)
        except BaseException:
            run.leave()
            raise
        self._runs[run.id] = run
        return RunStream(run, self._produce(run, job), self._settings.stall_s)

    async def unembedding(self, ids: list[int]) -> bytes:
        if len(ids) > UNEMBEDDING_IDS:
            detail = f"{len(ids)} ids at once, {UNEMBEDDING_IDS} is the most"
            raise Refusal(422, "too-many-ids", detail, limit=UNEMBEDDING_IDS, found=len(ids))
        unembedding = self._session.explainer.unembedding
        return await asyncio.get_running_loop().run_in_executor(self._reading_thread, unembedding, ids)

    async def _upload(self, request: Request, parse: Parse[Asked]) -> Upload[Asked]:
        """Raises QueueFull, and keeps nothing of the body, where there would be no place for it."""
        try:
            self._queue.ensure_room(also=self._uploading - UPLOADS_BESIDE)
        except QueueFull:
            await discard_upload(request, self._settings)
            raise
        self._uploading += 1
        try:
            return await read_upload(request, self._settings, parse)
        finally:
            self._uploading -= 1

    def stop_runs(self) -> None:
        """All of them, running and waiting."""
        for run in self._runs.values():
            run.stop()

    def cancel(self, run_id: str) -> None:
        if run_id not in self._runs:
            raise Refusal(404, "no-such-run", "there is no such run: it may have ended")
        self._runs[run_id].stop()

    def _answer_job(self, upload: Upload[GenerateRequest], run: LiveRun) -> Job[RunWriter]:
        """On the reading thread: decoded, upright, and as the model will be fed."""
        asked, session = upload.asked, self._session
        with _faults_refused():
            session.check(asked.question)
            session.check_words(asked.question)
            question = session.read(asked, open_upright(upload.picture))
        digest = hashlib.sha256(upload.picture).hexdigest()
        facts: ImageFacts = {"mediaType": upload.media_type, "name": upload.name, "sha256": digest}
        header = session.header(question, run_id=run.id, text=asked.question, image=facts)

        def work(rows: RunWriter, stop: Callable[[], bool], wait_for_room: Callable[[], None]) -> None:
            if asked.send_image:
                rows.image(upload.picture)
            session.answer(question, rows, stop, wait_for_room)

        return Job(partial(RunWriter, header=header), work)

    def _explain_job(self, upload: Upload[ExplainRequest], run: LiveRun) -> Job[ExplanationWriter]:
        """The same of an explanation, whose memory is reckoned too."""
        asked, session = upload.asked, self._session
        with _faults_refused():
            session.explainer.check(asked)
            session.check(asked.question)
            explaining = session.read_explanation(asked, open_upright(upload.picture), lambda: run.is_stopped)
        header = session.explainer.header(explaining, run.id)

        def work(rows: ExplanationWriter, _: Callable[[], bool], wait_for_room: Callable[[], None]) -> None:
            session.explain(explaining, rows, wait_for_room)

        return Job(partial(ExplanationWriter, header=header), work)

    async def _produce(self, run: LiveRun, job: Job[Any]) -> None:
        try:
            await run.produce(job, self._model_thread)
        finally:
            del self._runs[run.id]


@contextmanager
def _faults_refused() -> Iterator[None]:
    """What a picture, a prompt or an explanation turns out to be too much for, as its refusal."""
    try:
        yield
    except UnreadableImage as error:
        raise Refusal(422, "image-damaged", f"the image cannot be read: {error}") from None
    except PromptTooLong as error:
        raise Refusal(422, "question-too-long", str(error), limit=error.limit, found=error.found) from None
    except UnknownWords as error:
        raise Refusal(422, "unknown-words", str(error)) from None
    except BudgetExceeded as error:
        limit, found = error.budget_bytes, error.required_bytes
        detail = f"{error} ({found} bytes, {limit} is the most: patchlight serve --explain-memory)"
        raise Refusal(413, "explanation-too-large", detail, limit=limit, found=found) from None
    except ValueError as error:
        raise Refusal(422, "unanswerable", str(error)[:300]) from None
