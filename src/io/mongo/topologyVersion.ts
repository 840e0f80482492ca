/**
 * The driver hands an error of a command that was run with `raw` out with its subdocuments as bytes, and takes its own
 * `topologyVersion` from there (mongodb 7.9: lib/cmap/connection.js, lib/sdam/server_description.js). After the first "not
 * primary" of such a command the next comparison of versions throws a TypeError, in the middle of another command.
 * `test/contract/rawErrors.test.ts` notices when an upgrade changes it.
 */
import { BSON, MongoServerError } from "mongodb";

const FIELD = "topologyVersion";

const decoded = (value: unknown): unknown => (value instanceof Uint8Array ? BSON.deserialize(value) : value);

/** From now on the driver's errors carry a `topologyVersion` that the driver can read. Where another was here first, it stays. */
export const readableTopologyVersions = (): void => {
  if (FIELD in MongoServerError.prototype) return;
  // The driver's constructor assigns what the server said field by field: this one goes through here.
  Object.defineProperty(MongoServerError.prototype, FIELD, {
    configurable: true,
    get: () => undefined,
    set(value: unknown) {
      const own = { value: decoded(value), writable: true, enumerable: true, configurable: true };
      Object.defineProperty(this, FIELD, own);
    },
  });
};
