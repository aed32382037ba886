"""Writes src/inference/fixtures/explained-run-1.json: `python -m tests.makers.explain_fixture`.

The fixture contains the maps that the page must compute for some tokens of the recorded run public/samples/run-1.run,
computed by autograd over complete attention matrices (`patchlight.embedded.browser.plain_methods`). There are two
versions: with the run's image, for tests in a browser, and with the patches' embeddings replaced by reproducible noise,
for tests that decode no image.
"""

import base64
import io
import json
from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers import AutoProcessor

from patchlight.embedded.browser.plain_methods import PlainAnswer
from patchlight.embedded.training.llava_parts import text_config, word_embeddings
from patchlight.embedded.training.model import load_model, model_inputs
from patchlight.embedded.training.packing import PATCHES
from patchlight.wire.run import read_run
from tests.helpers.paths import EMBEDDED, ROOT
from tests.makers.activation_fixture import token_activation

RUN = ROOT / "public" / "samples" / "run-1.run"
FIXTURE = ROOT / "src" / "inference" / "fixtures" / "explained-run-1.json"
SEED, SCALE = 1, 0.5


def main() -> None:
    run = read_run(RUN)
    model, processor = (
        load_model(EMBEDDED, attention="eager").requires_grad_(False),
        AutoProcessor.from_pretrained(EMBEDDED),
    )
    assert run.picture is not None
    image = Image.open(io.BytesIO(run.picture)).convert("RGB")
    inputs = model_inputs(processor, image, run.header["question"])
    token_ids = [token.token_id for token in run.tokens]
    indices = sorted({0, len(token_ids) // 2, len(token_ids) - 1})
    features: Any = model.model.get_image_features(inputs["pixel_values"])
    d = text_config(model).hidden_size
    noise = torch.from_numpy(noise_rows(PATCHES, d)).float() * SCALE
    explained = {
        name: explain(model, inputs["input_ids"][0], patches, token_ids, indices)
        for name, patches in (("picture", features.pooler_output[0]), ("noise", noise))
    }
    fixture = {
        "question": run.header["question"],
        "tokenIds": token_ids,
        "generator": {"seed": SEED, "scale": SCALE},
        "wanted": indices,
        **explained,
    }
    FIXTURE.write_text(json.dumps(fixture) + "\n")


def noise_rows(rows: int, cols: int) -> np.ndarray:
    """Return noise [rows, cols] in -1..1 from a linear congruential generator."""
    state, values = SEED, np.empty(rows * cols)
    for i in range(rows * cols):
        state = (state * 1664525 + 1013904223) % 2**32
        values[i] = state / 2**31 - 1
    return values.reshape(rows, cols)


def explain(model, prompt_ids, patches, token_ids, indices):
    """Return logProbs [T] of the answer's tokens and, for each method, the maps of the tokens in `indices`."""
    is_image = prompt_ids == model.config.image_token_id
    prompt_length = len(prompt_ids)
    embeds = word_embeddings(model)(torch.cat([prompt_ids, torch.tensor(token_ids[:-1])])).detach().clone()
    is_patch = torch.zeros(len(embeds), dtype=torch.bool)
    is_patch[:prompt_length] = is_image
    embeds[is_patch] = patches
    every = torch.arange(prompt_length - 1, prompt_length - 1 + len(token_ids))
    ids = torch.tensor(token_ids)
    plain = PlainAnswer(model, embeds, every, ids, is_patch)
    log_probs = plain.logits.detach()[every].log_softmax(-1).gather(1, ids[:, None])[:, 0]
    is_prompt_text = ~is_patch
    is_prompt_text[prompt_length:] = False

    def parts(columns, t):
        return {
            "values": packed(columns[is_patch]),
            "prompt": packed(columns[is_prompt_text]),
            "answer": packed(columns[prompt_length : prompt_length + t]),
        }

    maps = {"chefer": plain.chefer(), "gradcam": plain.gradcam(), "rollout": plain.rollout()}
    maps |= {"attention": plain.attention()}
    explained_maps: dict[str, list[Any]] = {
        method: [parts(rows[t], t) for t in indices] for method, rows in maps.items()
    }
    feature = plain.feature_gradcam(text_config(model).num_hidden_layers // 2)
    explained_maps["feature-gradcam"] = [{"values": packed(feature[t][is_patch])} for t in indices]
    lens, deltas = plain.dex_ar()
    explained_maps["dex-ar"] = [{"values": packed(lens[t]), "grounding": float(deltas[t])} for t in indices]
    states = plain.states.double().numpy()
    lm_head = model.lm_head.weight.double().numpy()
    explained_maps["tam"] = []
    for t in indices:
        one = token_activation(
            states[is_patch.numpy()],
            states[is_prompt_text.numpy()],
            states[every.numpy()],
            lm_head,
            t,
            prompt_ids=prompt_ids[~is_image].tolist(),
            answer_ids=token_ids,
            grids=[(24, 24)],
        )
        explained_maps["tam"].append({part: packed(torch.tensor(values)) for part, values in one.items()})
    return {"logProbs": log_probs.tolist(), "maps": explained_maps}


def packed(values: torch.Tensor) -> str:
    """Encode values as little-endian float32 in base64."""
    return base64.b64encode(values.detach().numpy().astype("<f4").tobytes()).decode()


if __name__ == "__main__":
    main()
