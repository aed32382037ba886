"""A body of two parts, a JSON request and a picture, both bounded, checked in the order of what they cost."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from fastapi import Request
from PIL import Image
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.types import Message

from ..models.pictures import ImageInfo, UnreadableImage, read_image_info
from .problems import Refusal
from .settings import ServeSettings

MOST_OBLONG = 100
REQUEST_BYTES = 64 * 1024
# An answer's ids and log-probabilities, which come back with what is asked about it.
REQUEST_BYTES_PER_TOKEN = 48
# Boundaries and part headers, beside the image and the request.
FRAMING_BYTES = 16 * 1024
NAME_CHARS = 200


Asked = TypeVar("Asked")
# The JSON part as what it asks, or the refusal that it earns.
Parse = Callable[[bytes, ServeSettings], Asked]


@dataclass(frozen=True)
class Upload(Generic[Asked]):
    """picture: the file's own bytes, not decoded yet."""

    asked: Asked
    picture: bytes
    media_type: str
    name: str


async def read_upload(request: Request, settings: ServeSettings, parse: Parse[Asked]) -> Upload[Asked]:
    """The body, or the refusal that its first fault earns."""
    limit = _most_bytes(settings)
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > limit:
        raise _body_too_large(limit, int(declared))
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "multipart/form-data":
        raise Refusal(415, "not-multipart", "want multipart/form-data with the parts `request` and `image`")
    bounded = Request(request.scope, _bounded(request, limit))
    try:
        async with asyncio.timeout(settings.upload_s):
            form = await bounded.form(max_files=2, max_fields=2, max_part_size=_request_bytes(settings))
    except TimeoutError:
        raise _too_slow(settings) from None
    except (HTTPException, ValueError, LookupError) as error:
        detail = error.detail if isinstance(error, HTTPException) else str(error)
        raise Refusal(400, "not-multipart", f"the body is no readable multipart form: {detail}") from None
    try:
        return await _parts(form, settings, parse)
    finally:
        await form.close()


async def discard_upload(request: Request, settings: ServeSettings) -> None:
    """Takes the body and keeps none of it: a client that is cut off while it sends does not read why."""
    bounded = Request(request.scope, _bounded(request, _most_bytes(settings)))
    try:
        async with asyncio.timeout(settings.upload_s):
            async for _ in bounded.stream():
                pass
    except TimeoutError:
        raise _too_slow(settings) from None


async def _parts(form: FormData, settings: ServeSettings, parse: Parse[Asked]) -> Upload[Asked]:
    unknown = sorted(set(form.keys()) - {"request", "image"})
    if unknown or len(form.multi_items()) != len(form.keys()):
        raise Refusal(
            422, "unknown-part", f"want one part `request` and one `image`, found {sorted(form.keys())}"[:300]
        )
    for part in ("request", "image"):
        if part not in form:
            raise Refusal(422, "missing-part", f"the part `{part}` is missing")
    asked = parse(await _text(form["request"], _request_bytes(settings)), settings)
    image = form["image"]
    if not isinstance(image, UploadFile):
        raise Refusal(422, "missing-part", "the part `image` is no file: it has no filename")
    if (size := image.size or 0) > settings.image_bytes:
        raise Refusal(
            413,
            "image-too-many-bytes",
            f"the image has {size} bytes, {settings.image_bytes} is the most",
            limit=settings.image_bytes,
            found=size,
        )
    picture = await image.read()
    facts = _look_at(picture, settings.image_pixels)
    name = (image.filename or "").replace("\\", "/").rpartition("/")[2][:NAME_CHARS] or "image"
    return Upload(asked, picture, facts.media_type, name)


async def _text(part: str | UploadFile, limit: int) -> bytes:
    """The JSON, whether it came as a field or, as browsers send a Blob, as a file."""
    if isinstance(part, str):
        return part.encode(errors="replace")
    if (part.size or 0) > limit:
        raise _request_too_large(limit, part.size or 0)
    return await part.read()


def _look_at(picture: bytes, most_pixels: int) -> ImageInfo:
    try:
        facts = read_image_info(picture)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        detail = f"the image has more than {most_pixels} pixels"
        raise Refusal(413, "image-too-many-pixels", detail, limit=most_pixels) from None
    except UnreadableImage as error:
        raise Refusal(415, "image-format", f"the image cannot be read: {error}") from None
    if (pixels := facts.width * facts.height) > most_pixels:
        raise Refusal(
            413,
            "image-too-many-pixels",
            f"the image is {facts.width} x {facts.height}, {pixels} pixels; {most_pixels} is the most",
            limit=most_pixels,
            found=pixels,
        )
    short, long = sorted((facts.width, facts.height))
    if long > MOST_OBLONG * short:
        # Its shorter side is what models resize to theirs: a line of pixels would grow to gigabytes.
        detail = f"the image is {facts.width} x {facts.height}: a side may be {MOST_OBLONG} times the other at most"
        raise Refusal(413, "image-too-many-pixels", detail)
    return facts


def _bounded(request: Request, limit: int):
    """`receive` that refuses once more came than was said or may come."""
    received = 0

    async def receive() -> Message:
        nonlocal received
        message = await request.receive()
        received += len(message.get("body", b""))
        if received > limit:
            raise _body_too_large(limit, received)
        return message

    return receive


def _request_bytes(settings: ServeSettings) -> int:
    return max(REQUEST_BYTES, REQUEST_BYTES_PER_TOKEN * settings.new_tokens)


def _most_bytes(settings: ServeSettings) -> int:
    return settings.image_bytes + _request_bytes(settings) + FRAMING_BYTES


def _too_slow(settings: ServeSettings) -> Refusal:
    return Refusal(408, "upload-too-slow", f"the body did not arrive in {settings.upload_s:g} s")


def _body_too_large(limit: int, found: int) -> Refusal:
    detail = f"the body has {found} bytes or more, {limit} is the most"
    return Refusal(413, "body-too-many-bytes", detail, limit=limit, found=found, headers={"Connection": "close"})


def _request_too_large(limit: int, found: int) -> Refusal:
    detail = f"the part `request` has {found} bytes, {limit} is the most"
    return Refusal(413, "request-too-many-bytes", detail, limit=limit, found=found)
