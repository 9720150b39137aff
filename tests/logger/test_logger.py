import json
import logging
import logging.config

import pytest

from logger.logger import LOG_CONFIG, get_logger, setup_logging


@pytest.fixture(autouse=True)
def logging_as_before():
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers = []
    yield
    logging.config.dictConfig({"version": 1, "disable_existing_loggers": False})  # closes every handler
    logging.getLogger("special").handlers = []
    root.handlers = handlers
    root.setLevel(level)


def lines(folder) -> list[str]:
    """What is said in an info.log, without times."""
    said = (folder / "info.log").read_text(encoding="utf8").splitlines()
    return [line.split(" - ", 1)[1] for line in said]


def test_before_the_run_has_a_folder_the_console_speaks_and_nothing_is_written(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    setup_logging()
    get_logger("early").info("hello ü")
    assert capsys.readouterr().out == "hello ü\n"
    assert list(tmp_path.iterdir()) == []


def test_what_was_said_before_is_found_in_the_log_once_there_is_one(tmp_path, capsys):
    setup_logging()
    logger = get_logger("early")
    logger.info("first %d", 1)
    setup_logging()  # as a second entry point may
    logger.warning("second")
    logger.debug("a detail for the console only")
    capsys.readouterr()
    setup_logging(tmp_path)
    logger.info("third ü")
    assert lines(tmp_path) == ["early - INFO - first 1", "early - WARNING - second", "early - INFO - third ü"]
    assert capsys.readouterr().out == "third ü\n"


def test_the_log_of_the_next_run_has_nothing_of_the_one_before(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    setup_logging()
    get_logger("run").info("one")
    setup_logging(tmp_path / "a")
    setup_logging(tmp_path / "b")
    get_logger("run").info("two")
    assert lines(tmp_path / "a") == ["run - INFO - one"]
    assert lines(tmp_path / "b") == ["run - INFO - two"]


def test_a_resumed_run_adds_to_its_log(tmp_path):
    for word in ("one", "two"):
        setup_logging(tmp_path)
        get_logger("run").info(word)
    assert lines(tmp_path) == ["run - INFO - one", "run - INFO - two"]


@pytest.mark.parametrize(("verbosity", "said"), [(0, ["w"]), (1, ["i", "w"]), (2, ["d", "i", "w"])])
def test_verbosity_is_what_the_console_shows(verbosity, said, capsys):
    setup_logging()
    logger = get_logger("spoken", verbosity)
    logger.debug("d")
    logger.info("i")
    logger.warning("w")
    assert capsys.readouterr().out.split() == said


def test_a_verbosity_that_there_is_not_is_refused():
    with pytest.raises(ValueError, match="verbosity 3"):
        get_logger("spoken", 3)


def test_only_the_main_process_speaks(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    setup_logging()
    setup_logging(tmp_path)
    get_logger("run").warning("not heard")
    captured = capsys.readouterr()
    assert captured.out + captured.err == ""
    assert list(tmp_path.iterdir()) == []


def test_a_project_may_describe_its_logging_itself_down_to_single_loggers(tmp_path, capsys):
    description = json.loads(LOG_CONFIG.read_text())
    description["handlers"]["info_file_handler"]["filename"] = "mine.log"
    description["loggers"] = {"special": {"handlers": ["info_file_handler"], "propagate": False}}
    path = tmp_path / "log.json"
    path.write_text(json.dumps(description))
    setup_logging(log_config=path)
    setup_logging(tmp_path, log_config=path)
    logging.getLogger("special").warning("for the file alone")
    assert capsys.readouterr().out == ""
    assert "for the file alone" in (tmp_path / "mine.log").read_text()
