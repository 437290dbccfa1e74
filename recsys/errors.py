"""The one error type that Segue shows to a person."""


class SegueError(Exception):
    """Something a user can mend. The message names the field, row or file at fault and what would be right.

    The command line prints it without a traceback and exits with status 1; the server turns it into a gRPC status.
    """


class InputError(SegueError):
    """Input at a wall (a file, a request, a config) is not what it must be."""


class MissingError(SegueError):
    """Something that an earlier step makes is not there; the message names the command that makes it."""
