"""Reads multipart bodies with a JSON request and images. Sizes are bounded, and cheap checks come first."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from fastapi import Request
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.types import Message

from ..models.image_header import DamagedImage, ImageInfo, UnreadableImage, read_image_info
from .problems import Refusal
from .settings import ServeSettings
from .upload_slots import UploadSlots

MAX_ASPECT_RATIO = 100
REQUEST_BYTES = 64 * 1024
# Room for the answer's token ids and log-probabilities in a request to explain it.
REQUEST_BYTES_PER_TOKEN = 48
# Room for the multipart boundaries and part headers.
FRAMING_BYTES = 16 * 1024
MAX_NAME_CHARS = 200
# Far above the limit on images, so that the refusal of too many can say how many there are.
MAX_FILES = 1000
# The bodies that arrive at once may have as many bytes as this number of bodies of the maximum size.
FULL_UPLOADS = 16


RequestT = TypeVar("RequestT")
# Parses the JSON part; raises Refusal.
Parse = Callable[[bytes, ServeSettings], RequestT]


@dataclass(frozen=True)
class UploadedImage:
    """An image file. content: its bytes, not decoded. name: its filename."""

    content: bytes
    media_type: str
    name: str


@dataclass(frozen=True)
class Upload(Generic[RequestT]):
    """The parts of a body, with the images in order."""

    request: RequestT
    images: tuple[UploadedImage, ...]


def upload_slots(settings: ServeSettings) -> UploadSlots:
    """Return the slots for a server's uploads."""
    return UploadSlots(settings.uploads, FULL_UPLOADS * _max_body_bytes(settings), settings.upload_s)


async def read_upload(
    request: Request, settings: ServeSettings, slots: UploadSlots, parse: Parse[RequestT], *, max_images: int
) -> Upload[RequestT]:
    """Read and check a body with up to `max_images` images. Raises Refusal at the first problem."""
    limit = _max_body_bytes(settings)
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > limit:
        raise _body_too_large(limit, int(declared))
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "multipart/form-data":
        raise Refusal(415, "not-multipart", "expected multipart/form-data with the parts `request` and `image`")
    try:
        async with slots.open(_client(request)) as add:
            bounded = Request(request.scope, _bounded(request, limit, add))
            form = await bounded.form(max_files=MAX_FILES, max_fields=2, max_part_size=_request_bytes(settings))
    except (HTTPException, ValueError, LookupError) as error:
        detail = error.detail if isinstance(error, HTTPException) else str(error)
        raise Refusal(400, "not-multipart", f"the body is not a valid multipart form: {detail}") from None
    try:
        return await _parts(form, settings, parse, max_images)
    finally:
        await form.close()


async def discard_upload(request: Request, settings: ServeSettings, slots: UploadSlots) -> None:
    """Receive the body and discard it. A client that is cut off while sending would not read the response."""
    limit = _max_body_bytes(settings)
    # The bytes are not kept, so they count as none.
    async with slots.open(_client(request)) as add:
        async for _ in Request(request.scope, _bounded(request, limit, lambda _: add(0))).stream():
            pass


async def _parts(form: FormData, settings: ServeSettings, parse: Parse[RequestT], max_images: int) -> Upload[RequestT]:
    names = [name for name, _ in form.multi_items()]
    if set(names) - {"request", "image"} or names.count("request") > 1:
        detail = f"expected one part `request` and one `image` per image, got {sorted(names)}"
        raise Refusal(422, "unknown-part", detail[:300])
    for part in ("request", "image"):
        if part not in form:
            raise Refusal(422, "missing-part", f"the part `{part}` is missing")
    request = parse(await _text(form["request"], _request_bytes(settings)), settings)
    files = form.getlist("image")
    if (count := len(files)) > max_images:
        detail = f"the question has {count} images, the limit is {max_images}"
        raise Refusal(413, "too-many-images", detail, limit=max_images, found=count)
    if (size := sum(_size(file) for file in files)) > settings.image_bytes:
        subject = "the image has" if count == 1 else f"the {count} images together have"
        detail = f"{subject} {size} bytes, the limit is {settings.image_bytes}"
        raise Refusal(413, "image-too-many-bytes", detail, limit=settings.image_bytes, found=size)
    return Upload(request, await _read_images(files, settings.image_pixels))


async def _read_images(files: Sequence[str | UploadFile], max_pixels: int) -> tuple[UploadedImage, ...]:
    images: list[UploadedImage] = []
    pixels = 0
    for at, file in enumerate(files):
        if not isinstance(file, UploadFile):
            raise Refusal(422, "missing-part", "the part `image` is not a file: send it with a filename")
        content = await file.read()
        facts = _check_image(content, image_label(at, len(files)), pixels, max_pixels)
        pixels += facts.width * facts.height
        name = (file.filename or "").replace("\\", "/").rpartition("/")[2][:MAX_NAME_CHARS] or "image"
        images.append(UploadedImage(content, facts.media_type, name))
    return tuple(images)


def image_label(at: int, count: int) -> str:
    """Return what a message calls the image with the index `at` of `count`."""
    return "the image" if count == 1 else f"image {at + 1}"


def _size(file: str | UploadFile) -> int:
    return 0 if isinstance(file, str) else file.size or 0


async def _text(part: str | UploadFile, limit: int) -> bytes:
    """Return the JSON part: a field or, from browsers that send it as a Blob, a file."""
    if isinstance(part, str):
        return part.encode(errors="replace")
    if (part.size or 0) > limit:
        raise _request_too_large(limit, part.size or 0)
    return await part.read()


def _check_image(image: bytes, label: str, earlier_pixels: int, max_pixels: int) -> ImageInfo:
    """Check an image's header. earlier_pixels: the number of pixels in the images before it."""
    try:
        facts = read_image_info(image)
    except DamagedImage as error:
        raise Refusal(422, "image-damaged", f"{label} cannot be read: {error}") from None
    except UnreadableImage as error:
        raise Refusal(415, "image-format", f"{label} cannot be read: {error}") from None
    size = f"{facts.width} x {facts.height}"
    if (pixels := earlier_pixels + facts.width * facts.height) > max_pixels:
        subject = f"{label} and those before it have" if earlier_pixels else f"{label} has"
        detail = f"{subject} {pixels} pixels ({label}: {size}), the limit is {max_pixels}"
        raise Refusal(413, "image-too-many-pixels", detail, limit=max_pixels, found=pixels)
    short, long = sorted((facts.width, facts.height))
    if long > MAX_ASPECT_RATIO * short:
        # Some models resize the shorter side to a fixed length, which would turn a line of pixels into gigabytes.
        detail = f"{label} is {size}, the limit is an aspect ratio of {MAX_ASPECT_RATIO}:1"
        raise Refusal(413, "image-too-many-pixels", detail)
    if facts.missing is not None:
        raise Refusal(422, "image-damaged", f"{label} cannot be read: {facts.missing}")
    return facts


def _client(request: Request) -> str:
    return "" if request.client is None else request.client.host


def _bounded(request: Request, limit: int, add: Callable[[int], None]):
    """Return a `receive` function that raises Refusal once the body exceeds the limit. add: called with each size."""
    received = 0

    async def receive() -> Message:
        nonlocal received
        message = await request.receive()
        received += (size := len(message.get("body", b"")))
        add(size)
        if received > limit:
            raise _body_too_large(limit, received)
        return message

    return receive


def _request_bytes(settings: ServeSettings) -> int:
    return max(REQUEST_BYTES, REQUEST_BYTES_PER_TOKEN * settings.new_tokens)


def _max_body_bytes(settings: ServeSettings) -> int:
    return settings.image_bytes + _request_bytes(settings) + FRAMING_BYTES


def _body_too_large(limit: int, size: int) -> Refusal:
    detail = f"the body has at least {size} bytes, the limit is {limit}"
    return Refusal(413, "body-too-many-bytes", detail, limit=limit, found=size, headers={"Connection": "close"})


def _request_too_large(limit: int, size: int) -> Refusal:
    detail = f"the part `request` has {size} bytes, the limit is {limit}"
    return Refusal(413, "request-too-many-bytes", detail, limit=limit, found=size)
