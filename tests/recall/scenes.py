"""What happens in front of the camera: every scene, who is in it, and how they come and go.

In: the names of those who are enrolled and of strangers. Out: scenes, the same ones each time. It knows no pixels: how
a walk looks is `render`'s, and what is made of it `play`'s.
"""

import math
import random
from dataclasses import dataclass, field

# Frames per second of what is rendered, and of the recordings, which are played as they are.
FPS = 15.0
CLIP_FPS = 12.5
VGA, HD, SMALL, WIDE = (640, 480), (1280, 720), (480, 270), (640, 360)
# Nobody is there for so long between two scenes: longer than a lost face is waited for, and than somebody is present.
GAP_SECS = 4.0
# Height of the face where somebody comes into view, pixels.
FAR_PX = 40.0


@dataclass(frozen=True)
class Walk:
    """One person's visit."""

    person: str
    # Which of the person's photographs is the first one shown, and how many take turns.
    photo: int = 0
    poses: int = 3
    # Seconds after the scene begins, and how long.
    begins: float = 0.0
    lasts: float = 4.5
    # Height of the face at its nearest, pixels.
    near: float = 150.0
    # Where across the picture, 0 to 1: at the beginning, when the person has come, and on leaving.
    path: tuple[float, float, float] = (0.45, 0.5, 1.2)
    # How the head is held, degrees clockwise, and how far it sways to either side.
    tilt: float = 0.0
    sway: float = 3.0
    # 1 is the photograph's own.
    light: float = 1.0
    # Pixels that one of a face of 100 px is smeared over.
    blur: float = 0.0


@dataclass(frozen=True)
class Clip:
    """A recording, and who is in it: by the centre of their faces in one of its frames."""

    file: str
    frame: int
    people: dict[str, tuple[float, float]] = field(hash=False)


@dataclass(frozen=True)
class Scene:
    """Somebody's visit, or several at once."""

    name: str
    kind: str
    walks: tuple[Walk, ...] = ()
    size: tuple[int, int] = VGA
    fps: float = FPS
    # A bright window behind whoever comes.
    backlit: bool = False
    # A recording instead of walks; re-encoded at this quality of JPEG.
    clip: Clip | None = None
    quality: int = 88

    def secs(self) -> float:
        return max((walk.begins + walk.lasts for walk in self.walks), default=0.0)


# The recordings' own people, and the frames they are enrolled from, as an operator would from the picture of a camera.
DOOR = "face-demographics-walking-and-pause.mjpg.avi"
FEMALE = "head-pose-face-detection-female.mjpg.avi"
MALE = "head-pose-face-detection-male.mjpg.avi"
BOTH = "head-pose-face-detection-female-and-male.mjpg.avi"
CLIP_PEOPLE = {
    "left": [(DOOR, 35, (75, 105)), (FEMALE, 9, (237, 90))],
    "middle": [(DOOR, 35, (218, 85))],
    "right": [(DOOR, 35, (362, 125))],
    "man": [(MALE, 30, (242, 97))],
}


def scenes(known: list[str], strangers: list[str], clips: bool) -> list[Scene]:
    """All of them. The six who are known take turns, and so do the strangers."""
    made = [*alone(known), *tilted(known), *backlit(known), *in_company(known, strangers), *unknown(strangers)]
    return [*made, *recordings()] if clips else made


def alone(known: list[str]) -> list[Scene]:
    """One person walks up: in good light and facing the camera, as usual, and as badly as can be."""
    for n, name in enumerate(known):
        side = (0.35, 0.5, 1.2) if n % 2 else (0.62, 0.48, -0.2)
        yield Scene(f"easy {name}", "easy", (Walk(name, n, near=170.0, path=side),), size=(VGA, VGA, HD)[n % 3])
        walk = Walk(name, n + 1, near=130.0, path=side, sway=10.0, light=0.75, blur=2.0)
        yield Scene(f"medium {name}", "medium", (walk,))
        tilt = 18.0 if n % 2 else -18.0
        walk = Walk(name, n + 2, 4, near=110.0, path=side, tilt=tilt, sway=9.0, light=0.45, blur=4.0, lasts=5.0)
        yield Scene(f"hard {name}", "hard", (walk,), size=(VGA, SMALL, VGA)[n % 3])


def tilted(known: list[str]) -> list[Scene]:
    """The head, or the camera, is not upright."""
    for n, tilt in enumerate((25.0, -25.0, 35.0, -35.0, 45.0, -45.0)):
        for name in (known[n % len(known)], known[(n + 2) % len(known)]):
            walk = Walk(name, n, near=150.0, tilt=tilt)
            yield Scene(f"tilted by {tilt:.0f} {name}", f"tilted {abs(tilt):.0f}", (walk,))


def backlit(known: list[str]) -> list[Scene]:
    for n, name in enumerate(known[:4]):
        walk = Walk(name, n + 3, near=140.0, light=0.4)
        yield Scene(f"back-lit {name}", "back-lit", (walk,), backlit=True)


def in_company(known: list[str], strangers: list[str]) -> list[Scene]:
    """Two people: at the same time, one larger, one later, after one another, and past one another."""
    left, right = (0.3, 0.3, -0.25), (0.7, 0.7, 1.25)
    for n in range(6):
        one, two = known[n % len(known)], known[(n + 1) % len(known)]
        name = f"{one} and {two}"
        nearer, later = [(135.0, 0.0), (95.0, 0.0), (150.0, 1.5)][n % 3]
        first = Walk(one, n, near=145.0, path=left, lasts=5.5)
        second = Walk(two, n + 1, near=nearer, path=right, begins=later, lasts=5.5 - later)
        yield Scene(f"together {name}", "together", (first, second), size=HD if n == 4 else VGA)
    for n in range(3):
        name, stranger = known[2 * n % len(known)], strangers[n]
        first = Walk(stranger, near=170.0, path=left, lasts=5.5)
        second = Walk(name, n + 2, near=120.0, path=right, lasts=5.5)
        yield Scene(f"{name} behind {stranger}", "with a stranger", (first, second))
    for n in range(3):
        one, two = known[n], known[(n + 3) % len(known)]
        first = Walk(one, n + 1, near=140.0, path=(0.4, 0.5, 1.25), lasts=3.5)
        second = Walk(two, n, near=140.0, path=(0.4, 0.48, -0.25), begins=3.7, lasts=3.8)
        yield Scene(f"{one}, then {two}", "one after the other", (first, second))
    for n in range(3):
        one, two = known[n], known[(n + 2) % len(known)] if n < 2 else strangers[3]
        first = Walk(one, n + 2, near=150.0, path=(0.15, 0.75, 1.25), lasts=5.0)
        second = Walk(two, n + 3, near=105.0, path=(0.85, 0.25, -0.25), lasts=5.0)
        yield Scene(f"crossing {one} and {two}", "crossing", (first, second))


def unknown(strangers: list[str]) -> list[Scene]:
    """Nobody the engine knows, in every way somebody known may look."""
    ways = [
        {"near": 170.0},
        {"near": 140.0, "sway": 10.0, "light": 0.75, "blur": 2.0},
        {"near": 110.0, "tilt": 18.0, "sway": 9.0, "light": 0.45, "blur": 4.0},
        {"near": 150.0, "tilt": -30.0},
    ]
    for n in range(16):
        name = strangers[n % len(strangers)]
        yield Scene(f"stranger {n + 1}, {name}", "stranger", (Walk(name, n, **ways[n % 4]),))


def recordings() -> list[Scene]:
    """Real people in front of real cameras."""
    three = Clip(DOOR, 35, {name: CLIP_PEOPLE[name][0][2] for name in ("left", "middle", "right")})
    yield Scene("recording of three", "recording", clip=three, size=SMALL, fps=CLIP_FPS)
    yield Scene("recording of three, low quality", "recording", clip=three, size=WIDE, fps=CLIP_FPS, quality=30)
    woman, man = Clip(FEMALE, 9, {"left": (237, 90)}), Clip(MALE, 30, {"man": (242, 97)})
    yield Scene("recording of a woman", "recording", clip=woman, size=SMALL, fps=CLIP_FPS)
    yield Scene("recording of a man", "recording", clip=man, size=SMALL, fps=CLIP_FPS)
    both = Clip(BOTH, 0, {"left": (100, 77), "man": (355, 72)})
    yield Scene("recording of two heads", "recording", clip=both, size=SMALL, fps=CLIP_FPS)


@dataclass(frozen=True)
class Pose:
    """How somebody is seen in one frame."""

    # Centre of the face and its height, pixels; degrees clockwise; which photograph, and how much of the next shows.
    x: float
    y: float
    height: float
    roll: float
    photo: int
    fade: float
    # 0 while out of sight.
    shown: float


# Parts of a visit: walking up, standing there; the rest is leaving.
COMING, STAYING = 0.55, 0.32
# A person shows another pose this often, and takes this long to change over, seconds.
POSE_SECS, FADE_SECS = 0.9, 0.2


def pose(walk: Walk, scene: Scene, at: float) -> Pose | None:
    """How the person is seen so many seconds into the scene; `None` when not there."""
    passed = at - walk.begins
    if not 0.0 <= passed < walk.lasts:
        return None
    rng = random.Random(f"{scene.name} {walk.person}")
    phase, tempo = rng.uniform(0, 2 * math.pi), rng.uniform(1.6, 2.4)
    through = passed / walk.lasts
    near = min(through / COMING, 1.0)
    # Perspective: whoever walks evenly grows faster the nearer they are.
    height = 1.0 / ((1.0 - near) / FAR_PX + near / walk.near)
    leaving = max(through - COMING - STAYING, 0.0) / (1.0 - COMING - STAYING)
    begin, there, end = walk.path
    across = begin + (there - begin) * near + (end - there) * leaving**1.5
    bob = math.sin(phase + passed * 2 * math.pi * tempo)
    width, tall = scene.size
    turn, into = divmod(passed, POSE_SECS)
    fade = max(0.0, into - (POSE_SECS - FADE_SECS)) / FADE_SECS if walk.poses > 1 else 0.0
    return Pose(
        x=across * width + 0.04 * height * math.sin(phase + passed * 3.0),
        y=tall * (0.36 + 0.06 * near) + 0.02 * height * bob,
        height=height,
        roll=walk.tilt + walk.sway * math.sin(phase + passed * 2.5),
        photo=walk.photo + int(turn) % walk.poses,
        fade=fade,
        shown=min(1.0, passed / 0.2),
    )


def next_photo(walk: Walk, of: Pose) -> int:
    """The photograph that follows in turn."""
    return walk.photo + (of.photo - walk.photo + 1) % walk.poses
