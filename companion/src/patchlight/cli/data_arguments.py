"""Arguments that commands share: model options (`serve`, `collect`, `evaluate`), dataset and answer options."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..head.answer_sample import AnswerOptions
    from ..head.datasets import DataOptions
    from ..head.shards import Rank
    from ..models.loading import LoadOptions


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that select and load a model."""
    group = parser.add_argument_group("model")
    group.add_argument("--model", required=True, help="Hugging Face model id, or a folder with a model")
    group.add_argument("--revision", help="branch, tag or commit of the model")
    group.add_argument(
        "--device", default="auto", help="auto, cpu, mps, cuda, or one GPU such as cuda:1 (default: %(default)s)"
    )
    group.add_argument(
        "--dtype",
        default="auto",
        help="number format of the weights: auto, float32, bfloat16 or float16 (default: %(default)s)",
    )
    group.add_argument("--device-map", help="spread the model over several GPUs: auto, balanced or sequential")


def add_force_head(parser: argparse.ArgumentParser) -> None:
    """Add the option to use a head that was trained on another model."""
    parser.add_argument(
        "--force-head",
        action="store_true",
        help="use the head even if it was trained on another model or on other weights (default: refuse it)",
    )


def add_data_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that select questions and limit the length of answers."""
    group = parser.add_argument_group("dataset")
    group.add_argument("--data", required=True, choices=("vqav2", "gqa", "pope", "jsonl"), help="format of the dataset")
    group.add_argument(
        "--questions", type=Path, required=True, help="questions file; for gqa and pope, also a folder of them"
    )
    group.add_argument("--annotations", type=Path, help="annotations file (vqav2 only)")
    group.add_argument(
        "--images", type=Path, help="folder of the images; required except for jsonl (default: the questions' folder)"
    )
    group.add_argument("--samples", type=int, help="number of questions (default: all)")
    group.add_argument("--seed", type=int, help="pick the questions at random with this seed (default: the first ones)")
    group.add_argument(
        "--suffix", default="", help='text appended to each question, such as "Answer with a single word."'
    )
    group.add_argument(
        "--max-new-tokens", type=int, default=100, help="maximum answer length in tokens (default: %(default)s)"
    )
    add_label_precision(group)


TEACHERS = ("chefer", "chefer-incremental", "attention", "ablation")
_FORMER_NAMES = {"exact": "chefer", "incremental": "chefer-incremental"}


def add_teacher(
    group: "argparse._ActionsContainer", description: str, *, default: str | None, also: tuple[str, ...] = ()
) -> None:
    """Add `--teacher`. also: further choices. `--method` and its values, its former name and names, still work."""
    choices = (*TEACHERS, *also)

    def parse(name: str) -> str:
        teacher = _FORMER_NAMES.get(name, name)
        if teacher not in choices:
            raise argparse.ArgumentTypeError(
                f"unknown teacher {name!r}: use {', '.join(choices[:-1])} or {choices[-1]}"
            )
        return teacher

    group.add_argument("--teacher", type=parse, default=default, metavar=f"{{{','.join(choices)}}}", help=description)
    group.add_argument("--method", dest="teacher", type=parse, default=argparse.SUPPRESS, help=argparse.SUPPRESS)


def add_loss(group: "argparse._ActionsContainer", default: str) -> None:
    """Add the options of the loss. Without `--loss`, the command chooses one that fits the teacher."""
    group.add_argument(
        "--loss",
        choices=("bce", "kl", "bce+kl", "pearson"),
        help="the paper's binary cross-entropy, KL divergence from the teacher's map, both, or, by ablation only, "
        f"correlation with the measured falls (default: {default}; by ablation, pearson)",
    )
    group.add_argument(
        "--bce-weight",
        type=float,
        default=1.0,
        help="what --loss bce+kl multiplies its cross-entropy by; other losses ignore it (default: %(default)s)",
    )


def add_label_precision(group: "argparse._ArgumentGroup") -> None:
    """Add the option for the number format of the labels' matrix products."""
    group.add_argument(
        "--label-precision",
        default="auto",
        choices=("auto", "float32", "bfloat16"),
        help="number format of the matrix products that label the tokens; auto is bfloat16 where the hardware multiplies "
        "it faster (default: %(default)s)",
    )


def model_options(arguments: argparse.Namespace, rank: "Rank | None" = None) -> "LoadOptions":
    """Return the model options, with the device for `rank` if there are several processes."""
    from ..models.loading import LoadOptions

    return LoadOptions(
        model=arguments.model,
        device=arguments.device if rank is None else rank.device(arguments.device),
        dtype=arguments.dtype,
        revision=arguments.revision,
        device_map=arguments.device_map,
    )


def data_options(arguments: argparse.Namespace) -> "DataOptions":
    """Return the dataset options."""
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
    """Return the options for answering questions and labelling the answers."""
    from ..head.answer_sample import AnswerOptions

    return AnswerOptions(
        teacher=arguments.teacher,
        max_new_tokens=arguments.max_new_tokens,
        suffix=arguments.suffix,
        precision=arguments.label_precision,
    )
