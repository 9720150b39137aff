"""build, fix and build_callable: from a section to what it names."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from settings.building import build, build_callable, fix, several
from settings.document import Document, value_at
from utils.errors import ConfigError

ROOT = Path(__file__).parents[2]


class Zoo:
    """What stands for a project's module here."""

    class Box:
        def __init__(self, *sizes, colour="red", depth=1):
            self.sizes, self.colour, self.depth = sizes, colour, depth

    class Picky:
        def __init__(self, sizes):
            if not sizes:
                raise ValueError("sizes is empty")
            raise ValueError("sizes do not fit:\n  one line each")

    class Broken:
        def __init__(self):
            raise RuntimeError("not of the config's making")

    class Missing:
        def __init__(self):
            raise ConfigError("data/: no such folder")

    @staticmethod
    def scaled(output, target, scale=1):
        return (output - target) * scale


def document(**section):
    return Document(section, {("part",): "config.json:3:5", ("part", "type"): "config.json:4:9"}, "config.json")


def box(args, *positional, **kwargs):
    return build(document(part={"type": "Box", "args": args}), ("part",), Zoo, positional, kwargs)


def fault(function, *arguments):
    with pytest.raises(ConfigError) as caught:
        function(*arguments)
    assert len(str(caught.value).splitlines()) == 1, str(caught.value)
    return str(caught.value)


def test_an_object_gets_the_codes_arguments_and_those_of_the_config():
    built = box({"colour": "blue"}, 1, 2, depth=3)
    assert (built.sizes, built.colour, built.depth) == ((1, 2), "blue", 3)


def test_an_argument_that_the_config_gives_as_auto_is_left_to_the_code():
    assert box({"depth": "auto"}, depth=7).depth == 7


def test_an_argument_that_both_config_and_code_give_is_refused():
    line = fault(lambda: box({"depth": 2}, depth=3))
    assert line == "config.json:3:5: part.args.depth: is set by the code; leave it out"


def test_what_is_built_cannot_change_the_config():
    config = document(part={"type": "Box", "args": {"colour": ["red"]}})
    build(config, ("part",), Zoo, (), {}).colour.append("blue")
    assert config.tree["part"]["args"]["colour"] == ["red"]


def test_args_may_be_left_out_or_null():
    assert build(document(part={"type": "Box"}), ("part",), Zoo, (), {}).depth == 1
    assert box(None).depth == 1


def test_a_constructors_error_is_one_line_at_the_sections_place_with_the_line_of_code():
    config = document(part={"type": "Picky", "args": {"sizes": []}})
    line = fault(build, config, ("part",), Zoo, (), {})
    assert line.startswith("config.json:3:5: part: Picky: sizes is empty (")
    assert "test_building.py:" in line


def test_a_constructors_error_of_several_lines_becomes_one():
    config = document(part={"type": "Picky", "args": {"sizes": [1]}})
    line = fault(build, config, ("part",), Zoo, (), {})
    assert line.startswith("config.json:3:5: part: Picky: sizes do not fit: one line each (")


def test_an_argument_that_is_missing_is_told_with_where_the_class_is_not_with_our_own_code():
    line = fault(build, document(part={"type": "Picky"}), ("part",), Zoo, (), {})
    assert line.startswith("config.json:3:5: part: Picky: ")
    assert "'sizes'" in line
    assert "settings/building.py" not in line


def test_any_error_of_a_constructor_is_one_line_with_its_kind_and_where_it_was_raised():
    line = fault(build, document(part={"type": "Broken"}), ("part",), Zoo, (), {})
    assert line.startswith("config.json:3:5: part: Broken: RuntimeError: not of the config's making (")
    assert "test_building.py:" in line


def test_the_development_mode_of_python_shows_the_whole_traceback():
    program = (
        "from settings.building import build\nfrom settings.document import Document\n"
        "import tests.settings.test_building as here\n"
        "build(Document({'part': {'type': 'Broken'}}), ('part',), here.Zoo, (), {})"
    )
    done = subprocess.run([sys.executable, "-X", "dev", "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert "RuntimeError: not of the config's making" in done.stderr
    assert "ConfigError" not in done.stderr


def test_a_config_error_of_a_constructor_gets_the_place_of_its_section():
    line = fault(build, document(part={"type": "Missing"}), ("part",), Zoo, (), {})
    assert line == "config.json:3:5: part: data/: no such folder"


def test_a_section_that_names_nothing_or_something_unknown_is_refused():
    assert fault(build, document(part=3), ("part",), Zoo, (), {}) == (
        'config.json:3:5: part: write {"type": NAME, "args": {...}}'
    )
    assert fault(build, document(part={"type": "Bxo"}), ("part",), torch.nn, (), {}).startswith(
        "config.json:4:9: part.type: no 'Bxo' in torch.nn; "
    )


def test_a_section_that_is_not_there_is_refused_in_one_line():
    assert "'part'" in fault(build, document(), ("part",), Zoo, (), {})


def test_a_function_keeps_its_name_with_arguments_fixed_and_is_itself_without():
    fixed = fix(document(part={"type": "scaled", "args": {"scale": 3}}), ("part",), Zoo, (5,), {})
    assert fixed(3) == 6
    assert fixed.__name__ == "scaled"
    assert fix(document(part="scaled"), ("part",), Zoo, (), {}) is Zoo.scaled


def test_a_loss_is_a_function_with_its_arguments_or_the_object_of_a_class_under_its_name():
    functional = (Zoo, torch.nn.functional, torch.nn)
    smooth = {"type": "CrossEntropyLoss", "args": {"label_smoothing": 0.1}}
    built = build_callable(document(part=smooth), ("part",), functional)
    assert (built.label_smoothing, built.__name__) == (0.1, "CrossEntropyLoss")
    section = {"type": "mse_loss", "args": {"reduction": "sum"}}
    fixed = build_callable(document(part=section), ("part",), functional)
    assert fixed(torch.zeros(3), torch.ones(3)).item() == 3
    assert fixed.__name__ == "mse_loss"
    assert build_callable(document(part=["scaled"]), ("part", 0), functional) is Zoo.scaled


def test_one_module_is_as_good_as_several_and_a_path_leads_into_lists():
    assert several(Zoo) == (Zoo,)
    assert several([Zoo, torch]) == (Zoo, torch)
    assert value_at({"a": [{"b": 1}]}, ("a", 0, "b")) == 1
