"""JSON as the `json` module writes and reads it, without loading that module only to write.

With the `re` of its reader it takes half as long to load as the rest of a short command.
"""

from __future__ import annotations

from _json import encode_basestring_ascii as quoted
from _json import make_encoder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def _plain(value: Any) -> Any:
    if hasattr(value, "keys"):
        return dict(value)  # any other mapping
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


_finite, _any = (
    make_encoder(None, _plain, quoted, None, ": ", ", ", False, False, allow_nan) for allow_nan in (False, True)
)


def dumps(value: Any, *, allow_nan: bool = True) -> str:
    """The value as compact JSON in ASCII. Raises ValueError for numbers that JSON has not, unless `allow_nan`."""
    return "".join((_any if allow_nan else _finite)(value, 0))


def loads(text: str | bytes) -> Any:
    """The value of a JSON text. Raises ValueError, RecursionError."""
    import json

    return json.loads(text)
