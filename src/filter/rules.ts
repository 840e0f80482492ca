import { FerryError } from "#errors/ferryError.ts";
import { compileMask, type Mask, type MaskRule } from "./mask.ts";

/** The field rules of a route, as they are written in `ferry.yaml`. Paths are dotted and go through arrays by themselves. */
export type FieldRules = Readonly<{
  allow?: readonly string[];
  deny?: readonly string[];
  /** Path → new last name; the field keeps its place. */
  rename?: Readonly<Record<string, string>>;
  mask?: Readonly<Record<string, MaskRule>>;
}>;

/** What becomes of one element, and of what it holds. */
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

/** Rules by name, compared as bytes where the name lies: most names are told apart by their length. */
export class Children {
  readonly #byLength: Child[][] = [];

  constructor(rules: ReadonlyMap<string, Rule>) {
    for (const [text, rule] of rules) {
      const name = Buffer.from(text);
      const same = this.#byLength[name.length] ?? [];
      same.push({ name, rule });
      this.#byLength[name.length] = same;
    }
  }

  /** The rule of the name that lies at `[start, end)`. */
  find(bytes: Uint8Array, start: number, end: number): Rule | undefined {
    const candidates = this.#byLength[end - start];
    if (candidates === undefined) return undefined;
    search: for (const { name, rule } of candidates) {
      for (let i = 0; i < name.length; i++) if (bytes[start + i] !== name[i]) continue search;
      return rule;
    }
    return undefined;
  }

  named(name: string): Rule | undefined {
    const bytes = Buffer.from(name);
    return this.find(bytes, 0, bytes.length);
  }
}

/** One path component while rules are gathered. */
type Draft = {
  verdict: "allow" | "deny" | undefined;
  mask: Mask | undefined;
  name: string | undefined;
  children: Map<string, Draft>;
};

const draft = (): Draft => ({ verdict: undefined, mask: undefined, name: undefined, children: new Map() });

const refuse = (sentence: string): never => {
  throw new FerryError("FERRY_CONFIG", sentence);
};

/** Path components. @throws FERRY_CONFIG for a path that can name no field */
const componentsOf = (path: string, rule: string): string[] => {
  const parts = path.split(".");
  if (parts.some((part) => part === "" || part.includes("\0"))) refuse(`${rule}: ${JSON.stringify(path)} is no path`);
  if (parts.some((part) => /^\d+$/.test(part)))
    refuse(`${rule}: ${JSON.stringify(path)} names an array index; paths go through arrays by themselves`);
  return parts;
};

const at = (root: Draft, path: string, rule: string): Draft => {
  const parts = componentsOf(path, rule);
  if (parts[0] === "_id" && !(rule === "allow" && parts.length === 1))
    refuse(`${rule}: a rule on _id would break the documents' identity; leave it out`);
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
    if (node.verdict === "allow") refuse(`${JSON.stringify(path)} is allowed and denied`);
    node.verdict = "deny";
  }
  for (const [path, mask] of Object.entries(rules.mask ?? {})) at(root, path, "mask").mask = compileMask(mask, path);
  for (const [path, name] of Object.entries(rules.rename ?? {})) {
    if (name.includes(".") || name === "" || name.startsWith("$") || name.includes("\0"))
      refuse(
        `rename: ${JSON.stringify(path)} → ${JSON.stringify(name)}: give the new last name only, without dots or $`,
      );
    if (name === "_id") refuse(`rename: ${JSON.stringify(path)} cannot become _id`);
    at(root, path, "rename").name = name;
  }
  return root;
};

/** A new name belongs to the renamed field alone: one that bears it already is left out, so that no document has it twice. */
const freeNewNames = (node: Draft, where: string): void => {
  const taken = new Set<string>();
  for (const [name, child] of [...node.children]) {
    freeNewNames(child, `${where}${name}.`);
    if (child.name === undefined) continue;
    if (taken.has(child.name)) refuse(`rename: two fields would become ${where}${child.name}`);
    taken.add(child.name);
    const bearer = node.children.get(child.name);
    if (bearer?.name !== undefined) continue; // it moves on itself
    if (bearer?.verdict === "allow")
      refuse(`rename: ${where}${name} would become ${where}${child.name}, which is allowed itself`);
    node.children.set(child.name, { ...draft(), verdict: "deny" });
  }
};

const resolve = (node: Draft, keep: boolean, mask: Mask | undefined): Rule => {
  const rest = node.verdict === undefined ? keep : node.verdict === "allow";
  const covers = node.mask ?? mask;
  const rules = new Map([...node.children].map(([name, child]) => [name, resolve(child, rest, covers)]));
  const drop = !rest && [...rules.values()].every((rule) => rule.drop);
  return {
    drop,
    rest,
    mask: covers,
    name: node.name === undefined ? undefined : Buffer.from(node.name),
    children: drop || rules.size === 0 ? undefined : new Children(rules),
  };
};

/**
 * Compiles field rules into one tree. The most specific rule wins; `_id` is always kept whole; with an allow-list what is
 * not named stays out. @throws FERRY_CONFIG for rules that contradict each other
 */
export const compileRules = (rules: FieldRules): Rule => {
  const root = gather(rules);
  freeNewNames(root, "");
  const id = { ...draft(), verdict: "allow" as const };
  root.children.set("_id", id);
  return { ...resolve(root, rules.allow === undefined, undefined), drop: false };
};
