"""Runs one module of CPython's own test suite and writes a line for each test to standard output.

usage: cpython-driver.py MODULE RESOURCES [TEST-PATTERN [SKIP-PATTERN]]

A line is KIND, name and reason, separated by tabs; KIND is start, ok, skip, fail, error, xfail, or end for the whole module.
What the tests themselves print goes to /dev/null.
"""
import faulthandler
import os
import re
import shutil
import sys
import tempfile
import traceback
import unittest

module, resources = sys.argv[1:3]
wanted = re.compile(sys.argv[3]) if len(sys.argv) > 3 and sys.argv[3] else None
unwanted = re.compile(sys.argv[4]) if len(sys.argv) > 4 and sys.argv[4] else None
sys.argv[1:] = []

report = os.dup(1)
null = os.open(os.devnull, os.O_RDWR)
for fd in (0, 1, 2):
    os.dup2(null, fd)
os.close(null)
main_pid = os.getpid()


def say(*words):
    if os.getpid() == main_pid:
        os.write(report, ('\t'.join(str(w).replace('\n', ' | ').replace('\t', ' ') for w in words) + '\n').encode('utf-8', 'replace'))


def last_lines(error):
    lines = ''.join(traceback.format_exception(*error)).strip().split('\n')
    return ' | '.join(line.strip() for line in lines[-1:] + lines[-3:-1])[:600]


class Result(unittest.TestResult):
    def startTest(self, test):
        super().startTest(test)
        self.state = ('ok', '')
        say('start', test.id())

    def stopTest(self, test):
        say(self.state[0], test.id(), self.state[1])
        super().stopTest(test)

    def outside(self, test, kind, reason):
        """setUpClass and its like have no start and stop."""
        if isinstance(test, unittest.suite._ErrorHolder):
            say(kind, test.id(), reason)
        else:
            self.state = (kind, reason)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.outside(test, 'skip', reason)

    def addFailure(self, test, error):
        super().addFailure(test, error)
        self.outside(test, 'fail', last_lines(error))

    def addError(self, test, error):
        super().addError(test, error)
        self.outside(test, 'error', last_lines(error))

    def addExpectedFailure(self, test, error):
        super().addExpectedFailure(test, error)
        self.state = ('xfail', '')

    def addSubTest(self, test, subtest, error):
        super().addSubTest(test, subtest, error)
        if error:
            self.state = ('fail', f'{subtest._subDescription()} {last_lines(error)}')


def tests_of(suite):
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from tests_of(test)
        else:
            yield test


def chosen(suite):
    """The suite without the tests nobody asked for, in the same order."""
    if not wanted and not unwanted:
        return suite
    keep = [
        test
        for test in tests_of(suite)
        if (not wanted or wanted.search(test.id())) and not (unwanted and unwanted.search(test.id()))
    ]
    return unittest.TestSuite(keep)


folder = tempfile.mkdtemp(prefix='cpython-')
os.chdir(folder)
from test import support

support.use_resources = resources.split(',') if resources else []
support.verbose = 0
try:
    suite = unittest.defaultTestLoader.loadTestsFromName('test.' + module)
    chosen(suite).run(Result())
    say('end', module, 'run')
except unittest.SkipTest as e:
    say('end', module, f'skipped: {e}')
finally:
    os.chdir('/')
    shutil.rmtree(folder, ignore_errors=True)
os._exit(0)
