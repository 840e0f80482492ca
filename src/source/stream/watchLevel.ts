/** What a change stream is opened on. `coll` is "" for a database, both are "" for the whole cluster. */
export type Watch = Readonly<{ level: "collection" | "database" | "cluster"; db: string; coll: string }>;
