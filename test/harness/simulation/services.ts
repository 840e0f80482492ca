import assert from "node:assert/strict";
import { BSON, type Document, Int32 } from "bson";
import { isFerry } from "#base/errors/ferryError.ts";
import type { MemoryClient } from "../memory/database.ts";
import { writeAsOther } from "../memory/foreign.ts";
import type { TargetFields } from "./model.ts";
import type { RouteTraits } from "./route.ts";
import type { Step } from "./schedule.ts";
import { keyOf } from "./source.ts";
import { ROUTE } from "./worker.ts";

/** What services have done to one document. */
export type Touch = Readonly<{
  /** Their own field as they left it. */
  own: number | undefined;
  /** The document as their last write left it. */
  last: Uint8Array | undefined;
  /** Is more than a field of their own theirs? Then what the source's fields are depends on who came last. */
  isStranger: boolean;
}>;

/** The field that the source never sends. */
const OWN = "x";

/** The source's part of a document; undefined where it has none. */
export const withoutOwn = (fields: TargetFields | undefined): TargetFields | undefined => {
  if (fields === undefined) return undefined;
  const { [OWN]: _, ...rest } = fields;
  return Object.keys(rest).length === 0 ? undefined : rest;
};

/** The target's own services, and what must have come of their writes. */
export class Services {
  readonly #policy: RouteTraits["policy"];
  readonly #client: MemoryClient;
  readonly #touches = new Map<number, Touch>();

  constructor(policy: RouteTraits["policy"], client: MemoryClient) {
    this.#policy = policy;
    this.#client = client;
  }

  touchOf(key: number): Touch | undefined {
    return this.#touches.get(key);
  }

  /** Is the document the source's, as far as it sends its fields? */
  owns(key: number): boolean {
    return this.#policy !== "keep-target" || !this.#touches.has(key);
  }

  write({ key, what, value }: Step & { do: "foreign" }): void {
    const { own } = this.#touches.get(key) ?? {};
    if (what === "own")
      this.#write(key, { own: value, isStranger: false }, (now) => ({
        ...(now ?? { _id: new Int32(key) }),
        [OWN]: new Int32(value),
      }));
    else if (what === "field")
      this.#write(key, { own, isStranger: true }, (now) => now && { ...now, a: new Int32(value) });
    else this.#write(key, { own: undefined, isStranger: true }, () => undefined);
  }

  /** Writes over a field of the source's, before the source does so once more. False where there is no document, and none is heeded. */
  meddle(key: number): boolean {
    if (this.#policy !== "merge") return false;
    return this.#write(
      key,
      { own: this.#touches.get(key)?.own, isStranger: true },
      (now) => now && { ...now, a: new Int32(-1) },
    );
  }

  /** False where nothing was written: nothing is there, or a transaction has it at this moment. */
  #write(
    key: number,
    { own, isStranger }: Omit<Touch, "last">,
    change: (now: Document | undefined) => Document | undefined,
  ): boolean {
    const documentKey = keyOf(key);
    const { version } = this.#client.db;
    try {
      const last = writeAsOther(this.#client, ROUTE, documentKey, change);
      if (this.#client.db.version === version) return false;
      const was = this.#touches.get(key)?.isStranger ?? false;
      this.#touches.set(key, { own, last, isStranger: was || isStranger || this.#policy === "keep-target" });
      return true;
    } catch (error) {
      if (!isFerry(error, "FERRY_MONGO_TRANSIENT")) throw error;
      return false;
    }
  }

  /** @param documentOf the target's documents as they are */
  check(documentOf: (key: number) => Uint8Array | undefined): void {
    for (const [key, { own, last }] of this.#touches) {
      const found = documentOf(key);
      if (this.#policy === "keep-target") assert.deepEqual(hex(found), hex(last), `document ${key} is the target's`);
      const value = found && BSON.deserialize(found)[OWN];
      assert.equal(value, own, `the target's own field of document ${key}`);
    }
  }
}

const hex = (bytes: Uint8Array | undefined): string | undefined => bytes && Buffer.from(bytes).toString("hex");
