"""Writes a small browser model with several heads for TypeScript tests: `python -m tests.makers.heads_fixture`.

src/inference/fixtures/several-heads is the model folder of a small LLaVA with random weights, 4 x 4 patches and hidden
size 32; its answers are meaningless. All three heads have the same weights for hidden states, so that their maps follow
from one another: fastrm-paper's equal FastRM's, and FastRM+'s differ by what attention adds to the logits.
several-heads.run, next to it, is a run of this model.
"""

import json
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import torch

from patchlight.embedded.browser.export import export_browser_model
from patchlight.embedded.record import record_run
from patchlight.head.fastrm import FastRM
from patchlight.models.question_words import FILE as QUESTION_WORDS_FILE
from tests.helpers.paths import ROOT
from tests.makers.run_fixture import HIDDEN, KNOWS, QUESTION, save_image, save_tiny_model

NAME = "several-heads"
FIXTURE = ROOT / "src" / "inference" / "fixtures" / NAME


def save_heads(hf: Path, head_folder: Path) -> None:
    """Save the other heads next to the model, as copies of its head."""
    head = FastRM.from_pretrained(head_folder)
    head.save_pretrained(hf / "fastrm-paper", replace(head.facts, name="random-weights-paper"))
    plus = FastRM(HIDDEN, attention_rows=4)  # 2 layers of 2 attention heads
    weights = {"attention.weight": torch.tensor([1.0, -0.5, 0.75, -1.5])}
    plus.load_state_dict({**head.state_dict(), **weights})
    facts = replace(head.facts, name="random-weights-plus", classification_threshold=0.3)
    plus.save_pretrained(hf / "fastrm-plus", facts)


def write_fixture(out: Path) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        hf, head = Path(temporary) / "hf", Path(temporary) / "head"
        save_tiny_model(hf, head)
        save_heads(hf, head)
        (hf / QUESTION_WORDS_FILE).write_text(json.dumps({"neverSeen": [], "synonyms": {}}))
        shutil.rmtree(out, ignore_errors=True)
        path = export_browser_model(hf, head, out, name=NAME, knows=KNOWS, training={})
        revision = json.loads(path.read_text())["revision"]
        image, run = Path(temporary) / "gradient.png", out.with_suffix(".run")
        save_image(image)
        record_run(hf, head, image, QUESTION, run, name=NAME, revision=revision, knows=KNOWS, max_new_tokens=4)


if __name__ == "__main__":
    write_fixture(FIXTURE)
