"""The real daemon with a folder of its own: configuration, state, logs, credentials. Not for what a test expects of it."""

import json
import os
import re
import signal
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

from waiting import free_port, until

ROOT = Path(__file__).resolve().parents[2]


def binary():
    """The program under test: `cargo build` made it, or CRMWATCH names it."""
    path = Path(os.environ.get("CRMWATCH", ROOT / "target/debug/crmwatch"))
    assert path.is_file(), f"{path} is not there: run `cargo build` first, or name the program in CRMWATCH"
    return str(path)


class Daemon:
    """A folder for one daemon; `start` and `stop` may be called again and again."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.logs = self.folder / "logs"
        self.state = self.folder / "state"
        self.credentials = self.folder / "credentials"
        self.config = self.folder / "crmwatch.toml"
        self.journal = self.folder / "daemon.log"
        self.port = free_port()
        self.process = None
        for path in (self.logs, self.credentials):
            path.mkdir(parents=True)

    def configure(self, sources, rest=""):
        """Writes the configuration: `sources` is name -> (glob under logs/, format)."""
        text = f'state_dir = "{self.state}"\n'
        for name, (paths, form) in sources.items():
            text += f'\n[[source]]\nname = "{name}"\npaths = ["{self.logs}/{paths}"]\nformat = "{form}"\n'
        text += f'\n[http]\nlisten = "127.0.0.1:{self.port}"\n'
        # The disk of a test machine may be nearly full, and that is not what is tested here.
        text += '\n[retention]\nmin_free_bytes = "1MiB"\n' + rest
        self.config.write_text(text)

    def start(self, ready=True):
        environment = dict(os.environ, CREDENTIALS_DIRECTORY=str(self.credentials))
        with open(self.journal, "ab") as journal:
            self.process = subprocess.Popen(
                [binary(), "run", "--config", str(self.config)],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=journal,
                stderr=journal,
            )
        if ready:
            until("the daemon is ready", self.is_ready)
        return self

    def is_ready(self):
        code = self.process.poll()
        if code is not None:
            raise RuntimeError(f"the daemon ended with {code}: {self.said()}")
        return self.get("/readyz")[0] == 200

    def said(self, length=3000):
        """The end of the daemon's own log."""
        return self.journal.read_text(errors="replace")[-length:] if self.journal.exists() else ""

    def stop(self, patience=10):
        """Asks it to end; gives the exit code. It has promised to be gone in `patience` seconds."""
        process, self.process = self.process, None
        process.send_signal(signal.SIGTERM)
        try:
            return process.wait(patience)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(f"the daemon was still there {patience} s after SIGTERM: {self.said()}") from None

    def kill(self):
        """For the end of a test, whatever became of it."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.process = None

    def get(self, path):
        """Status and body of an HTTP answer."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def metrics(self):
        """Every sample of /metrics: the text before the value -> value."""
        status, text = self.get("/metrics")
        assert status == 200, f"/metrics answers {status}"
        samples = {}
        for line in text.splitlines():
            if line and not line.startswith("#"):
                name, value = line.rsplit(" ", 1)
                samples[name] = float(value)
        return samples

    def metric(self, name, **labels):
        """The sum of all samples of a name with these labels, whatever others they have."""
        total = None
        for sample, value in self.metrics().items():
            match = re.fullmatch(r"(\w+)(?:\{(.*)\})?", sample)
            held = dict(re.findall(r'(\w+)="([^"]*)"', match[2] or ""))
            if match[1] == name and all(held.get(key) == wanted for key, wanted in labels.items()):
                total = (total or 0.0) + value
        return total

    def command(self, *arguments, check=True):
        """Runs another subcommand on the same configuration."""
        name, *rest = arguments
        done = subprocess.run(
            [binary(), name, "--config", str(self.config), *rest],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
        )
        if check:
            assert done.returncode == 0, f"crmwatch {' '.join(arguments)}: exit {done.returncode}: {done.stderr}"
        return done

    def search(self, query, count=1_000_000, since="30d"):
        """Events that match, as the command line gives them."""
        done = self.command("search", "--json", "--since", since, "-n", str(count), query)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def findings(self, **asked):
        """Findings by the API."""
        query = "&".join(f"{name}={value}" for name, value in asked.items())
        status, body = self.get(f"/api/v1/findings?{query}")
        assert status == 200, f"/api/v1/findings answers {status}: {body}"
        return json.loads(body)

    def append(self, name, lines):
        """Appends whole lines to a log, as a program that logs does."""
        data = "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape")
        with open(self.logs / name, "ab", buffering=0) as file:
            file.write(data)
