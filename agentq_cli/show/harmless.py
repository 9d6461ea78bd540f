"""Makes foreign text harmless for a terminal, and reads bytes of an agent's output as text."""

from __future__ import annotations

import codecs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# Patterns stay text until they are needed: most commands print plain ASCII, and compiling costs as much as that.
_COLOURS = r"\x1b\[[0-9;:]*m"
_UNFINISHED = r"(?:\x1b(?:\[[0-9;:]*)?|\r)\Z"
_LONGEST_COLOUR = 64

# What reorders or breaks lines: bidirectional marks and overrides, U+2028, U+2029.
BIDI = (0x061C, 0x200E, 0x200F, *range(0x2028, 0x202F), *range(0x2066, 0x206A))


_shown: dict[int, str] = {}


def _made_visible() -> dict[int, str]:
    """How control characters except tab and newline, and characters that reorder or break lines, are shown."""
    if not _shown:
        control = {code: chr(0x2400 + code) for code in range(0x20) if chr(code) not in "\t\n"}
        others = {code: f"\\u{code:04x}" for code in (*range(0x80, 0xA0), *BIDI)}
        _shown.update({**control, **others, 0x7F: "\u2421"})  # at once: several threads may ask
    return _shown


def harmless(text: str) -> str:
    """The text without anything that a terminal interprets: newlines and tabs stay, colours are removed, other control
    characters are made visible."""
    if text.isprintable() or text.replace("\n", " ").replace("\t", " ").isprintable():
        return text
    if "\x1b" in text:
        import re

        text = re.sub(_COLOURS, "", text)
    return text.replace("\r\n", "\n").translate(_made_visible())


def one_line(text: str) -> str:
    """The same on one line: every run of whitespace becomes one space."""
    if text.isprintable() and "  " not in text:
        return text
    return harmless(" ".join(text.split()))


def storable(name: str) -> str:
    """The name of a file or a ref as a document may have it: bytes that are no UTF-8 are replaced, since
    readers of JSON refuse lone surrogates."""
    return name if name.isascii() else name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


class Decoder:
    """Bytes as text, piece by piece; characters, colours and line ends that were split between pieces are joined."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._rest = ""

    def decode(self, piece: bytes) -> str:
        """The text that is complete so far."""
        import re

        text = self._rest + self._decoder.decode(piece)
        match = re.search(_UNFINISHED, text[-_LONGEST_COLOUR:])
        end = len(text) - len(match[0]) if match else len(text)
        self._rest = text[end:]
        return text[:end]

    def end(self) -> str:
        """The remaining text after the last piece."""
        rest, self._rest = self._rest + self._decoder.decode(b"", final=True), ""
        return rest


def decoded(pieces: Iterable[bytes]) -> Iterator[str]:
    """The pieces as text."""
    decoder = Decoder()
    for piece in pieces:
        if text := decoder.decode(piece):
            yield text
    if text := decoder.end():
        yield text
