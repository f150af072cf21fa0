#!/usr/bin/env python3
"""Runs the end-to-end tests: the real daemon with real servers around it. Needs Python 3.11 and what `parts.py` installs.

    tests/e2e/run.py              all of them
    tests/e2e/run.py test_mail    those whose name contains a word
    tests/e2e/run.py --install    none; only looks for what is needed, and installs it

The last line says how many passed and failed. There is no skipping: a part that is missing fails the run.
"""

import sys
import time
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import parts  # noqa: E402
from daemon import binary  # noqa: E402


class Told(unittest.TextTestResult):
    """A line for each test as it ends, with its time; a skipped test has failed."""

    def __init__(self, *arguments, **named):
        super().__init__(*arguments, **named)
        self.passed = 0
        self.broken = set()

    def startTest(self, test):
        self.began = time.monotonic()
        super(unittest.TextTestResult, self).startTest(test)

    def stopTest(self, test):
        word = "FAILED" if test.id() in self.broken else "ok"
        self.passed += word == "ok"
        name = test.id().split(".", 1)[-1].replace(".test_", ": ").replace("_", " ")
        print(f"{word:6} {time.monotonic() - self.began:5.1f} s  {name}", flush=True)
        super().stopTest(test)

    def addFailure(self, test, err):
        self.broken.add(test.id())
        super(unittest.TextTestResult, self).addFailure(test, err)

    def addError(self, test, err):
        self.broken.add(test.id())
        super(unittest.TextTestResult, self).addError(test, err)

    def addSubTest(self, test, subtest, err):
        if err is not None:
            self.broken.add(test.id())
        super(unittest.TextTestResult, self).addSubTest(test, subtest, err)

    def addSkip(self, test, reason):
        self.addFailure(test, (AssertionError, AssertionError(f"skipped: {reason}"), None))

    def addSuccess(self, test):
        pass


def flat(suite):
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from flat(test)
        else:
            yield test


def main(words):
    parts.install()
    if words == ["--install"]:
        return 0
    print(f"end to end: {binary()}", flush=True)
    loader = unittest.TestLoader()
    tests = [test for test in flat(loader.discover(str(HERE))) if not words or any(word in test.id() for word in words)]
    if loader.errors or not tests:
        sys.exit("\n".join(loader.errors) or f"no test's name contains {' or '.join(words)}")
    runner = unittest.TextTestRunner(stream=sys.stdout, resultclass=Told, verbosity=0)
    result = runner.run(unittest.TestSuite(tests))
    failed = len(tests) - result.passed
    print(f"end to end: {result.passed} passed, {failed} failed", flush=True)
    return 0 if failed == 0 else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
