"""Greedy decoding with Transformers' `generate`, as the reference for tests."""

from operator import methodcaller

import torch
from transformers import BatchFeature, LlavaForConditionalGeneration


def generated_ids(model: LlavaForConditionalGeneration, inputs: BatchFeature, **options: int) -> list[int]:
    """Return the ids that `generate` appends to the prompt, including the end token. `options` are those of `generate`."""
    # Called by name, because the annotation of its `self` excludes the library's own models.
    with torch.inference_mode():
        output = methodcaller("generate", **inputs, do_sample=False, **options)(model)
    assert isinstance(output, torch.Tensor)
    return output[0, inputs["input_ids"].shape[1] :].tolist()
