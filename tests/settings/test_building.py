"""build, fix and build_callable: from a section to what it names."""

import copy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

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


class Head(torch.nn.Module):
    def __init__(self, backbone: torch.nn.Module, layers: list, scale: tuple[float, float] = (1, 1)) -> None:
        super().__init__()
        self.backbone, self.layers, self.scale = backbone, layers, scale


class Loader:
    def __init__(self, transform: list | None = None, collate_fn: Callable | None = None, options: dict | None = None):
        self.transform, self.collate_fn, self.options = transform, collate_fn, options


def pad(batch, value: int = 0) -> list:
    return [*batch, value]


HERE = sys.modules[__name__]


def built(section: str, value: Any, *args: Any) -> Any:
    return build(Document({section: value}, name="config.json"), (section,), HERE, args, {})


def test_objects_inside_args_are_built_at_any_depth():
    relu, linear = {"type": "torch.nn.ReLU"}, {"type": "torch.nn.Linear", "args": {"in_features": 2, "out_features": 3}}
    inner = {"type": "Head", "args": {"backbone": relu, "layers": []}}
    head = built(
        "arch", {"type": "Head", "args": {"backbone": inner, "layers": [[relu], {"x": linear}, 5], "scale": [2, 3]}}
    )
    assert isinstance(head.backbone.backbone, torch.nn.ReLU)
    assert isinstance(head.layers[0][0], torch.nn.ReLU)
    assert head.layers[1]["x"].weight.shape == (3, 2)
    assert head.layers[2] == 5
    assert head.scale == (2, 3)


def test_the_tree_is_left_as_it_was_and_may_be_built_again():
    value = {"type": "Head", "args": {"backbone": {"type": "torch.nn.ReLU"}, "layers": [1]}}
    before = copy.deepcopy(value)
    assert built("arch", value).backbone is not built("arch", value).backbone
    assert value == before


def test_a_function_inside_args_is_given_not_called_with_its_arguments_fixed():
    loader = built("data_loader", {"type": "Loader", "args": {"collate_fn": {"type": "pad", "args": {"value": 7}}}})
    assert loader.collate_fn([1]) == [1, 7]
    assert built("data_loader", {"type": "Loader", "args": {"collate_fn": {"type": "pad"}}}).collate_fn is pad


def test_a_function_that_says_what_it_builds_is_called():
    spec = {"type": "torchvision.models.get_model", "args": {"name": "squeezenet1_0", "num_classes": 3}}
    head = built("arch", {"type": "Head", "args": {"backbone": spec, "layers": []}})
    assert type(head.backbone).__name__ == "SqueezeNet"


def test_a_plain_object_stays_one_where_the_argument_is_one():
    options = {"type": "anything", "args": {"x": 1}}
    assert built("data_loader", {"type": "Loader", "args": {"options": options}}).options == options


def test_a_list_of_transforms_is_built_in_order():
    transforms = [
        {"type": "torchvision.transforms.v2.Resize", "args": {"size": [8, 8]}},
        {"type": "torchvision.transforms.ToTensor"},
    ]
    loader = built("data_loader", {"type": "Loader", "args": {"transform": transforms}})
    assert [type(item).__name__ for item in loader.transform] == ["Resize", "ToTensor"]


def test_a_loss_takes_a_weight_as_numbers_or_as_a_tensor():
    for weight in ([1, 2.5], {"type": "torch.tensor", "args": {"data": [1, 2.5]}}):
        loss = {"type": "CrossEntropyLoss", "args": {"weight": weight}}
        made = build_callable(Document({"loss": loss}), ("loss",), torch.nn.modules.loss)
        assert made.weight.tolist() == [1, 2.5]


def test_schedules_inside_a_schedule_get_the_optimizer_too():
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    schedulers = [
        {"type": "ConstantLR", "args": {"factor": 0.5, "total_iters": 2}},
        {"type": "torch.optim.lr_scheduler.ExponentialLR", "args": {"gamma": 0.9}},
    ]
    section = {"type": "SequentialLR", "args": {"schedulers": schedulers, "milestones": [2]}}
    made = build(Document({"lr_scheduler": section}), ("lr_scheduler",), torch.optim.lr_scheduler, (optimizer,), {})
    assert [type(part).__name__ for part in made._schedulers] == ["ConstantLR", "ExponentialLR"]
    assert made._schedulers[1].optimizer is optimizer


def test_what_goes_wrong_inside_is_told_there():
    section = {"type": "Head", "args": {"backbone": {"type": "torch.nn.Linear", "args": {"in_features": -1}}}}
    document = Document({"arch": section}, {("arch", "args", "backbone"): "config.json:9:9"}, "config.json")
    line = fault(build, document, ("arch",), HERE, (), {})
    assert line.startswith("config.json:9:9: arch.args.backbone: Linear: ")
    assert "out_features" in line
    section["args"]["backbone"] = {"type": "os.system"}
    assert "arch.args.backbone.type: 'os.system'" in fault(build, document, ("arch",), HERE, (), {})
