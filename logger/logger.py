"""Console and `info.log`, as `logger_config.json` describes them."""

import json
import logging
import logging.config
import logging.handlers
import sys
from pathlib import Path
from typing import Any

from tqdm import tqdm

from utils import dist

LEVELS = {0: logging.WARNING, 1: logging.INFO, 2: logging.DEBUG}
LOG_CONFIG = Path(__file__).with_name("logger_config.json")


class ConsoleHandler(logging.Handler):
    """Prints to standard output without tearing a progress bar."""

    def emit(self, record: logging.LogRecord) -> None:
        tqdm.write(self.format(record), file=sys.stdout)


def _say_once(handler: logging.Handler) -> None:
    """A log file that cannot be written is a line on standard error, not a traceback for each of its lines."""

    def say(record: logging.LogRecord) -> None:
        handler.handleError = lambda record: None  # type: ignore[method-assign]
        print(f"{handler.baseFilename}: cannot be written: {sys.exc_info()[1]}", file=sys.stderr)  # type: ignore[attr-defined]

    handler.handleError = say  # type: ignore[method-assign]


class _Waiting(logging.handlers.MemoryHandler):
    """Keeps what is said before the run has a folder, for its `info.log`."""

    def __init__(self) -> None:
        super().__init__(capacity=10_000, flushLevel=logging.CRITICAL + 1, flushOnClose=False)


def setup_logging(save_dir: Path | None = None, log_config: str | Path = LOG_CONFIG) -> None:
    """Sets up logging; without a folder only the console, and what is said is written to the files later.

    Only the main process speaks. Calling it again replaces what was set up before.
    """
    root = logging.getLogger()
    waiting = next((handler for handler in root.handlers if isinstance(handler, _Waiting)), _Waiting())
    root.removeHandler(waiting)
    if not dist.is_main():
        for handler in root.handlers:
            handler.close()
        root.handlers = [logging.NullHandler()]
        return
    logging.config.dictConfig(_configuration(save_dir, Path(log_config)))
    if save_dir is None:
        root.addHandler(waiting)
        return
    for handler in root.handlers:
        if isinstance(handler, logging.FileHandler):
            _say_once(handler)
    for record in waiting.buffer:
        for handler in root.handlers:
            if isinstance(handler, logging.FileHandler) and record.levelno >= handler.level:
                handler.handle(record)
    waiting.buffer.clear()


def get_logger(name: str, verbosity: int = 2) -> logging.Logger:
    """The logger of that name: 0 shows warnings, 1 also what happens, 2 also details."""
    if verbosity not in LEVELS:
        raise ValueError(f"verbosity {verbosity!r} is none of {sorted(LEVELS)}")
    logger = logging.getLogger(name)
    logger.setLevel(LEVELS[verbosity])
    return logger


def _configuration(save_dir: Path | None, path: Path) -> dict[str, Any]:
    configuration = json.loads(path.read_text(encoding="utf-8"))
    handlers = configuration["handlers"]
    files = [name for name, handler in handlers.items() if "filename" in handler]
    for name in files:
        if save_dir is None:
            del handlers[name]
        else:
            handlers[name]["filename"] = str(save_dir / handlers[name]["filename"])
    if save_dir is None:
        for logger in (configuration["root"], *configuration.get("loggers", {}).values()):
            logger["handlers"] = [name for name in logger.get("handlers", []) if name not in files]
    return configuration
