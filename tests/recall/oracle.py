"""Who could be recognised: the engine asked about the frames themselves, whatever a tracker would have sent.

In: the truth of a set, its recordings, an engine that knows who is enrolled. Out: for every visit of an enrolled person
in how many of its frames, of those tried, the engine names that person. A visit without any is not recognisable.
"""

import json
import math
from pathlib import Path

import cv2
import numpy as np

from program import Engine, engine
from truth import USABLE_PX, key

# Frames of a visit that are tried, spread over it; all of them where the engine knows nobody in these.
TRIED = 12


def recognisable(truth: dict, folder: Path, program: Path, tell=print) -> dict[str, list[int]]:
    """Frames in which the person is named and frames tried, by the visit's key; computed once for a set."""
    kept = folder / "recognisable.json"
    if kept.exists():
        return json.loads(kept.read_text())
    found = {}
    with engine(program) as running:
        photos = {name: [folder / file for file in files] for name, files in truth["enrolled"].items()}
        names = running.enrol(photos)
        for lane in truth["lanes"]:
            tell(f"who could be recognised in {lane['file']}")
            pictures = read(folder / lane["file"], wanted(lane["visits"]))
            for visit in filter(lambda visit: visit["enrolled"], lane["visits"]):
                found[key(visit)] = look(running, names, visit, pictures)
    kept.write_text(json.dumps(found, indent=1))
    return found


def usable(visit: dict) -> list[int]:
    """The frames in which the face is tall enough, but for those the person is enrolled from."""
    shown = {int(number): box for number, box in visit["boxes"].items()}
    return [number for number, box in sorted(shown.items()) if box[3] >= USABLE_PX and number not in visit["spared"]]


def wanted(visits: list[dict]) -> set[int]:
    return {number for visit in visits if visit["enrolled"] for number in usable(visit)}


def read(recording: Path, numbers: set[int]) -> dict[int, bytes]:
    """These frames of a recording, as JPEG."""
    capture, pictures, number = cv2.VideoCapture(str(recording)), {}, 0
    while capture.grab():
        if number in numbers:
            picture = capture.retrieve()[1]
            pictures[number] = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()
        number += 1
    return pictures


def look(running: Engine, names: dict[str, str], visit: dict, pictures: dict[int, bytes]) -> list[int]:
    """Frames in which the engine names the person, and frames tried."""
    frames = usable(visit)
    spread = frames[:: max(1, math.ceil(len(frames) / TRIED))]
    for tried, ways in ((spread, (whole,)), (frames, (whole, upright))):
        right = sum(any(way(running, names, visit, pictures[it], it) for way in ways) for it in tried)
        if right:
            break
    return [right, len(tried)]


def whole(running: Engine, names: dict[str, str], visit: dict, jpeg: bytes, frame: int) -> bool:
    """Whether the engine names the person, shown the frame as it is."""
    middle, height = centre(visit["boxes"][str(frame)])
    near = [
        names.get(person) == visit["person"]
        for box, person in running.faces(jpeg)
        if math.dist(centre(box)[0], middle) < 0.6 * height
    ]
    return any(near)


def upright(running: Engine, names: dict[str, str], visit: dict, jpeg: bytes, frame: int) -> bool:
    """Whether the engine names the person, shown the face alone and turned upright."""
    (x, y), height = centre(visit["boxes"][str(frame)])
    picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    side = int(2 * height)
    matrix = cv2.getRotationMatrix2D((x, y), visit["tilt"], 1.0)
    matrix[:, 2] += (side / 2 - x, side / 2 - y)
    face = cv2.warpAffine(picture, matrix, (side, side), borderMode=cv2.BORDER_REPLICATE)
    crop = cv2.imencode(".jpg", face, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()
    return any(names.get(person) == visit["person"] for _, person in running.faces(crop))


def centre(box) -> tuple[tuple[float, float], float]:
    """The middle of a box, and its height."""
    return (box[0] + box[2] / 2, box[1] + box[3] / 2), box[3]
