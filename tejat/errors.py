"""The error for a user's bad input."""


class BadInput(ValueError):
    """A user's input cannot be used; the message is one sentence that names the input and the mend. Exit code 2."""
