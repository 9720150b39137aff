"""Which samples train, validate and test, and a fingerprint of the data: what a run stays with."""

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np

from utils import dist
from utils.datasets import (
    Samples,
    classes_of,
    fingerprint_of,
    hash_of,
    identities_of,
    length_of,
    numbers_of,
    samples_of,
    tensors_of,
    whole_dataset,
)
from utils.errors import UserError
from utils.leaks import warn_of_leaks
from utils.platform_files import write_whole

TRAINED_ON = ("data", "folders", "train", "valid", "identities")  # the keys of `split.json` that tell it


class SplitManifest:
    """The samples of both parts by number and identity, for `split.json`, and hashes of them for the checkpoints.

    What leaks from one part into the other is warned of.

    :param may_change: a run may go on with other data or other parts
    """

    def __init__(self, data_loader: Any, valid_data_loader: Any, may_change: bool = False) -> None:
        warn_of_leaks(data_loader, valid_data_loader)
        loaders = {"train": data_loader, "valid": valid_data_loader}
        self.samples = {name: samples_of(loader) for name, loader in loaders.items() if loader is not None}
        self._hashes = {name: hash_of(_bytes_of(samples)) for name, samples in self.samples.items()}
        datasets = {name: whole_dataset(loaders[name]) for name in self.samples}
        known = {_key(dataset): dataset for dataset in datasets.values()}  # often both parts are of one
        identities = {key: identities_of(dataset) for key, dataset in known.items()}
        fingerprints = {key: fingerprint_of(dataset, identities[key]) for key, dataset in known.items()}
        self.data = {name: fingerprints[_key(dataset)] or _count(dataset) for name, dataset in datasets.items()}
        self.folders = {name: _folder(dataset) for name, dataset in datasets.items()}
        named = {name: _of_part(identities[_key(dataset)], self.samples[name]) for name, dataset in datasets.items()}
        self.identities = {name: texts for name, texts in named.items() if texts is not None}
        self.classes = classes_of(data_loader)
        self.may_change = may_change

    def write(self, path: Path, resumed: Path | None = None) -> None:
        """Writes which samples train and which validate, where the loaders tell, and what `path` has noted before:
        what was trained on earlier, and the last test.

        :param resumed: a checkpoint; what the `split.json` beside it tells trained the model earlier too
        """
        places = [path] if resumed is None else [path, resumed.with_name(path.name)]
        noted = next((_read(place) for place in places if place.is_file()), {})
        parts = {name: _written(samples) for name, samples in self.samples.items() if samples is not None}
        own = {"data": self.data, "folders": self.folders, "identities": self.identities, **parts}
        last = {key: noted[key] for key in TRAINED_ON if key in noted}
        earlier = noted.get("earlier", [])
        if last and last not in (own, *earlier):
            earlier = [*earlier, last]
        test = {"test": noted["test"]} if "test" in noted and path.is_file() else {}  # of another run it says nothing
        write_whole(path, json.dumps(own | {"classes": self.classes, "earlier": earlier} | test).encode())

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint holds: hashes."""
        return {"data": self.data, "samples": self._hashes}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Compares with the run's; UserError where its data or its parts are others."""
        own = self.state_dict()
        changed = [f"the data of {name}" for name, value in own["data"].items() if state["data"].get(name) != value]
        changed += [
            f"which samples {name}" for name, value in own["samples"].items() if state["samples"].get(name) != value
        ]
        if changed and not self.may_change:
            raise UserError(
                f"not what the run has trained on: {', '.join(changed)}; put it back, go on all the same with --allow, "
                "or start a new run from the weights: -r CHECKPOINT -c CONFIG"
            )


def check_test_part(loader: Any, section: Any, path: Path, allowed: bool) -> None:
    """Sees to it that a test is one, by the `split.json` of the run, and notes there what it is made on.

    UserError, or with `allowed` a warning, for samples that trained or validated the model, for images divided anew
    since, and for another test part than before from the same section of the config.
    """
    samples, dataset = samples_of(loader), whole_dataset(loader)
    if samples is None or not path.is_file():
        return
    split, identities, folder = _read(path), identities_of(dataset), _folder(dataset)
    fingerprint, names = fingerprint_of(dataset, identities), _of_part(identities, samples)
    tested = {"data": fingerprint or _count(dataset), "section": hash_of(repr(section).encode())}
    tested["samples"] = _written(samples)
    used = np.zeros(len(samples), dtype=bool)
    for parts in (split, *split.get("earlier", [])):
        # train/CLASS/1.png and test/CLASS/1.png are two images; the folder may have been moved
        for part in (name for name, place in parts["folders"].items() if Path(place).name == Path(folder).name):
            if names is not None and part in parts["identities"]:
                used |= _among(names, parts["identities"][part])
            elif part in parts and parts["data"].get(part) == fingerprint:  # never where there is none
                used |= np.isin(numbers_of(samples), numbers_of(_read_samples(parts[part])))
    before, problems = split.get("test", {}), []
    if (classes := classes_of(loader)) and split.get("classes") and classes != split["classes"]:
        problems.append(f"its classes are {classes}, and those that were trained on {split['classes']}")
    if used.any():
        problems.append(f"{used.sum()} of {len(samples)} test samples trained or validated this model")
    if folder and folder in split["folders"].values() and tested["data"] not in split["data"].values():
        problems.append(f"{folder} has changed since the run began, and with it which samples are for testing")
    if before.get("section") == tested["section"] and before != tested:
        problems.append("the test part is another one than that of the last test")
    if problems and not allowed:
        raise UserError(f"{'; '.join(problems)}; put it back, or test all the same with --allow")
    for problem in problems:
        logging.getLogger("test").warning(problem)
    if dist.is_main():
        write_whole(path, json.dumps(split | {"test": tested}).encode())


def _count(dataset: Any) -> str:
    """What stands for a fingerprint where there is none; two datasets may have the same."""
    length = length_of(dataset)
    return f"{type(dataset).__name__} of {'unknown length' if length is None else length}"


def _key(dataset: Any) -> tuple[int, ...]:
    """Another one for a dataset of other tensors, or for another object where it has none."""
    return tuple(map(id, tensors_of(dataset))) or (id(dataset),)


def _of_part(identities: list[str] | None, samples: Samples | None) -> list[str] | None:
    return None if identities is None or samples is None else [identities[index] for index in samples]


def _among(texts: list[str], others: list[str]) -> np.ndarray:
    """Whether each text is one of the others: bool [texts]."""
    known = set(others)
    return np.array([text in known for text in texts], dtype=bool)


def _bytes_of(samples: Samples | None) -> bytes:
    return samples.tobytes() if isinstance(samples, np.ndarray) else repr(samples).encode()


def _written(samples: Samples) -> Any:
    """As `split.json` has it: consecutive numbers as the first and the one behind the last."""
    return {"from": samples.start, "to": samples.stop} if isinstance(samples, range) else samples.tolist()


def _read_samples(written: Any) -> Samples:
    return range(written["from"], written["to"]) if isinstance(written, dict) else numbers_of(written)


def _read(path: Path) -> dict[str, Any]:
    """What a `split.json` says; UserError where it is not one."""
    try:
        split = json.loads(path.read_bytes())
        for parts in (split, *split.get("earlier", [])):
            _must_be_parts(parts)
        if isinstance(split.get("test", {}), dict):
            return split
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
        pass
    raise UserError(f"{path}: damaged; delete it to go on without")


def _must_be_parts(parts: dict[str, Any]) -> None:
    """Raises what reading others raises."""
    "".join((*parts["data"].values(), *parts["folders"].values()))
    for texts in parts["identities"].values():
        set(texts)
    for name in {"train", "valid"} & parts.keys():
        _read_samples(parts[name])


def _folder(dataset: Any) -> str:
    """Where the files of a dataset are, if it has files."""
    return str(getattr(dataset, "root", "")) if hasattr(dataset, "samples") else ""
