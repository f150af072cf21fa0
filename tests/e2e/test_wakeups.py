"""The kernel tells too little of what changes, or nothing: its queue runs over, no watches are left. Every line is read all the same."""

import collections
from pathlib import Path

import faults
from case import EndToEnd
from waiting import until

SETTINGS = Path("/proc/sys/fs/inotify")
FILES = 200


class Wakeups(EndToEnd):
    def kernel(self, **settings):
        """Settings of the machine, until the test ends."""
        for name, value in settings.items():
            path = SETTINGS / name
            self.addCleanup(path.write_text, path.read_text())
            path.write_text(f"{value}\n")

    def started(self):
        daemon = self.daemon()
        daemon.configure({"app": ("*.log*", "json")})
        return daemon.start()

    def assert_once(self, daemon, count):
        """Each line up to that number is in the index once."""

        def look():
            events = daemon.search("event.action:view")
            found = collections.Counter(int(event["event.original"].split('"n": ')[1].split("}")[0].split(",")[0]) for event in events)
            assert len(found) >= count, f"{len(found)} of {count} lines"
            return found

        found = until("every line is searchable", look, every=1)
        self.assertEqual(found, collections.Counter(range(count)))

    def test_with_a_queue_that_runs_over_no_rotation_is_missed(self):
        self.kernel(max_queued_events=16)
        daemon = self.started()
        number = 0
        for generation in range(20):
            for file in range(FILES):
                live = daemon.logs / f"{file:03}.log"
                with open(live, "a") as log:
                    log.write(faults.line(number) + "\n")
                number += 1
                live.rename(daemon.logs / f"{file:03}.log.{generation:02}")
        self.assert_once(daemon, number)
        self.assertEqual(daemon.metric("crmwatch_lost_bytes_total") or 0, 0)

    def test_without_any_watch_it_says_so_and_goes_on_by_looking(self):
        self.kernel(max_user_instances=0)
        daemon = self.started()
        number = 0
        for _ in range(5):
            with open(daemon.logs / "app.log", "a") as log:
                log.write(faults.line(number) + "\n")
            number += 1
            until("the line is read", lambda: daemon.metric("crmwatch_lines_read_total") == number, every=0.05)
        self.assertEqual(daemon.metric("crmwatch_inotify_available"), 0)
        self.assertIn("fs.inotify", daemon.said())
        self.assert_once(daemon, number)
