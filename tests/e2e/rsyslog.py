"""A real rsyslogd that forwards a file, and the certificates for TLS. Not for what a test expects of it."""

import signal
import subprocess
from pathlib import Path

from waiting import until


class Rsyslog:
    """Follows `app.log` in its folder and forwards each line; what it cannot deliver waits in a queue of its own, on disk if need be."""

    def __init__(self, folder, port, protocol="tcp", tls=None):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True)
        self.log = self.folder / "app.log"
        self.log.touch()
        self.said = self.folder / "rsyslogd.log"
        self.config = self.folder / "rsyslog.conf"
        work = self.folder / "work"
        work.mkdir()
        ca = f' defaultNetstreamDriverCAFile="{tls.ca}"' if tls else ""
        client = f' defaultNetstreamDriverCertFile="{tls.client}" defaultNetstreamDriverKeyFile="{tls.client_key}"' if tls else ""
        secure = (
            ' StreamDriver="gtls" StreamDriverMode="1" StreamDriverAuthMode="x509/name" StreamDriverPermittedPeers="localhost"'
            if tls
            else ""
        )
        framing = ' TCP_Framing="octet-counted"' if protocol == "tcp" else ""
        self.config.write_text(
            f'global(workDirectory="{work}"{ca}{client})\n'
            'module(load="imfile")\n'
            f'input(type="imfile" file="{self.log}" tag="crmapp:" ruleset="on")\n'
            'ruleset(name="on") {\n'
            f'  action(type="omfwd" target="127.0.0.1" port="{port}" protocol="{protocol}"{framing}{secure}\n'
            '         template="RSYSLOG_SyslogProtocol23Format" action.resumeRetryCount="-1" action.resumeInterval="1"\n'
            '         queue.type="LinkedList" queue.filename="forward" queue.saveOnShutdown="on" queue.size="50000")\n'
            "}\n"
        )
        self.process = None

    def start(self):
        with open(self.said, "ab") as said:
            self.process = subprocess.Popen(
                ["rsyslogd", "-n", "-f", str(self.config), "-i", str(self.folder / "pid")],
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
            )
        until("rsyslogd runs", lambda: (self.folder / "pid").exists() and self.process.poll() is None)
        return self

    def write(self, lines):
        with open(self.log, "a") as log:
            log.write("".join(f"{line}\n" for line in lines))

    def kill(self):
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
        self.process = None


class Certificates:
    """An authority of the test's own, and a certificate of each side under it."""

    def __init__(self, folder):
        folder = Path(folder)
        folder.mkdir(parents=True)
        self.ca, self.ca_key = folder / "ca.pem", folder / "ca.key"
        new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        self.openssl("req", "-x509", *new, "-keyout", self.ca_key, "-out", self.ca, "-days", "2", "-subj", "/CN=authority")
        extensions = folder / "extensions"
        extensions.write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n")
        for name in ("server", "client"):
            certificate, key, request = folder / f"{name}.pem", folder / f"{name}.key", folder / f"{name}.csr"
            self.openssl("req", *new, "-keyout", key, "-out", request, "-subj", "/CN=localhost")
            self.openssl(
                *["x509", "-req", "-in", request, "-CA", self.ca, "-CAkey", self.ca_key, "-CAcreateserial"],
                *["-days", "2", "-extfile", extensions, "-out", certificate],
            )
            setattr(self, name, certificate)
            setattr(self, f"{name}_key", key)

    def openssl(self, *arguments):
        done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True)
        assert done.returncode == 0, f"openssl {arguments[0]}: {done.stderr}"
