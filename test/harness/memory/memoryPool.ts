import type { UserPoolType } from "@aws-sdk/client-cognito-identity-provider";
import { FerryError } from "#base/errors/ferryError.ts";
import type { UserAnswer } from "#sink/cognito/cognitoErrors.ts";
import type { Attributes, NamedUser, PoolCalls, PoolUser } from "#sink/cognito/userPool.ts";

/** What a test does to a call: nothing, or one of these as if the process had ended there. */
export type CallFault = "before" | "after" | undefined;

/** The end of the process, as the code under test sees it. */
export class Cut extends Error {}

type Stored = {
  sub: string;
  enabled: boolean;
  attributes: Map<string, string>;
  groups: Set<string>;
  password?: string;
  hasPassword: boolean;
};

const answered = (answer: UserAnswer): FerryError =>
  new FerryError("FERRY_COGNITO_REJECTED", answer, { facts: { answer } });

/** A user pool in memory that answers as Cognito does, as far as ferry's calls go. */
export class MemoryPool implements PoolCalls {
  readonly id = "memory_pool";
  readonly #description: UserPoolType;
  readonly #users = new Map<string, Stored>();
  /** Names of the calls that changed something, in their order. */
  readonly calls: string[] = [];
  /** Asked before each of them. */
  fault: (call: string) => CallFault = () => undefined;
  #subs = 0;

  constructor(description: UserPoolType) {
    this.#description = description;
  }

  /** Everything that it has, by username. */
  get users(): ReadonlyMap<string, Readonly<Omit<Stored, "groups">> & Readonly<{ groups: ReadonlySet<string> }>> {
    return this.#users;
  }

  async describe(): Promise<UserPoolType> {
    return this.#description;
  }

  async groups(): Promise<readonly string[]> {
    return ["admins", "editors"];
  }

  async addAttributes(names: readonly string[]): Promise<void> {
    this.#description.SchemaAttributes?.push(
      ...names.map((name) => ({ Name: `custom:${name}`, AttributeDataType: "String" as const, Mutable: true })),
    );
  }

  async hasUsers(): Promise<boolean> {
    return this.#users.size > 0;
  }

  async *list(): AsyncGenerator<readonly NamedUser[]> {
    yield [...this.#users].map(([username, user]) => ({ username, ...user }));
  }

  async user(username: string): Promise<PoolUser | undefined> {
    return this.#users.get(username);
  }

  async groupsOf(username: string): Promise<readonly string[]> {
    return [...(this.#users.get(username)?.groups ?? [])];
  }

  async *members(group: string): AsyncGenerator<readonly string[]> {
    yield [...this.#users].filter(([, { groups }]) => groups.has(group)).map(([username]) => username);
  }

  create(username: string, attributes: Attributes): Promise<string> {
    return this.#change("create", () => {
      if (this.#users.has(username)) throw answered("UsernameExistsException");
      const sub = `sub-${++this.#subs}`;
      this.#users.set(username, {
        sub,
        enabled: true,
        attributes: new Map([["sub", sub], ...attributes]),
        groups: new Set(),
        hasPassword: false,
      });
      return sub;
    });
  }

  setAttributes(username: string, attributes: Attributes): Promise<void> {
    return this.#change("setAttributes", () => {
      const user = this.#known(username);
      for (const [name, value] of attributes) user.attributes.set(name, value);
    });
  }

  deleteAttributes(username: string, names: readonly string[]): Promise<void> {
    return this.#change("deleteAttributes", () => {
      const user = this.#known(username);
      for (const name of names) user.attributes.delete(name);
    });
  }

  setPassword(username: string, password: string): Promise<void> {
    return this.#change("setPassword", () => {
      Object.assign(this.#known(username), { password, hasPassword: true });
    });
  }

  join(username: string, group: string): Promise<void> {
    return this.#change("join", () => {
      this.#known(username).groups.add(group);
    });
  }

  leave(username: string, group: string): Promise<void> {
    return this.#change("leave", () => {
      this.#users.get(username)?.groups.delete(group);
    });
  }

  enable(username: string): Promise<void> {
    return this.#change("enable", () => {
      this.#known(username).enabled = true;
    });
  }

  disable(username: string): Promise<void> {
    return this.#change("disable", () => {
      const user = this.#users.get(username);
      if (user !== undefined) user.enabled = false;
    });
  }

  delete(username: string): Promise<void> {
    return this.#change("delete", () => {
      this.#users.delete(username);
    });
  }

  #known(username: string): Stored {
    const user = this.#users.get(username);
    if (user === undefined) throw answered("UserNotFoundException");
    return user;
  }

  async #change<T>(call: string, effect: () => T): Promise<T> {
    const fault = this.fault(call);
    if (fault === "before") throw new Cut(call);
    this.calls.push(call);
    const result = effect();
    if (fault === "after") throw new Cut(call);
    return result;
  }
}
