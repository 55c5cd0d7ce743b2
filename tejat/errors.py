"""The error for a user's bad input."""


class BadInput(ValueError):
    """A user's input cannot be used; the message is one sentence that names the input and the mend. Exit code 2."""


class Refused(BadInput):
    """What must not be trained on. It ends a run, where a document that is only damaged is passed over."""
