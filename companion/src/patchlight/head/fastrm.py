"""The FastRM head: predicts the relevancy of each image patch to an answer token from last hidden states alone.

FastRM: An efficient and automatic explainability framework for multimodal generative models (arXiv 2412.01487), section
3: `x = LayerNorm(h); q = W_q x_p; k_j = W_k x_j; prob_j = sigmoid(q . k_j / sqrt(d))`, with no softmax before the
sigmoid. This module has two equivalent forms: the paper's (`paper_logits`) and one with the products in a cheaper order
(`FastRM.logits`). The browser runs a third form, with one folded matrix (`folded.py`).
"""

import json
from dataclasses import MISSING, asdict, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save
from torch import nn

from ..models.checkpoint import check_finite
from ..models.identity import Identity, Match, match_model
from ..models.model_files import check_safetensors, read_json, shown
from .whole_files import write_bytes, write_text

if TYPE_CHECKING:
    from ..models.loading import Loaded

Stage = Literal["post_norm", "pre_norm"]
Features = Literal["states", "attention"]

LAYER_NORM_EPSILON = 1e-5
ATTENTION_EPSILON = 1e-6
"""Added to attention before its logarithm is taken, so that a patch without attention counts as far below average."""
WEIGHTS_FILE, FACTS_FILE = "head.safetensors", "head.json"
_OFFSET = "offset"
# What `patchlight train` writes next to a head, or, if training has failed or is not finished, in the subfolder.
REPORT_FILE, RUN_FOLDER, FIT_FOLDER = "head-report.json", "training", "fit"
# The subfolder of a head with its second output: a head of the same width and rank, for the prompt's text tokens.
TEXT_FOLDER = "text"


@dataclass(frozen=True, kw_only=True)
class HeadFacts:
    """What a head was trained on. Saved next to its weights and checked on loading."""

    hidden_size: int
    """Width d of the hidden states."""
    stage: Stage
    """Where the states are taken: after the language model's final norm (Hugging Face's last hidden states) or before
    it."""
    teacher: str
    """What the head imitates: a value of `labels.TEACHERS`, such as "Chefer relevancy, exact"."""
    labelling_threshold: float = 0.3
    """Patches at or above this share of the teacher's maximum were labelled relevant."""
    classification_threshold: float = 0.4
    """Default probability at or above which a patch counts as relevant."""
    model: str
    """Name of the model that produced the hidden states."""
    model_revision: str
    """Revision of that model."""
    model_weights: str | None = None
    """Identity of that model's weights (`weights_identity`); None if unknown, as in heads of version 0.1.0."""
    label_precision: str | None = None
    """Number format of the matrix products that made the labels, such as "bfloat16"; None if unknown."""
    name: str = "fastrm"
    """Name of the head."""
    rank: int | None = None
    """Width of query and key; None for d, as in the paper."""
    features: Features = "states"
    """What the head reads: last hidden states, as in the paper, or also the tokens' attention rows (FastRM+)."""

    @property
    def trained_on(self) -> Identity:
        """The model that produced the hidden states."""
        return Identity(self.model, self.model_revision, self.model_weights)

    def __post_init__(self) -> None:
        if self.stage not in ("post_norm", "pre_norm"):
            raise ValueError(f"unknown stage {self.stage!r}: use post_norm or pre_norm")
        for field in ("labelling_threshold", "classification_threshold"):
            if not 0 < getattr(self, field) < 1:
                raise ValueError(f"{field} is {getattr(self, field)}: it must be above 0 and below 1")
        if self.features not in ("states", "attention"):
            raise ValueError(f"unknown features {self.features!r}: use states or attention")
        check_rank(self.rank, self.hidden_size)


def check_rank(rank: int | None, hidden_size: int) -> None:
    """Raise ValueError if a head of this width cannot have this rank."""
    if rank is not None and not 1 <= rank < hidden_size:
        raise ValueError(f"rank is {rank}: it must be at least 1 and below the hidden size {hidden_size}")


class WrongHead(ValueError):
    """The head was trained on another model, or on other weights of the same name."""


class AttentionFeatures(nn.Module):
    """The part of FastRM+ that reads a token's attention rows: one weight per row, 0 at first.

    Our extension of FastRM, not in the paper: where a source has the attention at hand, it says where the token looked,
    which the last hidden states keep only in part.
    """

    def __init__(self, rows: int):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(rows))

    def forward(self, attention: torch.Tensor) -> torch.Tensor:
        """Return what to add to the logits, `[..., T, P]`: the weighted sum of the logarithms of the rows.

        attention `[..., T, F, P]`: probabilities from the position that predicted the token to the patches, of all
        layers and heads, layer by layer. They sum to at most 1, because the text has its share.
        """
        if attention.shape[-2] != len(self.weight):
            raise ValueError(
                f"{attention.shape[-2]} attention rows per token, the head expects {len(self.weight)}: one for each head "
                "of each layer"
            )
        return torch.einsum("...fp,f->...p", (attention.float() + ATTENTION_EPSILON).log(), self.weight)


class FastRM(nn.Module):
    """A head of width `hidden_size`: LayerNorm, W_q and W_k, and the sigmoid of the scaled product of query and key.

    `rank` makes W_q and W_k narrower, `[rank, d]`, which shortens queries and keys and makes the head smaller.
    `attention_rows` makes it a FastRM+ that also reads this many attention rows per token (`AttentionFeatures`).

    `offset` is added to all logits; it is 0 unless the head was calibrated (`platt.py`), and is not trained.

    `facts` describes the training of a head that was loaded or saved; an untrained head has none. match: whether it was
    trained on the model that it was loaded for; None if it was loaded for none.
    """

    def __init__(
        self,
        hidden_size: int,
        facts: HeadFacts | None = None,
        *,
        rank: int | None = None,
        attention_rows: int | None = None,
    ):
        super().__init__()
        check_rank(rank, hidden_size)
        if facts is not None and facts.hidden_size != hidden_size:
            raise ValueError(f"the facts have hidden size {facts.hidden_size}, the head has {hidden_size}")
        self.hidden_size = d = hidden_size
        self.norm = nn.LayerNorm(d, eps=LAYER_NORM_EPSILON)
        self.rank = rank
        self.key_size = d if rank is None else rank
        self.query = nn.Linear(d, self.key_size)
        self.key = nn.Linear(d, self.key_size)
        self.attention = None if attention_rows is None else AttentionFeatures(attention_rows)
        # Stored by `save_pretrained` only if it is not 0, so that other heads are the same files as before.
        self.register_buffer("offset", torch.zeros(()), persistent=False)
        self.offset: torch.Tensor
        self._facts = facts
        self.match: Match | None = None

    @property
    def facts(self) -> HeadFacts:
        """What the head was trained on. Raises ValueError if the head is untrained."""
        if self._facts is None:
            raise ValueError(
                "an untrained head has no facts: train it, or load one with FastRM.from_pretrained(folder)"
            )
        return self._facts

    def forward(
        self,
        hidden_states: torch.Tensor,
        patch_states: torch.Tensor | None = None,
        *,
        patch_columns: torch.Tensor | None = None,
        attention: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Return the relevancy probability of each patch, 0 to 1, from last hidden states of the head's stage.

        One token, as in the paper: `head(hidden_states)` takes `[..., P + 1, d]`, the image's patches and
        then the state that predicted the token, and returns `[..., P]`. With `patch_columns` `[P]`, it takes the
        complete sequence up to that state, `[..., n, d]`; the columns select the patches.

        All tokens of an answer: `head(query_states, patch_states)` takes `[..., T, d]` and `[..., P, d]` and returns
        `[..., T, P]`. FastRM+ needs `attention` `[..., T, F, P]` as well, and takes tokens in this form only.

        Raises ValueError if the states have the wrong width or no patches, if both `patch_states` and `patch_columns`
        are given, or if attention is missing, or given to a head that does not read it.
        """
        width = hidden_states.shape[-1]
        if width != self.hidden_size:
            raise ValueError(f"hidden states have width {width}, the head expects {self.hidden_size}")
        if patch_states is not None:
            if patch_columns is not None:
                raise ValueError("pass either patch_states or patch_columns, not both")
            return self.logits(hidden_states, patch_states, attention).sigmoid()
        if attention is not None or self.attention is not None:
            raise ValueError("FastRM+ takes query_states, patch_states and attention")
        if hidden_states.ndim < 2 or hidden_states.shape[-2] < 2:
            raise ValueError(
                f"hidden states have shape {list(hidden_states.shape)}, expected [..., P + 1, {self.hidden_size}]: the "
                "patches, then the token"
            )
        if patch_columns is None:
            patches = hidden_states[..., :-1, :]
        else:
            patches = hidden_states[..., patch_columns, :]
        return self.logits(hidden_states[..., -1:, :], patches).sigmoid()[..., 0, :]

    def logits(
        self, query_states: torch.Tensor, patch_states: torch.Tensor, attention: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Return logits `[..., T, P]` as `u . x_j + c` with `u = W_k^T q` and `c = b_k . q + offset`.

        Keys are never formed, so this takes T d^2 + T P d multiplications instead of P d^2. The norm's
        scale and bias are folded into `u` and `c`, so training needs no gradient of size P d in the backward pass.
        """
        return self.patch_logits(*self.fold_queries(query_states), patch_states, attention)

    def fold_queries(self, query_states: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return `u` `[..., T, d]` and `c` `[..., T]`: all that `patch_logits` needs to know about the tokens."""
        q = self.query(self.norm(query_states)) * self.key_size**-0.5
        u = q @ self.key.weight
        return u * self.norm.weight, q @ self.key.bias + u @ self.norm.bias + self.offset

    def patch_logits(
        self, u: torch.Tensor, c: torch.Tensor, patch_states: torch.Tensor, attention: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Return logits `[..., T, P]` of folded queries and raw patch states `[..., P, d]`.

        attention `[..., T, F, P]` belongs to FastRM+ only: raises ValueError if it is missing there or given elsewhere.
        """
        if (attention is None) != (self.attention is None):
            lacks = "needs the tokens' attention rows" if attention is None else "reads no attention"
            raise ValueError(f"this head {lacks}")
        plain = F.layer_norm(patch_states, (self.hidden_size,), eps=self.norm.eps)
        logits = u @ plain.transpose(-1, -2) + c[..., None]
        return logits if self.attention is None else logits + self.attention(attention)

    def save_pretrained(self, folder: Path | str, facts: HeadFacts | None = None) -> None:
        """Save the weights as safetensors and the facts as JSON. `facts` defaults to the head's own."""
        facts = facts or self.facts
        if facts.hidden_size != self.hidden_size:
            raise ValueError(f"the facts have hidden size {facts.hidden_size}, the head has {self.hidden_size}")
        features: Features = "states" if self.attention is None else "attention"
        self._facts = facts = replace(facts, rank=self.rank, features=features)
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        weights = {name: value.detach().contiguous() for name, value in self.state_dict().items()}
        if self.offset != 0:
            weights[_OFFSET] = self.offset.detach().clone()
        write_bytes(folder / WEIGHTS_FILE, save(weights))
        usual = {("rank", None), ("features", "states")}
        content = {name: value for name, value in asdict(facts).items() if (name, value) not in usual}
        write_text(folder / FACTS_FILE, json.dumps(content, indent=2) + "\n")

    @classmethod
    def from_pretrained(
        cls,
        folder: Path | str,
        *,
        hidden_size: int | None = None,
        stage: Stage | None = None,
        model: "Loaded | None" = None,
        force: bool = False,
        attention: bool = False,
    ) -> "FastRM":
        """Load a saved head and its `facts`, on the CPU in float32.

        `model` is the loaded model whose hidden states the head will read. Raises WrongHead if the head was trained on
        another model or on other weights, unless `force` is set. attention: whether the caller has the tokens' attention
        rows, which FastRM+ needs. Raises ValueError if it was trained for a different `hidden_size` or `stage` (those of
        `model` by default), if it is a FastRM+ and there is no `attention`, or if its weights are not those of a head,
        and OSError if `folder` has no head or its files are incomplete.
        """
        folder = Path(folder)
        facts = read_head_facts(folder)
        if model is not None:
            hidden_size, stage = hidden_size or model.hidden_size, stage or "post_norm"
        if hidden_size is not None and hidden_size != facts.hidden_size:
            raise ValueError(
                f"head {facts.name} expects hidden size {facts.hidden_size}, the model has {hidden_size}: use a head "
                "that was trained for this model"
            )
        if stage is not None and stage != facts.stage:
            raise ValueError(
                f"head {facts.name} expects {facts.stage} hidden states, the model returns {stage}: use a head that "
                "was trained on those"
            )
        if facts.features == "attention" and not attention:
            raise ValueError(
                f"head {facts.name} is a FastRM+, which needs each token's attention rows besides the last hidden states, "
                "and they are not available here: use a head that reads hidden states only"
            )
        match = None if model is None else match_model(facts.trained_on, model)
        if model is not None and match == "other" and not force:
            raise WrongHead(
                f"{folder}: {describe_match(facts, match, model)}, so its maps would be meaningless: use a head that "
                "was trained on this model, or pass --force-head (in Python, force=True) to use it nevertheless"
            )
        check_safetensors(folder / WEIGHTS_FILE)
        weights = load_file(folder / WEIGHTS_FILE)
        rows = weights.get("attention.weight", torch.zeros(1)).numel() if facts.features == "attention" else None
        head = cls(facts.hidden_size, facts, rank=facts.rank, attention_rows=rows)
        expected = head.state_dict()
        if (offset := weights.pop(_OFFSET, None)) is not None and offset.shape == head.offset.shape:
            head.offset.copy_(offset)
        elif offset is not None:
            weights[_OFFSET] = offset
        wrong = [f"{name} is missing" for name in expected if name not in weights]
        wrong += [f"{name} is unexpected" for name in weights if name not in expected]
        if not head.offset.isfinite():
            wrong.append("offset is not finite")
        wrong += [
            f"{name} has shape {list(weights[name].shape)} instead of {list(value.shape)}"
            for name, value in expected.items()
            if name in weights and weights[name].shape != value.shape
        ]
        if wrong:
            raise ValueError(
                f"{folder / WEIGHTS_FILE} does not fit {FACTS_FILE}: {shown(wrong)}: pass a folder that `patchlight "
                "train` wrote"
            )
        head.load_state_dict(weights)
        check_finite(str(folder / WEIGHTS_FILE), head)
        head.match = match
        return head.eval()


def read_text_head(folder: Path) -> FastRM | None:
    """Load the text output of the head in a folder; None if it has none.

    It is a head of its own whose keys are the prompt's text tokens instead of patches: `head(query_states,
    prompt_states)` `[T, d]`, `[m, d]` gives `[T, m]`. Raises ValueError if it was trained for another model or rank
    than the head, and the errors of `FastRM.from_pretrained`.
    """
    if not (folder / TEXT_FOLDER / FACTS_FILE).is_file():
        return None
    facts, text = read_head_facts(folder), FastRM.from_pretrained(folder / TEXT_FOLDER)
    names = ["hidden_size", "stage", "rank"]
    names.append("model_weights" if facts.model_weights and text.facts.model_weights else "model_revision")
    for name in names:
        ours, its = getattr(facts, name), getattr(text.facts, name)
        if ours != its:
            raise ValueError(
                f"{folder / TEXT_FOLDER} does not belong to the head in {folder}: its {name} is {its}, the head's is "
                f"{ours}; delete that folder, or train the head again"
            )
    return text


def training_failure(folder: Path) -> str | None:
    """Return why the head in a folder failed when it was trained, or None if it did not or has no report."""
    return _failure(folder / REPORT_FILE)


def describe_match(facts: HeadFacts, match: Match, model: "Loaded") -> str:
    """Say on which model the head was trained, and how that compares with a loaded model."""
    trained, loaded = facts.trained_on, Identity(model.name, model.revision, model.weights)
    if match == "same":
        return f"head {facts.name} was trained on {trained}"
    if match == "unverified":
        return f"head {facts.name} was trained on {trained}; whether {loaded} has the same weights is unknown"
    other = "other weights of the same name, " if trained.name == loaded.name else ""
    return f"head {facts.name} was trained on {other}{trained}, not on {loaded}"


def read_head_facts(folder: Path) -> HeadFacts:
    """Read the facts of a saved head. Raises OSError if there are none, and ValueError if they are invalid."""
    path = folder / FACTS_FILE
    if not path.is_file():
        raise FileNotFoundError(f"there is no {path}: {_why_no_head(folder)}")
    content = read_json(path)
    known = {field.name: field.default is MISSING for field in fields(HeadFacts)}
    wrong = [f"{name} is missing" for name, required in known.items() if required and name not in content]
    wrong += [f"{name} is unknown" for name in content if name not in known]
    if wrong:
        raise ValueError(f"{path} does not describe a head: {shown(wrong)}")
    return HeadFacts(**content)


def _why_no_head(folder: Path) -> str:
    runs = [folder / name for name in (RUN_FOLDER, FIT_FOLDER)]
    if reasons := [reason for run in runs if (reason := _failure(run / REPORT_FILE)) is not None]:
        return f"its training failed. {reasons[0]}"
    if any(run.is_dir() for run in runs):
        return "its training is not finished. To resume, run the same command again"
    return "pass a folder that `patchlight fit` or `patchlight train` wrote"


def _failure(report: Path) -> str | None:
    if not report.is_file():
        return None
    content = json.loads(report.read_text())
    return content["reason"] if content["status"] in ("failed", "broken") else None


def paper_logits(head: FastRM, query_states: torch.Tensor, patch_states: torch.Tensor) -> torch.Tensor:
    """Return logits `[..., T, P]`, computed in the paper's order with every key formed. Tests use this as the
    reference.
    """
    q, k = head.query(head.norm(query_states)), head.key(head.norm(patch_states))
    return q @ k.transpose(-1, -2) / head.key_size**0.5 + head.offset
