"""Training of the embedded model: align the patches with the words, then answer.

From answers alone the binding of attribute words to patches does not form in any affordable time. So first the
vision tower, the projector and the word embeddings are trained together to name what each patch shows (what CLIP's
pre-training and LLaVA's projector stage do for the real model); then everything learns to answer.
"""

import json
import math
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from queue import Queue

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from tqdm import tqdm
from transformers import LlavaForConditionalGeneration, PreTrainedTokenizerFast

from .llava_parts import language_model, vision_tower, word_embeddings
from .packing import PATCHES, PackedBatch, block_mask, pack_scenes
from .pool import PooledScene, ScenePool
from .questions import ATTRIBUTES
from .scenes import IMAGE_PX, PATCH_PX, project
from .vocabulary import PAD, token_id

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
WORD_GROUPS = ("color", "shape", "material", "size")


@dataclass(frozen=True)
class StageConfig:
    """One stretch of training with one learning-rate schedule."""

    name: str
    steps: int
    batch_images: int
    learning_rate: float
    vision_rate: float
    """Learning rate of vision tower and projector as a share of `learning_rate`."""
    patches: int
    """Patches kept of each image: all that show objects, then random background, up to this many.

    Faster, but the gaps may show the vision tower every silhouette: in one build its naming of shapes fell from 86 %
    to 56 % (training batches) when it first saw whole images. The cause was not isolated; until it is, the last stage must be long and keep all 576.
    """
    text_tokens: int = 0
    """Tokens of packed question-answer pairs an image; 0 trains the alignment instead."""
    description_share: float = 0.4
    max_objects: int = 8
    """Only scenes of at most so many objects: the binding of words to objects forms sooner where there are few."""
    warmup_steps: int = 100
    final_rate: float = 0.05
    """Share of the learning rate that is left at the last step (cosine)."""
    align_weight: float = 0.0
    """Weight of the alignment loss beside the answers' loss."""
    compiled: bool = False
    """Fuse elementwise work with torch.compile: a fifth faster on a CPU, after a minute of compiling."""


class AlignmentHead(nn.Module):
    """Reads a patch's projected feature: words by dot product with their embeddings, and its object's place.

    Only training has it. The place (centre in the image, depth) is read by a linear map that is thrown away after.
    """

    def __init__(self, hidden: int, tokenizer: PreTrainedTokenizerFast):
        super().__init__()
        self.norm = nn.LayerNorm(hidden, elementwise_affine=False)
        self.place = nn.Linear(hidden, 3)
        self.scale = nn.Parameter(torch.zeros(()))
        for name in WORD_GROUPS:
            ids = [token_id(tokenizer, word) for word in (PAD, *ATTRIBUTES[name])]
            self.register_buffer(name, torch.tensor(ids), persistent=False)

    def loss(
        self, features: torch.Tensor, embedding: torch.Tensor, words: torch.Tensor, places: torch.Tensor
    ) -> tuple[torch.Tensor, dict[str, float]]:
        """features [b, k, d]; words [b, k, 4] class numbers (0 background); places [b, k, 3], NaN on background."""
        x = self.norm(features.float())
        total = features.new_zeros((), dtype=torch.float32)
        accuracy = {}
        object_share = (words[..., 0] > 0).float().mean().clamp(min=0.05)
        for column, name in enumerate(WORD_GROUPS):
            logits = x @ embedding[getattr(self, name)].T * self.scale.exp()
            target = words[..., column]
            each = F.cross_entropy(logits.flatten(0, 1), target.flatten(), reduction="none").view_as(target)
            on = target > 0
            total = total + each[on].mean() + each[~on].mean() * (1 - object_share)
            accuracy[name] = (logits.argmax(-1) == target)[on].float().mean().item()
        known = ~places.isnan().any(-1)
        total = total + 4 * F.smooth_l1_loss(self.place(x)[known], places[known], beta=0.1)
        return total, accuracy


def encode_patches(model: LlavaForConditionalGeneration, pixels: torch.Tensor, keep: torch.Tensor) -> torch.Tensor:
    """Projected features [b, k, d] of the kept patches; with all kept, what `get_image_features` gives."""
    tower = vision_tower(model)
    b, k = keep.shape
    grid = IMAGE_PX // PATCH_PX
    blocks = pixels.view(b, grid, PATCH_PX, grid, PATCH_PX, 3).permute(0, 1, 3, 5, 2, 4).reshape(b, PATCHES, -1)
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


def answer_loss(
    model: LlavaForConditionalGeneration, batch: PackedBatch, features: torch.Tensor
) -> tuple[torch.Tensor, float]:
    """Cross entropy of the answers' tokens, and the share predicted right (which hides everything that matters)."""
    embed = word_embeddings(model)
    b = features.shape[0]
    prefix = embed(batch.prefix).expand(b, -1, -1).to(features.dtype)
    x = torch.cat([prefix, features, embed(batch.text).to(features.dtype)], dim=1)
    mask = block_mask(batch.group, features.dtype)
    out = language_model(model)(
        inputs_embeds=x, attention_mask=mask, position_ids=batch.positions, use_cache=False
    ).last_hidden_state
    said = batch.labels != -100
    states = out[:, -batch.text.shape[1] :][said]
    logits = model.lm_head(states).float()
    target = batch.labels[said]
    return F.cross_entropy(logits, target), (logits.argmax(-1) == target).float().mean().item()


def alignment_targets(scenes: list[PooledScene], batch: PackedBatch) -> tuple[torch.Tensor, torch.Tensor]:
    """Class numbers [b, k, 4] and places [b, k, 3] (x, y in -1..1, depth over 10) of each kept patch."""
    words, places = [], []
    for item, objects in zip(scenes, batch.objects.numpy(), strict=True):
        table = [[0, 0, 0, 0]]
        table += [[1 + ATTRIBUTES[n].index(getattr(o, n)) for n in WORD_GROUPS] for o in item.scene.objects]
        centers = np.array([[*o.center, o.radius] for o in item.scene.objects])
        place = project(item.scene.camera, centers) / (IMAGE_PX / 2, IMAGE_PX / 2, 10) - (1, 1, 0)
        words.append(np.array(table)[objects + 1])
        places.append(np.vstack([np.full((1, 3), np.nan), place])[objects + 1])
    return torch.from_numpy(np.stack(words)), torch.from_numpy(np.stack(places)).float()


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
) -> None:
    """Train one stage, resuming from `folder/<name>.pt` if it is there; curves go to `folder/<name>.jsonl`.

    Stopped at any moment, it loses at most `checkpoint_s` of work and then sees the batches that it would have seen.
    """
    folder.mkdir(parents=True, exist_ok=True)
    checkpoint = folder / f"{config.name}.pt"
    modules: list[nn.Module] = [model, head]
    for module in modules:
        module.to(device)
    optimizer = _optimizer(model, head, config)
    start = 0
    if checkpoint.exists():
        saved = torch.load(checkpoint, weights_only=True, map_location=device)
        model.load_state_dict(saved["model"])
        head.load_state_dict(saved["head"])
        start = saved["step"]
        if start >= config.steps:
            return
        optimizer.load_state_dict(saved["optimizer"])
    (folder / f"{config.name}.config.json").write_text(json.dumps(asdict(config), indent=1))
    if config.compiled:
        language_model(model).compile(dynamic=False)
        vision_tower(model).encoder.compile(dynamic=False)
    batches = _Prefetcher(pool, tokenizer, config, seed, start)
    curve = (folder / f"{config.name}.jsonl").open("a")
    bar = tqdm(range(start, config.steps), initial=start, total=config.steps, desc=config.name)
    saved_at = time.monotonic()
    smooth: dict[str, float] = {}
    for step in bar:
        scenes, batch = batches.get()
        batch = PackedBatch(*(t.to(device) for t in batch))
        for group, share in zip(optimizer.param_groups, (config.vision_rate, 1.0), strict=True):
            group["lr"] = config.learning_rate * share * _schedule(step, config)
        with torch.autocast(device, dtype=torch.bfloat16):
            features = encode_patches(model, batch.pixels, batch.keep)
            losses: dict[str, float] = {}
            loss = features.new_zeros((), dtype=torch.float32)
            if config.text_tokens:
                answers, losses["token_accuracy"] = answer_loss(model, batch, features)
                losses["answers"] = answers.item()
                loss = loss + answers
        if not config.text_tokens or config.align_weight:
            words, places = alignment_targets(scenes, PackedBatch(*(t.cpu() for t in batch)))
            weight = config.align_weight if config.text_tokens else 1.0
            align, accuracy = head.loss(features, word_embeddings(model).weight, words.to(device), places.to(device))
            loss = loss + weight * align
            losses |= {"align": align.item(), **accuracy}
        loss.backward()
        norm = nn.utils.clip_grad_norm_((p for g in optimizer.param_groups for p in g["params"]), 1.0)
        if torch.isfinite(norm):
            optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        smooth = {name: 0.95 * smooth.get(name, value) + 0.05 * value for name, value in losses.items()}
        if step % 20 == 0 or step == config.steps - 1:
            curve.write(json.dumps({"step": step, "seconds": time.time(), **smooth}) + "\n")
            curve.flush()
            bar.set_postfix({name: f"{value:.3f}" for name, value in smooth.items()})
        if time.monotonic() - saved_at > checkpoint_s or step == config.steps - 1:
            _save(checkpoint, model, head, optimizer, step + 1)
            saved_at = time.monotonic()
    curve.close()


def _optimizer(model: LlavaForConditionalGeneration, head: AlignmentHead, config: StageConfig) -> torch.optim.Optimizer:
    vision = [*vision_tower(model).parameters(), *model.model.multi_modal_projector.parameters()]
    rest = [*language_model(model).parameters(), *model.lm_head.parameters(), *head.parameters()]
    groups = [{"params": vision}, {"params": rest}]
    return torch.optim.AdamW(groups, lr=config.learning_rate, betas=(0.9, 0.98), weight_decay=0.01)


def _schedule(step: int, config: StageConfig) -> float:
    if step < config.warmup_steps:
        return (step + 1) / config.warmup_steps
    done = (step - config.warmup_steps) / max(1, config.steps - config.warmup_steps)
    return config.final_rate + (1 - config.final_rate) * 0.5 * (1 + math.cos(math.pi * done))


def _save(path: Path, model: nn.Module, head: nn.Module, optimizer: torch.optim.Optimizer, step: int) -> None:
    aside = path.with_suffix(".tmp")
    torch.save(
        {"model": model.state_dict(), "head": head.state_dict(), "optimizer": optimizer.state_dict(), "step": step},
        aside,
    )
    aside.rename(path)


class _Prefetcher:
    """Packs batches a few steps ahead in a thread; batch `step` depends on the seed and the step alone."""

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
            )
            self._queue.put((scenes, batch))
