"""Tests how a companion queues, stops and frees answers and explanations, on a real socket."""

import threading
import time
from collections.abc import Callable
from contextlib import ExitStack

import httpx
import pytest

from patchlight.server.queue import INITIAL_RUN_S, QueueFull, RunQueue
from patchlight.server.settings import ServeSettings
from patchlight.wire.run import Run, parse_run
from tests.helpers.serving import (
    ask,
    companion,
    explain_form,
    form,
    noise_image,
    open_explanation,
    open_run,
    wait_until,
)


def test_waiting_clients_get_their_position_and_are_served_in_order():
    with companion(ServeSettings(queue_length=3)) as served, ExitStack() as stack:
        gate = threading.Event()
        served.session.before_answer = lambda: gate.wait(20)
        runs = []
        for number in range(4):
            client = stack.enter_context(served.client())
            runs.append(stack.enter_context(open_run(client, question=f"Number {number}?", maxNewTokens=2)))
            assert runs[-1].until("queued")["place"] == number
        full = stack.enter_context(served.client()).post("/v1/generate", **form())
        assert full.status_code == 503
        assert full.json()["type"] == "urn:patchlight:problem:queue-full"
        # Four questions are ahead, and no run has ended yet.
        assert int(full.headers["retry-after"]) == 4 * INITIAL_RUN_S
        assert (full.json()["limit"], full.json()["found"]) == (3, 4)
        gate.set()
        assert runs[0].until("end")["reason"] == "length"
        # The last run moves up one position at a time.
        assert [runs[3].until("queued")["place"] for _ in range(3)] == [2, 1, 0]
        assert runs[3].until("end")["reason"] == "length"
        assert served.session.answer_count == 4


def test_the_time_to_retry_follows_the_number_of_runs_ahead_and_their_duration():
    queue = RunQueue(2)
    for _ in range(40):
        queue.note_run(1.5)
    for _ in range(3):
        queue.enter()
    with pytest.raises(QueueFull) as full:
        queue.enter()
    assert full.value.retry_after_s == 5


def test_running_and_waiting_runs_can_be_cancelled_by_id():
    with companion() as served, ExitStack() as stack:
        served.session.after_row = lambda: time.sleep(0.02)
        first, second = (
            stack.enter_context(open_run(stack.enter_context(served.client()), maxNewTokens=500)) for _ in range(2)
        )
        client = stack.enter_context(served.client())
        assert second.until("queued")["place"] == 1
        assert client.post(f"/v1/runs/{second.header['id']}/cancel").status_code == 204
        assert second.until("end")["reason"] == "cancelled"
        first.until("token")
        assert client.post(f"/v1/runs/{first.header['id']}/cancel").status_code == 204
        assert first.until("end")["reason"] == "cancelled"
        assert served.session.row_count < 450
        assert served.session.answer_count == 1
        wait_until(lambda: client.post(f"/v1/runs/{first.header['id']}/cancel").status_code == 404, "run removed")


def test_disconnecting_stops_the_answer_within_one_token():
    def read_four_tokens(client: httpx.Client) -> None:
        with open_run(client, maxNewTokens=400) as run:
            for _ in range(4):
                run.until("token")

    check_disconnecting(read_four_tokens, held_row=8)


def test_disconnecting_while_waiting_leaves_the_queue():
    with companion() as served, served.client() as client, served.client() as other:
        gate = threading.Event()
        served.session.before_answer = lambda: gate.wait(20)
        with open_run(client, maxNewTokens=2):
            with open_run(other, maxNewTokens=2) as second:
                assert second.until("queued")["place"] == 1
            with served.client() as third, open_run(third, maxNewTokens=2) as run:
                assert run.until("queued")["place"] in (1, 2)
                gate.set()
                assert run.until("end")["reason"] == "length"
        assert served.session.answer_count == 2


def test_explanations_and_answers_share_one_queue(run: Run):
    with companion() as served, ExitStack() as stack:
        gate = threading.Event()
        served.session.before_answer = lambda: gate.wait(20)
        clients = [stack.enter_context(served.client()) for _ in range(3)]
        first = stack.enter_context(open_run(clients[0], maxNewTokens=2))
        assert first.until("queued")["place"] == 0
        second = stack.enter_context(open_explanation(clients[1], "chefer", run, [0]))
        assert second.until("queued")["place"] == 1
        third = stack.enter_context(open_run(clients[2], maxNewTokens=2))
        assert third.until("queued")["place"] == 2
        gate.set()
        assert first.until("end")["reason"] == "length"
        assert second.until("end")["reason"] == "done"
        assert third.until("end")["reason"] == "length"


def test_an_explanation_is_refused_if_the_queue_is_full(run: Run):
    with companion(ServeSettings(queue_length=0)) as served, ExitStack() as stack:
        gate = threading.Event()
        served.session.before_answer = lambda: gate.wait(20)
        first = stack.enter_context(open_run(stack.enter_context(served.client()), maxNewTokens=2))
        assert first.until("queued")["place"] == 0
        full = stack.enter_context(served.client()).post("/v1/explain", **explain_form("chefer", run, [0]))
        gate.set()
        assert full.status_code == 503
        assert int(full.headers["retry-after"]) >= 1


def test_running_and_waiting_explanations_can_be_cancelled_by_id(run: Run):
    def hold_the_first_map() -> None:
        if served.session.row_count == 2:
            wait_until(served.session.stops[0], "the first was told to stop")

    with companion() as served, ExitStack() as stack:
        served.session.after_row = hold_the_first_map
        first, second = (
            stack.enter_context(open_explanation(stack.enter_context(served.client()), "chefer", run, range(8)))
            for _ in range(2)
        )
        client = stack.enter_context(served.client())
        assert second.until("queued")["place"] == 1
        assert client.post(f"/v1/runs/{second.header['id']}/cancel").status_code == 204
        assert second.until("end")["reason"] == "cancelled"
        assert first.until("map")["tokenIndex"] == 0
        assert client.post(f"/v1/runs/{first.header['id']}/cancel").status_code == 204
        rows = [first.next()]
        while rows[-1]["kind"] != "end":
            rows.append(first.next())
        # The explanation stops within one token: at most the map in progress arrives before the end row.
        assert len(rows) <= 3
        assert rows[-1]["reason"] == "cancelled"
        assert rows[-1]["tokens"] == len(rows)
        assert rows[-1]["backwardPasses"] == len(rows)
        assert served.session.explain_count == 1
        wait_until(lambda: client.post(f"/v1/runs/{first.header['id']}/cancel").status_code == 404, "run removed")


def test_disconnecting_stops_the_explanation_within_one_token(run: Run):
    def read_one_map(client: httpx.Client) -> None:
        with open_explanation(client, "chefer", run, range(8)) as explanation:
            explanation.until("map")

    check_disconnecting(read_one_map, held_row=2)


def check_disconnecting(read_some: Callable[[httpx.Client], None], *, held_row: int) -> None:
    """Hold the model at `held_row` until it is told to stop, and check that it then stops within one token."""
    row_counts: list[int] = []
    was_stopped = threading.Event()

    def hold() -> None:
        if served.session.row_count == held_row:
            wait_until(served.session.stops[0], "the work was told to stop")
            was_stopped.set()

    with companion() as served, served.client() as client:
        served.session.after_row = hold
        read_some(client)
        served.session.before_answer = lambda: row_counts.append(served.session.row_count)
        assert ask(client, maxNewTokens=1).end.reason == "length"
        assert was_stopped.is_set() or row_counts[0] < held_row
        # At most the row in progress and the end row.
        assert row_counts[0] <= held_row + 2


def test_two_hundred_concurrent_requests_finish_or_are_refused_and_free_their_memory():
    check_crowd(crowd=200, rounds=1)


@pytest.mark.slow
def test_ten_rounds_of_two_hundred_concurrent_requests_do_not_leak_memory():
    check_crowd(crowd=200, rounds=10)


def check_crowd(*, crowd: int, rounds: int) -> None:
    import psutil

    process = psutil.Process()
    image = noise_image(200, 120)
    with (
        companion(ServeSettings(queue_length=24)) as served,
        served.client(limits=httpx.Limits(max_keepalive_connections=0)) as client,
    ):

        def one(outcomes: list[str], number: int) -> None:
            response = client.post("/v1/generate", **form(f"Number {number}?", image, maxNewTokens=4))
            if response.status_code == 503 and int(response.headers["retry-after"]) >= 1:
                outcomes.append("refused")
            else:
                outcomes.append(parse_run(response.content).end.reason)

        def all_at_once() -> list[str]:
            outcomes: list[str] = []
            threads = [threading.Thread(target=one, args=(outcomes, number)) for number in range(crowd)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(60)
            assert not any(thread.is_alive() for thread in threads), "a request hangs"
            return outcomes

        # The first round makes allocations that libraries never release: thread pools, parsers, arenas.
        all_at_once()
        before = process.memory_info().rss
        for _ in range(rounds):
            outcomes = all_at_once()
            assert len(outcomes) == crowd
            assert set(outcomes) <= {"length", "refused"}
            assert outcomes.count("length") >= 25
        grown_mib = (process.memory_info().rss - before) / 2**20
        # 200 images and their states take about 30 MB; the allocator keeps some memory that threads have freed.
        assert grown_mib < 32, f"memory grew by {grown_mib:.0f} MiB"
