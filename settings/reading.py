"""A config file, by its extension."""

from pathlib import Path

from settings.document import Document
from settings.read_json import read_json
from utils.errors import ConfigError


def read_config(path: Path) -> Document:
    """The config in a .json, .yaml or .yml file; raises ConfigError, one line, if there is none to read."""
    try:
        content = path.read_bytes()
        text = content.decode("utf-8")
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise ConfigError(f"{path}: a folder, not a config file (to go on with a run: -r {path})") from None
    except UnicodeDecodeError as error:
        before = content[: error.start].decode("utf-8")
        place = f"{path}:{before.count(chr(10)) + 1}:{len(before) - before.rfind(chr(10))}"
        raise ConfigError(f"{place}: not UTF-8 text ({error.reason}); save the file as UTF-8") from None
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    if path.suffix in (".yaml", ".yml"):
        from settings.read_yaml import read_yaml

        return read_yaml(text, str(path))
    return read_json(text, str(path))
