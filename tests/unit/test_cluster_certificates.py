"""Certificates of our own authority: made once, checked by everyone, renewed in time."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from hack.localcluster import certificates
from hack.localcluster.certificates import CertificateAuthority, Identity

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def authority(tmp_path: Path) -> CertificateAuthority:
    authority = CertificateAuthority(tmp_path / "pki", "ca")
    authority.ensure()
    return authority


def openssl(*arguments: str | Path) -> str:
    return subprocess.run(["openssl", *arguments], capture_output=True, text=True, check=True).stdout


def test_a_certificate_names_user_and_groups_as_kubernetes_reads_them(
    authority: CertificateAuthority,
) -> None:
    pair = authority.issue("node", Identity("system:node:n1", organizations=("system:nodes",)))
    subject = openssl("x509", "-noout", "-subject", "-nameopt", "RFC2253", "-in", pair.certificate)
    assert subject.strip() == "subject=CN=system:node:n1,O=system:nodes"


def test_a_server_is_valid_for_its_names_and_addresses_only(authority: CertificateAuthority) -> None:
    pair = authority.issue("server", Identity("server", hosts=("10.96.0.1", "kubernetes.default")))
    check = ("verify", "-CAfile", authority.certificate, "-purpose", "sslserver")
    assert "OK" in openssl(*check, "-verify_ip", "10.96.0.1", pair.certificate)
    assert "OK" in openssl(*check, "-verify_hostname", "kubernetes.default", pair.certificate)
    with pytest.raises(subprocess.CalledProcessError):
        openssl(*check, "-verify_hostname", "example.org", pair.certificate)


def test_a_clients_certificate_serves_nobody(authority: CertificateAuthority) -> None:
    pair = authority.issue("ada", Identity("ada"))
    assert "OK" in openssl(
        "verify", "-CAfile", authority.certificate, "-purpose", "sslclient", pair.certificate
    )
    with pytest.raises(subprocess.CalledProcessError):
        openssl("verify", "-CAfile", authority.certificate, "-purpose", "sslserver", pair.certificate)


def test_a_valid_certificate_is_used_again(authority: CertificateAuthority) -> None:
    first = authority.issue("ada", Identity("ada")).certificate.read_text()
    authority.ensure()
    assert authority.issue("ada", Identity("ada")).certificate.read_text() == first


def test_another_identity_gets_another_certificate(authority: CertificateAuthority) -> None:
    first = authority.issue("ada", Identity("ada")).certificate.read_text()
    assert authority.issue("ada", Identity("ada", organizations=("admins",))).certificate.read_text() != first


def test_a_certificate_is_renewed_before_it_expires(
    authority: CertificateAuthority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(certificates, "CERTIFICATE_DAYS", 29)
    first = authority.issue("ada", Identity("ada")).certificate.read_text()
    assert authority.issue("ada", Identity("ada")).certificate.read_text() != first


def test_a_new_authority_makes_old_certificates_void(authority: CertificateAuthority) -> None:
    authority.issue("ada", Identity("ada"))
    authority.certificate.unlink()
    authority.ensure()
    pair = authority.issue("ada", Identity("ada"))
    assert "OK" in openssl("verify", "-CAfile", authority.certificate, pair.certificate)


def test_keys_are_for_their_owner_only(authority: CertificateAuthority) -> None:
    pair = authority.issue("ada", Identity("ada"))
    assert authority.directory.stat().st_mode & 0o077 == 0
    assert pair.key.stat().st_mode & 0o077 == 0
