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
    "loss": str | dict | list,
    "metrics": list,
    "trainer": dict,
    "extends": str | list,
    "$schema": str,
    "config_version": int,
}
GIVEN = {"optimizer": 1, "lr_scheduler": 1, "loss": 2, "metrics": 2}  # parameters; optimizer; output and target
KEYS: dict[str, dict[str, Any]] = {  # beside type and args
    "arch": {"weights": str | None, "freeze": list[str], "recompute": list[str]},
    "teacher": {"checkpoint": str | None, "epochs": int},
    "optimizer": {"groups": list[dict]},
    "lr_scheduler": {"interval": Literal["epoch", "step"], "monitor": str, "warmup": int},
    "loss": {"name": str, "weight": float},
    "metrics": {"name": str},
}
KEYS_OF_GROUPS = {"MuonAndAdamW": ("muon",)}  # beside params, where a group may not set the optimizer's arguments


def log_names(config: dict[str, Any]) -> list[str]:
    """The names of the values of a log: the loss, its parts where it has several, the metrics."""
    return ["loss", *metric_names(loss_parts(config.get("loss"))), *metric_names(config.get("metrics", []))]


def loss_parts(loss: Any) -> list[Any]:
    """The losses whose weighted sum is the loss; empty where it is one alone."""
    if isinstance(loss, list):
        return loss
    return [loss] if isinstance(loss, dict) and "weight" in loss else []


def metric_names(metrics: list[Any]) -> list[str]:
    """The names under which the metrics, or several losses, of a config stand in the log."""
    return [
        str(item["name"])
        if isinstance(item, dict) and "name" in item
        else str(item.get("type") if isinstance(item, dict) else item).rpartition(".")[2]
        for item in metrics
    ]
