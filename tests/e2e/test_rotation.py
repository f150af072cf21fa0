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


def text_of(path):
    """A log as it was before it was compressed."""
    if path.suffix == ".gz":
        return gzip.decompress(path.read_bytes()).decode()
    if path.suffix == ".zst":
        return subprocess.run(["zstd", "-dc", str(path)], capture_output=True, check=True).stdout.decode()
    return path.read_text()


class Rotation(EndToEnd):
    def rotated(self, directives, stopped=0):
        """Writes and rotates, the last `stopped` times with the daemon stopped; gives it, what is on disk, how many lines were written."""
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
            for number in range(ROTATIONS):
                time.sleep(1.5)
                if number == ROTATIONS - stopped:
                    self.assertEqual(daemon.stop(), 0)
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
        if stopped:
            daemon.start()
        on_disk = set()
        for path in daemon.logs.iterdir():
            on_disk.update(int(number) for number in NUMBER.findall(text_of(path)))
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

    def all_found_once(self, directives, stopped):
        daemon, on_disk, written = self.rotated(directives, stopped)
        self.assertEqual(len(on_disk), written, "logrotate itself lost lines: the test is wrong")
        found = self.searchable(daemon, on_disk)
        self.assertEqual({number for number, count in found.items() if count > 1}, set())
        self.assertEqual(len(found), written)
        self.assertFalse(daemon.metric("crmwatch_lost_bytes_total"))
        self.assertEqual(daemon.stop(), 0)

    def test_logs_rotated_several_times_while_the_daemon_was_stopped_are_read_once_and_whole(self):
        self.all_found_once(
            "  create\n  compress\n  delaycompress\n  postrotate\n    touch {reopen}\n    sleep 0.3\n  endscript\n", stopped=3
        )

    def test_logs_with_dated_names_compressed_at_once_by_another_program_are_read_once_and_whole(self):
        self.all_found_once(
            "  create\n  dateext\n  dateformat -%Y%m%d-%s\n  compress\n  compresscmd /usr/bin/zstd\n  compressext .zst\n"
            "  compressoptions -q\n  postrotate\n    touch {reopen}\n    sleep 0.3\n  endscript\n",
            stopped=1,
        )
