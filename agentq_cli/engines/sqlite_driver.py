"""The C module of sqlite3, without datetime and its adapters, which nothing here needs.

It loads functools for one function, which caches its statements (CPython's Modules/_sqlite/module.c). It gets that
function alone, since loading the rest takes as long as a tenth of a short command.
"""

from __future__ import annotations

import sys

from agentq_cli.base.cached import lru_cache

_LARGE = "functools"
_stand_in = _LARGE not in sys.modules
if _stand_in:
    sys.modules[_LARGE] = type(sys)(_LARGE)
    sys.modules[_LARGE].lru_cache = lru_cache  # type: ignore[attr-defined]
try:
    import _sqlite3 as sqlite3
finally:
    if _stand_in:
        del sys.modules[_LARGE]

__all__ = ["sqlite3"]
