"""Ctrl-C at commands that run as processes, and tools that stand in for those they start."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

__all__ = ["has_ended", "sleeping_tool", "stop"]

_PATIENCE_S = 200.0         # on a busy machine
_SETTLE_S = 0.5             # a tool runs a moment before its starter knows it


def stop(*arguments: object, when: Callable[[], object], **env: object) -> tuple[int, str, str]:
    """Start ``pendula``, interrupt it once `when` is true; return exit code, stdout and stderr."""
    process = subprocess.Popen(
        [sys.executable, "-m", "pendula", *map(str, arguments)], text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env=os.environ | {name: str(value) for name, value in env.items()})
    try:
        end_s = time.monotonic() + _PATIENCE_S
        while not when():
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < end_s
            time.sleep(0.02)
        time.sleep(_SETTLE_S)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=_PATIENCE_S)
    finally:
        process.kill()
        process.communicate()
    return process.returncode, out, err


def sleeping_tool(folder: Path, name: str) -> Path:
    """Make a program that notes its process id, and sleeps; return the folder of the ids."""
    folder.mkdir()
    ids = folder / "ids"
    ids.mkdir()
    program = folder / name
    program.write_text(f'#!/bin/sh\n[ "$1" = --version ] && exit 1\n: > "{ids}/$$"\n'
                       "exec sleep 60\n")
    program.chmod(0o755)
    return ids


def has_ended(process_id: int) -> bool:
    """Return whether a process is gone: one that was killed is seen until its parent asks."""
    for _ in range(500):
        try:
            os.kill(process_id, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.02)
    return False
