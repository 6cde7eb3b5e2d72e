"""The reference page of the command line: what ``pendula COMMAND --help`` says."""

import importlib

import click

from pendula.cli import COMMANDS, main

__all__ = ["cli_page"]

WIDTH = 100


def cli_page() -> str:
    """Return the help of every command."""
    context = click.Context(main, info_name="pendula", terminal_width=WIDTH,
                            **main.context_settings)
    parts = ["# Command line\n", _help(main, context)]
    for name, module in COMMANDS.items():
        command = importlib.import_module(module).command
        parts += [f"## pendula {name}\n", _help(command, click.Context(
            command, info_name=name, parent=context, terminal_width=WIDTH))]
    return "\n".join(parts)


def _help(command: click.Command, context: click.Context) -> str:
    return f"```text\n{command.get_help(context)}\n```\n"
