"""A companion among hundreds of clients that hold on to what they have: real users are answered, and nothing is lost."""

import asyncio
import contextlib
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
import pytest

from patchlight.wire.run import parse_run
from tests.helpers.served_process import ServedProcess, served_process
from tests.helpers.serving import form, noise_image, wait_until

# Enough for fewer connections than there are clients, so that the companion must close some to accept others.
MAX_FILES = 400
BODY_HEAD = (
    b"POST /v1/generate HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n"
    b"Content-Type: multipart/form-data; boundary=x\r\n\r\n--x\r\n"
)
IMAGE = noise_image(200, 120)
# Linux accepts all of 127.0.0.0/8 without set-up.
HAS_ADDRESSES = sys.platform == "linux"


class Crowd:
    """Clients that never finish a request. Whenever the companion closes a connection, its client opens another."""

    def __init__(self, served: ServedProcess):
        self._port, self._tick, self._tasks = served.port, asyncio.Event(), set[asyncio.Task[None]]()
        self._waiting = 0

    @property
    def is_complete(self) -> bool:
        """Whether every client has connected at least once."""
        return self._waiting == 0

    def add(self, number: int, head: bytes, drip: bytes = b"") -> None:
        """Add clients that send `head`, and then `drip` at every tick, and read nothing."""
        self._waiting += number
        self._tasks |= {asyncio.create_task(self._hold_on(head, drip)) for _ in range(number)}

    def tick(self) -> None:
        self._tick.set()
        self._tick = asyncio.Event()

    async def leave(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _hold_on(self, head: bytes, drip: bytes) -> None:
        is_new = True
        while True:
            with contextlib.suppress(OSError):
                reader, writer = await asyncio.open_connection("127.0.0.1", self._port, limit=1)
                self._waiting -= is_new
                is_new = False
                try:
                    writer.write(head)
                    while not reader.at_eof():
                        await self._tick.wait()
                        writer.write(drip)
                        await writer.drain()
                finally:
                    writer.transport.abort()


def user(served: ServedProcess, number: int = 0) -> httpx.AsyncClient:
    """Return the client of one real user.

    Each request has a connection of its own: one that is idle may be closed at any time, which a browser hides. Each
    user has an address of its own, by which the companion tells users from the crowd.
    """
    address = f"127.0.1.{1 + number}" if HAS_ADDRESSES else None
    limits = httpx.Limits(max_keepalive_connections=0)
    transport = httpx.AsyncHTTPTransport(limits=limits, local_address=address)
    return httpx.AsyncClient(base_url=served.url, timeout=60, transport=transport)


async def one_round(served: ServedProcess, *, visits: int, questions: int) -> None:
    """Let real users come while 280 clients hold on to connections, and check that each gets a complete answer."""
    crowd = Crowd(served)
    # More than the companion's limit even without those of the 40 bodies that it refuses.
    crowd.add(190, b"")
    crowd.add(30, b"GET /v1/health HTTP/1.1\r\nHost: localhost\r\n", b"X")
    crowd.add(40, BODY_HEAD, b"x")
    crowd.add(20, b"GET /assets/model.onnx HTTP/1.1\r\nHost: localhost\r\n\r\n" * 50)

    async def visit(client: httpx.AsyncClient) -> None:
        for path in ("/", "/v1/health", "/v1/model", "/assets/app-1a2b.js"):
            assert (await client.get(path)).status_code == 200
            crowd.tick()

    async def ask(client: httpx.AsyncClient) -> None:
        response = await client.post("/v1/generate", **form(image=IMAGE, maxNewTokens=4))
        assert response.status_code == 200, response.text
        assert len(parse_run(response.content).tokens) == 4
        crowd.tick()

    async def leave_early(client: httpx.AsyncClient) -> None:
        request = client.build_request("POST", "/v1/generate", **form(image=IMAGE, maxNewTokens=400))
        response = await client.send(request, stream=True)
        assert response.status_code == 200
        await response.aclose()

    async def come(number: int, use: Callable[[httpx.AsyncClient], Awaitable[None]]) -> None:
        async with user(served, number) as client:
            await use(client)

    while not crowd.is_complete:
        await come(0, visit)
    uses = [visit] * visits + [ask] * questions + [leave_early] * 4
    await asyncio.gather(*(come(number, use) for number, use in enumerate(uses)))
    await crowd.leave()
    # Whatever the crowd did, the last word is a complete answer.
    await come(0, ask)


def check_soak(folder: Path, *, rounds: int, visits: int, questions: int) -> None:
    # Long enough for a test process that waits for a busy machine: a real user is not slower than that.
    short = {"grace_s": 2, "header_s": 3, "keep_alive_s": 1, "upload_s": 8, "stall_s": 3, "uploads": 20}
    with served_process(folder, max_files=MAX_FILES, **short) as served:

        def measure() -> tuple[int, float]:
            """Return the number of open files once all connections are closed, and the memory in MiB."""
            wait_until(lambda: not served.process.net_connections("tcp")[1:], "only the listener is open")
            return served.process.num_fds(), served.process.memory_info().rss / 2**20

        # The first round makes allocations that libraries never release.
        asyncio.run(one_round(served, visits=visits, questions=questions))
        files, mib = measure()
        for _ in range(rounds):
            asyncio.run(one_round(served, visits=visits, questions=questions))
        files_later, mib_later = measure()
        print(f"{rounds} rounds: {files} -> {files_later} files, {mib:.0f} -> {mib_later:.0f} MiB")
        assert files_later <= files
        assert mib_later - mib < 32
    lines = served.log.read_text().splitlines()
    print(f"{len(lines)} lines in the log")
    assert len(lines) < 1000 + 200 * rounds
    assert [line for line in lines if "in favour of a new one" in line]
    failures = [at for at, line in enumerate(lines) if "Traceback" in line or "ASGI" in line or " ERROR " in line]
    assert not failures, "\n".join(lines[failures[0] : failures[0] + 100])


def test_real_users_are_answered_among_hundreds_of_clients_that_hold_on(tmp_path: Path):
    check_soak(tmp_path, rounds=1, visits=6, questions=6)


@pytest.mark.slow
def test_real_users_are_answered_for_minutes(tmp_path: Path):
    check_soak(tmp_path, rounds=20, visits=30, questions=12)
