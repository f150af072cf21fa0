"""Starting, being asked how it is, stopping, and being refused: what systemd and a sysadmin see of the daemon."""

import subprocess
import time

import attacks
from case import EndToEnd
from daemon import binary
from waiting import until


class Lifecycle(EndToEnd):
    def watching(self):
        daemon = self.daemon()
        daemon.configure({"crm": ("odoo.log", "odoo")})
        return daemon

    def test_it_says_that_it_is_alive_and_ready(self):
        daemon = self.watching().start()
        self.assertEqual(daemon.get("/healthz"), (200, "ok\n"))
        self.assertEqual(daemon.get("/readyz"), (200, "ok\n"))
        self.assertEqual(daemon.get("/nothing")[0], 404)
        metrics = daemon.get("/metrics")[1]
        for name in (
            "lines_read_total", "source_lag_bytes", "source_last_event_timestamp_seconds", "queue_depth",
            "queue_capacity", "commit_seconds_bucket", "config_last_reload_successful", "build_info",
        ):  # fmt: skip
            self.assertIn(f"\ncrmwatch_{name}", metrics)

    def test_sigterm_ends_it_cleanly_and_all_it_has_read_is_there_afterwards(self):
        daemon = self.watching()
        daemon.append("odoo.log", [attacks.odoo_login(f"user{n}", attacks.OFFICE, "success", attacks.ago(600)) for n in range(5000)])
        daemon.start()
        daemon.append("odoo.log", [attacks.odoo_login(f"late{n}", attacks.OFFICE, "success", attacks.ago(1)) for n in range(5000)])
        until("some lines are read", lambda: daemon.metric("crmwatch_lines_read_total") > 5000)
        began = time.monotonic()
        self.assertEqual(daemon.stop(patience=10), 0)
        self.assertLess(time.monotonic() - began, 10)
        self.assertFalse((daemon.state / "crmwatch.sock").exists())
        # The stopped daemon's directory can be asked; what was left unread is read by the next one, and nothing twice.
        self.assertGreater(len(daemon.search("event.action:login")), 5000)
        daemon.start()
        until("all lines are searchable", lambda: len(daemon.search("event.action:login")) >= 10_000)
        users = [event["user.name"] for event in daemon.search("event.action:login")]
        self.assertEqual(len(users), 10_000)
        self.assertEqual(len(set(users)), 10_000)
        self.assertEqual(daemon.stop(), 0)

    def test_a_second_daemon_on_the_same_state_is_refused_and_the_first_goes_on(self):
        daemon = self.watching().start()
        done = subprocess.run(
            [binary(), "run", "--config", str(daemon.config)], capture_output=True, text=True, timeout=30
        )
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("in use by another crmwatch", done.stderr)
        self.assertIn(str(daemon.state), done.stderr)
        self.assertEqual(daemon.get("/readyz")[0], 200)
        daemon.append("odoo.log", [attacks.odoo_login("alice", attacks.OFFICE, "success", attacks.ago(1))])
        until("the first still reads", lambda: daemon.search("user.name:alice"))

    def test_a_wrong_configuration_is_78_with_the_place_and_the_mend(self):
        daemon = self.watching()
        text = daemon.config.read_text()
        daemon.config.write_text(text.replace("format =", "fromat ="))
        for command in ("check", "run"):
            done = daemon.command(command, check=False)
            self.assertEqual(done.returncode, 78, f"{command}: {done.stderr}")
            line = text[: text.index("format =")].count("\n") + 1
            self.assertRegex(done.stderr, rf"crmwatch\.toml:{line}:\d+")
            self.assertIn("`format`", done.stderr)
        daemon.config.write_text(text)
        self.assertEqual(daemon.command("check").returncode, 0)
        daemon.config.unlink()
        self.assertEqual(daemon.command("check", check=False).returncode, 78)

    def test_a_log_that_is_not_there_yet_is_waited_for(self):
        daemon = self.watching().start()
        self.assertFalse((daemon.logs / "odoo.log").exists())
        time.sleep(1)
        daemon.append("odoo.log", [attacks.odoo_login("alice", attacks.OFFICE, "success", attacks.ago(1))])
        until("the log that came later is read", lambda: daemon.search("user.name:alice"))
