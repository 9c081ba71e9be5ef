"""TLS on the way to a SuperLink: whom to trust, and what a person is told when it fails."""

from __future__ import annotations

import ssl
from functools import cached_property
from http.client import HTTPConnection, HTTPSConnection
from typing import TYPE_CHECKING

from umbel.errors import ConfigError, TlsFailed

if TYPE_CHECKING:
    from pathlib import Path

HANDSHAKE = 30.0  # seconds without a byte
_PLAIN = {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG"}
_TRUST = "Provide the certificate of the issuing authority: root-certificates in config.toml, or --root-certificates."


class TlsConnection(HTTPSConnection):
    """A connection with a separate timeout for the TLS handshake: a starting SuperLink listens before it can respond."""

    def __init__(self, host: str, port: int | None, *, trust: Trust, timeout: float, blocksize: int) -> None:
        self._trusted = trust.context
        super().__init__(host, port, timeout=timeout, blocksize=blocksize, context=self._trusted)

    def connect(self) -> None:
        """Connect, and agree on TLS."""
        HTTPConnection.connect(self)
        self.sock.settimeout(HANDSHAKE)
        self.sock = self._trusted.wrap_socket(self.sock, server_hostname=self.host)


class Trust:
    """The authorities whose certificates are believed: those in the PEM file `root_certificates`, or else the system's."""

    def __init__(self, root_certificates: str | Path | None = None) -> None:
        self._path = root_certificates

    @cached_property
    def context(self) -> ssl.SSLContext:
        """For connections of clients. Raises ConfigError when the file cannot be used."""
        try:
            return ssl.create_default_context(cafile=self._path)
        except (OSError, ssl.SSLError) as failure:
            raise ConfigError(
                f"The root certificates in {self._path} cannot be used: {failure}.",
                hint="Use a file with one or more certificates in PEM format.",
            ) from failure


def refused(connection: HTTPConnection, address: str, failure: ssl.SSLError) -> TlsFailed:
    """The error for a SuperLink at `address` with which no secure connection came about."""
    if isinstance(failure, ssl.SSLCertVerificationError):
        return _distrusted(connection, address, failure)
    if failure.reason in _PLAIN:
        return TlsFailed(
            f"The server at {address} does not use TLS.",
            hint="Start the SuperLink with a certificate, or use http:// (insecure) if you trust the network.",
        )
    return TlsFailed(
        f"The secure connection to {address} failed: {failure.reason or failure}.",
        hint="Check for a proxy in between, or for a server of another kind at this address.",
    )


def _distrusted(connection: HTTPConnection, address: str, failure: ssl.SSLCertVerificationError) -> TlsFailed:
    reason = failure.verify_message.rstrip(".")
    whose = _whose(connection)
    if failure.verify_code in (_HOST, _ADDRESS):
        hint = "Use one of the hostnames in the certificate as the address, or create a certificate with this hostname."
    elif "expired" in reason or "not yet valid" in reason:
        hint = "Create a new certificate, or correct the clock of this machine."
    else:
        hint = _TRUST
    return TlsFailed(f"The certificate of the SuperLink at {address} is not trusted: {reason}.{whose}", hint=hint)


_HOST, _ADDRESS = 62, 64  # X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH


def _whose(connection: HTTPConnection) -> str:
    """For whom the certificate was made and by whom, asked for once more without trusting it; nothing else is sent."""
    from cryptography import x509

    try:
        pem = ssl.get_server_certificate((connection.host, connection.port), timeout=5.0)
        certificate = x509.load_pem_x509_certificate(pem.encode())
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (OSError, ValueError, x509.ExtensionNotFound):
        return ""
    issuer = certificate.issuer.rfc4514_string()
    return f" It was issued for {', '.join(str(name.value) for name in names)[:200]} by {issuer[:200]}."
