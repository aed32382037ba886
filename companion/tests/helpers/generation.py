"""Hugging Face's own greedy answer, which the tests compare with."""

from operator import methodcaller

import torch
from transformers import BatchFeature, LlavaForConditionalGeneration


def generated_ids(model: LlavaForConditionalGeneration, inputs: BatchFeature, **options: int) -> list[int]:
    """Ids that `generate` puts behind the prompt, the end token included; options are `generate`'s."""
    # By name: `generate` declares a `self` that the library's own models do not satisfy.
    with torch.inference_mode():
        output = methodcaller("generate", **inputs, do_sample=False, **options)(model)
    assert isinstance(output, torch.Tensor)
    return output[0, inputs["input_ids"].shape[1] :].tolist()
