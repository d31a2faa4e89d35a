"""Pictures of people held to a camera, and the people themselves, made from photographs.

In: photographs, each with the box of a face. Out: for each kind of presentation the frames of a visit, as a camera of
640x480 would see it: who stands there, a telephone or a tablet that shows them, a print of them. It knows no model.
What it makes is made: a real screen before a real camera differs, and nothing here says how much.
"""

from dataclasses import dataclass
from typing import Callable, Iterator

import cv2
import numpy as np

WIDTH, HEIGHT = 640, 480
# Frames of a visit: as many as a guard looks at.
SHOTS = 3


@dataclass(frozen=True)
class Photo:
    """A photograph, blue-green-red, and the box of a face in it: left, top, width, height."""

    name: str
    picture: np.ndarray
    box: tuple[float, float, float, float]


def cut(photo: Photo, margin: float) -> np.ndarray:
    """The face with a margin of so many of its longer sides, as far as the photograph goes."""
    left, top, width, height = photo.box
    more = margin * max(width, height)
    x, y = max(0, int(left - more)), max(0, int(top - more))
    return photo.picture[y : int(top + height + more), x : int(left + width + more)]


def scene(rng: np.random.Generator) -> np.ndarray:
    """What is behind whoever stands there: a wall, light from a side, something with edges."""
    wall = np.full((HEIGHT, WIDTH, 3), rng.uniform(70, 170, 3), np.float32)
    wall *= np.linspace(rng.uniform(0.6, 1), rng.uniform(0.6, 1), WIDTH, dtype=np.float32)[None, :, None]
    for _ in range(6):
        x, y = rng.integers(0, WIDTH), rng.integers(0, HEIGHT)
        colour = tuple(float(value) for value in rng.uniform(30, 220, 3))
        end = (int(x + rng.integers(20, 200)), int(y + rng.integers(40, 400)))
        cv2.rectangle(wall, (int(x), int(y)), end, colour, -1)
    return cv2.GaussianBlur(wall, (0, 0), 2.5)


def camera(frame: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """What a cheap camera makes of it: a little blur, grain, a gain; and a JPEG of middling quality."""
    seen = cv2.GaussianBlur(frame, (0, 0), 0.6) * rng.uniform(0.85, 1.1)
    seen += rng.normal(0, 2.5, (HEIGHT, WIDTH, 1)) + rng.normal(0, 1.2, frame.shape)
    jpeg = cv2.imencode(".jpg", np.clip(seen, 0, 255).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, 88])[1]
    return cv2.imdecode(jpeg, cv2.IMREAD_COLOR)


def held(thing: np.ndarray, height: float, rng: np.random.Generator) -> np.ndarray:
    """A flat thing of this height in pixels, held a little askew before the scene."""
    rows, columns = thing.shape[:2]
    width = height * columns / rows
    middle = np.array([WIDTH / 2, HEIGHT / 2]) + rng.uniform(-30, 30, 2)
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * [width / 2, height / 2]
    corners = corners * rng.uniform(0.96, 1.04, (4, 2))
    turn = np.deg2rad(rng.uniform(-6, 6))
    corners = corners @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]]) + middle
    ends = np.array([[0, 0], [columns, 0], [columns, rows], [0, rows]], np.float32)
    # Nothing is averaged on the way: what the thing's pixels and the camera's make of each other (moire) stays.
    matrix = cv2.getPerspectiveTransform(ends, corners.astype(np.float32))
    warp = lambda image: cv2.warpPerspective(image, matrix, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR)
    mask = warp(np.ones((rows, columns), np.float32))[:, :, None]
    return camera(warp(thing) * mask + scene(rng) * (1 - mask), rng)


def person(photo: Photo, face_px: float, rng: np.random.Generator) -> np.ndarray:
    """Somebody who stands there, with what the photograph shows around them; it goes on as a mirror where it ends."""
    left, top, width, height = photo.box
    scale = face_px / height * rng.uniform(0.95, 1.05)
    flags = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    seen = cv2.resize(photo.picture, None, fx=scale, fy=scale, interpolation=flags).astype(np.float32)
    middle = np.array([WIDTH / 2, HEIGHT / 2]) + rng.uniform(-30, 30, 2)
    x, y = middle - scale * np.array([left + width / 2, top + height / 2])
    moved = np.array([[1, 0, x], [0, 1, y]])
    frame = cv2.warpAffine(seen, moved, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REFLECT_101)
    return camera(frame, rng)


def screen(photo: Photo, margin: float, bezel: float, face_px: float, rng: np.random.Generator) -> np.ndarray:
    """A display: subpixels and the dark lines between its rows, raised black, a cold white, a reflection, a bezel."""
    shown = cut(photo, margin)
    # Three columns for each pixel of the display, which is finer than what the camera will see of it.
    pixels = int(rng.uniform(2.2, 3.4) * face_px * (1 + 2 * margin))
    size = (max(2, pixels * shown.shape[1] // shown.shape[0]), pixels)
    shown = cv2.resize(shown, size, interpolation=cv2.INTER_CUBIC).astype(np.float32)
    shown = 18 + shown * np.array([1.05, 1.0, 0.93], np.float32) * 0.95
    shown = np.repeat(shown, 3, axis=1)
    stripes = np.full((3, 3), 0.72, np.float32)
    np.fill_diagonal(stripes, 1.56)
    shown *= np.tile(stripes[::-1], (shown.shape[1] // 3 + 1, 1))[None, : shown.shape[1]]
    shown[::2] *= 0.93
    shown = cv2.resize(shown, size, interpolation=cv2.INTER_AREA)
    rows, columns = shown.shape[:2]
    y, x = np.mgrid[0:rows, 0:columns].astype(np.float32)
    at, spread = rng.uniform(0.1, 0.9, 2) * [columns, rows], rng.uniform(0.15, 0.4) * rows
    glare = np.exp(-(((x - at[0]) / spread) ** 2 + ((y - at[1]) / (2 * spread)) ** 2))
    shown += (glare * rng.uniform(15, 70))[:, :, None]
    frame = int(bezel * rows)
    shown = cv2.copyMakeBorder(shown, frame, frame, frame, frame, cv2.BORDER_CONSTANT, value=(14, 13, 13))
    height = face_px * (1 + 2 * margin) * (1 + 2 * bezel)
    return held(shown, height, rng)


def paper(photo: Photo, margin: float, border: float, face_px: float, rng: np.random.Generator) -> np.ndarray:
    """A print: less contrast and colour, a raster, a white border, a bend with its shade."""
    printed = cut(photo, margin)
    rows = int(face_px * (1 + 2 * margin) * 2)
    size = (max(2, rows * printed.shape[1] // printed.shape[0]), rows)
    printed = cv2.resize(printed, size, interpolation=cv2.INTER_CUBIC).astype(np.float32)
    grey = printed.mean(axis=2, keepdims=True)
    printed = 38 + (grey + (printed - grey) * rng.uniform(0.6, 0.85)) * rng.uniform(0.68, 0.78)
    printed *= np.array([rng.uniform(0.88, 1), 0.98, 1.02], np.float32)
    y, x = np.mgrid[0:rows, 0 : printed.shape[1]].astype(np.float32)
    printed += (3.5 * np.sin(x * 1.9 + y * 0.7) * np.sin(y * 1.9 - x * 0.7))[:, :, None]
    frame = int(border * rows)
    printed = cv2.copyMakeBorder(printed, frame, frame, frame, frame, cv2.BORDER_CONSTANT, value=(205, 212, 214))
    rows, columns = printed.shape[:2]
    # Bent like a piece of a cylinder: its sides are nearer to each other, and one side is in the shade.
    across = np.linspace(-1, 1, columns, dtype=np.float32)
    bend = rng.uniform(0.05, 0.5)
    source = (np.sin(across * bend) / np.sin(bend) + 1) / 2 * (columns - 1)
    y = np.repeat(np.arange(rows, dtype=np.float32)[:, None], columns, axis=1)
    printed = cv2.remap(printed, np.tile(source.astype(np.float32), (rows, 1)), y, cv2.INTER_LINEAR)
    printed *= (1 - bend * 0.35 * (across * rng.choice([-1, 1]) + 1) / 2)[None, :, None]
    height = face_px * (1 + 2 * margin) * (1 + 2 * border)
    return held(printed, height, rng)


# Who or what is held there, and how large its face is in the frame at most.
PEOPLE: dict[str, Callable] = {"person": person}
ATTACKS: dict[str, Callable] = {
    "telephone": lambda photo, px, rng: screen(photo, 0.45, 0.05, px, rng),
    "tablet": lambda photo, px, rng: screen(photo, 1.1, 0.06, px, rng),
    "whole screen": lambda photo, px, rng: screen(photo, 2.5, 0.0, px, rng),
    "print": lambda photo, px, rng: paper(photo, 0.9, 0.05, px, rng),
    "card": lambda photo, px, rng: paper(photo, 0.35, 0.08, px, rng),
    "print without edges": lambda photo, px, rng: paper(photo, 2.5, 0.0, px, rng),
}
SIZES = (70, 110, 160)


def visits(kinds: dict[str, Callable], photos: list[Photo]) -> Iterator[tuple[str, str, list[np.ndarray]]]:
    """Kind, name and frames of each visit: every photograph in every kind, the sizes in turn. The same every time."""
    for kind, make in kinds.items():
        for number, photo in enumerate(photos):
            rng = np.random.default_rng([number, *kind.encode()])
            px = SIZES[number % len(SIZES)]
            yield kind, photo.name, [make(photo, px, rng) for _ in range(SHOTS)]
