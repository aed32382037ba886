"""The embedded model's forward pass over packed batches: a subset of patches, many questions per sequence."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from transformers import LlavaForConditionalGeneration

from ..world.questions import KINDS
from ..world.scenes import GRID, PATCH_PX
from .llava_parts import language_model, vision_tower, word_embeddings
from .packing import IGNORED, PATCHES, PackedBatch, block_mask

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


def encode_patches(model: LlavaForConditionalGeneration, pixels: torch.Tensor, keep: torch.Tensor) -> torch.Tensor:
    """Return the projected features [b, k, d] of the kept patches.

    pixels [b, 336, 336, 3] uint8; keep [b, k] patch numbers. If all patches are kept, this is equivalent to
    `get_image_features`.
    """
    tower = vision_tower(model)
    b, k = keep.shape
    blocks = pixels.view(b, GRID, PATCH_PX, GRID, PATCH_PX, 3).permute(0, 1, 3, 5, 2, 4).reshape(b, PATCHES, -1)
    blocks = torch.gather(blocks, 1, keep[..., None].expand(-1, -1, blocks.shape[-1])).float().view(b, k, 3, -1)
    mean = torch.tensor(CLIP_MEAN, device=pixels.device)[:, None] * 255
    std = torch.tensor(CLIP_STD, device=pixels.device)[:, None] * 255
    embeddings = tower.embeddings
    x = F.linear(((blocks - mean) / std).flatten(2), embeddings.patch_embedding.weight.flatten(1))
    x = x + embeddings.position_embedding.weight[1:][keep]
    first = (embeddings.class_embedding + embeddings.position_embedding.weight[0]).expand(b, 1, -1)
    x = tower.pre_layrnorm(torch.cat([first.to(x.dtype), x], dim=1))
    x = tower.encoder(inputs_embeds=x).last_hidden_state[:, 1:]
    return model.model.multi_modal_projector(x)


class TextStates(NamedTuple):
    """Hidden states [b, m, d] of the packed text.

    last: after the final norm (`post_norm`); half: after the middle layer; above: one layer later.
    """

    last: torch.Tensor
    half: torch.Tensor
    above: torch.Tensor


def text_states(model: LlavaForConditionalGeneration, batch: PackedBatch, features: torch.Tensor) -> TextStates:
    """Run the language model on a batch with patch features [b, k, d] and return the states of its text."""
    embed = word_embeddings(model)
    b = features.shape[0]
    prefix = embed(batch.prefix).expand(b, -1, -1).to(features.dtype)
    read = features.gather(1, batch.read[..., None].expand(-1, -1, features.shape[-1]))
    x = torch.cat([prefix, read, embed(batch.text).to(features.dtype)], dim=1)
    mask = block_mask(batch.group, batch.multiplicity, len(batch.prefix), features.dtype)
    out = language_model(model)(
        inputs_embeds=x,
        attention_mask=mask,
        position_ids=batch.positions,
        use_cache=False,
        output_hidden_states=True,
    )
    length = batch.text.shape[1]
    half = len(out.hidden_states) // 2
    return TextStates(
        out.last_hidden_state[:, -length:],
        out.hidden_states[half][:, -length:],
        out.hidden_states[half + 1][:, -length:],
    )


def answer_loss(
    model: LlavaForConditionalGeneration,
    batch: PackedBatch,
    states: torch.Tensor,
    *,
    numbers: torch.Tensor | None = None,
    number_weight: float = 1.0,
) -> tuple[torch.Tensor, float]:
    """Return the cross entropy and the accuracy of the predicted answer tokens.

    states [b, m, d]. numbers: ids of the number words; in answers to count questions, they have `number_weight`, all
    other tokens have 1. The accuracy is over single tokens, so it can be high even if many complete answers are wrong.
    """
    is_answer = batch.labels != IGNORED
    logits = model.lm_head(states[is_answer]).float()
    target = batch.labels[is_answer]
    loss = F.cross_entropy(logits, target, reduction="none")
    weight = torch.ones_like(loss)
    if numbers is not None:
        is_count = batch.kinds[is_answer] == KINDS.index("count")
        weight[is_count & torch.isin(target, numbers)] = number_weight
    return (loss * weight).sum() / weight.sum(), (logits.argmax(-1) == target).float().mean().item()
