"""Where each agent CLI keeps its login, according to its documentation: files and variables. Their contents are never
read."""

from __future__ import annotations

import os
from collections.abc import Mapping

from agentq_cli.base.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class Login:
    """Evidence that a CLI is logged in: any one of the files or variables. `command` logs it in."""

    files: tuple[str, ...]
    variables: tuple[str, ...]
    command: str

    def found(self, environ: Mapping[str, str]) -> str | None:
        """The first variable or file that exists, or None."""
        for name in self.variables:
            if environ.get(name):
                return name
        for path in self.paths(environ):
            if os.path.isfile(path):
                return path
        return None

    def paths(self, environ: Mapping[str, str]) -> list[str]:
        """The CLI's login files. A directory named by a variable comes before the one in HOME."""
        found = []
        for file in self.files:
            variable, _, rest = file.partition("/")
            if not variable.startswith("$"):
                found.append(os.path.join(environ.get("HOME", ""), file))
            elif environ.get(variable[1:]):
                found.append(os.path.join(environ[variable[1:]], rest))
        return found


LOGINS: Mapping[str, Login] = {
    "claude": Login(
        ("$CLAUDE_CONFIG_DIR/.credentials.json", ".claude/.credentials.json"),
        (
            *("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN"),
            *("CLAUDE_CODE_USE_BEDROCK", "CLAUDE_CODE_USE_VERTEX"),
        ),
        "claude /login",
    ),
    "codex": Login(
        ("$CODEX_HOME/auth.json", ".codex/auth.json"),
        ("OPENAI_API_KEY", "CODEX_API_KEY"),
        "codex login",
    ),
    "gemini": Login(
        (".gemini/oauth_creds.json",),
        ("GEMINI_API_KEY", "GOOGLE_API_KEY", "GOOGLE_APPLICATION_CREDENTIALS"),
        "gemini",
    ),
    "opencode": Login(
        ("$XDG_DATA_HOME/opencode/auth.json", ".local/share/opencode/auth.json"),
        ("ANTHROPIC_API_KEY", "OPENAI_API_KEY", "GEMINI_API_KEY"),
        "opencode auth login",
    ),
}
"""The agent CLIs whose logins are known. A login may also be elsewhere, such as in a keyring."""

SECRETS = tuple(
    dict.fromkeys(name for login in LOGINS.values() for name in login.variables if name.endswith(("_KEY", "_TOKEN")))
)
"""Which of these variables hold a secret."""
