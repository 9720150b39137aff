import torch

from utils.util import ensure_dir  # noqa: F401  (what other files of the project take from here)


def side_by_side(images, count):
    """The first images of a batch in a row, [C, H, count * W], from 0 to 1."""
    row = torch.cat(list(images[:count]), dim=2)
    return (row - row.min()) / (row.max() - row.min() + 1e-6)
