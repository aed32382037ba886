"""Arguments that `collect` and `evaluate` share: which model, which questions, how they are answered."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..head.answer_sample import AnswerOptions
    from ..head.datasets import DataOptions
    from ..head.shards import Rank
    from ..models.loading import LoadOptions


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("model")
    group.add_argument("--model", required=True, help="hub id, or a folder in Hugging Face's layout")
    group.add_argument("--revision", help="branch, tag or commit on the hub")
    group.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1 (default: %(default)s)")
    group.add_argument("--dtype", default="auto", choices=("auto", "float32", "bfloat16", "float16"))
    group.add_argument("--device-map", help="spread one model over several GPUs: auto, balanced, sequential")


def add_data_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("data set")
    group.add_argument(
        "--data", required=True, choices=("vqav2", "gqa", "pope", "jsonl"), help="format of the questions"
    )
    group.add_argument("--questions", type=Path, required=True, help="questions file; for gqa and pope also a folder")
    group.add_argument("--annotations", type=Path, help="VQAv2's annotations file")
    group.add_argument("--images", type=Path, help="folder of the pictures (jsonl: its file's own unless given)")
    group.add_argument("--samples", type=int, help="how many questions (default: all)")
    group.add_argument("--seed", type=int, help="choose them at random by this seed (default: the first ones)")
    group.add_argument("--suffix", default="", help='put behind each question, such as "Answer with a single word."')
    group.add_argument("--max-new-tokens", type=int, default=100, help="longest answer (default: %(default)s)")


def model_options(arguments: argparse.Namespace, rank: "Rank") -> "LoadOptions":
    from ..models.loading import LoadOptions

    return LoadOptions(
        model=arguments.model,
        device=rank.device(arguments.device),
        dtype=arguments.dtype,
        revision=arguments.revision,
        device_map=arguments.device_map,
    )


def data_options(arguments: argparse.Namespace) -> "DataOptions":
    from ..head.datasets import DataOptions

    return DataOptions(
        kind=arguments.data,
        questions=arguments.questions,
        annotations=arguments.annotations,
        images=arguments.images,
        samples=arguments.samples,
        seed=arguments.seed,
    )


def answer_options(arguments: argparse.Namespace) -> "AnswerOptions":
    from ..head.answer_sample import AnswerOptions

    return AnswerOptions(method=arguments.method, max_new_tokens=arguments.max_new_tokens, suffix=arguments.suffix)
