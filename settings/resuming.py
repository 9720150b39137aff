"""What a resume may change: each difference to the stored config is safe, planned anew, or makes it another run."""

import json
from dataclasses import dataclass
from typing import Any, Literal

from settings.document import Document, KeyPath, dotted
from utils.errors import ConfigError

Verdict = Literal["safe", "planned anew", "breaking"]
MISSING = object()
SAFE = (  # what is written, when, and where; how fast; which epoch is called the best
    *(("trainer", key) for key in ("save_dir", "save_period", "save_steps", "save_minutes", "keep_last")),
    *(
        ("trainer", key)
        for key in ("save_in_background", "profile", "tensorboard", "verbosity", "log_step", "monitor", "early_stop")
    ),
    *(
        ("trainer", key)
        for key in ("watch", "histograms", "threads", "deterministic", "compile", "channels_last", "tf32")
    ),
    *(("data_loader", "args", key) for key in ("num_workers", "prefetch_factor", "persistent_workers", "pin_memory")),
    *(("data_loader", "args", key) for key in ("data_dir", "timeout", "multiprocessing_context")),
    ("arch", "recompute"),
    ("name",),
    ("n_gpu",),
    ("$schema",),
    ("metrics",),
    ("test_data_loader",),
)
PLANNED_ANEW = (
    ("trainer", "epochs"),
    ("trainer", "max_steps"),
    ("lr_scheduler",),
    ("optimizer", "args"),
    ("optimizer_d", "args"),
)


@dataclass(frozen=True)
class Change:
    """One value that differs from the stored config."""

    path: KeyPath
    before: Any
    after: Any
    verdict: Verdict

    def __str__(self) -> str:
        return f"{dotted(self.path)}: {shown_or_none(self.before)} -> {shown_or_none(self.after)} ({self.verdict})"


def changes(stored: dict[str, Any], document: Document, allowed: bool) -> list[Change]:
    """How a config differs from the stored one; ConfigError, a line each, for what would make it another run.

    :param allowed: --allow was given: such changes too
    """
    found = [Change(path, *values, _verdict(path)) for path, values in differences(stored, document.tree).items()]
    breaking = [change for change in found if change.verdict == "breaking"]
    if breaking and not allowed:
        raise ConfigError(
            [
                f"{document.place(change.path)}: {change}: the run would be another one; --allow goes on all the same, "
                "-r RUN -c CONFIG starts a new run from its weights"
                for change in breaking
            ]
        )
    return found


def apply_to_optimizer(
    optimizer: Any, config: Any, made: list[dict[str, Any]], is_scheduled: bool, section: str = "optimizer"
) -> None:
    """What changed of an optimizer's arguments replaces what its state brought back.

    :param made: its groups as the config made them, each with the options of its own
    """
    changed = {change.path[2] for change in config.changes if change.path[:2] == (section, "args") and change.path[2:]}
    if "lr" in changed and is_scheduled:
        place = config.where(section, "args", "lr")
        raise ConfigError(f"{place}: {section}.args.lr: the schedule of the run sets its rate; change lr_scheduler")
    for group, new in zip(getattr(optimizer, "param_groups", ()), made):
        group.update({key: new[key] for key in changed if key in new})


def _verdict(path: KeyPath) -> Verdict:
    path = ("data_loader", *path[1:]) if path[0] == "valid_data_loader" and len(path) > 1 else path
    if any(path[: len(safe)] == safe for safe in SAFE):
        return "safe"
    if any(path[: len(planned)] == planned for planned in PLANNED_ANEW):
        return "planned anew"
    return "breaking"


def differences(before: Any, after: Any, path: KeyPath = ()) -> dict[KeyPath, tuple[Any, Any]]:
    """The paths of the values that differ, with both values; an object is compared key by key, a list as a whole."""
    if not (isinstance(before, dict) and isinstance(after, dict)):
        same = before == after and type(before) is type(after)
        return {} if same else {path: (before, after)}
    found: dict[KeyPath, tuple[Any, Any]] = {}
    for key in [*before, *(key for key in after if key not in before)]:
        found |= differences(before.get(key, MISSING), after.get(key, MISSING), (*path, key))
    return found


def shown_or_none(value: Any) -> str:
    """A value as JSON has it."""
    return "(none)" if value is MISSING else json.dumps(value, ensure_ascii=False)
