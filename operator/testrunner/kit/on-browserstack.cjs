// Adapts a project's configuration to the batch's device and app at BrowserStack, and AppWright's provider to the
// runner: it has uploaded the app already, knows where BrowserStack is, and must hear of each session.
//
// From the runner: QGJOB_APP_PATH, QGJOB_PLAYWRIGHT_PROJECT (both may be empty), QGJOB_TEST, QGJOB_APP_VERSION_ID,
// BROWSERSTACK_USERNAME, BROWSERSTACK_ACCESS_KEY, and QGJOB_BROWSERSTACK_APP, _DEVICE, _OS_VERSION, _HUB, _API,
// _IDLE_SECONDS, _BUILD, _SESSIONS (a file, see browserstack/sessions.py), _VIDEO_SECONDS (0: no video is fetched).
"use strict";
const fs = require("node:fs");
const path = require("node:path");
const { single } = require("./project.cjs");

const ADAPTED = Symbol.for("qgjob.browserstack");
// AppWright has these addresses in its code.
const API = "https://api-cloud.browserstack.com/app-automate/sessions/";
const LONGEST_REASON = 250;
const LONGEST_QUEUE_MS = 900_000;

module.exports = function onBrowserStack(imported, env = process.env, argv = process.argv) {
  adapt(find(), env);
  return single(imported, {
    env,
    argv,
    use: (own) => ({
      device: {
        ...own.device,
        provider: "browserstack",
        name: env.QGJOB_BROWSERSTACK_DEVICE,
        osVersion: env.QGJOB_BROWSERSTACK_OS_VERSION,
      },
      buildPath: env.QGJOB_APP_PATH || env.QGJOB_BROWSERSTACK_APP,
    }),
  });
};

/** AppWright's provider and Playwright's `test`, as the project's own tests get them. */
function find() {
  const main = require.resolve("appwright", { paths: [process.cwd()] });
  const provider = path.join(path.dirname(main), "providers", "browserstack", "index.js");
  if (!fs.existsSync(provider)) throw unknown(main);
  const { test } = require(require.resolve("@playwright/test", { paths: [path.dirname(main)] }));
  const { BrowserStackDeviceProvider } = require(provider);
  for (const method of ["globalSetup", "createConfig", "getSessionDetails", "syncTestDetails", "downloadVideo"]) {
    if (typeof BrowserStackDeviceProvider?.prototype?.[method] !== "function") throw unknown(main);
  }
  return { Provider: BrowserStackDeviceProvider, info: () => test.info() };
}

function unknown(main) {
  return new Error(`The AppWright of this project (${main}) has another BrowserStack provider than 0.1.1: use that one.`);
}

function adapt({ Provider, info }, env) {
  const own = Provider.prototype;
  if (own[ADAPTED]) return;
  own[ADAPTED] = true;
  redirect(env.QGJOB_BROWSERSTACK_API);
  const { createConfig, syncTestDetails, downloadVideo } = own;

  own.globalSetup = async function () {
    process.env[`BROWSERSTACK_APP_URL_${this.project.name.toUpperCase()}`] = env.QGJOB_BROWSERSTACK_APP;
  };

  own.createConfig = function () {
    return configure(createConfig.call(this), env, info().title);
  };

  // What is shown on BrowserStack's pages must not fail a test, and it knows two verdicts only.
  own.syncTestDetails = async function (details) {
    if (!this.sessionId) return undefined;
    const shown = details.name
      ? { name: `${env.QGJOB_TEST}: ${details.name}` }
      : {
          status: details.status === info().expectedStatus ? "passed" : "failed",
          reason: details.reason && String(details.reason).replace(/\x1b\[[0-9;]*m/g, "").slice(0, LONGEST_REASON),
        };
    return orWarn("The session could not be marked", () => syncTestDetails.call(this, shown));
  };

  // AppWright waits 10 s for each video, and longer where BrowserStack is busy.
  own.downloadVideo = async function (...asked) {
    const seconds = Number(env.QGJOB_BROWSERSTACK_VIDEO_SECONDS || 0);
    if (!this.sessionId || !seconds) return null;
    info().setTimeout(info().timeout + seconds * 1000);
    const late = new Promise((_, refuse) => {
      setTimeout(refuse, (seconds - 5) * 1000, new Error(`it was not there within ${seconds - 5} s`)).unref();
    });
    return orWarn("No video", () => Promise.race([downloadVideo.apply(this, asked), late]));
  };
}

/** The WebDriver client's options: where the hub is, what the session is called, and that it is noted. */
function configure(config, env, title) {
  const hub = new URL(env.QGJOB_BROWSERSTACK_HUB);
  Object.assign(config.capabilities["bstack:options"], {
    buildName: env.QGJOB_BROWSERSTACK_BUILD,
    buildIdentifier: env.QGJOB_APP_VERSION_ID,
    sessionName: `${env.QGJOB_TEST}: ${title}`,
    idleTimeout: Number(env.QGJOB_BROWSERSTACK_IDLE_SECONDS),
  });
  const note = (event, more) =>
    fs.appendFileSync(env.QGJOB_BROWSERSTACK_SESSIONS, JSON.stringify({ event, ...more }) + "\n");
  const creates = ({ method, url }) => method === "POST" && /\/session$/.test(url.pathname);
  return {
    ...config,
    protocol: hub.protocol.replace(":", ""),
    hostname: hub.hostname,
    port: Number(hub.port) || (hub.protocol === "https:" ? 443 : 80),
    path: hub.pathname,
    transformRequest(request) {
      if (!creates(request)) return request;
      note("asked");
      // A refusal is the runner's to judge: the client would ask 15 times more. And BrowserStack lets a request wait
      // in its queue: one that is given up would open a session that nobody uses.
      return { ...request, retry: { limit: 0 }, timeout: { response: LONGEST_QUEUE_MS } };
    },
    transformResponse(response, request) {
      const body = typeof response.body === "object" ? response.body : undefined;
      const session = body?.value?.sessionId ?? body?.sessionId;
      if (creates(request)) {
        if (response.statusCode !== 200 || !session) {
          note("refused");
          throw new Error(refusal(response));
        }
        note("opened", { session, test: title });
      }
      const ended = request.method === "DELETE" && request.url.pathname.match(/\/session\/([^/]+)$/);
      if (ended && (response.statusCode === 200 || response.statusCode === 404)) note("ended", { session: ended[1] });
      return response;
    },
  };
}

function refusal(response) {
  const value = response.body?.value;
  const said = value?.message || value?.error || response.body?.message || response.body;
  const text = typeof said === "string" ? said : JSON.stringify(said ?? "");
  return `HTTP ${response.statusCode}: ${text.trim().slice(0, 500)}`;
}

/** AppWright asks for sessions with fetch, at addresses of its own. */
function redirect(api) {
  const real = globalThis.fetch;
  globalThis.fetch = (resource, options) => {
    const url = typeof resource === "string" ? resource : undefined;
    return real(url?.startsWith(API) ? `${api}/app-automate/sessions/${url.slice(API.length)}` : resource, options);
  };
}

async function orWarn(what, work) {
  try {
    return await work();
  } catch (error) {
    console.warn(`${what}: ${error.message}`);
    return null;
  }
}

module.exports.configure = configure;
