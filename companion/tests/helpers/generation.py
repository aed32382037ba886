"""Hugging Face's own greedy decoding, as the reference for tests."""

from operator import methodcaller

import torch
from transformers import BatchFeature, LlavaForConditionalGeneration


def generated_ids(model: LlavaForConditionalGeneration, inputs: BatchFeature, **options: int) -> list[int]:
    """Return the ids that `generate` appends to the prompt, including the end token. `options` are passed to
    `generate`.
    """
    # Called by name because `generate` declares a type for `self` that the library's own models do not satisfy.
    with torch.inference_mode():
        output = methodcaller("generate", **inputs, do_sample=False, **options)(model)
    assert isinstance(output, torch.Tensor)
    return output[0, inputs["input_ids"].shape[1] :].tolist()
