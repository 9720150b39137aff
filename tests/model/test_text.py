"""The vocabulary that a model keeps, and the classifier of texts."""

import pytest
import torch

from model.text import TextClassifier, Vocabulary


@pytest.fixture
def model() -> TextClassifier:
    """A small classifier of three classes that knows the words 5, 7 and 9, as it is used."""
    torch.manual_seed(0)
    made = TextClassifier(vocabulary_size=4, num_classes=3, width=8, heads=2)
    made.vocabulary.learn(torch.tensor([7, 9, 5]))
    return made.eval()


def scores(model: TextClassifier, *texts: list[int]) -> torch.Tensor:
    longest = max(map(len, texts))
    words = torch.tensor([text + [0] * (longest - len(text)) for text in texts])
    return model((words, torch.tensor([len(text) for text in texts]))).detach()


def test_padding_is_row_0_an_unknown_word_row_1_and_each_known_word_has_a_row_of_its_own():
    vocabulary = Vocabulary(3)
    vocabulary.learn(torch.tensor([50, 20, 90]))
    assert vocabulary(torch.tensor([[20, 50, 90], [51, 2**62, 1], [90, 0, 0]])).tolist() == [
        [2, 3, 4],
        [1, 1, 1],
        [4, 0, 0],
    ]


def test_only_the_first_words_are_known_where_there_is_no_room_for_all():
    vocabulary = Vocabulary(2)
    vocabulary.learn(torch.tensor([50, 20, 90, 10]))
    assert vocabulary(torch.tensor([10, 20, 50, 90])).tolist() == [1, 2, 3, 1]


def test_with_room_left_and_with_nothing_learnt_other_words_are_unknown():
    vocabulary = Vocabulary(5)
    assert vocabulary(torch.tensor([0, 20, 2**62])).tolist() == [0, 1, 1]
    vocabulary.learn(torch.tensor([20]))
    assert vocabulary(torch.tensor([0, 20, 2**62])).tolist() == [0, 2, 1]


def test_words_stay_with_their_rows_in_the_state_of_another_model(model):
    other = TextClassifier(vocabulary_size=4, num_classes=3, width=8, heads=2).eval()
    other.vocabulary.learn(torch.tensor([3, 4, 5, 6]))
    other.load_state_dict(model.state_dict())
    assert torch.equal(scores(other, [5, 7, 9, 3]), scores(model, [5, 7, 9, 3]))


def test_scores_have_a_row_a_text_and_padding_changes_none(model):
    together = scores(model, [5, 7], [9, 5, 7, 7, 5, 9], [7])
    assert together.shape == (3, 3)
    torch.testing.assert_close(together[:1], scores(model, [5, 7]))
    torch.testing.assert_close(together[2:], scores(model, [7]))


def test_words_and_their_order_count_and_unknown_words_are_all_alike(model):
    first, turned, other, unknown, as_unknown = scores(model, [5, 7], [7, 5], [9, 7], [11, 7], [12, 7])
    assert not torch.allclose(first, turned)
    assert not torch.allclose(first, other)
    assert not torch.allclose(first, unknown)
    assert torch.allclose(unknown, as_unknown)


def test_every_part_learns_and_of_the_rows_those_that_occur(model):
    words = torch.tensor([[5, 7, 8], [9, 0, 0]])
    model((words, torch.tensor([3, 1]))).square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in model.parameters())
    learnt = model.embedding.weight.grad.ne(0).any(dim=1)
    assert learnt.tolist() == [False, True, True, True, True, False]  # neither padding nor the row that is left
