import { Binary, BSON, type Document, type Timestamp, UUID } from "bson";
import { identityOf } from "#base/bson/identity.ts";
import { assert, FerryError } from "#base/errors/ferryError.ts";
import type { StateTx } from "#base/flow/stateTx.ts";
import type { Clash, TargetOp } from "#base/flow/types.ts";
import { hasServerCode, ServerCode } from "#io/mongo/serverCodes.ts";
import { documentKeyOf } from "#io/wire/documentKey.ts";
import type { Abilities, Explanation, Incarnations, Refusal, Sink } from "#sink/sink.ts";
import { type MemoryClient, timeOf } from "./database.ts";

export type MemorySinkOptions = Readonly<{
  name: string;
  /** What it can do besides, or not. What it cannot do fails as a bug of ferry's: the engine must not ask for it. */
  can?: Partial<Abilities>;
  /** A document that breaks it is rejected. */
  validator?: (document: Document) => boolean;
  /** A field whose values no two documents share. */
  unique?: string;
}>;

const ABILITIES: Abilities = {
  transactions: true,
  structure: false,
  foreignWrites: true,
  incarnations: true,
  keys: true,
  patches: true,
  verbatim: true,
};

/** Where a document lies in the database. @param document or its documentKey */
export const documentKeyIn = (name: string, document: Uint8Array): string => `docs ${name}/${identityOf(document)}`;

const decode = (document: Uint8Array): Document => BSON.deserialize(document, { promoteValues: false });

/** The document that holds a path's last name; undefined where there is none and `create` is false. */
const parentOf = (document: Document, path: readonly string[], create: boolean): Document | undefined => {
  let at = document;
  for (const name of path.slice(0, -1)) {
    if (at[name] === undefined && create) at[name] = {};
    if (typeof at[name] !== "object" || at[name] === null) return undefined;
    at = at[name] as Document;
  }
  return at;
};

const OPERATORS: Readonly<Record<string, (at: Document, name: string, value: Document) => void>> = {
  $set: (at, name, value) => {
    at[name] = value;
  },
  $unset: (at, name) => {
    delete at[name];
  },
  $push: (at, name, value) => {
    at[name] = (at[name] as unknown[]).slice(0, Number(value["$slice"]));
  },
};

const patched = (bytes: Uint8Array, changes: readonly Uint8Array[]): Uint8Array => {
  const document = decode(bytes);
  for (const modifiers of changes.map(decode))
    for (const [operator, fields] of Object.entries(modifiers))
      for (const [path, value] of Object.entries(fields as Document)) {
        const names = path.split(".");
        const at = parentOf(document, names, operator === "$set");
        if (at !== undefined) OPERATORS[operator]?.(at, names.at(-1) ?? "", value as Document);
      }
  return BSON.serialize(document);
};

/** A collection in memory that behaves as one of a MongoDB server does, as far as `Sink` goes. */
export class MemorySink implements Sink, Incarnations {
  readonly name: string;
  readonly can: Abilities;
  readonly batchCount = undefined;
  readonly form = undefined;
  readonly #client: MemoryClient;
  readonly #options: MemorySinkOptions;
  readonly #refusals = new WeakMap<Error, Readonly<{ refusal: Refusal; explanation: Explanation }>>();

  constructor(client: MemoryClient, options: MemorySinkOptions) {
    this.name = options.name;
    this.can = { ...ABILITIES, ...options.can };
    this.#client = client;
    this.#options = options;
  }

  get incarnations(): Incarnations | undefined {
    return this.can.incarnations ? this : undefined;
  }

  #requires(ability: keyof Abilities): void {
    assert(this.can[ability], `${this.name} is asked for ${ability}`);
  }

  #key(document: Uint8Array): string {
    return documentKeyIn(this.name, document);
  }

  #documents(): Promise<ReadonlyMap<string, Uint8Array>> {
    return this.#client.all<Uint8Array>(`docs ${this.name}/`);
  }

  prepare(): Promise<void> {
    return this.#client.update<string, void>(`uuid ${this.name}`, undefined, (uuid) => [
      uuid ?? new UUID().toHexString(),
      undefined,
    ]);
  }

  async look(): Promise<Readonly<{ occupied: boolean; at: Timestamp | undefined }>> {
    return { occupied: (await this.#documents()).size > 0, at: timeOf(this.#client.db.version) };
  }

  async read(keys: readonly Uint8Array[], at?: Timestamp): Promise<readonly Uint8Array[]> {
    if (at !== undefined) this.#requires("foreignWrites");
    const some = keys.map((key) => this.#key(key));
    return this.#client.some<Uint8Array>(some, at);
  }

  async *keys(batch: number): AsyncGenerator<readonly Uint8Array[]> {
    this.#requires("keys");
    const documents = [...(await this.#documents()).values()];
    for (let from = 0; from < documents.length; from += batch)
      yield documents.slice(from, from + batch).map(documentKeyOf);
  }

  async uuid(): Promise<Binary | undefined> {
    const uuid = await this.#client.get<string>(`uuid ${this.name}`);
    return uuid === undefined ? undefined : new Binary(new UUID(uuid).buffer, Binary.SUBTYPE_UUID);
  }

  async drop(uuid: Binary): Promise<void> {
    const present = await this.uuid();
    if (present === undefined || Buffer.compare(present.value(), uuid.value()) !== 0) return;
    await this.#client.session().transaction(`dropping ${this.name}`, async (tx) => {
      for (const identity of (await this.#documents()).keys())
        await this.#client.put(`docs ${this.name}/${identity}`, undefined, tx);
      await this.#client.put(`uuid ${this.name}`, undefined, tx);
      return true;
    });
  }

  async write(ops: readonly TargetOp[], tx: StateTx | undefined): Promise<void> {
    if (tx !== undefined) this.#requires("transactions");
    for (const op of ops) await this.#writeOne(op, tx);
  }

  async #writeOne(op: TargetOp, tx: StateTx | undefined): Promise<void> {
    const others = this.#options.unique === undefined ? undefined : await this.#documents();
    await this.#client.update<Uint8Array, void>(this.#key(op.key), tx, (now) => {
      if (op.op === "delete") return [undefined, undefined];
      if (op.op === "patch") {
        this.#requires("patches");
        if (now === undefined) return [now, undefined];
        const next = patched(now, op.changes);
        this.#check(next, others);
        return [next, undefined];
      }
      if (op.fresh && now !== undefined)
        throw this.#refused({ kind: "exists", doc: op.doc }, "the document is there", {
          serverCode: ServerCode.DuplicateKey,
        });
      this.#check(op.doc, others);
      return [op.doc, undefined];
    });
  }

  #check(bytes: Uint8Array, others: ReadonlyMap<string, Uint8Array> | undefined): void {
    const { validator, unique } = this.#options;
    const document = decode(bytes);
    if (validator?.(document) === false)
      throw this.#refused({ kind: "rejected" }, "the document breaks the validator", { serverCode: 121 });
    const value = unique === undefined ? undefined : document[unique];
    if (value === undefined || unique === undefined) return;
    const text = BSON.EJSON.stringify(value, { relaxed: false });
    for (const [identity, other] of others ?? []) {
      if (identity === identityOf(bytes)) continue;
      if (BSON.EJSON.stringify(decode(other)[unique] ?? null, { relaxed: false }) !== text) continue;
      const clash: Clash = { index: `${unique}_1`, other: documentKeyOf(other) };
      throw this.#refused({ kind: "rejected" }, "the value is taken", { serverCode: ServerCode.DuplicateKey, clash });
    }
  }

  #refused(refusal: Refusal, detail: string, explanation: Explanation): FerryError {
    const facts = { serverCode: explanation.serverCode };
    const error = new FerryError("FERRY_MONGO_REJECTED", `${this.name}: ${detail}`, { facts });
    this.#refusals.set(error, { refusal, explanation });
    return error;
  }

  refusal(error: unknown): Refusal | undefined {
    if (!(error instanceof FerryError)) return undefined;
    if (hasServerCode(error, ServerCode.WriteConflict)) return { kind: "contended" };
    return this.#refusals.get(error)?.refusal;
  }

  async explain(error: unknown): Promise<Explanation> {
    return (error instanceof Error ? this.#refusals.get(error)?.explanation : undefined) ?? {};
  }
}
