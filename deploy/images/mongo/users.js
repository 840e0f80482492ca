// For mongosh, over loopback, where the first user may be made without a login: the users of the secure stack, each once.
// Roles are those that `ferry check --print-roles` prints, in $ROLES.
const fs = require("node:fs");
const secret = (name) => fs.readFileSync(`${process.env.SECRETS}/${name}`, "utf8").trim();
const admin = db.getSiblingDB("admin");
const there = (() => {
  try {
    return admin.auth("root", secret("root")).ok === 1;
  } catch {
    return false;
  }
})();
if (!there) {
  admin.createUser({ user: "root", pwd: secret("root"), roles: ["root"] });
  admin.auth("root", secret("root"));
}
if (admin.getUser("operator") === null) {
  globalThis.passwordPrompt = () => secret("ferry");
  load(process.env.ROLES);
  admin.createUser({
    user: "operator",
    pwd: secret("operator"),
    roles: ["readWriteAnyDatabase", "clusterMonitor", { role: "read", db: "local" }],
  });
}
print("the users are there");
