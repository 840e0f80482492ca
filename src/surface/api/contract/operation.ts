import type { Static, TObject, TSchema } from "typebox";
import { ROLES, type Role } from "#process/control/tokenStore.ts";

/** Who may ask: every client, or the holder of a token with this role. */
export type Access = Role | "anyone";

/**
 * One thing that can be asked of the API. Validation, types of its handler and docs/openapi.json follow from this; paths are below
 * `/api/v1`, parameters in braces.
 */
export type Operation = Readonly<{
  method: "GET" | "POST";
  path: `/${string}`;
  access: Access;
  /** One sentence. */
  summary: string;
  params?: TObject;
  query?: TObject;
  body?: TObject;
  answer: TSchema;
  /** Of a success; 202 where it answers before what was asked for is done. Without it 200. */
  status?: 202;
  /** Answers are sent as they change, as server-sent events. */
  isStream?: true;
  /** What it answers with holds parts of users' documents, which are sent as they are. */
  holdsDocuments?: true;
}>;

type GivenPart<O, K extends PropertyKey> = O extends { readonly [P in K]: infer S extends TSchema }
  ? Static<S>
  : object;

/** What a handler gets of a request. */
export type AskedOf<O extends Operation> = Readonly<{
  params: GivenPart<O, "params">;
  query: GivenPart<O, "query">;
  body: GivenPart<O, "body">;
}>;

/** What a handler may answer with: nothing is changed in it, and a time may be a `Date`. */
export type Sendable<T> = string extends T
  ? T | Date
  : T extends readonly (infer E)[]
    ? readonly Sendable<E>[]
    : T extends object
      ? { readonly [K in keyof T]: Sendable<T[K]> }
      : T;

export type AnswerOf<O extends Operation> = Sendable<Static<O["answer"]>>;

/** Those who may ask it, the least first. */
export const rolesOf = (access: Access): readonly Role[] =>
  access === "anyone" ? ROLES : ROLES.slice(ROLES.indexOf(access));
