"""Error classes of Umbel, each with a code, an exit code and an HTTP status.

The command line ends with the `exit_code` of an error, the HTTP API returns a problem document with its
`http_status`, and the documentation has one entry per `code`. The default message of an error is the first line
of its class's docstring.
"""

from __future__ import annotations

from collections.abc import Iterator


class UmbelError(Exception):
    """An operation of Umbel failed."""

    code = "error"
    exit_code = 1
    http_status = 500

    def __init__(self, message: str | None = None, *, hint: str | None = None) -> None:
        """Create an error.

        Args:
            message: what happened and why, as a complete sentence. Defaults to the first line of the class's docstring.
            hint: what to do about it, as an imperative.
        """
        self.message = message or (type(self).__doc__ or type(self).__name__).splitlines()[0]
        self.hint = hint
        super().__init__(self.message)

    def __str__(self) -> str:
        return f"{self.message} {self.hint}" if self.hint else self.message


class UsageError(UmbelError):
    """The command line is not valid."""

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
    """The requested object does not exist."""

    code, exit_code, http_status = "not-found", 7, 404


class Conflict(UmbelError):
    """The request conflicts with the current state."""

    code, exit_code, http_status = "conflict", 8, 409


class Unauthenticated(UmbelError):
    """The request carries no valid credential."""

    code, exit_code, http_status = "unauthenticated", 9, 401


class PermissionRefused(UmbelError):
    """The credential does not permit this operation."""

    code, exit_code, http_status = "permission-refused", 10, 403


class SuperLinkUnreachable(UmbelError):
    """The SuperLink is not reachable."""

    code, exit_code, http_status = "superlink-unreachable", 11, 503


class StorageFull(UmbelError):
    """The disk that holds the objects or the database is full."""

    code, exit_code, http_status = "storage-full", 12, 507


class ObjectInvalid(UmbelError):
    """The data does not match its declared digest, size or format."""

    code, exit_code, http_status = "object-invalid", 13, 422


class TooLarge(UmbelError):
    """The request is larger than the SuperLink accepts."""

    code, exit_code, http_status = "too-large", 14, 413


class RequestInvalid(UmbelError):
    """The body or the parameters of the request are not valid."""

    code, exit_code, http_status = "request-invalid", 15, 422


class DatabaseUnavailable(UmbelError):
    """The database of the SuperLink is not available."""

    code, exit_code, http_status = "database-unavailable", 16, 503


class VersionMismatch(UmbelError):
    """Two programs of Umbel have incompatible versions."""

    code, exit_code, http_status = "version-mismatch", 18, 426


class TlsFailed(UmbelError):
    """No secure connection to the SuperLink could be established."""

    code, exit_code, http_status = "tls-failed", 17, 503


class RunFailed(UmbelError):
    """The run failed."""

    code, exit_code, http_status = "run-failed", 20, 500


class RunStopped(UmbelError):
    """The run was stopped before it finished."""

    code, exit_code, http_status = "run-stopped", 21, 409


class AppError(UmbelError):
    """The app's own code raised an exception."""

    code, exit_code, http_status = "app-error", 22, 500


class AppLoadError(AppError):
    """A component named in pyproject.toml could not be imported."""

    code, exit_code, http_status = "app-load-failed", 23, 422

    def __init__(self, message: str | None = None, *, hint: str | None = None, traceback: str = "") -> None:
        """`traceback` is the traceback of the app's failed import."""
        super().__init__(message, hint=hint)
        self.traceback = traceback


class InconsistentReplies(AppError):
    """The clients' replies are inconsistent."""

    code, exit_code, http_status = "replies-inconsistent", 24, 500


class AggregationFailed(AppError):
    """The strategy could not aggregate the clients' replies."""

    code, exit_code, http_status = "aggregation-failed", 25, 500


class NotEnoughNodes(AppError):
    """Too few nodes came online or replied in time."""

    code, exit_code, http_status = "nodes-missing", 26, 503


class ResourcesMissing(UmbelError):
    """This machine does not have the CPUs, GPUs or memory that a client requires."""

    code, exit_code, http_status = "resources-missing", 27, 503


class PartitionInvalid(AppError):
    """The data cannot be partitioned as requested."""

    code, exit_code, http_status = "partition-invalid", 28, 422


class CheckpointInvalid(AppError):
    """The checkpoint of the run does not match the app."""

    code, exit_code, http_status = "checkpoint-invalid", 29, 422


class SecureAggregationFailed(AggregationFailed):
    """Too many nodes dropped out of a secure aggregation to compute the sum."""

    code, exit_code, http_status = "secure-aggregation-failed", 30, 500


class SecureAggregationRefused(AppError):
    """A message violated the protocol of secure aggregation and was rejected."""

    code, exit_code, http_status = "secure-aggregation-refused", 31, 422


class DependenciesMissing(UmbelError):
    """The app declares dependencies that are not installed on this machine."""

    code, exit_code, http_status = "dependencies-missing", 40, 422


class EnvironmentFailed(UmbelError):
    """The app's dependencies could not be installed."""

    code, exit_code, http_status = "environment-failed", 41, 422


def all_errors() -> Iterator[type[UmbelError]]:
    """All error classes, parents first.

    Subclasses without their own code, such as those in apps, are omitted.
    """
    stack: list[type[UmbelError]] = [UmbelError]
    while stack:
        cls = stack.pop(0)
        yield cls
        stack.extend(child for child in cls.__subclasses__() if "code" in vars(child))


def from_code(code: str, message: str, hint: str | None = None) -> UmbelError:
    """The error of a problem document with this `code`; an UmbelError if the code is unknown."""
    known = {cls.code: cls for cls in all_errors()}
    return known.get(code, UmbelError)(message, hint=hint)
