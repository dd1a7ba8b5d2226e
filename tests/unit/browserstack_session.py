"""What a test of any framework does at BrowserStack, with what the runner's environment says; see docs/browserstack.md.

`SLOW` in the test's path makes it wait until it is stopped, or its runner is gone.
"""

from __future__ import annotations

import base64
import json
import os
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

env = os.environ
key = f"{env['BROWSERSTACK_USERNAME']}:{env['BROWSERSTACK_ACCESS_KEY']}"
options = {
    "buildName": env["QGJOB_BROWSERSTACK_BUILD"],
    "sessionName": env["QGJOB_TEST"],
    "deviceName": env["QGJOB_BROWSERSTACK_DEVICE"],
    "osVersion": env["QGJOB_BROWSERSTACK_OS_VERSION"],
    "idleTimeout": env["QGJOB_BROWSERSTACK_IDLE_SECONDS"],
}
asked = {"appium:app": env["QGJOB_BROWSERSTACK_APP"], "bstack:options": options}
request = urllib.request.Request(
    env["QGJOB_BROWSERSTACK_HUB"] + "/session",
    json.dumps({"capabilities": {"alwaysMatch": asked}}).encode(),
    {"Authorization": "Basic " + base64.b64encode(key.encode()).decode()},
)
try:
    with urllib.request.urlopen(request) as answer:
        session = json.load(answer)["value"]["sessionId"]
except urllib.error.HTTPError as error:
    sys.exit(error.read().decode())
with Path(env["QGJOB_BROWSERSTACK_SESSIONS"]).open("a") as notes:
    notes.write(session + "\n")
print("opened", session, flush=True)
parent = os.getppid()
while "SLOW" in env["QGJOB_TEST"] and os.getppid() == parent:
    time.sleep(0.1)
report = '<testsuite tests="1"><testcase name="opens a session"/></testsuite>'
Path(env["QGJOB_REPORT_DIR"], "junit.xml").write_text(report)
