import { expect, test } from "appwright";

// Proves that the app on the device is the one that was asked for, and that it starts without anybody's data.
test("is the version that was asked for, as new", async ({ device }) => {
  const version = process.env.QGJOB_APP_VERSION_ID ?? "";
  expect(await device.getById("version").getText()).toBe(`Version ${version}`);
  await device.getByText("Login").tap();
  expect(await device.getByText("Items:").getText()).toBe(`Items: ${version.split(".")[1]}`);
  expect(await device.getByText("Launches:").getText()).toBe("Launches: 1");
});
