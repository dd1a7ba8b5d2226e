// What every adapter of a project's configuration does: one of its projects, one test at a time, no retries.
"use strict";

/** The configuration with nothing but the chosen project, whose `use` is changed. */
function single(imported, { env, argv, use }) {
  const config = imported.default ?? imported;
  const project = choose(config.projects ?? [], env.QGJOB_PLAYWRIGHT_PROJECT);
  // AppWright's global set-up reads the project's name from the command line.
  if (!argv.includes("--project")) argv.push("--project", project.name);
  return {
    ...config,
    workers: 1,
    fullyParallel: false,
    retries: 0,
    projects: [{ ...project, retries: 0, use: { ...project.use, ...use(project.use ?? {}) } }],
  };
}

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

module.exports = { single };
