"""Settings of `patchlight serve`, except for the choice of model."""

import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path

from .addresses import is_ip_address, parse_address

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")
MIB = 2**20
GIB = 2**30
EXPLAIN_SHARE = 0.5
MAX_IMAGES = 100
# Top-level folders of the companion. With a root path of the same name, a path could be read in two ways.
OWN_FOLDERS = ("v1", "assets", "models", "samples", "photographs", "datasets")


@dataclass(frozen=True, kw_only=True)
class ServeSettings:
    """Settings of a server. Limits are enforced before any work is done for a request.

    Raises ValueError for invalid values, and for a host other than loopback without a token.
    """

    host: str = "127.0.0.1"
    """Address to listen on; any address other than loopback requires a token."""
    port: int = 8642
    """Port to listen on; 0 picks a free one."""
    token: str | None = None
    """Secret that every request must carry, as a cookie or a bearer token; None if no token is required."""
    allowed_hosts: tuple[str, ...] = ()
    """Additional names of the server that are accepted in `Host`, such as a proxy's."""
    root_path: str = ""
    """Path prefix under which a proxy serves the companion, such as `/patchlight`; empty if there is none."""
    page: Path | None = None
    """Folder of the built page; None serves the API only."""
    queue_length: int = 16
    """Maximum number of questions waiting for the model, not counting the current one."""
    image_bytes: int = 64 * MIB
    """Maximum size of a question's image files. The page sends pixels as PNG: about 1.5 bytes per pixel of a photo."""
    image_pixels: int = 50_000_000
    """Maximum size of a question's images in pixels (width times height, added up), checked before decoding."""
    images: int = 8
    """Maximum number of images in a question; 1 applies to models that read only one."""
    question_chars: int = 8000
    """Maximum length of the question in characters, checked before tokenizing."""
    prompt_tokens: int = 2048
    """Maximum length of the prompt in text tokens, including those of the chat template."""
    new_tokens: int = 512
    """Maximum length of an answer in tokens, and the default."""
    explain_bytes: int | None = None
    """Memory that one explanation may use; None means EXPLAIN_SHARE of the memory that is free once the model is
    loaded.
    """
    connections: int = 1000
    """Maximum number of open connections, or fewer if the process may not open enough files."""
    uploads: int = 256
    """Maximum number of request bodies arriving at once."""
    grace_s: float = 1.0
    """Time in seconds for which a new connection is kept even if there are too many."""
    header_s: float = 10.0
    """Maximum time in seconds for the headers of a request to arrive, also on a new connection."""
    keep_alive_s: float = 5.0
    """Time in seconds after which a connection without a further request is closed."""
    upload_s: float = 60.0
    """Maximum time in seconds for a request body to arrive."""
    stall_s: float = 30.0
    """Time in seconds after which a client that accepts no data is disconnected."""
    buffer_bytes: int = 32 * MIB
    """Maximum amount of data buffered for a slow client before the model pauses."""

    def __post_init__(self) -> None:
        if self.token is None and not is_loopback(self.host):
            raise ValueError(f"{self.host} can be reached from other machines: set a token, or listen on 127.0.0.1")
        if self.token is not None and not (self.token.isascii() and self.token.isprintable() and self.token):
            raise ValueError("the token must consist of printable ASCII characters")
        if self.token is not None and set(self.token) & set(' ",;\\'):
            raise ValueError(
                "the token must not contain spaces, double quotes, commas, semicolons or backslashes, because a cookie "
                "carries it"
            )
        for name in self.allowed_hosts:
            if parse_address(name) is None:
                raise ValueError(
                    f"{name!r} is not a host name: use the name alone, such as gpu.example or [2001:db8::1]"
                )
        _check_root_path(self.root_path)
        for name in ("connections", "uploads", "grace_s", "header_s", "keep_alive_s", "upload_s", "stall_s"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is {getattr(self, name)}: use more than 0")
        for name in ("image_bytes", "image_pixels", "question_chars", "prompt_tokens", "new_tokens", "buffer_bytes"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}: use 1 or more")
        if not 1 <= self.images <= MAX_IMAGES:
            raise ValueError(f"images is {self.images}: use 1 to {MAX_IMAGES}")
        if self.explain_bytes is not None and self.explain_bytes < 1:
            raise ValueError(f"explain_bytes is {self.explain_bytes}: use 1 or more")
        if self.queue_length < 0:
            raise ValueError(f"queue_length is {self.queue_length}: use 0 or more")


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach the host."""
    return host in LOOPBACK_NAMES or (is_ip_address(host) and ipaddress.ip_address(host).is_loopback)


def _check_root_path(path: str) -> None:
    if not path:
        return
    if not re.fullmatch(r"(/[A-Za-z0-9._~-]+)+", path) or "/." in path:
        raise ValueError(
            f"the root path {path!r} is not valid: it begins with a slash, does not end with one, and consists of "
            "letters, digits and ._~-, such as /patchlight"
        )
    if (first := path.split("/")[1]) in OWN_FOLDERS:
        raise ValueError(f"the root path {path!r} begins with /{first}, which is a path of the companion: use another")
