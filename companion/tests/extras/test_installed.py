"""Tests the package as users install it: bare, [serve] and [train], each in a fresh environment without the sources.

`node scripts/check-extras.mjs` creates the environments and runs these tests.
"""

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest
from PIL import Image

from patchlight.server.page import COMPANION_META
from patchlight.server.security import ISOLATION_HEADERS
from patchlight.wire.explanation import parse_explanation
from patchlight.wire.run import parse_run, read_run
from tests.helpers.paths import EMBEDDED, SAMPLES

pytestmark = pytest.mark.extras
MODEL = "models/patchlight-scenes"


class Installed(NamedTuple):
    """One environment, and an empty folder to work in."""

    bin: Path
    folder: Path

    def run(self, program: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
        command = [str(self.bin / program), *arguments]
        return subprocess.run(command, cwd=self.folder, env=clean(), capture_output=True, text=True)

    def succeed(self, program: str, *arguments: str) -> str:
        ended = self.run(program, *arguments)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    @contextmanager
    def serving(self, *arguments: str) -> Iterator[httpx.Client]:
        """Run `patchlight` with these arguments on a free port, and yield a client for it."""
        command = [str(self.bin / "patchlight"), *arguments, "--port", "0"]
        with subprocess.Popen(command, cwd=self.folder, env=clean(), stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr is not None
            lines: list[str] = []
            for line in process.stderr:
                lines.append(line)
                if line.startswith("Patchlight is at "):
                    break
            assert process.poll() is None, "".join(lines)
            try:
                with httpx.Client(base_url=lines[-1].split()[-1], timeout=120) as client:
                    yield client
            finally:
                process.send_signal(signal.SIGTERM)
                process.wait(30)


def clean() -> dict[str, str]:
    """Return the environment without PYTHON* and PATCHLIGHT* variables, which might refer to this source tree."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PATCHLIGHT"))}


def installed(extra: str, folder: Path) -> Installed:
    return Installed(Path(os.environ[f"PATCHLIGHT_VENV_{extra}"]) / "bin", folder)


def lacks(environment: Installed, modules: Sequence[str]) -> None:
    look = "import importlib.util, sys; print([m for m in sys.argv[1:] if importlib.util.find_spec(m)])"
    assert environment.succeed("python", "-c", look, *modules) == "[]\n"


def post(client: httpx.Client, path: str, image: bytes, **request: object) -> bytes:
    response = client.post(
        path, data={"request": json.dumps(request)}, files={"image": ("picture.png", image, "image/png")}
    )
    assert response.status_code == 200, response.text
    return response.content


def test_a_bare_install_serves_the_page_with_its_model(tmp_path: Path):
    bare = installed("BARE", tmp_path)
    lacks(bare, ["torch", "transformers", "onnx", "numba", "scipy", "PIL"])
    assert bare.succeed("patchlight", "--version") == "patchlight 0.1.0\n"
    with bare.serving("--no-open") as client:
        index = client.get("/")
        assert index.status_code == 200
        assert COMPANION_META not in index.text
        [script] = re.findall(r'<script type="module"[^>]* src="\./(assets/[^"]+\.js)"', index.text)
        code = client.get(f"/{script}")
        assert code.headers["content-type"].startswith("text/javascript")
        assert code.headers["cache-control"] == "private, max-age=31536000, immutable"
        manifest = client.get(f"/{MODEL}/manifest.json")
        assert manifest.headers["content-type"] == "application/json"
        graphs = {name: file for name, file in manifest.json()["files"].items() if name.endswith(".onnx")}
        assert graphs
        for name, file in graphs.items():
            graph = client.get(f"/{MODEL}/{name}")
            assert graph.headers["content-type"] == "application/octet-stream"
            assert len(graph.content) == file["bytes"]
        for response in (index, code, manifest):
            for name, value in ISOLATION_HEADERS.items():
                assert response.headers[name] == value
        assert client.get("/v1/model").status_code == 404


def test_a_bare_install_reads_runs_and_names_the_extra_for_serving(tmp_path: Path):
    bare = installed("BARE", tmp_path)
    read = "import sys, pathlib; from patchlight.wire.run import read_run; print(len(read_run(pathlib.Path(sys.argv[1])).tokens))"
    recorded = SAMPLES / "run-1.run"
    assert bare.succeed("python", "-c", read, str(recorded)) == f"{len(read_run(recorded).tokens)}\n"
    refused = bare.run("patchlight", "serve", "--model", "x")
    assert refused.returncode == 2
    assert refused.stderr == (
        'patchlight: "serve" needs torch, which is not installed. Install it with: pip install "patchlight[serve]"\n'
    )


def test_the_serve_extra_answers_and_explains_over_http(tmp_path: Path):
    serve = installed("SERVE", tmp_path)
    lacks(serve, ["numba", "scipy", "onnxscript", "onnxruntime"])
    recorded = read_run(SAMPLES / "run-1.run")
    image = (SAMPLES / str(recorded.header["image"]["name"])).read_bytes()
    with serve.serving("serve", "--model", str(EMBEDDED), "--device", "cpu", "--no-open") as client:
        assert COMPANION_META in client.get("/").text
        assert client.get("/v1/model").json()["head"] is not None
        run = parse_run(post(client, "/v1/generate", image, question=recorded.header["question"]))
        ids = [token.token_id for token in run.tokens]
        assert ids == [token.token_id for token in recorded.tokens]
        # Without numba, exact Chefer uses torch operations.
        request = {"question": recorded.header["question"], "method": "chefer", "answerIds": ids, "tokenIndices": [0]}
        assert len(parse_explanation(post(client, "/v1/explain", image, **request)).maps) == 1


def test_the_train_extra_trains_a_head(tmp_path: Path):
    train = installed("TRAIN", tmp_path)
    lacks(train, ["numba", "scipy", "onnxscript", "onnxruntime"])
    with (tmp_path / "questions.jsonl").open("w") as file:
        for k in range(4):
            Image.effect_noise((224, 224), 40 + 20 * k).convert("RGB").save(tmp_path / f"{k}.png")
            question = {"id": f"q{k}", "image": f"{k}.png", "question": "what color is the cube ?", "answers": ["red"]}
            file.write(json.dumps(question) + "\n")
    data = ["--data", "jsonl", "--questions", "questions.jsonl", "--max-new-tokens", "3"]
    train.succeed("patchlight", "collect", "--model", str(EMBEDDED), *data, "--device", "cpu", "--out", "samples")
    small = ["--steps", "2", "--batch", "2", "--validation-share", "0.25", "--device", "cpu", "--keep-failed"]
    train.succeed("patchlight", "train", "--samples", "samples", "--out", "head", *small)
    load = "from patchlight import FastRM; print(FastRM.from_pretrained('head').facts.model)"
    assert train.succeed("python", "-c", load) == "patchlight-scenes\n"
