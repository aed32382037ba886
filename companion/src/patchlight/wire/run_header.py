"""What a run says before its first row, as JSON in its stream's metadata. `src/contract/run-header.ts` parses it."""

from typing import TypedDict


class ImageFacts(TypedDict):
    """The picture that was asked about; `sha256` of its file, in hexadecimal."""

    mediaType: str
    name: str
    sha256: str


class Rect(TypedDict):
    xPx: float
    yPx: float
    widthPx: float
    heightPx: float


class Grid(TypedDict):
    rows: int
    cols: int


class Frame(TypedDict):
    """One regular grid of patches. `crop`, in source pixels, is what was resized to model pixels; it may reach past the
    image where the processor pads.
    """

    name: str
    crop: Rect
    grid: Grid
    modelWidthPx: int
    modelHeightPx: int


class Geometry(TypedDict):
    """The first frame is shown by default; a map has the frames' patches one frame after the other."""

    sourceWidthPx: int
    sourceHeightPx: int
    preprocessing: str
    frames: list[Frame]


class Model(TypedDict):
    name: str
    revision: str
    hiddenSize: int
    stage: str
    knows: str
    family: str
    dtype: str


class Head(TypedDict):
    name: str
    revision: str
    stage: str
    teacher: str
    labellingThreshold: float
    classificationThreshold: float


class Sampling(TypedDict):
    """Temperature 0 is greedy; the seed says nothing then."""

    maxNewTokens: int
    temperature: float
    topP: float
    seed: int


class Header(TypedDict):
    """`RunHeader` of src/contract/run.ts without the picture's bytes and the version, which the writer adds."""

    id: str
    createdAt: str
    question: str
    image: ImageFacts
    geometry: Geometry
    model: Model
    head: Head | None
    sampling: Sampling
    recorded: bool


def patch_count(geometry: Geometry) -> int:
    """P: the patches of all frames."""
    return sum(frame["grid"]["rows"] * frame["grid"]["cols"] for frame in geometry["frames"])
