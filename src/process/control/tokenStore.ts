import { createHash, randomBytes } from "node:crypto";
import { FerryError } from "#base/errors/ferryError.ts";
import type { Collection } from "#io/mongo/connect.ts";
import { translated } from "#io/mongo/errors.ts";
import type { StateDb } from "#io/state/stateDb.ts";
import { AuditLog, type Author } from "#process/steer/auditLog.ts";

/** What the holder of a token may do; each one may also do what those before it may. */
export const ROLES = ["viewer", "operator", "cutover"] as const;
export type Role = (typeof ROLES)[number];

/** May the one do what the other one is needed for? */
export const covers = (role: Role, needed: Role): boolean => ROLES.indexOf(role) >= ROLES.indexOf(needed);

/** `ferry.tokens`. The token itself is nowhere: `_id` is its SHA-256 in hex, and it is as long as that (256 random bits). */
export type TokenRecord = {
  _id: string;
  role: Role;
  /** What it is for, in the operator's words. */
  name: string | null;
  createdBy: string;
  createdAt: Date;
  /** Null: never. */
  expiresAt: Date | null;
  revokedAt: Date | null;
};

/** A token as it may be shown. */
export type TokenFacts = Readonly<
  Pick<TokenRecord, "role" | "name" | "createdBy" | "createdAt" | "expiresAt" | "revokedAt"> & {
    id: string;
    state: "valid" | "expired" | "revoked";
  }
>;

/** Tells tokens of ferry from others, for people and for scanners of leaked secrets. */
const PREFIX = "ferry_";
const ID_LENGTH = 12;

/** What is stored of a token. */
export const hashOf = (token: string): string => createHash("sha256").update(token).digest("hex");

const toFacts = ({ _id, ...record }: TokenRecord, now = Date.now()): TokenFacts => {
  const { role, name, createdBy, createdAt, expiresAt, revokedAt } = record;
  const isOver = expiresAt !== null && expiresAt.getTime() <= now;
  const state = revokedAt !== null ? "revoked" : isOver ? "expired" : "valid";
  return { id: _id.slice(0, ID_LENGTH), role, name, createdBy, createdAt, expiresAt, revokedAt, state };
};

/** The tokens of the HTTP API. Every method throws FERRY_MONGO_*. */
export class TokenStore {
  readonly #tokens: Collection<TokenRecord>;
  readonly #audit: AuditLog;

  constructor(state: StateDb) {
    this.#tokens = state.collection("tokens");
    this.#audit = new AuditLog(state);
  }

  /** @returns the token, which cannot be read again */
  async create(
    { role, name, expiresAt }: Pick<TokenRecord, "role" | "name" | "expiresAt">,
    by: Author,
  ): Promise<TokenFacts & Readonly<{ token: string }>> {
    const token = PREFIX + randomBytes(32).toString("base64url");
    const times = { createdAt: new Date(), expiresAt, revokedAt: null };
    const record: TokenRecord = { _id: hashOf(token), role, name, createdBy: by.who, ...times };
    const facts = toFacts(record);
    await this.#audit.note(by, {
      action: "token.create",
      on: facts.id,
      before: null,
      after: { role, name, expiresAt },
    });
    await translated("storing a token", () => this.#tokens.insertOne(record));
    return { token, ...facts };
  }

  /** Oldest first. */
  async list(): Promise<readonly TokenFacts[]> {
    const found = await translated("listing tokens", () => this.#tokens.find().sort({ createdAt: 1 }).toArray());
    return found.map((record) => toFacts(record));
  }

  /** Again, the first time counts. @throws FERRY_TOKEN_UNKNOWN */
  async revoke(id: string, by: Author): Promise<TokenFacts> {
    const record = /^[0-9a-f]{12}$/.test(id)
      ? await translated("looking for a token", () => this.#tokens.findOne({ _id: { $regex: `^${id}` } }))
      : null;
    if (record === null) throw new FerryError("FERRY_TOKEN_UNKNOWN", `there is no token ${id}`);
    if (record.revokedAt !== null) return toFacts(record);
    const { state: before } = toFacts(record);
    await this.#audit.note(by, { action: "token.revoke", on: id, before, after: "revoked" });
    const revokedAt = new Date();
    await translated("revoking a token", () => this.#tokens.updateOne({ _id: record._id }, { $set: { revokedAt } }));
    return toFacts({ ...record, revokedAt });
  }

  /** What is known of a token that was presented; undefined: nothing. @param hash as `hashOf` tells */
  async find(hash: string): Promise<TokenFacts | undefined> {
    const record = await translated("looking for a token", () => this.#tokens.findOne({ _id: hash }));
    return record === null ? undefined : toFacts(record);
  }
}
