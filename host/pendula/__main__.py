"""``python -m pendula`` is the command line."""

from pendula.cli import main

main(prog_name="pendula")
