"""What cannot be among the arguments of a data loader, known before any data is read."""

from typing import Any

MOST_WORKERS = 512
TRAINING_ONLY = ("drop_last", "sampler", "batch_sampler")  # what says which samples are drawn for training


def problems_of_arguments(args: dict[str, Any]) -> list[tuple[str, str]]:
    """What is wrong with the arguments that a config gives, as (argument, what to write)."""
    split, found = args.get("validation_split"), []
    if isinstance(split, (int, float)) and (split < 0 or (isinstance(split, float) and split >= 1)):
        found.append(("validation_split", f"{split} is neither a part (0.1) nor a number (500) of the samples"))
    for key, least in (("batch_size", 1), ("num_workers", 0), ("prefetch_factor", 1)):
        if isinstance(args.get(key), int) and args[key] < least:
            found.append((key, f"must be {least} or more"))
    if isinstance(args.get("num_workers"), int) and args["num_workers"] > MOST_WORKERS:
        found.append(("num_workers", f"must be {MOST_WORKERS} or less"))
    return found


def problems_with_tensors(args: dict[str, Any]) -> list[tuple[str, str]]:
    """As `problems_of_arguments`, where batches are cut out of tensors: what would never be called is refused too."""
    never = [name for name in ("collate_fn", "valid_collate_fn", "worker_init_fn") if args.get(name) is not None]
    text = "data in memory is cut into batches as a whole, and calls none; leave it out"
    return problems_of_arguments(args) + [(name, text) for name in never]
