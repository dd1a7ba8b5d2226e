import { expect, test } from "appwright";

test("counts what is put into the basket", async ({ device }) => {
  await device.getByText("Login").tap();
  await device.getByText("Catalogue").tap();
  await device.getByText("Add Apples").tap();
  await device.getByText("Add Bread").tap();
  expect(await device.getById("basket_count").getText()).toBe("In basket: 2");
});
