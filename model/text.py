"""A classifier of texts, and the vocabulary that it keeps."""

import torch
from torch import Tensor, nn

from base import BaseModel

UNKNOWN = 1  # the row of every word that is not known; row 0 is that of padding
EMPTY = torch.iinfo(torch.int64).max  # where a vocabulary has room left
SCALE = 0.1  # of words and sinusoids before training; with 1, six points less accuracy on the docstrings


class Vocabulary(nn.Module):
    """From words, as numbers, to rows of an embedding: 0 for padding, 1 for an unknown word, from 2 on the known ones.

    The words are a buffer: a checkpoint holds them beside the embedding, and no corpus can change what a row means.

    :param size: words there is room for
    """

    known: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.register_buffer("known", torch.full((size,), EMPTY))  # in ascending order

    @property
    def is_empty(self) -> bool:
        """Whether it knows no word yet."""
        return bool((self.known == EMPTY).all())

    def learn(self, words: Tensor) -> None:
        """Takes as many of the words as there is room for, from the first on: int64 [n], each above 0."""
        self.known.fill_(EMPTY)[: len(words)] = words[: len(self.known)]
        self.known.copy_(self.known.sort().values)

    def forward(self, words: Tensor) -> Tensor:
        places = torch.searchsorted(self.known, words).clamp(max=len(self.known) - 1)
        rows = torch.where(self.known[places] == words, places + 2, UNKNOWN)
        return rows.masked_fill(words == 0, 0)


class TextClassifier(BaseModel):
    """A transformer over the words of a text: (words [B, T], lengths [B]) -> scores [B, num_classes].

    Words and sinusoids of their places, layers that normalise first (Xiong et al. 2020, *On Layer Normalization in the
    Transformer Architecture*), the mean over the words of each text, a linear map. Words are numbers; behind the last
    one of a text, 0.

    :param vocabulary_size: words it knows: the most frequent ones of the training data
    """

    def __init__(
        self,
        vocabulary_size: int,
        num_classes: int,
        width: int = 64,
        heads: int = 4,
        layers: int = 2,
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        self.vocabulary = Vocabulary(vocabulary_size)
        self.embedding = nn.Embedding(vocabulary_size + 2, width)
        nn.init.normal_(self.embedding.weight, std=SCALE)
        self.dropout = nn.Dropout(dropout)
        layer = nn.TransformerEncoderLayer(width, heads, 4 * width, dropout, batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, layers, nn.LayerNorm(width), enable_nested_tensor=False)
        self.linear = nn.Linear(width, num_classes)

    def forward(self, text: tuple[Tensor, Tensor]) -> Tensor:
        words, lengths = text
        is_padding = torch.arange(words.shape[1], device=words.device) >= lengths[:, None]
        x = self.embedding(self.vocabulary(words))
        x = self.dropout(x + SCALE * sinusoids(*x.shape[1:]).to(x))
        x = self.encoder(x, src_key_padding_mask=is_padding).masked_fill(is_padding[:, :, None], 0)
        return self.linear(self.dropout(x.sum(dim=1) / lengths[:, None]))


def sinusoids(length: int, width: int) -> Tensor:
    """Sines and cosines of each place, [length, width] (Vaswani et al. 2017, *Attention Is All You Need*, 3.5)."""
    angles = torch.arange(length)[:, None] / 10000 ** (torch.arange(0, width, 2) / width)
    return torch.cat([angles.sin(), angles.cos()], dim=1)[:, :width]
