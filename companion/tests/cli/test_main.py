"""The `patchlight` program: its commands, what it refuses, and `serve` as a process of its own."""

import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import httpx
import pyarrow as pa
import pytest

from patchlight.cli.main import COMMANDS, build_parser, main
from patchlight.cli.serve import address, train_command
from patchlight.server.settings import ServeSettings
from tests.helpers.paths import COMPANION
from tests.helpers.serving import ask, following
from tests.helpers.tiny_models import save, tiny

SOURCE = COMPANION / "src"


def test_each_command_says_what_it_takes(capsys: pytest.CaptureFixture[str]):
    for command in COMMANDS:
        with pytest.raises(SystemExit) as end:
            build_parser().parse_args([command, "--help"])
        assert end.value.code == 0
        assert f"patchlight {command}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--model", "x", "--host", "0.0.0.0"], "give a token"),
        (["--model", "x", "--dtype", "int3"], "int3"),
        (["--model", "x", "--device", "cpu", "--device-map", "auto"], "device_map"),
        (["--model", "x", "--page", "/nowhere"], "/nowhere"),
        (["--model", "x", "--max-new-tokens", "0"], "new_tokens 0"),
        (["--model", "x", "--token", "two words"], "token"),
    ],
)
def test_serve_refuses_what_cannot_be_before_it_loads_anything(
    arguments: list[str], reason: str, capsys: pytest.CaptureFixture[str]
):
    assert main(["serve", *arguments]) == 2
    found = capsys.readouterr().err
    assert found.startswith("patchlight: ")
    assert reason in found


def test_a_port_that_is_taken_is_named(capsys: pytest.CaptureFixture[str]):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["serve", "--model", "x", "--port", str(port)]) == 2
    assert f"port {port}" in capsys.readouterr().err


def test_the_command_that_trains_a_head_is_one_that_works():
    collect, train = train_command("some org/a model").split(" && ")
    import shlex

    for command in (collect, train):
        program, *arguments = shlex.split(command)
        assert program == "patchlight"
        build_parser().parse_args(arguments)
    assert build_parser().parse_args(shlex.split(collect)[1:]).model == "some org/a model"


@pytest.mark.parametrize(
    ("host", "token", "wanted"),
    [
        ("127.0.0.1", None, "http://127.0.0.1:80/"),
        ("0.0.0.0", "abc", "http://127.0.0.1:80/?token=abc"),
        ("::1", None, "http://[::1]:80/"),
        ("box.example", "abc", "http://box.example:80/?token=abc"),
    ],
)
def test_the_address_that_is_printed_can_be_opened(host: str, token: str | None, wanted: str):
    assert address(ServeSettings(host=host, token=token), 80) == wanted


def test_serve_prints_its_address_answers_and_ends_in_the_middle_of_an_answer(tmp_path: Path):
    made = tiny("llava")
    made.model.generation_config.eos_token_id = None
    save(made, tmp_path / "model")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    environment = os.environ | {
        "PYTHONPATH": str(SOURCE),
        "PATCHLIGHT_TOKEN": "from-the-environment",
        "TMPDIR": str(scratch),
    }
    command = [sys.executable, "-m", "patchlight", "serve", "--model", str(tmp_path / "model"), "--port", "0"]
    with subprocess.Popen(
        [*command, "--max-new-tokens", "4000"], stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stderr is not None
        lines: list[str] = []
        for line in process.stderr:
            lines.append(line)
            if "Patchlight is at" in line:
                break
        said = "".join(lines)
        assert "no head, so no FastRM maps: train one with\n  patchlight collect" in said
        url = httpx.URL(lines[-1].split()[-1])
        assert url.params["token"] == "from-the-environment"
        with httpx.Client(base_url=url.copy_with(query=None), timeout=30, follow_redirects=True) as client:
            assert client.get("/v1/health").status_code == 401
            client.get("/", params=url.params)
            assert client.get("/v1/model").json()["name"] == "model"
            assert len(ask(client, maxNewTokens=5).tokens) == 5
            with following(client, maxNewTokens=4000) as run:
                run.until("token")
                process.send_signal(signal.SIGTERM)
                process.wait(120)
                tokens = 1
                # Three seconds are given to readers that are in the middle of an answer; this one takes minutes.
                with suppress(StopIteration, httpx.TransportError, pa.ArrowInvalid):
                    while True:
                        tokens += run.next()["kind"] == "token"
        assert tokens < 4000
        rest = process.stderr.read()
    assert "Traceback" not in rest
    assert process.returncode == 143
    assert list(scratch.glob("patchlight-head-*")) == []


@pytest.mark.slow
def test_a_wheel_holds_the_page_that_was_built_into_it_and_the_program(tmp_path: Path):
    shutil.copytree(SOURCE, tmp_path / "src", ignore=shutil.ignore_patterns("page", "*.egg-info", "__pycache__"))
    shutil.copy(SOURCE.parent / "pyproject.toml", tmp_path)
    page = tmp_path / "src" / "patchlight" / "page"
    (page / "assets").mkdir(parents=True)
    (page / "index.html").write_text('<head><meta http-equiv="Content-Security-Policy" content="default-src"></head>')
    (page / "assets" / "app.wasm").write_bytes(b"wasm")
    pip = [sys.executable, "-m", "pip", "-q"]
    packed, installed = tmp_path / "packed", tmp_path / "installed"
    wheel = [*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", str(packed), str(tmp_path)]
    subprocess.run(wheel, check=True, timeout=120)
    [file] = packed.glob("*.whl")
    subprocess.run([*pip, "install", "--no-deps", "--target", str(installed), str(file)], check=True, timeout=120)
    look = (
        "from patchlight.server.page import load_page, packaged_page; page = load_page(packaged_page());"
        "print(page.folder, page.policy); print((page.folder / 'assets/app.wasm').read_bytes())"
    )
    environment = os.environ | {"PYTHONPATH": str(installed)}
    found = subprocess.run([sys.executable, "-c", look], env=environment, check=True, capture_output=True, text=True)
    assert found.stdout == f"{installed}/patchlight/page default-src; frame-ancestors 'none'\nb'wasm'\n"
    program = subprocess.run(
        [sys.executable, str(installed / "bin" / "patchlight"), "--version"],
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    assert program.stdout == "patchlight 0.1.0\n"
