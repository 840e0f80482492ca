import type { Collection } from "#io/mongo/connect.ts";
import { translated } from "#io/mongo/errors.ts";
import type { StateDb } from "#io/state/stateDb.ts";

/** Who asks for a change: a user of a machine, by ferry's command line, or the holder of a token, by the HTTP API. */
export type Author = Readonly<{ via: "cli" | "api"; who: string }>;

/** What is asked for, of what, how that was before, and how it is to be. None of it holds a document's values. */
export type AuditedChange = Readonly<{ action: string; on: string; before: unknown; after: unknown }>;

/** `ferry.audit`, one record a change; field names are part of the product. Nothing is ever changed or removed in it. */
export type AuditRecord = AuditedChange & Author & Readonly<{ at: Date }>;

/** Every method throws FERRY_MONGO_*. */
export class AuditLog {
  readonly #records: Collection<AuditRecord>;

  constructor(state: StateDb) {
    this.#records = state.collection("audit");
  }

  /** Before the change is made: a record may stand for a change that then failed, and no change is without one. */
  async note({ via, who }: Author, { action, on, before, after }: AuditedChange): Promise<void> {
    const record = { at: new Date(), via, who, action, on, before, after };
    await translated("noting who changes what", () => this.#records.insertOne(record));
  }

  /** The newest first. */
  list(limit: number): Promise<AuditRecord[]> {
    return translated("reading the audit log", () =>
      this.#records
        .find({}, { projection: { _id: 0 } })
        .sort({ at: -1, _id: -1 })
        .limit(limit)
        .toArray(),
    );
  }
}
