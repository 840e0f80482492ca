import { FerryError } from "#base/errors/ferryError.ts";
import { shownUri } from "#base/errors/secrets.ts";
import { requireEncoded } from "#io/mongo/uri.ts";

/** Kafka Connect's base URL, and what a request must carry besides where the URL holds a user: `fetch` takes none in a URL. */
export type ConnectUrl = Readonly<{ url: string; headers: Readonly<Record<string, string>> }>;

/** @throws FERRY_URI */
export const connectUrl = (given: string): ConnectUrl => {
  requireEncoded(given);
  if (!URL.canParse(given)) throw new FerryError("FERRY_URI", `${shownUri(given)}: it is not a URL`);
  const parsed = new URL(given);
  const user = [parsed.username, parsed.password].map(decodeURIComponent).join(":");
  [parsed.username, parsed.password] = ["", ""];
  const url = parsed.href.replace(/\/+$/, "");
  return {
    url,
    headers: user === ":" ? {} : { authorization: `Basic ${Buffer.from(user, "utf8").toString("base64")}` },
  };
};
