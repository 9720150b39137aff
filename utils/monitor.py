"""Judges epochs by one value of the log: which is the best, and when to stop."""

import math
from typing import Any


class Monitor:
    """Remembers the best value so far and how many epochs in a row were worse.

    :param rule: "min val_loss", "max val_accuracy", ..., or "off"
    :param patience: stop after this many epochs without improvement; 0 or less, or infinity: never
    """

    def __init__(self, rule: str = "off", patience: float = math.inf) -> None:
        mode, _, self.key = rule.partition(" ")
        if rule != "off" and (mode not in ("min", "max") or not self.key.strip()):
            raise ValueError(f"{rule!r}; write 'min NAME', 'max NAME' or 'off'")
        self.key = self.key.strip()
        self.sign = {"min": 1.0, "max": -1.0}.get(mode, 0.0)
        self.patience = patience if patience > 0 else math.inf
        self.bad_epochs = 0
        self.best: float | None = None

    @property
    def enabled(self) -> bool:
        """Whether there is anything to judge by."""
        return self.sign != 0

    def switch_off(self) -> None:
        """From here on no epoch is best and none is too many."""
        self.sign = 0.0

    def judge(self, log: dict[str, Any]) -> bool:
        """Whether this epoch is the best so far (a tie is; a value that is not finite never is)."""
        if not self.enabled:
            return False
        value = float(log[self.key])
        improved = math.isfinite(value) and (self.best is None or self.sign * value <= self.sign * self.best)
        if improved:
            self.best, self.bad_epochs = value, 0
        else:
            self.bad_epochs += 1
        return improved

    @property
    def should_stop(self) -> bool:
        """Whether as many epochs in a row as the patience allows were worse than the best."""
        return self.enabled and self.bad_epochs >= self.patience

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint holds of it."""
        return {"best": self.best, "bad_epochs": self.bad_epochs}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on from a checkpoint."""
        self.best, self.bad_epochs = state["best"], state["bad_epochs"]
