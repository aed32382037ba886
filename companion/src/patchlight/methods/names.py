"""The names of the methods. Does not import torch, so requests can be checked without it."""

from typing import Literal, get_args

Method = Literal[
    "chefer",
    "chefer-incremental",
    "gradcam",
    "feature-gradcam",
    "dex-ar",
    "tam",
    "rollout",
    "attention",
    "random",
]
METHODS: tuple[Method, ...] = get_args(Method)
