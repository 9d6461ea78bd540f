"""The URL of a fleet's database, `postgresql://user@host/database`, as text: it never appears with its password."""

from __future__ import annotations

SCHEMES = ("postgresql://", "postgres://")

SECRET = ("password", "sslpassword")
"""The parameters of a URL that are secret."""


def is_url(text: str) -> bool:
    """Whether a text is the URL of a database, as far as its beginning tells."""
    return text.startswith(SCHEMES)


def has_password(url: str) -> bool:
    """Whether it holds a password."""
    return without_password(url) != url


def without_password(url: str) -> str:
    """The same URL without its passwords, read as libpq reads it."""
    scheme, _, rest = url.partition("://")
    rest, question, query = rest.partition("?")
    authority, slash, path = rest.partition("/")
    login, at, host = authority.rpartition("@")
    login = login.partition(":")[0]
    kept = [each for each in query.split("&") if each.partition("=")[0].strip().lower() not in SECRET]
    query = question + "&".join(kept) if question and any(kept) else ""
    return f"{scheme}://{login}{at}{host}{slash}{path}{query}"


def user_of(url: str) -> str | None:
    """The role that a URL names, if it names one as libpq reads it."""
    from urllib.parse import parse_qs, unquote

    _, _, rest = url.partition("://")
    rest, _, query = rest.partition("?")
    login, at, _ = rest.partition("/")[0].rpartition("@")
    named = unquote(login.partition(":")[0]) if at else ""
    return parse_qs(query).get("user", [named])[-1] or None


def shown(url: str) -> str:
    """Host and database alone, for messages: `postgresql://db.example/agentq`. Also hides the password in a URL that is
    wrong."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        return "…" if "@" in url or "=" in url else url
    return f"{scheme}://{rest.partition('?')[0].rpartition('@')[2]}"
