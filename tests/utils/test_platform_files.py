import os
from pathlib import Path

import pytest

from utils.platform_files import link_or_copy, temporary_name, write_whole


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_replaced_whole_and_nothing_else_is_left(tmp_path):
    path = tmp_path / "a.json"
    write_whole(path, b"a long first content")
    write_whole(path, b"new")
    assert path.read_bytes() == b"new"
    assert names(tmp_path) == ["a.json"]


def test_what_a_killed_write_left_is_no_hindrance(tmp_path):
    path = tmp_path / "a.json"
    temporary_name(path).write_bytes(b"half of a file that was longer")
    write_whole(path, b"new")
    assert path.read_bytes() == b"new"
    assert names(tmp_path) == ["a.json"]


def test_a_write_that_fails_leaves_no_temporary(tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError):  # noqa: PT011 (each platform has its own)
        write_whole(tmp_path / "folder", b"content")
    assert names(tmp_path) == ["folder"]


def test_a_link_replaces_another_file(tmp_path):
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_text("new")
    target.write_text("old")
    link_or_copy(source, target)
    assert target.read_text() == "new"
    assert target.samefile(source)
    assert names(tmp_path) == ["source", "target"]


def test_linking_onto_a_link_of_the_same_file_changes_nothing_and_leaves_nothing(tmp_path):
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_text("content")
    os.link(source, target)
    temporary_name(target).write_text("left by a killed process")
    link_or_copy(source, target)
    assert names(tmp_path) == ["source", "target"]
    assert target.samefile(source)


def test_where_links_are_refused_the_file_is_copied(tmp_path, monkeypatch):
    def refuse(*_: object) -> None:
        raise OSError("no links here")

    source, target = tmp_path / "source", tmp_path / "target"
    source.write_text("new")
    target.write_text("an older and longer content")
    monkeypatch.setattr(os, "link", refuse)
    link_or_copy(source, target)
    source.write_text("changed later")
    assert target.read_text() == "new"
    assert names(tmp_path) == ["source", "target"]
