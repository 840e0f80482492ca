/** Is this container's mongod a member that serves: the primary, or a secondary that knows a primary? */

import { mongoCommand } from "#tools/stack/mongoCommand.ts";
import { mongodReady } from "#tools/stack/mongod.ts";

const PORT = 27017;

const serving = async (): Promise<true | string> => {
  const answers = await mongodReady(PORT);
  if (answers !== true) return answers;
  const { isWritablePrimary, secondary, primary, info } = await mongoCommand(PORT, { hello: 1, $db: "admin" });
  return isWritablePrimary === true || (secondary === true && primary !== undefined) || (info ?? "no primary yet");
};

const found = await serving();
if (found !== true) process.stdout.write(`${found}\n`);
process.exitCode = found === true ? 0 : 1;
