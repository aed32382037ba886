"""A companion on a real socket in this process, and clients that ask it: shared by the server's tests."""

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
import uvicorn
from PIL import Image

from patchlight.models.loading import Loaded
from patchlight.server.app import create_app
from patchlight.server.explaining import Explaining
from patchlight.server.session import ModelSession, Question
from patchlight.server.settings import ServeSettings
from patchlight.wire.explanation import Explanation, ExplanationWriter, parse_explanation
from patchlight.wire.run import Run, RunWriter, parse_run
from tests.helpers.tiny_models import Tiny, tiny


def loaded(made: Tiny) -> Loaded:
    """A tiny model as `load` hands it over."""
    width = made.model.config.get_text_config().hidden_size
    cpu = torch.device("cpu")
    return Loaded(made.model, made.processor, made.family, "tiny", "0" * 12, width, made.model.dtype, cpu)


class WatchedSession(ModelSession):
    """A session whose pace the test sets: `before_answer` and `after_row` are called on the model's thread."""

    def __init__(self, of: Loaded, settings: ServeSettings, **more: Any):
        super().__init__(of, settings, head=None, knows="Nothing.", train_command="patchlight train", **more)
        self.before_answer: Callable[[], object] = lambda: None
        self.after_row: Callable[[], object] = lambda: None
        # Whether an answer or explanation was told to stop, in the order in which they were begun or asked for.
        self.stops: list[Callable[[], bool]] = []
        self.read_count = self.answer_count = self.explain_count = self.row_count = 0

    def read(self, asked: Any, image: Image.Image) -> Question:
        self.read_count += 1
        return super().read(asked, image)

    def read_explanation(self, asked: Any, image: Image.Image, stop: Any) -> Explaining:
        self.read_count += 1
        self.stops.append(stop)
        return super().read_explanation(asked, image, stop)

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
    """A random model whose answers never end by themselves, so that each is as long as it may be."""
    made = tiny(kind)
    made.model.generation_config.eos_token_id = None
    return WatchedSession(loaded(made), settings)


class Served(NamedTuple):
    """A companion and where it is."""

    session: WatchedSession
    host: str
    port: int

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    def client(self, **options: Any) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=60, **options)


@contextmanager
def serving(app: Any) -> Iterator[int]:
    """Any app on a free port of 127.0.0.1, by uvicorn in a thread; yields the port."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=512)
    server = uvicorn.Server(
        uvicorn.Config(app, log_level="warning", access_log=False, ws="none", timeout_graceful_shutdown=2)
    )
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(20)
        listener.close()
        assert not thread.is_alive(), "the server did not end"


@contextmanager
def companion(settings: ServeSettings | None = None, **more: Any) -> Iterator[Served]:
    """A companion over a tiny random model."""
    settings = settings or ServeSettings()
    session = tiny_session(settings)
    with serving(create_app(settings, session, **more)) as port:
        yield Served(session, "127.0.0.1", port)


def picture(width: int = 60, height: int = 48, *, seed: int = 0, **options: Any) -> bytes:
    """A PNG of noise; `options` are Pillow's."""
    pixels = np.random.default_rng(seed).integers(0, 255, (height, width, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, **({"format": "PNG"} | options))
    return file.getvalue()


def form(question: str = "What is it?", image: bytes | None = None, **asked: Any) -> dict[str, Any]:
    """The keyword arguments of httpx's `post` for one question."""
    return {
        "data": {"request": json.dumps({"question": question, **asked})},
        "files": {"image": ("a.png", picture() if image is None else image, "image/png")},
    }


def ask(client: httpx.Client, question: str = "What is it?", image: bytes | None = None, **asked: Any) -> Run:
    """The whole run."""
    response = client.post("/v1/generate", **form(question, image, **asked))
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/vnd.apache.arrow.stream"
    return parse_run(response.content)


def explain_form(method: str, run: Run, token_indices: Sequence[int], image: bytes | None = None) -> dict[str, Any]:
    """The keyword arguments of httpx's `post` for tokens of a run's answer."""
    return form(
        run.header["question"],
        image,
        method=method,
        answerIds=[token.token_id for token in run.tokens],
        logProbs=[token.log_prob for token in run.tokens],
        tokenIndices=list(token_indices),
    )


def explained(
    client: httpx.Client, method: str, run: Run, token_indices: Sequence[int], image: bytes | None = None
) -> Explanation:
    """The whole explanation."""
    response = client.post("/v1/explain", **explain_form(method, run, token_indices, image))
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/vnd.apache.arrow.stream"
    return parse_explanation(response.content)


class Following:
    """A run or an explanation that is being read: rows as they come, from an open response."""

    def __init__(self, response: httpx.Response):
        self.response = response
        assert response.status_code == 200, response.read()
        self._stream = pa.ipc.open_stream(io.BufferedReader(_Chunks(response.iter_raw())))
        [header] = (self._stream.schema.metadata or {}).values()
        self.header: dict[str, Any] = json.loads(header)

    def next(self) -> dict[str, Any]:
        """The next row, or StopIteration."""
        [row] = self._stream.read_next_batch().to_pylist()
        return {name: value for name, value in row.items() if value is not None}

    def until(self, kind: str) -> dict[str, Any]:
        """The next row of a kind; those before it are skipped."""
        while (row := self.next())["kind"] != kind:
            pass
        return row


class _Chunks(io.RawIOBase):
    """An iterator of bytes as a file that Arrow can read from while it is being written."""

    def __init__(self, chunks: Iterator[bytes]):
        self._chunks, self._left = chunks, b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._left:
            try:
                self._left = next(self._chunks)
            except StopIteration:
                return 0
        size = min(len(buffer), len(self._left))
        buffer[:size], self._left = self._left[:size], self._left[size:]
        return size


@contextmanager
def following(client: httpx.Client, **asked: Any) -> Iterator[Following]:
    """Asks and follows; leaving closes the connection, whether or not the run has ended."""
    with client.stream("POST", "/v1/generate", **form(**asked)) as response:
        yield Following(response)


@contextmanager
def following_explanation(
    client: httpx.Client, method: str, run: Run, token_indices: Sequence[int]
) -> Iterator[Following]:
    """The same of an explanation."""
    with client.stream("POST", "/v1/explain", **explain_form(method, run, token_indices)) as response:
        yield Following(response)


def wait_until(condition: Callable[[], bool], what: str, timeout_s: float = 60) -> None:
    """Returns once it is so; fails where it does not become so."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {timeout_s} s: {what}"
        time.sleep(0.005)


def refusal(response: httpx.Response) -> tuple[int, str, int | None, int | None]:
    """Status, the problem's own name, and its two numbers."""
    assert response.headers["content-type"] == "application/problem+json", response.text
    problem = response.json()
    assert problem["status"] == response.status_code
    for number in ("limit", "found"):
        assert str(problem.get(number, "")) in problem["detail"]
    kind = problem["type"].removeprefix("urn:patchlight:problem:")
    return response.status_code, kind, problem.get("limit"), problem.get("found")
