"""The real journal: what `systemd-cat` writes is followed by journalctl, exactly once though the daemon is killed."""

import os
import shutil
import subprocess
import time
import uuid
from pathlib import Path

import attacks
from case import EndToEnd
from waiting import until

SOCKET = Path("/run/systemd/journal/stdout")


class Journal(EndToEnd):
    def setUp(self):
        super().setUp()
        # A machine that systemd has started has a journal; a container is given one.
        if not self.answers():
            os.makedirs("/run/log/journal", exist_ok=True)
            journald = next(path for path in ("/usr/lib/systemd/systemd-journald", "/lib/systemd/systemd-journald") if os.path.exists(path))
            process = subprocess.Popen([journald], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            self.addCleanup(process.wait)
            self.addCleanup(process.terminate)
            until("there is a journal", self.answers)
        self.tag = f"crmwatch-e2e-{uuid.uuid4().hex[:8]}"

    def answers(self):
        if not SOCKET.exists():
            return False
        done = subprocess.run(["systemd-cat", "-t", "crmwatch-e2e", "true"], capture_output=True)
        return done.returncode == 0

    def write(self, lines):
        data = "".join(line + "\n" for line in lines).encode()
        subprocess.run(["systemd-cat", "-t", self.tag], input=data, check=True)

    def logins(self, names):
        return [attacks.odoo_login(name, attacks.OFFICE, "success", attacks.ago(5)) for name in names]

    def test_entries_are_parsed_by_their_message_and_none_is_missed_or_read_twice(self):
        self.assertIsNotNone(shutil.which("journalctl"))
        daemon = self.daemon()
        daemon.configure({})
        source = f'\n[[source]]\nname = "odoo"\nformat = "odoo"\njournal = ["SYSLOG_IDENTIFIER={self.tag}"]\n'
        daemon.config.write_text(daemon.config.read_text() + source)
        self.write(self.logins(f"before{n}" for n in range(100)))
        daemon.start()
        found = lambda: sorted(event["user.name"] for event in daemon.search("event.action:login"))
        until("what was there before is read", lambda: len(found()) == 100)
        self.write(self.logins(f"during{n}" for n in range(50)))
        until("what comes is read", lambda: len(found()) == 150)
        daemon.kill()
        self.write(self.logins(f"killed{n}" for n in range(50)))
        daemon.start()
        until("what came meanwhile is read", lambda: len(found()) == 200)
        time.sleep(2)
        self.assertEqual(len(set(found())), 200)
        self.assertEqual(len(found()), 200)
        event = daemon.search("user.name:killed7")[0]
        self.assertEqual(event["process.name"], self.tag)
        self.assertIn("host.name", event)
        self.assertEqual(daemon.stop(), 0)
