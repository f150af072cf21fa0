"""Disks that fill up or fail, too few file descriptors, a kill at each step of a commit: the daemon stops reading rather than lose, says so,
and goes on by itself; at the end each line was indexed once and each attack found once."""

import resource
import subprocess
import time

from case import EndToEnd
from daemon import binary
from faults import Filesystem, Injection, Story, Supervisor, descriptors
from waiting import until


def other(name):
    """The one line of another log; logs of equal content would be copies, which are not read twice."""
    return f'{{"event.action":"other","user.name":"{name}"}}\n'


class Faults(EndToEnd):
    def watched(self, rest=""):
        """A daemon that follows a log nobody has begun yet."""
        daemon = self.daemon()
        daemon.configure({"app": ("app.log*", "json")}, rest)
        return daemon

    def story(self, daemon, **named):
        story = Story(daemon.logs / "app.log", **named)
        self.addCleanup(story.end)
        story.start()
        return story

    def is_stopped(self, daemon):
        """It has said so in the metrics, in /readyz and in its log."""
        self.assertEqual(daemon.metric("crmwatch_pipeline_stopped"), 1)
        status, said = daemon.get("/readyz")
        self.assertEqual(status, 503)
        self.assertIn("reading is stopped", said)
        self.assertIn("the pipeline stopped; nothing is read until it goes on", daemon.said(10**6))
        # Waiting for a fault to pass is not being dead: nothing may restart it for that.
        self.assertEqual(daemon.get("/healthz")[0], 200)
        return True

    def goes_on(self, daemon):
        self.assertEqual(daemon.get("/readyz"), (200, "ok\n"))
        self.assertEqual(daemon.metric("crmwatch_pipeline_stopped"), 0)
        return True

    def full_disk(self, filesystem, daemon):
        daemon.start()
        story = self.story(daemon)
        until("lines are searchable", lambda: daemon.search("event.action:view"))
        faults = daemon.metric("crmwatch_pipeline_faults_total")
        for _ in range(2):
            filesystem.fill()
            until("it says that reading is stopped", lambda: self.is_stopped(daemon))
            time.sleep(3)
            filesystem.fill()
            # A search needs no room.
            self.assertTrue(daemon.get("/api/v1/findings")[0] in (200, 500))
            filesystem.free()
            until("it goes on by itself", lambda: self.goes_on(daemon))
        self.assertGreaterEqual(daemon.metric("crmwatch_pipeline_faults_total"), faults + 2)
        story.end()
        story.is_told_exactly_once(self, daemon)
        self.assertEqual(daemon.stop(), 0)

    def test_a_full_disk_stops_reading_and_room_again_goes_on_with_nothing_lost(self):
        daemon = self.watched("partition_events = 400\n")
        self.full_disk(self.keep(Filesystem(daemon.state, size="96m")), daemon)

    def test_a_full_ext4_does_the_same(self):
        daemon = self.watched("partition_events = 400\n")
        self.full_disk(self.keep(Filesystem(daemon.state, image=self.folder / "disk.img", size="128m")), daemon)

    def test_system_calls_that_fail_lose_nothing_and_double_nothing(self):
        daemon = self.watched("partition_events = 300\n")
        daemon.start()
        story = self.story(daemon)
        wal = [daemon.state / "ledger.sqlite-wal"]
        calls = "rename,renameat,renameat2"
        for inject, paths in [
            ("fsync,fdatasync:error=EIO", ()),
            # Some of them, so that what comes after a failed one succeeds.
            ("fsync,fdatasync:error=EIO:when=3+7", ()),
            ("fsync:error=EIO:when=1+3", ()),
            (f"{calls}:error=EIO:when=1+2", ()),
            (f"{calls}:error=EROFS", ()),
            ("mkdir,mkdirat:error=EROFS", ()),
            ("pwrite64:error=ENOSPC", wal),
            ("pwrite64:error=EIO:when=2+3", wal),
            ("openat:error=EMFILE:when=3+4", ()),
        ]:
            with self.subTest(inject):
                with Injection(daemon.process, inject, paths):
                    time.sleep(3)
                self.assertIsNone(daemon.process.poll(), f"it ended: {daemon.said()}")
                until("it goes on by itself", lambda: self.goes_on(daemon))
        self.assertGreater(daemon.metric("crmwatch_pipeline_faults_total", part="index"), 0)
        self.assertGreater(daemon.metric("crmwatch_pipeline_faults_total", part="ledger"), 0)
        self.assertFalse(daemon.metric("crmwatch_pipeline_faults_total", part="defect"), daemon.said())
        story.end()
        story.is_told_exactly_once(self, daemon)
        self.assertEqual(daemon.stop(), 0)

    def test_too_few_file_descriptors_lose_nothing(self):
        daemon = self.watched("partition_events = 400\n")
        daemon.start()
        story = self.story(daemon)
        until("lines are searchable", lambda: daemon.search("event.action:view"))
        soft, hard = resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE)
        # Many logs at once, and no room for them: those that cannot be opened are read later.
        for left in (12, 2, 0):
            room = descriptors(daemon.process) + left
            resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE, (room, hard))
            for number in range(left, left + 30):
                (daemon.logs / f"app.log.other{left}-{number}").write_text(other(f"{left}-{number}"))
            time.sleep(5)
            resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE, (soft, hard))
            until("it goes on by itself", lambda: self.goes_on(daemon))
        self.assertIsNone(daemon.process.poll(), daemon.said())
        story.end()
        story.is_told_exactly_once(self, daemon)
        until("the others are read, too", lambda: len(daemon.search("event.action:other")) == 90)
        self.assertEqual(daemon.stop(), 0)

    def test_killed_at_each_step_of_a_commit_and_of_a_new_partition_it_doubles_and_loses_nothing(self):
        daemon = self.watched("partition_events = 60\n")
        daemon.start()
        story = self.story(daemon)
        until("lines are searchable", lambda: daemon.search("event.action:view"))
        for calls in ("mkdir,mkdirat", "rename,renameat,renameat2", "fsync", "fdatasync"):
            # Counted in each thread: one of them comes to its Nth call, and the kill falls just there.
            for nth in (1, 2, 3, 6):
                with Injection(daemon.process, f"{calls}:signal=KILL:when={nth}"):
                    try:
                        daemon.process.wait(15)
                    except subprocess.TimeoutExpired:
                        self.fail(f"no thread came to its {nth}th {calls} in 15 s; {daemon.get('/readyz')}: {daemon.said()}")
                daemon.start(ready=False)
                time.sleep(0.3 * nth)
        until("it is ready", daemon.is_ready)
        story.end()
        story.is_told_exactly_once(self, daemon)
        self.assertGreater(daemon.metric("crmwatch_partitions"), 3)
        self.assertEqual(daemon.stop(), 0)

    def test_a_start_on_a_full_disk_is_tried_again_until_there_is_room(self):
        daemon = self.watched()
        filesystem = self.keep(Filesystem(daemon.state, size="96m"))
        daemon.start()
        story = self.story(daemon)
        until("lines are searchable", lambda: daemon.search("event.action:view"))
        daemon.kill()
        filesystem.fill()
        daemon.start(ready=False)
        supervisor = self.keep(Supervisor(daemon))
        supervisor.start()
        time.sleep(6)
        filesystem.free()
        until("it goes on by itself", lambda: self.goes_on(daemon))
        supervisor.kill()
        self.assertLessEqual(set(supervisor.codes), {1}, "only ends that systemd starts again after")
        story.end()
        story.is_told_exactly_once(self, daemon)
        self.assertEqual(daemon.stop(), 0)

    def test_a_state_directory_that_needs_a_person_is_refused_with_the_file_and_the_mend(self):
        daemon = self.watched()
        daemon.start()
        story = self.story(daemon)
        until("lines are searchable", lambda: daemon.search("event.action:view"))
        story.end()
        self.assertEqual(daemon.stop(), 0)
        (daemon.state / "ledger.sqlite").write_bytes(b"")
        done = subprocess.run([binary(), "run", "--config", str(daemon.config)], capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("crmwatch recover", done.stderr)
        self.assertIn(str(daemon.state), done.stderr)
