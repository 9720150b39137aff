"""Images decoded once: the middle square of each, as bytes, in memory or in a file that is mapped."""

import json
import logging
import math
import os
import sys
import time
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from data_loader.cache_folder import cache_folders, own_name, remove_scraps, with_room
from utils import dist
from utils.errors import UserError
from utils.failures import SampleError, told
from utils.platform_files import replacing, sync_file, write_whole
from utils.seeded_samples import WorkerStart, single_threaded

FORMAT = 1  # of the file and of what stands in it; another number makes every cache anew
AT_ONCE = 16  # images that a worker hands over
SECONDS_BETWEEN_BEATS = 60  # less than what a process group waits for one that builds


@dataclass(frozen=True)
class Squares:
    """The middle squares of image files, bytes [n, 3, size, size]: the shorter side resized, the rest cut off.

    :param root: the folder that the files' names are relative to
    :param context: how worker processes are started, as a DataLoader takes it
    """

    root: Path
    files: Sequence[str]
    size: int
    num_workers: int = 0
    context: Any = None

    def in_memory(self) -> "Rows":
        """Decodes all of them; under torchrun every process has its own."""
        try:
            images = torch.empty(self.shape, dtype=torch.uint8)
        except RuntimeError:
            large = f"{math.prod(self.shape) / 1e9:,.1f} GB of images do not fit into memory"
            raise UserError(f'{self.root}: {large}; set data_loader.args.cache to "disk"') from None
        done = 0
        for batch in self._batches(self.num_workers):
            images[done : done + len(batch)] = batch
            done += len(batch)
        return Rows(images, may_move=True)

    def on_disk(self, beside: Path | None = None) -> "Rows":
        """Maps the file that has them, and makes it first unless it is there and whole; one process a machine does.

        :param beside: the folder to keep it in, if it can be written to; else it is in the user's cache folder
        """
        folders = cache_folders(beside)
        name, images = f"{self._key()}.uint8", None
        if dist.local_rank() == 0:
            images = self._found(folders, name) or self._built(folders, name)
        while dist.most(0):  # some machine still builds
            pass
        images = images or self._found(folders, name)
        if images is None:
            raise UserError(f"{folders[-1] / name}: is not there, or cannot be read")
        return images

    @property
    def shape(self) -> list[int]:
        return [len(self.files), 3, self.size, self.size]

    def _key(self) -> str:
        """Another one whenever a file, the size or what decodes may have become another."""
        import PIL
        import torchvision

        states = [(os.path.relpath(file, self.root), os.stat(file)) for file in self.files]
        files = [(name, state.st_size, state.st_mtime_ns) for name, state in states]
        makers = [PIL.__version__, torchvision.__version__.partition("+")[0]]
        content = [FORMAT, makers, self.size, files]
        return blake2b(json.dumps(content).encode(), digest_size=16).hexdigest()

    def _found(self, folders: Sequence[Path], name: str) -> "Rows | None":
        """What is kept in the first of the folders that has it whole."""
        for path in (folder / name for folder in folders):
            if os.path.exists(path):
                if (images := _mapped(path, self.shape)) is not None:
                    return Rows(images)
                logging.getLogger("train").warning("%s: not whole; its images are decoded anew", path)
        return None

    def _built(self, folders: Sequence[Path], name: str) -> "Rows | None":
        """Makes the file in the first of the folders that can be written to and has room for it."""
        folder = with_room(folders, math.prod(self.shape))
        if folder is None:
            large = (
                f"{math.prod(self.shape) / 1e9:,.1f} GB of images cannot be written to {' or '.join(map(str, folders))}"
            )
            raise UserError(f'{large}; set data_loader.args.cache to "memory" or null')
        remove_scraps(folder)
        try:
            self._write(folder / name)
        except OSError as error:
            raise UserError(f"{folder / name}: cannot be written: {error.strerror or error}") from None
        return self._found([folder], name)

    def _write(self, path: Path) -> None:
        """The file, and last what it must be; of two processes at once each writes all, and the bytes are the same."""
        logging.getLogger("train").info("decoding %d images, once, for %s", len(self.files), path)
        checksum, due = 0, time.monotonic() + SECONDS_BETWEEN_BEATS
        with replacing(path, temporary=own_name(path)) as temporary, open(temporary, "xb") as file:
            for batch in self._batches(self.num_workers * dist.local_world_size()):
                content = batch.numpy().data
                file.write(content)
                checksum = zlib.crc32(content, checksum)
                if time.monotonic() > due:
                    dist.most(1)
                    due = time.monotonic() + SECONDS_BETWEEN_BEATS
            file.flush()
            sync_file(file.fileno())
        note = path.with_suffix(".json")
        whole = json.dumps({"shape": self.shape, "crc32": checksum}).encode()
        write_whole(note, whole, temporary=own_name(note))

    def _batches(self, num_workers: int) -> Iterator[Tensor]:
        """The squares in order, some at a time; SampleError names an image that cannot be read."""
        num_workers = min(num_workers, math.ceil(len(self.files) / AT_ONCE))
        loader = DataLoader(
            _Decoded(self.files, self.size),
            AT_ONCE,
            num_workers=num_workers,
            collate_fn=list,
            worker_init_fn=WorkerStart(None),
            multiprocessing_context=self.context if num_workers else None,
            generator=torch.Generator(),  # else torch draws from the global one
        )
        terminal = sys.stderr.isatty() and dist.is_main()
        bar = tqdm(total=len(self.files), desc="images", unit="image", leave=False, disable=not terminal)
        with bar, _lost_workers_told():
            for batch in iter(loader) if num_workers else single_threaded(iter(loader)):
                for square in batch:
                    if isinstance(square, str):
                        raise SampleError(square)
                yield torch.stack(batch)
                bar.update(len(batch))


class Rows:
    """Images that are indexed on the CPU, whose batches then move to the device: bytes, so a quarter of the numbers."""

    device = torch.device("cpu")  # where an index belongs

    def __init__(self, images: Tensor, target: torch.device | None = None, may_move: bool = False) -> None:
        self.images, self.target, self.may_move = images, target, may_move

    def __getitem__(self, indices: Any) -> Tensor:
        return self.images[indices].to(self.target or self.device)

    def index_select(self, dimension: int, indices: Tensor) -> Tensor:
        return self.images.index_select(dimension, indices).to(self.target or self.device)

    def size(self, dimension: int) -> int:
        return self.images.size(dimension)

    def to(self, device: torch.device) -> "Rows | Tensor":
        """All of them on the device, if they may move and fit there."""
        if self.may_move:
            with suppress(torch.OutOfMemoryError):
                return self.images.to(device)
        return Rows(self.images, device, self.may_move)


class _Decoded(Dataset):
    """The square of each file, or the line that says why there is none."""

    def __init__(self, files: Sequence[str], size: int) -> None:
        self.files, self.size = files, size

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Tensor | str:
        from torchvision.transforms.v2.functional import center_crop, resize

        try:
            pixels = resize(decoded(self.files[index]), [self.size], antialias=True)
            return center_crop(pixels, [self.size, self.size])
        except Exception as error:  # PIL raises whatever a broken file leads to
            reason = " ".join(str(error).split()) or type(error).__name__
            return f"{self.files[index]}: cannot be read as an image: {reason}"


def decoded(file: str) -> Tensor:
    """The image in a file, bytes [3, height, width]."""
    from PIL import Image, UnidentifiedImageError
    from torchvision.transforms.v2.functional import pil_to_tensor

    try:
        with Image.open(file) as image:  # torchvision's own decoders save little time, and are to be removed
            return pil_to_tensor(image.convert("RGB"))
    except UnidentifiedImageError:
        raise ValueError("its format is unknown") from None


@contextmanager
def _lost_workers_told() -> Iterator[None]:
    """Within this context the end of a worker is a UserError."""
    try:
        yield
    except RuntimeError as error:
        if line := told(error):
            raise UserError(line) from error
        raise


def _mapped(path: Path, shape: Sequence[int]) -> Tensor | None:
    """The bytes of a cache; None unless they are what was written."""
    try:
        note = json.loads(path.with_suffix(".json").read_bytes())
        if path.stat().st_size != math.prod(shape):
            return None
        content = torch.from_file(str(path), size=math.prod(shape), dtype=torch.uint8)
    except (OSError, ValueError, RuntimeError):
        return None
    checksum = 0
    for part in content.split(2**26):
        checksum = zlib.crc32(part.numpy(), checksum)
    return content.view(*shape) if note == {"shape": list(shape), "crc32": checksum} else None
