import { Binary, Timestamp } from "bson";
import type { NamespaceSpec } from "#base/flow/namespaceFilter.ts";
import { formatNamespace, type Namespace } from "#base/flow/types.ts";
import type { Collection } from "#io/mongo/connect.ts";
import { translated } from "#io/mongo/errors.ts";
import type { StateDb } from "#io/state/stateDb.ts";
import { specText } from "#structure/model/model.ts";
import { optionsDocument } from "#structure/model/options.ts";
import type {
  DdlRecord,
  Duplicate,
  FollowRecord,
  SelectionRecord,
  StructureRecord,
  StructureState,
} from "#structure/model/structureRecords.ts";
import type { Item } from "./planStructure.ts";

/** The outcome of an item; what is left out is removed from its record. */
export type StructureOutcome = Readonly<{
  state: StructureState;
  held?: StructureRecord["held"];
  reason?: string;
  duplicates?: readonly Duplicate[];
}>;

const journalIn = (state: StateDb): Collection<StructureRecord> => state.collection("structure");
const selectionIn = (state: StateDb): Collection<SelectionRecord> => state.collection("structureSelection");

/** What `ferry structure build` was asked for so far; empty where it never was. @throws FERRY_MONGO_* */
export const readAsked = async (state: StateDb): Promise<readonly NamespaceSpec[]> => {
  const found = await translated("reading what is selected", () => selectionIn(state).findOne({ _id: "selection" }));
  return found?.asked ?? [];
};

/** All of the journal, collections before their indexes. @throws FERRY_MONGO_* */
export const readJournal = (state: StateDb): Promise<readonly StructureRecord[]> =>
  translated("reading the structure's journal", () => journalIn(state).find().sort({ _id: 1 }).toArray());

/**
 * The journal of the structure in ferry's database on the target: what ferry manages, what is deferred until finalize,
 * its outcome, and which changes of the source were followed. Every method throws FERRY_MONGO_*.
 */
export class StructureStore {
  readonly #state: StateDb;
  readonly #structure: Collection<StructureRecord>;
  readonly #follow: Collection<FollowRecord>;
  readonly #ddl: Collection<DdlRecord>;
  readonly #selection: Collection<SelectionRecord>;

  constructor(state: StateDb) {
    this.#state = state;
    this.#structure = journalIn(state);
    this.#follow = state.collection("structureFollow");
    this.#ddl = state.collection("ddl");
    this.#selection = selectionIn(state);
  }

  async rememberAsked({ include, exclude }: NamespaceSpec): Promise<void> {
    const asked = { include: [...include], exclude: [...exclude] };
    await translated("noting what is selected", () =>
      this.#selection.updateOne({ _id: "selection" }, { $addToSet: { asked } }, { upsert: true }),
    );
  }

  /** A run that begins again with another scope finishes nothing of the former one. */
  async forgetAsked(): Promise<void> {
    await translated("forgetting what was selected", () => this.#selection.deleteMany({}));
  }

  /** See `readAsked`. */
  asked(): Promise<readonly NamespaceSpec[]> {
    return readAsked(this.#state);
  }

  /** See `readJournal`. */
  all(): Promise<readonly StructureRecord[]> {
    return readJournal(this.#state);
  }

  async of(ns: string): Promise<readonly StructureRecord[]> {
    return translated("reading the structure's journal", () =>
      this.#structure.find({ "_id.ns": ns }).sort({ _id: 1 }).toArray(),
    );
  }

  /** Written before the step: after a crash the next process knows that what is there may be ferry's. */
  async note({ ns, index, kind, from, wanted, held }: Item, state: StructureState): Promise<void> {
    await translated("noting what is to be built", () =>
      this.#structure.updateOne(
        { _id: { ns: formatNamespace(ns), index } },
        {
          $set: {
            kind,
            from,
            wanted: specText(wanted),
            exact: new Binary(optionsDocument(wanted)),
            held: [...held],
            state,
            updatedAt: new Date(),
          },
          $unset: { reason: "", duplicates: "" },
        },
        { upsert: true },
      ),
    );
  }

  /** Written before a cutover restores it, and null when it is deferred again. */
  async noteRestored(_id: StructureRecord["_id"], restored: StructureRecord["held"] | null): Promise<void> {
    await translated("noting what is restored", () =>
      this.#structure.updateOne({ _id }, restored === null ? { $unset: { restored: "" } } : { $set: { restored } }),
    );
  }

  async settle(_id: StructureRecord["_id"], { state, held, reason, duplicates }: StructureOutcome): Promise<void> {
    await translated("noting what was built", () =>
      this.#structure.updateOne(
        { _id },
        {
          $set: {
            state,
            updatedAt: new Date(),
            ...(held === undefined ? {} : { held: [...held] }),
            ...(reason === undefined ? {} : { reason }),
            ...(duplicates === undefined ? {} : { duplicates: [...duplicates] }),
          },
          $unset: {
            ...(reason === undefined ? { reason: "" } : {}),
            ...(duplicates === undefined ? { duplicates: "" } : {}),
          },
        },
      ),
    );
  }

  /** An index, or with an empty name the collection and all its indexes. */
  async forget(ns: Namespace, index: string): Promise<void> {
    const name = formatNamespace(ns);
    await translated("forgetting what is gone", () =>
      index === ""
        ? this.#structure.deleteMany({ "_id.ns": name })
        : this.#structure.deleteOne({ _id: { ns: name, index } }),
    );
  }

  /** The newest clusterTime at which a process has read the source for this namespace. */
  async readAt(ns: string): Promise<Timestamp> {
    const found = await translated("reading how far the source was looked at", () => this.#follow.findOne({ _id: ns }));
    return found?.readAt ?? Timestamp.fromBits(0, 0);
  }

  /** Notes such a reading; false if another process has a newer one. */
  async claimReading(ns: string, at: Timestamp): Promise<boolean> {
    await translated("noting how far the source was looked at", () =>
      this.#follow.updateOne({ _id: ns }, { $max: { readAt: at } }, { upsert: true }),
    );
    return (await this.readAt(ns)).equals(at);
  }

  /** Met again after a crash, the same change keeps what was done for it. */
  async noteDdl(record: DdlRecord): Promise<void> {
    const { _id, outcome, steps, notedAt, ...rest } = record;
    const now = { outcome, notedAt, ...(steps.length > 0 ? { steps: [...steps] } : {}) };
    const first = steps.length > 0 ? rest : { ...rest, steps: [] };
    await translated("noting a change of structure", () =>
      this.#ddl.updateOne({ _id }, { $set: now, $setOnInsert: first }, { upsert: true }),
    );
  }

  /** False where no such change is held. */
  async approve(id: string): Promise<boolean> {
    const { matchedCount } = await translated("approving a change of structure", () =>
      this.#ddl.updateOne({ _id: id, outcome: "held" }, { $set: { approvedAt: new Date() } }),
    );
    return matchedCount === 1;
  }

  async isApproved(id: string): Promise<boolean> {
    const found = await translated("asking whether a change is approved", () => this.#ddl.findOne({ _id: id }));
    return found?.approvedAt !== undefined;
  }

  /** The newest first. */
  async ddl(limit: number): Promise<readonly DdlRecord[]> {
    return translated("reading the changes of structure", () =>
      this.#ddl.find().sort({ at: -1, _id: 1 }).limit(limit).toArray(),
    );
  }
}
