import { CATALOGUE, type ErrorCode } from "#base/errors/catalogue.ts";
import { withoutSecrets } from "#base/errors/secrets.ts";

/** Something about a connector that an operator should know. */
export type ConnectorFinding = Readonly<{
  code: ErrorCode;
  connector: string;
  /** What is the case, with its facts. */
  sentence: string;
  remedy: string;
  /** Going on would leave the target without changes that the source made: workers stop. */
  dataAtStake: boolean;
}>;

/** A finding; its remedy is the catalogue's unless a better one is known. A connector's trace can hold its URI: not so the sentence. */
export const finding = (
  code: ErrorCode,
  connector: string,
  sentence: string,
  more: Readonly<{ dataAtStake?: boolean; remedy?: string }> = {},
): ConnectorFinding => ({
  code,
  connector,
  sentence: withoutSecrets(sentence),
  remedy: more.remedy ?? CATALOGUE[code].hint,
  dataAtStake: more.dataAtStake ?? false,
});
