"""Tests whether a recorded model is recognised as the loaded one, in a folder or in the Hub's cache."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from patchlight.models.identity import Identity, Match, match_model
from patchlight.models.loading import Loaded, LoadOptions, load
from patchlight.models.model_files import folder_revision
from tests.helpers.paths import COMPANION
from tests.helpers.tiny_models import save, tiny

COMMIT, OTHER_COMMIT = "a" * 40, "b" * 40
HASH, OTHER_HASH = "0123456789ab", "ba9876543210"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    folder = tmp_path_factory.mktemp("models") / "llava"
    save(tiny("llava"), folder)
    return load(LoadOptions(model=str(folder), device="cpu"))


class Case(NamedTuple):
    """A recorded identity, the loaded model's name, revision and weights, and the expected match."""

    recorded: Identity
    name: str
    revision: str
    weights: str | None
    expected: Match


CASES = {
    "same weights, whatever the name": Case(Identity("org/llava", COMMIT, "w"), "copy", HASH, "w", "same"),
    "other weights of one name": Case(Identity("llava", HASH, "w"), "llava", HASH, "v", "other"),
    "one commit": Case(Identity("org/llava", COMMIT), "org/llava", COMMIT, "w", "same"),
    "two commits": Case(Identity("org/llava", COMMIT), "org/llava", OTHER_COMMIT, "w", "other"),
    "one hash": Case(Identity("llava", HASH), "renamed", HASH, "w", "same"),
    "two hashes": Case(Identity("llava", HASH), "llava", OTHER_HASH, "w", "other"),
    "a commit and a folder of its name": Case(Identity("org/llava", COMMIT), "llava", HASH, "w", "unverified"),
    "a commit and a folder of another name": Case(Identity("org/llava", COMMIT), "gemma", HASH, "w", "other"),
    "no revision": Case(Identity("llava", ""), "llava", HASH, "w", "unverified"),
    "another model without a revision": Case(Identity("gemma", ""), "llava", HASH, "w", "other"),
}


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_a_recorded_model_is_compared_with_the_loaded_one(case: Case, model: Loaded):
    loaded = model._replace(name=case.name, revision=case.revision, weights=case.weights)
    assert match_model(case.recorded, loaded) == case.expected


def test_a_recorded_hash_is_compared_with_the_files_of_a_model_from_the_hub(model: Loaded):
    assert model.folder is not None
    hub = model._replace(name="org/llava", revision=COMMIT)
    assert match_model(Identity("llava", folder_revision(model.folder)), hub) == "same"
    assert match_model(Identity("llava", OTHER_HASH), hub) == "other"


def test_a_model_in_the_hub_s_cache_has_the_identity_of_its_folder(model: Loaded, tmp_path: Path):
    assert model.folder is not None
    cached = in_cache(model.folder, tmp_path)
    assert cached["result"] == ["org/llava", COMMIT, model.weights]


def test_cut_off_weights_in_the_hub_s_cache_are_named(model: Loaded, tmp_path: Path):
    assert model.folder is not None
    folder = Path(shutil.copytree(model.folder, tmp_path / "cut"))
    content = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(content[:-10])
    error = in_cache(folder, tmp_path)["error"]
    assert "model.safetensors is incomplete" in error
    assert COMMIT in error


def in_cache(folder: Path, home: Path) -> dict[str, str]:
    """Load a model by its Hub id in a process whose cache of the Hub holds it, without a network."""
    repository = home / "hub" / "models--org--llava"
    shutil.copytree(folder, repository / "snapshots" / COMMIT)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(COMMIT)
    program = (
        "import json\n"
        "from patchlight.models.loading import LoadOptions, load\n"
        "try:\n"
        "    loaded = load(LoadOptions(model='org/llava', device='cpu'))\n"
        "    out = {'result': [loaded.name, loaded.revision, loaded.weights]}\n"
        "except OSError as error:\n"
        "    out = {'error': str(error)}\n"
        "print(json.dumps(out))\n"
    )
    environment = {**os.environ, "HF_HOME": str(home), "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(COMPANION / "src")}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])
