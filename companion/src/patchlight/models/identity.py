"""Whether a loaded model is the one that something, such as a head, was made for."""

import re
from pathlib import Path, PurePath
from typing import Literal, NamedTuple, Protocol

from .model_files import folder_revision

_FOLDER, _COMMIT = re.compile(r"[0-9a-f]{12}"), re.compile(r"[0-9a-f]{40}")

Match = Literal["same", "unverified", "other"]


class Identity(NamedTuple):
    """A model's name, its revision, and the identity of its weights (`weights_identity`), or None if unknown."""

    name: str
    revision: str
    weights: str | None = None

    def __str__(self) -> str:
        return f"{self.name} ({self.revision})"


class Identified(Protocol):
    """The fields of a loaded model (`loading.Loaded`) that identify it."""

    @property
    def name(self) -> str: ...
    @property
    def revision(self) -> str: ...
    @property
    def weights(self) -> str | None: ...
    @property
    def folder(self) -> Path | None: ...


def match_model(recorded: Identity, loaded: Identified) -> Match:
    """Compare a recorded identity with a loaded model.

    Weights are compared if both identities have them, whatever the names: a folder may be a copy of a model on the Hub.
    Otherwise revisions are compared if both are hashes of weight files, or both are commits; two commits may have the
    same weights, but that cannot be known. If nothing can be compared, the match is "other" if the names differ, and
    else "unverified".
    """
    if recorded.revision == loaded.revision and not (recorded.weights and loaded.weights):
        return "same"
    if recorded.weights and loaded.weights:
        return "same" if recorded.weights == loaded.weights else "other"
    if _FOLDER.fullmatch(recorded.revision):
        if _FOLDER.fullmatch(loaded.revision):
            return "other"
        if loaded.folder is not None:
            return "same" if folder_revision(loaded.folder) == recorded.revision else "other"
    if _COMMIT.fullmatch(recorded.revision) and _COMMIT.fullmatch(loaded.revision):
        return "other"
    # A folder's name is the last part of the model's id on the Hub, at best.
    same_name = PurePath(recorded.name).name == PurePath(loaded.name).name
    return "unverified" if same_name else "other"
