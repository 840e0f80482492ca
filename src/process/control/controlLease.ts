import type { Collection } from "#io/mongo/connect.ts";
import { translated } from "#io/mongo/errors.ts";
import { FREE } from "#io/mongo/lease.ts";
import { hasServerCode, ServerCode } from "#io/mongo/serverCodes.ts";
import type { StateDb } from "#io/state/stateDb.ts";

/** `ferry.control`, one record: which process is in control. */
export type ControlRecord = {
  _id: "control";
  owner: string | null;
  /** By the server's clock. */
  since: Date;
  expiresAt: Date;
};

/** Of several control processes one is in control; it renews its lease by the server's clock. Every method throws FERRY_MONGO_*. */
export class ControlLease {
  readonly #records: Collection<ControlRecord>;
  readonly #owner: string;
  readonly #leaseMs: number;

  constructor(state: StateDb, { owner, leaseMs }: Readonly<{ owner: string; leaseMs: number }>) {
    this.#records = state.collection("control");
    this.#owner = owner;
    this.#leaseMs = leaseMs;
  }

  /** @returns undefined where this process is in control now, otherwise the one that is */
  take(): Promise<string | undefined> {
    return translated("taking control", async () => {
      const mine = { owner: this.#owner, since: "$$NOW", expiresAt: this.#until };
      const { matchedCount } = await this.#records.updateOne({ _id: "control", $expr: FREE }, [{ $set: mine }]);
      if (matchedCount === 1) return undefined;
      const record = await this.#records.findOne({ _id: "control" });
      if (record !== null) return record.owner ?? "another process"; // it was left a moment ago
      await this.#begin();
      return this.take();
    });
  }

  /** An update that asks for the server's time does not insert. */
  async #begin(): Promise<void> {
    const free: ControlRecord = { _id: "control", owner: null, since: new Date(), expiresAt: new Date(0) };
    await this.#records.insertOne(free).catch((error: unknown) => {
      if (!hasServerCode(error, ServerCode.DuplicateKey)) throw error; // two processes began at the same time
    });
  }

  /** @returns false where another process has taken control */
  async renew(): Promise<boolean> {
    const { matchedCount } = await translated("keeping control", () =>
      this.#records.updateOne({ _id: "control", owner: this.#owner }, [{ $set: { expiresAt: this.#until } }]),
    );
    return matchedCount === 1;
  }

  /** Another process need not wait for the end of the lease. */
  async leave(): Promise<void> {
    await translated("leaving control", () =>
      this.#records.updateOne({ _id: "control", owner: this.#owner }, { $set: { owner: null } }),
    );
  }

  get #until(): object {
    return { $add: ["$$NOW", this.#leaseMs] };
  }
}
