"""Labels one picture: asks the model about it, and labels every token of the answers with a teacher."""

from typing import NamedTuple

import torch

from ..head.answer_sample import AnswerOptions, answer_sample, open_image
from ..head.collection import teacher_of
from ..head.datasets import Sample
from ..head.sample_store import HeadSamples, token_rows
from ..head.shard_content import ShardContent
from ..models.decoding import Prefill, decode
from ..models.loading import Loaded
from ..models.pictures import read_pixels
from ..models.sampling import Sampling
from .options import LabelOptions
from .pictures import Picture
from .questions import Questioner


class LabelledPicture(NamedTuple):
    """The labelled answers about a picture. shard: a file of its own for them (`ShardContent.encode`); None if there
    are none. problems: why questions, or the whole picture, could not be used. grid: rows and columns of each frame
    that the model read.
    """

    shard: bytes | None
    problems: list[str]
    grid: list[list[int]]


def label_picture(loaded: Loaded, picture: Picture, questioner: Questioner, options: LabelOptions) -> LabelledPicture:
    """Ask the questions about a picture and label the answers. A broken picture has no tokens, and a problem."""
    content, problems, grid = ShardContent(teacher_of(options.answers)), [], []
    try:
        questions = (
            questioner.of_data(picture.asked, picture.sha256)
            if picture.asked
            else questioner.of_picture(open_image(Sample(picture.name, picture.path, "", ())), picture.sha256)
        )
    except ValueError as reason:
        return LabelledPicture(None, [_printable(str(reason))], [])
    for question in questions:
        try:
            answer = answer_sample(loaded, Sample(picture.name, picture.path, question, ()), options.answers)
        except ValueError as reason:
            problems.append(_printable(f"{reason} (question: {question})"))
            continue
        if not (answer.patch_states.isfinite().all() and answer.prompt_states.isfinite().all()):
            problems.append(_printable(f"{picture.path}: hidden states are not finite (question: {question})"))
            continue
        content.add(question, picture.sha256, answer, None)
        grid = [[frame.rows, frame.cols] for frame in answer.frames]
    return LabelledPicture(content.encode() if content.tokens else None, problems, grid)


def _printable(text: str) -> str:
    """Escape what cannot be encoded: the names of files need not be UTF-8."""
    return text.encode("utf-8", "backslashreplace").decode()


def usable_rows(samples: HeadSamples) -> torch.Tensor:
    """Return the token rows that a head can be trained on: with a map of their own token, and a finite query state."""
    rows = token_rows(samples)
    return rows[samples.columns["query_states"][rows].isfinite().all(1)]


@torch.no_grad()
def blank_states(loaded: Loaded, picture: Picture, question: str, options: AnswerOptions) -> torch.Tensor:
    """Return the patch states `[P, d]` of a grey picture of the same size, on the CPU."""
    image = open_image(Sample(picture.name, picture.path, question, ()))
    grey = read_pixels(image.point(lambda _: 128))
    reading = loaded.family.read(loaded.model, loaded.processor, grey, options.with_suffix(question))
    prefill = next(decode(loaded.model, reading, Sampling(max_new_tokens=1, alternatives=1)))
    assert isinstance(prefill, Prefill)
    return prefill.patch_states.cpu()
