"""`patchlight fit`: a head from a folder of pictures. Heavy packages are imported when the command runs."""

import argparse
import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from .data_arguments import add_label_precision, add_loss, add_model_arguments, add_teacher, model_options

if TYPE_CHECKING:
    from ..fit.pictures import PictureSet
    from ..head.worth import Worth

EPILOG = """To resume after a stop or a crash, run the same command again. A head that is no better than the mean map of the
pictures is not installed, and the command fails; its labels are kept for another try."""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the `fit` command. The parsed arguments contain `run`, which runs the command."""
    parser = subparsers.add_parser(
        "fit",
        help="make a head for a model from a folder of pictures",
        description="Let a model answer questions about pictures, label its answers, train a FastRM head on the "
        "labels while they are made, and install the head where `patchlight serve` finds it.",
        epilog=EPILOG,
    )
    add_model_arguments(parser)
    pictures = parser.add_argument_group("pictures and questions")
    pictures.add_argument("--images", type=Path, help="folder of pictures; with --data, as for `patchlight collect`")
    pictures.add_argument(
        "--data",
        choices=("vqav2", "gqa", "pope", "jsonl"),
        help="ask the questions of a data set (default: generic questions, and some that the model writes)",
    )
    pictures.add_argument("--questions", type=Path, help="questions file of the data set")
    pictures.add_argument("--annotations", type=Path, help="annotations file (vqav2 only)")
    pictures.add_argument("--pictures", type=int, help="number of pictures, drawn at random (default: all)")
    pictures.add_argument(
        "--per-picture", type=int, default=4, help="most questions about one picture (default: %(default)s)"
    )
    pictures.add_argument(
        "--no-written",
        dest="written",
        action="store_false",
        help="ask generic questions only, none that the model writes",
    )
    pictures.add_argument("--suffix", default="", help="text appended to each question")
    pictures.add_argument(
        "--max-new-tokens", type=int, default=40, help="maximum answer length in tokens (default: %(default)s)"
    )
    add_teacher(
        pictures,
        "what labels the tokens: exact Chefer relevancy, incremental Chefer relevancy, raw attention, or ablation of image "
        "regions, which works with any model (default: %(default)s)",
        default="chefer",
    )
    add_label_precision(pictures)
    pictures.add_argument(
        "--workers",
        type=int,
        help="processes that label pictures, each with one thread (default: one per core, at most 8, for a model of at "
        "most 100 MB on the CPU under Linux; else 1 with all threads)",
    )
    pictures.add_argument(
        "--disk",
        default="2GB",
        help="space for labelled pictures; beyond it, a random choice of them is kept (default: %(default)s)",
    )
    training = parser.add_argument_group("training")
    training.add_argument("--steps", type=int, default=3500, help="planned training steps (default: %(default)s)")
    add_loss(training, "bce+kl")
    training.add_argument("--rank", type=int, help="make a smaller head of this rank (default: the hidden size)")
    training.add_argument("--learning-rate", type=float, help="(default: the rate that suits the hidden size)")
    training.add_argument("--seed", type=int, default=0, help="seed of all random choices (default: %(default)s)")
    parser.add_argument("--out", type=Path, help="folder for the head (default: a folder of the model in the cache)")
    parser.add_argument("--name", default="fastrm", help="name of the head (default: %(default)s)")
    parser.add_argument("--overwrite", action="store_true", help="replace a finished head")
    parser.set_defaults(run=run, extra="train")


def run(arguments: argparse.Namespace) -> None:
    from ..fit.options import LabelOptions, TrainOptions, parse_bytes
    from ..fit.session import fit_head
    from ..head.cache import entry_folder, heads_folder
    from ..head.losses import check_loss
    from ..head.shards import Rank
    from ..head.worth import HeadRefused
    from ..models.loading import load

    if Rank.of(os.environ).ranks > 1:
        raise ValueError("started with several processes: run fit in one, without torchrun or accelerate")
    label = LabelOptions(
        teacher=arguments.teacher,
        questions=arguments.per_picture,
        written=arguments.written,
        max_new_tokens=arguments.max_new_tokens,
        suffix=arguments.suffix,
        precision=arguments.label_precision,
        disk_bytes=parse_bytes(arguments.disk),
        seed=arguments.seed,
    )
    train = TrainOptions(
        steps=arguments.steps,
        loss=arguments.loss or ("pearson" if arguments.teacher == "ablation" else "bce+kl"),
        bce_weight=arguments.bce_weight,
        rank=arguments.rank,
        learning_rate=arguments.learning_rate,
        seed=arguments.seed,
    )
    check_loss(train.loss, has_masks=label.teacher == "ablation")
    options = model_options(arguments)
    pictures = _pictures(arguments)
    loaded = load(options)
    out: Path = arguments.out or entry_folder(loaded, heads_folder())
    print(f"fitting a head to {loaded.name} on {len(pictures.pictures)} pictures: {out}")
    try:
        fitted = fit_head(
            loaded,
            pictures,
            out,
            label,
            train,
            workers=arguments.workers,
            name=arguments.name,
            overwrite=arguments.overwrite,
        )
    except HeadRefused as refused:
        if refused.worth is not None:
            _print_worth(refused.worth)
        raise
    if fitted.skipped:
        print(f"{len(fitted.skipped)} pictures or questions could not be used; the first: {fitted.skipped[0]}")
    _print_worth(fitted.worth)
    if fitted.text.worth is not None:
        print("The text output, which weighs the prompt's words:")
        _print_worth(fitted.text.worth)
    if fitted.text.refused is not None:
        print(f"The head is installed without a text output. {fitted.text.refused}")
    print(f"installed {fitted.head.facts.name} in {out}. To use it, run\n  {_serve_command(arguments)}")


def _print_worth(worth: "Worth") -> None:
    from ..head.worth import table

    print(f"On {worth.tokens} tokens of {worth.pictures} held-out pictures, with 95 % intervals:")
    print(table(worth))


def _pictures(arguments: argparse.Namespace) -> "PictureSet":
    from tqdm import tqdm

    from ..fit.pictures import choose, data_pictures, folder_pictures
    from ..head.datasets import DataOptions

    if arguments.data is None:
        if arguments.questions is not None or arguments.annotations is not None:
            raise ValueError("--questions and --annotations need --data, the format of the questions")
        if arguments.images is None:
            raise ValueError("pass a folder of pictures with --images, or a data set with --data and --questions")
        found = folder_pictures(arguments.images)
    else:
        if arguments.questions is None:
            raise ValueError(f"--data {arguments.data} needs --questions, the questions file")
        data = DataOptions(
            kind=arguments.data,
            questions=arguments.questions,
            annotations=arguments.annotations,
            images=arguments.images,
        )
        found = data_pictures(data)
    with tqdm(total=len(found), desc="read pictures", unit="picture", leave=False) as bar:
        chosen = choose(found, seed=arguments.seed, most=arguments.pictures, on_read=bar.update)
    for reason, files in chosen.left_out.items():
        print(f"leaving out {files} of {len(found)} pictures: {reason}")
    return chosen


def _serve_command(arguments: argparse.Namespace) -> str:
    parts = {
        "--model": arguments.model,
        "--revision": arguments.revision,
        "--head": None if arguments.out is None else str(arguments.out),
    }
    return "patchlight serve " + " ".join(f"{name} {shlex.quote(value)}" for name, value in parts.items() if value)
