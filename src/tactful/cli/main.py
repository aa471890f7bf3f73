"""`tactful`: a table of commands; the module of a command is imported when it is called.

That keeps `tactful --help` quick, which people and shell completions wait for.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import Any, Final

import click

from tactful import __version__
from tactful.cli.exits import MEANINGS, exit_code
from tactful.cli.options import complain, shared
from tactful.core.errors import TactfulError

COMMANDS: Final[dict[str, tuple[str, str]]] = {
    "init": ("tactful.cli.init", "Set up a configuration, a database and three sample rules."),
    "demo": ("tactful.cli.demo", "Show the whole thing on this machine in seconds."),
    "simulate": ("tactful.cli.simulate", "Try rules on a whole population before they are live."),
    "backtest": ("tactful.cli.backtest", "Replay recorded traffic under rules that are proposed."),
    "send": ("tactful.cli.send", "Submit one notification to one recipient."),
    "broadcast": ("tactful.cli.broadcast", "Submit one notification to everyone registered."),
    "serve": ("tactful.cli.serve", "Answer HTTP, and send what is due, until interrupted."),
    "keys": ("tactful.cli.keys", "Make and revoke the keys of the HTTP service."),
    "links": ("tactful.cli.links", "Change what signs the links in mails."),
    "console": ("tactful.cli.console", "Add, change and remove the users of the console."),
    "work": ("tactful.cli.work", "Send what is due, until interrupted."),
    "why": ("tactful.cli.why", "Explain where a delivery is, and why."),
    "status": ("tactful.cli.status", "Show the whole at a glance."),
    "rules": ("tactful.cli.rules", "List and change the rules in force."),
    "recipients": ("tactful.cli.recipients", "Register and import people."),
    "feedback": (
        "tactful.cli.feedback",
        "Take bounces and complaints in, and see what they add up to.",
    ),
    "cancel": ("tactful.cli.cancel", "Call off what has not gone out yet."),
    "pause": (
        "tactful.cli.pause",
        "Hand over nothing more of a notification until it is resumed.",
    ),
    "resume": ("tactful.cli.resume", "Let a paused notification go on."),
    "retry": ("tactful.cli.retry", "Put a failed delivery back into the queue."),
    "doctor": ("tactful.cli.doctor", "Check everything that sending depends on."),
    "verify": ("tactful.cli.verify", "Prove from a history that every promise was kept."),
    "migrate": ("tactful.cli.migrate", "Bring the schema of the store up to date."),
    "copy": ("tactful.cli.copy", "Copy everything from one store into an empty one."),
    "prune": ("tactful.cli.prune", "Delete what has served its time."),
}
"""Name of a command -> its module, where it is called `command`, and its short help."""

_CODES = "\n".join(f"{code}  {meaning}" for code, meaning in MEANINGS.items())


class Commands(click.Group):
    """A group that knows its commands by name and imports the one that is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this name, imported now."""
        if cmd_name not in COMMANDS:
            return None
        found = import_module(COMMANDS[cmd_name][0]).command
        assert isinstance(found, click.Command)
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, but without importing every module to find what was misspelt."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            ctx.fail(f"No such command {args[0]!r}; there are {', '.join(COMMANDS)}.")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands, from the table alone."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, help_) for name, (_, help_) in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; its errors become a line and an exit code."""
        try:
            return super().invoke(ctx)
        except TactfulError as error:
            complain(error)
            ctx.exit(exit_code(error))


@click.command(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=f"\b\nExit codes:\n{_CODES}",
)
@click.version_option(__version__, prog_name="tactful")
@shared
def tactful() -> None:
    """Notifications with manners: exact limits, nothing lost, every decision explained."""


def main() -> None:
    """The console script."""
    try:
        tactful(prog_name="tactful")
    except BrokenPipeError:  # the reader of our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
