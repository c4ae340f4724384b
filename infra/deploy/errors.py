"""What ends a command of the deployment, each class with the exit code that all scripts of infra/ share."""

from __future__ import annotations


class DeployError(Exception):
    """A host, a server or a transfer failed.

    It is no `TriplelakeError`: the exit codes of `triplelake` mean other things than those of infra/.

    Args:
        subject: what was looked at: a host, a server, a file.
        reason: why it failed, in one sentence without a full stop.
        remedy: what to do now, in a sentence or a few lines; may be empty.
    """

    exit_code = 4

    def __init__(self, subject: str, reason: str, remedy: str = "") -> None:
        super().__init__(subject, reason, remedy)
        self.subject = subject
        self.reason = reason
        self.remedy = remedy

    def __str__(self) -> str:
        return "\n  ".join([f"error: {self.subject}: {self.reason}", *self.remedy.splitlines()])


class BadUsage(DeployError):
    """An option, the inventory or a file that it names cannot be used."""

    exit_code = 2


class Missing(DeployError):
    """A host lacks what a server needs."""

    exit_code = 3


class NoRoom(DeployError):
    """A host's disk is too small."""

    exit_code = 5


class Several(DeployError):
    """Several hosts have something; the exit code is that of the first.

    Args:
        errors: at least one.
    """

    def __init__(self, errors: list[DeployError]) -> None:
        super().__init__("hosts", f"{len(errors)} errors")
        self.errors = errors
        self.exit_code = errors[0].exit_code

    def __str__(self) -> str:
        return "\n".join(map(str, self.errors))


def raise_all(errors: list[DeployError]) -> None:
    """Raise what was found, if anything."""
    if errors:
        raise errors[0] if len(errors) == 1 else Several(errors)
