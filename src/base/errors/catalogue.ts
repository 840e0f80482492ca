/**
 * Every error that ferry raises, once: what it means, what to do, whether a retry can help, and the process's exit
 * status. `FerryError` takes the code and derives the rest, `docs/errors.md` is generated from this file, and a test
 * holds catalogue, docs and uses together.
 *
 * Exit statuses: 64 wrong usage or configuration, 69 a server or download is unavailable, 70 a bug, 74 disk or state,
 * 75 try again later, 76 the data path is unsafe and was stopped, 77 permission, 1 a check that did not hold.
 */
/** `operator`: a hand must change something, and a process at work goes on when it has; one that begins ends. */
export type Retry = "never" | "backoff" | "operator";

export type CatalogueEntry = Readonly<{
  /** One sentence: what happened. */
  meaning: string;
  /** One sentence: what the operator does about it. */
  hint: string;
  retry: Retry;
  exit: number;
  /** To continue would harm data: the route that meets it is halted, for every worker. */
  halts: boolean;
  /** Where it is found, and must be looked for again before it counts as over; undefined where ferry meets it at work. */
  foundAt: FoundAt | undefined;
}>;

/** The official connector; the servers that `ferry stack` runs, whose errors are in no other log. */
type FoundAt = "connector" | "stack";

const entry = (exit: number, retry: Retry, meaning: string, hint: string, foundAt?: FoundAt): CatalogueEntry => ({
  meaning,
  hint,
  retry,
  exit,
  halts: false,
  foundAt,
});

const halting = (meaning: string, hint: string, foundAt?: FoundAt): CatalogueEntry => ({
  ...entry(76, "never", meaning, hint, foundAt),
  halts: true,
});

export const CATALOGUE = {
  // --- general
  FERRY_BUG: entry(
    70,
    "never",
    "An invariant of ferry does not hold.",
    "Report it with the log lines around it. The process stopped so that no data is damaged.",
  ),
  FERRY_USAGE: entry(
    64,
    "never",
    "The command line or a setting is not valid.",
    "Run the command with --help; docs/config.md lists every setting.",
  ),
  FERRY_URI: entry(
    64,
    "never",
    "The URI of a MongoDB server is not valid.",
    "Hosts are host or host:port, with ports from 1 to 65535. User and password must be percent-encoded: @ is %40, : %3A, / %2F, # %23, ? %3F, % %25, a space %20; node -p \"encodeURIComponent('…')\" does it (docs/52-secrets.md).",
  ),
  FERRY_FILE: entry(
    74,
    "never",
    "A file or folder cannot be used.",
    "The message names the file and the reason. FERRY_HOME and FERRY_CACHE set other folders for ferry's own files.",
  ),
  FERRY_TLS_FILE: entry(
    64,
    "never",
    "A file named in the TLS options of a URI cannot be used.",
    "tlsCAFile and tlsCertificateKeyFile are PEM files on the machine where ferry runs; the latter holds certificate and key.",
  ),
  FERRY_TLS_UNCHECKED: entry(
    64,
    "never",
    "A URI takes any certificate, and no flag says that it may.",
    "Name the authority in the URI (tlsCAFile). Where that cannot be done, --tls-unchecked names the side: source, target or state.",
  ),
  FERRY_CONFIG: entry(
    64,
    "never",
    "The configuration file is not valid.",
    "Fix the setting named in the message. `ferry config check` checks the whole file; docs/35-routes.md explains it.",
  ),
  FERRY_METRICS_ADDRESS: entry(
    69,
    "never",
    "The address for metrics cannot be used.",
    "Stop the program that listens there, or give --metrics another address; port 0 takes a free one, and the log names it.",
  ),
  FERRY_TIMEOUT: entry(
    75,
    "backoff",
    "A condition was not met in the time allowed.",
    "The message shows the last state; check it, then run the command again.",
  ),
  FERRY_STOPPED: entry(
    75,
    "never",
    "The operation was stopped by a signal or a request.",
    "Nothing is lost; start it again and it resumes from the saved position.",
  ),

  // --- MongoDB
  FERRY_MONGO_UNREACHABLE: entry(
    69,
    "backoff",
    "A MongoDB server cannot be reached.",
    "Check that it runs and that host, port and TLS options in the URI are right (docs/54-servers.md says when ferry waits).",
  ),
  FERRY_MONGO_AUTH: entry(
    77,
    "operator",
    "MongoDB refused the user name or password.",
    "Check user, password (percent-encoded in the URI) and authSource. A process at work reads the file of --source-file, --target-file or --state-file again for each login; a password from elsewhere needs a restart.",
  ),
  FERRY_MONGO_ANONYMOUS: entry(
    77,
    "never",
    "MongoDB asks for a login, and the connection has none.",
    "Give user and password in the URI, percent-encoded; where it has them, the user was dropped: create it, and start ferry again.",
  ),
  FERRY_MONGO_PRIVILEGE: entry(
    77,
    "never",
    "The MongoDB user lacks a privilege that ferry needs.",
    "Grant the action that the message names; `ferry check` lists all of them.",
  ),
  FERRY_MONGO_MEMBER: entry(
    64,
    "never",
    "The URI connects to one member of a replica set, and that member is not the primary.",
    "Remove directConnection from the URI, or name the primary; `--read-preference secondary` lets the copy read from a secondary.",
  ),
  FERRY_MONGO_TRANSIENT: entry(
    75,
    "backoff",
    "MongoDB could not serve the operation for a moment (election, network, write conflict).",
    "ferry retries; if it lasts, check the server's log.",
  ),
  FERRY_MONGO_REJECTED: halting(
    "The target rejected a document (unique index, validator, size, immutable field).",
    "Check the dead letters: each has the server's code and text. Fix the target's rule or the document.",
  ),
  FERRY_MONGO_COMMAND: entry(
    69,
    "never",
    "MongoDB refused a command.",
    "The message has the server's code and text; fix the cause and start again.",
  ),

  // --- Amazon Cognito
  FERRY_COGNITO_UNREACHABLE: entry(
    69,
    "backoff",
    "Amazon Cognito cannot be reached, or failed to serve a call.",
    "ferry retries; check the network, `region` and `endpoint` of the route, and AWS's service health.",
  ),
  FERRY_COGNITO_THROTTLED: entry(
    75,
    "backoff",
    "Amazon Cognito refused a call because its request rate quota is used up.",
    "ferry slows down by itself; others in the account and region use the same quota: lower `quotas` of the route to leave them some.",
  ),
  FERRY_COGNITO_ACCESS: halting(
    "Amazon Cognito refused ferry's credentials, or ferry has none.",
    "Give credentials and a region as for the AWS CLI (environment, profile, role); docs/36-cognito.md lists the actions that ferry calls.",
  ),
  FERRY_COGNITO_POOL: halting(
    "The user pool cannot take the users of a route.",
    "The message names what is missing or in the way; change the pool or the route's `to: { cognito: … }`.",
  ),
  FERRY_COGNITO_REJECTED: halting(
    "A document cannot become a user of the pool, or Amazon Cognito refused the user.",
    "Check the dead letters: each names the attribute. Fix the document or the route's `attributes`.",
  ),

  // --- Kafka
  FERRY_KAFKA_UNREACHABLE: entry(
    69,
    "backoff",
    "No Kafka broker can be reached.",
    "Check that the broker runs and that the bootstrap address is right (docs/54-servers.md says when ferry waits).",
  ),
  FERRY_KAFKA_AUTH: entry(
    77,
    "operator",
    "Kafka refused ferry's login.",
    "Check sasl.mechanism and sasl.jaas.config, or the client's certificate, in the file of --kafka-config; a process at work reads user and password there again for each login.",
  ),
  FERRY_KAFKA_ACL: entry(
    77,
    "never",
    "Kafka does not allow this to ferry's user.",
    "`ferry check --print-acls` prints what each process needs, as kafka-acls commands (docs/privileges.md).",
  ),
  FERRY_KAFKA_TLS: entry(
    69,
    "never",
    "There is no encrypted connection to Kafka.",
    "The message says why. Check security.protocol and ssl.* in the file of --kafka-config, and the broker's listener.",
  ),
  FERRY_KAFKA_TRANSIENT: entry(
    75,
    "backoff",
    "Kafka could not serve the request for a moment.",
    "ferry retries; if it lasts, check the broker's log.",
  ),
  FERRY_KAFKA_REQUEST: entry(
    69,
    "never",
    "Kafka refused a request.",
    "The message has the broker's error; fix the cause and start again.",
  ),
  FERRY_KAFKA_TOPIC_MISSING: entry(
    69,
    "backoff",
    "The Kafka topic does not exist.",
    "Start the source connector (`ferry cx FILE`), or check the topic's name with `ferry status`.",
  ),
  FERRY_LOG_TRUNCATED: halting(
    "The topic no longer holds the saved position: records were removed before they were applied.",
    "The lost records cannot be replayed: copy again (`--recopy` of `ferry run` and `ferry capture`; with a connector, empty the target namespace first), and keep retention.ms=-1 on data topics.",
  ),

  FERRY_LOG_RECREATED: halting(
    "The topic was deleted and created again: the saved position belongs to the deleted one.",
    "Empty the target namespace, remove the topic's records in ferry.lanes and ferry.partitions, and copy again.",
  ),
  FERRY_CAPTURE_COPY_AGAIN: halting(
    "The connector copied the collection a second time: documents deleted between the two copies would stay on the target.",
    "Run `ferry cx FILE` (without --plain): it rewinds the connector to before the first copy; or empty the target and start over.",
  ),

  // --- apply
  FERRY_FENCED: entry(
    75,
    "never",
    "Another worker owns this lane; the stale write was rejected.",
    "Nothing to do: the worker releases the lane and rejoins.",
  ),
  FERRY_APPLY_KEYS: halting(
    "The topic has several partitions, and its records are not keyed by documentKey.",
    "Set change.stream.document.key.as.key=true on the connector and start with a new topic; order per document is lost otherwise.",
  ),
  FERRY_APPLY_SPELLING: halting(
    "One `_id` may have several spellings (1, 1L and 1.0; strings that are equal under a default collation). The topic has them in several partitions, so the order of one document's changes is unknown.",
    "Capture with `ferry capture`, which keeps all spellings in one partition, or let the connector write to a new topic with one partition. If no `_id` ever changes its spelling, start with --accept FERRY_APPLY_SPELLING.",
  ),
  FERRY_APPLY_POISON: halting(
    "A record on the topic holds no change event.",
    "Check the raw bytes of the dead letter; find what else writes to the topic besides the connector.",
  ),
  FERRY_APPLY_NAMESPACE: halting(
    "An event belongs to another namespace than its topic.",
    "One topic carries one namespace; check topic.prefix, topic.namespace.map and what else writes to the topic.",
  ),
  FERRY_APPLY_BEHIND: halting(
    "An event waits because an earlier one of the same key is a dead letter.",
    "Resolve the earlier dead letter first; this keeps the order per document.",
  ),
  FERRY_APPLY_DELTA: halting(
    "An update carries no document, and its delta cannot be applied.",
    "Start the worker with --source, so that it can look the document up, or set change.stream.full.document=updateLookup.",
  ),
  FERRY_APPLY_DEAD_LETTER: halting(
    "An event cannot be applied, and onError is stop.",
    "Check the event, its code and reason; fix the target, or run with --on-error dead-letter.",
  ),
  FERRY_DRIFT_HELD: halting(
    "A document has a new field or type, and the route's policy is to hold it.",
    "Decide with `ferry drift decide ROUTE PATH pass|drop`; the held documents are then applied.",
  ),
  FERRY_DRIFT_STOP: halting(
    "A document has a new field or type, and the route's policy is to stop.",
    "Decide with `ferry drift decide ROUTE PATH pass|drop`, then start the worker again.",
  ),
  FERRY_APPLY_DDL: halting(
    "The source changed the collection itself (drop, rename) and this cannot be applied safely.",
    "If the event is held, apply it with `ferry structure approve ID`. Otherwise change the target by hand, then skip the event with --accept, or empty the target and copy again.",
  ),
  FERRY_TARGET_NOT_EMPTY: halting(
    "The target collection already has documents at the first start of the route, and no policy says what to do with them.",
    "Empty it (--replace-target does this in `ferry run` and `ferry capture`), or name a policy: `conflict: mirror | merge | keep-target` in the route, or --conflict (docs/37-target-writers.md).",
  ),
  FERRY_TARGET_HISTORY: halting(
    "The target's oplog no longer holds the writes of its services from the time when no worker ran.",
    "Start with --accept FERRY_TARGET_HISTORY. From then on merge reads every document before it writes; keep-target treats what services wrote in that time as ferry's own.",
  ),
  FERRY_TARGET_POLICY: entry(
    64,
    "never",
    "The route's conflict policy is not possible on this target.",
    "The message has the reason; choose another policy, or restart the route with an empty target.",
  ),
  FERRY_TARGET_ABILITY: entry(
    64,
    "never",
    "A setting asks for what the target of a route cannot do.",
    "The message names the route, the setting and the remedy; docs/43-sinks.md has the table of what needs what.",
  ),
  FERRY_TARGET_LEFTOVERS: entry(
    64,
    "never",
    "Documents that the source no longer has would stay on the target, which cannot be emptied or does not list its documents.",
    "Remove them from the target yourself, then start with --accept FERRY_TARGET_LEFTOVERS; or skip the namespace with --exclude.",
  ),
  FERRY_ROUTE_RULES: entry(
    1,
    "never",
    "The rules of a route were changed after its first start.",
    "Documents that are already applied follow the old rules until their next change. To copy all of them again, give the route a new `name` and `conflict: mirror`. To leave them as they are, start a worker with --accept FERRY_ROUTE_RULES.",
  ),
  FERRY_ROUTE_COLLATION: halting(
    "The `where` of a route compares text byte by byte, and its collection compares text by a default collation: `find` would select other documents.",
    "Select by a field that is no text, or carry the collection without `where`; then `ferry resume` the route.",
  ),
  FERRY_ROUTE_MOVED: entry(
    64,
    "never",
    "A route names another target namespace than at its first start.",
    "Restore the old namespace, or give the route a new `name`: it then starts from the beginning.",
  ),
  // --- structure
  FERRY_STRUCTURE_SELECTION: entry(
    64,
    "never",
    "The selected namespaces do not exist on the source.",
    "Check the spelling of --include, or the routes' `from` in ferry.yaml; `ferry structure plan --include '*'` lists everything.",
  ),
  FERRY_STRUCTURE_SAME: entry(
    64,
    "never",
    "Source and target are the same server, and a collection would be copied onto itself.",
    "Check --source and --target; within one server a route must give the collection another name.",
  ),
  FERRY_STRUCTURE_REFUSED: halting(
    "This structure is not possible on the target; nothing was written.",
    "`ferry structure plan` shows each reason: skip those namespaces with --exclude, fix the target, or empty them with --replace-target.",
  ),
  FERRY_VERIFY_WRONG: entry(
    1,
    "never",
    "Documents on the target are not what the source's documents should have become, or its structure is not the source's.",
    "The output names them and how they differ. Find out who wrote them: a service of the target, or a fault to report. `ferry repair` writes wrong documents again; `ferry structure` shows what was built.",
  ),
  FERRY_VERIFY_BEHIND: entry(
    75,
    "backoff",
    "Some documents are not applied yet, and nothing applies them.",
    "Start the run again, or resume it, then run `ferry verify` again.",
  ),
  FERRY_VERIFY_EARLY: entry(
    75,
    "backoff",
    "The copy has not ended, so there is nothing to compare yet.",
    "`ferry status` shows the progress of the copy; run `ferry verify` when it has finished.",
  ),
  FERRY_VERIFY_SWITCHED: entry(
    76,
    "never",
    "Services were sent to the target: what differs from the source there is theirs, and says nothing about what was carried.",
    "`ferry verify --reverse` compares what `ferry run --reverse` carries back; `ferry receipt` shows what is on both sides.",
  ),
  FERRY_REPAIR_SWITCHED: entry(
    76,
    "never",
    "Services write to the target: what differs from the source there may be theirs, and would be lost.",
    "Look at the documents that `ferry repair` lists, and write by hand what is missing; --include leaves other namespaces to the repair.",
  ),
  FERRY_REPAIR_WAITS: entry(
    75,
    "backoff",
    "Repairs were asked for, and no worker has carried them out yet.",
    "Start `ferry run` or `ferry worker` with --source; it carries out what waits in `ferry.repairs`.",
  ),
  FERRY_RECEIPT_FILE: entry(
    64,
    "never",
    "A file is not a receipt that this version of ferry can read.",
    "Give a file that `ferry receipt` wrote.",
  ),
  FERRY_RECEIPT_CHANGED: entry(
    1,
    "never",
    "Documents are not what they were when the receipt was written.",
    "The output names the namespaces and the sides. Services that wrote since then are a reason; `ferry verify` tells whether both sides are equal now.",
  ),
  FERRY_STRUCTURE_INCOMPLETE: entry(
    1,
    "never",
    "Part of the structure could not be built or restored.",
    "`ferry structure status` shows each reason, and duplicates with their values; fix them and run the command again: it resumes with the rest.",
  ),
  FERRY_STRUCTURE_BUSY: entry(
    75,
    "never",
    "Workers are writing to the namespaces to replace.",
    "Stop the workers of these routes, then run the command again.",
  ),
  // --- the local stack
  FERRY_STACK_DOWNLOAD: entry(
    69,
    "never",
    "A download cannot be reached.",
    "Check the network and the proxy or mirror settings, then run the command again; finished downloads are kept.",
    "stack",
  ),
  FERRY_STACK_CHECKSUM: entry(
    69,
    "never",
    "A downloaded file is damaged, or is not the pinned version.",
    "Run the command again; if it repeats, a proxy or mirror serves a different file: choose another one.",
    "stack",
  ),
  FERRY_STACK_MONGOD: entry(
    69,
    "never",
    "No usable mongod is installed, and none can be downloaded.",
    "Install MongoDB 6.0 or newer so that mongod is on PATH, or set FERRY_MIRROR_MONGODB to a site with its downloads.",
    "stack",
  ),
  FERRY_STACK_JAVA: entry(
    69,
    "never",
    "No usable Java is installed, and none can be downloaded.",
    "Install Java 17 or newer, or point JAVA_HOME to one.",
    "stack",
  ),
  FERRY_STACK_KAFKA: entry(
    69,
    "never",
    "Kafka's jars are not in the cache and cannot be downloaded.",
    "Install Maven (with a mirror in its settings if there is no internet access), or set FERRY_MIRROR_APACHE.",
    "stack",
  ),
  FERRY_STACK_CONNECTOR: entry(
    69,
    "never",
    "The MongoDB connector is not in the cache and cannot be downloaded.",
    "Install Maven, with a mirror in its settings if there is no internet access.",
    "stack",
  ),
  FERRY_STACK_DISK: entry(
    74,
    "never",
    "There is not enough free disk space.",
    "Free the space that the message names, or choose another disk with FERRY_CACHE (programs) or FERRY_HOME (data).",
    "stack",
  ),
  FERRY_STACK_PORT: entry(
    69,
    "never",
    "A port that a server needs is taken by another program.",
    "Stop the program that holds it, or choose another port with --port NAME=NUMBER.",
    "stack",
  ),
  FERRY_STACK_CRASHED: entry(
    69,
    "never",
    "A server ended unexpectedly.",
    "The message shows the end of its log; fix the cause, then run `ferry stack up` again.",
    "stack",
  ),
  FERRY_STACK_NOT_READY: entry(
    75,
    "never",
    "A server runs but did not become ready in time.",
    "Check the log named in the message; on a busy machine run `ferry stack up` again.",
    "stack",
  ),
  FERRY_STACK_LIMIT: entry(
    69,
    "never",
    "The limit of open files is too low for the servers.",
    "Raise it in this shell with `ulimit -n 4096`, or in the configuration of the machine (limits.conf, the service's LimitNOFILE).",
    "stack",
  ),
  FERRY_STACK_STATE: entry(
    74,
    "never",
    "The state folder of the local stack cannot be read or does not fit the request.",
    "Run `ferry stack reset`, which stops all servers and removes the folder's data, or choose another folder with FERRY_HOME.",
    "stack",
  ),

  // --- Kafka Connect
  FERRY_CONNECT_UNREACHABLE: entry(
    69,
    "backoff",
    "Kafka Connect's REST API cannot be reached.",
    "Check that Connect runs and that --connect is its base URL; `ferry stack status` shows a local one.",
  ),
  FERRY_CONNECT_TLS: entry(
    69,
    "never",
    "There is no encrypted connection to Kafka Connect.",
    "The message says why. Check https:// in --connect, and --connect-ca: a PEM file of the authority that signed Connect's certificate.",
  ),
  FERRY_CONNECT_AUTH: entry(
    77,
    "never",
    "Kafka Connect refused ferry's login.",
    "Give user and password in the URL, percent-encoded: https://user:password@host:8083, in FERRY_CONNECT or --connect-file.",
  ),
  FERRY_CONNECT_OTHER: entry(
    64,
    "never",
    "The server at --connect is not Kafka Connect.",
    "Check host and port of --connect: it is the base URL of Kafka Connect's REST API, usually port 8083.",
  ),
  FERRY_CONNECT_BUSY: entry(
    75,
    "backoff",
    "Kafka Connect is rebalancing or did not answer in time.",
    "ferry retries; if it lasts, check Connect's log.",
  ),
  FERRY_CONNECT_MISSING: entry(
    64,
    "never",
    "Kafka Connect has no such connector.",
    "`ferry status` lists the configured connectors; `ferry cx FILE` creates one.",
  ),
  FERRY_CONNECT_EXISTS: entry(
    75,
    "never",
    "A connector with this name already exists.",
    "Another `ferry cx` was faster; run the command again, and it continues from there.",
  ),
  FERRY_CONNECT_REFUSED: entry(
    64,
    "never",
    "Kafka Connect or the connector refused the request.",
    "The message has Connect's text; fix the connector file and run `ferry cx FILE` again.",
  ),

  // --- capture
  FERRY_CAPTURE_FILE: entry(
    64,
    "never",
    "The connector file cannot be used.",
    "Give the path of a JSON file for Connect's REST API; deploy/recommended-connector.json is an example.",
    "connector",
  ),
  FERRY_CAPTURE_PLUGIN_MISSING: entry(
    64,
    "never",
    "Kafka Connect does not know this connector class.",
    "Put the connector's jar on Connect's plugin.path and restart Connect; `ferry check` lists the classes it has.",
    "connector",
  ),
  FERRY_CAPTURE_TOLERANT: entry(
    64,
    "never",
    "errors.tolerance=all lets the connector drop documents, and whole intervals of changes, silently.",
    "Set errors.tolerance (and mongo.errors.tolerance) to none; `ferry cx --plain FILE` posts it anyway.",
    "connector",
  ),
  FERRY_CAPTURE_STALE_READS: entry(
    64,
    "never",
    "The connector would copy from a secondary, which may return data from before the start position.",
    "Remove readPreference from connection.uri, or post the file with --plain and compare afterwards.",
    "connector",
  ),
  FERRY_CAPTURE_UNUSABLE: entry(
    64,
    "never",
    "The connector's records would lack data that a migration needs.",
    "Change the option named in the message; deploy/recommended-connector.json shows a good configuration.",
    "connector",
  ),
  FERRY_CAPTURE_TOPIC_NOT_EMPTY: entry(
    76,
    "never",
    "The topic holds records of an earlier capture; deletes since then are unknown.",
    "Delete the topic (`ferry del NAME --forget` says how) or choose another topic.prefix; --accept-topic uses the topic as it is.",
    "connector",
  ),
  FERRY_CAPTURE_PARTITION_CHANGED: entry(
    64,
    "never",
    "With this configuration the connector would lose its position and copy everything again.",
    "Add the offset.partition.name from the message, or start over: `ferry del NAME --forget`, then `ferry cx FILE`.",
    "connector",
  ),
  FERRY_CAPTURE_START_UNKNOWN: entry(
    76,
    "never",
    "The connector was started without ferry, so writes between its copy and its stream may be missing.",
    "For a gap-free start: `ferry del NAME --forget`, delete its topic, then `ferry cx FILE`.",
    "connector",
  ),
  FERRY_CAPTURE_START_UNFINISHED: entry(
    75,
    "never",
    "The connector's gap-free start is not finished.",
    "Run `ferry cx FILE` again; it resumes.",
    "connector",
  ),
  FERRY_CAPTURE_NOT_RUNNING: entry(
    75,
    "never",
    "The connector is paused, stopped or deleted, so nothing new is captured.",
    "Run `ferry cx FILE` again before the source's oplog has moved past the connector's position.",
    "connector",
  ),
  FERRY_CAPTURE_TASK_FAILED: entry(
    69,
    "never",
    "The connector's task failed.",
    "The message has the decisive line of its stack trace; fix the cause and run `ferry cx FILE` again.",
    "connector",
  ),
  FERRY_CAPTURE_TOPIC_NAME: entry(
    69,
    "never",
    "Kafka refuses the topic name of a collection (it accepts letters, digits, `.`, `_` and `-`, at most 249, and no two names that differ only in `.` and `_`), so the connector's task failed.",
    "Map the collection to another topic in topic.namespace.map or exclude it in the pipeline, and run `ferry cx FILE` again; `ferry capture` supports such names.",
    "connector",
  ),
  FERRY_CAPTURE_RECORD_TOO_LARGE: entry(
    69,
    "never",
    "A document is larger than Kafka's limits, so the connector's task failed and all later changes wait.",
    "Raise producer.override.max.request.size on the connector and max.message.bytes on the topic, then run `ferry cx FILE` again.",
    "connector",
  ),
  FERRY_CAPTURE_EVENT_TOO_LARGE: entry(
    69,
    "never",
    "A change event is larger than 16 MB (document and update description together), so the connector's task failed.",
    'Append {"$unset":["updateDescription"]} to the connector\'s pipeline and run `ferry cx FILE` again.',
    "connector",
  ),
  FERRY_CAPTURE_KEY_FORMAT: entry(
    64,
    "never",
    "Heartbeats have a text key, which a BSON key converter refuses, so the connector's task failed.",
    "Use output.format.key=json with the StringConverter; the values may stay BSON.",
    "connector",
  ),
  FERRY_CAPTURE_HISTORY_LOST: halting(
    "The source's oplog no longer reaches back to the connector's position: changes are lost to the stream.",
    "Enlarge the oplog, then copy again: `ferry del NAME --forget`, delete the topic, empty the target, `ferry cx FILE`.",
    "connector",
  ),
  FERRY_CAPTURE_STUCK: entry(
    75,
    "never",
    "The connector says RUNNING but does not read the source's changes.",
    "Look for `Unable to recreate the cursor` in Connect's log, fix the cause (pipeline, privileges), run `ferry cx FILE` again.",
    "connector",
  ),
  FERRY_CAPTURE_GAP: halting(
    "Changes of the source are missing in the topic although the connector has moved past them.",
    "Run `ferry cx FILE --replay` while the source's oplog still has them. Otherwise copy again, or accept the gap with `ferry cx FILE --accept-gaps`.",
    "connector",
  ),
  FERRY_CAPTURE_REOPENED: halting(
    "The watched namespace was dropped or renamed: the connector then reopens its stream at the current time and skips the changes before it.",
    "Watch the database instead (see deploy/recommended-connector.json) and copy again, or accept the gap with `ferry cx FILE --accept-gaps`.",
    "connector",
  ),
  FERRY_CAPTURE_OPLOG_SHORT: entry(
    75,
    "never",
    "The connector's stored position will soon fall off the source's oplog.",
    "Set heartbeat.interval.ms (10000) on the connector so that an idle position moves, or enlarge the oplog.",
    "connector",
  ),
  // --- ferry's own capture
  FERRY_CAPTURE_SPOOL: entry(
    76,
    "never",
    "The spool, which keeps the change stream during the copy, is damaged or belongs to another capture; it is not used.",
    "Remove the folder named in the message and start again: changes are then read from the source's oplog. If the oplog no longer reaches back far enough, add --recopy.",
  ),
  FERRY_CAPTURE_SPOOL_FULL: entry(
    75,
    "never",
    "The spool is full (--spool-size), or its folder cannot be written. Later changes are only in the source's oplog.",
    "Free space on its disk (ferry retries), enlarge the oplog while the copy runs, or restart with a larger --spool-size; the content of the spool is kept.",
  ),
  FERRY_SOURCE_OPLOG_SHORT: entry(
    75,
    "never",
    "The position of ferry's own capture will soon fall off the source's oplog: changes would be lost to the stream.",
    "Enlarge the oplog (replSetResizeOplog); resume a paused run, start a stopped one, and start a long copy with --spool always.",
  ),
  FERRY_SOURCE_HISTORY_LOST: entry(
    76,
    "never",
    "The source's oplog no longer reaches back to the saved position: changes are lost to the stream.",
    "Enlarge the oplog, then start again with --recopy: it copies everything again, and removes from the target what the source no longer has.",
  ),
  FERRY_SOURCE_STANDALONE: entry(
    64,
    "never",
    "The source is a standalone server: without an oplog it has no change streams.",
    "Start it with --replSet NAME and run rs.initiate() once; one member is enough.",
  ),
  FERRY_SERVER_TOO_OLD: entry(
    64,
    "never",
    "A MongoDB server is too old for ferry.",
    "Upgrade it to the version that the message names.",
  ),
  FERRY_SAME_SERVER: entry(
    64,
    "never",
    "Source and target are the same MongoDB deployment.",
    "Check both URIs; ferry copies from one deployment to another.",
  ),
  FERRY_SOURCE_NOTHING: entry(
    64,
    "never",
    "The selected collections do not exist on the source.",
    "Check the names given with --include, or the routes' `from`. For a collection that is created later add --allow-empty (on a terminal ferry asks); a glob, such as `db.*`, needs no flag.",
  ),
  FERRY_CAPTURE_TAKEN: entry(
    75,
    "never",
    "Another process already captures into this target.",
    "Stop it first, or start this one with another --state-db. The lease of a crashed process ends within seconds.",
  ),
  FERRY_CAPTURE_OTHER: entry(
    64,
    "never",
    "The state on this target belongs to a capture of another source or of other namespaces.",
    "Use the source and the names in the message. To start with others, use --replace-target, or an empty target and another --state-db.",
  ),
  FERRY_RUN_NONE: entry(
    64,
    "never",
    "There is no `ferry run` or `ferry capture` on this target.",
    "Check --target and --state-db; with the official connector stop the workers instead, and use `ferry structure finalize` at the end.",
  ),
  FERRY_RUN_ALIVE: entry(
    75,
    "never",
    "A `ferry run` or `ferry capture` is still writing to this target; restoring constraints now could reject or delete documents.",
    "`ferry finalize` drains it, restores deferred constraints and ends it; or stop it first. After a crash its lease ends within seconds.",
  ),
  FERRY_RUN_LETTERS: entry(
    76,
    "never",
    "There are undecided dead letters: changes that the target rejected.",
    "`ferry dlq list` shows them. Fix the cause and run `ferry dlq replay --all`, or drop them with `ferry dlq discard`; then run `ferry finalize` again. With --accept FERRY_RUN_LETTERS they stay, and can still be replayed afterwards.",
  ),
  FERRY_RUN_HALTED: entry(
    76,
    "never",
    "A route is halted: later changes of its collection are not on the target.",
    "Fix the cause named in the message and restart the run (`ferry resume` where it is paused) or the worker, which checks again; then run `ferry finalize` again.",
  ),
  FERRY_RUN_NOTHING_CARRIED: entry(
    76,
    "never",
    "Documents were captured, and none of them was applied to the target.",
    "Give the collection a route (`from` names one collection, not a glob) or fix its `where`, and start again with --recopy. If none of them is wanted: `ferry finalize --accept FERRY_RUN_NOTHING_CARRIED`.",
  ),
  FERRY_RUN_BEHIND: entry(
    75,
    "never",
    "Captured changes are not on the target yet, and no process applies them.",
    "Start the run or a worker for the topics named in the message, then run `ferry finalize` again.",
  ),
  FERRY_SOURCE_WRITES: entry(
    76,
    "never",
    "Services still write to the source: their next writes would not be on the target.",
    "Stop or fence them, then try again. `ferry finalize --allow-writes` ends the run anyway, and prints the time up to which the target has everything.",
  ),
  FERRY_RUN_FINALIZING: entry(
    75,
    "never",
    "The run is being finalized.",
    "Wait for its end. If no process runs it, start it again as before; `ferry finalize` prints the result.",
  ),
  FERRY_RUN_FINALIZED: entry(
    64,
    "never",
    "The run is finalized; the target belongs to its own services.",
    "If no service writes to the target yet, --replace-target (`ferry run`, `ferry capture`) drops its collections and starts over. Another --state-db with an empty target starts a second run beside it.",
  ),
  // --- cutover
  FERRY_CUTOVER_FENCE: entry(
    64,
    "never",
    "The fence cannot be used.",
    "Give --fence user-write-block (MongoDB 6.0 or newer), validator, hook:COMMAND, or none; docs/49-cutover.md says what each of them stops.",
  ),
  FERRY_CUTOVER_FENCED: entry(
    76,
    "never",
    "The source already refuses writes, and this cutover did not ask for it.",
    "`ferry check` tells whose it is. `ferry cutover --abort` lifts what a cutover left behind; a fence of your own is lifted by hand, or with --abort --allow-both.",
  ),
  FERRY_TARGET_FENCED: entry(
    76,
    "never",
    "What ferry has to write to is fenced: nothing could be written there.",
    "`ferry check` tells whose fence it is. Behind a rollback, `ferry rollback --abort --allow-both` lifts it; a fence of your own is lifted by hand.",
  ),
  FERRY_TARGET_CAPPED: entry(
    76,
    "operator",
    "A collection that ferry has to write to is capped: MongoDB takes no capped collection in a transaction.",
    "Where a cutover goes back at this moment, the collection becomes an ordinary one again within seconds, and the run continues. One of your own: make it an ordinary collection, or leave it out with --exclude.",
  ),
  FERRY_CUTOVER_EARLY: entry(
    75,
    "backoff",
    "The run is not far enough to switch over.",
    "Wait until it has caught up; `ferry status` shows how far it is, `ferry cutover --ready` what is missing.",
  ),
  FERRY_CUTOVER_UNVERIFIED: entry(
    75,
    "never",
    "Not everything that is carried was compared with the source.",
    "Run the command that the message names, with the same sides and --state-db: `ferry verify` before a cutover, `ferry verify --reverse` before a rollback. --accept FERRY_CUTOVER_UNVERIFIED switches without.",
  ),
  FERRY_CUTOVER_PAUSE: entry(
    75,
    "never",
    "The pause would have been longer than --max-pause: the fence was lifted, and services keep using the source.",
    "The message says what took too long. Try again when less is written, or allow more; `ferry cutover --rehearse` predicts the pause.",
  ),
  FERRY_CUTOVER_HOOK: entry(
    1,
    "never",
    "A command of the operator failed or did not end in time.",
    "Its own output says why. Exit status 0 means done, and anything else that nothing was changed; no command may take longer than the pause.",
  ),
  FERRY_CUTOVER_INTERRUPTED: entry(
    75,
    "never",
    "The process that drove the cutover ended before services were released: the fence was lifted, and they keep using the source.",
    "Start `ferry cutover` again.",
  ),
  FERRY_CUTOVER_ALIVE: entry(
    75,
    "never",
    "Another cutover on this target has not come to its end.",
    "Wait for the process that drives it. If that process is gone, `ferry cutover` resumes it and `ferry cutover --abort` undoes it.",
  ),
  FERRY_CUTOVER_TAKEN: entry(
    75,
    "never",
    "Another process drives this cutover now.",
    "`ferry check` shows whether a fence is left behind; run `ferry cutover --ready` to see where it stands.",
  ),
  FERRY_CUTOVER_WATCH: entry(
    70,
    "never",
    "The second process that lifts the fence in an emergency did not start.",
    "The message says why; without it no fence is raised.",
  ),
  FERRY_CUTOVER_NONE: entry(
    64,
    "never",
    "There is no cutover to abort, and no fence of ferry on the source.",
    "Check --target and --state-db.",
  ),
  FERRY_CUTOVER_RELEASED: entry(
    76,
    "never",
    "Services were sent to the target: with the fence lifted, both sides would take writes.",
    "Send them back first. --allow-both lifts the fence anyway.",
  ),
  FERRY_ROLLBACK_NONE: entry(
    64,
    "never",
    "There is nothing to carry back from.",
    "Changes are carried back after a cutover that has sent services to the target; give the same --source, --target and --state-db as there.",
  ),
  FERRY_ROLLBACK_ROUTE: entry(
    64,
    "never",
    "What a route makes of documents cannot be carried back.",
    "Leave out the routes that the message names with a configuration of their own, or do without a way back for them.",
  ),
  FERRY_RUN_LOOP: entry(
    76,
    "never",
    "A run the other way carries the same namespaces: changes would go round without end.",
    "Finalize that run first, or leave its namespaces out of this one. If it is never to run again, drop the database of its state, which the message names.",
  ),
  FERRY_REPLACE_SWITCHED: entry(
    76,
    "never",
    "Services were sent to this target by a cutover: --replace-target would delete what they have written.",
    "`ferry run --reverse` and `ferry rollback` send them back first. If none of them writes there any more, --accept FERRY_REPLACE_SWITCHED empties it.",
  ),
  // --- control
  FERRY_CONTROL_ADDRESS: entry(
    69,
    "never",
    "The address of `ferry control` cannot be used.",
    "Stop the program that listens there, or give --listen another address; port 0 takes a free one, and the log names it.",
  ),
  FERRY_CONTROL_WITHOUT: entry(
    64,
    "never",
    "`ferry control` was started without something that this needs.",
    "Start it again with the flag that the message names.",
  ),
  FERRY_API_CONFIRM: entry(
    64,
    "never",
    "What is asked for moves services or ends a run, and was not confirmed.",
    "Have a person type what the message names, and send it as `confirm`.",
  ),
  FERRY_TOKEN_UNKNOWN: entry(64, "never", "There is no such token.", "`ferry token list` shows the ids of all tokens."),
  FERRY_API_TOKEN: entry(
    77,
    "never",
    "The request has no valid token.",
    "Send `Authorization: Bearer TOKEN`; `ferry token create --role viewer` makes a token, `ferry token list` shows which have expired.",
  ),
  FERRY_API_ROLE: entry(
    77,
    "never",
    "The role of the token does not allow this.",
    "Use a token with the role that the message names: `ferry token create --role operator`.",
  ),
  FERRY_API_LIMIT: entry(
    75,
    "never",
    "Too many invalid tokens came from this address.",
    "Wait as long as the message says, and send a token that `ferry token list` shows as valid.",
  ),
  FERRY_API_STREAMS: entry(
    75,
    "never",
    "Too many clients are watching at the same time.",
    "Close pages that are not used, or read the overview instead of its events.",
  ),
  FERRY_API_UNKNOWN: entry(
    64,
    "never",
    "The API has no such resource.",
    "GET /api/v1/openapi.json lists all paths; an id in a path is percent-encoded.",
  ),
  FERRY_CONSOLE_BUILD: entry(
    75,
    "never",
    "The console's page could not be built in this clone.",
    "`node console/build.ts` says why; a packed ferry has the page built.",
  ),
  // --- the demo
  FERRY_DEMO_STEP: entry(
    1,
    "never",
    "A step of the demo did not give the expected result.",
    "Check the logs in the folder named in the message; `ferry demo --keep` leaves everything running.",
  ),
} as const satisfies Record<string, CatalogueEntry>;

export type ErrorCode = keyof typeof CATALOGUE;
