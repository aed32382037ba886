"""Positive perturbation of the embedded model: bars the patches that a map ranks highest, and measures how far the
probability of the answer falls (FastRM paper, v1 figure 6, over the first 20 % of the patches).

Nothing is painted. A barred patch's column is masked in every layer of the language model, so no other column reads it;
the image is encoded once, and the positions of all columns stay as they are. The paper paints patches and answers
again; here, the original answer is teacher-forced, and each of its tokens is read with its own map.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from transformers import LlavaForConditionalGeneration

from ..head.sample_store import HeadSamples
from ..methods.attention_hooks.decoder_call import DecoderCall
from ..methods.barring import barred_passes
from .answering import ImageSource, embed_images, prompt_embeds
from .training.llava_parts import language_model, word_embeddings
from .training.packing import PATCHES, prompt_pieces
from .training.vocabulary import build_tokenizer

SHARES = (0.0, 0.05, 0.10, 0.15, 0.20)
"""Shares of the patches that are barred."""


class _Token(NamedTuple):
    """An answer token and the columns before it: the prompt's ids without the image, and the answer's ids."""

    scene: int
    prompt: list[int]
    answer: list[int]
    token: int


def token_probabilities(
    model: LlavaForConditionalGeneration, embeds: torch.Tensor, token: int, barred: torch.Tensor
) -> torch.Tensor:
    """Return the probability `[b]` of `token` after the columns `embeds` `[n, d]`, once for each row of `barred`
    `[b, n]` bool: the columns that no other column reads.
    """
    call = DecoderCall(model, language_model(model), {"inputs_embeds": embeds[None]})
    last = torch.tensor([len(embeds) - 1])
    return barred_passes(call, last, torch.tensor([token]), barred).log_probs[:, 0].exp()


def highest_patches(maps: torch.Tensor, *, seed: int = 0) -> torch.Tensor:
    """Return which patches `[n, len(SHARES), P]` bool rank highest in maps `[n, P]`, at each share. Equal values are
    ordered at random, the same for the same `seed`.
    """
    shuffled = torch.rand(maps.shape, generator=torch.Generator().manual_seed(seed)).argsort(dim=1)
    order = maps.gather(1, shuffled).argsort(dim=1, descending=True, stable=True)
    ranks = shuffled.gather(1, order).argsort(dim=1)
    counts = torch.tensor([round(share * maps.shape[1]) for share in SHARES])
    return ranks[:, None] < counts[:, None]


def perturbation_area(probabilities: np.ndarray) -> np.ndarray:
    """Return the area under each curve of probabilities `[n, len(SHARES)]` over the shares, divided by their range, so
    that a probability that does not change is its own area. A smaller area is a better ranking.
    """
    return np.trapezoid(probabilities, SHARES, axis=1) / (SHARES[-1] - SHARES[0])


class Perturbation:
    """A choice of stored answer tokens whose patches can be barred.

    folder: samples with prompts. rows [m]: the tokens' rows in it. images: those of the scenes.
    """

    def __init__(self, model: LlavaForConditionalGeneration, folder: Path, images: ImageSource, rows: torch.Tensor):
        self._model, self._pieces = model, prompt_pieces(build_tokenizer())
        samples = HeadSamples(folder, output="text", hold=False)
        columns = samples.columns
        starts = torch.searchsorted(columns["question"], columns["question"][rows])
        self._tokens = [
            _Token(
                int(columns["scene"][row]),
                samples.prompt_ids(int(columns["image"][row])).tolist(),
                columns["token"][start:row].tolist(),
                int(columns["token"][row]),
            )
            for row, start in zip(rows.tolist(), starts.tolist(), strict=True)
        ]
        samples.close()
        with torch.inference_mode():
            self._features = {
                scene: embed_images(model, np.array(images[scene].image)[None])[0]
                for scene in sorted({token.scene for token in self._tokens})
            }

    def probabilities(self, maps: torch.Tensor, *, seed: int = 0) -> np.ndarray:
        """Return the probability `[m, len(SHARES)]` of each token, with the patches barred that rank highest in its map.

        maps `[m, 576]`: in the order of the tokens. seed: for patches of equal value.
        """
        first = len(self._pieces.before)
        found = []
        for token, highest in zip(self._tokens, highest_patches(maps, seed=seed), strict=True):
            embeds = self._columns(token)
            barred = torch.zeros(len(SHARES), len(embeds), dtype=torch.bool)
            barred[:, first : first + PATCHES] = highest
            found.append(token_probabilities(self._model, embeds, token.token, barred))
        return torch.stack(found).double().numpy()

    @torch.inference_mode()
    def _columns(self, token: _Token) -> torch.Tensor:
        """Return the embeddings `[n, d]` of the prompt, with the image, and of the answer before the token."""
        after = token.prompt[len(self._pieces.before) :]
        prompt = prompt_embeds(self._model, self._features[token.scene], self._pieces, after)
        answer = word_embeddings(self._model)(torch.tensor(token.answer, dtype=torch.long))
        return torch.cat([prompt, answer])
