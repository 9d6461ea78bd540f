"""What libpq is told of a database: its URL, with what that does not say."""

from __future__ import annotations

import os

from agentq_cli.base.context import suppress
from agentq_cli.base.database_url import UNREADABLE, doubtful
from agentq_cli.base.errors import Usage
from agentq_cli.engines.fleet import driver, errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULTS = {
    "connect_timeout": "5",
    "tcp_user_timeout": "5000",
    "keepalives_idle": "5",
    "keepalives_interval": "1",
    "keepalives_count": "3",
    "client_encoding": "UTF8",
    "application_name": "agentq",
}
"""What a URL does not say."""


def dsn(url: str) -> str:
    """The URL with what it does not say: how long to wait, and beyond this machine a verified certificate. Raises
    Usage, which quotes nothing of a URL that libpq cannot read, or would read otherwise than it is meant."""
    given = None
    with suppress(driver.Error):
        given = None if doubtful(url) else driver.parse_dsn(url)
    if given is None or not (all(map(_is_host, _each(given, "host"))) and all(map(_is_port, _each(given, "port")))):
        raise Usage(errors.at(url, UNREADABLE))
    missing = {name: value for name, value in DEFAULTS.items() if name not in given}
    mode = given.pop("sslmode", "")
    if mode:
        missing["sslmode"] = mode
    elif not (os.environ.get(driver.SSLMODE) or given.get("service") or "PGSERVICE" in os.environ):
        # What the file of a service says is libpq's to find; then `driver.connect` has the default.
        hosts = [*_each(given, "host", "PGHOST"), *_each(given, "hostaddr", "PGHOSTADDR")]
        missing["sslmode"] = "prefer" if all(map(_here, hosts)) else "verify-full"
    return driver.make_dsn(given | missing)


def _each(given: Mapping[str, str], name: str, variable: str = "") -> list[str]:
    """The hosts, addresses or ports that a URL names, or else a variable."""
    return (given.get(name) or os.environ.get(variable, "")).split(",")


def _is_host(host: str) -> bool:
    """Whether it may be one: `@` begins the name of an abstract socket, and is nowhere else."""
    return "@" not in host[1:]


def _is_port(port: str) -> bool:
    return not port or (port.isascii() and port.isdigit())


def _here(host: str) -> bool:
    """Whether a host is this machine."""
    return host in ("", "localhost", "::1") or host.startswith(("/", "@")) or (host.startswith("127.") and _is_ip(host))


def _is_ip(host: str) -> bool:
    from _socket import AF_INET, inet_pton  # `ipaddress` takes as long to load as a submit

    try:
        inet_pton(AF_INET, host)
    except OSError:
        return False
    return True
