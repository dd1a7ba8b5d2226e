import { expect, test } from "appwright";

// Fails once: QGJOB_FAILURES counts the test failures of this TestJob so far.
test("passes the second time", async ({ device }) => {
  await device.getByText("Login").tap();
  const expected = process.env.QGJOB_FAILURES === "0" ? "Welcome, stranger" : "Welcome back";
  expect(await device.getById("welcome").getText()).toBe(expected);
});
