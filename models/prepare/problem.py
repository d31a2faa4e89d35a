"""What a file could not be had for, told so that the next step is known."""


class Problem(Exception):
    """A reason, as one sentence without a full stop."""
