// AppWright asks for a fresh install of the app in every session. The runner installs it once per batch with adb;
// this plugin takes the app out of each session's capabilities and names the installed one instead. What a
// fresh install would have given, an app without data, the driver gets by `pm clear` (noReset: false).
//
// From the runner: QGJOB_APP_PACKAGE, QGJOB_APP_ACTIVITY, ANDROID_SERIAL, ANDROID_ADB_SERVER_PORT.
"use strict";
const { BasePlugin } = require("appium/plugin");

const INSTALLING = ["app", "fullReset", "otherApps", "enforceAppInstall", "uninstallOtherPackages"];

// Appium's helpers are on the device after the first session; looking again costs a second of each later one.
let deviceIsPrepared = false;

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
}

module.exports = { InstallOncePlugin, rewrite };
