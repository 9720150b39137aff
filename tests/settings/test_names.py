"""near: a slip is told from a name of its own."""

import pytest

from settings.names import closest, distance, near, suggestion


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("epohcs", "epochs"),
        ("optmizer", "optimizer"),
        ("optimzier", "optimizer"),
        ("oprimiser", "optimizer"),
        ("lrr", "lr"),
        ("los", "loss"),
        ("monitr", "monitor"),
        ("epoch", "epochs"),
        ("Epochs", "epochs"),
    ],
)
def test_a_slip_is_near(name, known):
    assert near(name, known)
    assert closest(name, ["trainer", known, "metrics"]) == known


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("optimizer_d", "optimizer"),
        ("train_data_loader", "data_loader"),
        ("my_loss_2", "loss"),
        ("loss_d", "loss"),
        ("epochs", "epochs"),
        ("lsso", "loss"),
        ("alrr", "lr"),
        ("opmizr", "optimizer"),
        ("generator", "optimizer"),
    ],
)
def test_a_name_of_its_own_is_not_near(name, known):
    assert not near(name, known)
    assert not near(known, name)


def test_a_name_under_six_letters_may_differ_by_one_edit_and_a_longer_one_by_two():
    assert near("lossx", "loss")
    assert not near("lossxy", "loss")
    assert near("abcdexy", "abcde") is False
    assert near("abcdefxy", "abcdef")
    assert not near("abcdefxyz", "abcdef")


def test_the_distance_counts_edits_and_swaps_of_neighbours():
    assert [distance(*pair) for pair in (("", "abc"), ("abc", "abc"), ("abc", "acb"), ("kitten", "sitting"))] == [
        3,
        0,
        1,
        3,
    ]


def test_the_nearest_of_several_is_chosen_and_none_where_none_is_near():
    assert closest("val_los", ["val_loss", "val_bas"]) == "val_loss"
    assert closest("sheep", ["loss", "lr"]) is None


def test_a_suggestion_names_the_right_spelling_or_all_or_the_first_of_many():
    assert suggestion("epohcs", ["epochs", "lr"]) == "did you mean 'epochs'?"
    assert suggestion("SGD", ["sgd"]) == "did you mean 'sgd'?"
    assert suggestion("x", ["b", "a", "b"]) == "there is a, b"
    assert suggestion("x", []) == "there is none"
    assert suggestion("x", [f"n{number:02}" for number in range(30)]) == "there are 30, such as n00, n01, n02, n03, n04"
