import { expect, test } from "appwright";

test("thanks for an order and empties the basket", async ({ device }) => {
  await device.getById("user").fill("grace");
  await device.getByText("Login").tap();
  await device.getByText("Catalogue").tap();
  await device.getByText("Add Cheese").tap();
  await device.getById("open_basket").tap();
  await device.getByText("Check out").tap();
  await expect(device.getByText("Thank you, grace")).toBeVisible();
  expect(await device.getByText("Orders:").getText()).toBe("Orders: 1");
});
