// A Playwright reporter for the runner: one JSON line per event into $QGJOB_EVENTS, as it happens. Each failure is
// labelled: `test` (the test or whoever wrote it) or `infrastructure` (device, Appium, app, network).
"use strict";
const fs = require("node:fs");

const INFRASTRUCTURE = new RegExp(
  [
    "Failed to create session",
    "session not created",
    "invalid session id",
    "session is either terminated",
    "Error (setting|fetching) session details",
    "Appium server is already running",
    "ECONNREFUSED|ECONNRESET|ENOTFOUND|ETIMEDOUT|EAI_AGAIN|EPIPE|socket hang up|Unable to connect to",
    "Could not find (a connected|online)",
    "device '?[^ ]*'? (not found|offline|unauthorized)",
    "adb: (error|no devices)|Error executing adbExec",
    "cannot be proxied to UiAutomator2|instrumentation process|Could not proxy command",
    "Error executing aapt|getApkDetails",
    "is not set\\. Did the file upload work",
    "ANDROID_HOME environment variable",
    "ENOSPC|ENOMEM|heap out of memory|worker process exited unexpectedly",
    "BROWSERSTACK_[A-Z_]+|Session not started or terminated|All parallel (tests|sessions) are (currently )?in use",
    "Testing time (has )?expired|Access to API denied|HTTP Basic: Access denied",
    'exceeded while tearing down "saveVideo"',
    'exceeded while setting up "(device|persistentDevice|deviceProvider)"',
  ].join("|"),
  "i",
);
// AppWright swallows WebDriver's errors while it waits for an element, and only prints them.
const SWALLOWED = /^Error while checking visibility/;
const LONGEST = 2000;

const plain = (text) => String(text ?? "").replace(/\x1b\[[0-9;]*m/g, "").slice(0, LONGEST);

/** Whose failure this is, by all that is known of it. */
function label(errors, printed = []) {
  const swallowed = printed.join("").split("\n").filter((line) => SWALLOWED.test(line));
  return [...errors, ...swallowed].some((text) => INFRASTRUCTURE.test(text)) ? "infrastructure" : "test";
}

class RunnerReporter {
  constructor() {
    this.file = fs.openSync(process.env.QGJOB_EVENTS, "a");
  }

  emit(event) {
    fs.writeSync(this.file, JSON.stringify({ time: new Date().toISOString(), ...event }) + "\n");
  }

  printsToStdio() {
    return false;
  }

  onBegin(config, suite) {
    this.emit({ event: "begin", tests: suite.allTests().length, playwright: config.version });
  }

  onTestBegin(test) {
    this.emit({ event: "test-begin", ...where(test) });
  }

  onTestEnd(test, result) {
    const errors = result.errors.map((error) => plain(error.message ?? error.value));
    const skipped = result.status === "skipped";
    // A test that is marked as failing (test.fail) and fails has done as it should.
    const outcome = skipped ? "skipped" : result.status === test.expectedStatus ? "passed" : result.status;
    const good = skipped || outcome === "passed";
    this.emit({
      event: "test-end",
      ...where(test),
      outcome,
      ms: result.duration,
      ...(good ? {} : { kind: label(errors, result.stdout.map(String)), error: errors[0] ?? result.status }),
    });
  }

  // Outside any test: the configuration, AppWright's global set-up, syntax errors, "No tests found".
  onError(error) {
    const text = plain(error.message ?? error.value);
    const at = error.location ? `${error.location.file}:${error.location.line}: ` : "";
    this.emit({ event: "error", kind: label([text]), error: at && !text.includes(at) ? at + text : text });
  }

  onEnd(result) {
    this.emit({ event: "end", status: result.status });
  }
}

function where(test) {
  return { file: test.location.file, line: test.location.line, title: test.titlePath().slice(3).join(" › ") };
}

module.exports = RunnerReporter;
module.exports.label = label;
