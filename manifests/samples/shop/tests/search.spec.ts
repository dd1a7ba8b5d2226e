import { expect, test } from "appwright";

test("searches for what was typed", async ({ device }) => {
  await device.getByText("Login").tap();
  await device.getById("open_search").tap();
  await device.getById("query").fill("apples");
  await device.getByText("Find").tap();
  await expect(device.getByText("Results for apples")).toBeVisible();
});
