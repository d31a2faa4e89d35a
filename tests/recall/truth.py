"""The words that are shared about a set's truth: a visit's key, and from which height a face can be used.

In: a visit of `truth.json`. Out: its name in results. The file is one object: `set`, its name; `enrolled`, the pictures
by person; `lanes`, each with `file`, `fps` and `visits`; a visit has `scene`, `kind`, `person`, `enrolled`, `tilt`
(degrees), `spared` (frames the person is enrolled from) and `boxes`: x, y, width and height in pixels, by frame.
"""

# The height of a face from which on it is recognised: the default of `quality.min_face_px`.
USABLE_PX = 48.0


def key(visit: dict) -> str:
    """The visit's name, unlike any other's of its set."""
    return f"{visit['scene']}: {visit['person']}"
