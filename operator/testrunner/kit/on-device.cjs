// Adapts a project's configuration to the one device and the one app of the batch. What a test is stays as the
// project says; how many run at once, on what, and which build, is the runner's.
//
// From the runner: QGJOB_APP_PATH, ANDROID_SERIAL, QGJOB_PLAYWRIGHT_PROJECT (may be empty).
"use strict";

module.exports = function onDevice(imported, env = process.env, argv = process.argv) {
  const config = imported.default ?? imported;
  const project = choose(config.projects ?? [], env.QGJOB_PLAYWRIGHT_PROJECT);
  // AppWright's global set-up reads the project's name from the command line.
  if (!argv.includes("--project")) argv.push("--project", project.name);
  return {
    ...config,
    workers: 1,
    fullyParallel: false,
    retries: 0,
    projects: [
      {
        ...project,
        retries: 0,
        use: {
          ...project.use,
          device: { ...project.use?.device, provider: "local-device", udid: env.ANDROID_SERIAL },
          buildPath: env.QGJOB_APP_PATH,
        },
      },
    ],
  };
};

function choose(projects, wanted) {
  const android = projects.filter((p) => (p.use?.platform ?? "android") === "android");
  const names = projects.map((p) => p.name).join(", ") || "none";
  if (wanted) {
    const found = projects.find((p) => p.name === wanted);
    if (!found) throw new Error(`The configuration has no project "${wanted}" (it has: ${names}).`);
    return found;
  }
  if (android.length === 0) throw new Error(`The configuration has no project for Android (it has: ${names}).`);
  return android[0];
}
