"""The companion's routes. docs/protocol.md specifies them.

POST /v1/generate, /v1/explain -> read_upload -> a ticket in the queue -> session.read -> a Job -> RunStream
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
from ..wire.explanation import ExplanationWriter
from ..wire.run import RunWriter
from ..wire.run_header import SizedImageFacts
from .description import (
    describe,
    explanation_response,
    file_response,
    multipart_body,
    problems,
    run_response,
    unembedding_response,
)
from .explaining import UNEMBEDDING_IDS
from .live_run import Job, LiveRun, RunStream
from .page import CHECKED, FOREVER, Page, PageFiles, is_fresh
from .pixel_check import open_checked
from .problems import Refusal, add_problem_handlers
from .queue import QueueFull, RunQueue
from .request_parsing import parse_explain, parse_generate
from .schemas import ARROW_STREAM, ExplainRequest, GenerateRequest, Health, ModelFacts
from .security import DENY_ALL_POLICY, Gate
from .session import ModelSession, PromptTooLong, UnknownWords
from .settings import ServeSettings
from .uploads import Parse, RequestT, Upload, UploadedImage, discard_upload, read_upload, upload_slots

# The query parameter of `unembedding`: comma-separated token ids.
TOKEN_IDS = r"^[0-9]{1,9}(,[0-9]{1,9})*$"


def create_app(
    settings: ServeSettings,
    session: ModelSession,
    *,
    head_files: Mapping[str, tuple[Path, str]] | None = None,
    calibration: tuple[Path, str] | None = None,
    page: Page | None = None,
) -> FastAPI:
    """Create the companion's app.

    head_files: path and SHA-256 of each head file, by name. calibration: path and SHA-256 of the calibration file.
    Without a page, only the API is served and `/` returns 404.
    """
    # Refuse images that Pillow would only warn about; uploads.py enforces the configured limit first.
    warnings.simplefilter("error", Image.DecompressionBombWarning)
    Image.MAX_IMAGE_PIXELS = max(Image.MAX_IMAGE_PIXELS or 0, settings.image_pixels)
    runs = _RunManager(settings, session)
    app = FastAPI(
        title="Patchlight companion",
        version=version("patchlight"),
        # FastAPI's documentation pages load scripts from a CDN.
        docs_url=None,
        redoc_url=None,
        openapi_url="/v1/openapi.json",
        lifespan=runs.open,
        redirect_slashes=False,
    )
    # The server calls this before it waits for connections to close, so that open runs end as cancelled.
    app.state.stop_runs = runs.stop_all
    _add_routes(app, runs, session, head_files or {})
    _add_calibration(app, calibration)
    add_problem_handlers(app)
    app.add_middleware(Gate, settings=settings, policy=DENY_ALL_POLICY if page is None else page.policy)
    app.openapi = partial(describe, app)
    if page is not None:
        app.mount("/", PageFiles(page))
    return app


def _add_routes(
    app: FastAPI, runs: "_RunManager", session: ModelSession, head_files: Mapping[str, tuple[Path, str]]
) -> None:
    @app.get("/v1/health", operation_id="health", responses=problems())
    async def health() -> Health:
        """Confirms that the model is loaded and accepts questions."""
        return Health(version=app.version)

    @app.get("/v1/model", operation_id="model", responses=problems())
    async def model() -> ModelFacts:
        """Describes the loaded model and the requests that it accepts."""
        return session.facts

    @app.post(
        "/v1/generate",
        operation_id="generate",
        response_class=Response,
        openapi_extra=multipart_body("GenerateRequest"),
        responses=run_response() | problems(403, 408, 413, 415, 422, 503),
    )
    async def generate(request: Request) -> Response:
        """Answers a question about one or more images as a stream of rows. Closing the connection stops the answer."""
        return await runs.generate(request)

    @app.post(
        "/v1/explain",
        operation_id="explain",
        response_class=Response,
        openapi_extra=multipart_body("ExplainRequest"),
        responses=explanation_response() | problems(403, 408, 413, 415, 422, 503),
    )
    async def explain(request: Request) -> Response:
        """Streams relevancy maps of answer tokens, each when it is ready. Closing the connection stops the run."""
        return await runs.explain(request)

    @app.get(
        "/v1/unembedding",
        operation_id="unembedding",
        response_class=Response,
        responses=unembedding_response() | problems(404, 422),
    )
    async def unembedding(ids: Annotated[str, Query(pattern=TOKEN_IDS)]) -> Response:
        """Returns rows of the output layer. The product of a row and a hidden state is the logit of the row's token."""
        return Response(await runs.unembedding([int(number) for number in ids.split(",")]), media_type=ARROW_STREAM)

    @app.post(
        "/v1/runs/{runId}/cancel",
        operation_id="cancel",
        status_code=204,
        response_class=Response,
        responses=problems(403, 404, 422),
    )
    async def cancel(runId: str) -> Response:
        """Cancels a running or waiting run. Its stream ends with an `end` row whose reason is `cancelled`."""
        runs.cancel(runId)
        return Response(status_code=204)

    @app.get(
        "/v1/head/{file}",
        operation_id="headFile",
        response_class=Response,
        responses=file_response() | problems(404, 422),
    )
    async def head_file(request: Request, file: str, sha256: str = "") -> Response:
        """Downloads a file of the exported head, by the path that `model` returns."""
        if not head_files:
            raise Refusal(404, "no-such-file", "this companion has no head: start it with --head")
        if file not in head_files:
            detail = f"the head has no file {file!r}, only {', '.join(head_files)}"
            raise Refusal(404, "no-such-file", detail)
        return _send_file(request, *head_files[file], requested=sha256)


def _add_calibration(app: FastAPI, calibration: tuple[Path, str] | None) -> None:
    @app.get(
        "/v1/calibration",
        operation_id="calibration",
        response_class=Response,
        responses=file_response() | problems(404, 422),
    )
    async def calibration_file(request: Request, sha256: str = "") -> Response:
        """Downloads the calibration file of this model and head."""
        if calibration is None:
            detail = "this companion has no calibration file: pass one to `patchlight serve --calibration`"
            raise Refusal(404, "no-calibration", detail)
        return _send_file(request, *calibration, requested=sha256)


def _send_file(request: Request, path: Path, digest: str, *, requested: str) -> Response:
    """Send a file. Clients may cache it forever if the request contains the file's digest."""
    headers = {"ETag": f'"{digest}"', "Cache-Control": FOREVER if requested == digest else CHECKED}
    if is_fresh(request.headers, headers["ETag"]):
        return NotModifiedResponse(Response(headers=headers).headers)
    return FileResponse(path, headers=headers, media_type="application/octet-stream")


class _RunManager:
    """Reads requests, queues their runs, and keeps track of the open runs."""

    def __init__(self, settings: ServeSettings, session: ModelSession):
        self._settings, self._session = settings, session
        self._queue = RunQueue(settings.queue_length)
        self._runs: dict[str, LiveRun] = {}
        self._uploads = upload_slots(settings)

    @asynccontextmanager
    async def open(self, _: FastAPI) -> AsyncIterator[None]:
        """Run two threads while the app is open: one prepares images and prompts, the other runs the model."""
        self._model_thread, self._reading_thread = ThreadPoolExecutor(1, "model"), ThreadPoolExecutor(1, "reading")
        try:
            yield
        finally:
            self.stop_all()
            for thread in (self._model_thread, self._reading_thread):
                thread.shutdown(wait=False, cancel_futures=True)

    async def generate(self, request: Request) -> Response:
        return await self._stream(request, parse_generate, self._answer_job)

    async def explain(self, request: Request) -> Response:
        return await self._stream(request, parse_explain, self._explain_job)

    async def _stream(
        self, request: Request, parse: Parse[RequestT], make_job: Callable[[Upload[RequestT], LiveRun], Job[Any]]
    ) -> Response:
        try:
            upload = await self._upload(request, parse)
            run = LiveRun(self._queue, self._settings)
        except QueueFull as full:
            headers = {"Retry-After": str(full.retry_after_s)}
            limit = self._settings.queue_length
            raise Refusal(503, "queue-full", str(full), limit=limit, found=full.found, headers=headers) from None
        try:
            job = await asyncio.get_running_loop().run_in_executor(self._reading_thread, make_job, upload, run)
        except BaseException:
            run.leave()
            raise
        self._runs[run.id] = run
        return RunStream(run, self._produce(run, job))

    async def unembedding(self, ids: list[int]) -> bytes:
        if len(ids) > UNEMBEDDING_IDS:
            detail = f"the request has {len(ids)} ids, the limit is {UNEMBEDDING_IDS}"
            raise Refusal(422, "too-many-ids", detail, limit=UNEMBEDDING_IDS, found=len(ids))
        unembedding = self._session.explainer.unembedding
        return await asyncio.get_running_loop().run_in_executor(self._reading_thread, unembedding, ids)

    async def _upload(self, request: Request, parse: Parse[RequestT]) -> Upload[RequestT]:
        """Read the body; if the queue has no room for the run, discard the body and raise QueueFull.

        A body that is arriving has no place in the queue, or slow ones would fill it.
        """
        try:
            self._queue.ensure_room()
        except QueueFull:
            await discard_upload(request, self._settings, self._uploads)
            raise
        max_images = self._session.facts.limits.images
        return await read_upload(request, self._settings, self._uploads, parse, max_images=max_images)

    def stop_all(self) -> None:
        """Stop all runs, whether running or waiting."""
        for run in self._runs.values():
            run.stop()

    def cancel(self, run_id: str) -> None:
        if run_id not in self._runs:
            raise Refusal(404, "no-such-run", f"no run has the id {run_id!r}: it may have ended")
        self._runs[run_id].stop()

    def _answer_job(self, upload: Upload[GenerateRequest], run: LiveRun) -> Job[RunWriter]:
        """Prepare an answer, on the reading thread."""
        request, session = upload.request, self._session
        with _refusals():
            session.check_length(request.question)
            session.check_words(request.question)
            images = open_checked(upload.images, request.pixels)
            question = session.read(request, images)
        facts = [_facts(file, image) for file, image in zip(upload.images, images, strict=True)]
        header = session.header(question, run_id=run.id, text=request.question, images=facts)

        def work(rows: RunWriter, stop: Callable[[], bool], wait_for_room: Callable[[], None]) -> None:
            if request.send_image:
                for image in upload.images:
                    rows.image(image.content)
            session.answer(question, rows, stop, wait_for_room)

        return Job(partial(RunWriter, header=header, has_unembedding=question.has_unembedding), work)

    def _explain_job(self, upload: Upload[ExplainRequest], run: LiveRun) -> Job[ExplanationWriter]:
        """Prepare an explanation, on the reading thread."""
        request, session = upload.request, self._session
        with _refusals():
            session.explainer.check(request)
            session.check_length(request.question)
            images = open_checked(upload.images, request.pixels)
            explaining = session.read_explanation(request, images, lambda: run.is_stopped)
        header = session.explainer.header(explaining, run.id)

        def work(rows: ExplanationWriter, _: Callable[[], bool], wait_for_room: Callable[[], None]) -> None:
            session.explain(explaining, rows, wait_for_room)

        return Job(partial(ExplanationWriter, header=header), work)

    async def _produce(self, run: LiveRun, job: Job[Any]) -> None:
        try:
            await run.produce(job, self._model_thread)
        finally:
            del self._runs[run.id]


def _facts(file: UploadedImage, image: Image.Image) -> SizedImageFacts:
    return {
        "mediaType": file.media_type,
        "name": file.name,
        "sha256": hashlib.sha256(file.content).hexdigest(),
        "widthPx": image.width,
        "heightPx": image.height,
    }


@contextmanager
def _refusals() -> Iterator[None]:
    """Turn errors about unusable images, prompts and explanations into refusals."""
    try:
        yield
    except PromptTooLong as error:
        raise Refusal(422, "question-too-long", str(error), limit=error.limit, found=error.found) from None
    except UnknownWords as error:
        raise Refusal(422, "unknown-words", str(error)) from None
    except BudgetExceeded as error:
        limit, found = error.budget_bytes, error.required_bytes
        detail = (
            f"{error} (it needs {found} bytes, the limit is {limit}: raise it with patchlight serve --explain-memory)"
        )
        raise Refusal(413, "explanation-too-large", detail, limit=limit, found=found) from None
    except ValueError as error:
        raise Refusal(422, "unanswerable", str(error)[:300]) from None
