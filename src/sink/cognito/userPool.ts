import type { AttributeType, UserPoolType } from "@aws-sdk/client-cognito-identity-provider";
import { FerryError } from "#base/errors/ferryError.ts";
import type { CognitoAccount } from "./cognitoAccount.ts";
import { isAnswer } from "./cognitoErrors.ts";
import { LONGEST_VALUE } from "./poolRules.ts";

/** Attributes of a user, by name. */
export type Attributes = ReadonlyMap<string, string>;

/** A user as the pool has it. */
export type PoolUser = Readonly<{ sub: string; enabled: boolean; attributes: Attributes }>;

/** The same with its username. */
export type NamedUser = PoolUser & Readonly<{ username: string }>;

const listOf = (attributes: Attributes): AttributeType[] => [...attributes].map(([Name, Value]) => ({ Name, Value }));

const mapOf = (attributes: readonly AttributeType[] | undefined): Attributes =>
  new Map((attributes ?? []).map(({ Name = "", Value = "" }) => [Name, Value]));

const subOf = (attributes: Attributes): string => attributes.get("sub") ?? "";

const userOf = (enabled: boolean | undefined, given: readonly AttributeType[] | undefined): PoolUser => {
  const attributes = mapOf(given);
  return { sub: subOf(attributes), enabled: enabled !== false, attributes };
};

/** Most users, or groups, that Cognito lists at a time, and most attributes that it adds. */
const PAGE = 60;
const MOST_ADDED = 25;

/** The calls that ferry makes to one pool. Every method throws what `CognitoAccount.call` throws. */
export class UserPool {
  readonly id: string;
  readonly #account: CognitoAccount;

  constructor(account: CognitoAccount, id: string) {
    this.#account = account;
    this.id = id;
  }

  /** @throws FERRY_COGNITO_POOL where there is none of this id */
  async describe(): Promise<UserPoolType> {
    const { UserPool } = await this.#account.call("UserPoolRead", `reading pool ${this.id}`, (sdk, client, options) =>
      client.send(new sdk.DescribeUserPoolCommand({ UserPoolId: this.id }), options),
    );
    if (UserPool === undefined) throw new FerryError("FERRY_COGNITO_POOL", `there is no pool ${this.id}`);
    return UserPool;
  }

  /** Names of its groups. */
  async groups(): Promise<readonly string[]> {
    const names: string[] = [];
    let token: string | undefined;
    do {
      const input = { UserPoolId: this.id, Limit: PAGE, ...(token === undefined ? {} : { NextToken: token }) };
      const page = await this.#account.call(
        "UserPoolResourceRead",
        `listing groups of ${this.id}`,
        (sdk, client, options) => client.send(new sdk.ListGroupsCommand(input), options),
      );
      names.push(...(page.Groups ?? []).flatMap(({ GroupName }) => GroupName ?? []));
      token = page.NextToken;
    } while (token !== undefined);
    return names;
  }

  /** Custom attributes for texts of any length that may be changed. @param names without `custom:` */
  async addAttributes(names: readonly string[]): Promise<void> {
    const CustomAttributes = names.map((Name) => ({
      ...({ Name, AttributeDataType: "String", Mutable: true } as const),
      StringAttributeConstraints: { MinLength: "0", MaxLength: String(LONGEST_VALUE) },
    }));
    for (let from = 0; from < names.length; from += MOST_ADDED) {
      const input = { UserPoolId: this.id, CustomAttributes: CustomAttributes.slice(from, from + MOST_ADDED) };
      await this.#account.call("UserPoolUpdate", `adding attributes to ${this.id}`, (sdk, client, options) =>
        client.send(new sdk.AddCustomAttributesCommand(input), options),
      );
    }
  }

  async hasUsers(): Promise<boolean> {
    const { Users = [] } = await this.#account.call("UserList", `listing users of ${this.id}`, (sdk, client, options) =>
      client.send(new sdk.ListUsersCommand({ UserPoolId: this.id, Limit: 1 }), options),
    );
    return Users.length > 0;
  }

  /** All users, page by page. Those that come or go meanwhile may be there or not. */
  async *list(): AsyncGenerator<readonly NamedUser[]> {
    let token: string | undefined;
    do {
      const input = { UserPoolId: this.id, Limit: PAGE, ...(token === undefined ? {} : { PaginationToken: token }) };
      const page = await this.#account.call("UserList", `listing users of ${this.id}`, (sdk, client, options) =>
        client.send(new sdk.ListUsersCommand(input), options),
      );
      yield (page.Users ?? []).map(({ Username = "", Enabled, Attributes }) => ({
        username: Username,
        ...userOf(Enabled, Attributes),
      }));
      token = page.PaginationToken;
    } while (token !== undefined);
  }

  /** Undefined where there is none of this name. */
  async user(username: string): Promise<PoolUser | undefined> {
    try {
      const found = await this.#account.call("UserRead", "reading a user", (sdk, client, options) =>
        client.send(new sdk.AdminGetUserCommand(this.#named(username)), options),
      );
      return userOf(found.Enabled, found.UserAttributes);
    } catch (error) {
      if (isAnswer(error, "UserNotFoundException")) return undefined;
      throw error;
    }
  }

  /** Without a message and a password. @returns its `sub` @throws UsernameExistsException as an answer */
  async create(username: string, attributes: Attributes): Promise<string> {
    const input = { ...this.#named(username), UserAttributes: listOf(attributes), MessageAction: "SUPPRESS" } as const;
    const { User } = await this.#account.call("UserCreation", "creating a user", (sdk, client, options) =>
      client.send(new sdk.AdminCreateUserCommand(input), options),
    );
    return subOf(mapOf(User?.Attributes));
  }

  /** Sets these, and leaves others as they are. @throws UserNotFoundException as an answer */
  async setAttributes(username: string, attributes: Attributes): Promise<void> {
    const input = { ...this.#named(username), UserAttributes: listOf(attributes) };
    await this.#account.call("UserUpdate", "updating a user", (sdk, client, options) =>
      client.send(new sdk.AdminUpdateUserAttributesCommand(input), options),
    );
  }

  /** @throws UserNotFoundException as an answer */
  async deleteAttributes(username: string, names: readonly string[]): Promise<void> {
    const input = { ...this.#named(username), UserAttributeNames: [...names] };
    await this.#account.call("UserUpdate", "removing attributes of a user", (sdk, client, options) =>
      client.send(new sdk.AdminDeleteUserAttributesCommand(input), options),
    );
  }

  /** No-op where the user is in it. @throws UserNotFoundException as an answer */
  async join(username: string, group: string): Promise<void> {
    const input = { ...this.#named(username), GroupName: group };
    await this.#account.call("UserResourceUpdate", "adding a user to a group", (sdk, client, options) =>
      client.send(new sdk.AdminAddUserToGroupCommand(input), options),
    );
  }

  /** A no-op where there is none of this name, or it is not in the group. */
  async leave(username: string, group: string): Promise<void> {
    const input = { ...this.#named(username), GroupName: group };
    await unlessGone(
      this.#account.call("UserResourceUpdate", "removing a user from a group", (sdk, client, options) =>
        client.send(new sdk.AdminRemoveUserFromGroupCommand(input), options),
      ),
    );
  }

  /** @throws UserNotFoundException as an answer */
  async enable(username: string): Promise<void> {
    await this.#account.call("UserUpdate", "enabling a user", (sdk, client, options) =>
      client.send(new sdk.AdminEnableUserCommand(this.#named(username)), options),
    );
  }

  /** A no-op where there is none of this name. */
  async disable(username: string): Promise<void> {
    await unlessGone(
      this.#account.call("UserUpdate", "disabling a user", (sdk, client, options) =>
        client.send(new sdk.AdminDisableUserCommand(this.#named(username)), options),
      ),
    );
  }

  /** A no-op where there is none of this name. */
  async delete(username: string): Promise<void> {
    await unlessGone(
      this.#account.call("UserUpdate", "deleting a user", (sdk, client, options) =>
        client.send(new sdk.AdminDeleteUserCommand(this.#named(username)), options),
      ),
    );
  }

  #named(Username: string): Readonly<{ UserPoolId: string; Username: string }> {
    return { UserPoolId: this.id, Username };
  }
}

/** The same, whatever makes them. */
export type PoolCalls = Pick<UserPool, keyof UserPool>;

const unlessGone = async (call: Promise<unknown>): Promise<void> => {
  try {
    await call;
  } catch (error) {
    if (!isAnswer(error, "UserNotFoundException")) throw error;
  }
};
