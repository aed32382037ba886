"""Helpers for the server tests: a companion on a real socket in this process, and clients for it."""

import io
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import httpx
import numpy as np
import pyarrow as pa
import torch
from PIL import Image

from patchlight.models.loading import Loaded
from patchlight.server.app import create_app
from patchlight.server.explaining import Explaining
from patchlight.server.http_server import HttpServer
from patchlight.server.session import ModelSession, Question
from patchlight.server.settings import ServeSettings
from patchlight.wire.explanation import Explanation, ExplanationWriter, parse_explanation
from patchlight.wire.run import Run, RunWriter, parse_run
from tests.helpers.tiny_models import Tiny, tiny


def loaded(made: Tiny) -> Loaded:
    """Wrap a tiny model as `load` would return it."""
    width = made.model.config.get_text_config().hidden_size
    cpu = torch.device("cpu")
    return Loaded(made.model, made.processor, made.family, "tiny", "0" * 12, width, made.model.dtype, cpu)


class WatchedSession(ModelSession):
    """A session that counts calls and lets tests control its pace.

    `before_answer` and `after_row` are called on the model's thread.
    """

    def __init__(self, model: Loaded, settings: ServeSettings, **more: Any):
        super().__init__(model, settings, head=None, knows="Nothing.", train_command="patchlight train", **more)
        self.before_answer: Callable[[], object] = lambda: None
        self.after_row: Callable[[], object] = lambda: None
        # The stop callbacks of answers, added when they start, and of explanations, added when they are read.
        self.stops: list[Callable[[], bool]] = []
        self.read_count = self.answer_count = self.explain_count = self.row_count = 0

    def read(self, request: Any, images: Sequence[Image.Image]) -> Question:
        self.read_count += 1
        return super().read(request, images)

    def read_explanation(self, request: Any, images: Sequence[Image.Image], stop: Any) -> Explaining:
        self.read_count += 1
        self.stops.append(stop)
        return super().read_explanation(request, images, stop)

    def answer(self, question: Question, run: RunWriter, stop: Any, wait_for_room: Any) -> None:
        self.answer_count += 1
        self.stops.append(stop)
        self.before_answer()
        super().answer(question, run, stop, self._watched(wait_for_room))

    def explain(self, explaining: Explaining, rows: ExplanationWriter, wait_for_room: Any) -> None:
        self.explain_count += 1
        self.before_answer()
        super().explain(explaining, rows, self._watched(wait_for_room))

    def _watched(self, wait_for_room: Callable[[], None]) -> Callable[[], None]:
        def after_row() -> None:
            self.row_count += 1
            self.after_row()
            wait_for_room()

        return after_row


def tiny_session(settings: ServeSettings, kind: str = "llava") -> WatchedSession:
    """Make a session with a random model that has no end token, so that every answer has the maximum length."""
    made = tiny(kind)
    made.model.generation_config.eos_token_id = None
    return WatchedSession(loaded(made), settings)


class Served(NamedTuple):
    """A running companion and its address."""

    session: WatchedSession
    host: str
    port: int

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    def client(self, **options: Any) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=60, **options)


@contextmanager
def serving(app: Any, settings: ServeSettings | None = None) -> Iterator[int]:
    """Serve an app in a thread, on a free port of 127.0.0.1, and yield the port."""
    listener = socket.create_server(("127.0.0.1", 0))
    stop_runs = getattr(app.state, "stop_runs", lambda: None)
    server = HttpServer(app, settings or ServeSettings(), listener, before_shutdown=stop_runs)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(20)
        listener.close()
        assert not thread.is_alive(), "the server did not stop"


@contextmanager
def companion(settings: ServeSettings | None = None, made: Tiny | None = None, **more: Any) -> Iterator[Served]:
    """Serve a companion with a given tiny model, or with one whose answers all have the maximum length."""
    settings = settings or ServeSettings()
    session = tiny_session(settings) if made is None else WatchedSession(loaded(made), settings)
    with serving(create_app(settings, session, **more), settings) as port:
        yield Served(session, "127.0.0.1", port)


def noise_image(width: int = 60, height: int = 48, *, seed: int = 0, **options: Any) -> bytes:
    """Return a noise image as a file, PNG by default. `options` are passed to Pillow's `save`."""
    pixels = np.random.default_rng(seed).integers(0, 255, (height, width, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, **({"format": "PNG"} | options))
    return file.getvalue()


Images = bytes | Sequence[bytes] | None


def form(question: str = "What is it?", image: Images = None, **fields: Any) -> dict[str, Any]:
    """Return keyword arguments for httpx's `post` that ask a question about one image or several. `fields` are
    additional request fields. The images' names are a.png, b.png, and so on.
    """
    images = [noise_image()] if image is None else [image] if isinstance(image, bytes) else image
    return {
        "data": {"request": json.dumps({"question": question, **fields})},
        "files": [("image", (f"{chr(ord('a') + at)}.png", content, "image/png")) for at, content in enumerate(images)],
    }


def ask(client: httpx.Client, question: str = "What is it?", image: Images = None, **fields: Any) -> Run:
    """Ask a question and return the complete run."""
    response = client.post("/v1/generate", **form(question, image, **fields))
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/vnd.apache.arrow.stream"
    return parse_run(response.content)


def explain_form(method: str, run: Run, token_indices: Sequence[int], image: Images = None) -> dict[str, Any]:
    """Return keyword arguments for httpx's `post` that request an explanation of tokens of a run's answer."""
    return form(
        run.header["question"],
        image,
        method=method,
        answerIds=[token.token_id for token in run.tokens],
        logProbs=[token.log_prob for token in run.tokens],
        tokenIndices=list(token_indices),
    )


def ask_explanation(
    client: httpx.Client, method: str, run: Run, token_indices: Sequence[int], image: Images = None
) -> Explanation:
    """Request an explanation of tokens and return it when it is complete."""
    response = client.post("/v1/explain", **explain_form(method, run, token_indices, image))
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/vnd.apache.arrow.stream"
    return parse_explanation(response.content)


class RowReader:
    """Reads the rows of a run or an explanation from an open response as they arrive."""

    def __init__(self, response: httpx.Response):
        self.response = response
        assert response.status_code == 200, response.read()
        self._stream = pa.ipc.open_stream(io.BufferedReader(_Chunks(response.iter_raw())))
        [header] = (self._stream.schema.metadata or {}).values()
        self.header: dict[str, Any] = json.loads(header)

    def next(self) -> dict[str, Any]:
        """Return the next row, without null values. Raises StopIteration at the end."""
        [row] = self._stream.read_next_batch().to_pylist()
        return {name: value for name, value in row.items() if value is not None}

    def until(self, kind: str) -> dict[str, Any]:
        """Return the next row of a kind, skipping others."""
        while (row := self.next())["kind"] != kind:
            pass
        return row


class _Chunks(io.RawIOBase):
    """Wraps an iterator of bytes as a file, so that Arrow can read a stream as it arrives."""

    def __init__(self, chunks: Iterator[bytes]):
        self._chunks, self._unread = chunks, b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._unread:
            try:
                self._unread = next(self._chunks)
            except StopIteration:
                return 0
        size = min(len(buffer), len(self._unread))
        buffer[:size], self._unread = self._unread[:size], self._unread[size:]
        return size


@contextmanager
def open_run(client: httpx.Client, **fields: Any) -> Iterator[RowReader]:
    """Ask a question and read its rows as they arrive. Leaving the context closes the connection."""
    with client.stream("POST", "/v1/generate", **form(**fields)) as response:
        yield RowReader(response)


@contextmanager
def open_explanation(client: httpx.Client, method: str, run: Run, token_indices: Sequence[int]) -> Iterator[RowReader]:
    """Request an explanation and read its rows as they arrive. Leaving the context closes the connection."""
    with client.stream("POST", "/v1/explain", **explain_form(method, run, token_indices)) as response:
        yield RowReader(response)


def wait_until(condition: Callable[[], bool], description: str, timeout_s: float = 60) -> None:
    """Wait until a condition holds; fail after the timeout."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"timed out after {timeout_s} s: {description}"
        time.sleep(0.005)


def refusal(response: httpx.Response) -> tuple[int, str, int | None, int | None]:
    """Check a problem document; return its status, kind, `limit` and `found`."""
    assert response.headers["content-type"] == "application/problem+json", response.text
    problem = response.json()
    assert problem["status"] == response.status_code
    for number in ("limit", "found"):
        assert str(problem.get(number, "")) in problem["detail"]
    kind = problem["type"].removeprefix("urn:patchlight:problem:")
    return response.status_code, kind, problem.get("limit"), problem.get("found")
