"""A real Prometheus in a folder of its own, scraping the daemon and evaluating the shipped rules. Not for the rules' own tests;
promtool runs those.
"""

import json
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from waiting import free_port, until

CONFIG = """
global:
  scrape_interval: 1s
  evaluation_interval: 1s
rule_files:
{rules}
scrape_configs:
  - job_name: crmwatch
    static_configs:
      - targets: ["127.0.0.1:{target}"]
"""


class Prometheus:
    def __init__(self, folder, target, rules):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True)
        self.port = free_port()
        listed = "".join(f'  - "{path}"\n' for path in rules)
        (self.folder / "prometheus.yml").write_text(CONFIG.format(rules=listed, target=target))
        self.process = None

    def start(self):
        with open(self.folder / "prometheus.log", "ab") as log:
            self.process = subprocess.Popen(
                [
                    "prometheus",
                    f"--config.file={self.folder}/prometheus.yml",
                    f"--storage.tsdb.path={self.folder}/data",
                    f"--web.listen-address=127.0.0.1:{self.port}",
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        until("Prometheus is ready", self._is_ready)
        return self

    def _is_ready(self):
        if self.process.poll() is not None:
            raise RuntimeError(f"Prometheus ended: {(self.folder / 'prometheus.log').read_text()[-2000:]}")
        return self._get("/-/ready")[0] == 200

    def kill(self):
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def _get(self, path):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=20) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def ask(self, path, **arguments):
        """The data of an answer of its API; a refusal is an AssertionError with its words."""
        status, body = self._get(f"/api/v1/{path}?{urllib.parse.urlencode(arguments)}")
        answer = json.loads(body)
        assert status == 200 and answer["status"] == "success", f"{path} {arguments}: {status}: {answer.get('error')}"
        return answer["data"]

    def query(self, expression):
        """Samples of an instant query."""
        return self.ask("query", query=expression)["result"]

    def alerts(self, state="firing"):
        return [alert for alert in self.ask("alerts")["alerts"] if alert["state"] == state]
