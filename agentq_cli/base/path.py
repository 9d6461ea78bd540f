"""`pathlib.Path` for what every command does with one; the real one, dearer to import than `sqlite3`, for the rest.

What is not defined here is asked of a real `Path`, and that is what comes back. One that is spelled as the real ones
are is equal to the real one, and hashes as it does.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path as Path
else:
    from errno import EBADF, ELOOP, ENOENT, ENOTDIR

    if sys.version_info >= (3, 12):
        _hash = hash
    else:

        def _hash(text):
            """The hash of an equal path of the standard module, which takes it of the parts."""
            root = text[: len(text) - len(text.lstrip("/"))]
            return hash((*([root] if root else []), *(part for part in text.split("/") if part and text != ".")))

    class Path:
        """The place of a file."""

        __slots__ = ("_text",)

        def __init__(self, *parts):
            self._text = os.path.join(*map(os.fspath, parts)) if parts else "."

        def __fspath__(self):
            return self._text

        __str__ = __fspath__

        def __repr__(self):
            return f"Path({self._text!r})"

        def __hash__(self):
            return _hash(self._text)

        def __eq__(self, other):
            if isinstance(other, Path):
                return self._text == other._text
            standard = sys.modules.get("pathlib")
            if standard is None or not isinstance(other, standard.PurePosixPath):
                return NotImplemented
            return self._text == str(other)

        def __lt__(self, other):
            return self._text < os.fspath(other)

        def __truediv__(self, part):
            return Path(self, part)

        def __getattr__(self, name):
            from pathlib import Path

            return getattr(Path(self._text), name)

        def __reduce__(self):
            return Path, (self._text,)

        @property
        def name(self):
            return os.path.basename(self._text)

        @property
        def parent(self):
            return Path(os.path.dirname(self._text) or ".")

        def with_name(self, name):
            return Path(os.path.dirname(self._text), name)

        def exists(self):
            try:
                os.stat(self._text)
            except OSError as error:
                # Where nobody may look, it is not known to be missing.
                if error.errno in (ENOENT, ENOTDIR, EBADF, ELOOP):
                    return False
                raise
            except ValueError:
                return False
            return True

        def stat(self):
            return os.stat(self._text)

        def lstat(self):
            return os.lstat(self._text)

        def unlink(self, missing_ok=False):
            try:
                os.unlink(self._text)
            except FileNotFoundError:
                if not missing_ok:
                    raise

        def open(self, mode="r", *, encoding=None, errors=None):
            return open(self._text, mode, encoding=encoding, errors=errors)

        def read_text(self, encoding=None, errors=None):
            with open(self._text, encoding=encoding, errors=errors) as file:
                return file.read()

        def mkdir(self, mode=0o777, parents=False, exist_ok=False):
            try:
                os.mkdir(self._text, mode)
            except FileNotFoundError:
                if not parents:
                    raise
                self.parent.mkdir(parents=True, exist_ok=True)
                self.mkdir(mode, exist_ok=exist_ok)
            except OSError:
                # A read-only file system complains first, also of what is there.
                if not (exist_ok and os.path.isdir(self._text)):
                    raise
