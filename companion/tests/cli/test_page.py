"""`patchlight` without a command serves the page with its embedded model and opens it."""

import os
import signal
import subprocess
import sys
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from patchlight.cli import http_server
from patchlight.cli.main import build_parser, main, with_command
from patchlight.server import page as server_page
from patchlight.server.page import COMPANION_META
from patchlight.server.security import ISOLATION_HEADERS, OTHER_HEADERS
from patchlight.server.settings import ServeSettings
from tests.helpers.serving import wait_until

POLICY = "default-src 'none'; script-src 'self'"
INDEX = f'<html><head><meta http-equiv="Content-Security-Policy" content="{POLICY}"></head><body></body></html>'


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    (folder / "assets").mkdir()
    (folder / "index.html").write_text(INDEX)
    (folder / "assets" / "app-1a2b.js").write_text("// app")
    (folder / "model.onnx").write_bytes(b"onnx")
    return folder


@contextmanager
def started(*arguments: str, **environment: str) -> Iterator[httpx.URL]:
    """Run `patchlight` in a separate process, and yield the address that it prints."""
    command = [sys.executable, "-m", "patchlight", "--port", "0", *arguments]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ | environment) as process:
        assert process.stderr is not None
        line = next(line for line in process.stderr if "Patchlight is at" in line)
        yield httpx.URL(line.split()[-1])
        process.send_signal(signal.SIGTERM)
        process.wait(15)
        assert "Traceback" not in process.stderr.read()
    assert process.returncode == 143


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], ["page"]),
        (["--no-open", "--port", "0"], ["page", "--no-open", "--port", "0"]),
        (["serve", "--model", "x"], ["serve", "--model", "x"]),
        (["--help"], ["--help"]),
        (["--version"], ["--version"]),
    ],
)
def test_page_is_the_default_command(arguments: list[str], expected: list[str]):
    assert with_command(arguments) == expected


def test_the_page_is_served_without_an_api(built: Path):
    with started("--no-open", "--page", str(built)) as url, httpx.Client(base_url=url) as client:
        index = client.get("/")
        assert index.text == INDEX
        assert COMPANION_META not in index.text
        assert index.headers["content-security-policy"] == POLICY + "; frame-ancestors 'none'"
        model = client.get("/model.onnx")
        assert (model.content, model.headers["content-type"]) == (b"onnx", "application/octet-stream")
        script = client.get("/assets/app-1a2b.js")
        assert script.headers["cache-control"] == "private, max-age=31536000, immutable"
        missing = client.get("/v1/model")
        assert (missing.status_code, missing.headers["content-type"]) == (404, "application/problem+json")
        for response in (index, model, script, missing):
            for name, value in (ISOLATION_HEADERS | OTHER_HEADERS).items():
                assert response.headers[name] == value
        assert client.get("/", headers={"Host": "elsewhere.example"}).status_code == 400


def test_the_page_requires_a_token_like_serve(built: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["page", "--host", "0.0.0.0", "--page", str(built)]) == 2
    assert "set a token" in capsys.readouterr().err
    with started("--no-open", "--page", str(built), PATCHLIGHT_TOKEN="from-the-environment") as url:
        assert url.params["token"] == "from-the-environment"
        with httpx.Client(base_url=url.copy_with(query=None), follow_redirects=True) as client:
            assert client.get("/model.onnx").status_code == 401
            assert client.get("/", params=url.params).text == INDEX
            assert client.get("/model.onnx").content == b"onnx"


def test_the_error_for_a_package_without_a_page_gives_the_build_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(server_page, "packaged_page", lambda: None)
    assert main([]) == 2
    error = capsys.readouterr().err
    assert error.startswith("patchlight: this package contains no built page")
    assert "npm run build:companion" in error
    assert error.count("\n") == 1


def test_a_browser_opens_only_if_there_is_a_display(monkeypatch: pytest.MonkeyPatch):
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    monkeypatch.setattr(sys, "platform", "linux")
    for name in ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    assert not http_server.open_in_browser("http://127.0.0.1:1/")
    monkeypatch.setenv("DISPLAY", ":0")
    assert http_server.open_in_browser("http://127.0.0.1:2/")
    wait_until(lambda: len(opened) == 1, "the browser was opened")
    assert opened == ["http://127.0.0.1:2/"]


@pytest.mark.parametrize(("host", "is_named"), [("127.0.0.1", True), ("192.0.2.1", False)])
def test_an_ssh_session_is_told_how_to_forward_the_port(
    host: str, is_named: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("SSH_CONNECTION", "198.51.100.7 50000 198.51.100.20 22")
    monkeypatch.setenv("USER", "ada")
    monkeypatch.setenv("LOGNAME", "ada")
    http_server.say_how_to_forward(ServeSettings(host=host, token="t" * 16), 8642)
    command = "ssh -N -L 8642:127.0.0.1:8642 ada@198.51.100.20"
    assert (command in capsys.readouterr().err) == is_named


@pytest.mark.parametrize("command", ["page", "serve --model x"])
def test_the_page_opens_unless_told_not_to(command: str):
    parse = build_parser().parse_args
    assert parse(command.split()).open
    assert not parse([*command.split(), "--no-open"]).open


def test_the_browser_opens_the_printed_address(built: Path, tmp_path: Path):
    record = tmp_path / "opened"
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\nprintf %s "$1" > {record}.part && mv {record}.part {record}\n')
    browser.chmod(0o755)
    with started("--page", str(built), BROWSER=f"{browser} %s") as url:
        wait_until(record.exists, "the browser was opened")
        assert record.read_text() == str(url)
