"""What else must be equal for two runs to be equal bit for bit."""

import platform
from typing import Any

import torch

from utils import dist
from utils.determinism import nondeterministic_operations


def fingerprint(device: torch.device, config: dict[str, Any]) -> dict[str, str]:
    """The build, the machine and the settings that decide how sums are rounded, all as strings."""
    loader, trainer = config.get("data_loader"), config.get("trainer") or {}
    batch_size = loader.get("args", {}).get("batch_size") if isinstance(loader, dict) else None
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
    return {
        "torch": str(torch.__version__),
        "device": f"{device.type} {name}",
        "cpu": torch.backends.cpu.get_cpu_capability(),
        "threads": str(torch.get_num_threads()),
        "processes": str(dist.world_size()),
        **{key: str(trainer.get(key, False)) for key in ("compile", "channels_last", "tf32")},
        "batch_size": str(batch_size),
        "nondeterministic": ", ".join(nondeterministic_operations()),
    }


def differences(stored: dict[str, str], current: dict[str, str]) -> list[str]:
    """What keeps the two from being equal bit for bit, one phrase each."""
    changed = [
        f"{key} was {stored[key]}, is {value}" for key, value in current.items() if stored.get(key, value) != value
    ]
    return [phrase for phrase in changed if not phrase.startswith("nondeterministic")] + [
        f"{name} has no deterministic form" for name in stored.get("nondeterministic", "").split(", ") if name
    ]
