"""A real rsyslogd and the real `logger` send to the daemon: over UDP, TCP and TLS, through restarts, and through a kill."""

import collections
import re
import socket
import subprocess
import threading
import time

from case import EndToEnd
from rsyslog import Certificates, Rsyslog
from waiting import free_port, until

SOURCE = "relay"


def free_udp_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


class Syslog(EndToEnd):
    def prepare(self, transport, tls=None, rest=""):
        """A daemon that receives, not started yet."""
        daemon = self.daemon()
        self.port = free_udp_port() if transport == "udp" else free_port()
        daemon.configure({})
        source = f'\n[[source]]\nname = "{SOURCE}"\nsyslog = "{transport}://127.0.0.1:{self.port}"\n{rest}'
        if tls:
            source += f'tls_certificate = "{tls.server}"\ntls_key = "{tls.server_key}"\ntls_client_ca = "{tls.ca}"\n'
        text = daemon.config.read_text()
        daemon.config.write_text(text + source)
        return daemon

    def numbers(self, daemon):
        """How often each numbered line is in the index."""
        events = daemon.search("process.name:crmapp")
        counted = collections.Counter()
        for event in events:
            found = re.fullmatch(r"number (\d+) of the relay", event["message"])
            self.assertTrue(found, event)
            counted[int(found[1])] += 1
        return counted

    def arrived(self, daemon, count):
        return daemon.metric("crmwatch_lines_read_total", source=SOURCE) >= count

    def feed(self, sender, total, seconds):
        """Writes numbered lines in the background, spread over a while."""

        def write():
            pieces = 100
            for piece in range(pieces):
                first, last = total * piece // pieces, total * (piece + 1) // pieces
                sender.write(f"number {number} of the relay" for number in range(first, last))
                time.sleep(seconds / pieces)

        thread = threading.Thread(target=write)
        thread.start()
        self.addCleanup(thread.join)
        return thread

    def all_are_there(self, daemon, total, duplicates):
        def complete():
            missing = set(range(total)) - set(self.numbers(daemon))
            self.assertFalse(missing, f"{len(missing)} of {total} are missing")
            return True

        until("every line is in the index", complete, every=1)
        twice = {number: count for number, count in self.numbers(daemon).items() if count > 1}
        self.assertLessEqual(len(twice), duplicates, twice)

    def test_datagrams_are_all_there_or_counted(self):
        daemon = self.prepare("udp").start()
        sender = self.keep(Rsyslog(self.folder / "rsyslog", self.port, "udp")).start()
        self.feed(sender, 5_000, 2).join()

        def lost():
            return int(daemon.metric("crmwatch_refused_total", source=SOURCE, cause="kernel") or 0)

        until("what was sent has arrived, or is counted", lambda: self.arrived(daemon, 5_000 - lost()))
        until("all of it can be searched", lambda: len(self.numbers(daemon)) + lost() == 5_000)
        event = daemon.search('message:"number 17 of"')[0]
        self.assertEqual(event["log.source.address"], "127.0.0.1")
        self.assertEqual(event["log.syslog.facility.name"], "local0")

    def through_restarts(self, transport, tls):
        daemon = self.prepare(transport, tls).start()
        sender = self.keep(Rsyslog(self.folder / "rsyslog", self.port, "tcp", tls)).start()
        feeding = self.feed(sender, 20_000, 8)
        for _ in range(3):
            before = daemon.metric("crmwatch_received_total", source=SOURCE) or 0
            until("lines are coming in", lambda: daemon.metric("crmwatch_received_total", source=SOURCE) > before + 500)
            self.assertEqual(daemon.stop(), 0)
            time.sleep(0.3)
            daemon.start()
        feeding.join()
        # rsyslog sends a frame again when the connection ended in the midst of it: one for each restart at most.
        self.all_are_there(daemon, 20_000, 3)

    def test_no_line_of_a_tcp_sender_is_lost_when_the_daemon_is_restarted(self):
        self.through_restarts("tcp", None)

    def test_no_line_of_a_tls_sender_is_lost_when_the_daemon_is_restarted(self):
        self.through_restarts("tls", Certificates(self.folder / "tls"))

    def test_a_killed_daemon_loses_no_more_than_was_on_its_way(self):
        daemon = self.prepare("tcp").start()
        sender = self.keep(Rsyslog(self.folder / "rsyslog", self.port)).start()
        feeding = self.feed(sender, 20_000, 6)
        until("lines are coming in", lambda: (daemon.metric("crmwatch_received_total", source=SOURCE) or 0) > 2_000)
        synced = int(daemon.metric("crmwatch_received_total", source=SOURCE))
        daemon.kill()
        time.sleep(0.3)
        daemon.start()
        feeding.join()
        until("the last line is in the index", lambda: self.numbers(daemon)[19_999] == 1, every=1)
        counted = self.numbers(daemon)
        missing = sorted(set(range(20_000)) - set(counted))
        self.assertTrue(all(number >= synced for number in missing), f"{synced} were synced; missing: {missing[:5]}")
        if missing:
            # One stretch: what the kernel had acknowledged and the daemon had not written.
            self.assertEqual(missing[-1] - missing[0] + 1, len(missing), missing)
        self.assertEqual([number for number, count in counted.items() if count > 1], [])

    def logger(self, *arguments):
        command = ["logger", "-n", "127.0.0.1", "-P", str(self.port), "-t", "crmapp", *arguments]
        done = subprocess.run(command, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_logger_is_understood_in_all_its_forms(self):
        daemon = self.prepare("tcp").start()
        json = '{"user":"mia","action":"export","count":812}'
        self.logger("--tcp", "--rfc3164", "-p", "auth.notice", json)
        self.logger("--tcp", "--rfc3164", "--octet-count", json)
        self.logger("--tcp", "--rfc5424", "-i", json)
        self.logger("--tcp", "--rfc5424", "--octet-count", "--sd-id", "crm@32473", "--sd-param", 'tenant="a"', "--msgid", "X1", json)
        events = until("four events", lambda: (found := daemon.search("user.name:mia")) and len(found) == 4 and found)
        for event in events:
            self.assertEqual(event["event.action"], "export")
            self.assertEqual(event["crm.records"], 812)
            self.assertEqual(event["process.name"], "crmapp")
            self.assertNotIn("crm.time_suspect", event)
        told = [event for event in events if "log.syslog.msgid" in event]
        self.assertEqual([event["log.syslog.structured_data.crm@32473.tenant"] for event in told], ["a"])
        self.assertEqual(len([event for event in events if event["log.syslog.facility.name"] == "auth"]), 1)
        self.assertEqual(daemon.stop(), 0)

    def test_logger_is_understood_over_udp(self):
        daemon = self.prepare("udp").start()
        self.logger("--udp", "--rfc3164", "login of nobody")
        self.logger("--udp", "--rfc5424", "login of nobody")
        until("two events", lambda: len(daemon.search("process.name:crmapp")) == 2)

    def test_a_port_that_is_taken_is_said_at_the_start_with_the_key(self):
        daemon = self.prepare("tcp")
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", self.port))
            taken.listen()
            daemon.start(ready=False)
            self.assertNotEqual(daemon.process.wait(60), 0)
        self.assertIn(f'cannot listen on syslog = "tcp://127.0.0.1:{self.port}"', daemon.said())

    def test_a_sender_without_the_right_certificate_gets_nothing_in(self):
        tls, strangers = Certificates(self.folder / "tls"), Certificates(self.folder / "strangers")
        daemon = self.prepare("tls", tls).start()
        # It trusts the daemon, and shows a certificate of another authority.
        strangers.ca = tls.ca
        sender = self.keep(Rsyslog(self.folder / "rsyslog", self.port, "tcp", strangers)).start()
        sender.write(["number 1 of the relay"])
        until("it is turned away", lambda: (daemon.metric("crmwatch_refused_total", source=SOURCE, cause="handshake") or 0) > 0)
        self.assertEqual(daemon.metric("crmwatch_received_total", source=SOURCE) or 0, 0)
