"""The paper's usage snippet (FastRM v2, Figure 15) as it runs here:

model = LVLM.from_pretrained("llava-hf/llava-1.5-7b-hf")
proxy = FastRM.from_pretrained("heads/llava-1.5-7b")

out = model.generate(image, "What is on the table?")
for lhs in out.last_hidden_states:
    rm = proxy(lhs)
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, overload

import torch
from PIL import Image, ImageOps

from .models.decoding import Prefill, decode
from .models.loading import Loaded, LoadOptions, load
from .models.reading import Frame
from .models.sampling import Sampling


class LastHiddenStates(Sequence[torch.Tensor]):
    """One tensor [P + 1, d] an answer token: the picture's P patches, then the state that predicted the token.

    `FastRM` takes it as it is. Each is put together when it is asked for: the patches' states are stored once.
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
    """An answer of T tokens, its end token left out. Maps of it have P values: the frames' patches, one frame after
    the other, each row-major."""

    text: str
    token_ids: list[int]
    last_hidden_states: LastHiddenStates
    frames: tuple[Frame, ...]


class LVLM:
    """A model of any family that Patchlight reads, asked from Python."""

    def __init__(self, loaded: Loaded):
        self.loaded = loaded

    @classmethod
    def from_pretrained(cls, model: str | Path, **options: Any) -> "LVLM":
        """A hub id or a folder; options are those of `LoadOptions`."""
        return cls(load(LoadOptions(model=str(model), **options)))

    def generate(self, image: Image.Image | Path | str, question: str, **options: Any) -> Generated:
        """Greedy unless told otherwise; options are those of `Sampling`. States are float32 on the model's device."""
        if not isinstance(image, Image.Image):
            image = Image.open(image)
        picture = ImageOps.exif_transpose(image).convert("RGB")
        reading = self.loaded.family.read(self.loaded.model, self.loaded.processor, picture, question)
        patches, queries, ids = torch.empty(0), [], []
        for event in decode(self.loaded.model, reading, Sampling(**options)):
            if isinstance(event, Prefill):
                patches = event.patch_states.float()
            elif not event.is_end:
                queries.append(event.query_state.float())
                ids.append(event.token_id)
        stacked = torch.stack(queries) if queries else patches[:0]
        text = str(self.loaded.processor.tokenizer.decode(ids, skip_special_tokens=True)).strip()
        return Generated(text, ids, LastHiddenStates(patches, stacked), reading.frames)
