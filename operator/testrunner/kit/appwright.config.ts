// For projects that have no configuration of their own. The runner chooses the device and the app, see on-device.cjs.
import { defineConfig, Platform } from "appwright";

export default defineConfig({
  use: { expectTimeout: 20_000 },
  projects: [{ name: "android", use: { platform: Platform.ANDROID, device: { provider: "local-device" } } }],
});
