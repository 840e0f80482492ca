/** What a run that was killed leaves in an engine would make the next one fail: names are taken, a Swarm is there already. */
import { attempt, docker } from "./command.ts";
import { PROJECT } from "./project.ts";

/** The only stack of Swarm that these tests deploy. */
export const STACK = "ferry-stack";
export const STACK_LABEL = `com.docker.stack.namespace=${STACK}`;

/** What only these tests start. */
const LABELS: readonly string[] = [`com.docker.compose.project=${PROJECT}`, STACK_LABEL];

/** In the order in which they can be removed. */
export const KINDS = ["container", "volume", "network"] as const;
type Kind = (typeof KINDS)[number];

/** What the engine makes for itself, and keeps. */
const ENGINES_OWN = "docker_gwbridge";

/** Names of all that the filters leave, whether it runs or not. */
export const listed = async (kind: Kind, ...filter: readonly string[]): Promise<readonly string[]> => {
  const all = kind === "container" ? ["-a"] : [];
  const name = kind === "container" ? "{{.Names}}" : "{{.Name}}";
  const names = await docker(kind, "ls", ...all, "--format", name, ...filter);
  return names.split("\n").filter((one) => one !== "" && one !== ENGINES_OWN);
};

const remove = async (kind: Kind, names: readonly string[]): Promise<void> => {
  const forced = kind === "network" ? [] : ["-f"];
  if (names.length > 0) await docker(kind, "rm", ...forced, ...names);
};

/**
 * Removes what earlier runs of these tests left behind: in an engine of our own every container, volume, network and its Swarm;
 * in another's only what carries the labels of the tests.
 * @returns what was removed, in words
 */
export const removeLeftovers = async (own: boolean): Promise<readonly string[]> => {
  const removed: string[] = [];
  await attempt("docker", ["stack", "rm", STACK]); // tasks would be started again
  if (own && (await docker("info", "--format", "{{.Swarm.LocalNodeState}}")) !== "inactive") {
    await docker("swarm", "leave", "--force"); // its networks go with it
    removed.push("a Swarm");
  }
  for (const kind of KINDS) {
    const custom = kind === "network" ? ["--filter", "type=custom"] : [];
    const filters = own ? [custom] : LABELS.map((label) => ["--filter", `label=${label}`]);
    const names = (await Promise.all(filters.map((filter) => listed(kind, ...filter)))).flat();
    await remove(kind, names);
    if (names.length > 0) removed.push(`${kind} ${names.join(", ")}`);
  }
  return removed;
};
