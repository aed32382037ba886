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
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from tqdm import tqdm
from transformers import LlavaForConditionalGeneration, PreTrainedTokenizerFast

from .llava_parts import language_model, vision_tower, word_embeddings
from .packing import IGNORED, PATCHES, PackedBatch, block_mask, pack_scenes
from .pool import PooledScene, ScenePool
from .questions import ATTRIBUTES, KINDS, MARGIN, ground_axes
from .scenes import GRID, IMAGE_PX, PATCH_PX, project
from .vocabulary import PAD, token_id

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
WORD_GROUPS = ("color", "shape", "material", "size")
MAX_FITTING = 8


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
    read_patches: int = PATCHES
    """Of these, patches that the language model reads, chosen alike: it is then faster by what it does not read."""
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
    mention_weight: float = 0.0
    """Weight of what a question's phrases should hold beside the answers' loss: which object is meant is then learnt
    from the object itself, not from whether an answer that depends on it came out right."""
    compiled: bool = False
    """Fuse elementwise work with torch.compile: a fifth faster on a CPU, after a minute of compiling."""


class ObjectTargets(NamedTuple):
    """What is to be said of the object at `k` places of each image: words [b, k, 4] class numbers (0 for no object);
    places [b, k, 3]: x, y in -1..1, depth over 10, NaN for no object."""

    words: torch.Tensor
    places: torch.Tensor


class AlignmentHead(nn.Module):
    """Reads from states what they should hold; only training has it.

    From a patch's projected feature its object's words, by dot product with their embeddings, and its place (centre
    in the image, depth); from the language model's state half way up, at the end of a phrase that mentions objects,
    how many fit it, and the words and place of the one that does; a layer above, at the end of a second such phrase,
    on which side of it the first object lies. All but the first are linear maps.
    """

    def __init__(self, hidden: int, tokenizer: PreTrainedTokenizerFast):
        super().__init__()
        self.norm = nn.LayerNorm(hidden, elementwise_affine=False)
        self.place = nn.Linear(hidden, 3)
        self.fitting = nn.Linear(hidden, MAX_FITTING + 1)
        self.fit_words = nn.Linear(hidden, sum(1 + len(ATTRIBUTES[name]) for name in WORD_GROUPS))
        self.fit_place = nn.Linear(hidden, 3)
        self.sides = nn.Linear(hidden, 2)
        self.scale = nn.Parameter(torch.zeros(()))
        for name in WORD_GROUPS:
            ids = [token_id(tokenizer, word) for word in (PAD, *ATTRIBUTES[name])]
            self.register_buffer(name, torch.tensor(ids), persistent=False)

    def patch_loss(
        self, features: torch.Tensor, embedding: torch.Tensor, target: ObjectTargets
    ) -> tuple[torch.Tensor, dict[str, float]]:
        """features [b, k, d]; also the accuracy of each group of words on patches that show an object."""
        x = self.norm(features.float())
        total = features.new_zeros((), dtype=torch.float32)
        accuracy = {}
        object_share = (target.words[..., 0] > 0).float().mean().clamp(min=0.05)
        for column, name in enumerate(WORD_GROUPS):
            logits = x @ embedding[getattr(self, name)].T * self.scale.exp()
            word = target.words[..., column]
            each = F.cross_entropy(logits.flatten(0, 1), word.flatten(), reduction="none").view_as(word)
            on = word > 0
            total = total + each[on].mean() + each[~on].mean() * (1 - object_share)
            accuracy[name] = (logits.argmax(-1) == word)[on].float().mean().item()
        known = ~target.places.isnan().any(-1)
        total = total + 4 * F.smooth_l1_loss(self.place(x)[known], target.places[known], beta=0.1)
        return total, accuracy

    def mention_loss(
        self, states: torch.Tensor, fitting: torch.Tensor, target: ObjectTargets
    ) -> tuple[torch.Tensor, dict[str, float]]:
        """states [b, m, d]; fitting [b, m], -1 where no mention ends; also how often number and words are right."""
        ends = fitting >= 0
        x, number = self.norm(states[ends].float()), fitting[ends].clamp(max=MAX_FITTING)
        logits = self.fitting(x)
        total = F.cross_entropy(logits, number)
        one = number == 1
        right = one.new_ones(int(one.sum()))
        sizes = [1 + len(ATTRIBUTES[name]) for name in WORD_GROUPS]
        for part, word in zip(self.fit_words(x[one]).split(sizes, -1), target.words[ends][one].unbind(-1), strict=True):
            total = total + F.cross_entropy(part, word)
            right &= part.argmax(-1) == word
        total = total + 4 * F.smooth_l1_loss(self.fit_place(x[one]), target.places[ends][one], beta=0.1)
        return total, {
            "number": (logits.argmax(-1) == number).float().mean().item(),
            "grounded": right.float().mean().item(),
        }

    def side_loss(self, states: torch.Tensor, target: torch.Tensor) -> tuple[torch.Tensor, float]:
        """states [b, m, d]; target [b, m, 2] as `side_targets` gives it; also how often a side is right."""
        known = ~target.isnan()
        logits, wanted = self.sides(self.norm(states.float()))[known], target[known]
        if not len(wanted):
            return states.new_zeros(()).float(), math.nan
        loss = F.binary_cross_entropy_with_logits(logits, wanted)
        return loss, ((logits > 0) == (wanted > 0.5)).float().mean().item()


def encode_patches(model: LlavaForConditionalGeneration, pixels: torch.Tensor, keep: torch.Tensor) -> torch.Tensor:
    """Projected features [b, k, d] of the kept patches; with all kept, what `get_image_features` gives."""
    tower = vision_tower(model)
    b, k = keep.shape
    blocks = pixels.view(b, GRID, PATCH_PX, GRID, PATCH_PX, 3).permute(0, 1, 3, 5, 2, 4).reshape(b, PATCHES, -1)
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


class TextStates(NamedTuple):
    """Hidden states [b, m, d] of the packed text: after the last layer (`post_norm`), half way up, a layer above it."""

    last: torch.Tensor
    half: torch.Tensor
    above: torch.Tensor


def text_states(model: LlavaForConditionalGeneration, batch: PackedBatch, features: torch.Tensor) -> TextStates:
    embed = word_embeddings(model)
    b = features.shape[0]
    prefix = embed(batch.prefix).expand(b, -1, -1).to(features.dtype)
    read = features.gather(1, batch.read[..., None].expand(-1, -1, features.shape[-1]))
    x = torch.cat([prefix, read, embed(batch.text).to(features.dtype)], dim=1)
    mask = block_mask(batch.group, batch.crowd, len(batch.prefix), features.dtype)
    out = language_model(model)(
        inputs_embeds=x,
        attention_mask=mask,
        position_ids=batch.positions,
        use_cache=False,
        output_hidden_states=True,
    )
    length = batch.text.shape[1]
    half = len(out.hidden_states) // 2
    return TextStates(
        out.last_hidden_state[:, -length:],
        out.hidden_states[half][:, -length:],
        out.hidden_states[half + 1][:, -length:],
    )


def answer_loss(
    model: LlavaForConditionalGeneration, batch: PackedBatch, states: torch.Tensor
) -> tuple[torch.Tensor, float]:
    """Cross entropy of the answers' tokens, and the share predicted right (which hides everything that matters)."""
    said = batch.labels != IGNORED
    logits = model.lm_head(states[said]).float()
    target = batch.labels[said]
    return F.cross_entropy(logits, target), (logits.argmax(-1) == target).float().mean().item()


def object_targets(scenes: list[PooledScene], objects: torch.Tensor) -> ObjectTargets:
    """objects [b, k]: object numbers, -1 for none."""
    words, places = [], []
    for item, row in zip(scenes, objects.cpu().numpy(), strict=True):
        table = [[0, 0, 0, 0]]
        table += [[1 + ATTRIBUTES[n].index(getattr(o, n)) for n in WORD_GROUPS] for o in item.scene.objects]
        centers = np.array([[*o.center, o.radius] for o in item.scene.objects])
        place = project(item.scene.camera, centers) / (IMAGE_PX / 2, IMAGE_PX / 2, 10) - (1, 1, 0)
        words.append(np.array(table)[row + 1])
        places.append(np.vstack([np.full((1, 3), np.nan), place])[row + 1])
    return ObjectTargets(
        torch.from_numpy(np.stack(words)).to(objects.device),
        torch.from_numpy(np.stack(places)).float().to(objects.device),
    )


def side_targets(scenes: list[PooledScene], batch: PackedBatch) -> torch.Tensor:
    """[b, m, 2]: at the end of a second mention, 1 where the first object lies right of, and behind, the second, 0
    where left of, and in front; NaN elsewhere and where they differ by less than a question would ask."""
    targets = np.full((*batch.fit.shape, 2), np.nan, dtype=np.float32)
    for b, k in (batch.fit_before >= 0).nonzero().tolist():
        one, other = int(batch.fit_before[b, k]), int(batch.fit[b, k])
        for column, axis in enumerate(ground_axes(scenes[b].scene)):
            if abs(axis[one] - axis[other]) >= MARGIN:
                targets[b, k, column] = axis[one] > axis[other]
    return torch.from_numpy(targets).to(batch.fit.device)


@torch.no_grad()
def exact_by_kind(
    model: LlavaForConditionalGeneration,
    pool: ScenePool,
    tokenizer: PreTrainedTokenizerFast,
    *,
    scenes: int = 96,
    batch_images: int = 8,
    device: str = "cpu",
) -> dict[str, float]:
    """Share of questions, a kind at a time, whose every answer token is the likeliest: greedy exact match, at once.

    For descriptions it is the share of tokens, of which one error fails all.
    """
    right: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for first in range(0, min(scenes, len(pool)), batch_images):
        some = [pool[i] for i in range(first, min(first + batch_images, len(pool)))]
        batch = pack_scenes(some, tokenizer, seed=first, patches=PATCHES, text_tokens=360, description_share=0.5)
        batch = PackedBatch(*(t.to(device) for t in batch))
        with torch.autocast(device, dtype=torch.bfloat16):
            states = text_states(model, batch, encode_patches(model, batch.pixels, batch.keep)).last
            said = batch.labels != IGNORED
            hit = model.lm_head(states).argmax(-1) == batch.labels
        groups = batch.group[:, -batch.text.shape[1] :]
        for row in range(len(some)):
            for group in range(1, int(groups[row].max()) + 1):
                tokens = (groups[row] == group) & said[row]
                kind = KINDS[int(batch.kinds[row][tokens][0])]
                hits = hit[row][tokens].float()
                right[kind].append((hits.mean() if kind == "description" else hits.min()).item())
    return {kind: float(np.mean(values or [math.nan])) for kind, values in right.items()}


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
        losses: dict[str, float] = {}
        loss = torch.zeros((), device=device)
        with torch.autocast(device, dtype=torch.bfloat16), torch.set_grad_enabled(config.vision_rate > 0):
            features = encode_patches(model, batch.pixels, batch.keep)
        if config.text_tokens:
            with torch.autocast(device, dtype=torch.bfloat16):
                states = text_states(model, batch, features)
                loss, losses["token_accuracy"] = answer_loss(model, batch, states.last)
            losses["answers"] = loss.item()
            if config.mention_weight:
                mention, accuracy = head.mention_loss(states.half, batch.fitting, object_targets(scenes, batch.fit))
                side, accuracy["side"] = head.side_loss(states.above, side_targets(scenes, batch))
                mention = mention + side
                loss = loss + config.mention_weight * mention
                losses |= {"mention": mention.item(), **accuracy}
        if config.vision_rate and (not config.text_tokens or config.align_weight):
            weight = config.align_weight if config.text_tokens else 1.0
            target = object_targets(scenes, batch.objects)
            align, accuracy = head.patch_loss(features, word_embeddings(model).weight, target)
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
                read_patches=config.read_patches,
            )
            self._queue.put((scenes, batch))
