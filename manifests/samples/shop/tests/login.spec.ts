import { expect, test } from "appwright";

test("greets the user who logs in", async ({ device }) => {
  await device.getById("user").fill("ada");
  await device.getByText("Login").tap();
  await expect(device.getByText("Welcome back")).toBeVisible();
  expect(await device.getByText("Signed in as").getText()).toBe("Signed in as ada");
});

test("forgets the user at logout", async ({ device }) => {
  await device.getById("user").fill("ada");
  await device.getByText("Login").tap();
  await device.getByText("Log out").tap();
  await expect(device.getByText("Shop")).toBeVisible();
});
