"""Evaluates a checkpoint on the test part.

\b
python test.py -r saved/models/Digits/RUN               the best checkpoint of a run
python test.py -r saved/models/Digits/RUN/checkpoint-epoch10.pth
"""

import copy
import json
from typing import Any

import click

from parse_config import ConfigParser
from settings.lookup import find
from settings.sections import loss_parts
from settings.signatures import arguments_of
from utils import dist
from utils.errors import ConfigError
from utils.loader_arguments import TRAINING_ONLY


def main(config: ConfigParser) -> dict[str, Any]:
    """Evaluates the checkpoint on the test part; prints the numbers, writes them to test.json, and returns them."""
    import torch

    import data_loader.data_loaders as module_data
    import model.loss as module_loss
    import model.metric as module_metric
    import model.model as module_arch
    import trainer as module_trainer
    from logger.metrics_log import flatten, is_matrix
    from trainer.evaluate import evaluate
    from utils import checkpoint
    from utils.checkpoint_folder import is_run
    from utils.determinism import fix_algorithms, fix_threads
    from utils.device import prepare_device
    from utils.losses import one_loss
    from utils.memory import keep_freed_memory
    from utils.platform_files import write_whole
    from utils.precision import autocast
    from utils.run_facts import run_facts
    from utils.split_manifest import check_test_part

    if config.resume is None:
        raise ConfigError("no checkpoint: add -r RUN, a run's folder or one of its checkpoints")
    set_test_section(config, module_data)
    module_losses = (module_loss, torch.nn.functional, torch.nn.modules.loss)
    module_metrics = (module_metric, *module_losses[1:])
    config.check(
        data_loader=module_data,
        test_data_loader=module_data,
        arch=module_arch,
        loss=module_losses,
        metrics=module_metrics,
        trainer=module_trainer,
    )
    Trainer = config.named("trainer", module_trainer)
    options = Trainer.Options.of(config["trainer"])
    logger = config.get_logger("test", max(1, options.verbosity))

    # memory and device
    keep_freed_memory()
    fix_threads(options.threads)
    fix_algorithms(options.deterministic, tf32=options.tf32)
    device, _ = prepare_device(config.get("n_gpu"), config.device)
    dist.start(device)

    # data
    data_loader = config.init_obj("test_data_loader", module_data)
    note = config.resume.parent / "split.json"
    check_test_part(data_loader, config["test_data_loader"], note, bool(config.args.get("allow")))
    config.provide(run_facts(data_loader, Trainer.read_batch))

    # model
    state = checkpoint.read(config.resume)
    model = config.init_obj("arch", module_arch).to(device)
    checkpoint.load_state(model, state.get("ema", state["state_dict"]), "state_dict", config.resume)

    # loss and metrics
    criterion: Any = one_loss(config.init_callables("loss", module_losses), loss_parts(config["loss"]), device)
    if stored := state["extra"].get("criterion"):
        checkpoint.load_state(criterion, stored, "criterion", config.resume)
    metrics = config.init_callables("metrics", module_metrics)

    precision = autocast(options.amp, device)
    values = evaluate(model, criterion, metrics, data_loader, device, Trainer.read_batch, precision)
    n_samples = len(data_loader.sampler)
    result = {"checkpoint": config.resume.name, "step": state["step"], "n_samples": n_samples, "metrics": values}
    logger.info("%s, step %d, %d samples", config.resume, state["step"], n_samples)
    for name, value in flatten(values).items():
        logger.info("    %-15s: %s", name, "" if is_matrix(value) else f"{value:.6g}")
        for row in value if is_matrix(value) else ():
            logger.info("    %s", " ".join(f"{number:6g}" for number in row))
    if dist.is_main():
        beside = "test.json" if is_run(config.resume.parent) else f"{config.resume.name}.test.json"
        write_whole(config.resume.parent / beside, json.dumps(result, indent=4).encode())
    return values


def set_test_section(config: ConfigParser, module: Any) -> None:
    """Without a section `test_data_loader`, data_loader's with `training` false, all of it, and in order."""
    if "test_data_loader" in config or "data_loader" not in config:
        return
    section = copy.deepcopy(config["data_loader"])
    try:
        taken = arguments_of(find(section.get("type"), [module])).annotations
    except LookupError:
        return  # `check` says what is wrong
    if "training" not in taken:
        raise ConfigError(
            f"{config.where('data_loader', 'type')}: data_loader.type: {section['type']} has no argument 'training' "
            "to make the test part with; add a section test_data_loader"
        )
    args = {key: value for key, value in section.get("args", {}).items() if key not in TRAINING_ONLY}
    if "valid_collate_fn" in args:
        args["collate_fn"] = args.pop("valid_collate_fn")
    whole = {"training": False, "shuffle": False, "validation_split": 0.0, "drop_last": False}
    section["args"] = args | {key: value for key, value in whole.items() if key in taken}
    config.config["test_data_loader"] = section


if __name__ == "__main__":
    main(ConfigParser.from_args(click.Command("test", help=__doc__), best=True))
    dist.stop()
