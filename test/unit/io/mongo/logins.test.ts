import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { readOneLine } from "#base/config/textFile.ts";
import { openMember, openMongo } from "#io/mongo/connect.ts";
import { tempFolder } from "../../../harness/folders.ts";

const credentialsOf = async (uri: string) => {
  await using client = openMongo(uri, { appName: "test" });
  return client.options.credentials;
};

test("mechanisms that no test has a server for are handed to the driver as typed", async () => {
  const ldap = await credentialsOf("mongodb://anna:s%40cret@127.0.0.1/?authMechanism=PLAIN&authSource=%24external");
  assert.equal(ldap?.mechanism, "PLAIN");
  assert.deepEqual([ldap.username, ldap.password, ldap.source], ["anna", "s@cret", "$external"]);
  // The driver takes them from where AWS's own packages look, and refuses a URI that has them.
  const aws = await credentialsOf("mongodb://127.0.0.1/?authMechanism=MONGODB-AWS");
  assert.equal(aws?.mechanism, "MONGODB-AWS");
});

test("user and password are those of the file, each time they are asked for; a member's client has those of its set", async () => {
  using folder = tempFolder();
  const file = join(folder.path, "uri");
  const write = (login: string): void => writeFileSync(file, `mongodb://${login}@127.0.0.1:1/?replicaSet=rs0\n`);
  write("one:first");
  const uri = readOneLine(file, "--source-file");
  await using set = openMongo(uri, { appName: "test" });
  await using member = openMember(set, uri, "127.0.0.1:2", "test");
  const logins = () =>
    [set, member].map(({ options: { credentials } }) => `${credentials?.username}:${credentials?.password}`);
  assert.deepEqual(logins(), ["one:first", "one:first"]);
  write("two:s%40cond");
  assert.deepEqual(logins(), ["two:s@cond", "two:s@cond"]);
  write("not%zz:encoded");
  assert.deepEqual(logins(), ["one:first", "one:first"], "a file that is no URI: as at the start");
});
