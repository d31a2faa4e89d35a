"""What the program makes of pictures: each face's quality, and whether the person is recognised.

In: the program, pictures, who is in them. Out: a [`Measured`] of each face that is found. It draws no conclusions.
"""

import json
import math
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from faces import Sample

MODELS = ("mobilefacenet", "faceapi_resnet")


@dataclass(frozen=True)
class Measured:
    """A face that was found."""

    sample: Sample
    # As the program says it: `{"total": 0.8, "size": {"value": 60, "score": 0.6, "weight": 0.5}, …}`.
    quality: dict
    # By the model: whether it is as alike to an enrolled photograph as the model asks for.
    recognised: dict[str, bool]
    # By the model: how alike it is to each enrolled photograph of the person, and to each of everybody else.
    likeness: dict[str, tuple[list[float], list[float]]]


def run(program: Path, command: list[str], files: list[str], folder: Path) -> list[dict]:
    """The JSON lines of a command that goes through files of a folder; it may fail on some of them."""
    command = [program.resolve(), *command, "--json", *files]
    done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, check=False)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    if len(lines) != len(files):
        missing = f"after {len(lines)} of {len(files)} files"
        raise SystemExit(f"`doorward {command[1]}` ended with {done.returncode} {missing}")
    return lines


def measure(program: Path, folder: Path, samples: list[Sample], enrolled: dict[str, list[str]]) -> list[Measured]:
    """Every sample whose face is found, by both models."""
    photos = sorted({file for files in enrolled.values() for file in files})
    pictures = [sample.file for sample in samples]
    with ThreadPoolExecutor() as pool:
        looked = pool.submit(run, program, ["detect"], pictures, folder)
        jobs = {
            model: pool.submit(run, program, ["embed", "--model", model], [*photos, *pictures], folder)
            for model in MODELS
        }
        found, embedded = looked.result(), {model: job.result() for model, job in jobs.items()}
    vectors = {
        model: {line["file"]: line for line in lines if "embedding" in line} for model, lines in embedded.items()
    }
    for name, files in enrolled.items():
        if not any(file in vectors[model] for file in files for model in MODELS):
            raise SystemExit(f"no face is found in the photographs of {name} to enrol from")
    measured = []
    for sample, line in zip(samples, found):
        # `embed` takes the largest face.
        face = line["faces"][0] if line.get("faces") else None
        if face is None or not is_of(sample, face["box"]):
            continue
        pairs = {model: likeness(vectors[model], sample, enrolled) for model in MODELS}
        recognised = {model: any(taken(vectors[model], it) for it in own) for model, (own, _) in pairs.items()}
        measured.append(Measured(sample, face["quality"], recognised, pairs))
    return measured


def is_of(sample: Sample, box: list[float]) -> bool:
    middle = (box[0] + box[2] / 2, box[1] + box[3] / 2)
    return math.dist(middle, sample.at) < 0.6 * sample.height


def likeness(
    vectors: dict[str, dict], sample: Sample, enrolled: dict[str, list[str]]
) -> tuple[list[float], list[float]]:
    """How alike the face is to each enrolled photograph of its person, and to each of everybody else."""
    own, others = [], []
    if sample.file in vectors:
        line = vectors[sample.file]
        for name, photos in enrolled.items():
            known = [vectors[photo]["embedding"] for photo in photos if photo in vectors]
            alike = [compared(line["metric"], np.array(line["embedding"]), np.array(other)) for other in known]
            (own if name == sample.person else others).extend(alike)
    return own, others


def taken(vectors: dict[str, dict], value: float) -> bool:
    """Whether the model takes two faces so alike for one person's."""
    line = next(iter(vectors.values()))
    return value >= line["threshold"] if line["metric"] == "cosine" else value <= line["threshold"]


def compared(metric: str, one: np.ndarray, other: np.ndarray) -> float:
    """The cosine of two vectors, or their distance."""
    if metric == "cosine":
        return float(one @ other / (np.linalg.norm(one) * np.linalg.norm(other)))
    return float(np.linalg.norm(one - other))
