"""The stages of tests/run, one after the other; ends with one line that counts all tests.

Usage: tests/run [STAGE…]

  gates      formatting, layers, headers that compile alone, sizes
  gcc        build with gcc, unit tests and fuzz corpora
  clang      the same with clang
  asan       the same with AddressSanitizer and UndefinedBehaviorSanitizer
  fake       the fake AWS's own tests
  integration       real network namespaces, the gcc build
  integration-asan  the same again, the sanitizers' build
  valgrind          a part of it under valgrind
  conformance  the numbered cases of the contract, as tests/conformance/run-table prints them
  sdk        unmodified AWS clients from Debian's packages
  quickstart deploy/quickstart, as README.md tells it

Without a stage: all of them. Suites that do not gate (npm clients, container engines, benchmarks, soak): see README.md.
"""

import os
import pathlib
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = ROOT / "build-tests"
SECOND_TRIES_MAX = 8
PYTEST = ["/usr/bin/python3", "-m", "pytest", "-q", "--no-header", "--durations=15", "--durations-min=3",
          "-o", f"cache_dir={BUILD}/pytest-cache"]
# The integration tests wait more than they compute, each file on hosts of its own.
PARALLEL = ["-n", "3", "--dist", "loadfile"]
# What valgrind sees: the vertical path and the ways down from it.
VALGRIND_TESTS = ["test_main_job.py", "test_lifecycle.py"]

totals = {"passed": 0, "failed": 0, "skipped": 0}


def run(command, **environ):
    return subprocess.run([str(c) for c in command], cwd=ROOT, env=os.environ | environ).returncode


def count(report, code):
    """Add a JUnit file's figures; a runner that failed without a failed test counts as one failure."""
    failed_before = totals["failed"]
    if report.exists():
        for suite in ElementTree.parse(report).getroot().iter("testsuite"):
            tests, skipped = int(suite.get("tests", 0)), int(suite.get("skipped") or 0)
            failed = int(suite.get("failures") or 0) + int(suite.get("errors") or 0)
            totals["passed"] += tests - failed - skipped
            totals["failed"] += failed
            totals["skipped"] += skipped
        report.unlink()
    if code != 0 and totals["failed"] == failed_before:
        totals["failed"] += 1
    return code == 0


def failures(report):
    """The names of the tests that failed, or whose set-up or tear-down did."""
    if not report.exists():
        return set()
    cases = ElementTree.parse(report).getroot().iter("testcase")
    return {f"{case.get('classname')}::{case.get('name')}" for case in cases
            if case.find("failure") is not None or case.find("error") is not None}


def count_failures(report):
    suites = ElementTree.parse(report).getroot().iter("testsuite")
    return sum(int(s.get("failures") or 0) + int(s.get("errors") or 0) for s in suites)


def check(name, code):
    totals["passed" if code == 0 else "failed"] += 1
    if code != 0:
        print(f"FAILED: {name}", flush=True)
    return code == 0


def pytest(paths, build="gcc", options=(), **environ):
    if not (BUILD / build / "src" / "rolegated" / "rolegated").exists():
        return check(f"tests of the {build} build, which is not there", 1)
    report = BUILD / "report.xml"
    environ["ROLEGATE_BUILD"] = str(BUILD / build)
    code = run([*PYTEST, *options, "--cache-clear", f"--junitxml={report}", *paths], **environ)
    failed = failures(report)
    if code == 1 and 0 < len(failed) <= SECOND_TRIES_MAX:
        # Real processes and clocks on a shared machine: a few that fail are tried once more, one at a time, and
        # if that helps it is said aloud, since a test that needs it is a defect to mend.
        again = BUILD / "report-again.xml"
        code = run([*PYTEST, "--last-failed", f"--junitxml={again}", *paths], **environ)
        still = failures(again)
        again.unlink(missing_ok=True)
        for name in sorted(failed - still):
            print(f"PASSED ONLY AT THE SECOND TRY: {name}", flush=True)
        if code == 0 and not still:
            totals["passed"] += len(failed)
            totals["failed"] -= count_failures(report)
    return count(report, code)


def meson(name, compiler, *options):
    directory = BUILD / name
    log = BUILD / f"{name}.log"
    with open(log, "w") as out:
        def quietly(command):
            return subprocess.run(command, cwd=ROOT, stdout=out, stderr=out,
                                  env=os.environ | {"CC": compiler}).returncode
        code = 0
        if not (directory / "build.ninja").exists():
            code = quietly(["meson", "setup", str(directory), "-Dwerror=true", *options])
        code = code or quietly(["meson", "compile", "-C", str(directory)])
    text = log.read_text()
    warned = "warning:" in text.replace("WARNING: ", "")
    if code or warned:
        print(text[-6000:])
    if not check(f"build with {name}", 1 if code or warned else 0):
        return False
    code = run(["meson", "test", "-C", directory, "--quiet", "--print-errorlogs", "--no-rebuild"])
    return count(directory / "meson-logs" / "testlog.junit.xml", code)


def gates():
    return all([check(name, run([ROOT / "tests" / "gates" / name]))
                for name in ("check-format", "check-layers", "check-headers", "check-sizes")])


INTEGRATION = ["tests/integration"]
SANITIZERS = {
    "ASAN_OPTIONS": "detect_leaks=1:abort_on_error=0:exitcode=99",
    "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1:exitcode=98",
}
# Around rolegated alone: valgrind does not know the calls netd's filter is installed with.
VALGRIND = ("valgrind --quiet --vgdb=no --error-exitcode=97 --leak-check=full --errors-for-leak-kinds=definite "
            f"--suppressions={ROOT}/tests/valgrind.supp")

STAGES = {
    "gates": gates,
    "gcc": lambda: meson("gcc", "gcc"),
    "clang": lambda: meson("clang", "clang"),
    "asan": lambda: meson("asan", "gcc", "-Db_sanitize=address,undefined"),
    "fake": lambda: pytest(["tests/fake_aws"]),
    "integration": lambda: pytest(INTEGRATION, options=PARALLEL),
    "integration-asan": lambda: pytest(INTEGRATION, "asan", PARALLEL, ROLEGATE_SANITIZED="1", **SANITIZERS),
    "valgrind": lambda: pytest([*(f"tests/integration/{name}" for name in VALGRIND_TESTS),
                                "-k", "not _pid_is_"],  # valgrind 3.19 has no pidfd_open
                               ROLEGATE_WRAPPER=VALGRIND),
    "conformance": lambda: pytest(["tests/conformance/test_table.py"]),
    "sdk": lambda: pytest(["tests/conformance/test_sdk.py", "tests/conformance/test_cloud_init.py"]),
    "quickstart": lambda: check("deploy/quickstart", run([ROOT / "deploy" / "quickstart"])),
}


def main():
    names = sys.argv[1:] or list(STAGES)
    if names[0] in ("-h", "--help"):
        print(__doc__)
        return 0
    unknown = [name for name in names if name not in STAGES]
    if unknown:
        print(f"tests/run: no stage {', '.join(unknown)}; see tests/run --help", file=sys.stderr)
        return 2
    BUILD.mkdir(exist_ok=True)
    for name in names:
        print(f"== {name}", flush=True)
        began = time.monotonic()
        fine = STAGES[name]()
        print(f"== {name}: {'passed' if fine else 'FAILED'} in {time.monotonic() - began:.0f} s", flush=True)
    skipped = f", {totals['skipped']} skipped" if totals["skipped"] else ""
    print(f"{totals['passed']} passed, {totals['failed']} failed{skipped}")
    return 1 if totals["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
