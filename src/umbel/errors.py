"""The errors a user of Umbel can meet, each with a code, an exit code and an HTTP status.

One table for the whole product: the command line turns an error into its `exit_code`, the HTTP API into a
problem document with its `http_status`, and the documentation has one entry for each `code`. A class whose
message is not given says its docstring's first line.
"""

from __future__ import annotations

from collections.abc import Iterator


class UmbelError(Exception):
    """Something went wrong in Umbel."""

    code = "error"
    exit_code = 1
    http_status = 500

    def __init__(self, message: str | None = None, *, hint: str | None = None) -> None:
        """`message` says what happened and why, `hint` what to do about it."""
        self.message = message or (type(self).__doc__ or type(self).__name__).splitlines()[0]
        self.hint = hint
        super().__init__(self.message)

    def __str__(self) -> str:
        return f"{self.message} {self.hint}" if self.hint else self.message


class UsageError(UmbelError):
    """The command was not understood."""

    code, exit_code, http_status = "usage", 2, 400


class ConfigError(UmbelError):
    """A configuration file or a setting is not valid."""

    code, exit_code, http_status = "config-invalid", 3, 400


class AppInvalid(UmbelError):
    """The app's pyproject.toml or its components are not valid."""

    code, exit_code, http_status = "app-invalid", 4, 422


class UnknownConfigKey(AppInvalid):
    """An override names a key that the app does not declare."""

    code, exit_code, http_status = "config-key-unknown", 5, 422


class BundleInvalid(UmbelError):
    """The app bundle is damaged, too large or not allowed."""

    code, exit_code, http_status = "bundle-invalid", 6, 422


class NotFound(UmbelError):
    """There is no such thing."""

    code, exit_code, http_status = "not-found", 7, 404


class Conflict(UmbelError):
    """The request does not fit the present state."""

    code, exit_code, http_status = "conflict", 8, 409


class Unauthenticated(UmbelError):
    """The request carries no valid credential."""

    code, exit_code, http_status = "unauthenticated", 9, 401


class PermissionRefused(UmbelError):
    """The credential does not allow this."""

    code, exit_code, http_status = "permission-refused", 10, 403


class SuperLinkUnreachable(UmbelError):
    """The SuperLink does not answer."""

    code, exit_code, http_status = "superlink-unreachable", 11, 503


class StorageFull(UmbelError):
    """The disk that holds the objects or the database is full."""

    code, exit_code, http_status = "storage-full", 12, 507


class ObjectInvalid(UmbelError):
    """The bytes do not have the digest, the size or the form they were announced with."""

    code, exit_code, http_status = "object-invalid", 13, 422


class TooLarge(UmbelError):
    """The request is larger than the SuperLink accepts."""

    code, exit_code, http_status = "too-large", 14, 413


class RequestInvalid(UmbelError):
    """The request's body or parameters do not fit the API."""

    code, exit_code, http_status = "request-invalid", 15, 422


class DatabaseUnavailable(UmbelError):
    """The database of the SuperLink does not answer."""

    code, exit_code, http_status = "database-unavailable", 16, 503


class VersionMismatch(UmbelError):
    """Two programs of Umbel have versions that do not fit together."""

    code, exit_code, http_status = "version-mismatch", 18, 426


class TlsFailed(UmbelError):
    """There is no secure connection to the SuperLink: its certificate, or the protocol, is not what is expected."""

    code, exit_code, http_status = "tls-failed", 17, 503


class RunFailed(UmbelError):
    """The run ended in failure."""

    code, exit_code, http_status = "run-failed", 20, 500


class RunStopped(UmbelError):
    """The run was stopped before its end."""

    code, exit_code, http_status = "run-stopped", 21, 409


class AppError(UmbelError):
    """The app's own code raised an exception."""

    code, exit_code, http_status = "app-error", 22, 500


class AppLoadError(AppError):
    """A component named in pyproject.toml could not be imported."""

    code, exit_code, http_status = "app-load-failed", 23, 422

    def __init__(self, message: str | None = None, *, hint: str | None = None, traceback: str = "") -> None:
        """`traceback` is the app's own, where its import failed."""
        super().__init__(message, hint=hint)
        self.traceback = traceback


class InconsistentReplies(AppError):
    """The clients' replies do not fit together."""

    code, exit_code, http_status = "replies-inconsistent", 24, 500


class AggregationFailed(AppError):
    """The strategy could not aggregate the clients' replies."""

    code, exit_code, http_status = "aggregation-failed", 25, 500


class NotEnoughNodes(AppError):
    """Too few nodes came online, or answered, in the time allowed."""

    code, exit_code, http_status = "nodes-missing", 26, 503


class ResourcesMissing(UmbelError):
    """This machine does not have the CPUs, GPUs or memory that a client asks for."""

    code, exit_code, http_status = "resources-missing", 27, 503


class PartitionInvalid(AppError):
    """The data cannot be divided as asked."""

    code, exit_code, http_status = "partition-invalid", 28, 422


class CheckpointInvalid(AppError):
    """The run's checkpoint does not match the app that tries to resume from it."""

    code, exit_code, http_status = "checkpoint-invalid", 29, 422


class SecureAggregationFailed(AggregationFailed):
    """Too many nodes dropped out of a secure aggregation, so that there is no sum."""

    code, exit_code, http_status = "secure-aggregation-failed", 30, 500


class SecureAggregationRefused(AppError):
    """A message does not fit the protocol of secure aggregation, and was refused."""

    code, exit_code, http_status = "secure-aggregation-refused", 31, 422


class DependenciesMissing(UmbelError):
    """The app declares dependencies that this machine does not have."""

    code, exit_code, http_status = "dependencies-missing", 40, 422


class EnvironmentFailed(UmbelError):
    """The app's dependencies could not be installed."""

    code, exit_code, http_status = "environment-failed", 41, 422


def all_errors() -> Iterator[type[UmbelError]]:
    """Every error class, parents first: the source of the documentation and of the code → class table.

    A subclass without its own code, for example in an app, counts as its parent's error.
    """
    stack: list[type[UmbelError]] = [UmbelError]
    while stack:
        cls = stack.pop(0)
        yield cls
        stack.extend(child for child in cls.__subclasses__() if "code" in vars(child))


def from_code(code: str, message: str, hint: str | None = None) -> UmbelError:
    """The error that a problem document with this `code` stands for."""
    known = {cls.code: cls for cls in all_errors()}
    return known.get(code, UmbelError)(message, hint=hint)
