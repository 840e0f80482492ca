import type { MongoClient, MongoError, MongoOptions } from "mongodb";
import { asOfNow, fileOf } from "#base/config/textFile.ts";
import { loginOf } from "./uriParts.ts";

type Credentials = NonNullable<MongoOptions["credentials"]>;

/** The driver replaces what it was given where DNS says more (`mongodb+srv`): `renewed` is asked for whatever it has. */
const setCredentials = (client: MongoClient, given: Credentials, renewed: (had: Credentials) => Credentials): void => {
  let had = given;
  Object.defineProperty(client.options, "credentials", {
    enumerable: true,
    configurable: true,
    get: () => renewed(had),
    set: (next: Credentials) => {
      had = next;
    },
  });
};

/**
 * Lets a client take user and password out of the file that its URI was read from, each time a connection logs in: a password
 * that is changed under way needs no restart. The driver asks its credentials for both with each login (mongodb 7.9:
 * lib/cmap/connect.js, lib/cmap/auth/scram.js); test/integration/secure-rotation.test.ts notices when an upgrade changes that.
 */
export const renewLogin = (client: MongoClient, uri: string): void => {
  const { credentials } = client.options;
  if (credentials === undefined || fileOf(uri) === undefined) return;
  setCredentials(client, credentials, (had) => {
    const now = (part: "username" | "password") => ({ get: () => loginOf(asOfNow(uri))?.[part] ?? had[part] });
    return Object.create(had, { username: now("username"), password: now("password") });
  });
};

/** Lets a client log in as another one does. */
export const shareLogin = (client: MongoClient, other: MongoClient): void => {
  const { credentials } = client.options;
  if (credentials !== undefined) setCredentials(client, credentials, (had) => other.options.credentials ?? had);
};

/** The server that each failed connection was made to: the driver's errors do not tell. */
const servers = new WeakMap<MongoError, string>();

/** Notes which of a client's servers refused a login. */
export const noteRefusals = (client: MongoClient): void =>
  void client.on("serverDescriptionChanged", ({ address, newDescription: { error } }) => {
    if (error !== null) servers.set(error, address);
  });

/** `host:port` of the server that refused a login with this error. */
export const refuser = (error: MongoError): string => servers.get(error) ?? "the server";
