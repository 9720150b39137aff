"""Texts: their words and parts, the vocabulary that a checkpoint keeps, and whole runs of configs/text.json."""

import csv
import json
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch

from data_loader.text import TextDataLoader, number_of, read_texts, tokenize
from model.text import TextClassifier
from tests.faults.harness import Trainings, assert_same_runs
from utils.errors import ConfigError

ROOT = Path(__file__).parents[2]
DOCSTRINGS = str(ROOT / "data" / "docstrings.csv")


def write(path: Path, rows: list[tuple[str, str]]) -> str:
    with open(path, "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("class", "text"), *rows])
    return str(path)


def words_of(loader: TextDataLoader) -> set[tuple[int, ...]]:
    return {tuple(words.tolist()) for words in loader.dataset.words}


def numbers(text: str) -> tuple[int, ...]:
    return tuple(map(number_of, tokenize(text)))


# -- words ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Don't stop, now!", ["don't", "stop", ",", "now", "!"]),
        ("os.path   3.14\n", ["os", ".", "path", "3", ".", "14"]),
        ("'quoted' snake_case", ["'", "quoted", "'", "snake_case"]),
        ("Ünïcode ÉTÉ 数", ["ünïcode", "été", "数"]),
        (" \t", []),
    ],
)
def test_words_are_lower_case_and_marks_stand_alone(text, words):
    assert tokenize(text) == words


def test_the_number_of_a_word_never_changes_or_checkpoints_would_lose_their_words():
    assert number_of("socket") == 1141758132102996962
    assert len({number_of(str(index)) for index in range(10_000)}) == 10_000
    assert all(0 < number_of(str(index)) <= 2**62 for index in range(100))


# -- the file ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be read: No such file or directory"),
        (b"", "has no columns 'class' and 'text' but nothing"),
        (b"label,text\nham,hello\n", "has no columns 'class' and 'text' but ['label', 'text']"),
        (b"class,text\nham,hello\nspam\n", "a row has no class or no text"),
        (b"class,text\nham,\xff\xfe\n", "cannot be read: 'utf-8' codec"),
    ],
)
def test_a_file_without_texts_is_refused_in_one_line(content, said, tmp_path):
    path = tmp_path / "texts.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError) as error:
        read_texts(path)
    assert str(error.value).startswith(f"{path}: {said}")
    assert "\n" not in str(error.value)


def test_a_text_may_have_commas_quotes_and_lines(tmp_path):
    rows = [("ham", 'one, "two"\nthree'), ("spam", "")]
    assert read_texts(write(tmp_path / "texts.csv", rows)) == rows


# -- parts ------------------------------------------------------------------------------------------------------------


def test_the_docstrings_have_five_classes_and_their_parts_share_no_text():
    train, test = TextDataLoader(DOCSTRINGS), TextDataLoader(DOCSTRINGS, training=False)
    assert train.classes == ["concurrency", "files", "network", "numbers", "windows"]
    assert (train.n_samples, test.n_samples) == (3300, 847)
    assert words_of(train) & words_of(test) == set()
    assert set(test.dataset.targets) == set(range(5))


def test_more_rows_move_no_text_to_the_other_part_and_equal_words_stay_together(tmp_path):
    rows = [("a", f"text number {index}") for index in range(100)]
    few = TextDataLoader(write(tmp_path / "few.csv", rows[::3]), training=False)
    many = TextDataLoader(write(tmp_path / "many.csv", rows), training=False)
    assert 0 < few.n_samples < many.n_samples < 50
    assert words_of(few) <= words_of(many)
    shouted = [("a", f"  TEXT number\t{index}") for index in range(100)]
    assert words_of(TextDataLoader(write(tmp_path / "shouted.csv", shouted), training=False)) == words_of(many)


def test_the_test_part_may_be_all_or_nothing(tmp_path):
    path = write(tmp_path / "texts.csv", [("a", "one"), ("b", "two"), ("a", "three")])
    assert TextDataLoader(path, training=False, test_split=1.0).n_samples == 3
    assert TextDataLoader(path, test_split=0.0).n_samples == 3


# -- batches ----------------------------------------------------------------------------------------------------------


def test_a_batch_has_the_words_their_count_and_the_classes(tmp_path):
    rows = [("spam", "Buy now!"), ("ham", "hello"), ("ham", "")]
    loader = TextDataLoader(write(tmp_path / "texts.csv", rows), shuffle=False, test_split=0.0)
    (words, lengths), classes = next(iter(loader))
    assert [tuple(row[row > 0].tolist()) for row in words[:2]] == [numbers("buy now !"), numbers("hello")]
    assert words.dtype == torch.int64
    assert lengths.tolist() == [3, 1, 1]  # a text without words has one that nothing else has
    assert words[2].tolist() not in [[0, 0, 0], *words[:2].tolist()]
    assert classes.tolist() == [1, 0, 0]


def test_a_long_text_is_cut(tmp_path):
    path = write(tmp_path / "texts.csv", [("a", "one two three four"), ("b", "five")])
    (words, lengths), _ = next(iter(TextDataLoader(path, shuffle=False, test_split=0.0, longest=3)))
    assert lengths.tolist() == [3, 1]
    assert tuple(words[0].tolist()) == numbers("one two three")


def test_workers_change_no_batch():
    alone, with_workers = (TextDataLoader(DOCSTRINGS, num_workers=number) for number in (0, 2))
    for ours, others in zip(islice(alone.stream(50), 5), islice(with_workers.stream(50), 5), strict=True):
        assert all(map(torch.equal, (*ours[0], ours[1]), (*others[0], others[1])))


# -- the vocabulary ---------------------------------------------------------------------------------------------------


def test_the_vocabulary_has_the_words_that_are_trained_on_the_most_frequent_first(tmp_path):
    rows = [("a", f"w{index} of the sum the") for index in range(50)]
    path = write(tmp_path / "texts.csv", rows)
    train = TextDataLoader(path, validation_split=10)
    test = TextDataLoader(path, training=False)
    validation = train.split_validation()
    held_out = {words[0].item() for words in test.dataset.words}
    held_out |= {train.dataset[index][0][0].item() for index in validation.sampler}
    vocabulary = train.vocabulary.tolist()
    assert vocabulary[0] == number_of("the")
    assert set(vocabulary[1:3]) == {number_of("sum"), number_of("of")}
    assert held_out.isdisjoint(vocabulary)
    assert len(vocabulary) == 3 + train.n_samples == 3 + 50 - len(held_out)


# -- runs -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def config(tmp_path: Path) -> dict[str, Any]:
    """configs/text.json, small, on every tenth of the docstrings, in a file that a test may change."""
    config = json.loads((ROOT / "configs" / "text.json").read_text())
    config["arch"]["args"] |= {"vocabulary_size": 300, "width": 16, "heads": 2, "layers": 1}
    config["data_loader"]["args"] |= {"path": write(tmp_path / "texts.csv", read_texts(DOCSTRINGS)[::10])}
    config["trainer"] |= {"epochs": 2, "threads": 1, "tensorboard": False, "save_dir": str(tmp_path)}
    return config


@pytest.fixture
def run(config: dict[str, Any], tmp_path: Path, run_command: Callable) -> Path:
    """The folder of a run of it."""
    (tmp_path / "config.json").write_text(json.dumps(config))
    trained = run_command("train.py", "-c", tmp_path / "config.json", "--run-id", "run")
    assert trained.returncode == 0, trained.stderr
    return tmp_path / "models" / config["name"] / "run"


def metrics(run: Path) -> dict[str, float]:
    return json.loads((run / "test.json").read_text())["metrics"]


def test_to_test_a_checkpoint_takes_no_training_texts(run, tmp_path, run_command):
    assert run_command("test.py", "-r", run).returncode == 0
    before = metrics(run)
    test = words_of(TextDataLoader(str(tmp_path / "texts.csv"), training=False))
    write(tmp_path / "texts.csv", [row for row in read_texts(tmp_path / "texts.csv") if numbers(row[1]) in test])
    tested = run_command("test.py", "-r", run)
    assert tested.returncode == 0, tested.stderr
    assert metrics(run) == before


def test_words_that_it_does_not_know_are_all_one_to_it(run, tmp_path, run_command):
    loader = TextDataLoader(str(tmp_path / "texts.csv"), validation_split=0.1)
    known = set(loader.vocabulary[:300].tolist())
    results = []
    for strange in ("zyzzyva", "zyzzyvas"):
        texts = [
            (name, " ".join(word if number_of(word) in known else strange for word in tokenize(text)))
            for name, text in read_texts(DOCSTRINGS)[5::60]
        ]
        path = write(tmp_path / f"{strange}.csv", [("files", "a file"), *texts])
        args = {"path": path, "training": False, "test_split": 1.0}
        section = json.dumps({"type": "text.TextDataLoader", "args": args})
        tested = run_command("test.py", "-r", run, "-s", f"+test_data_loader={section}")
        assert tested.returncode == 0, tested.stderr
        results.append(metrics(run))
    assert results[0] == results[1]


def test_a_vocabulary_of_another_size_is_refused_in_one_line(run, run_command):
    refused = run_command("test.py", "-r", run, "-s", "arch.args.vocabulary_size=299")
    assert refused.returncode == 2
    assert len(refused.stderr.splitlines()) == 1
    assert "its 'state_dict' does not fit the TextClassifier of this config" in refused.stderr
    assert "vocabulary.known" in refused.stderr


def test_a_run_whose_training_texts_have_changed_goes_on_only_if_that_is_asked_for(run, tmp_path, run_command):
    before = torch.load(run / "checkpoint-last.pth", weights_only=True)
    write(tmp_path / "texts.csv", [(name, f"{text} often") for name, text in read_texts(tmp_path / "texts.csv")])
    longer = ("-s", "trainer.epochs=3")
    refused = run_command("train.py", "-r", run, *longer)
    assert refused.returncode == 1
    assert len(refused.stderr.splitlines()) == 1
    assert "not what the run has trained on: the data of train" in refused.stderr
    allowed = run_command("train.py", "-r", run, *longer, "--allow")
    assert allowed.returncode == 0, allowed.stderr
    after = torch.load(run / "checkpoint-last.pth", weights_only=True)
    assert after["step"] > before["step"]
    assert torch.equal(after["state_dict"]["vocabulary.known"], before["state_dict"]["vocabulary.known"])


def test_a_new_run_from_its_weights_takes_its_words_with_them(run, config, tmp_path, run_command):
    config["data_loader"]["args"]["path"] = write(tmp_path / "others.csv", read_texts(DOCSTRINGS)[3::10])
    (tmp_path / "others.json").write_text(json.dumps(config))
    trained = run_command("train.py", "-r", run, "-c", tmp_path / "others.json", "--run-id", "tuned")
    assert trained.returncode == 0, trained.stderr
    states = [
        torch.load(folder / "checkpoint-last.pth", weights_only=True)["state_dict"]["vocabulary.known"]
        for folder in (run, run.parent / "tuned")
    ]
    assert torch.equal(*states)
    own = TextDataLoader(str(tmp_path / "others.csv"), validation_split=0.1).vocabulary[:300]
    assert not torch.equal(own.sort().values, states[0])


def test_later_a_text_needs_the_checkpoint_alone(run):
    state = torch.load(run / "model_best.pth", weights_only=True)
    model = TextClassifier(**state["config"]["arch"]["args"])
    model.load_state_dict(state["state_dict"])
    words = torch.tensor([numbers("Return the name of the zyzzyva file.")])
    rows = model.vocabulary(words)
    assert rows[0, 1] > 1
    assert rows[0, 5] == 1
    assert model.eval()((words, torch.tensor([words.shape[1]]))).shape == (1, 5)


def test_a_run_killed_in_the_middle_of_an_epoch_ends_as_the_unbroken_one(config, tmp_path, start_command):
    config["trainer"] |= {"log_step": 1, "save_steps": 2, "ema_decay": 0.9}
    config["data_loader"]["args"] |= {"batch_size": 32}
    trainings = Trainings(tmp_path, config, start_command)
    trainings.finish(trainings.begin("whole"))
    trainings.die(trainings.begin("broken", fault="update#11=kill"))  # in the second of two epochs of eight steps
    resumed = trainings.finish(trainings.resume("broken", "-s", "data_loader.args.num_workers=2"))
    assert "Resume training from step 10, epoch 2" in resumed
    assert_same_runs(tmp_path, config["name"], "whole", "broken")


def test_weights_come_with_their_words(
    run: Path, config: dict[str, Any], tmp_path: Path, run_command: Callable
) -> None:
    file = run / "checkpoint-last.pth"
    config["arch"]["weights"] = str(file)
    config["data_loader"]["args"]["path"] = write(tmp_path / "others.csv", read_texts(DOCSTRINGS)[3::10])
    config["trainer"]["max_steps"] = 1
    (tmp_path / "others.json").write_text(json.dumps(config))
    trained = run_command("train.py", "-c", tmp_path / "others.json", "--run-id", "begun")
    assert trained.returncode == 0, trained.stderr
    states = [
        torch.load(path, weights_only=True)["state_dict"]["vocabulary.known"]
        for path in (file, run.parent / "begun" / "checkpoint-last.pth")
    ]
    assert torch.equal(*states)
