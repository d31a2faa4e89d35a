"""Faces as cameras see them: photographs of people and frames of recordings, made worse in one known way or two.

In: who there is (`tests/recall/people.py`, `scenes.py`), the program, which finds the faces. Out: pictures of one face
each, on disk, with who it is, what was done to it and which half of the people it belongs to; and pictures to enrol
from. The same ones every time. It knows neither quality nor recognition.
"""

import math
import random
import zlib
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from people import COLLAGE, COLLAGE_STRANGER, JOHNS, Cast, Person, Photo
from render import Faces, centre, recording
from scenes import CLIP_PEOPLE, Scene, recordings

# Two halves of the people, nobody in both: what is found on one is checked on the other. In the recordings `man` is
# one of their own.
HALVES = (
    ("John_Salley", "John_Simm", "John_Savage", "diesel", "left", "middle"),
    ("John_Schneider", "John_Shimkus", "rock", "willis", "statham", "right", "man"),
)
# Strangers to `make recall` are enrolled here from as many photographs as the others: the first and the last.
TWO = (0, -1)
# The width and height of every picture made of a photograph; a face of 120 px has room in it with what surrounds it.
SIZE = (400, 360)
# The heights of faces, pixels: from what no model recognises to what none gains by.
HEIGHTS = (20, 24, 28, 32, 36, 40, 44, 48, 52, 56, 60, 68, 76, 90, 105, 120)
# What is done to one photograph: so many pictures of each.
EACH = 48
# Of the frames of a recording, which are much alike.
EVERY = 3


@dataclass(frozen=True)
class Sample:
    """One picture, and what is to be known of it."""

    file: str
    person: str
    # 0 or 1, see `HALVES`.
    half: int
    # The photograph or the recording it was made from.
    source: str
    # Where the middle of the face is, and its height, pixels: what else is found is no face of this person.
    at: tuple[float, float]
    height: float
    # What was done, for people.
    made: tuple[str, ...]


# Each takes a picture (float32), the face's height in it, and how bad it is to be, 0 to 1.


def defocused(picture, height, bad, numbers):
    """A lens that is focused elsewhere: a disc of up to 7 % of the face's height in radius."""
    radius = max(0.01 * height, bad * 0.07 * height)
    side = 2 * math.ceil(radius) + 1
    across = np.arange(side) - side // 2
    away = np.hypot(*np.meshgrid(across, across))
    disc = np.clip(radius + 0.5 - away, 0, 1)
    return cv2.filter2D(picture, -1, (disc / disc.sum()).astype(np.float32))


def shaken(picture, height, bad, numbers):
    """Motion: a line of up to 22 % of the face's height."""
    length = max(1.0, bad * 0.22 * height)
    side = 2 * math.ceil(length / 2) + 1
    line, turn = np.zeros((side, side), np.float32), numbers.uniform(0, math.pi)
    for at in np.linspace(-length / 2, length / 2, 8 * side):
        line[round(side // 2 + at * math.sin(turn)), round(side // 2 + at * math.cos(turn))] += 1
    return cv2.filter2D(picture, -1, line / line.sum())


def dimmed(picture, height, bad, numbers):
    """Too little light for the sensor, down to a fortieth."""
    return picture * 0.5 * 0.05**bad


def overexposed(picture, height, bad, numbers):
    """Too much: up to five times what the sensor can tell apart."""
    return picture * (1.4 + 3.6 * bad) + 60 * bad


def fogged(picture, height, bad, numbers):
    """Fog, glare, a dirty dome: contrast down to a fiftieth."""
    level = numbers.uniform(90, 220)
    return level + (picture - level) * 0.6 * 0.033**bad


def backlit(picture, height, bad, numbers):
    """A bright window behind whoever stands there, and haze from it over the face."""
    rows, columns = np.mgrid[: picture.shape[0], : picture.shape[1]].astype(np.float32)
    middle = (SIZE[0] / 2, SIZE[1] / 2)
    away = np.hypot((columns - middle[0]) / (0.52 * height), (rows - middle[1]) / (0.68 * height))
    behind = np.clip((away - 1.0) / 0.1, 0, 1)[:, :, None]
    dark = picture * (0.5 * 0.06**bad) + 25 * bad
    return dark + behind * (250 - dark)


def grainy(picture, height, bad, numbers):
    """A sensor at its limit: noise of a standard deviation of up to 45 of 255."""
    return picture + numbers.normal(0, 5 + 40 * bad, picture.shape)


def enlarged(picture, height, bad, numbers):
    """A camera that promises more pixels than its sensor has: down to a fifth, and back."""
    share = 0.75 - 0.55 * bad
    small = cv2.resize(picture, None, fx=share, fy=share, interpolation=cv2.INTER_AREA)
    return cv2.resize(small, (picture.shape[1], picture.shape[0]), interpolation=cv2.INTER_CUBIC)


DEFECTS = (defocused, shaken, dimmed, overexposed, fogged, backlit, grainy, enlarged)


def everybody(cast: Cast) -> dict[str, tuple[tuple[Photo, ...], tuple[Photo, ...]]]:
    """The photographs each person is enrolled from, and those they are shown by, by their names."""
    people = {person.name: person for person in cast.people}
    wanted = {*JOHNS, *COLLAGE, "statham"} & set(people)
    return {name: split(people[name]) for name in sorted(wanted)}


def split(person: Person) -> tuple[tuple[Photo, ...], tuple[Photo, ...]]:
    if person.enrolled:
        return person.enrolled, person.shown
    enrolled = tuple(person.shown[number] for number in TWO)
    return enrolled, tuple(photo for photo in person.shown if photo not in enrolled)


def make(cast: Cast, program: Path, folder: Path) -> tuple[list[Sample], dict[str, list[str]]]:
    """Writes all pictures below `folder`; gives them, and those to enrol from by the person's name."""
    faces = Faces(program)
    people = everybody(cast)
    faces.look([photo.file for photos in people.values() for some in photos for photo in some])
    samples, enrolled = [], {}
    for name, (for_enrolment, shown) in people.items():
        files = [folder / f"enrol-{name}-{number}.png" for number in range(len(for_enrolment))]
        enrolled[name] = [passport(faces, photo, file) for photo, file in zip(for_enrolment, files)]
        for number, photo in enumerate(shown):
            samples += worse(name, f"{name}-{number}", faces.cut(photo), folder)
    if cast.video:
        samples += from_recordings(cast, faces, folder, enrolled)
    return samples, enrolled


def half_of(name: str) -> int:
    return next(half for half, names in enumerate(HALVES) if name in names)


def passport(faces: Faces, photo: Photo, file: Path) -> str:
    """The face of a photograph with what surrounds it, as it is."""
    cv2.imwrite(str(file), around(cv2.imread(str(photo.file)), faces.box(photo), 0.9, 1.0)[0])
    return file.name


def worse(name: str, source: str, cut, folder: Path) -> list[Sample]:
    """One photograph in many sizes, each with no defect, one, or two of half the strength."""
    samples = []
    for number in range(EACH):
        seed = zlib.crc32(f"{source} {number}".encode())
        numbers, chance = np.random.default_rng(seed), random.Random(seed)
        height = HEIGHTS[(number * 7 + seed) % len(HEIGHTS)]
        many = (0, 1, 1, 1, 2)[number % 5]
        # With so much wrong already, small faces would be missed for their size alone.
        if many and chance.random() < 0.6:
            height = max(height, 56)
        chosen = chance.sample(DEFECTS, many)
        outside = chance.uniform(0.05, 0.55) if number % 6 == 5 else 0.0
        picture = placed(cut, height, chance, numbers)
        made = [f"{height} px"]
        for defect in chosen:
            bad = chance.uniform(0, 1 if many == 1 else 0.6)
            picture = defect(picture, height, bad, numbers).astype(np.float32)
            made.append(f"{defect.__name__} {bad:.2f}")
        if outside:
            made.append(f"cut {outside:.2f}")
            picture = picture[:, : int(SIZE[0] / 2 + (0.5 - outside) * 0.8 * height)]
        picture = picture + numbers.normal(0, 2.5, picture.shape)
        jpeg = chance.choice((90, 90, 75, 50, 30, 15))
        made.append(f"JPEG {jpeg}")
        file = f"{source}-{number}.jpg"
        cv2.imwrite(str(folder / file), np.clip(picture, 0, 255).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, jpeg])
        middle = (SIZE[0] / 2, SIZE[1] / 2)
        samples.append(Sample(file, name, half_of(name), source, middle, height, tuple(made)))
    return samples


def placed(cut, height: float, chance: random.Random, numbers) -> np.ndarray:
    """The face at this height in the middle of a grey hall, a little tilted. float32."""
    pixels, cover, (x, y), before = cut
    scale = height / before
    if scale < 0.5:
        # A pixel must not jump over others.
        shrunk = lambda it: cv2.resize(it, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        pixels, cover = shrunk(pixels), shrunk(cover)
        x, y, scale = x * scale, y * scale, 1.0
    matrix = cv2.getRotationMatrix2D((x, y), chance.uniform(-8, 8), scale)
    matrix[:, 2] += (SIZE[0] / 2 - x, SIZE[1] / 2 - y)
    face = cv2.warpAffine(pixels, matrix, SIZE, borderMode=cv2.BORDER_REPLICATE)
    share = cv2.warpAffine(cover, matrix, SIZE)[:, :, None]
    hall = cv2.resize(numbers.uniform(70, 190, (3, 4, 3)).astype(np.float32), SIZE, interpolation=cv2.INTER_CUBIC)
    return hall + share * (face - hall)


def from_recordings(cast: Cast, faces: Faces, folder: Path, enrolled: dict) -> list[Sample]:
    """The people of the recordings, in every so many of their frames, but for those they are enrolled from."""
    samples = []
    for scene in recordings():
        clip = scene.clip.file
        for number, (picture, boxes) in enumerate(recording(cast.video, scene, faces)):
            for name, box in boxes.items():
                near, at = around(picture, box, 0.9, 1.0)
                stem = f"{name}-{scene.name.replace(' ', '-')}-{number}"
                if any((clip, number) == (file, frame) for file, frame, _ in CLIP_PEOPLE.get(name, ())):
                    # The low quality recording shows the same once more.
                    if scene.quality == Scene.quality:
                        cv2.imwrite(str(folder / f"enrol-{stem}.png"), near)
                        enrolled.setdefault(name, []).append(f"enrol-{stem}.png")
                elif number % EVERY == 0:
                    cv2.imwrite(str(folder / f"{stem}.jpg"), near, [cv2.IMWRITE_JPEG_QUALITY, 95])
                    made = ("recording", f"{box[3]:.0f} px")
                    samples.append(Sample(f"{stem}.jpg", name, half_of(name), scene.name, at, box[3], made))
    return samples


def around(picture: np.ndarray, box, wide: float, tall: float) -> tuple[np.ndarray, tuple[float, float]]:
    """A face with what surrounds it, so many heights to each side of its middle; and where the middle is in that."""
    (x, y), height = centre(box), box[3]
    left, top = max(int(x - wide * height), 0), max(int(y - tall * height), 0)
    return picture[top : int(y + tall * height), left : int(x + wide * height)], (x - left, y - top)
