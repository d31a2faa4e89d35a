"""Scenes as recordings: each lane is one file for one detector, with a pause after every scene.

In: a cast, scenes, and the program, which is asked where the faces of the photographs are. Out: MJPEG files, and the
truth: who is where in which frame. The same input gives the same truth. It knows nothing of who recognises anybody.
"""

import ast
import functools
import hashlib
import json
import math
import random
import shutil
import subprocess
import tempfile
import zlib
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import cv2
import numpy as np

from people import Cast, Photo
from scenes import CLIP_PEOPLE, GAP_SECS, VGA, Scene, next_photo, pose

# A photograph's face is kept no taller than this, pixels: no scene shows a larger one.
TALLEST = 240.0
# Of the sensor: standard deviation, of 255.
NOISE = 3.5
# How much of the photograph around the face goes along, of the face's height on each side of its centre.
WIDE, TALL = 0.72, 0.78
# Lanes for the most usual size of picture; each other size has one.
VGA_LANES = 5


class Faces:
    """The faces of photographs, cut out with what surrounds them."""

    def __init__(self, program: Path):
        self.program = program
        self.found: dict[Path, list[list[float]]] = {}

    def look(self, files: list[Path]) -> None:
        """Finds the faces of all these at once."""
        missing = sorted(set(files) - set(self.found))
        if not missing:
            return
        done = subprocess.run(
            [self.program, "detect", "--json", *missing], check=True, stdout=subprocess.PIPE, text=True
        )
        for file, line in zip(missing, done.stdout.splitlines(), strict=True):
            self.found[file] = [face["box"] for face in json.loads(line)["faces"]]

    def box(self, photo: Photo) -> list[float]:
        """x, y, width and height of the photograph's face."""
        self.look([photo.file])
        boxes = self.found[photo.file]
        if not boxes:
            raise SystemExit(f"no face is found in {photo.file}, which a person of people.py is shown by")
        if photo.at is None:
            return max(boxes, key=lambda box: box[3])
        return min(boxes, key=lambda box: math.dist(centre(box), photo.at))

    @functools.lru_cache(maxsize=None)  # noqa: B019, one of it lives as long as the program
    def cut(self, photo: Photo):
        """The pixels around the face, float32, how much each covers, the face's centre in them, and its height."""
        picture = cv2.imread(str(photo.file))
        (x, y), height = centre(self.box(photo)), self.box(photo)[3]
        left, top = max(int(x - WIDE * height * 1.2), 0), max(int(y - TALL * height * 1.2), 0)
        picture = picture[top : int(y + TALL * height * 1.2), left : int(x + WIDE * height * 1.2)]
        x, y = x - left, y - top
        scale = min(TALLEST / height, 1.0)
        picture = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        x, y, height = x * scale, y * scale, height * scale
        if photo.mirrored:
            picture, x = picture[:, ::-1], picture.shape[1] - x
        rows, columns = np.mgrid[: picture.shape[0], : picture.shape[1]].astype(np.float32)
        # An ellipse around the head, cut off softly where the photograph ends.
        away = np.hypot((columns - x) / (WIDE * height), (rows - y) / (TALL * height))
        edge = np.minimum.reduce(
            [columns, rows, picture.shape[1] - 1 - columns, picture.shape[0] - 1 - rows]
        ) / (0.05 * height)
        cover = np.clip((1.0 - away) / 0.12, 0, 1) * np.clip(edge, 0, 1)
        return np.ascontiguousarray(picture, np.float32), cover.astype(np.float32), (x, y), height


def centre(box) -> tuple[float, float]:
    return box[0] + box[2] / 2, box[1] + box[3] / 2


def lanes(scenes: list[Scene]) -> list[list[Scene]]:
    """The scenes of each detector: those of one size and rate together, the most usual one spread over several."""
    made: dict[tuple, list[Scene]] = {}
    usual = 0
    for scene in scenes:
        key = (scene.size, scene.fps, usual % VGA_LANES if scene.size == VGA else 0)
        usual += scene.size == VGA
        made.setdefault(key, []).append(scene)
    return list(made.values())


def render(cast: Cast, scenes: list[Scene], program: Path, folder: Path) -> Path:
    """Renders all lanes below `folder`, unless they are there, and gives the file of the truth."""
    folder, photographs = place(cast, scenes, folder), photographs_of(cast)
    faces = Faces(program)
    truth = folder / "truth.json"
    if not truth.exists():
        for other in folder.parent.glob(f"{cast.name}-*"):
            shutil.rmtree(other)
        folder.mkdir(parents=True, exist_ok=True)
        faces.look(photographs)
        enrolments = enrolment(cast, faces, folder)
        with ProcessPoolExecutor() as workers:
            jobs = [
                workers.submit(lane, cast, taken, faces, folder / f"lane{number}.avi")
                for number, taken in enumerate(lanes(scenes))
            ]
            made = [job.result() for job in jobs]
        everything = {"set": folder.name, "enrolled": enrolments, "lanes": made}
        part = truth.with_suffix(".part")
        part.write_text(json.dumps(everything))
        part.replace(truth)
    return truth


def place(cast: Cast, scenes: list[Scene], folder: Path) -> Path:
    """The folder of these scenes, named by all that they are made of."""
    recipe = [Path(__file__).with_name(name) for name in ("people.py", "scenes.py", "render.py")]
    said = [meaning(file.read_text()).encode() for file in recipe]
    # A part of the scenes is another set: it is never taken for all of them.
    said += [scene.name.encode() for scene in scenes]
    key = hashlib.sha256(b"".join([*said, *(file.read_bytes() for file in photographs_of(cast))])).hexdigest()[:12]
    return folder / f"{cast.name}-{key}"


def photographs_of(cast: Cast) -> list[Path]:
    return sorted({photo.file for person in cast.people for photo in (*person.enrolled, *person.shown)})


def meaning(source: str) -> str:
    """A program's text without its comments: another word in them makes no other set."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        first = body[0] if isinstance(body, list) and body else None
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
            body.pop(0)
    return ast.dump(tree)


def enrolment(cast: Cast, faces: Faces, folder: Path) -> dict[str, list[str]]:
    """The photographs of everybody the engine is to know, each alone in its picture."""
    photos = {}
    for person in (person for person in cast.people if person.enrolled):
        photos[person.name] = [(cv2.imread(str(it.file)), faces.box(it)) for it in person.enrolled]
    for name, frames in CLIP_PEOPLE.items() if cast.video else ():
        for clip, number, at in frames:
            file = folder / f"{clip}.{number}.png"
            cv2.imwrite(str(file), frames_of(cast.video / clip)[number])
            photos.setdefault(name, []).append((cv2.imread(str(file)), faces.box(Photo(file, at))))
    files = {}
    for name, pictures in photos.items():
        for number, (picture, box) in enumerate(pictures):
            (x, y), height = centre(box), box[3]
            top, left = max(int(y - height), 0), max(int(x - 0.9 * height), 0)
            picture = picture[top : int(y + height), left : int(x + 0.9 * height)]
            # As a passport photo: nobody enrols a face of 60 pixels without its surroundings.
            file = folder / f"enrol-{name}-{number}.png"
            cv2.imwrite(str(file), picture)
            files.setdefault(name, []).append(file.name)
    return files


def frames_of(clip: Path) -> list[np.ndarray]:
    capture, frames = cv2.VideoCapture(str(clip)), []
    while (read := capture.read())[0]:
        frames.append(read[1])
    return frames


def lane(cast: Cast, scenes: list[Scene], faces: Faces, path: Path) -> dict:
    """Writes one file, and gives who is seen in it: boxes by the number of the frame."""
    cv2.setNumThreads(1)
    size, fps = scenes[0].size, scenes[0].fps
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), fps, size)
    writer.set(cv2.VIDEOWRITER_PROP_QUALITY, 90)
    people = {person.name: person for person in cast.people}
    visits, count = [], 0
    noise = Noise(size, path.stem)
    for scene in scenes:
        empty = background(scene, np.random.default_rng(zlib.crc32(scene.name.encode())))
        shot = recording(cast.video, scene, faces) if scene.clip else walking(scene, people, faces, empty)
        seen: dict[str, dict] = {}
        begins = count
        for picture, boxes in shot:
            writer.write(picture if scene.clip else noise.add(picture))
            for name, box in boxes.items():
                seen.setdefault(name, {})[count] = [round(float(side), 1) for side in box]
            count += 1
        for name, boxes in seen.items():
            person = people.get(name)
            walk = next((walk for walk in scene.walks if walk.person == name), None)
            visits.append({
                "scene": scene.name,
                "kind": scene.kind,
                "person": name,
                "enrolled": bool(person.enrolled) if person else True,
                "tilt": walk.tilt if walk else 0.0,
                "spared": [begins + number for number in enrolled_from(scene, name)],
                "boxes": boxes,
            })
        for _ in range(math.ceil(GAP_SECS * fps)):
            writer.write(noise.add(empty))
            count += 1
    writer.release()
    return {"file": path.name, "fps": fps, "frames": count, "visits": visits}


def enrolled_from(scene: Scene, name: str) -> list[int]:
    """The frames of the scene's recording that the person is enrolled from."""
    return [number for file, number, _ in CLIP_PEOPLE.get(name, ()) if scene.clip and scene.clip.file == file]


class Noise:
    """A sensor's: a few sheets of it, each time shifted."""

    def __init__(self, size: tuple[int, int], seed: str):
        self.random = random.Random(seed)
        generator = np.random.default_rng(zlib.crc32(seed.encode()))
        self.sheet = generator.normal(0.0, NOISE, (size[1] + 64, size[0] + 64, 3)).astype(np.float32)
        self.size = size

    def add(self, picture: np.ndarray) -> np.ndarray:
        x, y = self.random.randrange(64), self.random.randrange(64)
        sheet = self.sheet[y : y + self.size[1], x : x + self.size[0]]
        return np.clip(picture + sheet, 0, 255).astype(np.uint8)


def background(scene: Scene, random_numbers: np.random.Generator) -> np.ndarray:
    """A hall: wall, floor, a door or a window, and the stains that keep every place from being even. float32."""
    width, height = scene.size
    down = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    wall = random_numbers.uniform(110, 180) + random_numbers.uniform(-14, 14, 3)
    picture = np.broadcast_to(wall.astype(np.float32) * (1.1 - 0.35 * down), (height, width, 3)).copy()
    picture[int(0.82 * height) :] *= 0.6
    left = int(width * random_numbers.uniform(0.05, 0.6))
    right = left + int(0.3 * width)
    picture[int(0.12 * height) : int(0.82 * height), left:right] *= random_numbers.uniform(0.55, 0.8)
    stains = random_numbers.normal(0, 9, (8, 12)).astype(np.float32)
    picture += cv2.resize(stains, (width, height), interpolation=cv2.INTER_CUBIC)[:, :, None]
    if scene.backlit:
        picture[: int(0.8 * height), int(0.1 * width) : int(0.9 * width)] = 248.0
    return cv2.GaussianBlur(picture, (0, 0), 2.0)


def walking(scene: Scene, people: dict, faces: Faces, empty: np.ndarray):
    """The frames of a rendered scene, and the boxes of who is in each."""
    for number in range(round(scene.secs() * scene.fps)):
        at = number / scene.fps
        poses = [(walk, now) for walk in scene.walks if (now := pose(walk, scene, at))]
        # Who is nearer stands in front.
        poses.sort(key=lambda it: it[1].height)
        picture, boxes = empty.copy(), {}
        for walk, now in poses:
            shown = people[walk.person].shown
            body(picture, walk, now)
            photo = shown[now.photo % len(shown)]
            paint(picture, faces.cut(photo), walk, now, now.shown)
            following = shown[next_photo(walk, now) % len(shown)]
            if now.fade and following != photo:
                paint(picture, faces.cut(following), walk, now, now.shown * now.fade)
            if 0 < now.x < scene.size[0] and 0 < now.y < scene.size[1]:
                wide = 0.8 * now.height
                boxes[walk.person] = (now.x - wide / 2, now.y - now.height / 2, wide, now.height)
        yield picture, boxes


def body(picture: np.ndarray, walk, now) -> None:
    """Shoulders and chest, in clothes of one's own."""
    numbers = np.random.default_rng(zlib.crc32(walk.person.encode()))
    colour = numbers.uniform(25, 200, 3) * walk.light
    middle = (int(now.x), int(now.y + 1.75 * now.height))
    axes = (int(1.05 * now.height), int(1.2 * now.height))
    cover = np.zeros(picture.shape[:2], np.uint8)
    cv2.ellipse(cover, middle, axes, 0, 0, 360, 255, -1, cv2.LINE_AA)
    share = (cover.astype(np.float32) / 255 * now.shown)[:, :, None]
    down = np.linspace(1.15, 0.8, picture.shape[0], dtype=np.float32)[:, None, None]
    picture += share * (colour.astype(np.float32) * down - picture)


def paint(picture: np.ndarray, cut, walk, now, share: float) -> None:
    """A face, turned, sized, lit and smeared, over the picture."""
    pixels, cover, (x, y), height = cut
    scale = now.height / height
    if scale < 0.5:
        # A pixel must not jump over others.
        half = 2.0 ** math.floor(math.log2(1 / scale))
        pixels, cover = (cv2.resize(it, None, fx=1 / half, fy=1 / half, interpolation=cv2.INTER_AREA)
                         for it in (pixels, cover))
        x, y, scale = x / half, y / half, scale * half
    # OpenCV turns counter-clockwise.
    matrix = cv2.getRotationMatrix2D((x, y), -now.roll, scale)
    reach = int(1.3 * now.height) + 2
    left, top = int(now.x) - reach, int(now.y) - reach
    matrix[:, 2] += (now.x - left - x, now.y - top - y)
    side = (2 * reach, 2 * reach)
    pixels = cv2.warpAffine(pixels, matrix, side, borderMode=cv2.BORDER_REPLICATE) * walk.light
    cover = cv2.warpAffine(cover, matrix, side)
    smear = round(walk.blur * now.height / 100)
    if smear > 1:
        pixels, cover = cv2.blur(pixels, (smear, 1)), cv2.blur(cover, (smear, 1))
    y0, y1 = max(top, 0), min(top + side[1], picture.shape[0])
    x0, x1 = max(left, 0), min(left + side[0], picture.shape[1])
    if y0 >= y1 or x0 >= x1:
        return
    inside = (slice(y0 - top, y1 - top), slice(x0 - left, x1 - left))
    under = picture[y0:y1, x0:x1]
    under += share * cover[inside][:, :, None] * (pixels[inside] - under)


def recording(video: Path, scene: Scene, faces: Faces):
    """The frames of a recording, and who is where: each face followed from the frame in which it is known."""
    clip = scene.clip
    frames = frames_of(video / clip.file)
    # A folder of its own: lanes are rendered side by side, and two of them may show the same recording.
    with tempfile.TemporaryDirectory(prefix="recall-") as scratch:
        files = [Path(scratch, f"{number}.png") for number in range(len(frames))]
        for file, frame in zip(files, frames):
            cv2.imwrite(str(file), frame)
        faces.look(files)
    boxes: list[dict] = [{} for _ in frames]
    for name, at in clip.people.items():
        for numbers in (range(clip.frame, len(frames)), range(clip.frame - 1, -1, -1)):
            last = faces.box(Photo(files[clip.frame], at))
            for number in numbers:
                here = faces.found[files[number]]
                near = min(here, key=lambda box: math.dist(centre(box), centre(last)), default=last)
                # The face was not found in this frame where the nearest one is somebody else's.
                if math.dist(centre(near), centre(last)) < 0.6 * last[3]:
                    boxes[number][name] = last = near
    scale = scene.size[0] / frames[0].shape[1]
    for frame, seen in zip(frames, boxes):
        frame = cv2.resize(frame, scene.size, interpolation=cv2.INTER_CUBIC)
        if scene.quality < 88:
            encoded = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, scene.quality])[1]
            frame = cv2.imdecode(encoded, cv2.IMREAD_COLOR)
        yield frame, {name: [side * scale for side in box] for name, box in seen.items()}
