import { defineConfig, Platform } from "appwright";

export default defineConfig({
  testDir: "./tests",
  use: { expectTimeout: 5_000 },
  projects: [
    {
      name: "android",
      use: {
        platform: Platform.ANDROID,
        // On a laptop: an emulator and a local build. The qgjob runner puts the batch's device and app in their place.
        device: { provider: "emulator" },
        buildPath: "build/shop.apk",
      },
    },
  ],
});
