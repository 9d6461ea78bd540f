"""JSON as the `json` module writes and reads it, by the same functions in C and without loading that module.

With the `re` that its reader in Python needs it takes half as long to load as the rest of a short command.
"""

from __future__ import annotations

from _json import encode_basestring_ascii as quoted
from _json import make_encoder, make_scanner

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def _plain(value: Any) -> Any:
    if hasattr(value, "keys"):
        return dict(value)  # any other mapping
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


_write, _write_finite = (
    make_encoder(None, _plain, quoted, None, ": ", ", ", False, False, allow_nan) for allow_nan in (True, False)
)


def dumps(value: object) -> str:
    """The value as compact JSON in ASCII, as its reader in Python takes it."""
    return "".join(_write(value, 0))


def encode(value: object) -> str:
    """The value as compact JSON in ASCII. What JSON has no number for, such as NaN in an agent's result, is null."""
    try:
        return "".join(_write_finite(value, 0))
    except ValueError:
        return dumps(_finite(value))


class _AsUsual:
    """What the scanner asks for."""

    strict = True
    object_hook = object_pairs_hook = None
    parse_float, parse_int, parse_constant = float, int, float  # of `NaN` and the infinities too


_scan = make_scanner(_AsUsual)  # type: ignore[arg-type]


def loads(text: str | bytes) -> Any:
    """The value of a JSON text. Raises ValueError, RecursionError."""
    if isinstance(text, str):
        try:
            value, end = _scan(text, 0)
        except (StopIteration, SystemError):  # the scanner tells some errors only once `json` is loaded
            end = None
        if end == len(text):
            return value
    # Blanks around it, bytes, or an error to be told.
    import json

    return json.loads(text)


def _finite(value: object) -> object:
    if isinstance(value, float):
        return value if value - value == 0 else None  # neither NaN nor infinite
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    return [_finite(inner) for inner in value] if isinstance(value, list | tuple) else value
