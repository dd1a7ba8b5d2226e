// AppWright asks for a fresh install of the app in every session. The runner installs it once per batch with adb;
// this plugin takes the app out of each session's capabilities and names the installed one instead. What a
// fresh install would have given, an app without data, the driver gets by `pm clear` (noReset: false).
//
// It also keeps what each session's screen shows last: after the session, the app is gone.
//
// From the runner: QGJOB_APP_PACKAGE, QGJOB_APP_ACTIVITY, ANDROID_SERIAL, ANDROID_ADB_SERVER_PORT, and
// QGJOB_SCREENSHOTS, a folder, where screenshots are wanted.
"use strict";
const fs = require("node:fs");
const path = require("node:path");
const { BasePlugin } = require("appium/plugin");

const INSTALLING = ["app", "fullReset", "otherApps", "enforceAppInstall", "uninstallOtherPackages"];

// Appium's helpers are on the device after the first session; looking again costs a second of each later one.
let deviceIsPrepared = false;

const SCREENSHOT_MS = 3000;
let sessions = 0;

function rewrite(capabilities, env, { prepared }) {
  for (const name of INSTALLING) {
    delete capabilities[`appium:${name}`];
    delete capabilities[name];
  }
  capabilities["appium:appPackage"] = env.QGJOB_APP_PACKAGE;
  capabilities["appium:appActivity"] = env.QGJOB_APP_ACTIVITY;
  capabilities["appium:noReset"] = false;
  capabilities["appium:udid"] = env.ANDROID_SERIAL;
  if (env.ANDROID_ADB_SERVER_PORT) capabilities["appium:adbPort"] = Number(env.ANDROID_ADB_SERVER_PORT);
  if (prepared) {
    capabilities["appium:skipServerInstallation"] ??= true;
    capabilities["appium:skipDeviceInitialization"] ??= true;
  }
  return capabilities;
}

class InstallOncePlugin extends BasePlugin {
  async createSession(next, driver, jsonwp, required, w3c) {
    // Appium merges these two; what is taken out must be in neither.
    const asked = { ...w3c.alwaysMatch, ...w3c.firstMatch?.[0] };
    w3c.alwaysMatch = rewrite(asked, process.env, { prepared: deviceIsPrepared });
    w3c.firstMatch = [{}];
    const result = await next();
    deviceIsPrepared = !result?.error;
    return result;
  }

  async deleteSession(next, umbrella, sessionId) {
    // Appium ends sessions itself; what a session can do, its own driver does.
    const driver = umbrella.sessions?.[sessionId];
    if (driver && process.env.QGJOB_SCREENSHOTS) await keepScreenshot(driver, process.env.QGJOB_SCREENSHOTS);
    return next();
  }
}

/** Writes a PNG to the folder; whatever goes wrong with it is none of the session's business. */
async function keepScreenshot(driver, folder) {
  try {
    const screen = await Promise.race([
      driver.getScreenshot(),
      new Promise((_, refuse) => setTimeout(refuse, SCREENSHOT_MS, new Error("it took too long")).unref()),
    ]);
    fs.mkdirSync(folder, { recursive: true });
    sessions += 1;
    const name = `${String(sessions).padStart(4, "0")}.png`;
    fs.writeFileSync(path.join(folder, `${name}.partial`), Buffer.from(screen, "base64"));
    fs.renameSync(path.join(folder, `${name}.partial`), path.join(folder, name));
  } catch (error) {
    console.log(`install-once: no screenshot of the session's end: ${error.message}`);
  }
}

module.exports = { InstallOncePlugin, rewrite };
