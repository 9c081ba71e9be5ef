"""TLS server contexts."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from umbel.errors import ConfigError

if TYPE_CHECKING:
    from cryptography.x509 import Certificate


def server_context(certfile: Path, keyfile: Path) -> ssl.SSLContext:
    """For connections of clients, TLS 1.2 or newer. Raises ConfigError when certificate and key cannot be used together."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certfile, keyfile, password="")  # an encrypted key is refused instead of asked for
    except (OSError, ssl.SSLError) as failure:
        raise ConfigError(
            f"The certificate {certfile} and the key {keyfile} cannot be used: {failure}.",
            hint="Use a certificate and its matching key in PEM format, the key without a password.",
        ) from failure
    return context


def names(certfile: Path) -> frozenset[str]:
    """The host names and addresses for which a certificate was made. Raises ConfigError."""
    from cryptography import x509

    found: frozenset[str] = frozenset()
    for extension in _read(certfile)[0].extensions:
        if isinstance(extension.value, x509.SubjectAlternativeName):
            found = frozenset(str(name.value) for name in extension.value)
    if not found:
        raise ConfigError(
            f"The certificate {certfile} contains no hostname.",
            hint="Create a certificate with the SuperLink's hostname among its subject alternative names.",
        )
    return found


def check(certfile: Path, ca_certfile: Path | None, now: datetime | None = None) -> None:
    """Raises ConfigError for a certificate that clients will refuse: it has ended, or is not of the given authority."""
    from cryptography.exceptions import InvalidSignature

    chain = _read(certfile)
    if (now or datetime.now(UTC)) > chain[0].not_valid_after_utc:
        raise ConfigError(f"The certificate {certfile} expired on {chain[0].not_valid_after_utc:%Y-%m-%d}.")
    for authority in _read(ca_certfile) if ca_certfile else []:
        try:
            chain[-1].verify_directly_issued_by(authority)
        except (ValueError, TypeError, InvalidSignature):
            continue
        return
    if ca_certfile:
        raise ConfigError(f"The certificate {certfile} was not issued by the certificate authority in {ca_certfile}.")


def _read(path: Path) -> list[Certificate]:
    from cryptography import x509

    try:
        return x509.load_pem_x509_certificates(path.read_bytes())
    except (OSError, ValueError) as failure:
        raise ConfigError(f"{path} cannot be read as a certificate: {failure}.") from failure
