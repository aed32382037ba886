"""The header of a run, stored as JSON in the metadata of its stream. `src/contract/run-header.ts` parses it."""

from typing import Literal, NotRequired, TypedDict


class ImageFacts(TypedDict):
    """The image that the question is about. `sha256` is the hexadecimal digest of the image file."""

    mediaType: str
    name: str
    sha256: str


class SizedImageFacts(ImageFacts):
    """One of several images, with its size in source pixels."""

    widthPx: int
    heightPx: int


class Rect(TypedDict):
    xPx: float
    yPx: float
    widthPx: float
    heightPx: float


class Grid(TypedDict):
    rows: int
    cols: int


class Frame(TypedDict):
    """One regular grid of patches.

    `crop` is the rectangle of the source image, in source pixels, that was resized to model pixels. It may extend past
    the image if the processor pads. `image` is the index of that image; absent for the first.
    """

    name: str
    crop: Rect
    grid: Grid
    modelWidthPx: int
    modelHeightPx: int
    image: NotRequired[int]


class Geometry(TypedDict):
    """How the model read the images. A map lists the patches of all frames, one frame after another, those of the
    first image first. The source size is the first image's.
    """

    sourceWidthPx: int
    sourceHeightPx: int
    preprocessing: str
    frames: list[Frame]


class Model(TypedDict):
    """The model that answered. `weights` identifies its weights, whatever the names of their files and folder."""

    name: str
    revision: str
    weights: NotRequired[str | None]
    hiddenSize: int
    stage: str
    knows: str
    family: str
    dtype: str


class TrainedOn(TypedDict):
    name: str
    revision: str


class Head(TypedDict):
    """The head that makes the maps. `match` says whether it was trained on the model that answered, or on another;
    headers written before the fields existed have neither it nor `trainedOn`.
    """

    name: str
    revision: str
    stage: str
    teacher: str
    labellingThreshold: float
    classificationThreshold: float
    trainedOn: NotRequired[TrainedOn]
    match: NotRequired[Literal["same", "unverified", "other"]]


class HeadIdentity(TypedDict):
    name: str
    revision: str


class Sampling(TypedDict):
    """How answer tokens were chosen. Temperature 0 is greedy, and the seed then has no effect."""

    maxNewTokens: int
    temperature: float
    topP: float
    seed: int


class Header(TypedDict):
    """The header of a run: `RunHeader` in src/contract/run.ts, without the image bytes. The writer adds the version.

    question: as typed. askedAs: the question that the model read, if a word was replaced by the model's word for it.
    image: the first image. images: all of them, if there are several. attentionLogitsOf: the FastRM+ head whose
    attention logits the tokens have, if they have any.
    """

    id: str
    createdAt: str
    question: str
    askedAs: NotRequired[str]
    image: ImageFacts
    images: NotRequired[list[SizedImageFacts]]
    geometry: Geometry
    model: Model
    head: Head | None
    attentionLogitsOf: NotRequired[HeadIdentity]
    sampling: Sampling
    recorded: bool


def image_count(header: Header) -> int:
    """Return the number of images that the question is about."""
    return len(header.get("images", [header["image"]]))


def patch_count(geometry: Geometry) -> int:
    """Return P, the number of patches in all frames."""
    return sum(frame["grid"]["rows"] * frame["grid"]["cols"] for frame in geometry["frames"])
