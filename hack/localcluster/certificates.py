"""A certificate authority of our own, by openssl: whoever talks to anyone here is known by certificate."""

from __future__ import annotations

import hashlib
import json
import secrets
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from hack.localcluster.shell import run, succeeds

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

AUTHORITY_DAYS = 3650
CERTIFICATE_DAYS = 365
RENEWED_WHEN_LEFT_SECONDS = 30 * 24 * 3600
_NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


@dataclass(frozen=True)
class KeyPair:
    """A certificate and its private key, as PEM files."""

    certificate: Path
    key: Path


@dataclass(frozen=True)
class Identity:
    """Who a certificate is for: Kubernetes reads the common name as the user, the organizations as groups."""

    common_name: str
    organizations: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()  # names and IPs that a server answers under

    def subject(self) -> str:
        """Write it as openssl's -subj wants it."""
        parts = [("O", organization) for organization in self.organizations] + [("CN", self.common_name)]
        return "".join(f"/{key}={_escaped(value)}" for key, value in parts)

    def extensions(self) -> str:
        """Return the extension section: whoever has hosts may serve, and everyone may be a client."""
        lines = ["basicConstraints=critical,CA:FALSE", "keyUsage=critical,digitalSignature"]
        if self.hosts:
            names = ",".join(f"{'IP' if _is_ip(host) else 'DNS'}:{host}" for host in self.hosts)
            lines += ["extendedKeyUsage=serverAuth,clientAuth", f"subjectAltName={names}"]
        else:
            lines.append("extendedKeyUsage=clientAuth")
        return "\n".join(lines) + "\n"


class CertificateAuthority:
    """Signs certificates and keeps them in one folder; asked again, it gives the same ones while valid."""

    def __init__(self, directory: Path, name: str) -> None:
        self.directory = directory
        self.name = name
        self.certificate = directory / f"{name}.crt"
        self._key = directory / f"{name}.key"

    def ensure(self) -> None:
        """Create the authority where it is missing or about to expire."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self.directory.chmod(0o700)
        if self._key.exists() and _is_valid(self.certificate):
            return
        config = self.directory / "openssl.cnf"
        config.write_text(
            "[req]\ndistinguished_name=name\nx509_extensions=authority\n[name]\n[authority]\n"
            "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n"
        )
        run(
            [
                *("openssl", "req", "-x509", "-new", *_NEW_KEY, "-config", config),
                *("-days", str(AUTHORITY_DAYS), "-subj", f"/CN=qgjob {self.name}"),
                *("-keyout", self._key, "-out", self.certificate),
            ]
        )

    def issue(self, name: str, identity: Identity) -> KeyPair:
        """Return the certificate kept under `name`; a new one if it is another's or about to expire."""
        pair = KeyPair(self.directory / f"{name}.crt", self.directory / f"{name}.key")
        record = self.directory / f"{name}.json"
        wanted = json.dumps({**asdict(identity), "authority": _digest(self.certificate)}, sort_keys=True)
        kept = record.exists() and record.read_text() == wanted and pair.key.exists()
        if kept and _is_valid(pair.certificate):
            return pair
        config = self.directory / "openssl.cnf"
        request = run(
            [
                *("openssl", "req", "-new", *_NEW_KEY, "-config", config),
                *("-subj", identity.subject(), "-keyout", pair.key),
            ]
        )
        extensions = self.directory / f"{name}.ext"
        extensions.write_text(identity.extensions())
        run(
            [
                *("openssl", "x509", "-req", "-days", str(CERTIFICATE_DAYS), "-extfile", extensions),
                *("-CA", self.certificate, "-CAkey", self._key, "-set_serial", f"0x{secrets.token_hex(16)}"),
                *("-out", pair.certificate),
            ],
            stdin=request,
        )
        extensions.unlink()
        record.write_text(wanted)
        return pair


def ensure_signing_key(path: Path) -> None:
    """Create the private key that signs service account tokens, where it is missing."""
    if not path.exists():
        run(["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", path])


def _is_valid(certificate: Path) -> bool:
    if not certificate.exists():
        return False
    argv: Sequence[str | Path] = (
        *("openssl", "x509", "-noout", "-in", certificate),
        *("-checkend", str(RENEWED_WHEN_LEFT_SECONDS)),
    )
    return succeeds(argv)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("/", "\\/").replace("+", "\\+")


def _is_ip(host: str) -> bool:
    return host.replace(".", "").isdigit() or ":" in host
