import type { Document } from "bson";
import { FerryError, isFerry } from "#base/errors/ferryError.ts";
import type { ChangeEvent, NoopEvent, PatchEvent, WriteEvent } from "#base/flow/types.ts";
import { withDocument } from "#base/flow/withDocument.ts";
import { DocumentFilter } from "./document.ts";
import { filterDelta } from "./filterDelta.ts";
import { lostPaths, targetPath } from "./lost.ts";
import { compileRules, type FieldRules, isWhole, type Rule } from "./rules.ts";
import { compileWhere, type Where } from "./where.ts";

export type RouteRules = Readonly<{
  /** For the sentence about rules that cannot be. */
  name?: string;
  fields?: FieldRules | undefined;
  where?: Readonly<Document> | undefined;
}>;

/** A delta that rules cannot be applied to; the whole document is needed. */
export type NeedsDocument = Readonly<{ op: "needs-document"; why: string }>;

/** @throws FERRY_CONFIG with the route's name in its sentence */
const ofRoute = <T>(name: string | undefined, compile: () => T): T => {
  try {
    return compile();
  } catch (error) {
    if (name === undefined || !isFerry(error, "FERRY_CONFIG")) throw error;
    throw new FerryError("FERRY_CONFIG", `route ${name}: ${error.detail}`, { cause: error });
  }
};

const left = ({ ns, origin, at }: ChangeEvent): NoopEvent => ({ op: "noop", reason: "where", ns, origin, at });

/**
 * What a route lets through. The meaning of its rules is one: a copied document, an event with a document and a delta
 * leave on the target what `document` makes of the source's document.
 */
export class RouteFilter {
  readonly #where: Where | undefined;
  readonly #root: Rule | undefined;
  readonly #documents: DocumentFilter | undefined;

  /** @throws FERRY_CONFIG for rules that contradict each other */
  constructor({ name, fields, where }: RouteRules) {
    this.#where = where === undefined ? undefined : ofRoute(name, () => compileWhere(where));
    this.#root = fields === undefined ? undefined : ofRoute(name, () => compileRules(fields));
    this.#documents = this.#root === undefined ? undefined : new DocumentFilter(this.#root);
  }

  /** The source's document as it belongs on the target; undefined where it does not belong there. */
  document(doc: Uint8Array): Uint8Array | undefined {
    if (this.#where !== undefined && !this.#where(doc)) return undefined;
    return this.#documents === undefined ? doc : this.#documents.apply(doc);
  }

  /** Paths of a document that stay out, topmost first. */
  lost(doc: Uint8Array): readonly string[] {
    return this.#root === undefined ? [] : lostPaths(doc, this.#root);
  }

  /** How a path is called on the target; undefined where the field rules leave it out. */
  targetPath(path: string): string | undefined {
    return this.#root === undefined ? path : targetPath(path, this.#root);
  }

  event(event: ChangeEvent): ChangeEvent | NeedsDocument {
    if (event.op === "write") return this.#write(event);
    return event.op === "patch" ? this.#patch(event) : event;
  }

  #write(event: WriteEvent): ChangeEvent {
    const doc = this.document(event.doc);
    if (doc !== undefined) return doc === event.doc ? event : withDocument(event, doc);
    // What is new to the source is not on the target; what stopped belonging there must go.
    if (event.fresh) return left(event);
    const { ns, origin, at, key } = event;
    return { op: "delete", ns, origin, at, key };
  }

  #patch(event: PatchEvent): ChangeEvent | NeedsDocument {
    if (this.#where !== undefined) return { op: "needs-document", why: "the route has a row filter" };
    if (this.#root === undefined || this.#documents === undefined || isWhole(this.#root)) return event;
    const found = filterDelta(event.update, this.#root, this.#documents);
    if ("unclear" in found) return { op: "needs-document", why: found.unclear };
    return found.update === undefined ? left(event) : { ...event, update: found.update };
  }
}
