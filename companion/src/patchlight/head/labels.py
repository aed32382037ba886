"""Training labels for a FastRM head: the relevancy of each patch, and of each text token of the prompt, to each answer
token, for a model of any family.
"""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import torch

from ..methods.attention_hooks.decoder_call import decoder_call
from ..methods.names import Method as ExplanationMethod
from ..methods.relevancy import explain_tokens, explain_tokens_incrementally
from ..methods.support import refused_methods
from ..models.families.registry import Family, extend
from ..models.reading import Reading

Method = Literal["exact", "incremental"]
TEACHERS: dict[Method, str] = {
    "exact": "Chefer relevancy, exact",
    "incremental": "Chefer relevancy, incremental",
}
_EXPLAIN = {"exact": explain_tokens, "incremental": explain_tokens_incrementally}


class Labels(NamedTuple):
    """Labels of an answer's T tokens over P patches and m text tokens of the prompt, on the CPU.

    relevancy `[T, P]` float32, patches in the order of `Reading.patch_columns`. prompt_relevancy `[T, m]` float32, in
    the order of `Reading.prompt_columns` (`without_itself`). image_share `[T]`: the share of a token's total relevancy,
    over all columns, that falls on patches. likeliest `[T]`: id of the most likely token at each position of the
    differentiated pass. log_probs `[T]`: log-probabilities of the answer tokens in that pass, in nats. If `likeliest`
    differs from the answer's token, the pass did not reproduce the answer, and the map explains a token that the model
    did not produce.
    """

    relevancy: torch.Tensor
    image_share: torch.Tensor
    likeliest: torch.Tensor
    log_probs: torch.Tensor
    prompt_relevancy: torch.Tensor


def label_answer(
    model: Any,
    family: Family,
    reading: Reading,
    answer_ids: Sequence[int],
    *,
    method: Method = "exact",
    autocast: torch.dtype | None = None,
) -> Labels:
    """Label the tokens of an answer. `answer_ids` excludes the end token. `autocast` sets a lower precision for matrix
    products.

    Takes one forward pass, then one backward pass per token. Raises ValueError if the answer contains an image token, or
    if the model rules the method out.
    """
    ids = torch.tensor(list(answer_ids), dtype=torch.long)
    if len(ids) == 0:
        none = torch.zeros(0)
        patches, words = (torch.zeros(0, len(columns)) for columns in (reading.patch_columns, reading.prompt_columns))
        return Labels(patches, none, ids, none, words)
    name: ExplanationMethod = "chefer" if method == "exact" else "chefer-incremental"
    if reason := refused_methods(model).get(name):
        raise ValueError(f"the answers of this model cannot be labelled with {TEACHERS[method]}: {reason}")
    call = decoder_call(model, family.decoder(model), extend(reading, answer_ids))
    positions = torch.arange(len(ids)) + reading.inputs["input_ids"].shape[1] - 1
    explained = _EXPLAIN[method](call, positions, ids, autocast=autocast)
    rows = explained.relevancy.cpu()
    relevancy = rows[:, reading.patch_columns]
    log_probs = explained.logits.float().log_softmax(-1).cpu()
    return Labels(
        relevancy,
        relevancy.sum(1) / rows.sum(1),
        log_probs.argmax(-1),
        log_probs.gather(1, ids[:, None])[:, 0],
        without_itself(rows, positions)[:, reading.prompt_columns],
    )


def without_itself(relevancy: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
    """Return relevancy `[t, n]` without the identity that the recursion starts from: 1 in each token's own row
    `positions` `[t]`.

    The first answer token is predicted from the prompt's last column, so the 1 would hide the relevancy of all other
    words. Later tokens are predicted from the answer's columns.
    """
    own = torch.zeros_like(relevancy).scatter_(1, positions[:, None], 1.0)
    return (relevancy - own).clamp(min=0)
