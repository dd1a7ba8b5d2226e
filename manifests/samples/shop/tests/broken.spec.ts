import { expect, test } from "appwright";

// Always fails: the shop never sells so much.
test("sells a thousand items", async ({ device }) => {
  await device.getByText("Login").tap();
  expect(await device.getByText("Items:").getText()).toBe("Items: 1000");
});
