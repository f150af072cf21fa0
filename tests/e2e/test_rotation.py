"""Logs rotated by the real logrotate while they are written: every line is found once, wherever rotation has put it."""

import collections
import gzip
import re
import subprocess
import threading
import time

import attacks
from case import EndToEnd
from waiting import until

ROTATIONS = 4
NUMBER = re.compile(r"/line/(\d+) ")


class Writer(threading.Thread):
    """Writes numbered lines until told to stop; like a web server it keeps its file open, and opens it anew when asked to."""

    def __init__(self, path, reopen):
        super().__init__(daemon=True)
        self.path, self.reopen, self.stop, self.count = path, reopen, threading.Event(), 0

    def run(self):
        file = open(self.path, "ab", buffering=0)
        while not self.stop.is_set():
            if self.reopen.exists():
                file.close()
                self.reopen.unlink()
                file = open(self.path, "ab", buffering=0)
            numbers = range(self.count, self.count + 10)
            lines = [attacks.nginx("-", attacks.OFFICE, f"GET /line/{number}", attacks.ago(0)) for number in numbers]
            file.write("".join(f"{line}\n" for line in lines).encode())
            self.count += 10
            time.sleep(0.005)
        file.close()


class Rotation(EndToEnd):
    def rotated(self, directives):
        """Writes, rotates, and gives the daemon, what is on disk and how many lines were written."""
        daemon = self.daemon()
        daemon.configure({"web": ("access.log*", "nginx")})
        log, reopen = daemon.logs / "access.log", self.folder / "reopen"
        log.touch()
        configuration = self.folder / "logrotate.conf"
        configuration.write_text(f"{log} {{\n  su root root\n  rotate 20\n  missingok\n{directives.format(reopen=reopen)}}}\n")
        configuration.chmod(0o644)
        daemon.start()
        writer = Writer(log, reopen)
        writer.start()
        try:
            for _ in range(ROTATIONS):
                time.sleep(1.5)
                done = subprocess.run(
                    ["logrotate", "--force", "--state", f"{self.folder}/logrotate.state", str(configuration)],
                    capture_output=True,
                    text=True,
                )
                self.assertEqual(done.returncode, 0, done.stderr)
            time.sleep(1)
        finally:
            writer.stop.set()
            writer.join()
        on_disk = set()
        for path in daemon.logs.iterdir():
            data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
            on_disk.update(int(number) for number in NUMBER.findall(data.decode()))
        self.assertGreater(len(list(daemon.logs.iterdir())), ROTATIONS)
        return daemon, on_disk, writer.count

    def searchable(self, daemon, wanted):
        """Line numbers in the index, each as often as it is there, once all wanted are."""

        def look():
            events = daemon.search(f"source.ip:{attacks.OFFICE}")
            return collections.Counter(int(NUMBER.search(event["event.original"])[1]) for event in events)

        def all_there():
            missing = wanted - look().keys()
            assert not missing, f"{len(missing)} of {len(wanted)} lines are missing, from {min(missing)} on"
            return True

        until("every line on disk is searchable", all_there, every=1)
        # Time for a second copy of a line, if something were read again.
        time.sleep(3)
        return look()

    def test_renamed_and_compressed_logs_are_read_once_and_whole(self):
        daemon, on_disk, written = self.rotated(
            "  create\n  compress\n  delaycompress\n  postrotate\n    touch {reopen}\n"
            # Old writers end within a moment, as those of a web server do; only then may the file be compressed.
            "    sleep 0.3\n  endscript\n"
        )
        self.assertEqual(len(on_disk), written, "logrotate itself lost lines: the test is wrong")
        found = self.searchable(daemon, on_disk)
        self.assertEqual({number for number, count in found.items() if count > 1}, set())
        self.assertEqual(len(found), written)
        self.assertFalse(daemon.metric("crmwatch_lost_bytes_total"))
        self.assertEqual(daemon.metric("crmwatch_lines_read_total", source="web"), written)
        self.assertGreaterEqual(daemon.metric("crmwatch_rotations_total", source="web"), ROTATIONS)
        self.assertEqual(daemon.stop(), 0)

    def test_copied_and_truncated_logs_are_read_once_and_whole(self):
        daemon, on_disk, written = self.rotated("  copytruncate\n")
        # Lines written between copy and truncation are in no file; those the daemon was quick enough for are extra.
        found = self.searchable(daemon, on_disk)
        self.assertEqual({number for number, count in found.items() if count > 1}, set())
        self.assertLessEqual(found.keys(), set(range(written)))
        self.assertGreaterEqual(daemon.metric("crmwatch_truncations_total", source="web"), 1)
        self.assertEqual(daemon.stop(), 0)
