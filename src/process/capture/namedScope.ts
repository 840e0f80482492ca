import { FerryError } from "#base/errors/ferryError.ts";
import type { NamespaceSpec } from "#base/flow/namespaceFilter.ts";
import { isOfServer, parseNamespace } from "#base/flow/types.ts";

/**
 * Names that can never be carried, whatever the source has: the server's own, and the database of ferry's state. Globs only
 * leave them out.
 * @throws FERRY_USAGE
 */
export const requireCarriable = ({ include }: NamespaceSpec, stateDb: string): void => {
  for (const name of include) {
    const ns = parseNamespace(name);
    if (ns.db === stateDb)
      throw new FerryError(
        "FERRY_USAGE",
        `${name} is in ${stateDb}, ferry's own database, which cannot be selected; name another one with --state-db`,
      );
    if (isOfServer(ns)) throw new FerryError("FERRY_USAGE", `${name} belongs to the server and cannot be selected`);
  }
};
