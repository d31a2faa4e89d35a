"""What the agents are shown: clips as cameras send them, made of the pictures that packages bring.

In: the program, which is asked where the faces of the pictures are, and the models folder with the pictures. Out: files
below `target/bench`, made once. H.264 as a camera encodes it: a steady bit rate, a key frame every two seconds, nothing
built on frames to come, and the noise of a sensor. Scenes and faces are drawn by `tests/recall`.
"""

import contextlib
import hashlib
import math
import sys
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tests/recall"))

cv2.setNumThreads(1)

import people  # noqa: E402, from tests/recall
import render  # noqa: E402
import scenes  # noqa: E402

VGA, HD, FULL_HD = (640, 480), (1280, 720), (1920, 1080)
# Bits a second that cameras use for these.
BIT_RATES = {VGA: 1_000_000, HD: 2_000_000, FULL_HD: 4_000_000}
# Somebody who walks about crosses the picture and comes back in so many seconds, between these heights of the face.
ROUND_SECS, FAR_PX, NEAR_PX = 10.0, 60.0, 130.0
# A visit, and how long nobody is there after it: longer than a lost face is waited for.
STAY_SECS, GAP_SECS = 3.5, 3.0
VISIT_SECS = STAY_SECS + GAP_SECS
# Somebody comes in sight from the side within so many seconds, and leaves as fast.
ENTER_SECS = 0.6
# How long the clips of many faces are.
CROWD_SECS = 4


class Clips:
    """The clips, each made when it is first asked for."""

    def __init__(self, program: Path, models: Path):
        self.faces = render.Faces(program)
        self.cast = people.cast(None, models).people
        for file in sorted({person.shown[0].file for person in self.cast}):
            if not file.exists():
                raise SystemExit(f"there is no {file}: `make models` takes the pictures out of packages")
        recipe = b"".join(Path(it.__file__).read_bytes() for it in (sys.modules[__name__], render, scenes, people))
        self.folder = ROOT / "target/bench" / hashlib.sha256(recipe).hexdigest()[:12]
        self.folder.mkdir(parents=True, exist_ok=True)

    def idle(self, size=VGA, fps=15, secs=16) -> Path:
        """A hall, and nobody in it."""
        return self.made(f"idle-{size[1]}p{fps}", size, fps, [hall(size)] * (fps * secs))

    def visitor(self, size=VGA, fps=15) -> Path:
        """The same hall with somebody who never stops walking about in it."""
        return self.made(f"visitor-{size[1]}p{fps}", size, fps, self.walking_about(size, fps))

    def visits(self, size=VGA, fps=15) -> Path:
        """Everybody who is enrolled comes and goes, one after the other."""
        return self.made(f"visits-{size[1]}p{fps}", size, fps, self.coming_and_going(size, fps))

    def crowd(self, count: int, moving: bool, fps=15) -> Path:
        """So many people side by side, who sway or stand as still as pictures."""
        name = f"crowd-{count}-{'moving' if moving else 'still'}"
        return self.made(name, HD, fps, self.side_by_side(count, moving, fps))

    def again(self, recording: Path, frames: int) -> Path:
        """A recording played so often that it has so many frames at least, without encoding it again."""
        target = self.folder / f"again-{recording.stem}-{frames}.mkv"
        with finished(target) as unfinished:
            if unfinished:
                repeat(recording, unfinished, frames)
        return target

    def enrolled(self) -> dict[str, list[Path]]:
        """Pictures to enrol those who are known from, by name: of each the face and what surrounds it."""
        photos = {}
        for person in (it for it in self.cast if it.enrolled):
            photo, target = person.enrolled[0], self.folder / f"enrol-{person.name}.png"
            with finished(target) as unfinished:
                if unfinished:
                    x, y, width, height = (int(side) for side in self.faces.box(photo))
                    top, left = max(y - height // 2, 0), max(x - width // 2, 0)
                    picture = cv2.imread(str(photo.file))[top : top + 2 * height, left : left + 2 * width]
                    cv2.imwrite(str(unfinished), picture)
            photos[person.name] = [target]
        return photos

    def made(self, name: str, size, fps: int, frames) -> Path:
        """The clip of this name, of these frames where it is not there yet: float32, without noise."""
        target = self.folder / f"{name}.mp4"
        with finished(target) as unfinished:
            if unfinished:
                noise = render.Noise(size, name)
                encode(unfinished, size, fps, (noise.add(frame) for frame in frames))
        return target

    def walking_about(self, size, fps):
        person, empty = self.cast[0], hall(size)
        for number in range(round(2 * ROUND_SECS * fps)):
            turn = 2 * math.pi * number / fps / ROUND_SECS
            near = 0.5 - 0.5 * math.cos(2 * turn)
            height = (FAR_PX + near * (NEAR_PX - FAR_PX)) * size[1] / 480
            pose = at(0.5 + 0.33 * math.sin(turn), 0.38, height, 4 * math.sin(3 * turn), size)
            yield self.drawn(empty, [(person, pose)])

    def coming_and_going(self, size, fps):
        empty = hall(size)
        for number, person in enumerate(it for it in self.cast if it.enrolled):
            side = -0.2 if number % 2 else 1.2
            for frame in range(round(STAY_SECS * fps)):
                passed = frame / fps
                away = max(1 - passed / ENTER_SECS, 1 - (STAY_SECS - passed) / ENTER_SECS, 0.0)
                height = (90 + 12 * passed) * size[1] / 480
                across = 0.5 + 0.05 * math.sin(2 * passed) + (side - 0.5) * away
                yield self.drawn(empty, [(person, at(across, 0.4, height, 3 * math.sin(2.5 * passed), size))])
            yield from [empty] * round(GAP_SECS * fps)

    def side_by_side(self, count, moving, fps):
        """In rows of five on an HD picture; the same size however many they are."""
        empty = hall(HD)
        for number in range(CROWD_SECS * fps):
            sway = math.sin(2 * math.pi * number / fps / 2) if moving else 0.0
            shown = []
            for place in range(count):
                person = self.cast[place % len(self.cast)]
                across, down = (place % 5 + 0.5) / 5, (place // 5 + 0.5) / 4
                shown.append((person, at(across + 0.02 * sway, down, 110, 4 * sway, HD)))
            yield self.drawn(empty, shown, bodies=False)

    def drawn(self, empty, shown, bodies=True):
        """The hall with these people in it, each where and as tall as the pose says."""
        picture = empty.copy()
        for person, pose in shown:
            walk = scenes.Walk(person.name, poses=1)
            if bodies:
                render.body(picture, walk, pose)
            render.paint(picture, self.faces.cut(person.shown[0]), walk, pose, 1.0)
        return picture


def hall(size) -> np.ndarray:
    """The same hall every time."""
    return render.background(scenes.Scene("bench", "bench", size=size), np.random.default_rng(14))


def at(across: float, down: float, height: float, roll: float, size) -> scenes.Pose:
    """A face with its centre at these shares of the picture."""
    return scenes.Pose(across * size[0], down * size[1], height, roll, photo=0, fade=0.0, shown=1.0)


@contextlib.contextmanager
def finished(target: Path):
    """Where to write a file that gets its name once it is whole; `None` where it is there already."""
    if target.exists():
        yield None
        return
    unfinished = target.with_name(f"unfinished-{target.name}")
    yield unfinished
    unfinished.rename(target)


def encode(target: Path, size, fps: int, frames) -> None:
    """Writes BGR frames as H.264."""
    options = {"preset": "veryfast", "x264-params": f"keyint={2 * fps}:min-keyint={2 * fps}:scenecut=0:bframes=0"}
    with av.open(str(target), "w") as container:
        stream = container.add_stream("libx264", rate=fps, options=options)
        (stream.width, stream.height), stream.pix_fmt = size, "yuv420p"
        stream.bit_rate = BIT_RATES[size]
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="bgr24")))
        container.mux(stream.encode())


def repeat(recording: Path, target: Path, frames: int) -> None:
    """Copies a recording's packets as often as it takes, each time later."""
    with av.open(str(recording)) as once, av.open(str(target), "w", format="matroska") as container:
        video = once.streams.video[0]
        stream = container.add_stream_from_template(video)
        packets = [(bytes(it), it.pts, it.dts, it.is_keyframe) for it in once.demux(video) if it.size]
        step = Fraction(1) / (video.average_rate * video.time_base)
        length = round(len(packets) * step)
        for time in range(math.ceil(frames / len(packets))):
            for number, (data, pts, dts, key) in enumerate(packets):
                packet = av.Packet(data)
                packet.stream, packet.time_base, packet.is_keyframe = stream, video.time_base, key
                packet.pts = time * length + (round(number * step) if pts is None else pts)
                packet.dts = time * length + (round(number * step) if dts is None else dts)
                container.mux(packet)


def count(clip: Path) -> int:
    """How many frames a clip has."""
    with av.open(str(clip)) as container:
        return sum(1 for packet in container.demux(video=0) if packet.size)
