import { fieldNames, refuseRule } from "./fieldPath.ts";
import { compileMask, type Mask, type MaskRule } from "./mask.ts";

/** The field rules of a route, as they are written in `ferry.yaml`. Paths: see fieldPath.ts. */
export type FieldRules = Readonly<{
  allow?: readonly string[];
  deny?: readonly string[];
  /** Path → new last name; the field keeps its place. */
  rename?: Readonly<Record<string, string>>;
  mask?: Readonly<Record<string, MaskRule>>;
}>;

/** What to do with one element and its content. */
export type Rule = Readonly<{
  /** Left out, whatever it holds. */
  drop: boolean;
  /** Are names without a rule of their own kept, and values that hold no names? */
  rest: boolean;
  mask: Mask | undefined;
  /** The element's new name. */
  name: Buffer | undefined;
  children: Children | undefined;
}>;

/** Nothing to do but copying: the bytes of the element are taken as they are. */
export const isWhole = (rule: Rule): boolean =>
  !rule.drop && rule.rest && rule.mask === undefined && rule.children === undefined;

/** The rule of names that have none of their own. */
export const unlisted = ({ rest, mask }: Rule): Rule => ({
  drop: !rest,
  rest,
  mask,
  name: undefined,
  children: undefined,
});

type Child = Readonly<{ name: Buffer; rule: Rule }>;

const DOT = 0x2e;

const DROPPED: Rule = { drop: true, rest: false, mask: undefined, name: undefined, children: undefined };

/** Left out because another field is renamed to this name: that says nothing of longer names. */
const TAKEN: Rule = { ...DROPPED };

/**
 * Rules by name, compared as bytes where the name lies: most names differ in their length.
 *
 * A name with dots that has no rule of its own is under the rule of the path that it spells: what leaves out or masks `a.ssn`
 * does so for a field that is literally called `a.ssn` as well. Such a rule never lets more through: an allow-list needs the
 * name itself.
 */
export class Children {
  readonly #byLength: Child[][] = [];
  readonly #rest: boolean;
  readonly #shortest: number;

  /** @param rest are names without a rule kept here? */
  constructor(rules: ReadonlyMap<string, Rule>, rest: boolean) {
    for (const [text, rule] of rules) {
      const name = Buffer.from(text);
      const same = this.#byLength[name.length] ?? [];
      same.push({ name, rule });
      this.#byLength[name.length] = same;
    }
    this.#rest = rest;
    this.#shortest = this.#byLength.findIndex((same) => same !== undefined);
  }

  /** The rule of the name that lies at `[start, end)`. */
  find(bytes: Uint8Array, start: number, end: number): Rule | undefined {
    const exact = this.#exact(bytes, start, end);
    if (exact !== undefined || !this.#rest) return exact;
    // Of a hundred names none has a dot: this loop is all that they cost.
    for (let at = start + this.#shortest; at < end; at++)
      if (bytes[at] === DOT) return this.#spelled(bytes, start, end);
    return undefined;
  }

  named(name: string): Rule | undefined {
    const bytes = Buffer.from(name);
    return this.find(bytes, 0, bytes.length);
  }

  #exact(bytes: Uint8Array, start: number, end: number): Rule | undefined {
    const candidates = this.#byLength[end - start];
    if (candidates === undefined) return undefined;
    search: for (const { name, rule } of candidates) {
      for (let i = 0; i < name.length; i++) if (bytes[start + i] !== name[i]) continue search;
      return rule;
    }
    return undefined;
  }

  /** By the path that a name with dots spells: the first way that leaves it out, else the first. */
  #spelled(bytes: Uint8Array, start: number, end: number): Rule | undefined {
    let first: Rule | undefined;
    for (let at = start + this.#shortest; at < end; at++) {
      if (bytes[at] !== DOT) continue;
      const above = this.#exact(bytes, start, at);
      if (above === undefined || above === TAKEN) continue;
      const found = above.drop ? DROPPED : (above.children?.find(bytes, at + 1, end) ?? unlisted(above));
      if (found.drop) return DROPPED;
      first ??= { ...found, name: undefined };
    }
    return first;
  }
}

/** One path component while rules are gathered. */
type Draft = {
  verdict: "allow" | "deny" | "taken" | undefined;
  mask: Mask | undefined;
  name: string | undefined;
  children: Map<string, Draft>;
};

const draft = (): Draft => ({ verdict: undefined, mask: undefined, name: undefined, children: new Map() });

const at = (root: Draft, path: string, rule: string): Draft => {
  const parts = fieldNames(path, rule);
  if (parts[0] === "_id" && !(rule === "allow" && parts.length === 1))
    refuseRule(`${rule}: a rule on _id would break the documents' identity; leave it out`);
  let node = root;
  for (const part of parts) {
    const next = node.children.get(part) ?? draft();
    node.children.set(part, next);
    node = next;
  }
  return node;
};

const gather = (rules: FieldRules): Draft => {
  const root = draft();
  for (const path of rules.allow ?? []) at(root, path, "allow").verdict = "allow";
  for (const path of rules.deny ?? []) {
    const node = at(root, path, "deny");
    if (node.verdict === "allow") refuseRule(`${JSON.stringify(path)} is allowed and denied`);
    node.verdict = "deny";
  }
  for (const [path, mask] of Object.entries(rules.mask ?? {})) at(root, path, "mask").mask = compileMask(mask, path);
  for (const [path, name] of Object.entries(rules.rename ?? {})) {
    if (name.includes(".") || name === "" || name.startsWith("$") || name.includes("\0"))
      refuseRule(
        `rename: ${JSON.stringify(path)} → ${JSON.stringify(name)}: give the new last name only, without dots or $`,
      );
    if (name === "_id") refuseRule(`rename: ${JSON.stringify(path)} cannot become _id`);
    at(root, path, "rename").name = name;
  }
  return root;
};

/** A new name belongs only to the renamed field: a field that already has it is left out, so that no document has it twice. */
const freeNewNames = (node: Draft, where: string): void => {
  const taken = new Set<string>();
  for (const [name, child] of [...node.children]) {
    freeNewNames(child, `${where}${name}.`);
    if (child.name === undefined) continue;
    if (taken.has(child.name)) refuseRule(`rename: two fields would become ${where}${child.name}`);
    taken.add(child.name);
    const bearer = node.children.get(child.name);
    if (bearer?.name !== undefined) continue; // it moves on itself
    if (bearer?.verdict === "allow")
      refuseRule(`rename: ${where}${name} would become ${where}${child.name}, which is allowed itself`);
    node.children.set(child.name, { ...draft(), verdict: "taken" });
  }
};

const resolve = (node: Draft, keep: boolean, mask: Mask | undefined): Rule => {
  if (node.verdict === "taken") return TAKEN;
  const rest = node.verdict === undefined ? keep : node.verdict === "allow";
  const covers = node.mask ?? mask;
  const rules = new Map([...node.children].map(([name, child]) => [name, resolve(child, rest, covers)]));
  const drop = !rest && [...rules.values()].every((rule) => rule.drop);
  return {
    drop,
    rest,
    mask: covers,
    name: node.name === undefined ? undefined : Buffer.from(node.name),
    children: drop || rules.size === 0 ? undefined : new Children(rules, rest),
  };
};

/** A rule on a field that is left out does nothing: it is a mistake in one of the two. */
const refuseIdle = (root: Rule, kind: "mask" | "rename", paths: readonly string[]): void => {
  for (const path of paths) {
    let rule: Rule | undefined = root;
    for (const name of fieldNames(path, kind)) rule = rule?.children?.named(name);
    if (rule === undefined || rule.drop)
      refuseRule(`${kind}: ${JSON.stringify(path)} is left out by the other rules; allow it, or take the ${kind} away`);
  }
};

/**
 * Compiles field rules into one tree. The most specific rule wins; `_id` is always kept whole; with an allow-list what is
 * not named stays out. @throws FERRY_CONFIG for rules that contradict each other
 */
export const compileRules = (rules: FieldRules): Rule => {
  const draftRoot = gather(rules);
  freeNewNames(draftRoot, "");
  draftRoot.children.set("_id", { ...draft(), verdict: "allow" });
  const root = { ...resolve(draftRoot, rules.allow === undefined, undefined), drop: false };
  refuseIdle(root, "mask", Object.keys(rules.mask ?? {}));
  refuseIdle(root, "rename", Object.keys(rules.rename ?? {}));
  return root;
};
