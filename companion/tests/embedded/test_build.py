"""Tests what a build refuses to mix."""

import json
from pathlib import Path

import pytest
from safetensors.torch import save_file
from torch import ones

from patchlight.embedded.build import Build
from patchlight.embedded.build_size import SMOKE
from patchlight.head.work_folder import MANIFEST_FILE
from patchlight.models.model_files import folder_revision


def test_samples_of_another_model_are_refused(tmp_path: Path):
    hf, work = tmp_path / "hf", tmp_path / "work"
    hf.mkdir()
    save_file({"weight": ones(2)}, hf / "model.safetensors")
    build = Build(work, hf, tmp_path, tmp_path, tmp_path, SMOKE, 1)
    for folder in ("samples", "held-out"):
        (work / folder).mkdir(parents=True)
        manifest = {"modelRevision": folder_revision(hf), "autocast": False}
        (work / folder / MANIFEST_FILE).write_text(json.dumps(manifest))
        assert build.collected(folder) == work / folder
    save_file({"weight": 2 * ones(2)}, hf / "model.safetensors")
    for step in (build.heads, build.text):
        with pytest.raises(ValueError, match=r"samples holds samples of another model \(revision .*\): delete"):
            step()
    with pytest.raises(ValueError, match="held-out holds samples of another model"):
        build.collected("held-out")
