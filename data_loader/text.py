"""Texts with classes: what their words are, and `TextDataLoader`."""

import csv
import re
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from base import BaseDataLoader
from data_loader.collate import pad_sequences
from utils.errors import ConfigError
from utils.seed import derive_seed

WORD = re.compile(r"\w+(?:'\w+)*|[^\w\s]")
NO_WORD = "<no word>"  # what a text without words has; none has it as one word


def tokenize(text: str) -> list[str]:
    """The words of a text in lower case, and each mark of punctuation: "Don't stop!" is don't, stop, !"""
    return WORD.findall(text.lower())


def number_of(word: str) -> int:
    """The number that stands for a word: 62 bits of its hash, never 0. It is the same whatever the corpus."""
    return int.from_bytes(blake2b(word.encode(), digest_size=8).digest(), "little") % 2**62 + 1


def read_texts(path: str | Path) -> list[tuple[str, str]]:
    """The (class, text) of each row of a CSV file in UTF-8 that has the columns `class` and `text`."""
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file)
            if not {"class", "text"} <= set(rows.fieldnames or ()):
                raise ConfigError(f"{path}: has no columns 'class' and 'text' but {rows.fieldnames or 'nothing'}")
            texts = [(row["class"], row["text"]) for row in rows]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if any(None in row for row in texts):
        raise ConfigError(f"{path}: a row has no class or no text")
    return texts


class TextDataset(Dataset):
    """Samples (words [T], class) with T of at least 1: each word as its number, the class as its place in `classes`.

    :param texts: (class, text) of each
    :param longest: words of a text that count; the rest is cut off
    """

    def __init__(self, texts: Sequence[tuple[str, str]], classes: Sequence[str], longest: int) -> None:
        split = [(tokenize(text) or [NO_WORD])[:longest] for _, text in texts]
        self.words = [torch.tensor([number_of(word) for word in words]) for words in split]
        self.targets = [classes.index(name) for name, _ in texts]
        self.fingerprint = blake2b(repr(texts).encode(), digest_size=16).hexdigest()
        self.identities = [blake2b(text.encode(), digest_size=8).hexdigest() for _, text in texts]

    def __len__(self) -> int:
        return len(self.words)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.words[index], self.targets[index]


class TextDataLoader(BaseDataLoader):
    """Texts of a CSV file with the columns `class` and `text`, divided into training and test part.

    A text's part follows from its words alone: equal texts are never in both, and new rows move none.
    Batches: ((words [B, T], lengths [B]), classes [B]): each word as its number (`number_of`), 0 behind the last one;
    classes in the order of their names.

    :param test_split: the part of the texts that is for testing
    :param longest: words of a text that count; the rest is cut off
    """

    def __init__(
        self,
        path: str,
        batch_size: int = 64,
        shuffle: bool = True,
        validation_split: float | int = 0.0,
        num_workers: int = 0,
        training: bool = True,
        test_split: float = 0.2,
        longest: int = 128,
        collate_fn: Callable = pad_sequences,
        **options: Any,
    ) -> None:
        texts = read_texts(path)
        self.classes = sorted({name for name, _ in texts})
        part = [(name, text) for name, text in texts if _is_for_testing(text, test_split) != training]
        dataset = TextDataset(part, self.classes, longest)
        super().__init__(dataset, batch_size, shuffle, validation_split, num_workers, collate_fn, **options)

    @cached_property
    def vocabulary(self) -> Tensor:
        """The words of the texts that are trained on, not those of validation, the most frequent first: int64 [n]."""
        held_out, texts = set(self.valid_sampler or ()), self.dataset.words
        counts = Counter(word for index, words in enumerate(texts) if index not in held_out for word in words.tolist())
        return torch.tensor([word for word, _ in counts.most_common()])


def _is_for_testing(text: str, test_split: float) -> bool:
    return derive_seed("test part", *tokenize(text)) < test_split * 2**64
