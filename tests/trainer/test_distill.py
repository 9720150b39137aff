"""DistillTrainer: a student learns from a teacher that is trained first, or comes from a checkpoint."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from trainer.distill import soft_loss

ROOT = Path(__file__).parents[2]


def test_the_student_learns_from_a_teacher_that_is_trained_first(train_config: Callable, tested: Callable) -> None:
    run = train_config("distill", "trainer.epochs=12", "teacher.epochs=8", "trainer.alpha=1")  # the labels do not count
    assert "Training the teacher for 8 epochs" in run.said
    said = next(line for line in run.said.splitlines() if line.startswith("The teacher: "))
    assert float(said.split()[-1]) > 0.9
    assert run.epochs[-1]["val_accuracy"] > 0.8
    assert tested(run.models)["accuracy"] > 0.8


def test_a_teacher_from_a_checkpoint_is_its_averaged_model_stays_as_it_is_and_goes_with_the_run(
    digits_config: dict[str, Any], tmp_path: Path, train_config: Callable, run_command: Callable
) -> None:
    digits_config["trainer"] |= {"ema_decay": 0.9}
    (tmp_path / "config.json").write_text(json.dumps(digits_config))
    assert run_command("train.py", "-c", tmp_path / "config.json", "--run-id", "teacher").returncode == 0
    file = tmp_path / "models" / "Digits" / "teacher" / "model_best.pth"
    taught = torch.load(file, weights_only=True)
    run = train_config("distill", "~teacher.epochs", f"+teacher.checkpoint={file}", "trainer.epochs=1")
    assert "The teacher: " in run.said
    kept = torch.load(run.models / "checkpoint-last.pth", weights_only=True)["extra"]["teacher"]
    assert not torch.equal(taught["ema"]["linear.weight"], taught["state_dict"]["linear.weight"])
    torch.testing.assert_close(kept, dict(taught["ema"]), rtol=0, atol=0, check_dtype=True)
    file.unlink()
    gone_on = run_command("train.py", "-r", run.models, "-s", "trainer.epochs=2")
    assert gone_on.returncode == 0, gone_on.stderr
    assert "The teacher: " not in gone_on.stdout
    kept_on = torch.load(run.models / "checkpoint-last.pth", weights_only=True)["extra"]["teacher"]
    torch.testing.assert_close(kept_on, kept, rtol=0, atol=0)


@pytest.mark.parametrize("options", [("clip_grad_norm=0.5", "ema_decay=0.8", "amp=bfloat16"), ("accumulation=3",)])
def test_without_the_teachers_part_all_is_as_with_the_trainer(options: tuple[str, ...], train_config: Callable) -> None:
    sgd = ("~lr_scheduler", 'optimizer={"type": "SGD", "args": {"lr": 0.1}}')  # with which the gradient's size counts
    data = ("data_loader.args.drop_last=false", "data_loader.args.batch_size=200")  # the last batch has 94 samples
    values = (*sgd, *data, "teacher.epochs=1", "trainer.epochs=4", *(f"trainer.{option}" for option in options))
    distilled = train_config("distill", *values, "trainer.alpha=0").epochs
    plain = train_config("distill", *values, "trainer.type=Trainer", run_id="plain").epochs
    for row, other in zip(distilled, plain, strict=True):
        assert {**row, "kind": 0} == pytest.approx({**other, "kind": 0}, rel=0.01)


def test_student_and_teacher_take_an_optimizer_of_the_projects_own(train_config: Callable) -> None:
    muon = 'optimizer={"type": "MuonAndAdamW"}'
    run = train_config("distill", "~lr_scheduler", muon, "teacher.epochs=1", "trainer.epochs=1", "trainer.limit=2")
    assert "The teacher: " in run.said


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_the_loss_has_the_gradient_of_the_papers(temperature: float) -> None:
    torch.manual_seed(0)
    output, taught = torch.randn(6, 10, requires_grad=True), torch.randn(6, 10)
    found = torch.autograd.grad(soft_loss(output, taught, temperature), output)[0]
    soft = F.cross_entropy(output / temperature, (taught / temperature).softmax(dim=1))
    torch.testing.assert_close(found, torch.autograd.grad(temperature**2 * soft, output)[0])
    assert soft_loss(taught, taught, temperature).item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (
            'teacher={"type": "DigitsModel", "checkpoint": "nowhere.pth"}',
            '-s teacher={"type": "DigitsModel", "checkpoint": "nowhere.pth"}: teacher: nowhere.pth: no such file',
        ),
        (
            'teacher={"type": "DigitsModel", "checkpoint": "configs"}',
            '-s teacher={"type": "DigitsModel", "checkpoint": "configs"}: teacher: configs: is a folder; give ',
        ),
        ("+teacher.checkpoint=a.pth", "configs/distill.json:13:9: teacher.epochs: leave it out: "),
        ("+teacher.chekpoint=a", "-s +teacher.chekpoint=a: teacher.chekpoint: unknown; did you mean 'checkpoint'?"),
        ("teacher.epochs=twenty", '-s teacher.epochs=twenty: teacher.epochs: "twenty" is not a whole number'),
        ("teacher.epochs=2.5", "-s teacher.epochs=2.5: teacher.epochs: 2.5 is not a whole number"),
        ("teacher.epochs=0", "-s teacher.epochs=0: teacher.epochs: must be 1 or more"),
        ("teacher.epochs=-1", "-s teacher.epochs=-1: teacher.epochs: must be 1 or more"),
        ("+teacher.args.chanels=2", "-s +teacher.args.chanels=2: teacher.args.chanels: DigitsModel takes no 'chanels'"),
        ("~teacher", "configs/distill.json:35:5: trainer: DistillTrainer needs the section 'teacher'"),
        ("teacher.type=DigitModel", "-s teacher.type=DigitModel: teacher.type: no 'DigitModel' in model.model"),
        ("trainer.temperature=0", "-s trainer.temperature=0: trainer.temperature: must be above 0"),
        ("trainer.alpha=2", "-s trainer.alpha=2: trainer.alpha: must be from 0 to 1"),
    ],
)
def test_what_cannot_be_is_one_line(value: str, said: str, tmp_path: Path, run_command: Callable) -> None:
    options = ("-s", value, "-s", f"trainer.save_dir={tmp_path / 'saved'}")
    refused = run_command("train.py", "-c", "configs/distill.json", *options)
    assert refused.returncode == 2
    assert refused.stderr.startswith(said)
    assert len(refused.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "saved").exists()
