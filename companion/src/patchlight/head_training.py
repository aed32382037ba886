"""The FastRM head's training and its held-out figures (the paper's recipe; see `HeadConfig` for what differs)."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from tqdm import tqdm

from .collect import load_shards
from .head import FastRM, HeadFacts


@dataclass(frozen=True)
class HeadConfig:
    """The paper's recipe but for the learning rate."""

    steps: int = 3500
    batch: int = 128
    learning_rate: float = 3e-3
    """The paper's 2e-5 is for d = 4096; at d = 192 a logit is a sum of 21 times fewer terms, and 2e-5 barely moves.
    On the questions held out of the samples 3e-3 reached F1 0.581 where 1e-3 reached 0.578."""
    labelling_threshold: float = 0.3
    validation_share: float = 0.04
    """Of the questions collected, held out to choose the learning rate and to see that training went well."""
    seed: int = 5


class HeadCurve(NamedTuple):
    """Figures over classification thresholds, [101] each, for one way of predicting maps."""

    accuracy: torch.Tensor
    precision: torch.Tensor
    recall: torch.Tensor
    f1: torch.Tensor


THRESHOLDS = torch.linspace(0, 1, 101)


def labels_of(relevancy: torch.Tensor, threshold: float) -> torch.Tensor:
    """[t, p] relevancy to labels: 1 where a patch has at least `threshold` of its map's maximum (paper, equation 1)."""
    return (relevancy >= threshold * relevancy.amax(-1, keepdim=True)).float()


def train_head(samples: Path, out: Path, facts: HeadFacts, config: HeadConfig) -> FastRM:
    """Train on all shards of `samples`; curves to `out/head-curve.jsonl`, the head to `out`."""
    torch.manual_seed(config.seed)
    data = load_shards(samples)
    keep = data["peak"] > 0
    tokens = keep.nonzero()[:, 0]
    questions = data["question"][tokens]
    cut = int(questions.max().item() * (1 - config.validation_share))
    training, held = tokens[questions <= cut], tokens[questions > cut]
    head = FastRM(facts.hidden_size)
    optimizer = torch.optim.Adam(head.parameters(), lr=config.learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, config.steps, config.learning_rate / 50)
    out.mkdir(parents=True, exist_ok=True)
    generator = torch.Generator().manual_seed(config.seed)
    curve = (out / "head-curve.jsonl").open("w")
    bar = tqdm(range(config.steps), desc="head")
    for step in bar:
        pick = training[torch.randint(len(training), (config.batch,), generator=generator)]
        loss = F.binary_cross_entropy_with_logits(
            _logits(head, data, pick), labels_of(data["relevancy"][pick].float(), config.labelling_threshold)
        )
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % 100 == 99 or step == config.steps - 1:
            measured = measure(
                predict(head, data, held[:1500]), data["relevancy"][held[:1500]].float(), config.labelling_threshold
            )
            row = {"step": step + 1, "loss": loss.item(), "best_f1": measured.f1.max().item()}
            curve.write(json.dumps(row) + "\n")
            curve.flush()
            bar.set_postfix(loss=f"{loss.item():.4f}", f1=f"{row['best_f1']:.3f}")
    head.save_pretrained(out, facts)
    (out / "head-config.json").write_text(
        json.dumps({**asdict(config), "tokens": len(training), "questions": int(questions.max()) + 1}, indent=1)
    )
    return head


@torch.no_grad()
def predict(head: FastRM, data: dict[str, torch.Tensor], tokens: torch.Tensor) -> torch.Tensor:
    """Probabilities [t, p] for token rows of `data`."""
    return torch.cat([_logits(head, data, part).sigmoid() for part in tokens.split(256)])


def measure(predicted: torch.Tensor, relevancy: torch.Tensor, labelling_threshold: float) -> HeadCurve:
    """Micro-averaged over all patches of all tokens: predicted [t, p] in 0..1 against labels from `relevancy`."""
    labels = labels_of(relevancy, labelling_threshold).bool()
    step = (predicted.clamp(0, 1) * 100).floor().long().flatten()
    positive = torch.bincount(step[labels.flatten()], minlength=101).double()
    negative = torch.bincount(step[~labels.flatten()], minlength=101).double()
    true_positive = positive.flip(0).cumsum(0).flip(0)
    false_positive = negative.flip(0).cumsum(0).flip(0)
    missed = positive.sum() - true_positive
    precision = true_positive / (true_positive + false_positive).clamp(min=1)
    recall = true_positive / positive.sum().clamp(min=1)
    f1 = 2 * true_positive / (2 * true_positive + false_positive + missed).clamp(min=1)
    accuracy = (true_positive + negative.sum() - false_positive) / (positive.sum() + negative.sum())
    return HeadCurve(accuracy, precision, recall, f1)


def _logits(head: FastRM, data: dict[str, torch.Tensor], tokens: torch.Tensor) -> torch.Tensor:
    query = data["query_states"][tokens].float()[:, None]
    patches = data["image_states"][data["image"][tokens]].float()
    return head.logits(query, patches)[:, 0]
