"""Certificates: the server's is verified by its name, and a client may log in by its own."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import postgres
import pytest

from agentq_cli.base.errors import Usage
from agentq_cli.engines.fleet import init
from agentq_cli.engines.fleet.connection import Connection
from agentq_cli.model.fleet import FleetSettings

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(postgres.why_not() is not None, reason=str(postgres.why_not())),
    pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl"),
]

HBA = "local all all trust\nhostssl all agentq 127.0.0.1/32 cert\nhostssl all owner 127.0.0.1/32 trust\n"


def openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


def authority(directory: Path, name: str) -> None:
    """A key and a certificate with which others are signed."""
    key, certificate = directory / f"{name}.key", directory / f"{name}.crt"
    subject = ("-subj", f"/CN={name}", "-days", "2", "-nodes")
    openssl("req", "-x509", "-newkey", "rsa:2048", "-keyout", key, "-out", certificate, *subject)


def signed(directory: Path, name: str, by: str) -> None:
    """A key and a certificate of that name."""
    request, key = directory / f"{name}.csr", directory / f"{name}.key"
    openssl("req", "-newkey", "rsa:2048", "-keyout", key, "-out", request, "-subj", f"/CN={name}", "-nodes")
    ca = ("-CA", directory / f"{by}.crt", "-CAkey", directory / f"{by}.key", "-CAcreateserial", "-days", "2")
    openssl("x509", "-req", "-in", request, "-out", directory / f"{name}.crt", *ca)
    key.chmod(0o600)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[postgres.Cluster, Path]]:
    """A server that takes TLS alone by TCP, and the directory of the certificates."""
    for name in ("ca", "stranger"):
        authority(tmp_path, name)
    signed(tmp_path, "localhost", "ca")
    signed(tmp_path, "agentq", "ca")
    with postgres.cluster() as cluster:
        cluster.ask("CREATE ROLE owner SUPERUSER LOGIN")
        cluster.stop()
        (cluster.data / "pg_hba.conf").write_text(HBA)
        for name in ("localhost.crt", "localhost.key", "ca.crt"):
            shutil.copy(tmp_path / name, cluster.data / name)
            shutil.chown(cluster.data / name, cluster.data.owner())
            (cluster.data / name).chmod(0o600)
        cluster.start(ssl="on", ssl_cert_file="localhost.crt", ssl_key_file="localhost.key", ssl_ca_file="ca.crt")
        yield cluster, tmp_path


def test_a_certificate_that_is_not_the_servers_is_refused(server: tuple[postgres.Cluster, Path]) -> None:
    cluster, directory = server
    settings = FleetSettings()
    strict = f"postgresql://owner@localhost:{cluster.port}/postgres?hostaddr=127.0.0.1&sslmode=verify-full"
    assert init.init(f"{strict}&sslrootcert={directory}/ca.crt", settings)
    with pytest.raises(Usage, match="certificate verify failed"):
        init.init(f"{strict}&sslrootcert={directory}/stranger.crt", settings)
    with pytest.raises(Usage, match="does not exist"):
        init.init(f"{strict}&sslrootcert={directory}/nowhere.crt", settings)
    with pytest.raises(Usage, match="does not match host name"):
        init.init(f"{strict.replace('localhost', 'db.example')}&sslrootcert={directory}/ca.crt", settings)
    with pytest.raises(Usage, match="no encryption"):
        init.init(strict.replace("verify-full", "disable"), settings)


def test_a_client_logs_in_by_its_certificate(server: tuple[postgres.Cluster, Path]) -> None:
    cluster, directory = server
    url = f"postgresql://agentq@localhost:{cluster.port}/postgres?sslmode=verify-full&sslrootcert={directory}/ca.crt"
    url += "&hostaddr=127.0.0.1"
    with pytest.raises(Usage, match="certificate"):
        Connection(url, "agentq").connect()
    with Connection(f"{url}&sslcert={directory}/agentq.crt&sslkey={directory}/agentq.key", "agentq") as connection:
        assert connection.send("SELECT current_user, ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()") == [
            ("agentq", True)
        ]
