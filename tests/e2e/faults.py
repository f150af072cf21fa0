"""Faults for the daemon to live through: file systems that fill up, system calls that fail, a writer that counts its lines. Not for what a
test expects of them."""

import collections
import json
import os
import signal
import subprocess
import threading
import time
from pathlib import Path

import attacks
from waiting import until


class Filesystem:
    """A small file system of its own, in memory or ext4 in a file, mounted where a test wants it."""

    def __init__(self, at, image=None, size="64m"):
        self.at, self.image, self.ballast = Path(at), image, Path(at) / "ballast"
        self.at.mkdir(parents=True, exist_ok=True)
        if image is None:
            command = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=0755", "crmwatch-test", str(self.at)]
        else:
            subprocess.run(["truncate", "-s", size, str(image)], check=True)
            subprocess.run(["mkfs.ext4", "-q", "-F", "-m", "0", str(image)], check=True)
            command = ["mount", "-o", "loop", str(image), str(self.at)]
        subprocess.run(command, check=True)

    def fill(self):
        """Takes every byte that is left; may be called again and again."""
        with open(self.ballast, "ab", buffering=0) as file:
            for size in (1 << 20, 1 << 16, 4096, 512, 1):
                block = b"\0" * size
                try:
                    while True:
                        file.write(block)
                except OSError:
                    pass

    def free(self):
        self.ballast.unlink()

    def kill(self):
        """For the end of a test."""
        subprocess.run(["umount", "-l", str(self.at)], check=False)


class Injection:
    """System calls of a running process fail, as strace's `inject` says, until the block is left."""

    def __init__(self, process, inject, paths=()):
        calls = inject.partition(":")[0]
        self.command = ["strace", "-f", "-q", "-p", str(process.pid), "-o", "/dev/null"]
        self.command += ["-e", f"trace={calls}", "-e", f"inject={inject}"]
        for path in paths:
            self.command += ["-P", str(path)]

    def __enter__(self):
        self.strace = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
        return self

    def __exit__(self, *_):
        self.strace.send_signal(signal.SIGINT)
        self.strace.wait(30)
        said = self.strace.stderr.read().decode()
        assert "Operation not permitted" not in said and "invalid" not in said, said


def line(number):
    """A line with a number; none is ever the same as another."""
    return json.dumps(
        {
            "@timestamp": attacks.ago(0).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "event.action": "view",
            "event.outcome": "success",
            "user.name": f"user{number % 40}",
            "source.ip": attacks.OFFICE,
            "n": number,
        }
    )


class Story(threading.Thread):
    """Writes numbered lines all the time, and now and then a guessed password, whose victim's name occurs in no other."""

    def __init__(self, log, pause=0.02):
        super().__init__(daemon=True)
        self.log, self.pause, self.ending = log, pause, threading.Event()
        self.count, self.victims = 0, []

    def run(self):
        with open(self.log, "ab", buffering=0) as file:
            while not self.ending.is_set():
                lines = [line(self.count + number) for number in range(10)]
                if self.count % 500 == 0:
                    self.victims.append(f"victim{len(self.victims)}")
                    lines += attacks.json_failures(self.victims[-1], failures=12, n=-1)
                file.write("".join(f"{one}\n" for one in lines).encode())
                self.count += 10
                time.sleep(self.pause)

    def end(self):
        self.ending.set()
        self.join()

    def is_told_exactly_once(self, test, daemon):
        """Each line is in the index once, and each victim has one finding; the writer has ended and the daemon runs."""
        until("every line is searchable", lambda: self._all_there(daemon), every=1, patience=180)
        # Time for a second copy, if something were read again.
        time.sleep(2)
        numbers = collections.Counter(event["n"] for event in self._events(daemon))
        test.assertEqual({n: count for n, count in numbers.items() if count > 1}, {}, "twice")
        test.assertEqual(sorted(numbers), list(range(self.count)))
        found = collections.Counter(
            finding["entity"]["user.name"]
            for finding in daemon.findings(limit=10000)
            if finding["rule"] == "brute-force" and finding["primary"] == "user.name"
        )
        test.assertEqual({victim: found[victim] for victim in self.victims}, dict.fromkeys(self.victims, 1))
        test.assertFalse(daemon.metric("crmwatch_lost_bytes_total"), "nothing was lost")
        # The alert stage lived through it all, too: no finding is left without an incident.
        until("every finding has its incident", lambda: all(one["incident"] for one in daemon.findings(limit=10000)))

    def _events(self, daemon):
        return daemon.search("event.action:view")

    def _all_there(self, daemon):
        there = len(self._events(daemon))
        assert there >= self.count, f"{there} of {self.count} lines"
        return True


class Supervisor(threading.Thread):
    """Starts the daemon again whenever it ends, as systemd does; `command` goes before the program."""

    def __init__(self, daemon):
        super().__init__(daemon=True)
        self.daemon, self.ending, self.codes = daemon, threading.Event(), []

    def run(self):
        while not self.ending.is_set():
            process = self.daemon.process
            if process is not None and process.poll() is not None:
                self.codes.append(process.returncode)
                self.daemon.start(ready=False)
            time.sleep(0.05)

    def kill(self):
        self.ending.set()
        self.join()


def descriptors(process):
    """How many files a process has open."""
    return len(os.listdir(f"/proc/{process.pid}/fd"))
