"""Training labels for a FastRM head: the relevancy of each patch, and of each text token of the prompt, to each answer
token, for a model of any family, by one of four teachers.

chefer              exact Chefer relevancy, the default: a forward pass, then a backward pass per token.
chefer-incremental  Chefer relevancy as lvlm-interpret computes it, most likely the teacher of the FastRM paper's heads.
attention           the last layer's attention, averaged over heads: one forward pass, no gradient. A weak baseline.
ablation            the fall of the token's log-probability when regions of the image are barred (`ablation.py`): 33
                    forward passes, no gradient and no attention weights. It measures what the answer depends on, and
                    says nothing about the prompt's words.
"""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, get_args

import torch
from torch import nn

from ..methods.attention import attention_rows
from ..methods.attention_hooks.decoder_call import DecoderCall, decoder_call
from ..methods.barring import own_call
from ..methods.relevancy import explain_tokens, explain_tokens_incrementally
from ..methods.support import refused_methods
from ..models.families.registry import Family, extend
from ..models.reading import Frame, Reading
from .ablation import MASKS, Ablation, ablate, mask_seed, patch_effects, region_masks

Teacher = Literal["chefer", "chefer-incremental", "attention", "ablation"]
TEACHERS: dict[Teacher, str] = {
    "chefer": "Chefer relevancy, exact",
    "chefer-incremental": "Chefer relevancy, incremental",
    "attention": "raw attention of the last layer",
    "ablation": f"ablation of image regions, {MASKS} masks",
}
"""What a head, its samples and the page call a teacher."""
TEACHER_NAMES: tuple[Teacher, ...] = get_args(Teacher)
# Manifests name the two oldest teachers as they always did, so that work of earlier versions can be continued.
_IN_MANIFESTS: dict[Teacher, str] = {"chefer": "exact", "chefer-incremental": "incremental"}


class Labels(NamedTuple):
    """Labels of an answer's T tokens over P patches and m text tokens of the prompt, on the CPU.

    relevancy `[T, P]` float32, patches in the order of `Reading.patch_columns`; by ablation, in nats (`patch_effects`).
    prompt_relevancy `[T, m]` float32, in the order of `Reading.prompt_columns` (`without_itself`); 0 by ablation.
    image_share `[T]`: the share of a token's total relevancy, over all columns, that falls on patches; NaN by ablation.
    likeliest `[T]`: id of the most likely token at each position of the explained pass. log_probs `[T]`:
    log-probabilities of the answer tokens in that pass, in nats. If `likeliest` differs from the answer's token, the pass
    did not reproduce the answer, and the map explains a token that the model did not produce. ablation: the masks and
    falls that the relevancy was estimated from; None by other teachers.
    """

    relevancy: torch.Tensor
    image_share: torch.Tensor
    likeliest: torch.Tensor
    log_probs: torch.Tensor
    prompt_relevancy: torch.Tensor
    ablation: Ablation | None = None


class ColumnLabels(NamedTuple):
    """Labels of t tokens over all n columns of a sequence, on the CPU; the fields are those of `Labels`.

    relevancy `[t, n]` float32. words `[t, n]`: the same for text, without what a token's own column starts with.
    """

    relevancy: torch.Tensor
    words: torch.Tensor
    likeliest: torch.Tensor
    log_probs: torch.Tensor
    ablation: Ablation | None

    def image_share(self, patch_columns: torch.Tensor) -> torch.Tensor:
        """Return the share `[t]` of each token's relevancy that falls on patches; NaN if words were not labelled."""
        if self.ablation is not None:
            return torch.full((len(self.relevancy),), torch.nan)
        return self.relevancy[:, patch_columns].sum(1) / self.relevancy.sum(1)


def manifest_name(teacher: Teacher) -> str:
    """Return a teacher's name in manifests."""
    return _IN_MANIFESTS.get(teacher, teacher)


def refusal_of(model: Any, teacher: Teacher) -> str | None:
    """Return why a teacher cannot label a model's answers, or None if it can. Ablation needs nothing of the layers."""
    return None if teacher == "ablation" else refused_methods(model).get(teacher)


def label_answer(
    model: Any,
    family: Family,
    reading: Reading,
    answer_ids: Sequence[int],
    *,
    teacher: Teacher = "chefer",
    autocast: torch.dtype | None = None,
) -> Labels:
    """Label the tokens of an answer. `answer_ids` excludes the end token. `autocast` sets a lower precision for matrix
    products.

    Takes one forward pass, then one backward pass per token by Chefer, or 32 more forward passes by ablation. The same
    question and answer always get the same masks. Raises ValueError if the answer contains an image token, or if the
    model rules the teacher out.
    """
    ids = torch.tensor(list(answer_ids), dtype=torch.long)
    if len(ids) == 0:
        none = torch.zeros(0)
        patches, words = (torch.zeros(0, len(columns)) for columns in (reading.patch_columns, reading.prompt_columns))
        return Labels(patches, none, ids, none, words)
    if reason := refusal_of(model, teacher):
        raise ValueError(f"the answers of this model cannot be labelled with {TEACHERS[teacher]}: {reason}")
    call = call_of(model, family.decoder(model), extend(reading, answer_ids), teacher)
    positions = torch.arange(len(ids)) + reading.inputs["input_ids"].shape[1] - 1
    seed = 0
    if teacher == "ablation":
        seed = mask_seed(*(_content(reading.inputs[name]) for name in sorted(reading.inputs)), _content(ids))
    labels = label_columns(
        call, positions, ids, reading.patch_columns, reading.frames, teacher=teacher, seed=seed, autocast=autocast
    )
    return Labels(
        labels.relevancy[:, reading.patch_columns],
        labels.image_share(reading.patch_columns),
        labels.likeliest,
        labels.log_probs,
        labels.words[:, reading.prompt_columns],
        labels.ablation,
    )


def call_of(model: Any, decoder: nn.Module, inputs: Any, teacher: Teacher) -> DecoderCall:
    """Capture the decoder's call with the masks that a teacher needs: of its own attention, or of the model's."""
    return (own_call if teacher == "ablation" else decoder_call)(model, decoder, inputs)


def label_columns(
    call: DecoderCall,
    positions: torch.Tensor,
    token_ids: torch.Tensor,
    patch_columns: torch.Tensor,
    frames: Sequence[Frame],
    *,
    teacher: Teacher,
    seed: int,
    autocast: torch.dtype | None = None,
) -> ColumnLabels:
    """Label tokens of one sequence of prompt and answer.

    positions `[t]`: the column whose logits predict each token; token_ids `[t]`. patch_columns `[P]`: the columns of the
    patches of `frames`; seed: draws the masks over them. Both are for ablation only.
    """
    if teacher == "ablation":
        done = ablate(call, positions, token_ids, patch_columns, region_masks(frames, seed), autocast=autocast)
        relevancy = torch.zeros(len(token_ids), call.arguments["inputs_embeds"].shape[1])
        relevancy[:, patch_columns] = patch_effects(done.ablation)
        return ColumnLabels(relevancy, torch.zeros_like(relevancy), done.likeliest, done.log_probs, done.ablation)
    if teacher == "attention":
        device = call.arguments["inputs_embeds"].device
        with torch.autocast(device.type, dtype=autocast or torch.bfloat16, enabled=autocast is not None):
            rows, logits = attention_rows(call, positions)
        relevancy = words = rows.cpu()
    else:
        explain = explain_tokens if teacher == "chefer" else explain_tokens_incrementally
        explained = explain(call, positions, token_ids, autocast=autocast)
        relevancy, logits = explained.relevancy.cpu(), explained.logits
        words = without_itself(relevancy, positions)
    log_probs = logits.float().log_softmax(-1).cpu()
    return ColumnLabels(relevancy, words, log_probs.argmax(-1), log_probs.gather(1, token_ids[:, None])[:, 0], None)


def without_itself(relevancy: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
    """Return relevancy `[t, n]` without the identity that the recursion starts from: 1 in each token's own row
    `positions` `[t]`.

    The first answer token is predicted from the prompt's last column, so the 1 would hide the relevancy of all other
    words. Later tokens are predicted from the answer's columns.
    """
    own = torch.zeros_like(relevancy).scatter_(1, positions[:, None], 1.0)
    return (relevancy - own).clamp(min=0)


def _content(values: Any) -> bytes:
    """Return the bytes of a tensor, for a hash."""
    return torch.as_tensor(values).contiguous().view(torch.uint8).numpy().tobytes()
