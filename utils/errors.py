"""Errors that a user gets to see: one line a fault, an exit code, no traceback."""

import os
import sys
from collections.abc import Sequence
from types import TracebackType


class UserError(Exception):
    """Something the user can mend: the message says where, what, and what to do instead."""

    exit_code = 1

    def __init__(self, message: str, exit_code: int | None = None) -> None:
        super().__init__(message)
        if exit_code is not None:
            self.exit_code = exit_code


class ConfigError(UserError):
    """A config or a command line that cannot be run; one line a fault, all of them at once."""

    exit_code = 2

    def __init__(self, faults: str | Sequence[str]) -> None:
        self.faults = [faults] if isinstance(faults, str) else list(faults)
        super().__init__("\n".join(self.faults))


def report_user_errors() -> None:
    """From here on a `UserError` ends the process with its lines and its exit code, without a traceback."""
    sys.excepthook = _report


def _report(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    if isinstance(error, UserError):
        if str(error):
            # torch.distributed holds back what a hook prints to sys.stderr, and drops it when the hook ends the process
            print(error, file=sys.__stderr__ or sys.stderr, flush=True)
        raise SystemExit(error.exit_code)  # CPython honours a SystemExit that leaves the hook
    if isinstance(error, KeyboardInterrupt):
        raise SystemExit(130)
    if isinstance(error, BrokenPipeError):  # whoever read the output, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(0)
    sys.__excepthook__(kind, error, traceback)
