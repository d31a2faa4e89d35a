"""Who comes to the door: real people, the photographs they are enrolled from, and those they are shown by.

In: the shared test data, or nothing, and the models folder, which holds the pictures that packages bring. Out: a
cast. It knows which photographs show whom; it knows nothing of scenes, and has never seen a face by itself.

A photograph a person is enrolled from is never one that person is shown by. Where packages alone bring pictures
there is one of each person: they are enrolled from it, and shown by its mirror image in other light, which is easier.
"""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Photo:
    """A face in a picture: the one whose centre is nearest to `at`, pixels, or the largest."""

    file: Path
    at: tuple[float, float] | None = None
    mirrored: bool = False


@dataclass(frozen=True)
class Person:
    """Somebody. Nobody is enrolled from no photograph: a stranger."""

    name: str
    enrolled: tuple[Photo, ...]
    shown: tuple[Photo, ...]


@dataclass(frozen=True)
class Cast:
    """Everybody, and what the figures say they were measured with."""

    name: str
    people: tuple[Person, ...]
    # Recordings of real people, played as they are; empty without the shared test data.
    video: Path | None

    def known(self) -> list[str]:
        """Who is enrolled and can be shown."""
        return [person.name for person in self.people if person.enrolled and person.shown]

    def strangers(self) -> list[str]:
        return [person.name for person in self.people if not person.enrolled]


# Which of a person's eleven photographs, in the order of their names, are for enrolment; `None`: a stranger.
JOHNS = {
    "John_Salley": (2, 9),
    "John_Schneider": (0, 8),
    "John_Simm": (1, 8),
    "John_Savage": None,
    "John_Shimkus": None,
}

# `detection/bald_guys.jpg`: photographs of four people, by the centre of the face. The first is for enrolment.
COLLAGE = {
    "diesel": [(138, 455), (146, 149), (387, 289), (638, 180), (651, 507), (151, 1377)],
    "rock": [(1163, 1389), (1881, 482), (1597, 252), (1864, 1389), (1696, 746)],
    "willis": [(859, 893), (1151, 841), (122, 1054), (849, 1311), (1187, 1141)],
}
COLLAGE_STRANGER = [(145, 767), (496, 908), (391, 516), (955, 175), (960, 473)]

# One photograph each: strangers.
PASSERS_BY = {
    "2008_002506.jpg": [(162, 103), (270, 138), (389, 131)],
    "2008_001322.jpg": [(141, 192), (264, 246), (398, 198)],
    "2008_001009.jpg": [(173, 251)],
    "Tom_Cruise_avp_2014_4.jpg": [(290, 457)],
}

# The pictures that packages bring, and who is in them.
PACKAGED = {
    "astronaut.png": [(223, 120)],
    "sample3.jpg": [(692, 467), (1188, 365), (1597, 452)],
    "sample4.jpg": [(341, 314), (754, 187), (1071, 300), (1347, 276)],
    "sample5.jpg": [(684, 536), (867, 223), (1199, 319), (1510, 544)],
    "sample6.jpg": [(357, 623), (759, 488), (1270, 441), (1583, 405)],
}
# Of those, who is enrolled where packages are all there is.
PACKAGED_KNOWN = ("astronaut.0", "sample3.1", "sample3.2", "sample6.0", "sample6.1", "sample6.3")


def cast(shared: Path | None, models: Path) -> Cast:
    """Everybody there are pictures of."""
    packaged = [
        (f"{Path(file).stem}.{number}", Photo(models / file, at))
        for file, faces in PACKAGED.items()
        for number, at in enumerate(faces)
    ]
    if shared is None:
        return Cast("packages", tuple(from_one(name, photo) for name, photo in packaged), None)
    people = [john(shared / "photos/johns" / name, enrolled) for name, enrolled in JOHNS.items()]
    collage = shared / "detection/bald_guys.jpg"
    for name, faces in COLLAGE.items():
        first, *others = (Photo(collage, at) for at in faces)
        people.append(Person(name, (first,), tuple(others)))
    people.append(Person("statham", (), tuple(Photo(collage, at) for at in COLLAGE_STRANGER)))
    for file, faces in PASSERS_BY.items():
        for number, at in enumerate(faces):
            people.append(Person(f"{Path(file).stem}.{number}", (), (Photo(shared / "detection" / file, at),)))
    people.append(Person("red-shirt", (), (Photo(shared / "liveness/image_T1.jpg"),)))
    people.extend(Person(name, (), (photo,)) for name, photo in packaged)
    return Cast("shared", tuple(people), shared / "video")


def john(folder: Path, enrolled: tuple[int, ...] | None) -> Person:
    files = sorted(folder.glob("*.jpg"))
    if len(files) < 10:
        raise SystemExit(f"{folder} holds {len(files)} photographs where 10 are expected: is the test data complete?")
    chosen = enrolled or ()
    photos = [Photo(file) for file in files]
    shown = tuple(photo for number, photo in enumerate(photos) if number not in chosen)
    return Person(folder.name, tuple(photos[number] for number in chosen), shown)


def from_one(name: str, photo: Photo) -> Person:
    mirrored = Photo(photo.file, photo.at, mirrored=True)
    return Person(name, (photo,) if name in PACKAGED_KNOWN else (), (mirrored,))
