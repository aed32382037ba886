"""The `patchlight` program: its commands, invalid arguments, and `serve` in a separate process."""

import errno
import os
import shlex
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import httpx
import pyarrow as pa
import pytest

from patchlight.cli.http_server import address
from patchlight.cli.main import COMMANDS, build_parser, main
from patchlight.cli.serve import train_command
from patchlight.models.loading import LoadOptions
from patchlight.server.settings import ServeSettings
from tests.helpers.paths import COMPANION
from tests.helpers.question_files import write_questions
from tests.helpers.serving import ask, open_run
from tests.helpers.tiny_models import save, tiny

SOURCE = COMPANION / "src"


def test_each_command_has_a_help_text(capsys: pytest.CaptureFixture[str]):
    for command in COMMANDS:
        with pytest.raises(SystemExit) as end:
            build_parser().parse_args([command, "--help"])
        assert end.value.code == 0
        assert f"patchlight {command}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--model", "x", "--host", "0.0.0.0"], "set a token"),
        (["--model", "x", "--dtype", "int3"], "int3"),
        (["--model", "x", "--device", "cpu", "--device-map", "auto"], "device_map"),
        (["--model", "x", "--page", "/nowhere"], "/nowhere"),
        (["--model", "x", "--max-new-tokens", "0"], "new_tokens is 0"),
        (["--model", "x", "--token", "two words"], "token"),
    ],
)
def test_serve_refuses_invalid_arguments_before_loading_a_model(
    arguments: list[str], reason: str, capsys: pytest.CaptureFixture[str]
):
    assert main(["serve", *arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith("patchlight: ")
    assert reason in error


def test_a_full_disk_is_reported_in_a_sentence_with_the_folder(tmp_path: Path):
    """A limit on the size of files stands in for a full disk; both fail in the middle of a write."""
    save(tiny("llava"), tmp_path / "model")
    questions, out = write_questions(tmp_path, 2), tmp_path / "out"
    program = (
        "import resource, signal, sys\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))\n"
        "from patchlight.cli.main import main\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    command = ["collect", "--model", str(tmp_path / "model"), "--data", "jsonl", "--questions", str(questions)]
    command += ["--max-new-tokens", "3", "--device", "cpu", "--out", str(out)]
    environment = os.environ | {"PYTHONPATH": str(SOURCE)}
    done = subprocess.run(
        [sys.executable, "-c", program, *command], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert f"patchlight: there is no space left to write {out} (" in done.stderr
    assert not list(out.glob("*.safetensors"))


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_every_kind_of_missing_space_is_reported_alike(
    number: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def fill(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("patchlight.cli.page.run", fill)
    assert main(["page"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("patchlight: there is no space left on the disk of the temporary folder")
    assert "Errno" not in error


def test_the_error_for_a_port_in_use_names_the_port(capsys: pytest.CaptureFixture[str]):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as occupied:
        port = occupied.getsockname()[1]
        assert main(["serve", "--model", "x", "--port", str(port)]) == 2
    assert f"port {port}" in capsys.readouterr().err


def test_the_suggested_command_fits_a_head_to_the_served_model():
    options = LoadOptions(model="some org/a model", revision="v1", dtype="float16", device_map="auto")
    program, *words = shlex.split(train_command(options))
    assert (program, words[0]) == ("patchlight", "fit")
    fit = build_parser().parse_args(words)
    assert (fit.model, fit.revision, fit.dtype) == ("some org/a model", "v1", "float16")
    assert (fit.device_map, fit.images) == ("auto", Path("photos"))


@pytest.mark.parametrize(
    ("host", "token", "expected"),
    [
        ("127.0.0.1", None, "http://127.0.0.1:80/"),
        ("0.0.0.0", "abc", "http://127.0.0.1:80/?token=abc"),
        ("::1", None, "http://[::1]:80/"),
        ("box.example", "abc", "http://box.example:80/?token=abc"),
    ],
)
def test_the_printed_address_can_be_opened(host: str, token: str | None, expected: str):
    assert address(ServeSettings(host=host, token=token), 80) == expected


def test_serve_prints_its_address_answers_and_stops_during_an_answer(tmp_path: Path):
    made = tiny("llava")
    made.model.generation_config.eos_token_id = None
    save(made, tmp_path / "model")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    environment = os.environ | {
        "PYTHONPATH": str(SOURCE),
        "PATCHLIGHT_TOKEN": "from-the-environment",
        "TMPDIR": str(scratch),
        "PATCHLIGHT_HEADS": str(tmp_path / "heads"),
    }
    command = [
        sys.executable,
        "-m",
        "patchlight",
        "serve",
        "--model",
        str(tmp_path / "model"),
        "--port",
        "0",
        "--no-open",
    ]
    with subprocess.Popen(
        [*command, "--max-new-tokens", "4000"], stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stderr is not None
        lines: list[str] = []
        for line in process.stderr:
            lines.append(line)
            if "Patchlight is at" in line:
                break
        assert "with your own pictures, run\n  patchlight fit --model" in "".join(lines)
        url = httpx.URL(lines[-1].split()[-1])
        assert url.params["token"] == "from-the-environment"
        with httpx.Client(base_url=url.copy_with(query=None), timeout=30, follow_redirects=True) as client:
            assert client.get("/v1/health").status_code == 401
            client.get("/", params=url.params)
            assert client.get("/v1/model").json()["name"] == "model"
            assert len(ask(client, maxNewTokens=5).tokens) == 5
            with open_run(client, maxNewTokens=4000) as run:
                run.until("token")
                process.send_signal(signal.SIGTERM)
                process.wait(120)
                tokens = 1
                # At shutdown, connected clients get three seconds; finishing the answer would take minutes.
                with suppress(StopIteration, httpx.TransportError, pa.ArrowInvalid):
                    while True:
                        tokens += run.next()["kind"] == "token"
        assert tokens < 4000
        rest = process.stderr.read()
    assert "Traceback" not in rest
    assert process.returncode == 143
    assert list(scratch.glob("patchlight-head-*")) == []
