"""What `patchlight serve` may be told, apart from which model it loads."""

import ipaddress
from dataclasses import dataclass
from pathlib import Path

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")
MIB = 2**20
GIB = 2**30
EXPLAIN_SHARE = 0.5


@dataclass(frozen=True, kw_only=True)
class ServeSettings:
    """Limits are enforced before any work is done for a request."""

    host: str = "127.0.0.1"
    """Address to listen on; anything but loopback needs a token."""
    port: int = 8642
    """Port to listen on; 0 takes a free one."""
    token: str | None = None
    """Secret that every route asks for, as a cookie or a bearer token; none asks for nothing."""
    allowed_hosts: tuple[str, ...] = ()
    """Further names that the server may be called by, such as a proxy's."""
    page: Path | None = None
    """Folder of the built page; none serves the API alone."""
    queue_length: int = 16
    """Questions that may wait for the model, besides the one that it answers."""
    image_bytes: int = 20 * MIB
    """Largest image file."""
    image_pixels: int = 50_000_000
    """Largest image, width times height, before it is decoded."""
    question_chars: int = 8000
    """Longest question in characters, before it is tokenized."""
    prompt_tokens: int = 2048
    """Longest prompt in text tokens, the template's own included."""
    new_tokens: int = 512
    """Longest answer in tokens, and how long it may be where the request does not say."""
    explain_bytes: int | None = None
    """What one explanation may take beside the model; none is EXPLAIN_SHARE of what is free once the model is loaded."""
    upload_s: float = 60.0
    """How long one request's body may take to arrive."""
    stall_s: float = 30.0
    """A reader that takes nothing for so long is dropped."""
    buffer_bytes: int = 32 * MIB
    """What may lie between the model and a slow reader; past it the model waits."""

    def __post_init__(self) -> None:
        if self.token is None and not is_loopback(self.host):
            raise ValueError(f"{self.host} can be reached from other machines: give a token, or listen on 127.0.0.1")
        if self.token is not None and not (self.token.isascii() and self.token.isprintable() and self.token):
            raise ValueError("the token must be printable ASCII characters")
        if self.token is not None and set(self.token) & set(' ",;\\'):
            raise ValueError("the token may hold no space, quote, comma, semicolon or backslash: a cookie carries it")
        for name in ("image_bytes", "image_pixels", "question_chars", "prompt_tokens", "new_tokens", "buffer_bytes"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} {getattr(self, name)}: want at least 1")
        if self.explain_bytes is not None and self.explain_bytes < 1:
            raise ValueError(f"explain_bytes {self.explain_bytes}: want at least 1")
        if self.queue_length < 0:
            raise ValueError(f"queue_length {self.queue_length}: want 0 or more")


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach it."""
    if host in LOOPBACK_NAMES:
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
