"""What the families have in common: the parts of the language model, found by structure."""

from typing import Any

from torch import nn

from ..language_model import decoder_of, layers_of
from ..reading import Lvlm


class BaseFamily:
    """A family whose language model is found by structure, and whose configs are all supported."""

    def unsupported_reason(self, config: Any) -> str | None:
        """Return why a config of one of these model types is not supported, or None if it is supported."""
        return None

    def check(self, model: Lvlm, processor: Any) -> None:
        """Do nothing: tests check this family's columns on small models."""

    def decoder(self, model: Lvlm) -> nn.Module:
        """Return the language model up to and including its final norm, without the LM head."""
        return decoder_of(model)

    def layers(self, model: Lvlm) -> nn.ModuleList:
        """Return the language model's layers, first to last."""
        return layers_of(decoder_of(model))
