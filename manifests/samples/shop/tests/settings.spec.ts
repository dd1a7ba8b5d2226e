import { expect, test } from "appwright";

test("turns notifications on", async ({ device }) => {
  await device.getByText("Login").tap();
  await device.getById("open_settings").tap();
  expect(await device.getByText("Notifications:").getText()).toBe("Notifications: off");
  await device.getByText("Turn on").tap();
  expect(await device.getByText("Notifications:").getText()).toBe("Notifications: on");
});
