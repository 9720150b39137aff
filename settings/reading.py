"""A config file, by its extension."""

import stat
from pathlib import Path

from settings.document import Document
from settings.read_json import read_json
from utils.errors import ConfigError

LARGEST = 10_000_000  # bytes


def read_config(path: Path) -> Document:
    """The config in a .json, .yaml or .yml file; raises ConfigError, one line, if there is none to read."""
    try:
        about = path.stat()
        if stat.S_ISREG(about.st_mode) and about.st_size > LARGEST:
            raise ConfigError(f"{path}:1:1: {about.st_size:,} bytes are too many for a config")
        # the files of /proc say that they are empty, and may never end
        content = b"" if stat.S_ISREG(about.st_mode) and about.st_size == 0 else path.read_bytes()
        text = content.decode("utf-8")
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise ConfigError(f"{path}: a folder, not a config file (to go on with a run: -r {path})") from None
    except UnicodeDecodeError as error:
        before = content[: error.start].decode("utf-8")
        place = f"{path}:{before.count(chr(10)) + 1}:{len(before) - before.rfind(chr(10))}"
        raise ConfigError(f"{place}: not UTF-8 text ({error.reason}); save the file as UTF-8") from None
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: {getattr(error, 'strerror', None) or error}") from None
    if path.suffix in (".yaml", ".yml"):
        from settings.read_yaml import read_yaml

        return read_yaml(text, str(path))
    return read_json(text, str(path))
