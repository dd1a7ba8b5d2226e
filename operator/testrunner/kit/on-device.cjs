// Adapts a project's configuration to the one device and the one app of the batch. What a test is stays as the
// project says; how many run at once, on what, and which build, is the runner's.
//
// From the runner: QGJOB_APP_PATH, ANDROID_SERIAL, QGJOB_PLAYWRIGHT_PROJECT (may be empty).
"use strict";
const { single } = require("./project.cjs");

module.exports = function onDevice(imported, env = process.env, argv = process.argv) {
  return single(imported, {
    env,
    argv,
    use: (own) => ({
      device: { ...own.device, provider: "local-device", udid: env.ANDROID_SERIAL },
      buildPath: env.QGJOB_APP_PATH,
    }),
  });
};
