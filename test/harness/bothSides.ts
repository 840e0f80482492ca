import { MongoClient } from "mongodb";
import { sharedMongo } from "./servers.ts";

/** The file's shared source and target, and clients for them; `stack` takes what else is to end with them. Import it from test files only. */
export const bothSides = async () => {
  const [source, target] = await Promise.all([sharedMongo("source"), sharedMongo("target")]);
  const stack = new AsyncDisposableStack();
  const here = stack.use(await new MongoClient(source.uri).connect());
  const there = stack.use(await new MongoClient(target.uri).connect());
  return { source, target, here, there, stack, [Symbol.asyncDispose]: () => stack.disposeAsync() };
};

export type BothSides = Awaited<ReturnType<typeof bothSides>>;
