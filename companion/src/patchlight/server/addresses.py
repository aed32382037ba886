"""Host names and IP addresses, as in `Host` and `Origin`, in one normal form so that they can be compared."""

import ipaddress
from typing import NamedTuple
from urllib.parse import urlsplit

DEFAULT_PORTS = {"http": 80, "https": 443}


class Address(NamedTuple):
    """A host name or IP address in its normal form, and the port if one was given."""

    name: str
    port: int | None


def parse_address(host: str) -> Address | None:
    """Parse a name or an IP address (IPv6 in brackets) with an optional port. None if it is not valid."""
    try:
        parts = urlsplit(f"//{host}")
        port = parts.port  # Raises ValueError if the port is not a number.
    except ValueError:
        return None
    if parts.netloc != host or set(host) & set("@\\ ") or not parts.hostname:
        return None
    return Address(normal_name(parts.hostname), port)


def parse_origin(origin: str) -> tuple[str, Address] | None:
    """Return the scheme and the address of an HTTP origin; None for any other."""
    scheme, _, rest = origin.partition("://")
    address = parse_address(rest)
    return None if address is None or scheme.lower() not in DEFAULT_PORTS else (scheme.lower(), address)


def normal_name(name: str) -> str:
    """Return a name in lower case without the final dot, and an IP address in its shortest form without brackets."""
    name = name.strip("[]").lower().removesuffix(".")
    try:
        return str(ipaddress.ip_address(name))
    except ValueError:
        return name


def is_ip_address(name: str) -> bool:
    """Return whether a name in its normal form is an IP address."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
