"""What commands say: results to stdout, notices to stderr."""

from agentq_cli.notices import error as error
from agentq_cli.notices import hint as hint
from agentq_cli.notices import note as note
from agentq_cli.notices import note_lines as note_lines
from agentq_cli.notices import waiting as waiting
from agentq_cli.notices import warn as warn
from agentq_cli.printer import Printer as Printer
from agentq_cli.printer import ReaderGone as ReaderGone
from agentq_cli.printer import fail as fail
from agentq_cli.results import *  # noqa: F403
