"""Certificates for a test, by the openssl command: authorities, servers, clients."""

import pathlib
import shutil
import subprocess
import tempfile

CA_CONFIG = """
[ca]
default_ca = this
[this]
database = {dir}/index
serial = {dir}/serial
crlnumber = {dir}/crlnumber
new_certs_dir = {dir}
certificate = {dir}/ca.pem
private_key = {dir}/ca.key
default_md = sha256
default_crl_days = 30
policy = any
unique_subject = no
x509_extensions = leaf
[any]
commonName = supplied
[leaf]
basicConstraints = CA:FALSE
subjectAltName = IP:10.99.0.2,IP:127.0.0.1
[root]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign
[req]
distinguished_name = dn
[dn]
"""


def openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


class Authority:
    """An authority in a directory of its own, which goes with close()."""

    def __init__(self, name):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="rolegate-pki-"))
        self.dir.chmod(0o755)
        self.config = self.dir / "ca.cnf"
        self.config.write_text(CA_CONFIG.format(dir=self.dir))
        (self.dir / "index").touch()
        (self.dir / "serial").write_text("01\n")
        (self.dir / "crlnumber").write_text("01\n")
        self.certificate = self.dir / "ca.pem"
        self._key(self.dir / "ca.key")
        openssl("req", "-new", "-x509", "-config", self.config, "-extensions", "root", "-days", 30,
                "-key", self.dir / "ca.key", "-out", self.certificate, "-subj", f"/CN={name}")

    def close(self):
        shutil.rmtree(self.dir)

    @staticmethod
    def _key(path):
        openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", path)
        path.chmod(0o644)  # of a test: whichever user the daemon becomes may read it

    def issue(self, name, start=None, end=None):
        """(certificate, key) for the common name; `start`, `end`: YYMMDDHHMMSSZ."""
        stem = name.replace(" ", "-")
        cert, key, request = (self.dir / f"{stem}.{ending}" for ending in ("pem", "key", "csr"))
        self._key(key)
        openssl("req", "-new", "-config", self.config, "-key", key, "-out", request, "-subj", f"/CN={name}")
        dates = ["-startdate", start, "-enddate", end] if start else ["-days", 20]
        openssl("ca", "-batch", "-notext", "-config", self.config, "-in", request, "-out", cert, *dates)
        return cert, key

    def revoke(self, cert):
        """The list of what is revoked, with this."""
        crl = self.dir / "crl.pem"
        openssl("ca", "-config", self.config, "-revoke", cert)
        openssl("ca", "-config", self.config, "-gencrl", "-out", crl)
        return crl.read_text()
