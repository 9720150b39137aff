"""The sections of a config: which there are, and what the code adds to the arguments of each."""

from typing import Any, Literal

BUILT = ("arch", "data_loader", "valid_data_loader", "test_data_loader", "optimizer", "lr_scheduler")  # type, args
NAMED = ("loss", "metrics")  # functions, or objects, that are called later
REQUIRED = ("arch", "data_loader", "optimizer", "loss", "trainer")
ROOT = {
    "name": str,
    "seed": int,
    "n_gpu": int,
    **dict.fromkeys(BUILT, dict),
    "lr_scheduler": dict | None,
    "loss": str | dict,
    "metrics": list,
    "trainer": dict,
    "extends": str | list,
    "$schema": str,
    "config_version": int,
}
GIVEN = {"optimizer": 1, "lr_scheduler": 1, "loss": 2, "metrics": 2}  # parameters; optimizer; output and target
KEYS: dict[str, dict[str, Any]] = {  # beside type and args
    "lr_scheduler": {"interval": Literal["epoch", "step"], "monitor": str, "warmup": int},
    "metrics": {"name": str},
}


def metric_names(metrics: list[Any]) -> list[str]:
    """The names under which the metrics of a config stand in the log."""
    return [
        str(item["name"])
        if isinstance(item, dict) and "name" in item
        else str(item.get("type") if isinstance(item, dict) else item).rpartition(".")[2]
        for item in metrics
    ]
