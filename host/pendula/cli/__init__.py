"""The command line: ``pendula COMMAND``."""

import importlib
import sys
from typing import Any, NoReturn

import click

import pendula
from pendula.errors import PendulaError

__all__ = ["COMMANDS", "main"]

COMMANDS = {
    "demo": "pendula.cli.demo",
    "train": "pendula.cli.train",
    "sample": "pendula.cli.sample",
    "moments": "pendula.cli.moments",
    "compare": "pendula.cli.compare",
    "verify": "pendula.cli.verify",
    "ranges": "pendula.cli.ranges",
    "score": "pendula.cli.score",
    "calibrate": "pendula.cli.calibrate",
    "info": "pendula.cli.info",
    "noise": "pendula.cli.noise",
    "serve": "pendula.cli.serve",
    "fit": "pendula.cli.fit",
    "build": "pendula.cli.build",
    "flash": "pendula.cli.flash",
}
"""Module of each command, imported on first use; its `command` is the command."""

EXIT_FAILED = 2
EXIT_INTERRUPTED = 130


class _Group(click.Group):
    """Group of the commands, with one line and one exit code for every expected error.

    What a command returns is the exit code; None is success.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        module = COMMANDS.get(cmd_name)
        return importlib.import_module(module).command if module else None

    def main(self, *args: Any, **options: Any) -> NoReturn:
        try:
            code = super().main(*args, **options | {"standalone_mode": False})
        except click.UsageError as error:
            path = error.ctx.command_path if error.ctx else "pendula"
            _fail(f"error: {error.format_message()} See '{path} --help'.")
        except click.Abort:
            _fail("interrupted", EXIT_INTERRUPTED)
        except click.ClickException as error:
            _fail(f"error: {error.format_message()}")
        except PendulaError as error:
            _fail(f"error: {error}")
        except OSError as error:
            _fail(f"error: {error.filename or 'system'}: {error.strerror or error}")
        sys.exit(code or 0)


def _fail(message: str, code: int = EXIT_FAILED) -> NoReturn:
    click.echo("pendula: " + " ".join(message.split()), err=True)
    sys.exit(code)


@click.group(cls=_Group, invoke_without_command=True,
             context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(pendula.__version__, message="pendula %(version)s")
@click.pass_context
def main(ctx: click.Context) -> None:
    """Generative models of coupled oscillators: train, load, sample, compare.

    DEVICES are named by URLs: float:// and twin:// are software, pysim:// and verilator:// run the
    gateware in a simulator, serial:///dev/ttyUSB1 and tcp://HOST:PORT lead to boards, real ones or
    virtual ones. Everything but float:// gives the same bits for the same seed.

    \b
    Examples:
      pendula info verilator://
      pendula sample digits --device twin:// -n 256 --seed 1 -o samples.npz
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())
