"""What the command line asks for: a config, from a file or a checkpoint, with the values that its options set."""

import copy
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from settings import references
from settings.checking import may_be_added
from settings.command_line import modification
from settings.document import Document, KeyPath, dotted, keys_of
from settings.inheritance import read_extended
from settings.overrides import apply_sets, set_value
from settings.resuming import MISSING, Change, changes, differences, shown_or_none
from utils.errors import ConfigError


@dataclass
class Opened:
    """A config, and where its run starts from."""

    document: Document
    resume: Path | None = None  # a checkpoint to start from
    in_place: bool = False  # go on in the folder of `resume`
    weights_only: bool = False  # take only the weights from `resume`, and start at step 0
    changes: list[Change] = field(default_factory=list)  # what differs from the config stored in `resume`


def open_config(values: dict[str, Any], options: Sequence[Any], trainer_options: Any, best: bool) -> Opened:
    """The config that the values of the command line ask for; ConfigError with all that is wrong with its form.

    :param options: the project's own options
    :param trainer_options: the dataclass of the trainer section
    :param best: a run's folder means its best checkpoint, not the newest, and nothing goes on
    """
    file, resume, wanted = values.get("config"), values.get("resume"), None
    if resume == "auto":
        if file is None:
            raise ConfigError("-r auto goes on with the newest run of a config's name: add -c CONFIG")
        wanted = read_extended(Path(file))
        _override(wanted, values, options, trainer_options)
        references.resolve(wanted)
        file, resume = _newest(wanted, file)
    opened = _read(file, resume, best)
    opened.in_place = opened.in_place and (values.get("run_id") is None or values.get("resume") == "auto")
    document, stored = opened.document, copy.deepcopy(opened.document.tree)
    paths = _override(document, values, options, trainer_options)
    goes_on = opened.resume is not None and not opened.weights_only
    if wanted is not None and goes_on:
        _tell_what_does_not_count(document, wanted)
    references.resolve(document, paths if goes_on else None)  # what a checkpoint holds is resolved
    if goes_on and not best:
        if not opened.in_place and ("trainer", "save_dir") not in paths:
            _refuse_to_write_elsewhere(document, opened.resume)
        opened.changes = changes(stored, document, bool(values.get("allow")))
    return opened


def _override(
    document: Document, values: dict[str, Any], options: Sequence[Any], trainer_options: Any
) -> list[KeyPath]:
    """Puts in place what the options say, and gives back which paths that were."""
    paths = []
    for target, (value, flag) in modification(values, options).items():
        paths.append(keys_of(document.tree, target))
        set_value(document, paths[-1], value, flag)
    return paths + apply_sets(document, values.get("set") or (), may_be_added(trainer_options))


def _tell_what_does_not_count(document: Document, wanted: Document) -> None:
    """`-r auto` goes on with the config that the run has stored: says where the file says otherwise by now."""
    for path, (counts, said) in differences(document.tree, wanted.tree).items():
        chosen = said in ("auto", MISSING) or references.is_late(said)  # by the run itself, when it began
        if path not in (("$schema",), ("trainer", "threads")) and not chosen:
            line = "%s: the run has %s, which counts, not the %s of the file; -s changes it"
            logging.getLogger("train").warning(line, dotted(path), shown_or_none(counts), shown_or_none(said))


def _refuse_to_write_elsewhere(document: Document, checkpoint: Path | None) -> None:
    """A checkpoint may come from a stranger: where a new run from it is kept is its to say only if it lies there."""
    trainer = document.tree.get("trainer")
    folder = trainer.get("save_dir") if isinstance(trainer, dict) else None
    if checkpoint is None or not isinstance(folder, str):
        return
    root = Path(folder).resolve()
    if not root.is_relative_to(Path.cwd()) and not checkpoint.resolve().is_relative_to(root):
        raise ConfigError(f"{checkpoint}: its config keeps runs in {root}; say where: -s trainer.save_dir=saved/")


def _newest(wanted: Document, file: str) -> tuple[str | None, str | None]:
    """What to read: the run of this config's name that was saved last, whose stored config counts, or else the file."""
    from utils.checkpoint_folder import newest_run

    trainer = wanted.tree.get("trainer")
    root = trainer.get("save_dir", "saved/") if isinstance(trainer, dict) else "saved/"
    run = newest_run(Path(str(root)), str(wanted.tree.get("name", "run")))
    said = f"goes on with {run}, with the config that is stored in it" if run else "no run of this name yet: a new one"
    logging.getLogger("train").info("-r auto: %s", said)
    return (None, str(run)) if run else (file, None)


def _read(file: str | None, resume: str | None, best: bool) -> Opened:
    if best and file is None and resume is None:
        raise ConfigError("no checkpoint: add -r RUN, a run's folder or one of its checkpoints")
    if file is None and resume is None:
        raise ConfigError("no config: add -c config.json, or -r RUN to go on with a run")
    document = read_extended(Path(file)) if file else None
    if resume is None:
        return Opened(document or Document({}))
    from utils.checkpoint import read
    from utils.checkpoint_folder import locate

    checkpoint, is_newest = locate(Path(resume), best)
    if document is not None:
        return Opened(document, checkpoint, weights_only=True)
    return Opened(Document(read(checkpoint)["config"], name=str(checkpoint)), checkpoint, in_place=is_newest)
