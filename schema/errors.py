"""The errors of the project: one root, and one class per thing that a caller may want to catch."""


class RecommenderError(Exception):
    """Root of every error that a user can act on; its message is shown without a traceback.

    A message says what is wrong, the value found, what was expected and what to do.
    """


class InvalidInput(RecommenderError, ValueError):
    """Data, or a setting that does not fit the data, that no retry can make right."""


class InvalidSettings(InvalidInput):
    """Settings that do not fit, or name a place that cannot be written to; the message has a line for each."""


class ObjectNotFound(RecommenderError, FileNotFoundError):
    """No object stands under the key."""


class ObjectExists(RecommenderError, FileExistsError):
    """A create-only write met an object that was there already."""


class VersionConflict(RecommenderError):
    """A compare-and-swap found another version than the one expected."""


class InvalidKey(RecommenderError, ValueError):
    """A key that could leave the store's root or that no backend could hold."""


class CorruptObject(RecommenderError, ValueError):
    """Stored bytes are not what their manifest says."""


class OutOfSpace(RecommenderError, OSError):
    """The disk under a folder is full."""


class Unavailable(RecommenderError, ConnectionError):
    """A server (a download, a store, MLflow) did not answer as it should; trying again may help."""
