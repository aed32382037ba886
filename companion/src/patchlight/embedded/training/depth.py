"""Adds layers to a trained model without changing its function: progressive stacking (Gong et al., 2019).

A copy of a layer adds nothing to the residual stream as long as its output projections are zero, and learns from the
first step on. Training the first stages with fewer layers costs less time.
"""

import re

import torch
from torch import nn

_LAYER = re.compile(r"^(?P<tower>.*\.layers)\.(?P<number>\d+)\.(?P<rest>.*)$")
_OUTPUTS = ("out_proj", "fc2", "o_proj", "down_proj")


def deepened(state: dict[str, torch.Tensor], model: nn.Module) -> dict[str, torch.Tensor]:
    """Return a state dict for `model` from that of the same model with fewer layers, or as many, in each tower.

    The new layers copy the middle ones. Raises ValueError if `model` has fewer layers than `state`, or more than twice
    as many.
    """
    old, new = _depths(state), _depths(model.state_dict())
    origins = {tower: _origins(old[tower], depth) for tower, depth in new.items()}
    deep: dict[str, torch.Tensor] = {}
    for name in model.state_dict():
        layer = _LAYER.match(name)
        if layer is None:
            deep[name] = state[name]
            continue
        origin, is_copy = origins[layer["tower"]][int(layer["number"])]
        value = state[f"{layer['tower']}.{origin}.{layer['rest']}"]
        is_output = any(part in _OUTPUTS for part in layer["rest"].split("."))
        deep[name] = torch.zeros_like(value) if is_copy and is_output else value.clone()
    return deep


def _depths(state: dict[str, torch.Tensor]) -> dict[str, int]:
    """Return the number of layers of each tower."""
    depths: dict[str, int] = {}
    for layer in map(_LAYER.match, state):
        if layer is not None:
            depths[layer["tower"]] = max(depths.get(layer["tower"], 0), int(layer["number"]) + 1)
    return depths


def _origins(old: int, new: int) -> list[tuple[int, bool]]:
    """Return, for each of `new` layers, the old layer that it comes from and whether it is a copy."""
    extra = new - old
    if not 0 <= extra <= old:
        raise ValueError(f"{old} layers cannot become {new}: use {old} to {2 * old}")
    first = (old - extra) // 2
    origins: list[tuple[int, bool]] = []
    for layer in range(old):
        origins.append((layer, False))
        if first <= layer < first + extra:
            origins.append((layer, True))
    return origins
