"""Hands an unfinished training stage over to another machine, in a file a quarter of a checkpoint's size.

    python -m patchlight.embedded.training.handover pack .cache/build/training/long.pt models/training/long.safetensors
    python -m patchlight.embedded.training.handover unpack models/training/long.safetensors .cache/build/training/long.pt

The file has the weights of the model and of the alignment head in fp16, the precision in which the model is published.
The optimizers' state is left out: the stage goes on with new ones, which takes them some hundred steps to make up for.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file

PARTS = ("model", "head")


def pack(checkpoint: Path, file: Path) -> None:
    """Write the weights and the step of a stage's checkpoint to a safetensors file."""
    saved = torch.load(checkpoint, weights_only=True, map_location="cpu")
    tensors = {f"{part}/{name}": value.half().contiguous() for part in PARTS for name, value in saved[part].items()}
    file.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, file, {"step": str(saved["step"])})


def unpack(file: Path, checkpoint: Path) -> None:
    """Write a checkpoint from which the stage goes on. Raises ValueError if there is one already."""
    if checkpoint.exists():
        raise ValueError(f"{checkpoint} exists: delete it to start from {file}")
    saved: dict[str, dict[str, torch.Tensor]] = {part: {} for part in PARTS}
    with safe_open(file, "pt") as packed:
        step = int(packed.metadata()["step"])
        for key in packed.keys():  # noqa: SIM118, it is no dict
            part, name = key.split("/", 1)
            saved[part][name] = packed.get_tensor(key).float()
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    torch.save({**saved, "optimizers": None, "step": step}, checkpoint)


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Hand an unfinished training stage over to another machine.")
    parser.add_argument("action", choices=("pack", "unpack"))
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    arguments = parser.parse_args(words)
    (pack if arguments.action == "pack" else unpack)(arguments.source, arguments.target)


if __name__ == "__main__":
    main()
