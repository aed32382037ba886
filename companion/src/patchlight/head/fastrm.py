"""The FastRM head: relevancy of each image patch to an answer token, from last hidden states alone.

FastRM: An efficient and automatic explainability framework for multimodal generative models (arXiv 2412.01487),
section 3: `x = LayerNorm(h); q = W_q x_p; k_j = W_k x_j; prob_j = sigmoid(q . k_j / sqrt(d))`, with no softmax before
the sigmoid. Two forms of the same numbers live here: the paper's (`paper_logits`) and a cheap order of the same products
(`FastRM.logits`); a third, one folded matrix, is what the browser runs (`folded.py`).
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import nn

Stage = Literal["post_norm", "pre_norm"]

LAYER_NORM_EPSILON = 1e-5
WEIGHTS_FILE, FACTS_FILE = "head.safetensors", "head.json"


@dataclass(frozen=True, kw_only=True)
class HeadFacts:
    """What a head was trained on, written beside its weights and checked when it is loaded."""

    hidden_size: int
    """Width of the hidden states that it reads."""
    stage: Stage
    """Where they are taken: after the language model's final norm (what Hugging Face calls last), or before it."""
    teacher: str
    """Method whose maps it imitates, such as "Chefer relevancy, exact"."""
    labelling_threshold: float = 0.3
    """Patches at or above this share of the teacher's maximum were labelled relevant."""
    classification_threshold: float = 0.4
    """Where the probabilities are read by default."""
    model: str
    """Model that the hidden states came from."""
    model_revision: str
    """That model's revision."""
    name: str = "fastrm"
    """The head's own name."""

    def __post_init__(self) -> None:
        if self.stage not in ("post_norm", "pre_norm"):
            raise ValueError(f"stage {self.stage!r}: want post_norm or pre_norm")
        for field in ("labelling_threshold", "classification_threshold"):
            if not 0 < getattr(self, field) < 1:
                raise ValueError(f"{field} {getattr(self, field)}: want it between 0 and 1")


class FastRM(nn.Module):
    """LayerNorm, W_q, W_k of width `hidden_size`; sigmoid of their scaled product.

    `facts` is what the head was trained on, where it was loaded or has been saved; a fresh head has none.
    """

    def __init__(self, hidden_size: int, facts: HeadFacts | None = None):
        super().__init__()
        if facts is not None and facts.hidden_size != hidden_size:
            raise ValueError(f"facts say hidden size {facts.hidden_size}, the head has {hidden_size}")
        self.hidden_size = d = hidden_size
        self.norm = nn.LayerNorm(d, eps=LAYER_NORM_EPSILON)
        self.query = nn.Linear(d, d)
        self.key = nn.Linear(d, d)
        self._facts = facts

    @property
    def facts(self) -> HeadFacts:
        """Raises ValueError where the head is fresh."""
        if self._facts is None:
            raise ValueError("a fresh head has no facts: train it, or load one by FastRM.from_pretrained(folder)")
        return self._facts

    def forward(
        self,
        hidden_states: torch.Tensor,
        patch_states: torch.Tensor | None = None,
        *,
        patch_columns: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Relevancy probabilities of the patches, 0..1, from last hidden states of the head's stage.

        The paper's snippet, one token at a time: `head(hidden_states)` with hidden_states [..., P + 1, d], the image's
        patches and, last, the state that predicted the token, gives [..., P]. With `patch_columns` [P] the rows may be
        the whole sequence up to that state, [..., n, d]: the patches are picked from it.
        All tokens of an answer at once: `head(query_states, patch_states)` with [..., T, d] and [..., P, d] gives
        [..., T, P].
        """
        width = hidden_states.shape[-1]
        if width != self.hidden_size:
            raise ValueError(f"hidden states are {width} wide, the head reads {self.hidden_size}")
        if patch_states is not None:
            if patch_columns is not None:
                raise ValueError("patch_columns pick from one sequence: give them or patch_states, not both")
            return self.logits(hidden_states, patch_states).sigmoid()
        if hidden_states.ndim < 2 or hidden_states.shape[-2] < 2:
            raise ValueError(f"hidden states {list(hidden_states.shape)}: want the patches' rows and the token's after")
        if patch_columns is None:
            patches = hidden_states[..., :-1, :]
        else:
            patches = hidden_states[..., patch_columns, :]
        return self.logits(hidden_states[..., -1:, :], patches).sigmoid()[..., 0, :]

    def logits(self, query_states: torch.Tensor, patch_states: torch.Tensor) -> torch.Tensor:
        """`u . x_j + c` with `u = W_k^T q`, `c = b_k . q`: keys are never formed, T d^2 + T P d products, not P d^2.

        The norm's gain and shift go to `u` and `c` as well, so that training differentiates nothing of size P d.
        """
        q = self.query(self.norm(query_states)) * self.hidden_size**-0.5
        u = q @ self.key.weight
        c = q @ self.key.bias + u @ self.norm.bias
        plain = F.layer_norm(patch_states, (self.hidden_size,), eps=self.norm.eps)
        return (u * self.norm.weight) @ plain.transpose(-1, -2) + c[..., None]

    def save_pretrained(self, folder: Path | str, facts: HeadFacts | None = None) -> None:
        """Weights as safetensors, facts (the head's own where none are given) as JSON."""
        facts = facts or self.facts
        if facts.hidden_size != self.hidden_size:
            raise ValueError(f"facts say hidden size {facts.hidden_size}, the head has {self.hidden_size}")
        self._facts = facts
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        save_file(
            {name: value.detach().contiguous() for name, value in self.state_dict().items()}, folder / WEIGHTS_FILE
        )
        (folder / FACTS_FILE).write_text(json.dumps(asdict(facts), indent=2) + "\n")

    @classmethod
    def from_pretrained(
        cls, folder: Path | str, *, hidden_size: int | None = None, stage: Stage | None = None
    ) -> "FastRM":
        """A saved head on the CPU in float32, its `facts` with it.

        Refuses a head made for other hidden states than the caller's `hidden_size` and `stage`.
        """
        folder = Path(folder)
        facts = HeadFacts(**json.loads((folder / FACTS_FILE).read_text()))
        if hidden_size is not None and hidden_size != facts.hidden_size:
            raise ValueError(f"head {facts.name} reads hidden size {facts.hidden_size}, the model gives {hidden_size}")
        if stage is not None and stage != facts.stage:
            raise ValueError(f"head {facts.name} reads {facts.stage} hidden states, the model gives {stage}")
        head = cls(facts.hidden_size, facts)
        head.load_state_dict(load_file(folder / WEIGHTS_FILE))
        return head.eval()


def paper_logits(head: FastRM, query_states: torch.Tensor, patch_states: torch.Tensor) -> torch.Tensor:
    """The paper's order, every key formed: the reference that the cheaper forms are tested against. [..., T, P]."""
    q, k = head.query(head.norm(query_states)), head.key(head.norm(patch_states))
    return q @ k.transpose(-1, -2) / head.hidden_size**0.5
