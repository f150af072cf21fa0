"""What every end-to-end test starts from: a folder that is kept where a test failed, and whatever was started is ended."""

import os
import shutil
import tempfile
import unittest
from pathlib import Path

from daemon import Daemon


class EndToEnd(unittest.TestCase):
    maxDiff = 4000

    def run(self, result=None):
        self.result = result
        return super().run(result)

    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix="crmwatch-e2e-"))
        # Postfix's parts have users of their own, and must find their way to their files.
        os.chmod(self.folder, 0o755)
        self.addCleanup(self._clear)

    def _clear(self):
        if self.id() in self.result.broken:
            print(f"    everything of the failed test lies in {self.folder}", flush=True)
        else:
            shutil.rmtree(self.folder, ignore_errors=True)

    def keep(self, thing):
        """Ends a server when the test ends, however it ends."""
        self.addCleanup(thing.kill)
        return thing

    def daemon(self, name="crmwatch"):
        return self.keep(Daemon(self.folder / name))
