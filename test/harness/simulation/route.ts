import fc from "fast-check";

/** What a route does with its documents. */
export type RouteTraits = Readonly<{
  /** Which updates are completed with their documents: none, those whose delta the target or a rule refuses, or all. */
  source: "none" | "rescue" | "look-up";
  /** What happens where a service of the target writes as well. */
  policy: "mirror" | "merge" | "keep-target";
  /** What happens to a new field, or to a known one with a new type; `none` keeps no ledger. */
  drift: "none" | "pass" | "drop-and-report" | "hold" | "stop";
  filter: "none" | "deny" | "mask" | "where";
}>;

export const PLAIN: RouteTraits = { source: "none", policy: "mirror", drift: "none", filter: "none" };

/** Rules as `ferry.yaml` has them. */
export const RULES = {
  none: undefined,
  deny: { fields: { deny: ["b"] } },
  mask: { fields: { mask: { c: { text: "***" } } } },
  where: { where: { a: { $lt: 50 } } },
} as const;

/** Combinations that a configuration may have: a row filter needs documents, and a policy that heeds others a ledger. */
const allowed = ({ source, policy, drift, filter }: RouteTraits): RouteTraits => ({
  source: filter === "where" && source === "none" ? "rescue" : source,
  policy,
  drift: policy !== "mirror" && drift === "none" ? "pass" : drift,
  filter,
});

export const anyRoute: fc.Arbitrary<RouteTraits> = fc.oneof(
  { weight: 2, arbitrary: fc.constant(PLAIN) },
  {
    weight: 3,
    arbitrary: fc
      .record<RouteTraits>({
        source: fc.constantFrom("none", "rescue", "look-up", "look-up"),
        policy: fc.constantFrom("mirror", "mirror", "mirror", "merge", "keep-target"),
        drift: fc.constantFrom("none", "pass", "drop-and-report", "hold", "stop"),
        filter: fc.constantFrom("none", "none", "deny", "mask", "where"),
      })
      .map(allowed),
  },
);
