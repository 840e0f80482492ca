import assert from "node:assert/strict";
import { test } from "node:test";
import { CognitoAccounts } from "#sink/cognito/cognitoAccount.ts";
import { FakeClock } from "../../../harness/memory/fakeClock.ts";

test("pools of one region and endpoint share an account, and so its quotas, whatever opens them", () => {
  const accounts = new CognitoAccounts(new FakeClock());
  const here = accounts.of({ region: "eu-west-1" });
  assert.equal(accounts.of({ region: "eu-west-1", quotas: { UserRead: 1 } }), here);
  assert.notEqual(accounts.of({ region: "eu-west-2" }), here);
  assert.notEqual(accounts.of({ region: "eu-west-1", endpoint: "http://127.0.0.1:1" }), here);
});
