"""Sizes of a build: how many scenes, training steps, explained answers and questions it uses."""

from dataclasses import dataclass, replace

from ..head.training import HeadConfig
from .calibration.answer_scenes import CalibrationSize
from .training.model import TEXT_LAYERS, VISION_LAYERS
from .training.packing import PATCHES
from .training.stages import StageConfig


@dataclass(frozen=True)
class Size:
    """The sizes of one build: the full build, or the smoke build that runs the same code with less data."""

    train_scenes: int
    validation_scenes: int
    test_scenes: int
    stages: tuple[StageConfig, ...]
    collected_scenes: int
    held_out_scenes: int
    answer_tokens: int
    """Maximum length of an explained answer, in tokens; an untrained model never ends its answer."""
    questions: int
    descriptions: int
    heads: dict[str, HeadConfig]
    """Recipe of each head, by method: the page's main one ("fastrm"), the paper's, and FastRM+."""
    text: HeadConfig
    """Recipe of the main head's text output."""
    head_may_fail: bool
    """Whether to keep a head that is no better than a constant map."""
    parity_questions: int
    calibration: CalibrationSize
    explained_questions: int
    """Questions for which the tokens' maps are compared with autograd."""


_ASKED = StageConfig(
    "answer",
    steps=850,
    batch_images=16,
    learning_rate=1e-3,
    vision_rate=0.5,
    patches=176,
    text_tokens=240,
    align_weight=0.3,
    mention_weight=0.3,
    compiled=True,
)
_WHOLE = replace(
    _ASKED,
    name="whole",
    steps=2_400,
    batch_images=8,
    learning_rate=5e-4,
    vision_rate=0.4,
    patches=PATCHES,
    read_patches=224,
    text_tokens=480,
    description_share=0.7,
    align_weight=1.0,
)
_LONG = replace(
    _WHOLE,
    name="long",
    steps=6_000,
    learning_rate=8e-4,
    vision_rate=0.5,
    final_rate=1.0,
    number_weight=2.0,
    vision_layers=VISION_LAYERS,
    text_layers=TEXT_LAYERS,
    optimizer="muon",
)
# Narrower models need a higher rate than the paper's 2e-5 for d = 4096: at d = 192, a logit is a sum of 21 times fewer
# terms, and 2e-5 barely changes anything. On the held-out questions, 3e-3 reached F1 0.581 and 1e-3 reached 0.578.
_PAPER = HeadConfig(learning_rate=3e-3, schedule="cosine")
# Divergence from the teacher keeps the order of patches, which labels drop: maps then point at objects far more often.
_MAIN = replace(_PAPER, loss="kl")
_HEADS = {"fastrm": _MAIN, "fastrm-paper": _PAPER, "fastrm-plus": replace(_MAIN, features="attention")}
# The default loss of `patchlight fit`: it keeps the teacher's order among relevant words, which labels drop.
_TEXT = replace(_PAPER, loss="bce+kl")
FULL = Size(
    train_scenes=12_288,
    validation_scenes=1_024,
    test_scenes=1_024,
    stages=(
        StageConfig("align", 1_400, 16, 1e-3, 1.0, patches=176),
        replace(_ASKED, name="easy", steps=1_000, patches=112, max_objects=4),
        _ASKED,
        _WHOLE,
        _LONG,
        replace(_LONG, name="finish", steps=500, read_patches=PATCHES, warmup_steps=20, final_rate=0.0),
    ),
    collected_scenes=2_912,
    held_out_scenes=256,
    answer_tokens=80,
    questions=2_400,
    descriptions=200,
    heads=_HEADS,
    text=_TEXT,
    head_may_fail=False,
    # Were all answers identical, 380 would be too few for the interval to lie above the goal of 0.99.
    parity_questions=400,
    calibration=CalibrationSize(scenes=850),
    explained_questions=40,
)
SMOKE = Size(
    train_scenes=16,
    validation_scenes=8,
    test_scenes=8,
    stages=tuple(
        replace(
            stage,
            steps=2 if stage.text_tokens else 3,
            batch_images=min(stage.batch_images, 4),
            text_tokens=stage.text_tokens and 120,
            warmup_steps=1,
            vision_layers=3 if stage.name in ("long", "finish") else 2,
            text_layers=3 if stage.name in ("long", "finish") else 2,
            compiled=False,
        )
        for stage in FULL.stages
    ),
    collected_scenes=2,
    held_out_scenes=2,
    answer_tokens=10,
    questions=16,
    descriptions=2,
    heads={method: replace(recipe, steps=20, batch=8) for method, recipe in _HEADS.items()},
    text=replace(_TEXT, steps=20, batch=8),
    head_may_fail=True,
    parity_questions=4,
    calibration=CalibrationSize(scenes=3, answer_tokens=10, checked_answers=2, shard_scenes=2),
    explained_questions=2,
)
