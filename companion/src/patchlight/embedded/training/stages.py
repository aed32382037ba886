"""Training of the embedded model: first align patches with words, then learn to answer.

Training on answers alone takes too long to bind attribute words to patches. The vision tower, the projector and the
word embeddings are therefore first trained together to name what each patch shows, as CLIP's pre-training and LLaVA's
projector stage do for the real model. Then the complete model learns to answer.
"""

import json
import math
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from queue import Queue
from typing import Literal

import numpy as np
import torch
from torch import nn
from tqdm import tqdm
from transformers import LlavaForConditionalGeneration, PreTrainedTokenizerFast

from ..world.pool import PooledScene, ScenePool
from ..world.questions import NUMBERS
from .llava_parts import language_model, vision_tower, word_embeddings
from .packed_forward import answer_loss, encode_patches, text_states
from .packing import PATCHES, PackedBatch, pack_scenes
from .supervision import AlignmentHead, object_targets, side_targets
from .vocabulary import token_id


@dataclass(frozen=True)
class StageConfig:
    """One training stage with its own learning-rate schedule."""

    name: str
    steps: int
    batch_images: int
    learning_rate: float
    vision_rate: float
    """Learning rate of the vision tower and projector, relative to `learning_rate`."""
    patches: int
    """Patches kept per image: those that show objects first, then random background.

    Keeping fewer is faster, but the gaps reveal the objects' silhouettes to the vision tower. In one build, its
    accuracy on shapes fell from 86 % to 56 % (training batches) when it first saw complete images. The longest stage
    therefore keeps all 576.
    """
    read_patches: int = PATCHES
    """How many of the kept patches the language model reads, chosen in the same way; fewer is faster."""
    text_tokens: int = 0
    """Tokens of packed question-answer pairs per image; 0 trains the alignment instead."""
    description_share: float = 0.4
    max_objects: int = 8
    """Use only scenes with at most this many objects; with few objects, words bind to objects sooner."""
    warmup_steps: int = 100
    final_rate: float = 0.05
    """Learning rate at the last step of the cosine schedule, relative to `learning_rate`."""
    align_weight: float = 0.0
    """Weight of the alignment loss relative to the answer loss."""
    mention_weight: float = 0.0
    """Weight of the losses on a question's phrases relative to the answer loss.

    These losses teach directly which object a phrase refers to; the answer loss does so only through answers that
    depend on that object.
    """
    number_weight: float = 1.0
    """Weight of the number in the answer to a count question relative to other answer tokens."""
    vision_layers: int = 5
    text_layers: int = 4
    """Depth of each tower. A stage with more layers than the one before it copies the middle ones (`depth.py`)."""
    optimizer: Literal["adamw", "muon"] = "adamw"
    """`muon` uses Muon (Jordan et al., 2024) for the weight matrices of both towers and the projector, and AdamW for all
    other parameters.
    """
    compiled: bool = False
    """Fuse elementwise operations with torch.compile: 20 % faster on a CPU, after a minute of compilation."""


def train_stage(
    model: LlavaForConditionalGeneration,
    head: AlignmentHead,
    tokenizer: PreTrainedTokenizerFast,
    pool: ScenePool,
    config: StageConfig,
    folder: Path,
    *,
    seed: int = 0,
    checkpoint_s: float = 300,
    device: str = "cpu",
) -> bool:
    """Train one stage, resuming from `folder/<name>.pt` if it exists; append loss curves to `folder/<name>.jsonl`.

    An interruption loses at most `checkpoint_s` seconds of work, and a resumed run sees the same batches as an
    uninterrupted one. Returns False if the stage was already complete. Raises ValueError if a checkpoint was made with
    another config.
    """
    folder.mkdir(parents=True, exist_ok=True)
    checkpoint = folder / f"{config.name}.pt"
    modules: list[nn.Module] = [model, head]
    for module in modules:
        module.to(device)
    optimizers = _optimizers(model, head, config)
    start = 0
    _claim(folder, config)
    if checkpoint.exists():
        saved = torch.load(checkpoint, weights_only=True, map_location=device)
        model.load_state_dict(saved["model"])
        head.load_state_dict(saved["head"])
        start = saved["step"]
        if start >= config.steps:
            return False
        for optimizer, state in zip(optimizers, saved["optimizers"], strict=True):
            optimizer.load_state_dict(state)
    if config.compiled:
        language_model(model).compile(dynamic=False)
        vision_tower(model).encoder.compile(dynamic=False)
    batches = _Prefetcher(pool, tokenizer, config, seed, start)
    curve = (folder / f"{config.name}.jsonl").open("a")
    bar = tqdm(range(start, config.steps), initial=start, total=config.steps, desc=config.name)
    numbers = torch.tensor([token_id(tokenizer, word) for word in NUMBERS], device=device)
    parameters = [p for o in optimizers for g in o.param_groups for p in g["params"]]
    saved_at = time.monotonic()
    smooth: dict[str, float] = {}
    for step in bar:
        scenes, batch = batches.get()
        batch = PackedBatch(*(t.to(device) for t in batch))
        for optimizer in optimizers:
            for group, share in zip(optimizer.param_groups, (config.vision_rate, 1.0), strict=True):
                group["lr"] = config.learning_rate * share * _schedule(step, config)
        losses: dict[str, float] = {}
        loss = torch.zeros((), device=device)
        with torch.autocast(device, dtype=torch.bfloat16):
            features = encode_patches(model, batch.pixels, batch.keep)
        if config.text_tokens:
            with torch.autocast(device, dtype=torch.bfloat16):
                states = text_states(model, batch, features)
                loss, losses["token_accuracy"] = answer_loss(
                    model, batch, states.last, numbers=numbers, number_weight=config.number_weight
                )
            losses["answers"] = loss.item()
            if config.mention_weight:
                mention, accuracy = head.mention_loss(states.half, batch.fitting, object_targets(scenes, batch.fit))
                side, side_accuracy = head.side_loss(states.above, side_targets(scenes, batch))
                if not math.isnan(side_accuracy):  # NaN if the batch has no second mention
                    accuracy["side"] = side_accuracy
                mention = mention + side
                loss = loss + config.mention_weight * mention
                losses |= {"mention": mention.item(), **accuracy}
        if not config.text_tokens or config.align_weight:
            weight = config.align_weight if config.text_tokens else 1.0
            target = object_targets(scenes, batch.objects)
            align, accuracy = head.patch_loss(features, word_embeddings(model).weight, target)
            loss = loss + weight * align
            losses |= {"align": align.item(), **accuracy}
        loss.backward()
        norm = nn.utils.clip_grad_norm_(parameters, 1.0)
        for optimizer in optimizers:
            if torch.isfinite(norm):
                optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        smooth |= {name: 0.95 * smooth.get(name, value) + 0.05 * value for name, value in losses.items()}
        if step % 20 == 0 or step == config.steps - 1:
            curve.write(json.dumps({"step": step, "seconds": time.time(), **smooth}) + "\n")
            curve.flush()
            bar.set_postfix({name: f"{value:.3f}" for name, value in smooth.items()})
        if time.monotonic() - saved_at > checkpoint_s or step == config.steps - 1:
            _save(checkpoint, model, head, optimizers, step + 1)
            saved_at = time.monotonic()
    curve.close()
    return True


def _claim(folder: Path, config: StageConfig) -> None:
    """Write the stage's config, or check that a checkpoint was made with the same one; the number of steps may differ.

    Raises ValueError if it was made with another config.
    """
    path, wanted = folder / f"{config.name}.config.json", asdict(config)
    if path.exists() and (folder / f"{config.name}.pt").exists():
        found = json.loads(path.read_text())
        differ = sorted(
            name for name in {*found, *wanted} - {"steps", "compiled"} if found.get(name) != wanted.get(name)
        )
        if differ:
            raise ValueError(
                f"{folder / config.name}.pt was trained with another {', '.join(differ)}: delete {config.name}.* there to "
                "train the stage again"
            )
    path.write_text(json.dumps(wanted, indent=1))


def _optimizers(
    model: LlavaForConditionalGeneration, head: AlignmentHead, config: StageConfig
) -> list[torch.optim.Optimizer]:
    """Return the optimizers; each has one group for the vision tower and projector, and one for the rest."""
    projector, tower = model.model.multi_modal_projector, vision_tower(model)
    vision = [*tower.parameters(), *projector.parameters()]
    rest = [*language_model(model).parameters(), *model.lm_head.parameters(), *head.parameters()]
    matrices: list[list[nn.Parameter]] = [[], []]
    if config.optimizer == "muon":
        for found, parts in zip(matrices, ((tower.encoder, projector), (language_model(model).layers,)), strict=True):
            found += [p for part in parts for p in part.parameters() if p.ndim == 2]
    by_muon = {id(p) for found in matrices for p in found}
    groups = [{"params": [p for p in group if id(p) not in by_muon]} for group in (vision, rest)]
    optimizers: list[torch.optim.Optimizer] = [
        torch.optim.AdamW(groups, lr=config.learning_rate, betas=(0.9, 0.98), weight_decay=0.01)
    ]
    if by_muon:
        groups = [{"params": found} for found in matrices]
        # With this scale, Muon's updates are as large as AdamW's, so one learning rate fits both.
        muon = torch.optim.Muon(
            groups, lr=config.learning_rate, weight_decay=0.01, momentum=0.95, adjust_lr_fn="match_rms_adamw"
        )
        optimizers.append(muon)
    return optimizers


def _schedule(step: int, config: StageConfig) -> float:
    if step < config.warmup_steps:
        return (step + 1) / config.warmup_steps
    done = (step - config.warmup_steps) / max(1, config.steps - config.warmup_steps)
    return config.final_rate + (1 - config.final_rate) * 0.5 * (1 + math.cos(math.pi * done))


def _save(path: Path, model: nn.Module, head: nn.Module, optimizers: list[torch.optim.Optimizer], step: int) -> None:
    temporary = path.with_suffix(".tmp")
    states = [optimizer.state_dict() for optimizer in optimizers]
    torch.save({"model": model.state_dict(), "head": head.state_dict(), "optimizers": states, "step": step}, temporary)
    temporary.rename(path)


class _Prefetcher:
    """Packs batches in a background thread, a few steps ahead; each batch depends only on seed, stage and step."""

    def __init__(self, pool: ScenePool, tokenizer: PreTrainedTokenizerFast, config: StageConfig, seed: int, start: int):
        self._queue: Queue[tuple[list[PooledScene], PackedBatch]] = Queue(maxsize=3)
        thread = threading.Thread(target=self._run, args=(pool, tokenizer, config, seed, start), daemon=True)
        thread.start()

    def get(self) -> tuple[list[PooledScene], PackedBatch]:
        return self._queue.get()

    def _run(
        self, pool: ScenePool, tokenizer: PreTrainedTokenizerFast, config: StageConfig, seed: int, start: int
    ) -> None:
        name = sum(map(ord, config.name))
        usable = [i for i in range(len(pool)) if config.max_objects >= 8 or pool.count_objects(i) <= config.max_objects]
        for step in range(start, config.steps):
            first = step * config.batch_images
            indices = []
            for place in range(first, first + config.batch_images):
                epoch, offset = divmod(place, len(usable))
                indices.append(usable[np.random.default_rng((seed, name, epoch)).permutation(len(usable))[offset]])
            scenes = [pool[i] for i in indices]
            batch = pack_scenes(
                scenes,
                tokenizer,
                seed=seed * 1_000_003 + name * 10_007 + step,
                patches=config.patches,
                text_tokens=config.text_tokens,
                description_share=config.description_share,
                read_patches=config.read_patches,
            )
            self._queue.put((scenes, batch))
