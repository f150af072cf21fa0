"""What the end-to-end tests need beside Python: Debian packages. Not for cargo or a C compiler; `test.sh` looks for those.

A missing part is installed where that is possible (root, apt-get) and ends the run with the command that installs it where
it is not. Nothing is ever left out in silence.
"""

import os
import shutil
import subprocess
import sys

# program -> (Debian package, what it is needed for)
NEEDED = {
    "postfix": ("postfix", "the mail server that alerts are sent to"),
    "saslpasswd2": ("sasl2-bin", "the mail server's accounts"),
    "openssl": ("openssl", "the mail server's certificates"),
    "prometheus": ("prometheus", "scrapes the daemon and evaluates the shipped rules"),
    "promtool": ("prometheus", "checks the shipped rules"),
    "logrotate": ("logrotate", "rotates the logs that are being followed"),
    "rsyslogd": ("rsyslog", "sends syslog to the daemon"),
    "logger": ("bsdutils", "sends syslog to the daemon"),
    "strace": ("strace", "makes system calls fail"),
    "mkfs.ext4": ("e2fsprogs", "makes the small file systems that fill up"),
    "mount": ("mount", "mounts them"),
    "journalctl": ("systemd", "keeps and shows the journal"),
    "curl": ("curl", "pushes records"),
    "zstd": ("zstd", "compresses rotated logs"),
}
# Plug-ins, not programs: package -> (file under the library folder, what it is needed for)
PLUGINS = {
    "libsasl2-modules-db": ("sasl2/libsasldb.so", "the mail server's accounts"),
    "rsyslog-gnutls": ("rsyslog/lmnsd_gtls.so", "syslog over TLS"),
}
SBIN = ["/usr/local/sbin", "/usr/sbin", "/sbin"]


def add_sbin_to_path():
    folders = os.environ.get("PATH", "").split(":")
    os.environ["PATH"] = ":".join(folders + [folder for folder in SBIN if folder not in folders])


def missing():
    """Debian packages that are missing, each with what it is for."""
    wanted = {package: why for program, (package, why) in NEEDED.items() if shutil.which(program) is None}
    folders = [f"/usr/lib/{os.uname().machine}-linux-gnu", "/usr/lib", "/usr/lib64"]
    for package, (file, why) in PLUGINS.items():
        if not any(os.path.exists(os.path.join(folder, file)) for folder in folders):
            wanted[package] = why
    return wanted


def install():
    """Installs what is missing, or says how and ends the run."""
    add_sbin_to_path()
    wanted = missing()
    if wanted:
        for package, why in sorted(wanted.items()):
            print(f"missing: {package}: {why}", flush=True)
        packages = sorted(wanted)
        if shutil.which("apt-get") is None:
            sys.exit(f"tests/e2e: install these with your system's own tool (names are Debian's): {' '.join(packages)}")
        if os.geteuid() != 0:
            sys.exit(
                "tests/e2e: not root, so they cannot be installed here; run this once:\n"
                f"    sudo apt-get update && sudo apt-get install --no-install-recommends {' '.join(packages)}"
            )
        apt(["update"])
        # The packages' own services are not wanted: the tests start what they need, on free ports.
        with NoServices():
            apt(["install", "-y", "--no-install-recommends", *packages])
        if still := missing():
            sys.exit(f"tests/e2e: still missing after the installation: {', '.join(sorted(still))}")
    if os.geteuid() != 0:
        sys.exit(
            "tests/e2e: Postfix can be started by root only: its parts change to users of their own. Run\n"
            "    sudo python3 tests/e2e/run.py\n"
            "after `cargo build`."
        )


def apt(arguments):
    environment = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    for attempt in (1, 2, 3):
        done = subprocess.run(
            ["apt-get", "-q", "-o", "DPkg::Lock::Timeout=120", *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if done.returncode == 0:
            return
        print(f"apt-get {' '.join(arguments)} failed (attempt {attempt} of 3)", flush=True)
    sys.exit(f"tests/e2e: apt-get {' '.join(arguments)} failed:\n{done.stdout[-3000:]}")


class NoServices:
    """Keeps packages from starting their services while they are installed, if nothing else decides that already."""

    PATH = "/usr/sbin/policy-rc.d"

    def __enter__(self):
        self.ours = not os.path.exists(self.PATH)
        if self.ours:
            with open(self.PATH, "w") as file:
                file.write("#!/bin/sh\nexit 101\n")
            os.chmod(self.PATH, 0o755)

    def __exit__(self, *_):
        if self.ours:
            os.remove(self.PATH)
