"""TLS certificates for a private federation: a certificate authority and the SuperLink's certificate issued by it."""

from __future__ import annotations

import ipaddress
import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from umbel.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_AUTHORITY_DAYS = 3650
_EARLIER = timedelta(hours=1)  # for clocks that are behind


@dataclass(frozen=True, slots=True)
class Made:
    """Paths of the created files: distribute `authority` to all clients, `certificate` and `key` to the SuperLink; keep `authority_key` private."""

    authority: Path
    authority_key: Path
    certificate: Path
    key: Path


def create(directory: Path, names: Sequence[str], days: int) -> Made:
    """Make a SuperLink's certificate for host names and addresses; its authority too, if `directory` has none.

    A certificate that is there is replaced; clients that trust the authority trust the new one. Raises ConfigError, UsageError.
    """
    made = Made(directory / "ca.pem", directory / "ca.key", directory / "superlink.pem", directory / "superlink.key")
    hosts = [_general_name(name) for name in names]
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        issuer, issuer_key = _read_authority(made) if made.authority.exists() else _make_authority(made)
        key = ec.generate_private_key(ec.SECP256R1())
        _write_key(made.key, key)
        made.certificate.write_bytes(_pem(_leaf(hosts, names[0], key, issuer, issuer_key, days)))
    except OSError as failure:
        raise ConfigError(f"Cannot write the certificates to {directory}: {failure}.") from failure
    return made


def _make_authority(made: Made) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("Umbel federation authority")
    built = (
        _builder(name, name, key.public_key(), _AUTHORITY_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    _write_key(made.authority_key, key)
    made.authority.write_bytes(_pem(built))
    return built, key


def _read_authority(made: Made) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    try:
        certificate = x509.load_pem_x509_certificate(made.authority.read_bytes())
        key = serialization.load_pem_private_key(made.authority_key.read_bytes(), None)
    except (OSError, ValueError, TypeError) as failure:
        raise ConfigError(
            f"Cannot use the certificate authority in {made.authority} and {made.authority_key}: {failure}.",
            hint="Choose another --directory; clients then need the new authority's certificate.",
        ) from failure
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
        raise ConfigError(f"{made.authority_key} is not the key of {made.authority}.")
    return certificate, key


def _leaf(
    hosts: list[x509.GeneralName],
    title: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: x509.Certificate,
    issuer_key: ec.EllipticCurvePrivateKey,
    days: int,
) -> x509.Certificate:
    authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key())
    return (
        _builder(_name(title[:64]), issuer.subject, key.public_key(), days)
        .add_extension(x509.SubjectAlternativeName(hosts), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(authority, critical=False)
        .sign(issuer_key, hashes.SHA256())
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, public_key: ec.EllipticCurvePublicKey, days: int
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _EARLIER)
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        pass
    try:
        return x509.DNSName(_checked(name))
    except ValueError:
        raise UsageError(
            f"{name!r} is not a hostname or an IP address.", hint="Omit the scheme and the port."
        ) from None


def _checked(name: str) -> str:
    labels = name.removeprefix("*.").split(".")
    if not all(label.replace("-", "a").isalnum() and len(label) < 64 for label in labels) or not name.isascii():
        raise ValueError(name)
    return name


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    data = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
