import { createHash } from "node:crypto";

/**
 * The topics of namespaces. A topic is called like its namespace, as the connector does it, wherever Kafka takes that name.
 * What it refuses (characters but `a-z A-Z 0-9 . _ -`, more than 249 of them) is encoded as `db..coll`, in which each byte
 * of UTF-8 but `a-z A-Z 0-9 . -` is `_` and two hex digits: `shop.my orders` is `shop..my_20orders`. No collection's name
 * begins with a dot, so no namespace is called like an encoded one. Where that is too long it is `db...` and a digest,
 * which does not tell the namespace: its records do.
 *
 * Kafka takes no two topics that differ in nothing but `.` and `_`: `shop.order_items` beside `shop.order.items`. The one that comes
 * second is encoded as well, with its dots: no two such names differ in so little.
 */

/** Kafka's own limit (org.apache.kafka.common.internals.Topic). */
const MAX_LENGTH = 249;
const LEGAL = /^[a-zA-Z0-9._-]+$/;
const ENCODED = /^([^.]+)\.\.(?!\.)(.+)$/;
const DOT = "_2e";
const DIGEST = /^[^.]+\.{3}[\w-]{43}$/;

const encoded = (name: string): string =>
  [...Buffer.from(name)]
    .map((byte) => {
      const char = String.fromCharCode(byte);
      return /[a-zA-Z0-9.-]/.test(char) ? char : `_${byte.toString(16).padStart(2, "0")}`;
    })
    .join("");

const decoded = (name: string): string =>
  Buffer.from(
    name.replace(/_([0-9a-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
    "latin1",
  ).toString();

/** Does Kafka take this name for a topic? */
export const isTopicName = (name: string): boolean =>
  LEGAL.test(name) && name.length <= MAX_LENGTH && name !== "." && name !== "..";

/** The names that the topic of a namespace can have, the first that Kafka takes first; each is of one namespace alone. */
export const topicsFor = (ns: string): readonly string[] => {
  const dot = ns.indexOf(".");
  const [db, coll] = [encoded(ns.slice(0, dot)), encoded(ns.slice(dot + 1))];
  const spare = `${db}..${coll.replaceAll(".", DOT)}`;
  const digest = `${db}...${createHash("sha256").update(ns).digest("base64url")}`;
  const names = [isTopicName(ns) ? ns : `${db}..${coll}`, ...(spare.includes("_") ? [spare] : [])];
  return [...names.filter(isTopicName), digest];
};

/** The topic of a namespace, where no other's is in its way. @param ns `db.collection` */
export const topicFor = (ns: string): string => topicsFor(ns)[0] ?? ns;

/** The same for all names that Kafka takes for one (org.apache.kafka.common.internals.Topic, unifyCollisionChars). */
export const unified = (topic: string): string => topic.replaceAll(".", "_");

/** Which topics Kafka does not take beside the ones that are there. */
export const collidesWith = (existing: Iterable<string>): ((topic: string) => boolean) => {
  const names = new Map(Array.from(existing, (name) => [unified(name), name]));
  return (topic) => (names.get(unified(topic)) ?? topic) !== topic;
};

/**
 * The topic of a namespace among those that are there: its own, else the first that Kafka would take.
 * @param ns `db.collection` @param isTaken `collidesWith(existing)`: made once where many names are asked for
 */
export const topicAmong = (
  ns: string,
  existing: ReadonlySet<string>,
  isTaken: (topic: string) => boolean = collidesWith(existing),
): string => {
  const names = topicsFor(ns);
  return names.findLast((name) => existing.has(name)) ?? names.find((name) => !isTaken(name)) ?? topicFor(ns);
};

/** The namespace of a topic, its own name where it is no encoded one; undefined where only its records tell. */
export const namespaceFor = (topic: string): string | undefined => {
  if (DIGEST.test(topic)) return undefined;
  const [, db, coll] = ENCODED.exec(topic) ?? [];
  if (db === undefined || coll === undefined) return topic;
  const ns = `${decoded(db)}.${decoded(coll)}`;
  return topicsFor(ns).includes(topic) ? ns : topic; // another program's name
};
