"""How output is written to a screen or a pipe: with which colours, if any, and with which characters.

Only base colours other than black and white are used, so that dark and light terminals both stay readable. Every
meaning of a colour is also given by a word.
"""

from __future__ import annotations

from agentq_cli.base.dataclass import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

BOLD, DIM, REVERSED = "bold", "dim", "reverse"
WRONG, ODD, GOOD, BUSY = "red", "yellow", "green", "cyan"

SGR = {BOLD: "1", DIM: "2", REVERSED: "7", WRONG: "31", GOOD: "32", ODD: "33", BUSY: "36"}
"""The styles by rich's names, and their codes for a terminal (ECMA-48, SGR)."""

STATUS_STYLES = {
    **dict.fromkeys(("completed", "success", "ok"), GOOD),
    **dict.fromkeys(("failed", "error", "crashed", "timeout", "stalled", "oom", "spawn_error", "script_error"), WRONG),
    **dict.fromkeys(("running",), BUSY),
    **dict.fromkeys(("paused", "retrying", "rate_limited", "blocked", "missing"), ODD),
    **dict.fromkeys(("cancelled", "expired", "skipped"), DIM),
}

MINUS = "\N{MINUS SIGN}"

SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
PLAIN_SPINNER = "|/-\\"


class Pen(NamedTuple):
    """How to write: with or without colours, and with or without characters beyond ASCII."""

    colours: bool
    plain: bool

    def __call__(self, text: str, style: str) -> str:
        """The text in a style, or as it is."""
        return f"\x1b[{SGR[style]}m{text}\x1b[0m" if self.colours and style and text else text

    @property
    def ellipsis(self) -> str:
        """One cell that shows that something was left out."""
        return "~" if self.plain else "…"

    @property
    def dot(self) -> str:
        """The separator between the parts of a line."""
        return " | " if self.plain else " · "

    @property
    def arrow(self) -> str:
        """From one thing to another."""
        return "->" if self.plain else "→"

    def spelled(self, text: str) -> str:
        """The text with ASCII for what agentq itself writes beyond that, if the screen needs it; the widths stay."""
        return text.replace("…", self.ellipsis).replace(MINUS, "-") if self.plain else text

    def spinner(self, now: int) -> str:
        """One cell that changes each second."""
        frames = PLAIN_SPINNER if self.plain else SPINNER
        return frames[now // 1000 % len(frames)]


def is_plain(environ: Mapping[str, str], encoding: str) -> bool:
    """Whether to draw with ASCII alone: the locale is C or POSIX, or its encoding is not UTF-8.

    Python itself turns a C locale into C.UTF-8 and sets LC_CTYPE to that (PEP 538), so LC_CTYPE is then ignored.
    """
    given = environ.get("LC_ALL") or environ.get("LC_CTYPE") or environ.get("LANG") or "C"
    if given == "C.UTF-8" and not environ.get("LC_ALL") and environ.get("LANG", "C") in ("", "C", "POSIX"):
        given = "C"
    return given in ("C", "POSIX") or encoding.lower().replace("-", "") != "utf8"


def wants_colour(color: str, environ: Mapping[str, str], terminal: bool) -> bool:
    """Whether to colour: `--color`, then NO_COLOR, FORCE_COLOR, TERM=dumb, then whether it is a terminal."""
    if color != "auto":
        return color == "always"
    if environ.get("NO_COLOR"):
        return False
    if environ.get("FORCE_COLOR"):
        return environ["FORCE_COLOR"] != "0"
    return terminal and environ.get("TERM", "dumb") != "dumb"
