"""The URL of a fleet's database, `postgresql://user@host/database`, as text: it never appears with its password."""

from __future__ import annotations

SCHEMES = ("postgresql://", "postgres://")

SECRET = ("password", "sslpassword", "oauth_client_secret", "scram_client_key", "scram_server_key")
"""The parameters of a URL that are secret."""

UNREADABLE = "not a URL that libpq can read; write special characters of user and password as %XX"
"""What is said of a URL that is doubtful, or that libpq refuses: its own words may quote a password."""


def is_url(text: str) -> bool:
    """Whether a text is the URL of a database, as far as its beginning tells."""
    return text.startswith(SCHEMES)


def has_password(url: str) -> bool:
    """Whether it holds a password."""
    return without_password(url) != url


def without_password(url: str) -> str:
    """The same URL without its passwords, read as libpq reads it; nothing of it if that is doubtful."""
    scheme, separator, _ = url.partition("://")
    if doubtful(url):
        return f"{scheme}{separator}…"
    login, at, rest, query = _parts(url)
    kept = [each for each in query.split("&") if _named(each) not in SECRET]
    question = "?" if any(kept) else ""
    return f"{scheme}{separator}{login.partition(':')[0]}{at}{rest}{question}{'&'.join(kept)}"


def doubtful(url: str) -> bool:
    """Whether a part of a password may be where libpq reads a host, a port, a database or a parameter.

    The password then has a character that is not written as %XX: behind its own end there is another `@`, what should
    be a port is no number, or what should be a parameter is not `name=value`.
    """
    _, _, rest, query = _parts(url)
    hosts = rest.partition("/")[0]
    ports = [each.rpartition("]")[2].partition(":")[2] for each in hosts.split(",")]
    parameters = [each for each in query.split("&") if each]
    return (
        "@" in rest
        or any(port and not (port.isascii() and port.isdigit()) for port in ports)
        or any(each.count("=") != 1 or not _named(each).isidentifier() for each in parameters)
        or any("@" in each.removeprefix("host=@") for each in parameters)
    )


def _parts(url: str) -> tuple[str, str, str, str]:
    """The login, the `@` behind it if there is one, what comes then, and the parameters (conninfo_uri_parse_options):
    the login ends at the first `@` before any `/`, and may have a `?` in it."""
    text = url.partition("://")[2]
    login, at, rest = text.partition("@")
    if not at or "/" in login:
        login, at, rest = "", "", text
    rest, _, query = rest.partition("?")
    return login, at, rest, query


def _named(parameter: str) -> str:
    """The name of a parameter; libpq decodes it."""
    name = parameter.partition("=")[0]
    if "%" in name:
        from urllib.parse import unquote

        name = unquote(name)
    return name.strip().lower()


def user_of(url: str) -> str | None:
    """The role that a URL names, if it names one as libpq reads it."""
    from urllib.parse import unquote

    login, _, _, query = _parts(url)
    named = [each.partition("=")[2] for each in query.split("&") if _named(each) == "user"]
    return unquote([login.partition(":")[0], *named][-1]) or None


def shown(url: str) -> str:
    """Host and database alone, for messages: `postgresql://db.example/agentq`. Also hides the password in a URL that is
    wrong."""
    scheme, separator, _ = url.partition("://")
    if not separator or not scheme.isalnum():
        return "…" if separator or "@" in url or "=" in url else url
    return f"{scheme}://{'…' if doubtful(url) else _parts(url)[2]}"
