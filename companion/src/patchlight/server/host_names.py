"""Decides which hosts and origins a request may carry: the companion's own, whatever a proxy makes of them."""

import socket

from .addresses import DEFAULT_PORTS, Address, is_ip_address, normal_name, parse_address, parse_origin
from .problems import Refusal
from .settings import LOOPBACK_NAMES, ServeSettings, is_loopback

# Values of `Sec-Fetch-Site` for pages of other origins. Browsers send it to https addresses and to localhost.
_FOREIGN_SITES = ("cross-site", "same-site")
MAX_SHOWN_CHARS = 200


class HostNames:
    """The names under which browsers may reach a companion."""

    def __init__(self, settings: ServeSettings):
        self._allowed = {address.name for name in settings.allowed_hosts if (address := parse_address(name))}
        names = {*LOOPBACK_NAMES, settings.host}
        self._accepts_addresses = not is_loopback(settings.host)
        if self._accepts_addresses:
            names |= {socket.gethostname(), socket.getfqdn()}
        self._names = (self._allowed | {normal_name(name) for name in names}) - {"", "0.0.0.0", "::"}

    def check_host(self, host: str, forwarded_host: str = "") -> Address:
        """Check the `Host` header and, from a proxy, `X-Forwarded-Host`. Return the address in `Host`.

        Both must be names of the companion, because anyone's DNS can make a name resolve to this machine (DNS
        rebinding). Raises Refusal.
        """
        address = self._check_name(host)
        if client_facing := forwarded_host.partition(",")[0].strip():
            self._check_name(client_facing)
        return address

    def check_origin(self, origin: str | None, host: Address, site: str | None, *, is_navigation: bool) -> None:
        """Refuse requests from pages of other origins. Raises Refusal.

        origin, site: the headers `Origin` and `Sec-Fetch-Site`. A request with neither is not from a page that could
        change anything: browsers send `Origin` with every method except `GET` and `HEAD`. is_navigation: whether the
        browser opens the address in a tab, perhaps after a click on a link on another site.
        """
        if site in _FOREIGN_SITES and not is_navigation:
            raise self._foreign(origin or f"another origin ({site})", host)
        if origin is not None and not self._is_own_origin(origin, host, site):
            raise self._foreign(repr(origin[:MAX_SHOWN_CHARS]), host, parse_origin(origin))

    def _check_name(self, host: str) -> Address:
        address = parse_address(host)
        if address is not None and (address.name in self._names or self._is_accepted_address(address.name)):
            return address
        shown = repr(host[:MAX_SHOWN_CHARS])
        if not host:
            detail = f"the request has no Host header: send {self._accepted}"
        elif address is None:
            detail = f"the host {shown} is not a name with an optional port: use {self._accepted}"
        else:
            name = address.name[:MAX_SHOWN_CHARS]
            detail = f"the host {shown} is not a name of this companion: use {self._accepted}, or restart it with"
            detail += f" --allow-host {name}"
        raise Refusal(400, "unknown-host", detail)

    def _is_accepted_address(self, name: str) -> bool:
        # An IP address involves no DNS, so on a network it is safe to accept.
        return self._accepts_addresses and is_ip_address(name)

    def _is_own_origin(self, origin: str, host: Address, site: str | None) -> bool:
        if (parsed := parse_origin(origin)) is None:
            return False
        scheme, found = parsed
        default_port = DEFAULT_PORTS[scheme]
        if (found.name, found.port or default_port) == (host.name, host.port or default_port):
            return True
        # A proxy or port forwarder may have rewritten `Host`. If there is none, another port is another program, whose
        # pages must not send requests here. Browsers that send Sec-Fetch-Site tell the two apart.
        return found.name in self._names and (bool(self._allowed) or site == "same-origin")

    @property
    def _accepted(self) -> str:
        names = ", ".join(sorted(self._names))
        return f"one of {names}, or an IP address" if self._accepts_addresses else f"one of {names}"

    def _foreign(self, shown: str, host: Address, origin: tuple[str, Address] | None = None) -> Refusal:
        port = "" if host.port is None else f":{host.port}"
        detail = f"the request comes from a page of {shown} but is for {host.name}{port}: only the companion's own page"
        detail += f", at {self._accepted}, may send it"
        if origin is not None:
            name = origin[1].name[:MAX_SHOWN_CHARS]
            detail += f". If that page is this companion behind a proxy, restart it with --allow-host {name}"
        return Refusal(403, "foreign-origin", detail)
