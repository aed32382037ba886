"""A vision-language model to use from Python, as in the paper's usage snippet (FastRM v2, Figure 15):

model = LVLM.from_pretrained("llava-hf/llava-1.5-7b-hf")
proxy = FastRM.from_pretrained("heads/llava-1.5-7b", model=model.loaded)

out = model.generate(image, "What is on the table?")
for lhs in out.last_hidden_states:
    rm = proxy(lhs)
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, overload

import torch
from PIL import Image

from .models.answer_pieces import answer_text
from .models.decoding import Prefill, decode
from .models.loading import Loaded, LoadOptions, load
from .models.pictures import read_pixels
from .models.reading import Frame
from .models.sampling import Sampling
from .models.several_images import read_images

ImageLike = Image.Image | Path | str


class LastHiddenStates(Sequence[torch.Tensor]):
    """Last hidden states, one tensor `[P + 1, d]` per answer token: the image's P patches, then the state that
    predicted the token.

    Pass each tensor to `FastRM` as it is. The patch states are stored once; a tensor is concatenated on access.
    """

    def __init__(self, patch_states: torch.Tensor, query_states: torch.Tensor):
        self.patch_states, self.query_states = patch_states, query_states

    def __len__(self) -> int:
        return len(self.query_states)

    @overload
    def __getitem__(self, index: int) -> torch.Tensor: ...
    @overload
    def __getitem__(self, index: slice) -> "LastHiddenStates": ...
    def __getitem__(self, index: int | slice) -> "torch.Tensor | LastHiddenStates":
        if isinstance(index, slice):
            return LastHiddenStates(self.patch_states, self.query_states[index])
        return torch.cat([self.patch_states, self.query_states[index][None]])

    def __iter__(self) -> Iterator[torch.Tensor]:
        return (self[k] for k in range(len(self)))


class Generated(NamedTuple):
    """An answer of T tokens, without the end token.

    A map has P values, one per patch: frame after frame, and in row-major order within each frame.
    """

    text: str
    token_ids: list[int]
    last_hidden_states: LastHiddenStates
    frames: tuple[Frame, ...]


class LVLM:
    """A vision-language model of any supported family."""

    def __init__(self, loaded: Loaded):
        self.loaded = loaded

    @classmethod
    def from_pretrained(cls, model: str | Path, **options: Any) -> "LVLM":
        """Load a model by its Hub id or from a folder. `options` are the fields of `LoadOptions`."""
        return cls(load(LoadOptions(model=str(model), **options)))

    def generate(self, image: ImageLike | Sequence[ImageLike], question: str, **options: Any) -> Generated:
        """Answer a question about an image, or about several in order, greedily by default.

        Frames of the k-th image have `image == k`. Raises ValueError if the model cannot read several images.
        `options` are the fields of `Sampling`. The returned states are float32 on the model's device. Raises OSError if
        `image` is a path that cannot be opened, and ValueError if its samples have no defined range (modes I and F).
        """
        given = [image] if isinstance(image, ImageLike) else image
        images = [read_pixels(one if isinstance(one, Image.Image) else Image.open(one)) for one in given]
        loaded = self.loaded
        reading = read_images(loaded.family, loaded.model, loaded.processor, images, question)
        patches, queries, ids = torch.empty(0), [], []
        for event in decode(self.loaded.model, reading, Sampling(**options)):
            if isinstance(event, Prefill):
                patches = event.patch_states.float()
            elif not event.is_end:
                queries.append(event.query_state.float())
                ids.append(event.token_id)
        stacked = torch.stack(queries) if queries else patches[:0]
        text = answer_text(self.loaded.processor.tokenizer, ids)
        return Generated(text, ids, LastHiddenStates(patches, stacked), reading.frames)
