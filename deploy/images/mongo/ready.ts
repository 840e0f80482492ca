/** Is this container's mongod a member that serves: the primary, or a secondary that knows a primary? */
import { readFileSync } from "node:fs";
import { mongoCommand } from "#tools/stack/mongoCommand.ts";

const PORT = 27017;
const caFile = process.env["MONGO_CA_FILE"];

const serving = async (): Promise<true | string> => {
  const tls = caFile === undefined ? {} : { ca: readFileSync(caFile, "utf8") };
  try {
    const { isWritablePrimary, secondary, primary, info } = await mongoCommand(PORT, { hello: 1, $db: "admin" }, tls);
    return isWritablePrimary === true || (secondary === true && primary !== undefined) || (info ?? "no primary yet");
  } catch (error) {
    return `port ${PORT}: ${error instanceof Error ? error.message : String(error)}`;
  }
};

const found = await serving();
if (found !== true) process.stdout.write(`${found}\n`);
process.exitCode = found === true ? 0 : 1;
