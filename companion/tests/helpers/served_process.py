"""Runs a tiny companion in a process of its own, for tests that measure or exhaust a process.

`python -m tests.helpers.served_process SETTINGS` serves with settings in JSON and prints the port.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from patchlight.cli.http_server import listen, run_server
from patchlight.server.app import create_app
from patchlight.server.settings import ServeSettings
from tests.helpers.paths import COMPANION
from tests.helpers.secured import built_page
from tests.helpers.serving import tiny_session


class ServedProcess(NamedTuple):
    """A companion in another process. log: the file that it writes its log to."""

    process: psutil.Process
    port: int
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def served_process(folder: Path, *, max_files: int, **settings: Any) -> Iterator[ServedProcess]:
    """Start a companion that may open `max_files` files, and stop it. Its page and log are written to `folder`."""
    # Set in a shell: code between fork and exec is not safe in a process with threads.
    command = f'ulimit -n {max_files} && exec "$0" -m tests.helpers.served_process "$1" "$2"'
    log = folder / "log.txt"
    with (
        log.open("w") as log_file,
        subprocess.Popen(
            ["sh", "-c", command, sys.executable, json.dumps(settings), str(folder / "page")],
            cwd=COMPANION,
            env=os.environ | {"PYTHONPATH": f"{COMPANION / 'src'}:{COMPANION}", "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=log_file,
            text=True,
        ) as process,
    ):
        assert process.stdout is not None
        try:
            port = process.stdout.readline()
            assert port, log.read_text()
            yield ServedProcess(psutil.Process(process.pid), int(port), log)
            assert process.poll() is None, "the companion ended"
        finally:
            process.terminate()
            process.wait(60)


def main(settings_json: str, page_folder: str) -> None:
    settings = ServeSettings(port=0, **json.loads(settings_json))
    app = create_app(settings, tiny_session(settings), page=built_page(Path(page_folder)))
    with listen(settings) as listener:
        print(listener.getsockname()[1], flush=True)
        stop_runs = app.state.stop_runs
        run_server(app, settings, listener, opens=False, log_level="info", before_shutdown=stop_runs)


if __name__ == "__main__":
    main(*sys.argv[1:])
