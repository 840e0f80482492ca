import { isFerry } from "#base/errors/ferryError.ts";
import type { Clock } from "#base/flow/clock.ts";
import type { Logger } from "#base/observe/log.ts";
import type { MongoClient } from "#io/mongo/connect.ts";
import { translated } from "#io/mongo/errors.ts";
import type { ResumeToken } from "./resumeToken.ts";

/** A position that has not moved for this long is that of a source at rest, ms. */
const REST_MS = 1000;

/** Refusals that the next try meets as well. */
const FOR_GOOD = ["FERRY_MONGO_PRIVILEGE", "FERRY_MONGO_COMMAND", "FERRY_MONGO_AUTH"] as const;

/**
 * Keeps the time of a source at rest going. A command that waits for a position after "now", as finalize does, would wait for the
 * server's own no-op, ten to twenty seconds; so ferry writes one. It changes no data and is no event of any change stream.
 * Where the user may not write it, the server's own is waited for. Source: the server command `appendOplogNote`.
 */
export class RestingSource {
  readonly #client: MongoClient;
  readonly #clock: Clock;
  readonly #logger: Logger;
  #position = "";
  #since = 0;
  #refused = false;

  constructor({ client, clock, logger }: Readonly<{ client: MongoClient; clock: Clock; logger: Logger }>) {
    this.#client = client;
    this.#clock = clock;
    this.#logger = logger;
  }

  /** Called with each position of the stream. Never throws: the readers of the source report its errors. */
  async at({ _data }: ResumeToken): Promise<void> {
    const now = this.#clock.now();
    if (_data !== this.#position) {
      this.#position = _data;
      this.#since = now;
    }
    if (this.#refused || now - this.#since < REST_MS) return;
    this.#since = now;
    await this.note();
  }

  /** Writes a no-op, where it may be written: the oplog then has an entry after everything that is there now. Never throws. */
  async note(): Promise<void> {
    if (this.#refused) return;
    try {
      const note = { appendOplogNote: 1, data: { ferry: "the source is at rest" } };
      await translated("writing a no-op into the source's oplog", () => this.#client.db("admin").command(note));
    } catch (error) {
      if (!isFerry(error, ...FOR_GOOD)) return;
      this.#refused = true;
      const rests = "while the source rests, its position moves every ten seconds";
      this.#logger.info({ stage: "stream" }, `${error.detail}: ${rests}`);
    }
  }
}
