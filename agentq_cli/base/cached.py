"""The caches of functools, without loading that module, which takes as long as a tenth of a short command."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from functools import cache as cache
    from functools import lru_cache as lru_cache
else:
    from _functools import _lru_cache_wrapper

    def lru_cache(size):
        """As that of functools; it has no `cache_info`."""
        return lambda called: _lru_cache_wrapper(called, size, False, tuple)

    cache = lru_cache(None)
