"""`pathlib.Path` for what every command does with one; the real one, dearer to import than `sqlite3`, for the rest.

What is not defined here is asked of a real `Path`, and that is what comes back.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path as Path
else:
    from errno import EBADF, ELOOP, ENOENT, ENOTDIR

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
            return hash(self._text)

        def __eq__(self, other):
            return self._text == other.__fspath__() if hasattr(other, "__fspath__") else NotImplemented

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
